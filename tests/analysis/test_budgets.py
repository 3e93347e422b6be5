"""Budgets stand where bills and forecast say, alerts are due once, and what cannot be told is not guessed."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.analysis.test_allocation import apply, loaded
from tests.analysis.world import Line, write_focus
from tools.analysis import budgets, rates
from tools.analysis.costs import Costs
from tools.analysis.forecast import month_end, period_end
from tools.model.budget import FORECAST, Alert, Budget, BudgetPeriod, Standing
from tools.model.errors import InputError, NotFoundError
from tools.model.forecast import Forecast
from tools.model.metric import Metric
from tools.model.period import Period
from tools.model.query import CostQuery, Coverage, Filter, Granularity, Receipt
from tools.store import budgets as store
from tools.store.database import Database

TODAY = date(2026, 4, 15)
NOW = datetime(2026, 4, 15, 8, tzinfo=UTC)
NOTHING = Receipt("", (), 0, None)


def standing(used: str, chance: str = "0", told: Budget | None = None) -> Standing:
    """A budget of 100 of which so much is spent."""
    budget = told or Budget("b", Decimal(100), "USD", revision=1)
    middle = Forecast((), "USD", (), Decimal(90), Decimal(101), Decimal(120), "")
    april = Period(date(2026, 4, 1), date(2026, 5, 1))
    return Standing(budget, april, Decimal(used), middle, Decimal(chance), "", "", NOTHING, Coverage(TODAY))


@pytest.mark.parametrize(
    ("used", "chance", "told", "due"),
    [
        ("49.99", "0.10", (), ()),
        ("50", "0.10", (), ("actual-50",)),
        ("85", "0.10", (), ("actual-80", "actual-50")),
        ("85", "0.10", ("actual-50",), ("actual-80",)),
        ("85", "0.80", ("actual-50", "actual-80"), (FORECAST,)),
        ("85", "0.79", ("actual-50", "actual-80"), ()),
        ("100", "0.99", ("actual-50", "actual-80", FORECAST), ("actual-100",)),
        ("130", "1", (), ("actual-100", "actual-80", "actual-50")),
        ("-5", "0.10", (), ()),
    ],
)
def test_each_level_is_due_once(used: str, chance: str, told: tuple[str, ...], due: tuple[str, ...]) -> None:
    """Reached levels, the highest first; a forecast is news while the budget is not passed."""
    assert budgets.due(standing(used, chance), told) == due


def test_an_alert_by_forecast_can_be_switched_off() -> None:
    """A chance of 0 means never."""
    silent = Budget("b", Decimal(100), "USD", chance=0, levels=())
    assert budgets.due(standing("99", "0.99", silent), ()) == ()


@pytest.mark.parametrize(
    ("kind", "starts_in", "period", "name"),
    [
        (BudgetPeriod.MONTH, 7, ("2026-04-01", "2026-05-01"), "April 2026"),
        (BudgetPeriod.QUARTER, 1, ("2026-04-01", "2026-07-01"), "Q2 2026"),
        (BudgetPeriod.QUARTER, 2, ("2026-02-01", "2026-05-01"), "Q1 FY2027"),
        (BudgetPeriod.FISCAL_YEAR, 7, ("2025-07-01", "2026-07-01"), "FY2026"),
    ],
)
def test_periods_are_those_of_the_fiscal_calendar(
    kind: BudgetPeriod, starts_in: int, period: tuple[str, str], name: str
) -> None:
    """Months are months; quarters and years begin where the fiscal year does."""
    found = budgets.period_of(kind, TODAY, starts_in)
    assert (str(found.start), str(found.end)) == period
    assert budgets.period_name(kind, found, starts_in) == name


def test_a_scope_is_told_in_words() -> None:
    """Tags and who pays by their own names."""
    where = (Filter("allocation:team", ("web", "")), Filter("provider", ("AWS",), True), Filter("tag:env", ("prod",)))
    assert budgets.scope(where) == "team web or (none), provider not AWS, env prod"
    assert budgets.scope(()) == "everything"


def days(*lines: tuple[str, str, str], since: date = date(2026, 1, 1), upto: date = TODAY) -> list[Line]:
    """The same lines every day: (cost, currency, team)."""
    every = [since + timedelta(days=n) for n in range((upto - since).days)]
    return [
        Line(day, "Compute", cost, currency=currency, tags=f'{{"team": "{team}"}}')
        for day in every
        for cost, currency, team in lines
    ]


def test_a_budget_stands_where_bills_and_forecast_say(database: Database, tmp_path: Path) -> None:
    """What is spent so far, what it will come to, and how likely that is too much - of a team by the rules too."""
    costs = loaded(database, write_focus(tmp_path / "a.csv", days(("10", "USD", "web"), ("30", "USD", "data"))))
    month = budgets.standing(costs, Budget("all", Decimal(1100), "USD"), TODAY, starts_in=1)
    assert (month.actual, month.period.end) == (Decimal(560), date(2026, 5, 1))
    assert month.forecast is not None
    assert abs(month.forecast.p50 - 1200) < 20
    assert month.chance is not None
    assert month.chance > Decimal("0.9")
    found = month_end(costs, TODAY)
    assert found is not None
    assert month.forecast == found
    apply(
        database, '[[rules]]\nwhen = { "tag:team" = "data" }\npool = "p"\n[[rules]]\nto = "web"\n[[pools]]\nname = "p"'
    )
    year = Budget("y", Decimal(20000), "USD", BudgetPeriod.FISCAL_YEAR, where=(Filter("allocation", ("web",)),))
    whole = budgets.standing(costs, year, TODAY, starts_in=1)
    assert whole.actual == 40 * 104
    assert whole.forecast is not None
    assert abs(whole.forecast.p50 - 40 * 365) < 200
    nobody = replace(year, where=(Filter("allocation:tribe", ("web",)),))
    assert "no allocation rules called" in budgets.standing(costs, nobody, TODAY, starts_in=1).problem


def test_a_budget_that_is_passed_is_certainly_passed(database: Database, tmp_path: Path) -> None:
    """Whatever the forecast says."""
    costs = loaded(database, write_focus(tmp_path / "a.csv", days(("10", "USD", "web"))))
    passed = budgets.standing(costs, Budget("b", Decimal(50), "USD"), TODAY, starts_in=1)
    assert (passed.chance, passed.used) == (Decimal(1), Decimal("2.8"))


def test_too_little_or_too_old_history_is_told(database: Database, tmp_path: Path) -> None:
    """What is spent is known all the same; a forecast is not made up."""
    short = days(("10", "USD", "web"), since=date(2026, 4, 8))
    costs = loaded(database, write_focus(tmp_path / "a.csv", short))
    found = budgets.standing(costs, Budget("b", Decimal(100), "USD"), TODAY, starts_in=1)
    assert (found.actual, found.forecast, found.problem) == (Decimal(70), None, "")
    assert "14 complete days" in found.no_forecast
    late = budgets.standing(costs, Budget("b", Decimal(100), "USD"), date(2026, 6, 15), starts_in=1)
    assert (late.actual, late.forecast) == (Decimal(0), None)
    assert late.no_forecast


def test_old_data_and_costs_that_never_were(database: Database, tmp_path: Path) -> None:
    """Each has its own reason."""
    costs = loaded(database, write_focus(tmp_path / "a.csv", days(("10", "USD", "web"))))
    april = Period(date(2026, 4, 1), date(2026, 5, 1))
    with pytest.raises(InputError, match="Costs are stored up to Tue 14 Apr 2026 only"):
        period_end(costs, april, date(2026, 6, 15), currency="USD")
    assert period_end(costs, april, TODAY, currency="EUR") is None
    elsewhere = Budget("b", Decimal(100), "USD", where=(Filter("tag:team", ("ghost",)),))
    assert budgets.standing(costs, elsewhere, TODAY, starts_in=1).no_forecast == "No cost has fitted it yet."


@pytest.fixture
def two_currencies(database: Database, tmp_path: Path) -> Costs:
    return loaded(database, write_focus(tmp_path / "a.csv", days(("10", "USD", "web"), ("20", "EUR", "web"))))


def quoted(path: Path, upto: date) -> rates.Rates:
    """One euro is two dollars, on every Monday up to a day."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("date", "from", "to", "rate"))
        day = date(2025, 12, 29)
        while day < upto:
            writer.writerow((day, "EUR", "USD", "2"))
            day += timedelta(days=7)
    return rates.load(path)


def test_two_currencies_are_never_added_silently(two_currencies: Costs, tmp_path: Path) -> None:
    """Without a rate it says which one is missing; with rates each day counts at its own, in the forecast as well."""
    budget = Budget("b", Decimal(1000), "USD")
    bare = budgets.standing(two_currencies, budget, TODAY, starts_in=1)
    assert (bare.actual, bare.chance) == (None, None)
    assert bare.problem.startswith(
        "Costs in EUR are part of it, and there are no exchange rates to USD (OPTIINFRA_RATES"
    )
    broken = budgets.standing(two_currencies, budget, TODAY, starts_in=1, no_rates="Line 3 of rates.csv is bad.")
    assert "(Line 3 of rates.csv is bad.)" in broken.problem
    known = quoted(tmp_path / "rates.csv", TODAY)
    whole = budgets.standing(two_currencies, budget, TODAY, starts_in=1, rates=known)
    assert whole.actual == 14 * 50
    assert whole.forecast is not None
    assert abs(whole.forecast.p50 - 1500) < 30
    gap = budgets.standing(
        two_currencies, budget, TODAY, starts_in=1, rates=quoted(tmp_path / "old.csv", date(2026, 3, 1))
    )
    assert "There is no exchange rate from EUR to USD for 2026-04-" in gap.problem
    only = budgets.standing(two_currencies, replace(budget, where=(Filter("currency", ("USD",)),)), TODAY, starts_in=1)
    assert only.actual == 140


def test_costs_in_one_currency_are_costs(two_currencies: Costs, tmp_path: Path) -> None:
    """Tables, series and currencies of the converted view agree."""
    view = rates.ReportingCosts(
        two_currencies.database, "default", two_currencies.tag_keys, 0, quoted(tmp_path / "rates.csv", TODAY), "USD"
    )
    query = CostQuery(Period(date(2026, 4, 1), TODAY), by=("tag:team",), granularity=Granularity.DAY)
    (series,) = view.series(query)
    assert sum(series.values) == 700
    assert view.table(query).totals == (("USD", Decimal(700)),)
    assert view.currencies() == ("USD",)


def test_a_missing_price_is_no_zero(database: Database, tmp_path: Path) -> None:
    """The list cost of a bill without list prices is unknown, and so is how the budget stands."""
    from tests.analysis.test_allocation import filled, row

    costs = filled(database, tmp_path, row("5", ListCost=""))
    budget = Budget("b", Decimal(100), "USD", metric=Metric.LIST)
    found = budgets.standing(costs, budget, date(2026, 10, 20), starts_in=1)
    assert (found.actual, found.problem) == (None, "The list cost is unknown: a price is missing in the bill.")


@pytest.mark.stores
def test_budgets_and_alerts_are_kept(database: Database) -> None:
    """Set anew is the next revision, whose alerts may be told again; a removed one is not listed."""
    where = (Filter("allocation:team", ("web",)), Filter("provider", ("AWS",), True))
    wanted = Budget("web", Decimal("1000.50"), "EUR", BudgetPeriod.QUARTER, Metric.EFFECTIVE, where, (80,), 0, "C1")
    with database.begin() as tx:
        first = store.save(tx, "default", wanted, actor="ben@x", now=NOW)
    assert first == replace(wanted, revision=1, actor="ben@x", set_at=NOW)
    alert = budgets.alert(standing("85", "0.9", first), "actual-80", NOW)
    with database.begin() as tx:
        assert store.note(tx, "default", alert)
        assert not store.note(tx, "default", alert)
        assert store.told(tx, "default", first, alert.period.start) == {"actual-80"}
        second = store.save(tx, "default", replace(wanted, amount=Decimal(9)), actor="ana@x", now=NOW)
        assert (second.revision, second.amount) == (2, 9)
        assert store.told(tx, "default", second, alert.period.start) == frozenset()
    with database.read() as tx:
        assert store.alert(tx, "default", alert.subject) == alert
        assert isinstance(store.alert(tx, "default", alert.subject), Alert)
        assert store.alert(tx, "default", alert.subject.replace("80", "50")) is None
        assert store.alerts_of(tx, "default", "web") == store.alerts_of(tx, "default") == (alert,)
    with database.begin() as tx:
        store.remove(tx, "default", "web")
        assert store.listing(tx, "default") == ()
        with pytest.raises(NotFoundError, match="There is no budget web"):
            store.remove(tx, "default", "web")
        assert store.save(tx, "default", wanted, actor="ben@x", now=NOW).revision == 3


def test_the_strictest_budget_of_everything_is_the_one() -> None:
    """Only of everything, of that period and currency, and of what is billed."""
    every = [
        Budget("a", Decimal(9), "USD"),
        Budget("b", Decimal(5), "USD"),
        Budget("c", Decimal(1), "EUR"),
        Budget("d", Decimal(1), "USD", BudgetPeriod.QUARTER),
        Budget("e", Decimal(1), "USD", metric=Metric.EFFECTIVE),
        Budget("f", Decimal(1), "USD", where=(Filter("provider", ("AWS",)),)),
    ]
    found = budgets.of_everything(every, BudgetPeriod.MONTH, "USD")
    assert found is not None
    assert found.name == "b"
    assert budgets.of_everything((), BudgetPeriod.MONTH, "USD") is None
