"""Commitments: steady on-demand compute that a one-year commitment would make cheaper; never bought by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from tools.model.recommendation import Evidence, Recommendation
from tools.model.resource import Resource
from tools.model.series import DailySeries
from tools.recommendation.evidence import DAYS, Band, Situation, affected_monthly, amount, recommendation

KIND = "commitment"
LEAST_DAYS = 28
LEAST_MONTHLY = Decimal(200)
# Commit to less than what is always there: use may fall within the year.
SAFE_SHARE = Decimal("0.8")
# One year, nothing upfront, compute, as public price lists have it.
USUAL_DISCOUNT = Band(Decimal("0.15"), Decimal("0.25"), Decimal("0.33"))
PRODUCTS = {
    "aws": "Compute Savings Plan",
    "amazon": "Compute Savings Plan",
    "google": "committed use discount",
    "gcp": "committed use discount",
    "microsoft": "reservation or savings plan",
    "azure": "reservation or savings plan",
}
IRREVERSIBLE = "A commitment cannot be undone, so OptiInfra never buys one; two people decide and buy it at the cloud."


def find(situation: Situation, elsewhere: Iterable[Recommendation] = ()) -> Iterator[Recommendation]:
    """One recommendation per provider with steady on-demand compute.

    `elsewhere` are the other recommendations: the compute that they change is not committed to as well.
    """
    others = tuple(elsewhere)
    for series in situation.compute:
        keys = dict(series.keys)
        product = _product(keys.get("provider", ""))
        if keys.get("pricing_category") != "Standard" or not product or len(series.values) < LEAST_DAYS:
            continue
        taken = _taken(others, keys["provider"], series.currency)
        monthly = max(Decimal(0), floor(series) * DAYS - taken) * SAFE_SHARE
        if monthly >= LEAST_MONTHLY:
            yield _recommend(situation, series, product, monthly, taken)


def floor(series: DailySeries) -> Decimal:
    """What was spent on nine days of ten at least: the tenth percentile of the days."""
    ordered = sorted(series.values)
    return ordered[len(ordered) // 10]


def _taken(others: Iterable[Recommendation], provider: str, currency: str) -> Decimal:
    """On-demand compute per month that other recommendations would change: it must not be committed to as well."""
    return sum(
        (
            affected_monthly(r)
            for r in others
            if r.kind in {"spot_migration", "idle", "rightsizing"}
            and _same_cloud(r.provider, provider)
            and r.currency == currency
        ),
        Decimal(0),
    )


def _recommend(
    situation: Situation, series: DailySeries, product: str, monthly: Decimal, taken: Decimal
) -> Recommendation:
    provider = dict(series.keys)["provider"]
    discount, source = _discount(situation, provider)
    whole = Resource(provider, "", "", "commitment", f"{provider} compute", product, (), {}, "", situation.now)
    evidence = [
        Evidence(
            "Steady on-demand compute",
            f"at least {amount(floor(series), series.currency)} on nine days of ten, {len(series.values)} days",
            f"bill, {situation.period}",
            situation.compute_receipt,
        ),
        Evidence(
            "Commit to",
            f"{amount(monthly, series.currency)} of usage a month, 80 % of what stays",
            "computed from the bill",
        ),
        Evidence("Price of a commitment", source, "see price source"),
    ]
    if taken:
        evidence.append(
            Evidence(
                "Not counted twice",
                f"{amount(taken, series.currency)} a month of compute that other recommendations change",
                "recommendations",
            )
        )
    return recommendation(
        situation,
        KIND,
        whole,
        f"Cover steady {provider} compute with a one-year {product}",
        discount.of(monthly),
        series.currency,
        confidence="0.6",
        risk="R3",
        reversible=False,
        evidence=tuple(evidence),
        price_source=source,
        affected=monthly,
        blocked_by=(IRREVERSIBLE,),
    )


def _discount(situation: Situation, provider: str) -> tuple[Band, str]:
    """From commitments that are on the bill already, else from public price lists."""
    paid, listed = situation.committed.get(provider, (Decimal(0), Decimal(0)))
    share = 1 - paid / listed if listed > 0 else Decimal(0)
    if Decimal("0.05") < share < Decimal("0.75"):
        return (
            Band(share * Decimal("0.7"), share * Decimal("0.9"), share),
            f"the bill: commitments held now cost {share * 100:.0f} % less than list",
        )
    return USUAL_DISCOUNT, "rule of thumb: one year without upfront payment costs 15 to 33 % less"


def _product(provider: str) -> str:
    return next((product for word, product in PRODUCTS.items() if word in provider.lower()), "")


def _same_cloud(one: str, other: str) -> bool:
    return _product(one) == _product(other)
