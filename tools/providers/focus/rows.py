"""Rows: writes charges that a cloud's API told as a FOCUS file, exact to the last digit."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path

from tools.model.errors import InputError

# What our own mappings fill, in the order of the file; FOCUS 1.3 and later names.
COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "CommitmentDiscountCategory", "CommitmentDiscountId",
    "CommitmentDiscountName", "CommitmentDiscountStatus", "CommitmentDiscountType", "ConsumedQuantity",
    "ConsumedUnit", "ContractedCost", "EffectiveCost", "HostProviderName", "InvoiceId", "InvoiceIssuerName",
    "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "RegionId", "RegionName",
    "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceProviderName",
    "ServiceSubcategory", "SkuId", "SkuMeter", "SubAccountId", "SubAccountName", "Tags", "x_Estimated",
)  # fmt: skip
_KNOWN = frozenset(COLUMNS)


def write(path: Path, rows: Iterable[Mapping[str, str]]) -> int:
    """Write a csv file and give its number of rows; without rows there is no file. Raises InputError for a column
    that no FOCUS file of ours has.
    """
    count = 0
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            if strange := set(row) - _KNOWN:
                raise InputError(f"{min(strange)} is no column of our FOCUS files.")
            writer.writerow([row.get(name, "") for name in COLUMNS])
            count += 1
    if count:
        part.replace(path)
    else:
        part.unlink()
    return count


def start_of(day: date) -> str:
    """The moment at which a UTC day begins, as FOCUS writes it."""
    return f"{day.isoformat()}T00:00:00Z"


def charge_days(first: date, days: int = 1) -> dict[str, str]:
    """The columns of a charge period of whole days."""
    return {"ChargePeriodStart": start_of(first), "ChargePeriodEnd": start_of(first + timedelta(days=days))}


def month_of(day: date) -> tuple[date, date]:
    """First day of the month of `day`, and of the month after it."""
    first = day.replace(day=1)
    return first, date(first.year + first.month // 12, first.month % 12 + 1, 1)


def tags_text(tags: Iterable[tuple[str, str]]) -> str:
    """Tags as FOCUS writes them, a JSON object; empty without any."""
    pairs = dict(tags)
    return json.dumps(pairs, ensure_ascii=False) if pairs else ""
