"""The stored facts: the coarsest level that can answer is asked, and replaced loads leave nothing behind."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from struct import pack

import pytest
from sqlalchemy import text

from tools.model.charge import Partition
from tools.model.load import Load, LoadStatus, Totals
from tools.model.money import split
from tools.model.period import Period
from tools.model.query import Filter, Granularity, Metric
from tools.store import charge_writing, charges, loads
from tools.store.charge_writing import Figures, Rolled
from tools.store.database import Database
from tools.store.fact_tables import ID_BITS

MONTH = Period(date(2026, 10, 1), date(2026, 11, 1))
COLUMNS = ("provider", "service_name", "currency", "tag_1")


@pytest.mark.parametrize(
    ("dimensions", "level"),
    [
        ((), 1),
        (("provider", "service_name", "currency"), 1),
        (("service_name", "region_id"), 2),
        (("tag:team",), 2),
        (("resource_id", "provider"), 3),
        (("sku_id",), 3),
    ],
)
def test_the_coarsest_level_answers(dimensions: tuple[str, ...], level: int) -> None:
    """Nothing finer is read than the question needs."""
    assert charges.level_for(dimensions) == level


def _rolled(folder: Path, load: int, days: list[list[str]]) -> Rolled:
    """Of each day the amounts of its series, at levels 1 and 2."""
    series, figures = [], []
    folder.mkdir(parents=True)
    for level in (1, 2):
        first = (load << ID_BITS) + level * 1000
        lines = [f'default,{load},{first + n},{level},AWS,"S,3",USD,shop' for n in range(max(map(len, days)))]
        series.append(folder / f"series-{level}.csv")
        series[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
        figures.append(
            Figures(folder / f"figures-{level}", level, tuple((_day(n), len(d)) for n, d in enumerate(days)))
        )
        rows = b""
        for n, amounts in enumerate(days):
            for number, amount in enumerate(amounts):
                money = split(Decimal(amount))
                since = (_day(n) - date(1970, 1, 1)).days
                rows += pack("<13qd", since, first + number, 1, *money, *money, *money, 0, *money, 0, 1.5)
        figures[-1].path.write_bytes(rows)
    return Rolled(tuple(series), tuple(figures), COLUMNS)


def _day(number: int) -> date:
    return date(2026, 10, 1 + number)


@pytest.mark.stores
def test_a_load_is_written_added_up_and_replaced(database: Database, tmp_path: Path, now) -> None:  # type: ignore[no-untyped-def]
    """Amounts with 18 decimals come back exactly, negative ones too; the second writing removes the first."""
    partition = Partition("AWS", "1", date(2026, 10, 1))
    # Many series a day, as they are written many at a time, and some left over.
    amounts = [["-0.000000000000000001", *("0.1" for _ in range(70))], ["12.5"]]
    for number, wanted in enumerate((amounts, amounts[:1])):
        with database.begin() as tx:
            standing = loads.lock(tx, "default", partition)
            charge_writing.replace(tx, "default", standing, _rolled(tmp_path / str(number), standing.id, wanted))
            days = (date(2026, 10, 1), date(2026, 10, 2))
            every = [Decimal(a) for amounts in wanted for a in amounts]
            total = sum(every, Decimal(0))
            totals = (Totals("USD", len(every), total, total, total, total),)
            assert charge_writing.added_up(tx, "default", standing.id, days) == {1: totals, 2: totals}
            load = Load(partition, LoadStatus.LOADED, len(every), 0, totals)
            loads.record(
                tx, "default", standing, load, fingerprint="f", detail_fingerprint="", tag_keys=(), days=days, now=now
            )
    with database.begin() as tx:
        assert loads.lock(tx, "default", partition).totals == totals
        assert loads.lock(tx, "other", partition).totals == ()
        assert tx.execute(text("SELECT count(*) FROM cost_series")).scalar_one() == 142
    with database.read() as tx:
        (line,) = loads.ledger(tx, "default")
        assert (line.partition, line.first_day, line.has_detail) == (partition, date(2026, 10, 1), False)
        assert loads.version(tx, "default") != loads.version(tx, "other")


def test_sqlite_walks_the_days_and_not_the_series(database: Database) -> None:
    """The plan that searches the days of each series takes ten times as long; it must not come back."""
    statement = charges.question(
        "default",
        period=MONTH,
        by=("service_name",),
        where=(Filter("provider", ("AWS",)),),
        metric=Metric.BILLED,
        granularity=Granularity.DAY,
        slots={},
    )
    sql = str(statement.compile(database.engine, compile_kwargs={"literal_binds": True}))
    with database.read() as tx:
        plan = [row.detail for row in tx.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
    assert plan[0].startswith("SEARCH cost_facts USING PRIMARY KEY (tenant=? AND level=? AND day>? AND day<?)")
    assert plan[1].startswith("SEARCH cost_series USING INTEGER PRIMARY KEY")


@pytest.mark.stores
def test_a_tag_key_keeps_its_column_for_good(database: Database) -> None:
    """Another order of the setting, or a key that was taken out, moves nothing."""
    with database.begin() as tx:
        first = loads.assign_slots(tx, "default", ("team", "env"))
        again = loads.assign_slots(tx, "default", ("app", "env"))
        assert loads.assign_slots(tx, "other", ("app",)) == {"app": "tag_1"}
    assert first == {"team": "tag_1", "env": "tag_2"}
    assert again == {**first, "app": "tag_3"}
