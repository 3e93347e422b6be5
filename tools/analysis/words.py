"""Words: money, changes and days as the analysis writes them into its sentences."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}


def money(value: Decimal, currency: str, *, sign: bool = False) -> str:
    """'$1,234', '$12.34', '-€5.00', '1,200 CHF'; whole units from 100 on. `sign` writes a plus before a rise."""
    size = abs(value).quantize(Decimal(1) if abs(value) >= 100 else Decimal("0.01"), ROUND_HALF_EVEN)
    before = "-" if value < 0 and size else ("+" if sign and size else "")
    if currency in _SIGNS:
        return f"{before}{_SIGNS[currency]}{size:,}"
    return f"{before}{size:,} {currency}".rstrip()


def change(after: Decimal, before: Decimal) -> str:
    """'+12 %', '-3 %', '12 times as much'; '' when there was nothing before."""
    if before <= 0:
        return ""
    share = (after - before) / before * 100
    if share >= 1000:
        return f"{after / before:,.0f} times as much"
    rounded = share.quantize(Decimal(1), ROUND_HALF_EVEN)
    return f"{rounded:+} %" if rounded else "±0 %"


def on(day: date) -> str:
    """'Tue 10 Nov 2026'."""
    return f"{day:%a} {day.day} {day:%b} {day.year}"


def listed(parts: Iterable[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    words = list(parts)
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""
