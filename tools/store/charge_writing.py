"""Charge writing: replaces one load's rows in the fact tables from csv files, and adds up what then stands there."""

# ruff: noqa: S608 - table and column names are ours; values are bound
from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, delete, func, select

from tools.model.load import Totals
from tools.model.money import join
from tools.store.charges import Ordered
from tools.store.fact_tables import DETAIL, facts, series
from tools.store.loads import Standing

ID_BITS = 24
_BATCH = 5_000
_BLOCK = 1 << 18
_FACTS = tuple(c.name for c in facts.columns)


@dataclass(frozen=True, slots=True)
class Rolled:
    """What the roll-up made of one partition, as csv files per level whose rows are those of the tables.

    `series` rows: tenant, load, id, level, then `series_columns`. `facts` rows: the columns of `cost_facts` in order.
    """

    series: tuple[Path, ...]
    facts: tuple[Path, ...]
    series_columns: tuple[str, ...]


def replace(tx: Connection, tenant: str, standing: Standing, rolled: Rolled) -> None:
    """Take out everything the load had, and put in what the files hold."""
    remove(tx, tenant, standing, None)
    names = ("tenant", "load_id", "id", "level", *rolled.series_columns)
    for path in rolled.series:
        _insert(tx, "cost_series", names, path)
    for path in rolled.facts:
        _insert(tx, "cost_facts", _FACTS, path)


def remove(tx: Connection, tenant: str, standing: Standing, level: int | None) -> None:
    """Delete a load's rows of one level, or of all."""
    if standing.first_day is None or standing.last_day is None:
        return
    low, high = standing.id << ID_BITS, (standing.id + 1) << ID_BITS
    levels = (1, 2, 3) if level is None else (level,)
    tx.execute(
        delete(facts).where(
            facts.c.tenant == tenant,
            facts.c.level.in_(levels),
            facts.c.day.between(standing.first_day, standing.last_day),
            facts.c.series_id >= low,
            facts.c.series_id < high,
        )
    )
    tx.execute(
        delete(series).where(
            series.c.tenant == tenant, series.c.id >= low, series.c.id < high, series.c.level.in_(levels)
        )
    )


def remove_detail(tx: Connection, tenant: str, standing: Standing) -> None:
    """Give up cost per resource of an old billing period."""
    remove(tx, tenant, standing, DETAIL)


def added_up(tx: Connection, tenant: str, load_id: int, days: tuple[date, date]) -> dict[int, tuple[Totals, ...]]:
    """The exact totals per level of what stands in the tables for one load."""
    money = [func.sum(facts.c[f"{n}_{part}"]) for n in _AMOUNTS for part in ("micros", "rest")]
    unknown = [func.sum(facts.c[f"{n}_unknown"]) for n in ("list", "contracted")]
    rows = tx.execute(
        select(facts.c.level, series.c.currency, func.sum(facts.c.rows), *money, *unknown)
        .select_from(Ordered(facts, series, series.c.id == facts.c.series_id))
        .where(
            facts.c.tenant == tenant,
            series.c.tenant == tenant,
            facts.c.level.in_((1, 2, 3)),
            facts.c.day.between(*days),
            facts.c.series_id >= load_id << ID_BITS,
            facts.c.series_id < (load_id + 1) << ID_BITS,
        )
        .group_by(facts.c.level, series.c.currency)
        .order_by(facts.c.level, series.c.currency)
    )
    found: dict[int, tuple[Totals, ...]] = {}
    for level, currency, count, *figures in rows:
        amounts = [join(figures[i], figures[i + 1]) for i in range(0, 8, 2)]
        total = Totals(
            currency,
            int(count),
            amounts[0],
            amounts[1],
            None if figures[8] else amounts[2],
            None if figures[9] else amounts[3],
        )
        found[level] = (*found.get(level, ()), total)
    return found


_AMOUNTS = ("billed", "effective", "list", "contracted")


def _insert(tx: Connection, table: str, names: Sequence[str], path: Path) -> None:
    """The rows of a csv file, as they are: both engines turn the texts of numbers into numbers themselves."""
    if tx.dialect.name == "postgresql":
        _copy(tx, table, names, path)
        return
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    with path.open(newline="", encoding="utf-8") as file:
        rows = map(tuple, csv.reader(file))
        while batch := list(islice(rows, _BATCH)):
            tx.exec_driver_sql(statement, batch)


def _copy(tx: Connection, table: str, names: Sequence[str], path: Path) -> None:
    from psycopg import Connection as PsycopgConnection  # an installation on SQLite never loads it

    driver = tx.connection.driver_connection
    assert isinstance(driver, PsycopgConnection)
    # An empty text is a value; there are no NULLs in these tables.
    statement = f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT csv, NULL E'\\x01')"
    with driver.cursor() as cursor, cursor.copy(statement) as copy, path.open("rb") as file:
        while block := file.read(_BLOCK):
            copy.write(block)
