"""The stored facts: the coarsest level that can answer is asked, and replaced loads leave nothing behind."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from tools.model.charge import Partition
from tools.model.load import Load, LoadStatus, Totals
from tools.model.period import Period
from tools.model.query import Filter, Granularity, Metric
from tools.store import charge_writing, charges, loads
from tools.store.charge_writing import Rolled
from tools.store.database import Database

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


def _split(amount: str) -> str:
    """Micros and rest as the roll-up writes them: text, both with the sign of the amount."""
    digits, minus = amount.lstrip("-"), "-" if amount.startswith("-") else ""
    return f"{minus}{digits[:-12].replace('.', '')},{minus}{digits[-12:]}"


def _rolled(folder: Path, load: int, amounts: list[str]) -> Rolled:
    paths: tuple[list[Path], list[Path]] = ([], [])
    for level in (1, 2):
        here = folder / f"{level}"
        here.mkdir(parents=True, exist_ok=True)
        number = (load << charge_writing.ID_BITS) + level
        (here / "series.csv").write_text(f'default,{load},{number},{level},AWS,"S,3",USD,shop\n', encoding="utf-8")
        money = [_split(a) for a in amounts]
        facts = [f"default,{level},2026-10-0{n + 1},{number},1,{m},{m},{m},0,{m},0,1.5" for n, m in enumerate(money)]
        (here / "facts.csv").write_text("\n".join(facts) + "\n", encoding="utf-8")
        paths[0].append(here / "series.csv")
        paths[1].append(here / "facts.csv")
    return Rolled(tuple(paths[0]), tuple(paths[1]), COLUMNS)


@pytest.mark.stores
def test_a_load_is_written_added_up_and_replaced(database: Database, tmp_path: Path, now) -> None:  # type: ignore[no-untyped-def]
    """Amounts with 18 decimals come back exactly, negative ones too; the second writing removes the first."""
    partition = Partition("AWS", "1", date(2026, 10, 1))
    amounts = ["-0.000000000000000001", "12.500000000000000000"]
    for number, wanted in enumerate((amounts, amounts[:1])):
        with database.begin() as tx:
            standing = loads.lock(tx, "default", partition)
            charge_writing.replace(tx, "default", standing, _rolled(tmp_path / str(number), standing.id, wanted))
            days = (date(2026, 10, 1), date(2026, 10, 2))
            total = sum((Decimal(a) for a in wanted), Decimal(0))
            totals = (Totals("USD", len(wanted), total, total, total, total),)
            assert charge_writing.added_up(tx, "default", standing.id, days) == {1: totals, 2: totals}
            load = Load(partition, LoadStatus.LOADED, len(wanted), 0, totals)
            loads.record(
                tx, "default", standing, load, fingerprint="f", detail_fingerprint="", tag_keys=(), days=days, now=now
            )
    with database.begin() as tx:
        assert loads.lock(tx, "default", partition).totals == totals
        assert loads.lock(tx, "other", partition).totals == ()
        assert tx.execute(text("SELECT count(*) FROM cost_series")).scalar_one() == 2
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
