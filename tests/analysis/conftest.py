"""Fixtures of the analysis tests: one ingested story, copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analysis.world import TAG_KEYS, load, story, write_focus
from tools.analysis.costs import Costs
from tools.store.database import open_database


@pytest.fixture(scope="session")
def story_file(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A database into which the story was ingested."""
    folder = tmp_path_factory.mktemp("story")
    path = folder / "state.db"
    shutil.copy(sqlite_template, path)
    database = open_database(f"sqlite:///{path}", migrate=False)
    load(database, write_focus(folder / "bill.csv", story()))
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture
def costs(story_file: Path, tmp_path: Path) -> Iterator[Costs]:
    """The costs of the story, in a database of the test's own."""
    path = tmp_path / "story.db"
    shutil.copy(story_file, path)
    database = open_database(f"sqlite:///{path}", migrate=False)
    yield Costs(database, "default", TAG_KEYS, 0)
    database.dispose()
