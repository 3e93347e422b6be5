"""Anomalies: finds the days on which stored costs left their usual path, and what drove them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tools.analysis import billing_events, detector, drivers, episodes, nesting, watch
from tools.analysis.naming import NO_NAMES, Names, account_names
from tools.analysis.settled import settled
from tools.analysis.words import listed
from tools.model.anomaly import Anomaly
from tools.model.driver import DriverTree
from tools.model.errors import OptiInfraError
from tools.model.period import Period
from tools.model.query import Filter, Metric
from tools.model.series import DailySeries
from tools.store import findings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tools.analysis.costs import Costs
    from tools.analysis.daily import Name

HISTORY_DAYS = 420
EXPLAINED = 12
# A region, a team or everything is watched from this much a day on (in units of tools/analysis/watch.py).
AGGREGATE_FLOOR = 20.0


def find(costs: Costs, upto: date, *, known: Sequence[Anomaly] | None = None) -> tuple[Anomaly, ...]:
    """Judge all settled days before `upto`, each with what was known on it; the greatest money first.

    `known` are the anomalies found earlier (read from the store when not given): one that goes on keeps its id.
    """
    period = judged_period(costs, upto)
    if period is None:
        return ()
    with costs.database.read() as tx:
        known = findings.anomalies(tx, costs.tenant) if known is None else known
        accepted = _accepted(tx, costs.tenant)
    tuning = detector.Tuning()
    seen = watch.watch(costs, period, tuning, accepted)
    names = account_names(costs)
    found = _findings(seen, period.end, tuning, names) if seen else ()
    found = (*found, *billing_events.find(costs, period, names))
    found = episodes.keep_identity(found, known)
    told = {(one.id, one.days, one.actual): one for one in known if one.drivers}
    out = []
    for number, one in enumerate(found):
        before = told.get((one.id, one.days, one.actual))
        if before is not None:
            one = replace(one, drivers=before.drivers, why=before.why, expected=before.expected)
        elif number < EXPLAINED and not billing_events.is_one(one):
            one = _explained(costs, one, names)
        out.append(one)
    return tuple(out)


def _accepted(tx: Connection, tenant: str) -> tuple[watch.Accepted, ...]:
    """The days that somebody called expected: from the first of the anomaly to that on which it was said."""
    out = []
    for said, anomaly in findings.expected(tx, tenant):
        end = min(said.given_at.date(), anomaly.started + timedelta(days=max(anomaly.days, episodes.LONGEST)))
        if anomaly.direction == "up" and anomaly.started < end:
            name = (*anomaly.keys, ("currency", anomaly.currency))
            out.append(watch.Accepted(name, anomaly.started, end))
    return tuple(out)


def judged_period(costs: Costs, upto: date) -> Period | None:
    """The settled days before `upto`, as far back as the detector can use them; None without any."""
    known = settled(costs, upto)
    if known is None:
        return None
    return Period(max(known.start, known.end - timedelta(days=HISTORY_DAYS)), known.end)


def judge(series: Sequence[DailySeries], end: date, *, tuning: detector.Tuning | None = None) -> tuple[Anomaly, ...]:
    """Anomalies of the given series; `end` is the day after the last one to judge. Pure."""
    tuning = tuning or detector.Tuning()
    return _findings(watch.judged(series, end, tuning), end, tuning)


def _findings(seen: watch.Watched, end: date, tuning: detector.Tuning, names: Names = NO_NAMES) -> tuple[Anomaly, ...]:
    if not seen.values.size:
        return ()
    usual_day = {currency: _usual_day(seen, currency) for currency in {name[-1][1] for name in seen.names}}
    large = seen.values[:, -28:].mean(axis=1) >= AGGREGATE_FLOOR
    found = [
        episodes.anomaly(
            seen.series(episode.row),
            episode,
            seen.verdicts,
            end=end,
            usual_day=usual_day[seen.names[episode.row][-1][1]],
            unit=float(seen.units[episode.row]),
            names=names,
        )
        for episode in episodes.episodes(seen.values, seen.verdicts, tuning.alert)
        if large[episode.row] or not _is_aggregate(seen.names[episode.row])
    ]
    recent = nesting.without_doubles([one for one in found if one.started >= seen.since])
    return tuple(sorted(recent, key=lambda a: (-episodes.at_stake(a), a.started, a.id)))


def _is_aggregate(name: Name) -> bool:
    keys = tuple(dimension for dimension, _ in name[:-1])
    return keys in {(), watch.REGION, watch.TEAM}


def _usual_day(seen: watch.Watched, currency: str) -> float:
    """What everything in one currency usually costs a day."""
    import numpy as np

    rows = [n for n, name in enumerate(seen.names) if name[-1][1] == currency and not _is_aggregate(name)]
    return float(np.median(seen.values[rows][:, -28:].sum(axis=0))) if rows else 0.0


def days_of(one: Anomaly, weeks_before: int = 0) -> tuple[Period, Period]:
    """The days of an anomaly, and as many days of the same weekdays before it (that many weeks further back)."""
    days = Period(one.started, one.started + timedelta(days=one.days))
    back = timedelta(days=-(-one.days // 7) * 7 + 7 * weeks_before)
    return days, Period(days.start - back, days.end - back)


def tree(costs: Costs, one: Anomaly) -> DriverTree | None:
    """The exact drivers of an anomaly's days against the days before; None where neither week before it tells.

    The days before may be odd themselves; then those four weeks further back are compared. A billing event is its
    month so far against the same days of the month before.
    """
    where = tuple(Filter(name, (value,)) for name, value in one.keys)
    if billing_events.is_one(one):
        found = _compared(costs, one, *_months_of(one), where, Metric.BILLED)
        return found if found is not None and found.change else None
    trees = (_compared(costs, one, *days_of(one, weeks), (*where, *watch.USAGE), watch.METRIC) for weeks in (0, 4))
    return next(
        (t for t in trees if t and t.change * one.excess > 0 and abs(t.change) * 2 > abs(one.excess)),
        None,
    )


def _compared(
    costs: Costs, one: Anomaly, days: Period, before: Period, where: tuple[Filter, ...], metric: Metric
) -> DriverTree | None:
    try:
        return drivers.explain(costs, days, before, where=where, metric=metric, currency=one.currency)
    except OptiInfraError:
        return None


def _months_of(one: Anomaly) -> tuple[Period, Period]:
    """From the first of its month to its last day, and as much of the month before."""
    days = Period(one.started.replace(day=1), one.started + timedelta(days=one.days))
    before = (days.start - timedelta(days=1)).replace(day=1)
    return days, Period(before, min(before + timedelta(days=days.days), days.start))


def _explained(costs: Costs, one: Anomaly, names: Names) -> Anomaly:
    """The anomaly with its drivers, and the first of them in its sentence; without, where nothing explains it."""
    found = tree(costs, one)
    return _told(one, found, names) if found is not None else one


def _told(one: Anomaly, tree: DriverTree, names: Names) -> Anomaly:
    fixed = {name for name, _ in one.keys}
    main = [
        d for d in tree.drivers if d.contribution * tree.change > 0 and abs(d.contribution * 10) >= abs(tree.change)
    ]
    told = [
        text
        for text in (drivers.in_words(d, tree.currency, skip=fixed, names=names) for d in drivers.together(main)[:2])
        if text
    ]
    why = f"{one.why.removesuffix('.')}; driven by {listed(told)}." if told else one.why
    return replace(one, drivers=tree.drivers, why=why)
