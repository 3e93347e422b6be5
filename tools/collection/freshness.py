"""Freshness: up to which day cost data is complete, what may still change, and which account is silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tools.model.period import Period
from tools.model.query import Coverage
from tools.store.loads import LedgerLine

# An account this much behind the others is told, and does not hold the rest back.
_BEHIND = timedelta(days=7)
# One that has been silent longer is closed, and no longer news.
_CLOSED = timedelta(days=60)
_NO_DATA = "no cost data has been loaded"


@dataclass(frozen=True, slots=True)
class _Account:
    provider: str
    id: str
    first_day: date
    last_day: date

    def __str__(self) -> str:
        return f"{self.provider} {self.id}"


def span(lines: Sequence[LedgerLine]) -> Period | None:
    """First to last day with charges."""
    if not lines:
        return None
    return Period(min(x.first_day for x in lines), max(x.last_day for x in lines) + timedelta(days=1))


def cover(lines: Sequence[LedgerLine], period: Period | None, provisional_days: int) -> Coverage:
    """What stands loaded, seen from one period (or from all of it)."""
    whole = span(lines)
    if whole is None:
        return Coverage(None, Decimal(0), (_NO_DATA,))
    accounts = _accounts(lines)
    newest = whole.end - timedelta(days=1)
    reporting = [a for a in accounts if newest - a.last_day <= _BEHIND]
    complete_to = min(a.last_day for a in reporting) + timedelta(days=1)
    asked = period or whole
    missing = [*_outside(asked, whole, complete_to), *_silent(accounts, newest, asked)]
    return Coverage(complete_to, _provisional(asked, complete_to, provisional_days), tuple(missing))


def _accounts(lines: Sequence[LedgerLine]) -> list[_Account]:
    found: dict[tuple[str, str], _Account] = {}
    for line in lines:
        key = (line.partition.provider, line.partition.billing_account_id)
        known = found.get(key)
        first = line.first_day if known is None else min(known.first_day, line.first_day)
        last = line.last_day if known is None else max(known.last_day, line.last_day)
        found[key] = _Account(*key, first, last)
    return [found[key] for key in sorted(found)]


def _outside(asked: Period, whole: Period, complete_to: date) -> list[str]:
    if asked.end <= whole.start or asked.start >= whole.end:
        return [f"no cost data for these days: it runs from {whole}"]
    told = []
    if asked.start < whole.start:
        told.append(f"no cost data before {whole.start}")
    if asked.end > complete_to:
        told.append(f"cost data is complete up to {complete_to - timedelta(days=1)} only")
    return told


def _silent(accounts: Sequence[_Account], newest: date, asked: Period) -> list[str]:
    return [
        f"{a}: nothing after {a.last_day}"
        for a in accounts
        if _BEHIND < newest - a.last_day <= _CLOSED and asked.end > a.last_day + timedelta(days=1)
    ]


def _provisional(asked: Period, complete_to: date, provisional_days: int) -> Decimal:
    settled_to = complete_to - timedelta(days=provisional_days)
    open_days = (asked.end - max(asked.start, min(settled_to, asked.end))).days
    return (Decimal(open_days) / asked.days).quantize(Decimal("0.0001"))
