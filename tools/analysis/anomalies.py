"""Anomalies: finds the days on which stored costs left their usual path, and what drove them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tools.analysis import detector, drivers, episodes, watch
from tools.analysis.settled import settled
from tools.analysis.words import listed
from tools.model.anomaly import Anomaly
from tools.model.driver import DriverTree
from tools.model.errors import OptiInfraError
from tools.model.period import Period
from tools.model.query import Filter
from tools.model.series import DailySeries
from tools.store import findings

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

HISTORY_DAYS = 420
EXPLAINED = 12


def find(costs: Costs, upto: date, *, known: Sequence[Anomaly] | None = None) -> tuple[Anomaly, ...]:
    """Judge all settled days before `upto`, each with what was known on it; the greatest money first.

    `known` are the anomalies found earlier (read from the store when not given): one that goes on keeps its id.
    """
    period = judged_period(costs, upto)
    if period is None:
        return ()
    if known is None:
        with costs.database.read() as tx:
            known = findings.anomalies(tx, costs.tenant)
    tuning = detector.Tuning()
    seen = watch.watch(costs, period, tuning)
    found = _findings(seen, period.end, tuning) if seen else ()
    found = episodes.keep_identity(found, known)
    told = {(one.id, one.days, one.actual): one for one in known if one.drivers}
    out = []
    for number, one in enumerate(found):
        before = told.get((one.id, one.days, one.actual))
        if before is not None:
            one = replace(one, drivers=before.drivers, why=before.why, expected=before.expected)
        elif number < EXPLAINED:
            one = _explained(costs, one)
        out.append(one)
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


def _findings(seen: watch.Watched, end: date, tuning: detector.Tuning) -> tuple[Anomaly, ...]:
    import numpy as np

    if not seen.values.size:
        return ()
    usual_day = {
        currency: float(np.median(seen.values[[s.currency == currency for s in seen.series]][:, -28:].sum(axis=0)))
        for currency in {s.currency for s in seen.series}
    }
    found = (
        episodes.anomaly(
            seen.series[episode.row],
            episode,
            seen.verdicts,
            end=end,
            usual_day=usual_day[seen.series[episode.row].currency],
            unit=float(seen.units[episode.row]),
        )
        for episode in episodes.episodes(seen.values, seen.verdicts, tuning.alert)
    )
    recent = [one for one in found if one.started >= seen.since]
    return tuple(sorted(recent, key=lambda a: (-episodes.at_stake(a), a.started, a.id)))


def days_of(one: Anomaly, weeks_before: int = 0) -> tuple[Period, Period]:
    """The days of an anomaly, and as many days of the same weekdays before it (that many weeks further back)."""
    days = Period(one.started, one.started + timedelta(days=one.days))
    back = timedelta(days=-(-one.days // 7) * 7 + 7 * weeks_before)
    return days, Period(days.start - back, days.end - back)


def _explained(costs: Costs, one: Anomaly) -> Anomaly:
    """The anomaly with its drivers, and the first of them in its sentence.

    The days before may be odd themselves; then those four weeks further back are compared. Where neither differs as
    the anomaly does (or nothing is stored), it stands without drivers.
    """
    where = (*(Filter(name, (value,)) for name, value in one.keys), watch.USAGE_ONLY)
    for weeks in (0, 4):
        days, before = days_of(one, weeks)
        try:
            tree = drivers.explain(costs, days, before, where=where, metric=watch.METRIC, currency=one.currency)
        except OptiInfraError:
            return one
        if tree.change * one.excess > 0 and abs(tree.change) * 2 > abs(one.excess):
            return _told(one, tree)
    return one


def _told(one: Anomaly, tree: DriverTree) -> Anomaly:
    fixed = {name for name, _ in one.keys}
    main = [
        d for d in tree.drivers if d.contribution * tree.change > 0 and abs(d.contribution * 10) >= abs(tree.change)
    ]
    told = [text for text in (drivers.in_words(d, tree.currency, skip=fixed) for d in main[:2]) if text]
    why = f"{one.why.removesuffix('.')}; driven by {listed(told)}." if told else one.why
    return replace(one, drivers=tree.drivers, why=why)
