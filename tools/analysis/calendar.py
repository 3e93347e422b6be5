"""Calendar: months, quarters and fiscal years as periods, and what is incomplete about a period that ends today."""

from __future__ import annotations

import re
from datetime import date, timedelta

from tools.model.errors import InputError
from tools.model.period import Period
from tools.model.query import Coverage


def fiscal_year(day: date, starts_in: int) -> Period:
    """The fiscal year that holds a day; it begins on the first of the month `starts_in`."""
    year = day.year if day.month >= starts_in else day.year - 1
    return Period(date(year, starts_in, 1), date(year + 1, starts_in, 1))


def fiscal_name(day: date, starts_in: int) -> str:
    """'FY2026': named after the calendar year in which it ends, as accountants do."""
    return f"FY{(fiscal_year(day, starts_in).end - timedelta(days=1)).year}"


def quarter(day: date, starts_in: int = 1) -> Period:
    """The quarter of the fiscal year that holds a day."""
    month = day.month - (day.month - starts_in) % 3
    start = date(day.year if month > 0 else day.year - 1, (month - 1) % 12 + 1, 1)
    return Period(start, _months_later(start, 3))


def quarter_name(day: date, starts_in: int = 1) -> str:
    """'Q2 FY2026', or 'Q2 2026' where the fiscal year is the calendar year."""
    number = (day.month - starts_in) % 12 // 3 + 1
    year = str(day.year) if starts_in == 1 else fiscal_name(day, starts_in)
    return f"Q{number} {year}"


def named(text: str, starts_in: int) -> Period:
    """The period of '2026', '2026-10', '2026-Q4', 'FY2027' or 'FY2027-Q1'; raises InputError for anything else."""
    found = _NAME.fullmatch(text.strip().upper())
    if found is None:
        raise InputError(
            f'"{text}" is not a period.',
            fix="Write it as 2026, 2026-10, 2026-Q4, FY2027, FY2027-Q1, or give --from and --to.",
        )
    year, first = int(found["year"]), starts_in if found["fiscal"] else 1
    # A fiscal year is named after the year in which it ends.
    start = date(year - 1 if found["fiscal"] and first > 1 else year, first, 1)
    if found["month"]:
        if found["fiscal"]:
            raise InputError(f'"{text}" is not a period.', fix="Write a month as 2026-10.")
        return Period(date(year, int(found["month"]), 1), _months_later(date(year, int(found["month"]), 1), 1))
    if found["quarter"]:
        start = _months_later(start, 3 * (int(found["quarter"]) - 1))
        return Period(start, _months_later(start, 3))
    return Period(start, _months_later(start, 12))


_NAME = re.compile(r"(?P<fiscal>FY)?(?P<year>20\d\d)(-(Q(?P<quarter>[1-4])|(?P<month>0[1-9]|1[0-2])))?")


def _months_later(start: date, months: int) -> date:
    count = start.year * 12 + start.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def unfinished(period: Period, coverage: Coverage, today: date) -> str:
    """A sentence when days of a period are not over, not complete or may still change; else ''."""
    if period.end > today:
        return f"{period} is not over: today is {today:%-d %b %Y} (UTC)."
    yesterday = today - timedelta(days=1)
    if yesterday in period and (coverage.complete_to is None or coverage.complete_to <= yesterday):
        return f"Yesterday ({yesterday:%-d %b %Y}) is not complete yet: providers deliver late."
    if coverage.provisional_share:
        return "The last days may still change: providers restate them."
    return ""
