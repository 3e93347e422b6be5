"""Forecasts: the rhythm goes on, charges of the month come, parts add up, and bands are honest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.analysis.world import MONDAY, Line, load, rhythm, series, story, write_focus
from tools.analysis import budgets, forecast, outlook
from tools.analysis.costs import Costs
from tools.analysis.numbers import matrix, total
from tools.model.errors import InputError
from tools.model.forecast import Forecast
from tools.model.query import Metric
from tools.store.database import Database

TODAY = MONDAY + timedelta(days=100)


def test_the_week_goes_on() -> None:
    """Weekends stay cheap, the level stays."""
    (one,) = forecast.of_series([series(rhythm(140, weekend=0.4))], days=14)
    weekend = [float(p.p50) for p in one.points if p.day.weekday() >= 5]
    week = [float(p.p50) for p in one.points if p.day.weekday() < 5]
    assert week == pytest.approx([100] * 10, rel=0.05)
    assert weekend == pytest.approx([40] * 4, rel=0.08)
    assert one.p10 < one.p50 < one.p90
    assert one.p50 == total(p.p50 for p in one.points)


def test_a_charge_of_the_month_is_in_the_forecast() -> None:
    """Support on the first of each month comes again."""
    values = rhythm(150)
    start = MONDAY
    for n in range(150):
        if (start + timedelta(days=n)).day == 1:
            values[n] += 900
    (one,) = forecast.of_series([series(values)], days=40)
    by_day = {p.day: float(p.p50) for p in one.points}
    firsts = [cost for day, cost in by_day.items() if day.day == 1]
    assert firsts == pytest.approx([1000] * len(firsts), rel=0.1)
    assert len(firsts) >= 1


def test_a_new_level_is_forecast_not_the_old_one() -> None:
    """Three weeks after a doubling the forecast is at the new level."""
    values = [v * (2 if n >= 120 else 1) for n, v in enumerate(rhythm(145))]
    (one,) = forecast.of_series([series(values)], days=30)
    assert float(one.p50) == pytest.approx(30 * 200, rel=0.12)


def test_bands_hold_about_eight_times_in_ten() -> None:
    """The band of the total, over many noisy series and three origins."""
    import numpy as np

    from tests.bench.series import world

    hits = []
    made = world(seed=31, series=60, days=330, events=False)
    for cut in (240, 270, 300):
        shape = outlook.project(made.values[:, :cut], made.start, 30)
        told, came = shape.days.sum(axis=1), made.values[:, cut : cut + 30].sum(axis=1)
        hits += list((came >= told * shape.low) & (came <= told * shape.high))
    assert 0.65 <= np.mean(hits) <= 0.95


@pytest.mark.parametrize("days", [0, 400])
def test_impossible_horizons_are_refused(days: int) -> None:
    """A sentence, not a crash."""
    with pytest.raises(InputError, match="not possible"):
        forecast.of_series([series(rhythm(60))], days=days)


def test_too_little_history_is_refused_politely(database: Database, tmp_path: Path) -> None:
    """Ten days are no basis; the sentence says how many are needed."""
    with pytest.raises(InputError, match="needs 14 days"):
        forecast.of_series([series(rhythm(10))], days=30)
    with pytest.raises(InputError, match="No costs are stored yet"):
        forecast.forecast(Costs(database, "default", (), 0), today=TODAY)
    costs = load(database, write_focus(tmp_path / "bill.csv", story(10)))
    with pytest.raises(InputError, match="needs 14 complete days of cost; 10 are stored"):
        forecast.forecast(costs, today=MONDAY + timedelta(days=10))
    assert forecast.month_end(costs, MONDAY + timedelta(days=10)) is None


def test_parts_add_up_to_the_total_and_to_other_parts(costs: Costs) -> None:
    """By service, by account or in one: the same money."""
    (whole,) = forecast.forecast(costs, today=TODAY)
    by_service = forecast.forecast(costs, by=("service_name",), today=TODAY)
    by_account = forecast.forecast(costs, by=("sub_account_id",), today=TODAY)
    for parts in (by_service, by_account):
        assert float(total(p.p50 for p in parts)) == pytest.approx(float(whole.p50), abs=0.01)
    assert by_service[0].keys == (("service_name", "Compute"),)
    assert whole.points[0].day == TODAY
    assert len(whole.points) == 30


def test_days_that_are_not_in_yet_are_forecast_but_not_counted(costs: Costs) -> None:
    """Data that ends two days ago still gives a forecast from today on."""
    costs = replace(costs, provisional_days=2)
    (whole,) = forecast.forecast(costs, today=TODAY, days=7)
    assert whole.points[0].day == TODAY
    (old,) = forecast.forecast(costs, today=TODAY + timedelta(days=90), days=7)
    assert old.points[0].day == TODAY


def test_nothing_fits_the_question(costs: Costs) -> None:
    """A filter without costs is said."""
    from tools.model.query import Filter

    with pytest.raises(InputError, match="fit the question"):
        forecast.forecast(costs, today=TODAY, where=(Filter("service_name", ("Nothing",)),))


def test_the_month_end_is_known_days_plus_the_rest(database: Database, tmp_path: Path) -> None:
    """Thirteen days of April are known; the band narrows to nothing when the month is over."""
    lines = [Line(MONDAY + timedelta(days=n), "Compute", "100") for n in range(100)]
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    april = forecast.month_end(costs, TODAY, metric=Metric.BILLED)
    assert april is not None
    assert TODAY.month == 4
    assert float(april.p50) == pytest.approx(3000, rel=0.03)
    assert april.p10 <= april.p50 <= april.p90
    assert "in the 14 days known" in april.basis
    over = forecast.month_end(costs, TODAY, currency="EUR")
    assert over is None


def test_a_month_that_is_over_is_known(database: Database, tmp_path: Path) -> None:
    """Old data that ends with a month has nothing left to guess."""
    lines = [Line(MONDAY + timedelta(days=n), "Compute", "10") for n in range(27 + 28)]
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    february = forecast.month_end(costs, TODAY + timedelta(days=200))
    assert february is not None
    assert (february.p10, february.p50, february.p90) == (Decimal(280), Decimal(280), Decimal(280))


def _guess(p10: int, p50: int, p90: int) -> Forecast:
    return Forecast((), "USD", (), Decimal(p10), Decimal(p50), Decimal(p90), "")


def test_the_chance_of_passing_a_budget() -> None:
    """At the middle it is even; at the P90 one in ten; a certain month is certain."""
    guess = _guess(900, 1000, 1200)
    assert budgets.chance_of_passing(guess, Decimal(1000)) == Decimal("0.50")
    assert budgets.chance_of_passing(guess, Decimal(1200)) == Decimal("0.10")
    assert budgets.chance_of_passing(guess, Decimal(900)) == Decimal("0.90")
    assert budgets.chance_of_passing(_guess(5, 5, 5), Decimal(4)) == 1
    assert budgets.chance_of_passing(_guess(5, 5, 6), Decimal(4)) == 1
    assert budgets.in_words(guess, Decimal(800)) == "Budget $800: likely passed by $200 (99 % chance)."
    assert (
        budgets.in_words(guess, Decimal(1200)) == "Budget $1,200: $200 left at month end (10 % chance of passing it)."
    )


@pytest.mark.parametrize("values", [[0.0] * 60, [1e12] * 60, [0.0] * 59 + [5.0], [-3.0] * 60, rhythm(15)])
def test_odd_series_give_finite_forecasts(values: list[float]) -> None:
    """Zeros, huge and negative amounts and two weeks of history."""
    import numpy as np

    shape = outlook.project(*matrix([series(values)]), 30)
    for found in (shape.days, shape.low, shape.high, shape.noise):
        assert np.isfinite(found).all()
    assert (shape.days >= 0).all()


def test_beyond_a_hundred_parts_the_rest_is_one() -> None:
    """Nothing is lost when there are more parts than are forecast one by one."""
    many = [series([1.0 + n] * 30, service=f"s{n:03d}") for n in range(130)]
    kept = forecast._largest(many)
    assert len(kept) == forecast.MOST_PARTS + 1
    assert total(v for s in kept for v in s.values) == total(v for s in many for v in s.values)
