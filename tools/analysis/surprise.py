"""Surprise: the tests that a day must pass - jump, several days, slow climb, burst, return, end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.analysis.memory import Memory
from tools.analysis.numbers import TINY, Ordered

if TYPE_CHECKING:
    from tools.analysis.baseline import Usual
    from tools.analysis.detector import Tuning
    from tools.analysis.numbers import Floats

ODD_DAYS = 56
GAP_DAYS = 3
SUSTAINED_DAYS = 3
DRIFT_HISTORY = 120
BURST_HISTORY = 91
CHEAP_WEEKEND = 0.85
GONE_SHARE = 0.1
GONE_DAYS = 3
GONE_MONEY = 5.0


def _odd_share(memory: Memory, now: int) -> Floats:
    import numpy as np

    odd = memory.days["odd"][:, max(0, now - ODD_DAYS) : now]
    return odd.mean(axis=1) if odd.shape[1] else np.zeros(len(odd))


def caught_up(memory: Memory, now: int, usual: Usual) -> Floats:
    """Today's bill less what belongs to a gap just before: an export that skipped a day delivers it with the next."""
    import numpy as np

    raw, expected = memory.days["raw"], memory.days["expected"]
    billed = np.maximum(raw[:, now], 0)
    late = np.zeros(len(billed))
    gap = _odd_share(memory, now) < 0.12
    for back in range(1, min(now, GAP_DAYS) + 1):
        then, should = np.maximum(raw[:, now - back], 0), expected[:, now - back]
        gap = gap & (should > 0) & (then < 0.5 * should)
        late += np.where(gap, should - then, 0.0)
    return np.asarray(np.maximum(billed - late, np.minimum(billed, usual.expected)))


def uneven(memory: Memory, now: int, usual: Usual, tuning: Tuning) -> Floats:
    """Series whose days differ so much that a level says little: batch jobs, now and then."""
    odd = _odd_share(memory, now) >= tuning.uneven
    return usual.started & (odd | (usual.spread >= tuning.uneven_spread)) & (usual.age >= tuning.youngest)


def jump(bill: Floats, usual: Usual, tuning: Tuning) -> tuple[Floats, Floats]:
    """How many usual errors today lies above what was expected, and the money above it."""
    import numpy as np

    over = bill - usual.expected
    return over / usual.band, np.maximum(over, 0)


def burst(memory: Memory, now: int, bill: Floats, which: Floats, tuning: Tuning) -> tuple[Floats, Floats]:
    """For uneven series: today (and two, three days together) against the busiest of three months."""
    import numpy as np

    score, over = np.zeros(len(bill)), np.zeros(len(bill))
    rows = np.flatnonzero(which)
    if now < 30 or not len(rows):
        return score, over
    since = max(0, now - BURST_HISTORY)
    past = memory.days["settled"][rows, since:now]
    weekdays = np.array(memory.weekdays[since:now])
    today = memory.weekdays[now]
    busy, factors = _running_days(past, weekdays)
    adjusted = np.column_stack([past / factors[:, weekdays], bill[rows] / factors[:, today]])
    sums = np.cumsum(adjusted, axis=1)
    best = np.zeros(len(rows))
    for days in (1, 2, 3):
        means = sums[:, days - 1 :].copy()
        means[:, 1:] -= sums[:, :-days]
        means /= days
        history = np.sort(means[:, :-days], axis=1)
        third, middle = history[:, -3], history[:, history.shape[1] // 2]
        room = np.maximum(third - middle, 0.1 * np.maximum(middle, TINY) + tuning.cents)
        best = np.maximum(best, tuning.burst * (means[:, -1] - middle) / room)
    score[rows] = best
    over[rows] = np.maximum(bill[rows] - busy * factors[:, today], 0)
    return score, over


def _running_days(past: Floats, weekdays: Floats) -> tuple[Floats, Floats]:
    """What a day costs on which the job runs, and how much more it costs on weekdays with a bigger job."""
    import numpy as np

    upper = np.sort(past, axis=1)[:, int(0.75 * past.shape[1])]
    busy = Ordered(np.where(past > 0.3 * upper[:, None], past, np.nan)).middle()
    factors = np.ones((len(past), 7))
    for weekday in range(7):
        days = past[:, weekdays == weekday]
        if days.shape[1] >= 4:
            share = np.where(busy > 0, np.median(days, axis=1) / np.maximum(busy, TINY), 1.0)
            factors[:, weekday] = np.where(share > 1.5, share, 1.0)
    return busy, factors


def sustained(memory: Memory, now: int, usual: Usual, tuning: Tuning) -> Floats:
    """Three days together above the level of the two weeks before, in the usual error of three days together."""
    import numpy as np

    mean3, days = memory.days["mean3"], memory.days
    if now < 24:
        return np.zeros(len(mean3))
    before = np.median(days["flat"][:, max(0, now - 16) : now - 2], axis=1)
    last = np.minimum(days["seen"][:, now - SUSTAINED_DAYS + 1 : now + 1], 2 * before[:, None]).mean(axis=1)
    above = last / np.maximum(before, TINY) - 1
    mean3[:, now] = np.where(usual.age > 20, above, np.nan)
    history = Ordered(mean3[:, max(0, now - 90) : now - 2])
    error = np.maximum(history.spread(floor=tuning.floor), history.at(0.95) / 2)
    today = days["seen"][:, now] / np.maximum(before, TINY) - 1
    # The spike of yesterday must not ring on: today has to carry its part.
    lasting = (history.count > 20) & (today > 0.5 * above)
    return np.where(lasting, above / error, 0.0) * tuning.sustained


def lost_weekend(memory: Memory, now: int, bill: Floats, usual: Usual, tuning: Tuning) -> Floats:
    """Two weekend days in a row that cost what weekdays cost, where weekends were cheap: a shutdown was lost."""
    import numpy as np

    weekday = memory.weekdays[now]
    if weekday < 5 or now < 28:
        return np.zeros(len(bill))
    before = now - (1 if weekday == 6 else 6)
    days = memory.days
    share = np.maximum(memory.profile[:, memory.weekdays[before]], 0.03)
    cheap = (usual.profile < CHEAP_WEEKEND) & (share < CHEAP_WEEKEND)
    should = days["expected"][:, before]
    dip = should / share - should
    filled = ((bill - usual.base) / np.maximum(usual.level - usual.base, TINY) > 0.5) & (
        (days["settled"][:, before] - should) / np.maximum(dip, TINY) > 0.5
    )
    error = np.maximum(days["spread"][:, before] * should, tuning.cents)
    earlier = np.clip((days["settled"][:, before] - should) / error, 0, tuning.most)
    today = np.clip((bill - usual.expected) / usual.band, 0, tuning.most)
    return np.where(cheap & filled, (today + earlier) / 2**0.5 * tuning.weekend, 0.0)


def drift(memory: Memory, now: int, usual: Usual, tuning: Tuning) -> tuple[Floats, Floats]:
    """The last week against the weeks from 34 to 14 days ago, in the usual size of such moves; and the money of it."""
    import numpy as np

    seen, climb = memory.days["seen"], memory.days["climb"]
    if now < 45:
        return np.zeros(len(seen)), np.zeros(len(seen))
    week = np.median(seen[:, now - 6 : now + 1], axis=1)
    before = np.median(seen[:, now - 34 : now - 13], axis=1)
    move = np.clip(np.log(np.maximum(week, TINY) / np.maximum(before, TINY)), -2, 2)
    climb[:, now] = np.where((usual.age >= 45) & (before > 0), move, np.nan)
    if now <= 60:
        return np.zeros(len(seen)), np.zeros(len(seen))
    history = Ordered(climb[:, max(0, now - DRIFT_HISTORY) : now - 10])
    error = np.maximum(history.spread(tail=0.15, floor=tuning.drift_floor), history.at(0.95) / 2)
    beyond = np.nan_to_num(climb[:, now]) - np.maximum(history.at(0.5), 0)
    today = np.nan_to_num(seen[:, now])
    real = (history.count > 20) & (today > 1.1 * np.nan_to_num(before))
    over = np.maximum(np.nan_to_num(today - before), 0) * usual.profile
    return np.where(real, beyond / error * tuning.drift, 0.0), over


def returned(memory: Memory, bill: Floats, usual: Usual, score: Floats, kind: Floats) -> tuple[Floats, Floats]:
    """A cost that comes back to where it was before it dropped is no news."""
    import numpy as np

    earlier = memory.before_drop * usual.profile
    back = (earlier > 0) & (bill <= 1.15 * earlier) & (bill >= 0.5 * earlier) & (score > 0)
    return np.where(back, 0.0, score), kind


def stopped(memory: Memory, now: int, usual: Usual, which_uneven: Floats) -> Floats:
    """Cost worth mentioning that stayed away for three days: a job or a backup may have stopped."""
    import numpy as np

    if now < GONE_DAYS:
        return np.zeros(len(usual.base), dtype=bool)
    span = slice(now - GONE_DAYS + 1, now + 1)
    should = memory.days["expected"][:, span].copy()
    should[:, -1] = usual.expected
    missing = np.maximum(memory.days["raw"][:, span], 0) < GONE_SHARE * should
    worth = usual.base >= GONE_MONEY
    return missing.all(axis=1) & worth & ~which_uneven & (usual.age >= 28)
