"""Metric: every way in which cost may be counted, each defined once: which FOCUS costs, of which charges."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tools.model.charge import ChargeCategory


class Metric(StrEnum):
    """The four costs of FOCUS, then parts of the invoice, then what discounts saved."""

    BILLED = "billed"
    EFFECTIVE = "effective"
    LIST = "list"
    CONTRACTED = "contracted"
    GROSS = "gross"
    CREDITS = "credits"
    NET = "net"
    WITHOUT_TAX = "without_tax"
    TAX = "tax"
    PURCHASES = "purchases"
    WITHOUT_PURCHASES = "without_purchases"
    NEGOTIATED_SAVINGS = "negotiated_savings"
    COMMITMENT_SAVINGS = "commitment_savings"
    SAVINGS = "savings"

    @property
    def meaning(self) -> str:
        """One sentence for an answer's footer."""
        return DEFINITIONS[self].meaning

    @property
    def definition(self) -> Definition:
        return DEFINITIONS[self]


@dataclass(frozen=True, slots=True)
class Definition:
    """`plus` minus `minus` (FOCUS costs: billed, effective, list, contracted), of charges of the categories.

    No categories: of all charges; with `exclude`: of all but these. Where a price that is needed is missing, the
    result is unknown.
    """

    meaning: str
    plus: str
    minus: str = ""
    categories: tuple[ChargeCategory, ...] = ()
    exclude: bool = False

    @property
    def may_be_unknown(self) -> tuple[str, ...]:
        """The costs it needs that a bill may leave out."""
        return tuple(cost for cost in (self.plus, self.minus) if cost in {"list", "contracted"})


_USAGE = (ChargeCategory.USAGE,)
_CREDIT = (ChargeCategory.CREDIT,)
_TAX = (ChargeCategory.TAX,)
_PURCHASE = (ChargeCategory.PURCHASE,)
DEFINITIONS = {
    Metric.BILLED: Definition("billed cost (what the invoice says, purchases when they were made)", "billed"),
    Metric.EFFECTIVE: Definition(
        "effective cost (commitments spread over the time they cover, credits and discounts included)", "effective"
    ),
    Metric.LIST: Definition("list cost (public prices, no discount)", "list"),
    Metric.CONTRACTED: Definition("contracted cost (negotiated prices, before commitments)", "contracted"),
    Metric.GROSS: Definition("gross cost (billed cost before credits)", "billed", "", _CREDIT, True),
    Metric.CREDITS: Definition("credits (billed cost of credits alone, negative)", "billed", "", _CREDIT),
    Metric.NET: Definition("net cost (gross cost and credits together: what is billed)", "billed"),
    Metric.WITHOUT_TAX: Definition("billed cost without tax", "billed", "", _TAX, True),
    Metric.TAX: Definition("tax (billed)", "billed", "", _TAX),
    Metric.PURCHASES: Definition("purchases (billed cost of commitments and other purchases)", "billed", "", _PURCHASE),
    Metric.WITHOUT_PURCHASES: Definition("billed cost without purchases", "billed", "", _PURCHASE, True),
    # Of usage alone: a purchase and what it covers would count twice.
    Metric.NEGOTIATED_SAVINGS: Definition(
        "negotiated savings (list minus contracted cost of usage)", "list", "contracted", _USAGE
    ),
    Metric.COMMITMENT_SAVINGS: Definition(
        "commitment savings (contracted minus effective cost of usage)", "contracted", "effective", _USAGE
    ),
    Metric.SAVINGS: Definition("savings (list minus effective cost of usage)", "list", "effective", _USAGE),
}
