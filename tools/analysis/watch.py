"""Watch: judges stored usage - services, regions, teams, everything - and remembers, so that a new day replays nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tools.analysis import daily, detector, recollection
from tools.analysis.daily import Daily, Name
from tools.analysis.detector import Tuning, Verdicts
from tools.analysis.memory import REMEMBERED_DAYS, Memory
from tools.analysis.numbers import matrix
from tools.analysis.recollection import Near
from tools.model.charge import ChargeCategory
from tools.model.period import Period
from tools.model.query import TAG, CostQuery, Dimension, Filter, Metric
from tools.model.series import DailySeries
from tools.store import findings, loads

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.numbers import Floats

BY = (str(Dimension.PROVIDER), str(Dimension.SUB_ACCOUNT), str(Dimension.SERVICE))
REGION = (str(Dimension.PROVIDER), str(Dimension.REGION))
TEAM_KEY = "team"
TEAM = (TAG + TEAM_KEY,)
# Purchases, taxes, credits and corrections follow a calendar of their own (tools/analysis/billing_events.py).
USAGE_ONLY = Filter(str(Dimension.CHARGE_CATEGORY), (str(ChargeCategory.USAGE),))
USAGE = (USAGE_ONLY, Filter(str(Dimension.CHARGE_CLASS), ("Correction",), exclude=True))
METRIC = Metric.EFFECTIVE
MEMORY, NEAR = "usage", "usage, latest days"
# The last days are judged anew when their bills changed. Longer than any finding is followed.
AGAIN_DAYS = 45
# How far the memory before them may lag, so that it is not written every day.
LAG_DAYS = 14
# A finding that began in the first of them was found by an earlier look, with the days before it in view.
KNOWN_DAYS = 14
# Roughly what one dollar is, for currencies whose unit is worth far less: scale of what is too small to tell.
UNIT = {"JPY": 150.0, "KRW": 1400.0, "INR": 85.0, "VND": 25_000.0, "IDR": 16_000.0, "CLP": 950.0, "HUF": 360.0}
UNIT |= {"RUB": 90.0, "PHP": 57.0, "THB": 34.0, "TWD": 32.0, "CZK": 23.0, "MXN": 18.0, "ZAR": 18.0, "BRL": 5.5}


@dataclass(frozen=True, slots=True)
class Watched:
    """`values` and `verdicts` are in units of `units`; findings that began before `since` are known already."""

    names: tuple[Name, ...]
    series: Callable[[int], DailySeries]
    values: Floats
    units: Floats
    verdicts: Verdicts
    since: date


@dataclass(frozen=True, slots=True)
class Accepted:
    """Somebody expected this series to cost what it did from `first` to before `end`: it is usual from then on."""

    name: Name
    first: date
    end: date


def judged(
    series: Sequence[DailySeries],
    end: date,
    tuning: Tuning,
    memory: Memory | None = None,
    accepted: Sequence[Accepted] = (),
) -> Watched:
    """Judge series up to (not including) `end`. Pure."""
    values, start = matrix(series)
    names = tuple((*s.keys, (daily.CURRENCY, s.currency)) for s in series)
    units = _units(names)
    values = values[:, : max((end - start).days, 0)] / units[:, None] if values.size else values
    verdicts = detector.judge(
        values, start, memory=memory, tuning=tuning, accepted=_days(accepted, names, start, values)
    )
    return Watched(names, series.__getitem__, values, units, verdicts, start)


def _units(names: Sequence[Name]) -> Floats:
    """The detector's few absolute amounts are meant in dollars; a yen is not a dollar."""
    import numpy as np

    return np.array([UNIT.get(name[-1][1], 1.0) for name in names])


def _days(accepted: Sequence[Accepted], names: Sequence[Name], start: date, values: Floats) -> Floats | None:
    """The accepted days as a mask of `values`; None when there are none."""
    import numpy as np

    rows = {name: row for row, name in enumerate(names)}
    mask = np.zeros(values.shape, dtype=bool)
    for one in accepted:
        if one.name in rows:
            first, end = (max((day - start).days, 0) for day in (one.first, one.end))
            mask[rows[one.name], first:end] = True
    return mask if mask.any() else None


def watch(costs: Costs, period: Period, tuning: Tuning, accepted: Sequence[Accepted] = ()) -> Watched | None:
    """Judge the stored usage of `period`, from memory where it still holds; None when there is none."""
    checkpoint = period.end - timedelta(days=AGAIN_DAYS)
    with costs.database.read() as tx:
        kept = findings.memory(tx, costs.tenant, MEMORY)
    if kept is None or kept.next_day > checkpoint or kept.fingerprint != _print(costs, kept.next_day, tuning, accepted):
        ahead = kept is not None and kept.next_day > checkpoint
        return _from_the_start(costs, period, tuning, accepted, keep=checkpoint > period.start and not ahead)
    found = _from_latest(costs, period, tuning, accepted, kept.next_day)
    return found or _from_checkpoint(costs, period, tuning, accepted, kept)


def _from_the_start(
    costs: Costs, period: Period, tuning: Tuning, accepted: Sequence[Accepted], *, keep: bool
) -> Watched | None:
    every = _read(costs, period)
    if not every.names:
        return None
    if not keep:
        return _judge(every, None, tuning, accepted, period.start)
    checkpoint = period.end - timedelta(days=AGAIN_DAYS)
    before = _judge(every.between(period.start, checkpoint), None, tuning, accepted, period.start)
    _keep(costs, before, checkpoint, tuning, accepted)
    after = _judge_and_keep(costs, every.between(checkpoint, period.end), before.verdicts.memory, tuning, accepted)
    return _watched(every, recollection.followed(before.verdicts, after.verdicts), period.start)


def _from_checkpoint(
    costs: Costs, period: Period, tuning: Tuning, accepted: Sequence[Accepted], kept: findings.DetectorMemory
) -> Watched:
    """Judge the last weeks anew: their bills, or what was expected of them, changed."""
    checkpoint = period.end - timedelta(days=AGAIN_DAYS)
    every = _read(costs, Period(kept.next_day, period.end))
    # A series that fell silent has no rows, and is watched all the same.
    known = {name: row for row, name in enumerate(kept.series)}
    names = (*kept.series, *(name for name in every.names if name not in known))
    every = every.named(names)
    memory = Memory.from_bytes(kept.block).aligned([known.get(name) for name in names])
    since = kept.next_day
    if kept.next_day < checkpoint - timedelta(days=LAG_DAYS):
        before = _judge(every.between(kept.next_day, checkpoint), memory, tuning, accepted, kept.next_day)
        _keep(costs, before, checkpoint, tuning, accepted)
        every, memory, since = every.between(checkpoint, period.end), before.verdicts.memory, checkpoint
    found = _judge_and_keep(costs, every, memory, tuning, accepted)
    return replace(found, since=since + timedelta(days=KNOWN_DAYS))


def _from_latest(
    costs: Costs, period: Period, tuning: Tuning, accepted: Sequence[Accepted], since: date
) -> Watched | None:
    """Judge only the days after the last look; None when the bills of the days before them changed."""
    with costs.database.read() as tx:
        kept = findings.memory(tx, costs.tenant, NEAR)
    lagging = since < period.end - timedelta(days=AGAIN_DAYS + LAG_DAYS)
    if (
        kept is None
        or lagging
        or kept.next_day > period.end
        or kept.fingerprint != _hash(tuning, accepted, TEAM_KEY in costs.tag_keys)
    ):
        return None
    near = Near.from_bytes(kept.block, kept.series)
    if near.seen.start != since or not _stands(costs, near.seen):
        return None
    if kept.next_day < period.end:
        near = near.extended(_read(costs, Period(kept.next_day, period.end)), _units, tuning, _masked(accepted))
        _keep_near(costs, near, tuning, accepted)
    found = _watched(near.seen, near.verdicts, since)
    return replace(found, since=since + timedelta(days=KNOWN_DAYS))


def _masked(accepted: Sequence[Accepted]) -> Callable[[Daily], Floats | None]:
    return lambda days: _days(accepted, days.names, days.start, days.micros)


def _read(costs: Costs, period: Period) -> Daily:
    """All that is watched: services of accounts; regions and teams beside them; everything together, per currency."""
    services = daily.read(costs, period, by=BY, where=USAGE, metric=METRIC)
    parts = [services]
    has_teams = TEAM_KEY in costs.tag_keys
    wide = daily.read(costs, period, by=(*REGION, *(TEAM if has_teams else ())), where=USAGE, metric=METRIC)
    parts += [wide.gathered(REGION), *([wide.gathered(TEAM)] if has_teams else []), services.gathered(())]
    return daily.stacked(parts)


def _stands(costs: Costs, seen: Daily) -> bool:
    """Whether the bills of these days are what they were: each day's and each service's sum, to the last digit.

    A correction that keeps all of these sums moves money in a circle; it is seen when the weeks are judged anew.
    """
    if not seen.micros.shape[1]:
        return True
    period = Period(seen.start, seen.end)
    services = seen.named([name for name in seen.names if len(name) == len(BY) + 1])
    for by, axis in (((), 0), (BY, 1)):
        told = recollection.sums(costs, period, by=by, where=USAGE, metric=METRIC)
        if told != recollection.own_sums(services, axis):
            return False
    return True


def _judge(every: Daily, memory: Memory | None, tuning: Tuning, accepted: Sequence[Accepted], since: date) -> Watched:
    units = _units(every.names)
    verdicts = detector.judge(
        every.values / units[:, None], every.start, memory=memory, tuning=tuning, accepted=_masked(accepted)(every)
    )
    return _watched(every, verdicts, since)


def _watched(every: Daily, verdicts: Verdicts, since: date) -> Watched:
    units = _units(every.names)
    return Watched(every.names, every.series, every.values / units[:, None], units, verdicts, since)


def _judge_and_keep(
    costs: Costs, every: Daily, memory: Memory, tuning: Tuning, accepted: Sequence[Accepted]
) -> Watched:
    found = _judge(every, memory, tuning, accepted, every.start)
    _keep_near(costs, Near(every, found.verdicts), tuning, accepted)
    return found


def _keep(costs: Costs, before: Watched, checkpoint: date, tuning: Tuning, accepted: Sequence[Accepted]) -> None:
    """Remember what is known before the checkpoint; series without cost in all remembered days are forgotten."""
    import numpy as np

    memory = before.verdicts.memory
    alive = np.flatnonzero(memory.days["raw"][:, -REMEMBERED_DAYS:].any(axis=1)).tolist()
    names = tuple(before.names[row] for row in alive)
    block = memory.aligned(list(alive)).to_bytes()
    kept = findings.DetectorMemory(checkpoint, _print(costs, checkpoint, tuning, accepted), names, block)
    with costs.database.begin() as tx:
        findings.keep_memory(tx, costs.tenant, MEMORY, kept)


def _keep_near(costs: Costs, near: Near, tuning: Tuning, accepted: Sequence[Accepted]) -> None:
    kept = findings.DetectorMemory(
        near.seen.end, _hash(tuning, accepted, TEAM_KEY in costs.tag_keys), near.seen.names, near.to_bytes()
    )
    with costs.database.begin() as tx:
        findings.keep_memory(tx, costs.tenant, NEAR, kept)


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _print(costs: Costs, upto: date, tuning: Tuning, accepted: Sequence[Accepted]) -> str:
    """Changes when bills of remembered days before `upto`, the detector, or what is expected of them changed."""
    month = upto.replace(day=1)
    oldest = upto - timedelta(days=REMEMBERED_DAYS)
    with costs.database.read() as tx:
        lines = loads.ledger(tx, costs.tenant)
    stood = [
        (line.id, line.rows, line.loaded_at.isoformat())
        for line in lines
        if line.partition.billing_period < month and line.last_day >= oldest
    ]
    totals: tuple[object, ...] = ()
    if month < upto:
        totals = costs.table(CostQuery(Period(month, upto), where=USAGE, metric=METRIC)).totals
    return _hash(tuning, stood, totals, tuple(one for one in accepted if one.first < upto), TEAM_KEY in costs.tag_keys)
