"""Line: one thing that is billed again and again, and how much of it a day uses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

# Everything is counted in integers, so that every amount in the files is exact: quantities in thousandths,
# unit prices in 10^-10 USD, and therefore amounts in 10^-13 USD.
QUANTITY_DIGITS = 3
PRICE_DIGITS = 10
AMOUNT_DIGITS = QUANTITY_DIGITS + PRICE_DIGITS


def quantity_units(quantity: Decimal) -> int:
    """A quantity in thousandths, rounded."""
    return int(quantity.scaleb(QUANTITY_DIGITS).to_integral_value())


def price_units(price: Decimal) -> int:
    """A unit price in 10^-10 USD, rounded."""
    return int(price.scaleb(PRICE_DIGITS).to_integral_value())


def amount(units: int) -> Decimal:
    """An amount in 10^-13 USD as a decimal number of USD."""
    return Decimal(int(units)).scaleb(-AMOUNT_DIGITS)


class Shape(StrEnum):
    """How use goes through the week and the month."""

    CONSTANT = "constant"  # the same every day, to the last digit
    STEADY = "steady"  # every day alike, a little noise
    SHOP = "shop"  # more at the weekend, as people shop then
    OFFICE = "office"  # working days, little at the weekend
    WEEKDAYS = "weekdays"  # switched off at the weekend
    WEEKLY = "weekly"  # a large job on Mondays
    MONTHLY = "monthly"  # once, on the first of the month
    DAILY_LESS = "daily_less"  # constant, but some days run fewer hours


class Kind(StrEnum):
    """How a line's amounts come about; see `story.amounts`."""

    USAGE = "usage"
    COVERED = "covered"  # usage that a commitment pays for
    COMMITMENT = "commitment"  # the purchase of a commitment
    UNUSED = "unused"  # what of a commitment nobody used
    FEE = "fee"
    TAX = "tax"
    CREDIT = "credit"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class Line:
    """One SKU of one resource in one account. `price` is the list price per `unit` in USD.

    `first` and `last` are days relative to the story's anchor ("today"), both inclusive; None: always.
    """

    key: str
    provider: str
    account: str
    service: str
    sku: str
    description: str
    unit: str
    price: Decimal
    quantity: Decimal
    shape: Shape = Shape.STEADY
    kind: Kind = Kind.USAGE
    growth: Decimal = Decimal("0.12")
    noise: Decimal = Decimal("0.02")
    discount: Decimal = Decimal(0)
    region: str = "eu-west-1"
    zone: str = ""
    resource_id: str = ""
    resource_name: str = ""
    resource_type: str = ""
    operation: str = ""
    pricing: str = "Standard"
    commitment: str = ""
    rate: Decimal = Decimal(0)
    first: int | None = None
    last: int | None = None
    correction: bool = False
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def contracted_price(self) -> Decimal:
        """The price after the negotiated discount, exact in units of 10^-10 USD."""
        return Decimal(price_units(self.price * (1 - self.discount))).scaleb(-PRICE_DIGITS)

    def on(self, **changes: object) -> Line:
        """A copy with other values."""
        return replace(self, **changes)  # type: ignore[arg-type]  # dataclasses.replace checks the names itself
