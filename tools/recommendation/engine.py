"""Engine: runs every rule over what is stored, checks and settles what they find, and keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from tools.model.period import Period
from tools.model.query import CostQuery, Filter, Metric
from tools.model.recommendation import Recommendation
from tools.recommendation import evidence, scoring, validation
from tools.recommendation.evidence import Situation
from tools.recommendation.rules import cleanup, commitments, idle, rightsizing, spot, storage_class
from tools.store import outcomes, recommendations, resources, usage
from tools.store.database import Database
from tools.store.resources import Look
from tools.telemetry.logs import get_logger

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

# A month of days for what things cost, two for what is always there.
DAYS = 30
STEADY_DAYS = 60
OLD_INVENTORY = timedelta(days=3)
_RULES = (spot.find, cleanup.find, idle.find, rightsizing.find, storage_class.find)
_COMPUTE = (
    Filter("service_category", ("Compute",)),
    Filter("charge_category", ("Usage",)),
)
_log = get_logger(__name__)


def recommend(
    database: Database, tenant: str, costs: Costs, *, now: Callable[[], datetime]
) -> tuple[Recommendation, ...]:
    """Run all rules, keep what they find, and return it, the greatest saving first.

    Without cost data nothing is known, so nothing is found and nothing that was found before is dropped.
    """
    period = recent(costs)
    if period is None:
        return ()
    moment = now()
    with database.read() as tx:
        situation = _look(tx, tenant, costs, period, moment)
        known = outcomes.all_calibrations(tx, tenant)
        said = outcomes.all_feedback(tx, tenant)
        looks = resources.last_looks(tx, tenant)
    found = [r for rule in _RULES for r in rule(situation)]
    found = [scoring.heard(scoring.calibrated(r, known), said) for r in found if _holds(r)]
    settled = scoring.without_conflicts(_with_inventory_age(r, looks, moment) for r in found)
    counted = [r for r in settled if not any(b.startswith(scoring.COMPETES) for b in r.blocked_by)]
    steady = (scoring.heard(scoring.calibrated(r, known), said) for r in commitments.find(situation, counted))
    result = scoring.without_conflicts([*settled, *(r for r in steady if _holds(r))])
    with database.begin() as tx:
        recommendations.save(tx, tenant, result, now=moment)
        recommendations.retire(tx, tenant, [r.id for r in result], now=moment)
    return result


def recent(costs: Costs) -> Period | None:
    """The last days that will not change any more, or None without such days."""
    span = costs.span()
    if span is None:
        return None
    complete = costs.coverage().complete_to or span.end
    end = complete - timedelta(days=costs.provisional_days)
    return Period(max(span.start, end - timedelta(days=DAYS)), end) if end > span.start else None


def _look(tx: Connection, tenant: str, costs: Costs, period: Period, now: datetime) -> Situation:
    known = resources.all_of(tx, tenant)
    names = sorted({name for resource in known for name in evidence.names_on_bill(resource)})
    types = sorted({t for r in known if r.kind == "instance_group" for t in evidence.words(r, "instance_types")})
    steady = _steady(costs, period.end)
    compute = CostQuery(steady, by=("provider", "pricing_category"), where=_COMPUTE, metric=Metric.EFFECTIVE)
    return Situation(
        tenant=tenant,
        now=now,
        period=period,
        resources=known,
        prices=resources.all_prices(tx, tenant),
        usage=usage.of_resources(tx, tenant, period, names),
        types=usage.of_types(tx, tenant, period, types),
        storage=usage.of_services(tx, tenant, period, storage_class.SERVICE_WORDS),
        compute=costs.series(compute),
        compute_receipt=costs.table(compute).receipt,
        committed=_committed(costs, steady),
    )


def _steady(costs: Costs, end: date) -> Period:
    span = costs.span()
    assert span is not None
    return Period(max(span.start, end - timedelta(days=STEADY_DAYS)), end)


def _committed(costs: Costs, period: Period) -> dict[str, tuple[Decimal, Decimal]]:
    """Provider -> what commitment-covered compute cost, and what it would have cost at list price."""
    where = (*_COMPUTE, Filter("pricing_category", ("Committed",)))
    paid, listed = (
        {
            (row.keys[0], row.currency): row.cost
            for row in costs.table(CostQuery(period, by=("provider",), where=where, metric=metric)).rows
        }
        for metric in (Metric.EFFECTIVE, Metric.LIST)
    )
    return {
        provider: (cost, at_list)
        for (provider, currency), cost in paid.items()
        if cost is not None and (at_list := listed.get((provider, currency))) is not None
    }


def _holds(found: Recommendation) -> bool:
    wrong = validation.problems(found)
    if wrong:
        _log.warning("recommendation_dropped", id=found.id, kind=found.kind, problems=list(wrong))
    return not wrong


def _with_inventory_age(found: Recommendation, looks: tuple[Look, ...], now: datetime) -> Recommendation:
    """Block what rests on an inventory that could not be renewed: a failed look is no look."""
    for look in looks:
        if (look.provider, look.account_id) != (found.provider, found.account_id):
            continue
        if look.complete_at is None or now - look.complete_at > OLD_INVENTORY:
            since = f"{look.complete_at:%d %b %Y}" if look.complete_at else "never"
            reason = f"The inventory of {look.provider} {look.account_id} was last read whole: {since}."
            return replace(found, blocked_by=(*found.blocked_by, reason))
    return found
