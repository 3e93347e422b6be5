"""Evidence: what the rules may look at - bill, inventory, prices - and how a finding becomes a recommendation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from tools.model.money import plain
from tools.model.period import Period
from tools.model.price import Price
from tools.model.query import Receipt
from tools.model.recommendation import Evidence, Recommendation
from tools.model.resource import Resource
from tools.model.series import DailySeries
from tools.providers import catalog, registry
from tools.store.usage import Usage, UsageTable

# A month as clouds price it: 730 hours.
HOURS = Decimal(730)
DAYS = HOURS / 24
CENT = Decimal("0.01")
MEASURED_BY = {"AWS": "CloudWatch", "Google Cloud": "Cloud Monitoring", "Microsoft": "Azure Monitor"}
BY_PEOPLE = "People carry this out: OptiInfra has no safe way to do it by itself."


@dataclass(frozen=True, slots=True)
class Band:
    """A saving per month, or a share of a cost, as low, expected and high."""

    low: Decimal
    expected: Decimal
    high: Decimal

    def of(self, amount: Decimal) -> Band:
        return Band(self.low * amount, self.expected * amount, self.high * amount)


@dataclass(frozen=True, slots=True)
class Bill:
    """What one thing costs: `monthly` at the pace of the period, `hourly` when it is billed by the hour."""

    monthly: Decimal
    currency: str
    hourly: Decimal | None
    hours: Decimal
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the rules look at, read once; rules are pure functions of it.

    `usage` is the bill of everything in the inventory, `types` of the instance types that groups may run on over
    all resources, `storage` of object storage. `compute` is effective cost per day, keyed by provider and pricing
    category. `committed` is, per provider, what commitment-covered usage cost and would have cost at list price.
    """

    tenant: str
    now: datetime
    period: Period
    resources: tuple[Resource, ...]
    prices: tuple[Price, ...]
    usage: UsageTable
    types: UsageTable
    storage: UsageTable
    compute: tuple[DailySeries, ...]
    compute_receipt: Receipt
    committed: Mapping[str, tuple[Decimal, Decimal]]

    @property
    def today(self) -> date:
        return self.now.date()

    def of_kind(self, kind: str) -> tuple[Resource, ...]:
        return tuple(resource for resource in self.resources if resource.kind == kind)

    def lines(self, ids: Iterable[str]) -> tuple[Usage, ...]:
        """The bill's usage lines of these resources."""
        wanted = set(ids)
        return tuple(line for line in self.usage.lines if line.resource_id in wanted)

    def bill(self, resource: Resource) -> Bill | None:
        """What a resource costs a month, or None when the bill does not name it (unknown is not free)."""
        return total(self.lines(names_on_bill(resource)), self.period, self.usage.receipt)


def total(lines: Iterable[Usage], period: Period, receipt: Receipt) -> Bill | None:
    """Add lines up to a month; None without lines or when they are in more than one currency."""
    lines = tuple(lines)
    currencies = {line.currency for line in lines}
    if len(currencies) != 1:
        return None
    # Something younger than the period is judged by the days on which it was there.
    days = min(max(line.days for line in lines), period.days)
    cost = sum((line.cost for line in lines), Decimal(0))
    hours = sum((line.quantity for line in lines if is_hours(line.unit)), Decimal(0))
    by_hour = all(is_hours(line.unit) for line in lines) and hours > 0
    return Bill(cost / days * DAYS, currencies.pop(), cost / hours if by_hour else None, hours, receipt)


def is_hours(unit: str) -> bool:
    """Whether the bill counts in hours ("Hours", "hour", "1 Hour", "Hrs")."""
    return unit.lower().removeprefix("1 ") in {"hours", "hour", "hrs", "hr", "h"}


# AWS's services whose ARNs the bill writes, and what a kind is called in them.
_ON_AWS_BILLS = {
    "address": ("ec2", "elastic-ip/"),
    "database": ("rds", "db:"),
    "database_cluster": ("rds", "cluster:"),
    "nat_gateway": ("ec2", "natgateway/"),
}


def names_on_bill(resource: Resource) -> tuple[str, ...]:
    """How a bill may name a resource: by its id or by its full name."""
    if resource.provider != "AWS":
        return (resource.id,)
    service, noun = _ON_AWS_BILLS.get(resource.kind, ("ec2", f"{resource.kind}/"))
    prefix = f"arn:aws:{service}:{resource.region}"
    return (resource.id, f"{prefix}:{resource.account_id}:{noun}{resource.id}", f"{prefix}::{noun}{resource.id}")


def recommendation(
    situation: Situation,
    kind: str,
    resource: Resource,
    title: str,
    saving: Band,
    currency: str,
    *,
    confidence: str,
    risk: str,
    reversible: bool,
    evidence: tuple[Evidence, ...],
    price_source: str,
    affected: Decimal,
    change: str = "",
    resource_ids: tuple[str, ...] = (),
    blocked_by: tuple[str, ...] = (),
) -> Recommendation:
    """A finding about one resource as a recommendation, with amounts in cents and its stable id.

    `affected` is the cost per month of what would be changed.
    """
    ids = resource_ids or (resource.id,)
    return Recommendation(
        id=stable_id(situation.tenant, kind, resource.provider, resource.account_id, resource.region, *ids),
        tenant=situation.tenant,
        kind=kind,
        provider=resource.provider,
        account_id=resource.account_id,
        region=resource.region,
        resource_ids=ids,
        title=title,
        saving_low=saving.low.quantize(CENT),
        saving_expected=saving.expected.quantize(CENT),
        saving_high=saving.high.quantize(CENT),
        currency=currency,
        confidence=Decimal(confidence),
        risk=risk,
        reversible=reversible,
        evidence=evidence,
        price_source=price_source,
        parameters=parameters(resource, affected, change),
        service=resource.tag("service"),
        blocked_by=blocked_by if change else (*blocked_by, BY_PEOPLE),
    )


def in_the_way(resource: Resource, change: str) -> tuple[str, ...]:
    """What keeps an executable change from being proposed now, as sentences; without a change nothing does."""
    if not change:
        return ()
    found = [f"{resource.name}: {problem}" for problem in registry.obstacles(change, resource)]
    known, service = catalog.about(change), resource.tag("service")
    if not service and not (known and known.unwatched(service)):
        found.append(f"{resource.name} has no tag service, so nobody could watch its health during the move.")
    return tuple(found)


def parameters(resource: Resource, affected: Decimal, change: str = "") -> dict[str, object]:
    """What planning needs, JSON-ready: {"change", "resource_kind", "resource_id", "affected_monthly"}.

    `change` names the executable change ("aws.asg_spot") and is "" when people carry the saving out; with
    provider, account and region of the recommendation, the next two find the resource in the inventory.
    `affected_monthly` is the cost per month (a decimal string) of what would be changed: no saving is larger.
    """
    return {
        "change": change,
        "resource_kind": resource.kind,
        "resource_id": resource.id,
        "affected_monthly": plain(affected.quantize(CENT)),
    }


def affected_monthly(found: Recommendation) -> Decimal:
    """The cost per month of what a recommendation would change."""
    return Decimal(str(found.parameters["affected_monthly"]))


def stable_id(*parts: str) -> str:
    """The same finding about the same thing has the same id on every run: 'rec-1a2b3c4d5e6f'."""
    return "rec-" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]


def amount(value: Decimal, currency: str) -> str:
    """An amount in words for evidence: '1,234.50 USD'."""
    return f"{value.quantize(CENT):,} {currency}"


def price(value: Decimal, currency: str) -> str:
    """A unit price in words: '0.1588 USD'."""
    return f"{value.quantize(Decimal('0.0001'))} {currency}"


def number(resource: Resource, attribute: str) -> int:
    """A whole-number attribute, 0 when inventory has none."""
    value = resource.attributes.get(attribute)
    return value if isinstance(value, int) else 0


def text(resource: Resource, attribute: str) -> str:
    """A text attribute, "" when inventory has none."""
    value = resource.attributes.get(attribute)
    return value if isinstance(value, str) else ""


def words(resource: Resource, attribute: str) -> tuple[str, ...]:
    """A list attribute, empty when inventory has none."""
    value = resource.attributes.get(attribute)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def days_since(resource: Resource, attribute: str, today: date) -> int | None:
    """Whole days since a moment that inventory keeps, or None when it does not know it."""
    value = text(resource, attribute)
    return (today - datetime.fromisoformat(value).date()).days if value else None


def excluded(resource: Resource) -> bool:
    """Whether its owner said that OptiInfra leaves it alone (tag optiinfra:exclude)."""
    return says_yes(resource.tag("optiinfra:exclude"))


def says_yes(value: str) -> bool:
    """A tag that is there means yes, unless it says no."""
    return value != "" and value.strip().lower() not in {"false", "no", "0", "off"}
