"""Trends: direction with its uncertainty, weekly shape and new levels, in a sentence."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.analysis.world import MONDAY, rhythm, series
from tools.analysis import naming, trends, words
from tools.analysis.costs import Costs
from tools.model.errors import InputError
from tools.model.period import Period


def test_growth_is_a_share_of_the_level_with_a_band() -> None:
    """Ten percent a month is read as ten percent a month."""
    values = [v * (1.1 ** (n / 30)) for n, v in enumerate(rhythm(150, weekend=0.5))]
    found = trends.trend(series(values))
    assert found.direction == "rising"
    assert found.low <= Decimal("0.08") <= found.high or abs(found.per_month - Decimal("0.08")) < Decimal("0.03")
    assert found.weekly > Decimal("0.4")
    assert "rising by" in found.sentence


def test_flat_and_falling() -> None:
    """Noise is no trend; a decline is one."""
    flat = trends.trend(series(rhythm(150, noise=0.05)))
    assert flat.direction == "flat"
    assert "is flat at about $101 a day" in flat.sentence
    falling = trends.trend(series([v * (1 - n / 300) for n, v in enumerate(rhythm(150))]))
    assert falling.direction == "falling"


def test_a_new_level_is_dated() -> None:
    """The day of the step, to a day or two."""
    values = [v * (1.8 if n >= 80 else 1) for n, v in enumerate(rhythm(150))]
    ((day, factor),) = trends.trend(series(values)).changes
    assert abs((day - MONDAY).days - 80) <= 2
    assert float(factor) == pytest.approx(1.8, rel=0.1)


def test_zeros_are_flat_and_short_histories_refused() -> None:
    """No division by zero; three weeks are too few."""
    assert trends.trend(series([0.0] * 60)).direction == "flat"
    with pytest.raises(InputError, match="needs 28 days"):
        trends.trend(series(rhythm(20)))


def test_movers_of_stored_costs(costs: Costs) -> None:
    """Greatest change first, whichever way."""
    end = MONDAY + timedelta(days=100)
    week = Period(end - timedelta(days=7), end)
    table = trends.movers(costs, week, week.previous(), by="service_name", currency="USD", limit=2)
    assert [row[0] for row in table.rows] == ["Compute", "Support"]
    assert table.columns == ("Service", "Cost", "Before", "Change")


@pytest.mark.parametrize(
    ("after", "before", "said"),
    [("112", "100", "+12 %"), ("88", "100", "-12 %"), ("100", "100", "±0 %"), ("2000", "100", "20 times as much"),
     ("5", "0", "")],
)  # fmt: skip
def test_changes_in_words(after: str, before: str, said: str) -> None:
    """Percent up to ten times, then times."""
    assert words.change(Decimal(after), Decimal(before)) == said


def test_money_lists_and_names_in_words() -> None:
    """Large amounts in whole units, unknown currencies behind."""
    assert words.money(Decimal(-5), "EUR") == "-€5.00"
    assert words.money(Decimal("1234.6"), "CHF") == "1,235 CHF"
    assert words.money(Decimal(3), "USD", sign=True) == "+$3.00"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed([]) == ""
    assert naming.named(()) == "all costs"
    assert naming.named((("region_id", "eu"), ("provider", "AWS"))) == "region eu (AWS)"
    keys = (("provider", "AWS"), ("sub_account_id", "100000000003"), ("service_name", "EC2"))
    assert naming.named(keys, {"100000000003": "lumen-data"}) == "EC2 in lumen-data (AWS)"
    assert naming.named((("tag:team", "web"),)) == "team web"
    assert naming.with_id("sub_account_id", "1", {"1": "prod"}) == "prod (1)"


def test_what_moves_most_is_listed_with_its_trend(costs: Costs) -> None:
    """Any combination of dimensions; what began in the second half of the period is new."""
    period = Period(MONDAY + timedelta(days=40), MONDAY + timedelta(days=100))
    found = trends.trending(costs, period, by=("service_name", "tag:team"), limit=3)
    assert len(found) == 3
    new = [one for one in found if one.is_new]
    assert [dict(one.series.keys)["tag:team"] for one in new] == ["web"]
    (whole,) = trends.trending(costs, period, by=())
    assert whole.series.keys == ()
    assert whole.trend.level > 0
    with pytest.raises(InputError, match="A trend needs 28 days"):
        trends.trending(costs, Period(MONDAY, MONDAY + timedelta(days=10)), by=())
    with pytest.raises(InputError, match="No costs are stored"):
        trends.trending(costs, Period(MONDAY - timedelta(days=90), MONDAY - timedelta(days=30)), by=())


def test_movers_of_several_dimensions(costs: Costs) -> None:
    """Each dimension is a column of its own."""
    period = Period(MONDAY + timedelta(days=96), MONDAY + timedelta(days=100))
    table = trends.movers(costs, period, period.previous(), by=("service_name", "tag:team"), currency="USD")
    assert table.columns == ("Service", "Team", "Cost", "Before", "Change")
    assert table.rows[0][:2] == ("Compute", "web")
