"""Episodes: joins judged days into anomalies with a stable id, an amount, a severity and a sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from tools.analysis.detector import Kind, Verdicts
from tools.analysis.naming import NO_NAMES, Names, named
from tools.analysis.numbers import total
from tools.analysis.surprise import GONE_SHARE
from tools.analysis.words import change, money, on
from tools.model.anomaly import Anomaly
from tools.model.series import DailySeries

if TYPE_CHECKING:
    from tools.analysis.numbers import Floats

APART = 3  # alert days closer than this belong together
WEEKENDS_APART = 7
LONGEST = 28  # days after which a held level is the new usual one
RECENT = 3
SHORT_HISTORY = 45
CENT = Decimal("0.0001")
# Severity: the money of a day against what a whole usual day of everything costs.
HIGH, MEDIUM = 0.03, 0.005


@dataclass(frozen=True, slots=True)
class Episode:
    """Columns `first` to `last` (included) of one series, and against what they are measured."""

    row: int
    first: int
    last: int
    kind: Kind
    expected: tuple[float, ...]
    score: float


def episodes(values: Floats, verdicts: Verdicts, alert: float) -> Iterator[Episode]:
    """All episodes of all series, by series and time."""
    import numpy as np

    up = verdicts.score >= alert
    down = verdicts.kind == int(Kind.GONE)
    for row in range(len(values)):
        until = -1
        for first, last in _runs(np.flatnonzero(up[row]), verdicts.start.weekday()):
            if first > until:
                episode = _rise(values[row], verdicts, row, first, last)
                until = episode.last
                yield episode
        for first, last in _runs(np.flatnonzero(down[row]), verdicts.start.weekday()):
            yield _end(values[row], verdicts, row, first, last)


def _runs(columns: Floats, weekday: int) -> Iterator[tuple[int, int]]:
    """First and last of the days that belong together; a weekend belongs to the weekend before it."""
    days: list[int] = columns.tolist()
    breaks = [
        0,
        *(n for n in range(1, len(days)) if days[n] - days[n - 1] > _reach(days[n], days[n - 1], weekday)),
        len(days),
    ]
    for begin, end in pairwise(breaks):
        if begin < end:
            yield days[begin], days[end - 1]


def _reach(day: int, before: int, weekday: int) -> int:
    weekends = all((weekday + n) % 7 >= 5 for n in (day, before))
    return WEEKENDS_APART if weekends else APART


def _rise(values: Floats, verdicts: Verdicts, row: int, first: int, last: int) -> Episode:
    """Follow a rise past its last alert for as long as the cost stays up: what lasts is worth counting."""
    kind = Kind(int(verdicts.kind[row, first]))
    expected = [float(v) for v in verdicts.expected[row, first : last + 1]]
    before = float(verdicts.level[row, first])
    over = sum(float(values[first + n]) - usual for n, usual in enumerate(expected)) / len(expected)
    low = 0
    for column in range(last + 1, min(len(values), first + LONGEST)):
        level = float(verdicts.level[row, column])
        shape = float(verdicts.expected[row, column]) / level if level > 0 else 1.0
        usual = 0.0 if kind is Kind.NEW else before * shape
        low = 0 if float(values[column]) >= usual + 0.5 * over * min(shape, 1.0) else low + 1
        if low > 1:
            break
        expected.append(usual)
    if low:
        expected = expected[: len(expected) - min(low, 1)]
    return Episode(
        row, first, first + len(expected) - 1, kind, tuple(expected), float(verdicts.score[row, first : last + 1].max())
    )


def _end(values: Floats, verdicts: Verdicts, row: int, first: int, last: int) -> Episode:
    """Cost that stopped: it is said after three days, counted from the first of them, and followed while it lasts."""
    begin = max(0, first - 2)
    level = float(verdicts.expected[row, begin])
    expected = tuple(max(float(v), 0.0) for v in verdicts.expected[row, begin : last + 1])
    for column in range(last + 1, min(len(values), begin + LONGEST)):
        if float(values[column]) >= GONE_SHARE * level:
            break
        expected += (expected[column - begin - 7] if column - begin >= 7 else level,)
    return Episode(row, begin, begin + len(expected) - 1, Kind.GONE, expected, 10.0)


def anomaly_id(keys: Iterable[tuple[str, str]], direction: str, started: date, currency: str) -> str:
    """The same series, direction and first day always give the same id."""
    text = "\x1f".join([*(f"{name}={value}" for name, value in keys), direction, started.isoformat(), currency])
    return "an-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def anomaly(
    series: DailySeries,
    episode: Episode,
    verdicts: Verdicts,
    *,
    end: date,
    usual_day: float,
    unit: float = 1.0,
    names: Names = NO_NAMES,
) -> Anomaly:
    """The episode as an Anomaly. `end` is the day after the last judged one, `usual_day` a usual day of all costs.

    Amounts of the verdicts are in units of `unit`, those of the series and of the result are not.
    """
    started = verdicts.start + timedelta(days=episode.first)
    offset = (started - series.start).days
    days = episode.last - episode.first + 1
    actual = total(series.values[max(offset, 0) : offset + days])
    expected = Decimal(sum(episode.expected) * unit).quantize(CENT)
    direction = "down" if episode.kind is Kind.GONE else "up"
    last_day = started + timedelta(days=days - 1)
    is_open = (end - last_day).days <= RECENT and days < LONGEST
    found = Anomaly(
        id=anomaly_id(series.keys, direction, started, series.currency),
        keys=series.keys,
        direction=direction,
        started=started,
        days=days,
        actual=actual,
        expected=expected,
        currency=series.currency,
        score=Decimal(episode.score).quantize(Decimal("0.01")),
        severity=_severity(float(actual - expected) / unit / days, usual_day, direction),
        status="open" if is_open else "resolved",
        why="",
        named=named(series.keys, names),
    )
    memory = verdicts.memory
    young = (started - memory.start).days - int(memory.first[episode.row]) < SHORT_HISTORY
    band = Decimal(float(verdicts.band[episode.row, episode.first]) * unit).quantize(CENT)
    return replace(found, why=_why(found, episode, band, young=young and episode.kind is not Kind.NEW))


def _severity(per_day: float, usual_day: float, direction: str) -> str:
    share = abs(per_day) / usual_day if usual_day > 0 else 1.0
    if direction == "down":
        return "medium" if share >= HIGH else "low"
    return "high" if share >= HIGH else "medium" if share >= MEDIUM else "low"


def _why(found: Anomaly, episode: Episode, band: Decimal, *, young: bool) -> str:
    """One sentence for a chat: what was billed, what was to be expected, and what sort of change it is."""
    name, since = found.named[:1].upper() + found.named[1:], on(found.started)
    cost, usual = money(found.actual, found.currency), money(found.expected, found.currency)
    grown = change(found.actual, found.expected)
    grown = f", {grown}" if grown else ""
    span = f"on {since}" if found.days == 1 else f"in {found.days} days since {since}"
    short = " (short history, wide band)" if young else ""
    if episode.kind is Kind.NEW:
        return f"{name} is new: {cost} {span}, nothing before."
    if episode.kind is Kind.GONE:
        return f"{name} stopped: {cost} {span}, where {usual} was usual."
    if episode.kind is Kind.DRIFT:
        return f"{name} has been climbing: {cost} {span}, {usual} at the level of the month before{grown}{short}."
    if episode.kind is Kind.BURST:
        return f"{name} went beyond its busiest days: {cost} {span}, {usual} on usual busy days{grown}{short}."
    within = f" (±{money(band, found.currency)} a day, same weekday and level)"
    return f"{name} cost {cost} {span}, expected {usual}{within}{grown}{short}."


def group(anomalies: Iterable[Anomaly], *, in_order: bool = False) -> tuple[tuple[Anomaly, ...], ...]:
    """What began on one day in one account is one finding; findings by money, or `in_order` of their first member."""
    groups: dict[tuple[object, ...], list[Anomaly]] = {}
    for one in anomalies:
        place = tuple(pair for pair in one.keys if pair[0] in {"provider", "sub_account_id"})
        groups.setdefault((place, one.started, one.direction, one.currency), []).append(one)
    ordered = [tuple(sorted(members, key=_money)) for members in groups.values()]
    if in_order:
        return tuple(ordered)
    return tuple(sorted(ordered, key=lambda members: -sum(abs(m.excess) for m in members)))


def _money(one: Anomaly) -> tuple[Decimal, str]:
    return -abs(one.excess), one.id


def at_stake(one: Anomaly) -> Decimal:
    """Money that an anomaly may still cost: its excess of a day for the days such things last."""
    return abs(one.excess) / one.days * (30 if one.status == "open" else 0) + abs(one.excess)


def keep_identity(found: Sequence[Anomaly], known: Sequence[Anomaly]) -> tuple[Anomaly, ...]:
    """An anomaly that overlaps a known one of its series is that one: it keeps its id, first day and person's word."""
    before: dict[tuple[object, ...], list[Anomaly]] = {}
    for one in known:
        before.setdefault((one.keys, one.direction, one.currency), []).append(one)
    out = []
    for one in found:
        same = [k for k in before.get((one.keys, one.direction, one.currency), []) if _touch(one, k)]
        if same:
            first = min(same, key=lambda k: k.started)
            status = "expected" if first.status == "expected" else one.status
            one = replace(one, id=first.id, status=status, drivers=one.drivers or first.drivers)
        out.append(one)
    return tuple(out)


def _touch(one: Anomaly, other: Anomaly) -> bool:
    ends = [a.started + timedelta(days=a.days) for a in (one, other)]
    return one.started < ends[1] + timedelta(days=1) and other.started < ends[0] + timedelta(days=1)
