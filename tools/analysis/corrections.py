"""Corrections: says when an earlier digest was wrong because bills changed afterwards, and whose bill it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis.numbers import total
from tools.analysis.words import listed, money, on
from tools.model.load import LoadStatus
from tools.model.period import Period
from tools.model.query import CostQuery, Dimension, Filter, Granularity, Metric
from tools.store import digests, loads

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

LOOKED_AT = 35
NOTABLE = Decimal("0.01")
MOST_TOLD = 3


def told(costs: Costs, day: date, currency: str, metric: Metric) -> tuple[str, ...]:
    """One sentence per day that was told wrongly, or one for all of them when they are many."""
    days = Period(day - timedelta(days=LOOKED_AT), day)
    query = CostQuery(
        days, where=(Filter(str(Dimension.CURRENCY), (currency,)),), metric=metric, granularity=Granularity.DAY
    )
    with costs.database.read() as tx:
        earlier = {one: digests.one(tx, costs.tenant, one) for one in digests.days(tx, costs.tenant, days)}
    if not earlier:
        return ()
    series = costs.series(query)
    now = dict(zip(days, series[0].values, strict=True)) if series else {}
    wrong = [
        (one, digest.spend, now.get(one, Decimal(0)))
        for one, digest in sorted(earlier.items(), reverse=True)
        if digest is not None
        and digest.currency == currency
        and abs(now.get(one, Decimal(0)) - digest.spend) > abs(digest.spend) * NOTABLE
    ]
    return (*_sentences(wrong, currency), *_whose(costs, [one for one, _, _ in wrong], day, currency))


def _sentences(wrong: Sequence[tuple[date, Decimal, Decimal]], currency: str) -> list[str]:
    if len(wrong) <= MOST_TOLD:
        return [
            f"Correction: {on(one)} came to {money(now, currency)}, not {money(was, currency)} as told then "
            "(bills changed)."
            for one, was, now in wrong
        ]
    was = money(total(then for _, then, _ in wrong), currency)
    now = money(total(came for _, _, came in wrong), currency)
    return [
        f"Correction: {len(wrong)} days since {on(wrong[-1][0])} came to {now} together, not {was} as told then "
        "(bills changed)."
    ]


def _whose(costs: Costs, wrong: Sequence[date], day: date, currency: str) -> list[str]:
    """Bills of months before this one that were restated: their difference is a correction, no further day."""
    months = {one.replace(day=1) for one in wrong} - {day.replace(day=1)}
    if not months:
        return []
    out = []
    with costs.database.read() as tx:
        for line in loads.ledger(tx, costs.tenant):
            if line.partition.billing_period not in months:
                continue
            history = loads.restatements(tx, costs.tenant, line.id)
            if not history or history[-1][1] is not LoadStatus.REPLACED:
                continue
            differences = [d.effective_cost for d in history[-1][2] if d.currency == currency and d.effective_cost]
            if differences:
                change = money(total(differences), currency, sign=True)
                month = f"{line.partition.billing_period:%B %Y}"
                out.append(f"{line.partition.provider} {line.partition.billing_account_id} for {month} by {change}")
    return [f"Restated: {listed(out[:MOST_TOLD])}."] if out else []
