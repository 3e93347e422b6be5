"""A small world of cost: daily series with known shapes, and FOCUS files made from them."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests.collection.bills import in_one_process
from tools.analysis.costs import Costs
from tools.collection.charges import ingest
from tools.model.series import DailySeries
from tools.store.database import Database

TAG_KEYS = ("team", "env")
MONDAY = date(2026, 1, 5)
_COLUMNS = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "ResourceId",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
]


def rhythm(
    days: int, *, level: float = 100.0, weekend: float = 1.0, noise: float = 0.02, seed: int = 1, start: date = MONDAY
) -> list[float]:
    """A cost with a weekly rhythm and a little noise."""
    dice = random.Random(seed)
    out = []
    for n in range(days):
        share = weekend if (start + timedelta(days=n)).weekday() >= 5 else 1.0
        out.append(level * share * (1 + dice.gauss(0, noise)))
    return out


def series(
    values: Iterable[float], *, service: str = "Compute", account: str = "prod", start: date = MONDAY,
    currency: str = "USD", provider: str = "AWS",
) -> DailySeries:  # fmt: skip
    """Values as the DailySeries of one service."""
    keys = (("provider", provider), ("sub_account_id", account), ("service_name", service))
    return DailySeries(keys, start, tuple(Decimal(f"{v:.4f}") for v in values), currency)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill."""

    day: date
    service: str
    cost: str
    account: str = "prod"
    region: str = "us-east-1"
    category: str = "Usage"
    sku: str = "hours"
    quantity: str = "1"
    resource: str = ""
    provider: str = "AWS"
    pricing: str = "Standard"
    currency: str = "USD"
    tags: str = '{"team": "core", "env": "prod"}'


def _focus(line: Line) -> Mapping[str, str]:
    month = line.day.replace(day=1)
    after = (month + timedelta(days=32)).replace(day=1)
    usage = line.category == "Usage"
    return {
        "BilledCost": line.cost,
        "EffectiveCost": line.cost,
        "ListCost": line.cost,
        "ContractedCost": line.cost,
        "BillingAccountId": f"payer-{line.provider}-{line.currency}",
        "BillingCurrency": line.currency,
        "BillingPeriodStart": f"{month}T00:00:00Z",
        "BillingPeriodEnd": f"{after}T00:00:00Z",
        "ChargePeriodStart": f"{line.day}T00:00:00Z",
        "ChargePeriodEnd": f"{line.day + timedelta(days=1)}T00:00:00Z",
        "ChargeCategory": line.category,
        "ChargeFrequency": "Usage-Based" if usage else "One-Time",
        "ConsumedQuantity": line.quantity if usage else "",
        "ConsumedUnit": "Hours" if usage else "",
        "PricingCategory": line.pricing if usage else "",
        "PricingQuantity": line.quantity if usage else "",
        "PricingUnit": "Hours" if usage else "",
        "ProviderName": line.provider,
        "PublisherName": line.provider,
        "InvoiceIssuerName": line.provider,
        "RegionId": line.region,
        "ResourceId": line.resource,
        "ServiceCategory": "Compute",
        "ServiceName": line.service,
        "SkuId": line.sku,
        "SubAccountId": line.account,
        "SubAccountName": line.account,
        "Tags": line.tags,
    }


def write_focus(path: Path, lines: Iterable[Line]) -> Path:
    """Write a FOCUS file."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, _COLUMNS)
        writer.writeheader()
        writer.writerows(_focus(line) for line in lines)
    return path


def load(database: Database, path: Path, *, provisional_days: int = 0) -> Costs:
    """Ingest a file and give the costs that stand on it."""
    with in_one_process():
        done = ingest(
            database,
            "default",
            [path],
            tag_keys=TAG_KEYS,
            detail_months=12,
            now=lambda: datetime(2026, 11, 23, 8, tzinfo=UTC),
        )
    assert all(load.status.value != "refused" for load in done), done
    return Costs(database, "default", TAG_KEYS, provisional_days)


def story(days: int = 100, *, start: date = MONDAY) -> list[Line]:
    """Three services; Compute in us-east-1 doubles over the last four days by a new node pool of team web."""
    lines = []
    usual = rhythm(days, level=200, weekend=0.7, seed=3, start=start)
    for n in range(days):
        day = start + timedelta(days=n)
        lines += [
            Line(day, "Compute", f"{usual[n]:.4f}", resource="vm-1", quantity="100"),
            Line(day, "Storage", f"{50 + n * 0.01:.4f}", sku="gb", account="data", tags='{"team": "data"}'),
            Line(day, "Queue", "12.5", region="eu-west-1", account="data"),
        ]
        if n >= days - 4:
            web = '{"team": "web", "env": "prod"}'
            lines.append(Line(day, "Compute", "210.25", sku="pool", resource="pool-9", tags=web, quantity="120"))
        if day.day == 1:
            lines.append(Line(day, "Support", "300", category="Purchase", sku=""))
    return lines
