"""The database opens, migrates, commits whole transactions and says plainly when it cannot."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, inspect, select, text

from tools.model.errors import SettingsError, StoreUnavailableError
from tools.store.database import Database, open_database
from tools.store.metadata import UtcDateTime, metadata

_SCRATCH = MetaData()
_MOMENTS = Table("moments", _SCRATCH, Column("id", Integer, primary_key=True), Column("at", UtcDateTime))


@pytest.mark.stores
def test_a_fresh_database_has_every_table(database: Database) -> None:
    """Migrations and table definitions agree: nothing is left to generate."""
    import tools.store.tables  # noqa: F401 - fills the metadata

    assert set(metadata.tables) <= set(inspect(database.engine).get_table_names())


@pytest.mark.stores
def test_migrations_have_no_drift(database: Database) -> None:
    """A column added to a table file without a migration turns this red."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    import tools.store.tables  # noqa: F401 - fills the metadata

    with database.read() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []


@pytest.mark.stores
def test_an_exception_undoes_the_whole_transaction(database: Database) -> None:
    """Nothing half-done is left behind."""
    _SCRATCH.create_all(database.engine)
    with pytest.raises(ZeroDivisionError), database.begin() as tx:  # noqa: PT012 - the block is the transaction
        tx.execute(_MOMENTS.insert().values(id=1, at=datetime(2026, 1, 1, tzinfo=UTC)))
        raise ZeroDivisionError
    with database.read() as tx:
        assert tx.execute(select(_MOMENTS)).all() == []


@pytest.mark.stores
def test_times_come_back_in_utc(database: Database) -> None:
    """An aware time in any zone is the same moment when read, and a naive one is refused."""
    _SCRATCH.create_all(database.engine)
    moment = datetime(2026, 3, 1, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with database.begin() as tx:
        tx.execute(_MOMENTS.insert().values(id=1, at=moment))
        tx.execute(_MOMENTS.insert().values(id=2, at=None))
    with database.read() as tx:
        assert [row.at for row in tx.execute(select(_MOMENTS).order_by(_MOMENTS.c.id))] == [moment, None]
    with pytest.raises(Exception, match="without time zone"), database.begin() as tx:
        tx.execute(_MOMENTS.insert().values(id=3, at=moment.replace(tzinfo=None)))


@pytest.mark.stores
def test_writers_wait_for_each_other(database: Database) -> None:
    """Eight threads add to one counter, and no addition is lost."""
    with database.begin() as tx:
        tx.execute(text("CREATE TABLE counter (n INTEGER)"))
        tx.execute(text("INSERT INTO counter VALUES (0)"))

    def add() -> None:
        for _ in range(5):
            with database.begin() as tx:
                tx.execute(text("UPDATE counter SET n = n + 1"))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as tx:
        assert tx.execute(text("SELECT n FROM counter")).scalar_one() == 40


@pytest.mark.stores
def test_migrating_again_changes_nothing(database_url: str) -> None:
    """Every start migrates; only the first has something to do."""
    for _ in range(2):
        open_database(database_url).dispose()


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_an_unusable_url_is_told(url: str) -> None:
    """The sentence names the setting to change and shows no password."""
    with pytest.raises(SettingsError, match="OPTIINFRA_STATE_URL"):
        open_database(url)


def test_a_database_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """A server that is not there gives a sentence, not a stack trace."""
    with pytest.raises(StoreUnavailableError, match="did not answer"):
        open_database("postgresql://user:hidden@127.0.0.1:1/none")
    (tmp_path / "file").write_text("this is no database, only words that fill a page" * 40)
    with pytest.raises(StoreUnavailableError, match="did not answer"):
        open_database(f"sqlite:///{tmp_path}/file")
