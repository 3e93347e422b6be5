"""Mapping: the rows of two cost queries, actual and amortised, joined into FOCUS rows; pure, exact, by column name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tools.model.errors import ProviderError
from tools.model.money import EXACT, plain
from tools.model.period import Period
from tools.providers.azure.connection import PROVIDER
from tools.providers.azure.resources import region_of
from tools.providers.focus.rows import charge_days, start_of, tags_text
from tools.providers.rest import Document, not_as_described

# What the cost is grouped by; every agreement type knows these (up to 15 are accepted at subscription scope).
GROUPS = (
    "ResourceId",
    "ResourceType",
    "ResourceLocation",
    "ServiceName",
    "Meter",
    "ChargeType",
    "PricingModel",
    "ReservationId",
    "ReservationName",
    "Frequency",
)
# How the agreement types call the cost; the first that is there counts.
_COSTS = ("Cost", "PreTaxCost")
_CATEGORIES = {
    "usage": "Usage",
    "unusedreservation": "Usage",
    "unusedsavingsplan": "Usage",
    "purchase": "Purchase",
    "refund": "Purchase",
    "tax": "Tax",
}
_FREQUENCIES = {"usagebased": "Usage-Based", "recurring": "Recurring", "onetime": "One-Time"}
_MODELS = {"reservation": "Committed", "savingsplan": "Committed", "spot": "Dynamic"}
_SERVICES = {
    "virtual machines": ("Compute", "Virtual Machines"),
    "virtual machine scale sets": ("Compute", "Virtual Machines"),
    "azure app service": ("Compute", "Serverless Compute"),
    "functions": ("Compute", "Serverless Compute"),
    "container instances": ("Compute", "Containers"),
    "azure kubernetes service": ("Compute", "Containers"),
    "azure sql database": ("Databases", "Relational Databases"),
    "sql database": ("Databases", "Relational Databases"),
    "azure database for postgresql": ("Databases", "Relational Databases"),
    "azure database for mysql": ("Databases", "Relational Databases"),
    "azure cosmos db": ("Databases", "NoSQL Databases"),
    "azure cache for redis": ("Databases", "Caching"),
    "redis cache": ("Databases", "Caching"),
    "storage": ("Storage", "Object Storage"),
    "storage accounts": ("Storage", "Object Storage"),
    "managed disks": ("Storage", "Block Storage"),
    "backup": ("Storage", "Backup Storage"),
    "bandwidth": ("Networking", "Network Infrastructure"),
    "virtual network": ("Networking", "Network Infrastructure"),
    "load balancer": ("Networking", "Application Networking"),
    "application gateway": ("Networking", "Application Networking"),
    "content delivery network": ("Networking", "Content Delivery"),
    "azure dns": ("Networking", "Network Infrastructure"),
    "azure monitor": ("Management and Governance", "Observability"),
    "log analytics": ("Management and Governance", "Observability"),
    "key vault": ("Security", "Secret Management"),
    "azure openai service": ("AI and Machine Learning", "Generative AI"),
    "azure machine learning": ("AI and Machine Learning", "Machine Learning"),
    "event hubs": ("Integration", "Messaging"),
    "service bus": ("Integration", "Messaging"),
    "azure databricks": ("Analytics", "Analytics Platforms"),
    "azure synapse analytics": ("Analytics", "Data Warehouses"),
}
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """One row of a query: its day, currency and groups (the key), and its cost."""

    day: date
    key: Key
    currency: str
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Place:
    """The subscription that was asked, and what is known of its resources (by path in lower case)."""

    billing_account: str
    sub_account: str
    name: str
    period: Period
    known: Mapping[str, Document]
    open_month: bool


def rows_of(page: Document, doing: str) -> list[Told]:
    """The rows of one page of a query's answer; {} (no content) has none. Columns are found by name."""
    if not page:
        return []
    properties = page.get("properties")
    columns = properties.get("columns") if isinstance(properties, dict) else None
    rows = properties.get("rows") if isinstance(properties, dict) else None
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise not_as_described("Azure", doing)
    place = {str(column.get("name", "")).lower(): n for n, column in enumerate(columns) if isinstance(column, dict)}
    cost = next((name for name in _COSTS if name.lower() in place), None)
    if cost is None or not {"usagedate", "currency", *(g.lower() for g in GROUPS)} <= set(place):
        raise not_as_described("Azure", doing)
    return [_told(row, place, cost.lower(), doing) for row in rows]


def _told(row: object, place: Mapping[str, int], cost: str, doing: str) -> Told:
    if not isinstance(row, list) or len(row) < len(place):
        raise not_as_described("Azure", doing)
    amount = row[place[cost]]
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise not_as_described("Azure", doing)
    key = tuple("" if row[place[g.lower()]] is None else str(row[place[g.lower()]]) for g in GROUPS)
    return Told(_day(row[place["usagedate"]], doing), key, str(row[place["currency"]]), Decimal(amount))


def _day(value: object, doing: str) -> date:
    """A day as Azure writes it: the number 20261101."""
    text = str(value)
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        raise not_as_described("Azure", doing) from None


def join(actual: Sequence[Told], amortised: Sequence[Told], place: Place) -> Iterator[dict[str, str]]:
    """FOCUS rows: billed cost from the actual query, effective cost from the amortised one, what only one tells as 0."""
    billed, effective = _added(actual), _added(amortised)
    for key in sorted(billed.keys() | effective.keys()):
        day, currency, groups = key
        if day not in place.period:
            raise ProviderError(
                "Azure told costs of days that were not asked for; nothing of it is used.",
                fix="It is read again at the next collection.",
            )
        costs = {
            "BilledCost": plain(billed.get(key, Decimal(0))),
            "EffectiveCost": plain(effective.get(key, Decimal(0))),
            "BillingCurrency": currency,
        }
        yield _words(dict(zip(GROUPS, groups, strict=True)), place) | charge_days(day) | costs


def _added(rows: Sequence[Told]) -> dict[tuple[date, str, Key], Decimal]:
    found: dict[tuple[date, str, Key], Decimal] = {}
    for row in rows:
        key = (row.day, row.currency, row.key)
        found[key] = EXACT.add(found.get(key, Decimal(0)), row.cost)
    return found


def _words(groups: Mapping[str, str], place: Place) -> dict[str, str]:
    resource_id = groups["ResourceId"]
    known = place.known.get(resource_id.lower(), {})
    charge, model = groups["ChargeType"].lower(), groups["PricingModel"].lower()
    category = _CATEGORIES.get(charge, "Adjustment")
    service, subcategory = _SERVICES.get(groups["ServiceName"].lower(), ("Other", "Other (Other)"))
    tags = known.get("tags")
    return {
        "BillingAccountId": place.billing_account,
        "BillingAccountName": "",
        "SubAccountId": place.sub_account,
        "SubAccountName": place.name,
        "BillingPeriodStart": start_of(place.period.start),
        "BillingPeriodEnd": start_of(place.period.end),
        "ChargeCategory": category,
        "ChargeClass": "Correction" if charge == "refund" else "",
        "ChargeDescription": groups["Meter"] or groups["ChargeType"],
        "ChargeFrequency": _FREQUENCIES.get(groups["Frequency"].lower(), ""),
        "ServiceProviderName": PROVIDER,
        "HostProviderName": PROVIDER,
        "InvoiceIssuerName": PROVIDER,
        "ServiceName": groups["ServiceName"],
        "ServiceCategory": service,
        "ServiceSubcategory": subcategory,
        "SkuMeter": groups["Meter"],
        "RegionId": region_of(known.get("location") or groups["ResourceLocation"]),
        "ResourceId": str(known.get("id") or resource_id),
        "ResourceName": str(known.get("name") or resource_id.rpartition("/")[2]),
        "ResourceType": str(known.get("type") or groups["ResourceType"]),
        "PricingCategory": _MODELS.get(model, "Standard") if category == "Usage" else "",
        "Tags": tags_text((str(k), str(v)) for k, v in tags.items()) if isinstance(tags, dict) else "",
        "x_Estimated": "true" if place.open_month else "false",
    } | _commitment(groups, charge, model, category)


def _commitment(groups: Mapping[str, str], charge: str, model: str, category: str) -> dict[str, str]:
    if not groups["ReservationId"]:
        return {}
    plan = "savingsplan" in {model, charge.removeprefix("unused")}
    unused = charge.startswith("unused")
    return {
        "CommitmentDiscountId": groups["ReservationId"],
        "CommitmentDiscountName": groups["ReservationName"],
        "CommitmentDiscountCategory": "Spend" if plan else "Usage",
        "CommitmentDiscountType": "Savings Plan" if plan else "Reservation",
        "CommitmentDiscountStatus": ("Unused" if unused else "Used") if category == "Usage" else "",
    }
