"""Small FOCUS bills, written line by line."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

ACCOUNT = "100000000002"


def row(
    day: date,
    id_: str,
    cost: str | Decimal,
    quantity: str = "24",
    unit: str = "Hours",
    *,
    sku: str = "EU-BoxUsage:m5.2xlarge",
    pricing: str = "Standard",
    tags: str = "{}",
    account: str = ACCOUNT,
) -> dict[str, str]:
    """One resource's usage of one day."""
    month = day.replace(day=1)
    amount = str(cost)
    return {
        "ProviderName": "AWS",
        "PublisherName": "AWS",
        "InvoiceIssuerName": "AWS",
        "BillingAccountId": "100000000001",
        "BillingAccountName": "payer",
        "SubAccountId": account,
        "SubAccountName": "production",
        "BillingCurrency": "USD",
        "BillingPeriodStart": f"{month}T00:00:00Z",
        "BillingPeriodEnd": f"{(month + timedelta(days=32)).replace(day=1)}T00:00:00Z",
        "ChargePeriodStart": f"{day}T00:00:00Z",
        "ChargePeriodEnd": f"{day + timedelta(days=1)}T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeDescription": f"Linux {sku.partition(':')[2]} instance hour" if unit == "Hours" else "storage",
        "PricingCategory": pricing,
        "ServiceName": "Amazon Elastic Compute Cloud",
        "ServiceCategory": "Compute",
        "RegionId": "eu-west-1",
        "ResourceId": id_,
        "SkuId": sku,
        "BilledCost": amount,
        "EffectiveCost": amount,
        "ListCost": amount,
        "ContractedCost": amount,
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "Tags": tags,
    }


def write(path: Path, rows: Iterable[dict[str, str]]) -> Path:
    """The rows as a csv file."""
    lines = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return path
