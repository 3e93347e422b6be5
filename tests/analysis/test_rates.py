"""Costs in another currency: at the rate of each day, never by guess, and the rate's part of a change stands alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collection.bills import TAG_KEYS, bill, filled
from tools.analysis import rates
from tools.analysis.costs import Costs
from tools.model.errors import InputError
from tools.model.period import Period
from tools.model.query import CostQuery, Filter, Granularity, Metric

OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
EARLY, LATE = Period(date(2026, 10, 1), date(2026, 10, 10)), Period(date(2026, 10, 10), date(2026, 10, 19))


def _rates(path: Path, *lines: str, header: str = "date,from,to,rate") -> rates.Rates:
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return rates.load(path)


def _row(day: int, currency: str, cost: str, **more: str) -> dict[str, str]:
    when = {"ChargePeriodStart": f"2026-10-{day:02}T00:00:00Z", "ChargePeriodEnd": ""}
    return {"BillingCurrency": currency, "BilledCost": cost, **when, **more}


@pytest.fixture(scope="module")
def costs(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Costs]:
    """Three days of two currencies; nobody changes them."""
    folder = tmp_path_factory.mktemp("currencies")
    rows = [
        _row(2, "EUR", "100"),
        _row(12, "EUR", "120", ServiceName="EC2"),
        _row(2, "USD", "11", ListCost=""),
    ]
    with filled(sqlite_template, folder, bill(folder / "a.csv", *rows)) as (database, _):
        yield Costs(database, "default", TAG_KEYS, 2)


def test_each_day_has_its_own_rate(costs: Costs, tmp_path: Path) -> None:
    """A weekend takes Friday's; a rate may be given the other way round; the receipt is that of the native costs."""
    quoted = _rates(tmp_path / "r.csv", "2026-10-01,EUR,USD,1.10", "2026-10-12,EUR,USD,1.25", "2026-09-01,USD,JPY,150")
    answer = rates.table(costs, CostQuery(OCTOBER, by=("service_name",)), quoted, "USD")
    assert [(r.keys[0], r.cost) for r in answer.rows] == [("EC2", Decimal(150)), ("Amazon S3", Decimal(121))]
    assert answer.totals == (("USD", Decimal(271)),)
    assert answer.receipt.rows == 3
    turned = rates.table(costs, CostQuery(OCTOBER, where=(Filter("currency", ("USD",)),)), quoted, "EUR")
    assert turned.totals == (("EUR", Decimal(10)),)
    monthly = rates.table(
        costs, CostQuery(OCTOBER, granularity=Granularity.MONTH, by=("currency",), limit=1), quoted, "USD"
    )
    assert [(r.start, r.cost) for r in monthly.rows] == [(OCTOBER.start, Decimal(260))]
    assert monthly.truncated == 1


def test_a_rate_that_nobody_told_is_not_guessed(costs: Costs, tmp_path: Path) -> None:
    """More than a week without a quote, or another pair: the day and the currencies are named."""
    quoted = _rates(tmp_path / "r.csv", "2026-10-02,EUR,USD,1.10")
    with pytest.raises(InputError, match="no exchange rate from EUR to USD for 2026-10-12"):
        rates.table(costs, CostQuery(OCTOBER), quoted, "USD")
    with pytest.raises(InputError, match="from EUR to CHF"):
        rates.table(costs, CostQuery(EARLY), quoted, "CHF")


def test_unknown_stays_unknown_in_every_currency(costs: Costs, tmp_path: Path) -> None:
    """A missing price is not turned into 0 by a rate."""
    quoted = _rates(tmp_path / "r.csv", "2026-10-02,EUR,USD,1.10", "2026-10-12,EUR,USD,1.10")
    answer = rates.table(costs, CostQuery(OCTOBER, metric=Metric.LIST), quoted, "USD")
    assert answer.totals == (("USD", None),)


def test_what_the_rate_did_is_told_apart_from_what_cost_did(costs: Costs, tmp_path: Path) -> None:
    """100 EUR at 1.10, then 120 EUR at 1.25: 40 more dollars, of which 22 are more use and 18 the rate."""
    quoted = _rates(tmp_path / "r.csv", "2026-10-02,EUR,USD,1.10", "2026-10-12,EUR,USD,1.25")
    euros = (Filter("currency", ("EUR",)),)
    native = [costs.table(CostQuery(period, where=euros)) for period in (EARLY, LATE)]
    turned = [rates.table(costs, CostQuery(period, where=euros), quoted, "USD") for period in (EARLY, LATE)]
    change = rates.effect(turned[0], turned[1], native[0], native[1])
    assert (change.total, change.of_cost, change.of_rates) == (Decimal(40), Decimal(22), Decimal(18))
    both = [costs.table(CostQuery(period)) for period in (EARLY, LATE)]
    with pytest.raises(InputError, match="one currency at a time"):
        rates.effect(turned[0], turned[1], both[0], both[1])


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["yesterday,EUR,USD,1"], "Line 2"),
        (["2026-10-01,EUR,USD,1,1", "x"], "Line 2"),
        (["2026-10-01,EUR,USD,NaN"], "Line 2"),
        (["2026-10-01,EUR,USD,-1"], "Line 2"),
        (["2026-10-01,EURO,USD,1"], "Line 2"),
        (["2026-10-01,EUR,USD,1", "2026-10-01,EUR,USD,2"], "Line 3 .* second rate"),
    ],
)
def test_a_line_that_is_no_rate_is_named(tmp_path: Path, lines: list[str], sentence: str) -> None:
    """With its number."""
    with pytest.raises(InputError, match=sentence):
        _rates(tmp_path / "r.csv", *lines)


def test_a_file_that_is_no_list_of_rates_is_named(tmp_path: Path) -> None:
    """Other columns, or no file."""
    with pytest.raises(InputError, match="needs the columns date, from, to, rate"):
        _rates(tmp_path / "r.csv", header="day,rate")
    with pytest.raises(InputError, match="cannot be read"):
        rates.load(tmp_path / "none.csv")
