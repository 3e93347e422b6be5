"""Audit: the record only grows, and any change of it is found and named."""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tools.model.audit import AuditEntry
from tools.store import audit
from tools.store.database import Database

pytestmark = pytest.mark.stores
T = "default"


def _entry(number: int, at: datetime, tenant: str = T) -> AuditEntry:
    detail: dict[str, object] = {"number": number, "words": "größer → kleiner"}
    return AuditEntry(
        tenant, at + timedelta(microseconds=number), "ana", "rollout.approve", f"ro-{number}", "done", "", detail
    )


def _write(database: Database, count: int, now: datetime) -> None:
    for number in range(1, count + 1):
        with database.begin() as tx:
            audit.record(tx, _entry(number, now))


def _tamper(database: Database, statement: str) -> None:
    """What somebody with the database password and no scruples would do."""
    with database.begin() as tx:
        if database.dialect == "sqlite":
            tx.execute(text("DROP TRIGGER audit_UPDATE"))
            tx.execute(text("DROP TRIGGER audit_DELETE"))
        else:
            tx.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        tx.execute(text(statement))


def test_a_whole_chain(database: Database, now: datetime) -> None:
    """Records come back as they were written, in order, each tenant with its own chain."""
    _write(database, 3, now)
    with database.begin() as tx:
        audit.record(tx, _entry(1, now, "other"))
    with database.read() as tx:
        result = audit.verify(tx, T)
        assert (result.records, result.problems) == (3, ())
        assert [r.entry for r in audit.records(tx, T)] == [_entry(n, now) for n in (1, 2, 3)]
        assert [e.subject for e in audit.entries(tx, T, limit=2)] == ["ro-3", "ro-2"]
        assert audit.entries(tx, T, subject="ro-2") == (_entry(2, now),)
        assert audit.verify(tx, "other").records == 1
        assert audit.verify(tx, "nobody") == audit.Verified(0, audit.FIRST, ())


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'bo'", "DELETE FROM audit"])
def test_the_database_refuses_changes(database: Database, now: datetime, statement: str) -> None:
    """An ordinary statement cannot change or remove a record."""
    _write(database, 1, now)
    with pytest.raises(DBAPIError, match="never changed"), database.engine.begin() as tx:
        tx.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit SET actor = 'bo' WHERE seq = 2", "Record 2 .* not what was written"),
        ("UPDATE audit SET detail = '{}' WHERE seq = 3", "Record 3"),
        ("UPDATE audit SET prev_hash = hash WHERE seq = 2", "Record 2"),
        ("DELETE FROM audit WHERE seq = 2", "Record 2 is missing"),
        ("DELETE FROM audit WHERE seq >= 3", "ends at 2, but 4 were written"),
        ("DELETE FROM audit", "ends at 0, but 4"),
        ("DELETE FROM audit_heads", "ends at 4, but 0"),
    ],
)
def test_tampering_is_named(database: Database, now: datetime, statement: str, words: str) -> None:
    """The first record that is not what was written is named, also when the end was cut off."""
    _write(database, 4, now)
    _tamper(database, statement)
    with database.read() as tx:
        (problem,) = audit.verify(tx, T).problems
    assert re.search(words, problem)


def test_many_writers_make_one_chain(database: Database, now: datetime) -> None:
    """Writers stand in line: no number twice, none left out."""

    def write(first: int) -> None:
        for number in range(first, first + 10):
            with database.begin() as tx:
                audit.record(tx, _entry(number, now))

    threads = [threading.Thread(target=write, args=(n * 100,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as tx:
        result = audit.verify(tx, T)
    assert (result.records, result.problems) == (40, ())


def test_an_undone_transaction_leaves_no_record(database: Database, now: datetime) -> None:
    """What did not happen is not on record, and the next record follows without a gap."""
    _write(database, 1, now)
    with pytest.raises(ZeroDivisionError), database.begin() as tx:  # noqa: PT012 - the block is the transaction
        audit.record(tx, _entry(2, now))
        raise ZeroDivisionError
    with database.begin() as tx:
        assert audit.record(tx, _entry(3, now)).seq == 2
