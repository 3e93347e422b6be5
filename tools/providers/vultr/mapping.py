"""Mapping: one line of a Vultr bill as FOCUS rows, day by day - the words, and pure arithmetic that loses no digit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from tools.model.money import EXACT, plain
from tools.model.period import Period
from tools.model.resource import Resource
from tools.providers.focus.rows import charge_days, start_of, tags_text
from tools.providers.vultr.connection import PROVIDER, moment
from tools.providers.vultr.prices import CURRENCY, HOURS_PAID, number

ISSUER = "The Constant Company, LLC"
_DIGITS = Decimal("0.0000000001")


@dataclass(frozen=True, slots=True)
class Service:
    """What FOCUS says of a product, and the kind of resource that it bills."""

    name: str
    category: str
    subcategory: str
    kind: str
    resource_type: str = ""


_COMPUTE = Service("Cloud Compute", "Compute", "Virtual Machines", "instance", "Instance")
_OTHER = ("Other", "Other (Other)")
# The beginning of Vultr's product name, without "Vultr", in lower case; the longest that fits counts.
PRODUCTS: Mapping[str, Service] = {
    "cloud compute": _COMPUTE,
    "compute": _COMPUTE,
    "high frequency": _COMPUTE,
    "high performance": _COMPUTE,
    "optimized cloud": _COMPUTE,
    "dedicated cloud": _COMPUTE,
    "cloud gpu": Service("Cloud GPU", "Compute", "Virtual Machines", "instance", "Instance"),
    "bare metal": Service("Bare Metal", "Compute", "Virtual Machines", "bare_metal", "Bare metal"),
    "kubernetes": Service("Kubernetes Engine", "Compute", "Containers", "kubernetes", "Kubernetes cluster"),
    "block storage": Service("Block Storage", "Storage", "Block Storage", "volume", "Block storage"),
    "object storage": Service("Object Storage", "Storage", "Object Storage", "", "Object storage"),
    "snapshot": Service("Snapshots", "Storage", "Backup Storage", "snapshot", "Snapshot"),
    "automatic backup": Service("Backups", "Storage", "Backup Storage", "instance", "Instance"),
    "backup": Service("Backups", "Storage", "Backup Storage", "instance", "Instance"),
    "load balancer": Service(
        "Load Balancers", "Networking", "Application Networking", "load_balancer", "Load balancer"
    ),
    "reserved ip": Service("Reserved IPs", "Networking", "Network Infrastructure", "address", "Reserved IP"),
    "bandwidth": Service("Bandwidth", "Networking", "Network Infrastructure", "", "Bandwidth"),
    "managed database": Service("Managed Databases", "Databases", "Relational Databases", "database", "Database"),
    "database": Service("Managed Databases", "Databases", "Relational Databases", "database", "Database"),
    "container registry": Service("Container Registry", "Storage", "Other (Storage)", "", ""),
    "license": Service("Licenses", *_OTHER, ""),
}
_LABEL = re.compile(r"\[([^\[\]]+)\]\s*$|\(([^()]+)\)\s*$")
_UNITS = {"hours": "Hours", "hour": "Hours", "gb": "GB", "gigabytes": "GB", "months": "Months", "month": "Months"}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a bill. `invoice` is empty as long as none was issued; then the line is an estimate."""

    description: str
    product: str
    start: datetime
    end: datetime
    units: Decimal
    unit: str
    unit_price: Decimal | None
    total: Decimal
    invoice: str = ""

    @property
    def month(self) -> date:
        """The first day of the month to which it belongs: that of its last moment."""
        last = max(self.end - timedelta(seconds=1), self.start) if self.end > self.start else self.start
        return last.date().replace(day=1)


def item_of(told: Mapping[str, object], invoice: str, otherwise: datetime) -> Item | None:
    """An item as the API tells it; None when it has no amount. Lines without dates (taxes) happen `otherwise`."""
    total = number(told.get("total"))
    if total is None:
        return None
    start = moment(told.get("start_date")) or otherwise
    return Item(
        str(told.get("description") or ""),
        str(told.get("product") or ""),
        start,
        max(moment(told.get("end_date")) or start, start),
        number(told.get("units")) or Decimal(0),
        str(told.get("unit_type") or ""),
        number(told.get("unit_price")),
        total,
        invoice,
    )


def service_of(product: str) -> Service:
    """What is known of a product; one that is new is told under its own name as "Other", never as something else."""
    name = product.strip()
    bare = name.lower().removeprefix("vultr ").strip()
    fits = [key for key in PRODUCTS if bare.startswith(key)]
    return PRODUCTS[max(fits, key=len)] if fits else Service(name or "Unnamed", *_OTHER, "")


def label_of(description: str) -> str:
    """The name a customer gave a thing: "1.1.1.1 (8192 MB) [edge-1]" and "Load Balancer (edge-lb)" both tell it."""
    found = _LABEL.search(description.strip())
    return (found.group(1) or found.group(2)).strip() if found else ""


def spread(item: Item) -> Iterator[tuple[date, Decimal, Decimal]]:
    """(day, cost, units) for every UTC day of an item, by its hours on that day; the sums are the item's own."""
    days = list(_hours(item.start, item.end))
    hours = sum((h for _, h in days), Decimal(0))
    cost_left, units_left = item.total, item.units
    for number_, (day, share) in enumerate(days, start=1):
        if number_ == len(days) or not hours:
            yield day, cost_left, units_left
            return
        cost, units = (_part(amount, share, hours) for amount in (item.total, item.units))
        cost_left, units_left = EXACT.subtract(cost_left, cost), EXACT.subtract(units_left, units)
        yield day, cost, units


def _part(amount: Decimal, share: Decimal, whole: Decimal) -> Decimal:
    return EXACT.divide(EXACT.multiply(amount, share), whole).quantize(_DIGITS, context=EXACT)


def _hours(start: datetime, end: datetime) -> Iterator[tuple[date, Decimal]]:
    if end <= start:
        yield start.date(), Decimal(0)
        return
    at = start
    while at < end:
        night = datetime.combine(at.date() + timedelta(days=1), time(), UTC)
        until = min(night, end)
        yield at.date(), Decimal(int((until - at).total_seconds())) / 3600
        at = until


def accrued(resources: Iterable[tuple[Resource, Decimal]], period: Period, now: datetime) -> Iterator[Item]:
    """What resources have cost since the month began, at `(resource, USD an hour)`: hours begun, up to a month's price.

    Stopped machines count like running ones: Vultr bills what exists.
    """
    first, last = (datetime.combine(day, time(), UTC) for day in (period.start, period.end))
    for resource, rate in resources:
        since = max(first, moment(resource.attributes.get("created_at")) or first)
        until = min(now, last)
        if until <= since:
            continue
        hours = min(Decimal(-(-int((until - since).total_seconds()) // 3600)), Decimal(HOURS_PAID))
        product = next((key for key, s in PRODUCTS.items() if s.kind == resource.kind), resource.kind)
        yield Item(
            f"{product.capitalize()} [{resource.name}]", product, since, until, hours, "hours", rate,
            EXACT.multiply(hours, rate),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Billed:
    """Whose bill it is, for which month, and the things that it may name."""

    account: str
    period: Period
    things: Mapping[tuple[str, str], Resource]

    def rows(self, items: Sequence[Item]) -> Iterator[dict[str, str]]:
        """The FOCUS rows of these items."""
        for item in items:
            service = service_of(item.product)
            words = self._words(item, service)
            for day, cost, units in spread(item):
                yield words | charge_days(day) | _amounts(item, cost, units)

    def _words(self, item: Item, service: Service) -> dict[str, str]:
        label = label_of(item.description)
        thing = self.things.get((service.kind, label)) if service.kind else None
        category = _category(item)
        return {
            "BillingAccountId": self.account,
            "BillingAccountName": self.account,
            "BillingCurrency": CURRENCY,
            "BillingPeriodStart": start_of(self.period.start),
            "BillingPeriodEnd": start_of(self.period.end),
            "ChargeCategory": category,
            "ChargeDescription": item.description or item.product,
            "ChargeFrequency": "Usage-Based" if category == "Usage" else "One-Time",
            "ServiceProviderName": PROVIDER,
            "HostProviderName": PROVIDER,
            "InvoiceIssuerName": ISSUER,
            "InvoiceId": item.invoice,
            "PricingCategory": "Standard" if category == "Usage" else "",
            "ServiceName": service.name,
            "ServiceCategory": service.category,
            "ServiceSubcategory": service.subcategory,
            "RegionId": thing.region if thing else "",
            "ResourceId": thing.id if thing else "",
            "ResourceName": (thing.name if thing else label) if service.kind else "",
            "ResourceType": service.resource_type if thing or (label and service.kind) else "",
            "SkuId": str(thing.attributes.get("instance_type") or "") if thing else "",
            "Tags": tags_text(thing.tags) if thing else "",
            "x_Estimated": "false" if item.invoice else "true",
        }


def _amounts(item: Item, cost: Decimal, units: Decimal) -> dict[str, str]:
    money = plain(cost)
    found = {"BilledCost": money, "EffectiveCost": money, "ListCost": money, "ContractedCost": money}
    if _category(item) == "Usage" and item.units:
        unit = _UNITS.get(item.unit.lower(), item.unit)
        quantity = plain(units)
        found |= {"PricingQuantity": quantity, "PricingUnit": unit, "ConsumedQuantity": quantity, "ConsumedUnit": unit}
    return found


def _category(item: Item) -> str:
    words = f"{item.product} {item.description}".lower()
    if re.search(r"\b(tax|vat|gst)\b", words):
        return "Tax"
    return "Credit" if item.total < 0 else "Usage"


def by_label(resources: Iterable[Resource]) -> dict[tuple[str, str], Resource]:
    """Resources by kind and name; a name that two of a kind share tells nobody apart and is left out."""
    found: dict[tuple[str, str], Resource | None] = {}
    for resource in resources:
        key = (resource.kind, resource.name)
        found[key] = None if key in found else resource
    return {key: resource for key, resource in found.items() if resource is not None}
