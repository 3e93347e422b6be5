"""Trends: direction with its uncertainty, weekly shape and new levels, in a sentence."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.analysis.world import MONDAY, rhythm, series
from tools.analysis import trends, words
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
    assert words.named(()) == "all costs"
    assert words.named((("region_id", "eu"), ("provider", "AWS"))) == "eu (AWS)"
