"""Fiscal years and reporting currencies in words: what is read, and what the answer then counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from agent.planner import currencies, periods, vocabulary
from agent.planner.plan import Plan
from agent.planner.reading import read
from tools.model.period import Period

TODAY = date(2026, 11, 23)
NAMES = vocabulary.build(
    lambda name: ("AWS",) if name == "provider" else (), ("team",), Period(date(2025, 1, 1), TODAY), fiscal_start=2
)


def _days(text: str, *, starts_in: int = 2, ahead: bool = False) -> list[str]:
    found = periods.find(text, TODAY, fiscal_start=starts_in, ahead=ahead)
    return [f"{m.period.start}..{m.period.end}" for m in found]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("cost this fiscal quarter", "2026-11-01..2026-11-24"),
        ("cost last fiscal quarter", "2026-08-01..2026-11-01"),
        ("cost in the last fiscal year", "2025-02-01..2026-02-01"),
        ("cost this fiscal year to date", "2026-02-01..2026-11-24"),
        ("cost fytd", "2026-02-01..2026-11-24"),
        ("cost in fiscal year to date", "2026-02-01..2026-11-24"),
        ("cost in fy26", "2025-02-01..2026-02-01"),
        ("cost in FY2026".lower(), "2025-02-01..2026-02-01"),
        ("cost in fy 27", "2026-02-01..2026-11-24"),
        ("cost in q1 fy27", "2026-02-01..2026-05-01"),
        ("cost for fy27-q2", "2026-05-01..2026-08-01"),
        ("cost for q3 of fiscal year 2027", "2026-08-01..2026-11-01"),
        ("cost in fiscal q4", "2026-11-01..2026-11-24"),
        ("cost in financial quarter 1", "2026-02-01..2026-05-01"),
    ],
)
def test_a_fiscal_period_is_read_by_the_configured_start(text: str, days: str) -> None:
    """The fiscal year begins in February here and is named after the year in which it ends."""
    assert _days(text) == [days]


def test_fiscal_words_beside_others() -> None:
    """Calendar words keep their meaning, two fiscal periods are two, and the reading says what was read."""
    assert _days("cost this quarter") == ["2026-10-01..2026-11-24"]
    assert _days("fy26 vs fy25") == ["2025-02-01..2026-02-01", "2024-02-01..2025-02-01"]
    assert _days("cost next fiscal quarter", ahead=True) == ["2027-02-01..2027-05-01"]
    assert _days("cost in fy26", starts_in=1) == ["2026-01-01..2026-11-24"]
    (mention,) = periods.find("this fiscal quarter", TODAY, fiscal_start=2)
    assert mention.assumption == ('"this fiscal quarter" is Q4 FY2027, 1 Nov 2026 - 31 Jan 2027, counted up to today')


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("what did we spend in euros last month", "EUR"),
        ("cost in eur", "EUR"),
        ("cost as usd", "USD"),
        ("cost in us dollars", "USD"),
        ("cost in £", "GBP"),
        ("convert cost to swiss francs", "CHF"),
        ("cost in japan", ""),
        ("cost in $5 steps", ""),
        ("cost in europe", ""),
    ],
)
def test_a_currency_is_read_where_it_is_asked_for(text: str, code: str) -> None:
    """And nowhere else."""
    assert currencies.find(text)[0] == code


def _plan(text: str, previous: Plan | None = None) -> Plan:
    plan = read(text, TODAY, NAMES, previous).plan
    assert plan is not None
    return plan


def test_a_question_carries_both_into_its_plan() -> None:
    """With a follow-up that changes only the currency."""
    plan = _plan("What did we spend on AWS in FY26 in euros?")
    assert (plan.tool, plan.args["start"], plan.args["end"]) == ("query_costs", "2025-02-01", "2026-02-01")
    assert (plan.args["currency"], plan.args["where"]) == ("EUR", {"provider": ["AWS"]})
    assert "FY2026" in " ".join(plan.assumptions)
    assert not any("not used" in a for a in plan.assumptions)
    again = _plan("and in pounds?", plan)
    assert (again.args["currency"], again.args["start"]) == ("GBP", "2025-02-01")


def test_a_calendar_year_that_is_the_fiscal_one() -> None:
    """Without a setting fiscal and calendar years are the same."""
    names = replace(NAMES, fiscal_start=1)
    plan = read("cost per provider this fiscal year", TODAY, names).plan
    assert plan is not None
    assert (plan.args["start"], plan.args["end"]) == ("2026-01-01", "2026-11-24")
