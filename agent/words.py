"""Words: writes amounts, shares, directions and names as plain text for a person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from tools.model.fact import Fact
from tools.model.period import Period

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
_WHOLE = frozenset({"JPY", "KRW", "VND", "CLP", "ISK"})
_LONGEST_NAME = 120


def money(amount: Decimal | None, currency: str) -> str:
    """'$1,234.50', '-€0.0042', '1,200.00 CHF', 'unknown'. An amount below a cent keeps two figures."""
    if amount is None:
        return "unknown"
    decimals = 0 if currency in _WHOLE else 2
    size = abs(amount)
    if 0 < size < Decimal(1).scaleb(-decimals):
        decimals = 1 - size.adjusted()
    rounded = size.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
    minus = "-" if amount < 0 and rounded else ""
    if currency in _SIGNS:
        return f"{minus}{_SIGNS[currency]}{rounded:,f}"
    return f"{minus}{rounded:,f} {currency}".rstrip()


def signed(amount: Decimal, currency: str) -> str:
    """'+$12.00', '-$3.00', '$0.00'."""
    return ("+" if amount > 0 else "") + money(amount, currency)


def percent(value: Decimal | None, *, sign: bool = False) -> str:
    """'12.3 %', with its sign where it is a change; 'unknown' for None."""
    if value is None:
        return "unknown"
    rounded = value.quantize(Decimal("0.1"), ROUND_HALF_EVEN)
    plus = "+" if sign and rounded > 0 else ""
    return f"{plus}{rounded:,f} %"


def share(part: Decimal, whole: Decimal) -> Decimal | None:
    """`part` of `whole` in percent; None where that says nothing."""
    return None if whole == 0 else (part / whole * 100).quantize(Decimal("0.0001"), ROUND_HALF_EVEN)


def value(fact: Fact) -> str:
    """A fact's value with its unit."""
    if fact.value is None:
        return "unknown"
    if fact.unit == "money":
        return money(fact.value, fact.currency)
    if fact.unit == "percent":
        return percent(fact.value)
    if fact.unit == "days":
        return f"{fact.value:f} {'day' if fact.value == 1 else 'days'}"
    return f"{fact.value:,f}"


def name(text: str) -> str:
    """A name from outside as one line of printable text; '(none)' where there is none."""
    plain = "".join(c if c.isprintable() else " " for c in text).strip()
    shown = plain if len(plain) <= _LONGEST_NAME else plain[: _LONGEST_NAME - 1] + "…"
    return shown or "(none)"


def listed(names: Iterable[str], limit: int = 5) -> str:
    """'a, b and c', 'a, b, c and 4 more'."""
    items = [name(n) for n in names]
    if len(items) > limit:
        return f"{', '.join(items[:limit])} and {len(items) - limit} more"
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1]))) if items else "none"


def day(moment: date) -> str:
    """'21 Nov 2026'."""
    return f"{moment.day} {moment:%b %Y}"


def span(period: Period) -> str:
    """A period with its preposition: 'on 12 Nov 2026', 'in 1-31 Oct 2026'."""
    return f"on {period}" if period.days == 1 else f"in {period}"


def last_day(end: date) -> str:
    """The last day of a period that ends (excluded) at `end`."""
    return day(end - timedelta(days=1))
