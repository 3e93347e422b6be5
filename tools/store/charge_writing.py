"""Charge writing: replaces one load's rows in the fact tables from files, and adds up what then stands there."""

# ruff: noqa: S608 - table and column names are ours; values are bound
from __future__ import annotations

import csv
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import ColumnElement, Connection, delete, func, literal, select

from tools.model.load import Totals
from tools.model.money import join
from tools.store import copying
from tools.store import facts as places
from tools.store.dialects import Ordered, Total
from tools.store.fact_tables import DETAIL, ID_BITS, facts, series
from tools.store.loads import Standing

_BATCH = 5_000
_NAMES = tuple(c.name for c in facts.columns)
# SQLite takes many rows in one statement much faster than one by one.
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Figures:
    """A file of day rows of one level: the columns of `cost_facts` from the day on, each of 64 bits, little-endian.

    The day is counted from 1970, the quantity is a float, all else whole numbers. `days` are the days in the order of
    the file, with the number of rows of each.
    """

    path: Path
    level: int
    days: tuple[tuple[date, int], ...]


@dataclass(frozen=True, slots=True)
class Rolled:
    """What the roll-up made of one partition. `series` are csv files: tenant, load, id, level, `series_columns`."""

    series: tuple[Path, ...]
    facts: tuple[Figures, ...]
    series_columns: tuple[str, ...]


def replace(tx: Connection, tenant: str, standing: Standing, rolled: Rolled, facts_id: int = 0) -> None:
    """Take out everything the load had, and put in what the files hold.

    With a `facts_id` (of `facts.make_room`) it is put in elsewhere, where nobody sees it before it is published.
    """
    remove(tx, tenant, standing, None)
    names = ("tenant", "load_id", "id", "level", *rolled.series_columns)
    elsewhere = places.store(tx)
    if elsewhere is not None:
        elsewhere.insert(series, names, rolled.series, load_id=standing.id, facts_id=facts_id)
        for one in rolled.facts:
            elsewhere.insert_figures(tenant, one.level, one.path, load_id=standing.id, facts_id=facts_id)
        return
    for path in rolled.series:
        _insert(tx, "cost_series", names, path)
    for one in rolled.facts:
        if tx.dialect.name == "postgresql":
            copying.copy_figures(tx, tenant, one)
        else:
            _insert_figures(tx, tenant, one)


def remove(tx: Connection, tenant: str, standing: Standing, level: int | None) -> None:
    """Delete a load's rows of one level, or of all, from the tables beside the ledger."""
    if standing.first_day is None or standing.last_day is None:
        return
    low, high = standing.id << ID_BITS, (standing.id + 1) << ID_BITS
    levels = (1, 2, 3) if level is None else (level,)
    tx.execute(
        delete(facts).where(
            facts.c.tenant == tenant,
            facts.c.level.in_(levels),
            facts.c.day.in_(_days(standing.first_day, standing.last_day)),
            facts.c.series_id >= low,
            facts.c.series_id < high,
        )
    )
    tx.execute(
        delete(series).where(
            series.c.tenant == tenant, series.c.id >= low, series.c.id < high, series.c.level.in_(levels)
        )
    )


def remove_detail(tx: Connection, tenant: str, standing: Standing, *, now: datetime) -> None:
    """Give up cost per resource of an old billing period."""
    if places.store(tx) is None:
        remove(tx, tenant, standing, DETAIL)
    elif standing.facts_id:
        places.retire(tx, tenant, standing.facts_id, DETAIL, now=now)


def added_up(tx: Connection, tenant: str, load_id: int, days: tuple[date, date]) -> dict[int, tuple[Totals, ...]]:
    """The exact totals per level of what stands in the tables for one load (`facts_id` where it lies elsewhere)."""
    money = [Total(facts.c[f"{n}_{part}"]) for n in _AMOUNTS for part in ("micros", "rest")]
    unknown = [func.sum(facts.c[f"{n}_unknown"]) for n in ("list", "contracted")]
    low, high = load_id << ID_BITS, (load_id + 1) << ID_BITS
    elsewhere = places.store(tx)
    where = [
        facts.c.tenant == tenant,
        facts.c.level.in_((1, 2, 3)),
        facts.c.day.in_(_days(*days)),
        facts.c.series_id >= low,
        facts.c.series_id < high,
    ]
    of_load = select(series.c.currency).where(series.c.tenant == tenant, series.c.id >= low, series.c.id < high)
    currencies = tx.execute(of_load.distinct()).scalars().all() if elsewhere is None else ()
    # Looking up the series of every row takes longer than adding them up; of one currency there is nothing to look up.
    alone = len(currencies) == 1
    currency: ColumnElement[str] = literal(currencies[0]).label("currency") if alone else series.c.currency
    statement = select(facts.c.level, currency, func.sum(facts.c.rows), *money, *unknown).where(*where)
    if alone:
        statement = statement.group_by(facts.c.level).order_by(facts.c.level)
    else:
        joined = Ordered(facts, series, series.c.id == facts.c.series_id)
        keys = (facts.c.level, series.c.currency)
        statement = statement.select_from(joined).where(series.c.tenant == tenant).group_by(*keys).order_by(*keys)
    found: dict[int, tuple[Totals, ...]] = {}
    for row in places.sums(tx, statement, None)[0]:
        level, named, count, *figures = tuple(row)
        amounts = [join(figures[i], figures[i + 1]) for i in range(0, 8, 2)]
        total = Totals(
            named,
            int(count),
            amounts[0],
            amounts[1],
            None if figures[8] else amounts[2],
            None if figures[9] else amounts[3],
        )
        found[level] = (*found.get(level, ()), total)
    return found


_AMOUNTS = ("billed", "effective", "list", "contracted")


def _days(first: date, last: date) -> list[date]:
    """Day by day, so that of each only the rows of one load are looked at, however many others there are."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _insert(tx: Connection, table: str, names: Sequence[str], path: Path) -> None:
    """The rows of a csv file, as they are: both engines turn the texts of numbers into numbers themselves."""
    if tx.dialect.name == "postgresql":
        copying.copy_csv(tx, table, names, path)
        return
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    with path.open(newline="", encoding="utf-8") as file:
        rows = map(tuple, csv.reader(file))
        while batch := list(islice(rows, _BATCH)):
            tx.exec_driver_sql(statement, batch)


def _insert_figures(tx: Connection, tenant: str, rows: Figures) -> None:
    with rows.path.open("rb") as file:
        for at_once in (_AT_ONCE, 1):
            found = _unpacked(file, tenant, rows, at_once)
            statement = _many(at_once)
            while batch := list(islice(found, _BATCH // at_once)):
                tx.exec_driver_sql(statement, batch)


def _many(at_once: int) -> str:
    """INSERT of so many day rows of one tenant, level and day."""
    numbers = len(_NAMES) - 3
    rows = (", ".join(f"?{4 + n * numbers + i}" for i in range(numbers)) for n in range(at_once))
    return f"INSERT INTO cost_facts ({', '.join(_NAMES)}) VALUES " + ", ".join(f"(?1, ?2, ?3, {row})" for row in rows)


def _unpacked(file: BinaryIO, tenant: str, rows: Figures, at_once: int) -> Iterator[tuple[Any, ...]]:
    """Parameters of `_many`: of each day what fills a statement of many rows, or (one at a time) what is left over."""
    shape = struct.Struct("<" + f"8x{len(_NAMES) - 4}qd" * at_once)
    width, at = shape.size // at_once, 0
    for day, count in rows.days:
        head = (tenant, rows.level, day.isoformat())
        first, size = (0, count // at_once) if at_once > 1 else (count // _AT_ONCE * _AT_ONCE, count % _AT_ONCE)
        file.seek((at + first) * width)
        for done in range(0, size, _BATCH // at_once):
            block = file.read(shape.size * min(size - done, _BATCH // at_once))
            yield from (head + one for one in shape.iter_unpack(block))
        at += count
