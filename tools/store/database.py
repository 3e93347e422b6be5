"""Database: opens the one SQL database (SQLite in WAL mode, or PostgreSQL), migrates it, and hands out transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from tools.model.errors import SettingsError, StoreUnavailableError

if TYPE_CHECKING:
    from tools.store.clickhouse import ClickHouse

BUSY_SECONDS = 30
MIGRATIONS = Path(__file__).parent / "migrations"
# The execution option by which every connection knows the store of their own that cost facts have, if any.
FACTS = "facts"


@dataclass(frozen=True, slots=True)
class Database:
    """An open database. `begin` is for writing (all or nothing), `read` for one consistent look."""

    engine: Engine
    dialect: str

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: committed at the end, rolled back by any exception. SQLite takes its lock at once."""
        with _unavailable(), self.engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                with connection.get_transaction() or connection.begin():
                    yield connection
            else:
                with connection.begin():
                    yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only look at one moment."""
        with _unavailable(), self.engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                connection.begin()
            try:
                yield connection
            finally:
                connection.rollback()

    def migrate(self) -> None:
        """Bring the schema to this version of the product; a no-op when it is there already."""
        if self._revision() == newest_revision():
            return
        # Loading the migration tool takes longer than most commands; only a schema that is not current needs it.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with _unavailable():
            if self.dialect == "sqlite":
                with self.engine.connect() as connection:
                    # One at a time: the second process waits here, then finds the work done.
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")
                    connection.commit()
            else:
                with self.engine.begin() as connection:
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7463112)")
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")

    def _revision(self) -> str | None:
        with self.read() as tx:
            if not inspect(tx).has_table("alembic_version"):
                return None
            found: str | None = tx.execute(text("SELECT version_num FROM alembic_version")).scalar()
            return found

    @property
    def facts(self) -> ClickHouse | None:
        """The store of their own that cost facts have; None: they lie here."""
        found: ClickHouse | None = self.engine.get_execution_options().get(FACTS)
        return found

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        if self.facts is not None:
            self.facts.dispose()


def newest_revision() -> str:
    """The revision of the newest migration file; files are named after their revision, in order."""
    return max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        # A plain DatabaseError is a file that is no database; its other subclasses are mistakes of ours.
        if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
            raise
        reason = str(error.orig).strip().splitlines()[0]
        raise StoreUnavailableError(
            f"The database did not answer ({reason}).",
            fix="Check OPTIINFRA_STATE_URL and that the database runs, then try again.",
        ) from error


def open_database(url: str, facts_url: str = "", *, migrate: bool = True) -> Database:
    """Open `url` (sqlite:///FILE or postgresql://...), creating a SQLite file's folder, and migrate it.

    `facts_url` (clickhousedb://...) is where cost facts lie when not beside the rest; it is asked on first use.
    Raises SettingsError for an unusable URL and StoreUnavailableError when the database does not answer.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(
            "OPTIINFRA_STATE_URL is not a database URL.", fix="Use sqlite:///FILE or postgresql://USER@HOST/NAME."
        ) from None
    name = parsed.get_backend_name()
    if name == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    elif name != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise SettingsError(
            f"OPTIINFRA_STATE_URL names {name}, which is not supported here.",
            fix="Use sqlite:///FILE or postgresql://USER@HOST/NAME.",
        )
    try:
        if name == "sqlite":
            Path(str(parsed.database)).expanduser().parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
            event.listen(engine, "connect", _prepare_sqlite)
        else:
            engine = create_engine(parsed, pool_pre_ping=True, pool_size=5, max_overflow=10)
    except (NoSuchModuleError, OSError) as error:
        raise SettingsError(f"The database of OPTIINFRA_STATE_URL cannot be opened: {error}.") from error
    if facts_url and facts_url != url:
        engine = engine.execution_options(**{FACTS: _facts_store(facts_url)})
    database = Database(engine, name)
    if migrate:
        database.migrate()
    return database


def _facts_store(url: str) -> ClickHouse:
    from tools.store.clickhouse import NAME, ClickHouse

    fix = "Use clickhousedb://USER:PASSWORD@HOST:PORT/NAME, or leave it empty to keep facts beside the rest."
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError("OPTIINFRA_FACTS_URL is not a database URL.", fix=fix) from None
    if parsed.get_backend_name() != NAME or not parsed.host:
        raise SettingsError(f"OPTIINFRA_FACTS_URL names {parsed.drivername}, which is not supported here.", fix=fix)
    return ClickHouse(parsed)


def _prepare_sqlite(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    # We begin transactions ourselves: the driver's own late BEGIN would let two writers deadlock.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_SECONDS * 1000}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
