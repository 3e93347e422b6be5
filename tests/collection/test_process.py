"""The roll-up process: a killed load leaves old or new, nothing stays behind, and this process stays light."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collection.bills import TAG_KEYS, bill, read
from tools.analysis.costs import Costs
from tools.collection import worker
from tools.model.errors import InputError, OptiInfraError
from tools.model.load import LoadStatus
from tools.providers.focus.files import find
from tools.store import charge_writing, loads
from tools.store.database import Database

ROOT = Path(__file__).resolve().parents[2]
# A load that dies by SIGKILL when the named function has done its work.
DYING = """
import os, signal, sys
from datetime import UTC, datetime
from tools.collection.charges import ingest
from tools.store import charge_writing, loads
from tools.store.database import open_database
room, name = {"removed": (charge_writing, "remove"), "written": (charge_writing, "replace"),
              "added up": (charge_writing, "added_up"), "recorded": (loads, "record")}[sys.argv[3]]
done = getattr(room, name)
def die(*args, **options):
    done(*args, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(room, name, die)
database = open_database(sys.argv[1], migrate=False)
ingest(database, "default", [sys.argv[2]], tag_keys=("team", "env"), detail_months=4, now=lambda: datetime.now(UTC))
"""


def _stands(database: Database) -> tuple[list[Decimal], Decimal | None, int]:
    """Billed cost at each level, at the ledger, and rows of the ledger: all of one load, or it is a mixture."""
    with database.read() as tx:
        (line,) = loads.ledger(tx, "default")
        levels = charge_writing.added_up(tx, "default", line.id, (line.first_day, line.last_day))
        standing = loads.lock(tx, "default", line.partition) if database.dialect == "sqlite" else None
    ledger = standing.totals[0].billed_cost if standing else None
    return [t.billed_cost for totals in levels.values() for t in totals], ledger, line.rows


@pytest.mark.stores
def test_a_killed_load_leaves_the_old_and_a_rerun_brings_the_new(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Killed after deleting, inserting or recording, before the commit: never a mixture."""
    read(database, bill(tmp_path / "old.csv", *({"ResourceId": f"r{n}"} for n in range(30))))
    new = bill(tmp_path / "new.csv", *({"ResourceId": f"s{n}", "BilledCost": "2"} for n in range(50)))
    temp = tmp_path / "temp"
    temp.mkdir()
    for point in ("recorded",) if database.dialect == "sqlite" else ("written",):
        killed = subprocess.run(
            [sys.executable, "-c", DYING, database_url, str(new), point],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(temp)},
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        assert _stands(database)[0] == [Decimal(45)] * 3, point
        assert _stands(database)[2] == 30
    _wait_until_empty(temp)
    (load,) = read(database, new)
    assert load.status is LoadStatus.REPLACED
    assert (_stands(database)[0], _stands(database)[2]) == ([Decimal(100)] * 3, 50)


def _wait_until_empty(folder: Path) -> None:
    """The child of a killed parent notices that it is alone, takes its files away and ends."""
    for _ in range(100):
        if not list(folder.iterdir()):
            return
        time.sleep(0.1)
    raise AssertionError(f"left behind: {list(folder.iterdir())}")


def test_a_load_killed_at_any_moment_is_old_or_new(database: Database, database_url: str, tmp_path: Path) -> None:
    """Also when nobody chose the moment."""
    read(database, bill(tmp_path / "old.csv", {}))
    new = bill(tmp_path / "new.csv", *({"ResourceId": f"s{n}", "BilledCost": "2"} for n in range(3000)))
    code = DYING.split("room, name")[0] + DYING[DYING.index("database = open") :]
    for delay in (0.6,):
        process = subprocess.Popen([sys.executable, "-c", code, database_url, str(new), "-"], cwd=ROOT)
        time.sleep(delay)
        process.kill()
        process.wait()
        levels, ledger, rows = _stands(database)
        assert (levels, ledger, rows) in (
            ([Decimal("1.5")] * 3, Decimal("1.5"), 1),
            ([Decimal(6000)] * 3, Decimal(6000), 3000),
        )


def test_the_process_that_stores_never_loads_the_engine_that_computes(database_url: str, tmp_path: Path) -> None:
    """DuckDB lives and dies with the child."""
    code = (
        DYING.split("room, name")[0] + DYING[DYING.index("database = open") :] + "\nassert 'duckdb' not in sys.modules"
    )
    path = bill(tmp_path / "a.csv", {})
    done = subprocess.run(
        [sys.executable, "-c", code, database_url, str(path), "-"],
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
