"""Watch: judges stored usage, and remembers, so that a new day does not replay the whole history."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis import detector
from tools.analysis.detector import Tuning, Verdicts
from tools.analysis.memory import REMEMBERED_DAYS, Memory
from tools.analysis.numbers import matrix
from tools.model.charge import ChargeCategory
from tools.model.period import Period
from tools.model.query import CostQuery, Dimension, Filter, Granularity, Metric
from tools.model.series import DailySeries
from tools.store import findings, loads

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.numbers import Floats

BY = (str(Dimension.PROVIDER), str(Dimension.SUB_ACCOUNT), str(Dimension.SERVICE))
# Purchases, taxes, credits and corrections follow a calendar of their own and are no usage.
USAGE_ONLY = Filter(str(Dimension.CHARGE_CATEGORY), (str(ChargeCategory.USAGE),))
METRIC = Metric.EFFECTIVE
MEMORY = "usage"
# The last days are judged anew each time: they may be restated. Longer than any finding is followed.
AGAIN_DAYS = 45
# A finding that began in the first of them was found by an earlier look, with the days before it in view.
KNOWN_DAYS = 14
# Roughly what one dollar is, for currencies whose unit is worth far less: scale of what is too small to tell.
UNIT = {"JPY": 150.0, "KRW": 1400.0, "INR": 85.0, "VND": 25_000.0, "IDR": 16_000.0, "CLP": 950.0, "HUF": 360.0}
UNIT |= {"RUB": 90.0, "PHP": 57.0, "THB": 34.0, "TWD": 32.0, "CZK": 23.0, "MXN": 18.0, "ZAR": 18.0, "BRL": 5.5}


@dataclass(frozen=True, slots=True)
class Watched:
    """Series with their verdicts (in units of `units`); findings that began before `since` are known already."""

    series: tuple[DailySeries, ...]
    values: Floats
    units: Floats
    verdicts: Verdicts
    since: date


def judged(series: Sequence[DailySeries], end: date, tuning: Tuning, memory: Memory | None = None) -> Watched:
    """Judge series up to (not including) `end`. Pure."""
    import numpy as np

    values, start = matrix(series)
    # The detector's few absolute amounts are meant in dollars; a yen is not a dollar.
    units = np.array([UNIT.get(s.currency, 1.0) for s in series])
    values = values[:, : max((end - start).days, 0)] / units[:, None] if values.size else values
    return Watched(tuple(series), values, units, detector.judge(values, start, memory=memory, tuning=tuning), start)


def watch(costs: Costs, period: Period, tuning: Tuning) -> Watched | None:
    """Judge the stored usage of `period`, from memory where it still holds; None when there is none."""
    checkpoint = period.end - timedelta(days=AGAIN_DAYS)
    with costs.database.read() as tx:
        kept = findings.memory(tx, costs.tenant, MEMORY)
    ahead = kept is not None and kept.next_day > checkpoint
    if kept is None or ahead or kept.fingerprint != _fingerprint(costs, kept.next_day, tuning):
        series = _usage(costs, period)
        if not series:
            return None
        if checkpoint > period.start and not ahead:
            before = judged(_cut(series, period.start, checkpoint), checkpoint, tuning)
            _keep(costs, before, checkpoint, tuning)
        return judged(series, period.end, tuning)
    memory = Memory.from_bytes(kept.block)
    series, rows = _lined_up(_usage(costs, Period(kept.next_day, period.end)), kept.series, kept.next_day, period.end)
    memory = memory.aligned(rows)
    if kept.next_day < checkpoint:
        before = judged(_cut(series, kept.next_day, checkpoint), checkpoint, tuning, memory)
        _keep(costs, before, checkpoint, tuning)
        memory = before.verdicts.memory
    found = judged(_cut(series, checkpoint, period.end), period.end, tuning, memory)
    return replace(found, since=checkpoint + timedelta(days=KNOWN_DAYS))


def _usage(costs: Costs, period: Period) -> tuple[DailySeries, ...]:
    return costs.series(CostQuery(period, by=BY, where=(USAGE_ONLY,), metric=METRIC, granularity=Granularity.DAY))


def _cut(series: Sequence[DailySeries], start: date, end: date) -> tuple[DailySeries, ...]:
    """The days from `start` to `end` (excluded) of series that hold them."""
    return tuple(
        replace(s, start=start, values=s.values[(start - s.start).days : (end - s.start).days]) for s in series
    )


def _named(series: DailySeries) -> tuple[tuple[str, str], ...]:
    return (*series.keys, ("currency", series.currency))


def _lined_up(
    series: Sequence[DailySeries], known: Sequence[tuple[tuple[str, str], ...]], start: date, end: date
) -> tuple[tuple[DailySeries, ...], list[int | None]]:
    """All series, those that fell silent with zeros; and the row of memory that belongs to each (None: a new one)."""
    places: dict[tuple[tuple[str, str], ...], int] = {name: row for row, name in enumerate(known)}
    present = {_named(s) for s in series}
    zeros = (Decimal(0),) * (end - start).days
    silent = tuple(DailySeries(name[:-1], start, zeros, name[-1][1]) for name in known if name not in present)
    every = (*series, *silent)
    return every, [places.get(_named(s)) for s in every]


def _keep(costs: Costs, before: Watched, checkpoint: date, tuning: Tuning) -> None:
    """Remember what is known before the checkpoint; series without cost in all remembered days are forgotten."""
    import numpy as np

    memory = before.verdicts.memory
    alive = np.flatnonzero(memory.days["raw"][:, -REMEMBERED_DAYS:].any(axis=1)).tolist()
    names = tuple(_named(before.series[row]) for row in alive)
    block = memory.aligned(list(alive)).to_bytes()
    kept = findings.DetectorMemory(checkpoint, _fingerprint(costs, checkpoint, tuning), names, block)
    with costs.database.begin() as tx:
        findings.keep_memory(tx, costs.tenant, MEMORY, kept)


def _fingerprint(costs: Costs, upto: date, tuning: Tuning) -> str:
    """Changes when bills of remembered days before `upto`, or the detector itself, changed."""
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
        totals = costs.table(CostQuery(Period(month, upto), where=(USAGE_ONLY,), metric=METRIC)).totals
    return hashlib.sha256(repr((tuning, stood, totals)).encode()).hexdigest()
