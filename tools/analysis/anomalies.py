"""Anomalies: finds the days on which stored costs left their usual path, and what drove them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tools.analysis import detector, drivers, episodes
from tools.analysis.numbers import matrix
from tools.analysis.settled import settled
from tools.analysis.words import listed
from tools.model.anomaly import Anomaly
from tools.model.charge import ChargeCategory
from tools.model.errors import OptiInfraError
from tools.model.period import Period
from tools.model.query import CostQuery, Dimension, Filter, Granularity, Metric
from tools.model.series import DailySeries
from tools.store import findings

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

BY = (str(Dimension.PROVIDER), str(Dimension.SUB_ACCOUNT), str(Dimension.SERVICE))
HISTORY_DAYS = 420
EXPLAINED = 12
# Purchases, taxes, credits and corrections follow a calendar of their own and are no usage.
USAGE_ONLY = Filter(str(Dimension.CHARGE_CATEGORY), (str(ChargeCategory.USAGE),))
METRIC = Metric.EFFECTIVE


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
    query = CostQuery(period, by=BY, where=(USAGE_ONLY,), metric=METRIC, granularity=Granularity.DAY)
    found = judge(costs.series(query), period.end)
    found = episodes.keep_identity(found, known)
    return tuple(_explained(costs, one) if n < EXPLAINED else one for n, one in enumerate(found))


def judged_period(costs: Costs, upto: date) -> Period | None:
    """The settled days before `upto`, as far back as the detector can use them; None without any."""
    known = settled(costs, upto)
    if known is None:
        return None
    return Period(max(known.start, known.end - timedelta(days=HISTORY_DAYS)), known.end)


def judge(series: Sequence[DailySeries], end: date, *, tuning: detector.Tuning | None = None) -> tuple[Anomaly, ...]:
    """Anomalies of the given series; `end` is the day after the last one to judge. Pure."""
    import numpy as np

    tuning = tuning or detector.Tuning()
    values, start = matrix(series)
    if not values.size:
        return ()
    values = values[:, : max((end - start).days, 0)]
    verdicts = detector.judge(values, start, tuning=tuning)
    usual_day = {
        currency: float(np.median(values[[s.currency == currency for s in series]][:, -28:].sum(axis=0)))
        for currency in {s.currency for s in series}
    }
    found = [
        episodes.anomaly(one, episode, verdicts, end=end, usual_day=usual_day[one.currency])
        for episode in episodes.episodes(values, verdicts, tuning.alert)
        for one in (series[episode.row],)
    ]
    return tuple(sorted(found, key=lambda a: (-episodes.at_stake(a), a.started, a.id)))


def days_of(one: Anomaly) -> tuple[Period, Period]:
    """The days of an anomaly, and as many days of the same weekdays before it."""
    days = Period(one.started, one.started + timedelta(days=one.days))
    back = timedelta(days=-(-one.days // 7) * 7)
    return days, Period(days.start - back, days.end - back)


def _explained(costs: Costs, one: Anomaly) -> Anomaly:
    """The anomaly with its drivers, and the first of them in its sentence."""
    days, before = days_of(one)
    where = (*(Filter(name, (value,)) for name, value in one.keys), USAGE_ONLY)
    try:
        tree = drivers.explain(costs, days, before, where=where, metric=METRIC, currency=one.currency)
    except OptiInfraError:
        return one  # the days before are not stored: the anomaly stands without its drivers
    fixed = {name for name, _ in one.keys}
    told = [drivers.in_words(d, tree.currency, skip=fixed) for d in tree.drivers[:2]]
    told = [text for text in told if text]
    why = f"{one.why.removesuffix('.')}; driven by {listed(told)}." if told else one.why
    return replace(one, drivers=tree.drivers, why=why)
