"""The roll-up process: what it tells crosses a pipe, nothing stays behind, and this process stays light."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collection.bills import TAG_KEYS, bill, read
from tools.analysis.costs import Costs
from tools.collection import worker
from tools.model.errors import InputError, OptiInfraError
from tools.providers.focus.files import find
from tools.store.database import Database

ROOT = Path(__file__).resolve().parents[2]
LOAD = """
import sys
from datetime import UTC, datetime
from tools.collection.charges import ingest
from tools.store.database import open_database
database = open_database(sys.argv[1], migrate=False)
ingest(database, "default", [sys.argv[2]], tag_keys=("team", "env"), detail_months=4, now=lambda: datetime.now(UTC))
assert "duckdb" not in sys.modules
"""


def test_the_process_that_stores_never_loads_the_engine_that_computes(database_url: str, tmp_path: Path) -> None:
    """DuckDB lives and dies with the child."""
    path = bill(tmp_path / "a.csv", {})
    done = subprocess.run(
        [sys.executable, "-c", LOAD, database_url, str(path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_progress_and_errors_cross_the_pipe(database: Database, tmp_path: Path) -> None:
    """What is being read is told while it is read; the child's sentence arrives as it was said."""
    seen: list[tuple[str, int, int]] = []
    good = bill(tmp_path / "a.csv", {})
    with worker.rollup(find([good]), TAG_KEYS, None, lambda *told: seen.append(told)) as child:
        assert child.hear("found")["partitions"][0]["rows"] == 1
    assert seen == [("reading a.csv", 0, good.stat().st_size)]
    bad = tmp_path / "b.csv"
    bad.write_text("a,b,c\n1,2,3\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"b\.csv is not a FOCUS file"):
        read(database, bad)
    assert Costs(database, "default", TAG_KEYS, 2).span() is None


def test_a_child_that_dies_is_told(tmp_path: Path) -> None:
    """Its last words are in the sentence, and what to look at."""
    good = bill(tmp_path / "a.csv", {})
    with worker.rollup(find([good]), TAG_KEYS, None, None) as child:
        child.hear("found")
        child.tell(roll=[{"number": 0, "load_id": 1, "detail": True}], tenant="default", tag_values=1000, surprise=1)
        child.hear("rolled")
        child._process.kill()  # type: ignore[attr-defined]  # no polite way to make it die
        child._process.wait()  # type: ignore[attr-defined]
        with pytest.raises(OptiInfraError, match=r"ended before it was done \(exit -9\)"):
            child.hear("rolled")


def test_what_a_killed_child_left_is_swept_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of yesterday go, those of a running load stay."""
    from tools.collection import rollup

    old, young = tmp_path / f"{rollup.PREFIX}old", tmp_path / f"{rollup.PREFIX}young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "stage.duckdb").touch()
    os.utime(old, (0, 0))
    rollup._sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [young.name]


def test_a_folder_that_goes_while_it_is_looked_at_is_no_failure(tmp_path: Path) -> None:
    """Two loads at once: one takes its folder away between the other's listing and its look at the age."""
    from tools.collection import rollup

    (tmp_path / f"{rollup.PREFIX}gone").symlink_to(tmp_path / "nothing")
    rollup._sweep(tmp_path)
