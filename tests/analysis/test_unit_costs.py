"""Unit costs: people's own numbers come in strictly, and only whole days are divided by them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.analysis.test_allocation import KEYS, apply, filled, loaded, row
from tests.analysis.world import Line, write_focus
from tools.analysis import unit_costs
from tools.analysis.costs import Costs
from tools.analysis.rates import Rates
from tools.model.errors import InputError
from tools.model.period import Period
from tools.model.query import Filter, Granularity, Metric
from tools.model.unit import UnitValue
from tools.store import unit_values
from tools.store.database import Database

NOW = datetime(2026, 4, 15, 8, tzinfo=UTC)
TODAY = date(2026, 4, 15)
APRIL = Period(date(2026, 4, 1), date(2026, 5, 1))


def csv_of(path: Path, *lines: str, header: str = "date,metric,value") -> Path:
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column date"),
        ("date;metric;value\n2026-04-01;orders;1", "has no column date"),
        ("date,metric,value", "holds no values"),
        ("date,metric,value,value\n", "has the column value twice"),
        ("date,metric,value,cloud,provider\n", "has the column provider twice"),
        ("date,metric,value,colour\n", 'There is no dimension "colour"'),
        ("date,metric,value\n2026-02-31,orders,1", 'Line 2 of u.csv: "2026-02-31" is not a day'),
        ("date,metric,value\n2026-04-01,orders,many", '"many" is not a number'),
        ("date,metric,value\n2026-04-01,orders,-1", '"-1" is not a number from 0 on'),
        ("date,metric,value\n2026-04-01,orders,NaN", '"NaN" is not a number'),
        ("date,metric,value\n2026-04-01,orders,1e400", '"1e400" is not a number'),
        ("date,metric,value\n2026-04-01,,1", "names no metric"),
        ("date,metric,value\n2026-04-01,orders", "has 2 fields and the header 3"),
        ("date,metric,value\n2026-04-01,orders,1\n2026-04-01,Orders,2", "a second value for the same day"),
        ('date,metric,value\n2026-04-01,"orders,1', "is not a csv file"),
        ("date,metric,value,team\n2026-04-01,orders,1," + "x" * 1000, "is too long"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(text: str, said: str, tmp_path: Path) -> None:
    """One sentence, with the line where there is one."""
    path = tmp_path / "u.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        unit_costs.read(path, KEYS)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    """So is a folder."""
    (tmp_path / "u.csv").write_bytes(b"date,metric,value\n\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        unit_costs.read(tmp_path / "u.csv", KEYS)
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(InputError, match="cannot be read"):
            unit_costs.read(path, KEYS)


def test_values_are_read_with_what_they_are_of(tmp_path: Path) -> None:
    """Spaces, case, a byte order mark and empty lines do not matter; further columns are dimensions."""
    path = tmp_path / "u.csv"
    path.write_text("\ufeffDate,Metric,Value,Team\n2026-04-01,Paid_Orders , 12.5,web\n\n", encoding="utf-8")
    found = unit_costs.read(path, KEYS)
    assert found == (UnitValue("paid orders", date(2026, 4, 1), Decimal("12.5"), (("tag:team", "web"),)),)


def store(database: Database, *values: UnitValue) -> int:
    with database.begin() as tx:
        return unit_values.replace(tx, "default", values, now=NOW)


def orders(first: int, last: int, value: str = "10", team: str = "") -> list[UnitValue]:
    scope = (("tag:team", team),) if team else ()
    return [UnitValue("orders", date(2026, 4, day), Decimal(value), scope) for day in range(first, last + 1)]


@pytest.mark.stores
def test_a_day_that_comes_again_is_replaced_whole(database: Database) -> None:
    """Also when it is split another way then: nothing counts twice."""
    assert store(database, *orders(1, 3)) == 0
    assert store(database, *orders(2, 2, team="web"), *orders(2, 2, team="data")) == 1
    with database.read() as tx:
        found = unit_values.values(tx, "default", "orders", APRIL)
        (known,) = unit_values.listing(tx, "default")
    assert [(v.day.day, dict(v.scope).get("tag:team")) for v in found] == [
        (1, None),
        (2, "data"),
        (2, "web"),
        (3, None),
    ]
    assert (known.metric, known.first.day, known.last.day, known.values) == ("orders", 1, 3, 4)


@pytest.fixture
def april(database: Database, tmp_path: Path) -> Costs:
    """Ten dollars a day for web and thirty for data, up to 14 April."""
    days = [date(2026, 3, 20) + timedelta(days=n) for n in range(26)]
    lines = [Line(d, "Compute", c, tags=f'{{"team": "{t}"}}') for d in days for c, t in (("10", "web"), ("30", "data"))]
    return loaded(database, write_focus(tmp_path / "a.csv", lines))


def test_only_whole_days_are_divided(april: Costs) -> None:
    """Gaps and days that are not over are named and in no ratio; a day with none of it divides nothing by zero."""
    store(april.database, *orders(1, 5), *orders(7, 7, "0"), *orders(8, 20))
    made = unit_costs.report(april, "order", APRIL, TODAY)
    (month,) = made.lines
    assert (month.days, month.cost, month.units) == (13, Decimal(520), Decimal(120))
    assert month.per_unit == Decimal("4.333333333333")
    assert made.wholes == made.lines
    assert [str(p) for p in unit_costs.spans(made.gaps)] == ["6 Apr 2026"]
    assert [str(p) for p in unit_costs.spans(made.partial)] == ["15-30 Apr 2026"]
    daily = unit_costs.report(april, "orders", APRIL, TODAY, granularity=Granularity.DAY)
    zero = next(x for x in daily.lines if x.start == date(2026, 4, 7))
    assert (zero.per_unit, zero.note, zero.cost) == (None, "no orders", Decimal(40))
    earlier = unit_costs.report(april, "orders", APRIL, date(2026, 4, 3), granularity=Granularity.TOTAL)
    assert (earlier.lines[0].days, len(earlier.partial)) == (2, 28)


def test_filters_count_on_both_sides_where_the_values_are_split(april: Costs) -> None:
    """Where they are not, all units are counted and the answer says so."""
    store(april.database, *orders(1, 14, "5", "Web"), *orders(1, 14, "20", "data"))
    web = (Filter("tag:team", ("web",)),)
    assert unit_costs.report(april, "orders", APRIL, TODAY, where=web).wholes[0].per_unit == 2
    both = (Filter("tag:team", ("data",), True), Filter("provider", ("AWS",)))
    made = unit_costs.report(april, "orders", APRIL, TODAY, where=both)
    assert made.wholes[0].per_unit == 2
    assert made.notes == ("orders is not split by provider: all of it is counted",)
    none = unit_costs.report(april, "orders", APRIL, TODAY, where=(Filter("tag:team", ("ghost",)),))
    assert none.wholes == ()
    assert none.gaps == ()


def test_who_pays_and_other_currencies_work_as_everywhere(april: Costs) -> None:
    """A team's cost per order with its part of what is shared; converted at each day's rate."""
    store(april.database, *orders(1, 14))
    apply(
        april.database,
        '[[rules]]\nwhen = { "tag:team" = "data" }\npool = "p"\n[[rules]]\nto = "web"\n[[pools]]\nname = "p"',
    )
    web = (Filter("allocation", ("web",)),)
    assert unit_costs.report(april, "orders", APRIL, TODAY, where=web).wholes[0].per_unit == 4
    days = tuple((date(2026, 3, 1) + timedelta(days=n), Decimal("0.5")) for n in range(60))
    euro = unit_costs.report(april, "orders", APRIL, TODAY, rates=Rates({("USD", "EUR"): days}), currency="EUR")
    assert [(x.currency, x.per_unit) for x in euro.wholes] == [("EUR", Decimal(2))]


def test_a_metric_must_be_known(april: Costs) -> None:
    """None at all, another one, or several without saying which."""
    with pytest.raises(InputError, match="No metric of your own was imported yet"):
        unit_costs.report(april, "orders", APRIL, TODAY)
    store(april.database, *orders(1, 2))
    assert unit_costs.report(april, "", APRIL, TODAY).unit == "orders"
    with pytest.raises(InputError, match='There is no metric "users"'):
        unit_costs.report(april, "users", APRIL, TODAY)
    store(april.database, UnitValue("users", date(2026, 4, 1), Decimal(1)))
    with pytest.raises(InputError, match="There are several metrics"):
        unit_costs.report(april, "", APRIL, TODAY)


def test_an_unknown_price_gives_no_ratio(database: Database, tmp_path: Path) -> None:
    """Unknown is not 0; and without any cost there is nothing to divide."""
    costs = filled(database, tmp_path, row("5", ListCost=""))
    store(database, UnitValue("orders", date(2026, 10, 2), Decimal(1)))
    october = Period(date(2026, 10, 1), date(2026, 11, 1))
    made = unit_costs.report(costs, "orders", october, date(2026, 11, 23), metric=Metric.LIST)
    assert [(x.per_unit, x.note) for x in made.lines] == [(None, "a price is missing in the bill")]
    nothing = unit_costs.report(costs, "orders", APRIL, date(2026, 11, 23))
    assert (nothing.lines, nothing.wholes, len(nothing.partial)) == ((), (), 30)
