"""A load that is killed leaves the old data or the new, never a mixture, and the next one brings the new."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collection.bills import bill, in_one_process, read
from tools.model.load import LoadStatus
from tools.store import charge_writing, loads
from tools.store.database import Database

ROOT = Path(__file__).resolve().parents[2]
# Starts each load that it is told of as a process of its own, without loading the libraries again. A load that is
# given a moment ends itself by SIGKILL when that function has done its work.
STARTER = """
import os, signal, sys
from datetime import UTC, datetime
from tools.collection.charges import ingest
from tools.store import charge_writing, loads
from tools.store.database import open_database
MOMENTS = {"written": (charge_writing, "replace"), "recorded": (loads, "record")}
def dying(done):
    def die(*args, **options):
        done(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)
    return die
open_database(sys.argv[1], migrate=False).dispose()
for line in sys.stdin:
    path, moment = line.rstrip("\\n").split("\\t")
    pid = os.fork()
    if not pid:
        if moment:
            room, name = MOMENTS[moment]
            setattr(room, name, dying(getattr(room, name)))
        ingest(open_database(sys.argv[1], migrate=False), "default", [path], tag_keys=("team", "env"),
               detail_months=4, now=lambda: datetime.now(UTC))
        os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts loads in processes of their own, and tells how they ended."""

    process: subprocess.Popen[str]

    def load(self, path: Path, *, moment: str = "", after: float | None = None) -> int:
        """Load a file, killed at a moment or after so many seconds; gives the signal that ended it, 0 for none."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path}\t{moment}\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        if after is not None:
            time.sleep(after)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return int(self.process.stdout.readline())


@pytest.fixture
def temp(tmp_path: Path) -> Path:
    """Where the loads keep what they need for a while."""
    folder = tmp_path / "temp"
    folder.mkdir()
    return folder


@pytest.fixture
def starter(database_url: str, temp: Path) -> Iterator[Starter]:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, database_url],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temp)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Starter(process)


def _stands(database: Database) -> tuple[set[Decimal], int]:
    """Billed cost at every level and in the ledger, and the rows of the ledger: of one load, or it is a mixture."""
    with database.read() as tx:
        (line,) = loads.ledger(tx, "default")
        levels = charge_writing.added_up(tx, "default", line.id, (line.first_day, line.last_day))
        assert sorted(levels) == [1, 2, 3]
        amounts = {total.billed_cost for totals in levels.values() for total in totals}
        return amounts | set(loads.billed(tx, "default").values()), line.rows


@pytest.mark.stores
def test_killed_just_before_the_commit_all_is_as_it_was(
    database: Database, starter: Starter, temp: Path, tmp_path: Path
) -> None:
    """Everything is written by then, and the helper process clears up after itself; the next load brings the new."""
    with in_one_process():
        read(database, bill(tmp_path / "old.csv", *({"ResourceId": f"r{n}"} for n in range(30))))
    new = bill(tmp_path / "new.csv", *({"ResourceId": f"s{n}", "BilledCost": "2"} for n in range(50)))
    moment = "recorded" if database.dialect == "sqlite" else "written"
    assert starter.load(new, moment=moment) == signal.SIGKILL
    assert _stands(database) == ({Decimal(45)}, 30)
    _wait_until_empty(temp)
    with in_one_process():
        (load,) = read(database, new)
    assert load.status is LoadStatus.REPLACED
    assert _stands(database) == ({Decimal(100)}, 50)


def _wait_until_empty(folder: Path) -> None:
    """The child of a killed parent notices that it is alone, takes its files away and ends."""
    for _ in range(100):
        if not list(folder.iterdir()):
            return
        time.sleep(0.1)
    raise AssertionError(f"left behind: {list(folder.iterdir())}")


@pytest.mark.stores
@pytest.mark.parametrize(
    ("kills", "rows"),
    [(2, 300), pytest.param(50, 3_000, marks=[pytest.mark.prove, pytest.mark.timeout(1800)])],
    ids=["2", "50"],
)
def test_killed_at_any_moment_it_is_the_old_or_the_new(
    database: Database,
    starter: Starter,
    tmp_path: Path,
    kills: int,
    rows: int,
) -> None:
    """Nobody chose the moment; what stands is whole every time, and a rerun completes."""
    moments = random.Random(kills)
    bills = [
        bill(tmp_path / f"{cost}.csv", *({"ResourceId": f"r{n}", "BilledCost": str(cost)} for n in range(rows * cost)))
        for cost in (1, 2)
    ]
    whole = [({Decimal(rows)}, rows), ({Decimal(4 * rows)}, 2 * rows)]
    with in_one_process():
        read(database, bills[0])
    began = time.monotonic()
    assert starter.load(bills[1]) == 0
    takes = time.monotonic() - began
    stands = 1
    for _ in range(kills):
        wanted = 1 - stands
        starter.load(bills[wanted], after=moments.uniform(0, takes))
        assert _stands(database) in whole
        with in_one_process():
            read(database, bills[wanted])
        assert _stands(database) == whole[wanted]
        stands = wanted
