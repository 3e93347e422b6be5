"""Invoice: what a provider asked for, and how what stands loaded compares with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice (or a period's invoice total, without an id). `amount` includes `tax`, where that is known.

    `billing_period` is the first day of the month it is for; `source` says who told it.
    """

    provider: str
    billing_account_id: str
    billing_period: date
    invoice_id: str
    amount: Decimal
    currency: str
    tax: Decimal | None
    source: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Billed:
    """What rows of one bill add up to that name the same invoice ("" for none); parts are billed cost as well.

    `lines` is how many lines of an invoice that would be: combinations of sub-account and service.
    """

    invoice_id: str
    currency: str
    rows: int
    lines: int
    billed_cost: Decimal
    tax: Decimal
    credits: Decimal
    purchases: Decimal


class Explanation(StrEnum):
    """Why what stands loaded differs from the invoice, most certain first."""

    EXACT = "exact"
    MISSING_ACCOUNT = "missing account"
    ROUNDING = "rounding"
    PROVISIONAL = "provisional"
    MISSING_DAYS = "missing days"
    TAX = "tax"
    CREDITS = "credits"
    PURCHASES = "purchases"
    REJECTED = "rejected rows"
    NO_INVOICE = "no invoice"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One bill beside its invoice. `difference` is ours minus theirs; None where either is not known.

    `explanation` is a class that can be counted, `detail` says the same in a sentence.
    """

    provider: str
    billing_account_id: str
    billing_period: date
    invoice_id: str
    currency: str
    ours: Decimal | None
    theirs: Decimal | None
    explanation: Explanation
    detail: str
    difference: Decimal | None = None

    @property
    def name(self) -> str:
        return f"{self.provider} {self.billing_account_id} {self.billing_period:%Y-%m}"

    @property
    def agrees(self) -> bool:
        return self.explanation in {Explanation.EXACT, Explanation.ROUNDING}
