"""Baseline: what a day usually costs - weekday profile x adaptive level + charges of that day of the month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tools.analysis.memory import NEVER, Memory
from tools.analysis.numbers import TINY, Ordered

if TYPE_CHECKING:
    from tools.analysis.detector import Tuning
    from tools.analysis.numbers import Floats

MONTHS_BACK = 4
# Days that the longest median of the level looks at.
LOOKED_BACK = 27
SMALLEST_PROFILE = 0.03
# A drop to less than this share is an outage, after which the old level is expected back.
OUTAGE = 0.25
TRUST = 2.0
NO_COST = 0.1


@dataclass(slots=True)
class Usual:
    """What is expected of one day, per series. `base` is without the month-day charge `lump`; `band` is one error."""

    started: Floats
    age: Floats
    profile: Floats
    levels: Floats
    level: Floats
    base: Floats
    lump: Floats
    spread: Floats
    band: Floats

    @property
    def expected(self) -> Floats:
        return self.base + self.lump


def expect(memory: Memory, now: int, tuning: Tuning) -> Usual:
    """What the day in column `now` should cost, from the columns before it."""
    import numpy as np

    started = memory.first < now
    age = np.where(started, now - memory.first, 0)
    profile = np.maximum(memory.profile[:, memory.weekdays[now]], SMALLEST_PROFILE)
    levels = _levels(memory, now)
    weights = 1 / (memory.misses + 1e-6) ** tuning.level_power
    weights[3] *= age >= 10
    weights[4] *= age >= 20
    level = np.nan_to_num((weights * levels).sum(axis=0) / weights.sum(axis=0))
    base = level * profile
    spread = _spread(memory, now, age, tuning)
    lump, lump_error = _month_day(memory, now, level, tuning)
    band = np.sqrt((spread * base) ** 2 + lump_error**2 + tuning.cents**2)
    return Usual(started, age, profile, levels, level, base, lump, spread, band)


def _levels(memory: Memory, now: int) -> Floats:
    """Five opinions on the level: the last day, and medians of 3, 7, 14 and 28 days."""
    import numpy as np

    flat = memory.days["flat"]
    if now == 0:
        return np.zeros((5, len(flat)))
    spans = [np.median(flat[:, max(0, now - n) : now], axis=1) for n in (3, 7, 14, 28)]
    return np.asarray(np.stack([flat[:, now - 1], *spans]))


def _spread(memory: Memory, now: int, age: Floats, tuning: Tuning) -> Floats:
    """The usual relative error, heavy tails included; wider while a series is young."""
    import numpy as np

    errors = Ordered(memory.days["error"][:, max(0, now - tuning.history) : now])
    (near, by), (far, far_by) = tuning.error_tail, tuning.error_far_tail
    spread = np.maximum(errors.spread(floor=tuning.floor), np.maximum(errors.at(near) / by, errors.at(far) / far_by))
    young = np.clip((45 - age) / 45, 0, 1)
    return np.asarray(np.maximum(spread, 0.10 * young) * (1 + 0.5 * young))


def same_day_of_months(memory: Memory, now: int) -> list[int]:
    """Columns of the same day in the months before, latest first."""
    today, out = memory.day(now), []
    for back in range(1, MONTHS_BACK + 1):
        year, month = divmod(today.year * 12 + today.month - 1 - back, 12)
        try:
            column = (date(year, month + 1, today.day) - memory.start).days
        except ValueError:
            continue  # that month has no such day
        if column >= 0:
            out.append(column)
    return out


def _month_day(memory: Memory, now: int, level: Floats, tuning: Tuning) -> tuple[Floats, Floats]:
    """Charges that came on this day of the month before (last month, or twice in four), and how sure they are."""
    import numpy as np

    columns = np.array(same_day_of_months(memory, now), dtype=int)
    if not len(columns):
        return np.zeros_like(level), np.zeros_like(level)
    lumps = memory.days["lump"]
    then = lumps[:, columns]
    beside = np.maximum(lumps[:, np.maximum(columns - 1, 0)], lumps[:, columns + 1])
    known = memory.first[:, None] < columns[None, :] - 7
    came = known & (then > np.maximum(0.10, 2.5 * memory.days["spread"][:, columns])) & (then > 2 * beside)
    due = came.sum(axis=1) >= np.where(came[:, 0], 1, 2)
    sizes = Ordered(np.where(came, then, np.nan))
    lump = np.where(due, sizes.middle() * level, 0.0)
    error = np.where(due, tuning.month_spread * lump + 0.3 * (sizes.at(1.0) - sizes.at(0.0)) * level, 0.0)
    return np.asarray(lump), np.asarray(error)


def start_new(memory: Memory, now: int) -> Floats:
    """Begin the memory of series whose first cost is today; say which."""
    import numpy as np

    raw = memory.days["raw"][:, now]
    new = (memory.first == NEVER) & (raw > 0)
    rows = np.flatnonzero(new)
    if len(rows):
        memory.first[rows] = now
        memory.days["flat"][rows, max(0, now - 28) : now + 1] = raw[rows, None]
        memory.days["seen"][rows, now] = raw[rows]
    return np.asarray(new)


def note_seen(memory: Memory, now: int, bill: Floats, usual: Usual) -> None:
    """Write down today's level as billed, before it is judged."""
    import numpy as np

    level = np.maximum(bill - usual.lump, 0) / usual.profile
    memory.days["seen"][:, now] = np.where(usual.started, level, np.nan)
    memory.days["settled"][:, now] = bill


def learn(memory: Memory, now: int, bill: Floats, usual: Usual, jump: Floats, tuning: Tuning) -> None:
    """Take the day into memory: as it was if usual, clipped to what was expected if not."""
    import numpy as np

    days, base, started = memory.days, usual.base, usual.started
    raw = days["raw"][:, now]
    billed, negative = np.maximum(raw, 0), raw < 0
    high = started & (jump > 4.0) & ~negative
    low = (started & (bill - base < -tuning.clip * usual.spread * base)) | negative
    days["spread"][:, now] = usual.spread
    days["expected"][:, now] = np.where(started, usual.expected, 0.0)
    days["lump"][:, now] = np.where(usual.level > 0, (billed - base) / np.maximum(usual.level, TINY), 0.0)
    _extend_streak(memory, high, low)
    short = np.abs(memory.streak) < 3
    room = tuning.clip * usual.spread
    plain = np.clip(bill - usual.lump, np.maximum(base * (1 - room), 0), base * (1 + room))
    plain = np.where(high | (low & (usual.age >= 28)), base, plain)
    plain = np.where(usual.age < tuning.youngest, np.where(negative, base, np.maximum(billed - usual.lump, 0)), plain)
    first_day = memory.first == now
    days["clean"][:, now] = np.where(started, plain, np.where(first_day, billed, 0.0))
    days["flat"][:, now] = np.where(started, plain / usual.profile, days["flat"][:, now])
    odd = (billed < 0.3 * base) | (billed > 3 * usual.expected)
    days["odd"][:, now] = odd & started & short
    error = np.clip((bill - usual.expected) / np.maximum(base, TINY), -1, 4)
    usable = started & (base > 0) & (usual.age > 3) & short & (usual.lump <= 0) & ~negative
    # One spike in a short history must not pass for a heavy tail.
    days["error"][:, now] = np.where(usable & ~(high & (usual.age < 45)), error, np.nan)
    _settle(memory, now, tuning)
    miss = np.clip(days["flat"][:, now] / np.maximum(usual.levels, TINY) - 1, -0.5, 0.5) ** 2
    blend = (1 - tuning.level_memory) * memory.misses + tuning.level_memory * miss
    memory.misses = np.where(started & np.isfinite(miss), blend, memory.misses)
    _learn_profile(memory, now)


def _extend_streak(memory: Memory, high: Floats, low: Floats) -> None:
    """Count days in a row beyond the band: upwards positive, downwards negative."""
    import numpy as np

    side = np.where(high, 1, np.where(low, -1, 0))
    same = np.sign(memory.streak) == side
    memory.streak = np.where(side == 0, 0, np.where(same, memory.streak + side, side))


def _settle(memory: Memory, now: int, tuning: Tuning) -> None:
    """A level that held for a week is the usual one from now on."""
    import numpy as np

    rows = np.flatnonzero(np.abs(memory.streak) >= tuning.hold)
    if not len(rows):
        return
    days, since = memory.days, now - tuning.hold + 1
    before = np.nan_to_num(days["flat"][rows, since - 1])
    now_at = np.median(days["seen"][rows, since : now + 1], axis=1)
    outage = (memory.streak[rows] < 0) & (now_at < OUTAGE * before)
    memory.before_drop[rows] = np.where(outage, before, 0.0)
    days["clean"][rows, since : now + 1] = np.maximum(days["raw"][rows, since : now + 1], 0)
    days["flat"][rows, since : now + 1] = days["seen"][rows, since : now + 1]
    level = np.median(days["flat"][rows, since : now + 1], axis=1)[:, None]
    days["flat"][rows, max(0, now - LOOKED_BACK) : since] = level
    days["seen"][rows, max(0, now - 40) : since] = level
    memory.misses[:, rows] = np.maximum(memory.misses[:, rows], 0.01)
    memory.streak[rows] = 0


def accept(memory: Memory, now: int, accepted: Floats) -> None:
    """Days that somebody expected are usual as they were billed, and from three in a row on they are the level.

    `accepted` is series x the last days, today last.
    """
    import numpy as np

    days = memory.days
    rows = np.flatnonzero(accepted[:, -1])
    days["clean"][rows, now] = np.maximum(days["raw"][rows, now], 0)
    days["flat"][rows, now] = days["seen"][rows, now]
    days["error"][rows, now] = np.nan
    memory.streak[rows] = 0
    lengths = np.cumprod(accepted[rows, ::-1], axis=1).sum(axis=1)
    for row, length in zip(rows[lengths >= 3].tolist(), lengths[lengths >= 3].tolist(), strict=True):
        since = now - length + 1
        level = np.median(days["seen"][row, since : now + 1])
        days["flat"][row, max(0, now - LOOKED_BACK) : since] = level
        days["seen"][row, max(0, now - 40) : since] = level
        memory.before_drop[row] = 0.0


def _learn_profile(memory: Memory, now: int) -> None:
    """Three days ago lies in the middle of a week now: learn that weekday's share from the last eight of them."""
    import numpy as np

    middle = now - 3
    if middle < 3:
        return
    clean, ratio = memory.days["clean"], memory.days["ratio"]
    week = clean[:, middle - 3 : middle + 4].mean(axis=1)
    known = memory.first <= middle - 3
    ratio[:, middle] = np.where(known, np.clip(clean[:, middle] / np.maximum(week, TINY), 0, 5), np.nan)
    columns = middle - 7 * np.arange(8)
    lately = ratio[:, columns[columns >= 3]]
    # One day without cost is a gap in an export; a shutdown comes again on that weekday.
    empty = lately < NO_COST
    seen = Ordered(np.where(empty & (empty.sum(axis=1) < 2)[:, None], np.nan, lately))
    trust = seen.count**2 / (seen.count**2 + TRUST)
    learned = trust * seen.middle() + (1 - trust)
    memory.profile[:, memory.weekdays[middle]] = np.where(seen.count >= 2, learned, 1.0)
