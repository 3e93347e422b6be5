"""Exchange rates as drivers: bills in two currencies, told in one, with what the rates did by itself."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.analysis.world import MONDAY, Line, load, write_focus
from tools.analysis import drivers, fx, rates
from tools.analysis.costs import Costs
from tools.analysis.numbers import total
from tools.model.errors import InputError
from tools.model.period import Period
from tools.store.database import Database

WEEK = timedelta(days=7)
FIRST, SECOND = Period(MONDAY, MONDAY + WEEK), Period(MONDAY + WEEK, MONDAY + 2 * WEEK)


@pytest.fixture
def costs(database: Database, tmp_path: Path) -> Costs:
    lines = []
    for n in range(14):
        day = MONDAY + timedelta(days=n)
        lines.append(Line(day, "Compute", "100" if n < 7 else "130"))
        lines.append(Line(day, "Machines", "200.01", provider="Microsoft", currency="EUR", account="sub"))
    return load(database, write_focus(tmp_path / "bill.csv", lines))


@pytest.fixture
def quoted(tmp_path: Path) -> rates.Rates:
    path = tmp_path / "rates.csv"
    days = "".join(f"{MONDAY + timedelta(days=n)},EUR,USD,{'1.10' if n < 7 else '1.21'}\n" for n in range(14))
    path.write_text("date,from,to,rate\n" + days, encoding="utf-8")
    return rates.load(path)


def test_the_rate_is_a_driver_beside_usage_and_all_parts_add_up(costs: Costs, quoted: rates.Rates) -> None:
    """Compute rose by 210 dollars; the euro by a tenth, on 1,400.07 euros."""
    tree = fx.explain(costs, SECOND, FIRST, rates=quoted, currency="USD")
    by_kind = {d.kind: d.contribution for d in tree.drivers}
    assert by_kind["usage"] == Decimal(210)
    assert by_kind["fx"] == Decimal("154.0077")
    assert total([*(d.contribution for d in tree.drivers), tree.other]) == tree.change
    assert tree.other == 0
    (rate,) = [d for d in tree.drivers if d.kind == "fx"]
    assert drivers.in_words(rate, "USD") == "the exchange rate of EUR (+$154)"


def test_a_currency_without_bills_before_takes_the_last_days_rate(costs: Costs, quoted: rates.Rates) -> None:
    """Everything in a new currency is new, and its rate did nothing to speak of."""
    tree = fx.explain(costs, FIRST, FIRST.previous(), rates=_with_earlier(quoted), currency="USD")
    assert total([*(d.contribution for d in tree.drivers), tree.other]) == tree.change
    assert {d.kind for d in tree.drivers} <= {"new", "fx"}


def _with_earlier(quoted: rates.Rates) -> rates.Rates:
    from dataclasses import replace

    ((pair, days),) = quoted._quoted.items()
    return replace(quoted, _quoted={pair: ((MONDAY - timedelta(days=1), Decimal("1.1")), *days)})


def test_days_without_costs_are_refused(costs: Costs, quoted: rates.Rates) -> None:
    """Nothing stored is said, not explained."""
    far = Period(MONDAY + 50 * WEEK, MONDAY + 51 * WEEK)
    with pytest.raises(InputError, match="No costs are stored"):
        fx.explain(costs, far, far.previous(), rates=quoted, currency="USD")
