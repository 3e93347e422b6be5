"""Quarters and fiscal years lie where a company puts them, and a period that is not over says so."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from tools.analysis import calendar
from tools.model.errors import InputError
from tools.model.period import Period
from tools.model.query import Coverage

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("day", "starts_in", "year", "name", "quarter", "quarter_name"),
    [
        (date(2026, 11, 25), 1, "2026-01-01 2027-01-01", "FY2026", "2026-10-01 2027-01-01", "Q4 2026"),
        (date(2026, 11, 25), 10, "2026-10-01 2027-10-01", "FY2027", "2026-10-01 2027-01-01", "Q1 FY2027"),
        (date(2026, 3, 31), 4, "2025-04-01 2026-04-01", "FY2026", "2026-01-01 2026-04-01", "Q4 FY2026"),
        (date(2026, 1, 15), 2, "2025-02-01 2026-02-01", "FY2026", "2025-11-01 2026-02-01", "Q4 FY2026"),
        (date(2024, 2, 29), 3, "2023-03-01 2024-03-01", "FY2024", "2023-12-01 2024-03-01", "Q4 FY2024"),
        (date(2026, 12, 31), 12, "2026-12-01 2027-12-01", "FY2027", "2026-12-01 2027-03-01", "Q1 FY2027"),
    ],
)
def test_fiscal_years_and_quarters(
    day: date, starts_in: int, year: str, name: str, quarter: str, quarter_name: str
) -> None:
    """They are named after the year in which they end."""
    found = calendar.fiscal_year(day, starts_in)
    assert f"{found.start} {found.end}" == year
    assert calendar.fiscal_name(day, starts_in) == name
    found = calendar.quarter(day, starts_in)
    assert f"{found.start} {found.end}" == quarter
    assert calendar.quarter_name(day, starts_in) == quarter_name


@pytest.mark.parametrize(
    ("text", "starts_in", "period"),
    [
        ("2026", 4, "2026-01-01 2027-01-01"),
        ("2026-02", 4, "2026-02-01 2026-03-01"),
        ("2026-q4", 4, "2026-10-01 2027-01-01"),
        ("FY2027", 10, "2026-10-01 2027-10-01"),
        ("fy2027-Q1", 10, "2026-10-01 2027-01-01"),
        ("FY2026", 1, "2026-01-01 2027-01-01"),
    ],
)
def test_a_period_has_a_name(text: str, starts_in: int, period: str) -> None:
    """What is written is what `fiscal_name` and `quarter_name` call it."""
    found = calendar.named(text, starts_in)
    assert f"{found.start} {found.end}" == period


@pytest.mark.parametrize("text", ["", "last month", "2026-13", "2026-Q5", "FY2026-03", "1999", "26-Q1"])
def test_what_is_no_period_is_told(text: str) -> None:
    """With what could be written instead."""
    with pytest.raises(InputError, match="is not a period"):
        calendar.named(text, 4)


def test_every_day_lies_in_its_quarter_and_four_quarters_are_a_year() -> None:
    """Whatever the month in which the year begins."""
    for starts_in in range(1, 13):
        year = calendar.fiscal_year(TODAY, starts_in)
        quarters = sorted({calendar.quarter(day, starts_in) for day in year})
        assert [q.start for q in quarters[1:]] == [q.end for q in quarters[:-1]]
        assert (quarters[0].start, quarters[-1].end, len(quarters)) == (year.start, year.end, 4)


@pytest.mark.parametrize(
    ("period", "coverage", "words"),
    [
        (Period(date(2026, 11, 1), date(2026, 12, 1)), Coverage(TODAY), "is not over"),
        (Period(date(2026, 11, 24), TODAY), Coverage(date(2026, 11, 24)), "Yesterday (24 Nov 2026) is not complete"),
        (Period(date(2026, 11, 24), TODAY), Coverage(None), "Yesterday"),
        (Period(date(2026, 11, 20), date(2026, 11, 24)), Coverage(TODAY, Decimal("0.5")), "may still change"),
        (Period(date(2026, 9, 1), date(2026, 10, 1)), Coverage(TODAY), ""),
    ],
)
def test_what_is_unfinished_is_told(period: Period, coverage: Coverage, words: str) -> None:
    """Days to come, yesterday before the providers delivered, and days that are still restated."""
    told = calendar.unfinished(period, coverage, TODAY)
    assert words in told
    assert bool(told) == bool(words)
