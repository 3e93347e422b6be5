"""Charge: the FOCUS words - columns, categories, and one rolled-up day of charges."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum


class ChargeCategory(StrEnum):
    """FOCUS ChargeCategory."""

    USAGE = "Usage"
    PURCHASE = "Purchase"
    TAX = "Tax"
    CREDIT = "Credit"
    ADJUSTMENT = "Adjustment"


@dataclass(frozen=True, slots=True)
class Partition:
    """The unit in which cost data is loaded and replaced whole: one account's one billing period.

    `billing_period` is the first day of the month the provider bills it in.
    """

    provider: str
    billing_account_id: str
    billing_period: date

    def __str__(self) -> str:
        return f"{self.provider} {self.billing_account_id} {self.billing_period:%Y-%m}"


@dataclass(frozen=True, slots=True)
class DailyCharge:
    """One day of charges that share all dimensions, rolled up from `rows` raw FOCUS rows.

    `list_cost` and `contracted_cost` are None when any row behind it has none: unknown is never 0.
    `tags` holds the configured tag keys only, normalised, sorted by key.
    """

    day: date
    sub_account_id: str
    sub_account_name: str
    service_name: str
    service_category: str
    region_id: str
    charge_category: str
    pricing_category: str
    commitment_discount_id: str
    commitment_discount_status: str
    resource_id: str
    resource_name: str
    sku_id: str
    charge_description: str
    currency: str
    billed_cost: Decimal
    effective_cost: Decimal
    list_cost: Decimal | None
    contracted_cost: Decimal | None
    consumed_quantity: Decimal | None
    consumed_unit: str
    rows: int
    tags: tuple[tuple[str, str], ...] = field(default=())
