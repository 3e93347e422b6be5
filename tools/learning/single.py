"""Single: what one thing that was changed, stopped or deleted cost on the bill, before and after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from tools.learning.counterfactual import HOURS, UnitCost
from tools.model.period import Period
from tools.model.rollout import Rollout
from tools.recommendation.evidence import is_hours, price
from tools.store import usage
from tools.store.usage import Usage

# Billed for being there. What is billed for its use alone would seem cheaper after a quiet month.
KINDS = frozenset({"volume", "snapshot", "address", "instance", "database"})
# Still there under the same id, at another price an hour: compared by the hour, so that use is no saving.
_BY_HOUR = frozenset(
    {
        "aws.instance_resize",
        "aws.rds_class",
        "gcp.machine_type",
        "gcp.sql_tier",
        "azure.vm_size",
        "azure.sql_sku",
    }
)
# Its successor has another id, which the plan cannot know.
_REPLACED = frozenset({"vultr.plan_change"})
# A copy is kept of it, and is billed by itself.
_COPIED = frozenset({"aws.volume_delete", "gcp.disk_delete", "azure.disk_delete", "vultr.instance_snapshot_destroy"})
_DAYS = HOURS / 24


@dataclass(frozen=True, slots=True)
class Found:
    """What is saved a month (None when the bill does not tell), and the clause or sentence that says so."""

    monthly: Decimal | None
    why: str


def compare(tx: Connection, tenant: str, rollout: Rollout, change: str, before: Period, after: Period) -> Found:
    """Cost of the rollout's one thing in two periods of complete bills."""
    if change in _REPLACED:
        return Found(None, "It was replaced by one with another id, which the bill does not connect with it.")
    plan = rollout.plan
    was, now = (_lines(tx, tenant, rollout, period) for period in (before, after))
    days = max((line.days for line in was), default=0)
    if not days:
        return Found(None, f"The bill does not name {plan.resource_id}.")
    if not now and not _billed(tx, tenant, was, after):
        return Found(None, f"There is no bill of {plan.account_id} for the time after.")
    currency = plan.currency
    if change in _BY_HOUR:
        old, new = unit_cost(was).hourly, unit_cost(now).hourly
        if old is None or new is None:
            return Found(None, f"The bill does not tell what an hour of {plan.resource_id} costs.")
        why = f"An hour of it cost {price(old, currency)} before and {price(new, currency)} after"
        return Found((old - new) * HOURS, why)
    old, new = _cost(was) / days, _cost(now) / after.days
    copied = " (the copy that is kept is not counted)" if change in _COPIED else ""
    why = f"A day of it cost {price(old, currency)} before and {price(new, currency)} after{copied}"
    return Found((old - new) * _DAYS, why)


def unit_cost(lines: Iterable[Usage]) -> UnitCost:
    """Cost and hours of what is billed by the hour."""
    hourly = [line for line in lines if is_hours(line.unit)]
    return UnitCost(_cost(hourly), sum((line.quantity for line in hourly), Decimal(0)))


def _lines(tx: Connection, tenant: str, rollout: Rollout, period: Period) -> list[Usage]:
    plan = rollout.plan
    found = usage.of_resources(tx, tenant, period, [plan.resource_id]).lines
    return [line for line in found if (line.sub_account_id, line.currency) == (plan.account_id, plan.currency)]


def _billed(tx: Connection, tenant: str, was: Sequence[Usage], period: Period) -> bool:
    """Whether the account's bill for that service is there at all: what is not billed and what is not read look alike."""
    services = sorted({line.service_name.lower() for line in was})
    accounts = {line.sub_account_id for line in was}
    return any(line.sub_account_id in accounts for line in usage.of_services(tx, tenant, period, services).lines)


def _cost(lines: Iterable[Usage]) -> Decimal:
    return sum((line.cost for line in lines), Decimal(0))
