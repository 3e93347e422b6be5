"""Facts: where cost facts lie - beside the ledger or in a store of their own - and what of them the ledger speaks of.

In a store of their own, every load that is written gets an id that was never used. The ledger names it in the
transaction that publishes the load, and readers ask for the ids that their ledger names: what is half written, or
replaced, is in nobody's ledger. What no ledger names is taken out when no reader can still hold an old ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from secrets import randbelow
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

from tools.model.errors import OptiInfraError
from tools.store import dialects
from tools.store.clickhouse import ClickHouse
from tools.store.database import FACTS, Database
from tools.store.fact_tables import ID_BITS, fact_leftovers, loads

# A question is ended after five minutes (tools/store/clickhouse.py); nobody reads by an older ledger than this.
KEPT_FOR = timedelta(hours=1)
# Load ids and the bits that number their series fill a signed 64-bit number.
_IDS = 1 << (63 - ID_BITS)
ALL_LEVELS = 0


def store(tx: Connection) -> ClickHouse | None:
    """The store of their own that facts have; None: they lie beside the ledger."""
    found: ClickHouse | None = tx.get_execution_options().get(FACTS)
    return found


def store_id(tx: Connection) -> str:
    """What the ledger calls the place of the facts; empty beside it."""
    elsewhere = store(tx)
    return elsewhere.id if elsewhere else ""


def rows(tx: Connection, statement: Select[Any], load_ids: Iterable[int] | None) -> Iterable[Row[Any]]:
    """Run a statement over the fact tables.

    `load_ids` are those that the ledger of this look names (`facts_id`); None sees what no ledger names as well.
    """
    elsewhere = store(tx)
    if elsewhere is None:
        return tx.execute(statement)
    return elsewhere.rows(statement, None if load_ids is None else tuple(load_ids))


def sums(
    tx: Connection, statement: Select[Any], load_ids: Iterable[int] | None
) -> tuple[Sequence[Row[Any]], Callable[[Select[Any]], Select[Any]]]:
    """The same for a statement that adds up (`Total`), exact however many facts there are.

    Gives what was done to the statement as well, for who shows it.
    """
    try:
        return list(rows(tx, statement, load_ids)), _as_it_is
    except OperationalError as error:
        if dialects.OUTGROWN not in str(error.orig):
            raise
    return tx.execute(dialects.in_parts(statement)).all(), dialects.in_parts


def _as_it_is(statement: Select[Any]) -> Select[Any]:
    return statement


def text_of(tx: Connection, statement: Select[Any], load_ids: Iterable[int]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The statement with named parameters, so that a person can run it in any SQL shell, and their values."""
    elsewhere = store(tx)
    if elsewhere is not None:
        return elsewhere.text_of(statement, tuple(load_ids))
    make = sqlite.dialect if tx.dialect.name == "sqlite" else postgresql.dialect
    compiled = statement.compile(dialect=make(paramstyle="named"), compile_kwargs={"render_postcompile": True})
    return str(compiled), tuple((name, str(value)) for name, value in compiled.params.items())


def make_room(database: Database, tenant: str, *, now: datetime, draw: Callable[[int], int] = randbelow) -> int:
    """An id for a load that is about to be written elsewhere, noted before anything is written; 0 beside the ledger."""
    with database.begin() as tx:
        place = store_id(tx)
        if not place:
            return 0
        facts_id = draw(_IDS - 1) + 1
        tx.execute(insert(fact_leftovers), [_leftover(tenant, place, facts_id, ALL_LEVELS, now)])
        return facts_id


def give_back(tx: Connection, facts_id: int) -> None:
    """Nothing was written under this id."""
    tx.execute(delete(fact_leftovers).where(*_entry(store_id(tx), facts_id)))


def publish(tx: Connection, tenant: str, facts_id: int, *, replaced: int, now: datetime) -> None:
    """The ledger names what was written under an id from now on, and no longer what was `replaced` (0: nothing)."""
    place = store_id(tx)
    kept = tx.execute(delete(fact_leftovers).where(*_entry(place, facts_id), fact_leftovers.c.claimed.is_(False)))
    if kept.rowcount != 1:
        raise OptiInfraError(
            "Storing took so long that what was written had already been cleared away.", fix="Read the files again."
        )
    if replaced:
        retire(tx, tenant, replaced, ALL_LEVELS, now=now)


def retire(tx: Connection, tenant: str, facts_id: int, level: int, *, now: datetime) -> None:
    """No new reader asks for this load (or one level of it) any more."""
    place = store_id(tx)
    tx.execute(delete(fact_leftovers).where(*_entry(place, facts_id), fact_leftovers.c.level == level))
    tx.execute(insert(fact_leftovers), [_leftover(tenant, place, facts_id, level, now)])


def sweep(database: Database, *, now: datetime) -> int:
    """Take out what no ledger has named for a while: replaced loads, and those whose writing was killed. How many."""
    with database.begin() as tx:
        elsewhere = store(tx)
        if elsewhere is None:
            return 0
        here = fact_leftovers.c.facts_store == elsewhere.id
        old = and_(here, fact_leftovers.c.since < now - KEPT_FOR)
        # Claimed first: from here on it cannot be published, however late its writer wakes up.
        tx.execute(update(fact_leftovers).where(old).values(claimed=True))
        found = tx.execute(select(fact_leftovers).where(here, fact_leftovers.c.claimed)).all()
    for level in sorted({row.level for row in found}):
        ids = [row.facts_id for row in found if row.level == level]
        elsewhere.delete(ids, level or None)
        with database.begin() as tx:
            gone = (fact_leftovers.c.facts_store == elsewhere.id, fact_leftovers.c.level == level)
            tx.execute(delete(fact_leftovers).where(*gone, fact_leftovers.c.facts_id.in_(ids)))
    return len(found)


def stands_here(tx: Connection) -> ColumnElement[bool]:
    """The condition on the ledger's lines that their facts lie in the store that is used now."""
    return loads.c.facts_store == store_id(tx)


def _entry(place: str, facts_id: int) -> Sequence[Any]:
    return fact_leftovers.c.facts_store == place, fact_leftovers.c.facts_id == facts_id


def _leftover(tenant: str, place: str, facts_id: int, level: int, now: datetime) -> dict[str, object]:
    return {
        "tenant": tenant,
        "facts_store": place,
        "facts_id": facts_id,
        "level": level,
        "since": now,
        "claimed": False,
    }
