"""Money: an exact decimal amount with its currency, and the two integers in which a database keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from tools.model.errors import CurrencyMismatchError, InputError

# Amounts keep 18 decimals. A database column cannot hold that exactly on every engine, so an amount is stored
# as two integers: whole micro-units, and what remains in 10^-18 units (always 0 <= rest < 10^12).
# Both add up with plain SUM on any SQL engine, and `join` of the sums is the exact sum.
DECIMALS = 18
_MICRO = Decimal(10) ** 6
_REST = 10**12
_QUANTUM = Decimal(1).scaleb(-DECIMALS)
# The most (in whole units) that fits: a signed 64-bit number of micros.
MOST = (2**63 - 1) // 10**6
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


def split(amount: Decimal) -> tuple[int, int]:
    """Return (micros, rest) of an amount, rounding half-even beyond 18 decimals."""
    atto = int(EXACT.scaleb(EXACT.quantize(amount, _QUANTUM), DECIMALS))
    return divmod(atto, _REST)


def join(micros: int, rest: int) -> Decimal:
    """Return the exact amount of two stored (or summed) integers; the inverse of `split`."""
    return EXACT.scaleb(Decimal(int(micros) * _REST + int(rest)), -DECIMALS)


def plain(amount: Decimal) -> str:
    """Write an amount without exponent and without trailing zeros: '12.5', '0', '-0.0000008'."""
    if amount == 0:
        return "0"
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in one currency (ISO 4217). Two currencies never add up silently."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not self.amount.is_finite():
            raise InputError(f"{self.amount} is not an amount of money.")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(EXACT.add(self.amount, other.amount), self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(EXACT.subtract(self.amount, other.amount), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatchError(
                f"{self.currency} and {other.currency} cannot be added without an exchange rate.",
                fix="Ask per currency, or give dated exchange rates.",
            )
