"""ClickHouse: how long loading and answering take with cost facts in ClickHouse, beside the same in SQLite.

Needs chdb (`make .venv/.chdb`), whose engine answers in a process of its own, or a server of your own in
OPTIINFRA_BENCH_CLICKHOUSE (clickhousedb://...; an empty database). OPTIINFRA_BENCH_ROWS sets the rows, as for `data`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from sandbox.processes import end_all, ready_ones, resident_megabytes, start_service
from sandbox.serving import listen, url_of
from tests.bench.data import ASKED, REPEATS, ROWS, TAG_KEYS
from tests.bench.estate import write
from tools.analysis.costs import Costs
from tools.collection.charges import ingest
from tools.store.database import Database, open_database

SERVER = os.environ.get("OPTIINFRA_BENCH_CLICKHOUSE", "")


def tables() -> Iterator[str]:
    """Each table as text."""
    if not SERVER and find_spec("chdb") is None:
        yield "ClickHouse: not measured, chdb is not installed (make .venv/.chdb)."
        return
    with tempfile.TemporaryDirectory() as name, _clickhouse(Path(name)) as (url, pid):
        home = Path(name)
        data = home / "focus"
        data.mkdir()
        rows = write(data, ROWS).rows
        lines = [("store", "reading, s", "of it CPU s here", *ASKED)]
        for store, facts_url in (("SQLite", ""), ("ClickHouse", url)):
            database = open_database(f"sqlite:///{home / store}.db", facts_url)
            lines.append((store, *_read(database, data), *(_answer(database, question) for question in ASKED)))
            database.dispose()
        stamp = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        engine = f"; the engine's process holds {resident_megabytes(pid):.0f} MB" if pid else ""
        yield _table(f"{rows:,} rows; questions warm, median milliseconds of {REPEATS} ({stamp}){engine}", lines)


@contextmanager
def _clickhouse(home: Path) -> Iterator[tuple[str, int]]:
    """A database of cost facts, and the process that answers there (0: a server elsewhere)."""
    if SERVER:
        yield SERVER, 0
        return
    listener = listen()
    address = url_of(listener).replace("http://", "clickhousedb://")
    child = start_service("clickhouse", home / "logs", listener, data=str(home / "data"))
    try:
        list(ready_ones([child], time.monotonic() + 60))
        yield f"{address}/default", child.process.pid
    finally:
        end_all([child])


def _read(database: Database, data: Path) -> tuple[str, str]:
    began, cpu = time.perf_counter(), time.process_time()
    ingest(database, "default", [data], tag_keys=TAG_KEYS, detail_months=4, now=lambda: datetime.now(UTC))
    return f"{time.perf_counter() - began:.0f}", f"{time.process_time() - cpu:.1f}"


def _answer(database: Database, question: str) -> str:
    costs = Costs(database, "default", TAG_KEYS, 2)
    ASKED[question](costs)
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        ASKED[question](costs)
        spent.append((time.perf_counter() - began) * 1000)
    return f"{median(spent):.0f} (least {min(spent):.0f})"


def _table(title: str, lines: list[tuple[str, ...]]) -> str:
    return "\n".join(
        [
            title,
            "-" * len(title),
            *("  ".join(cell.ljust(18) for cell in line).rstrip() for line in zip(*lines, strict=True)),
        ]
    )
