"""Data: how long cost data takes to come in and to answer, for files with the cardinalities of a real organisation.

Run with more rows: `OPTIINFRA_BENCH_ROWS=10000000 python -m tests.bench data`. OPTIINFRA_BENCH_POSTGRES=URL of an empty
PostgreSQL database answers the questions there as well; OPTIINFRA_BENCH_PYTHON names a Python that has pandas, pyarrow
and polars (they are no part of this environment) and OPTIINFRA_BENCH_READERS the seconds that eight readers ask beside
a load.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

from tests.bench.estate import LAST, ROWS_PER_DAY, write
from tools.analysis.costs import Costs
from tools.collection.charges import ingest
from tools.model.period import Period
from tools.model.query import CostQuery, Filter, Granularity
from tools.store.database import open_database

ROWS = int(os.environ.get("OPTIINFRA_BENCH_ROWS", "100000"))
POSTGRES = os.environ.get("OPTIINFRA_BENCH_POSTGRES", "")
OTHER_PYTHON = os.environ.get("OPTIINFRA_BENCH_PYTHON", "")
READERS, READING = 8, float(os.environ.get("OPTIINFRA_BENCH_READERS", "5"))
TAG_KEYS = ("team", "env", "app")
ROOT = Path(__file__).resolve().parents[2]
END = LAST + timedelta(days=1)
REPEATS = 5
# The same roll-up, by day, account, service, region, category and tags, as an analyst would write it.
PANDAS = """
import sys, glob, json, pandas as pd
keys = ["day", "ProviderName", "BillingAccountId", "SubAccountId", "ServiceName", "RegionId", "ChargeCategory",
        "PricingCategory", "team", "env", "app"]
parts = []
for path in sorted(glob.glob(sys.argv[1] + "/*.parquet")):
    rows = pd.read_parquet(path)
    rows["day"] = rows.ChargePeriodStart.dt.date
    known = {text: json.loads(text) for text in rows.Tags.unique()}
    for key in ("team", "env", "app"):
        rows[key] = rows.Tags.map(lambda text: known[text].get(key, ""))
    costs = ["BilledCost", "EffectiveCost", "ListCost", "ContractedCost"]
    rows[costs] = rows[costs].astype(float)
    parts.append(rows.groupby(keys, dropna=False)[costs].sum())
print(len(pd.concat(parts)))
"""
POLARS = """
import sys, glob, polars as pl
keys = ["day", "ProviderName", "BillingAccountId", "SubAccountId", "ServiceName", "RegionId", "ChargeCategory",
        "PricingCategory", "team", "env", "app"]
parts = []
for path in sorted(glob.glob(sys.argv[1] + "/*.parquet")):
    tags = [pl.col("Tags").str.json_path_match("$." + key).alias(key) for key in ("team", "env", "app")]
    rows = pl.scan_parquet(path).with_columns(pl.col("ChargePeriodStart").dt.date().alias("day"), *tags)
    costs = ["BilledCost", "EffectiveCost", "ListCost", "ContractedCost"]
    parts.append(rows.group_by(keys).agg(pl.col(costs).cast(pl.Float64).sum()).collect())
print(sum(len(p) for p in parts))
"""
MEASURED = """
import resource
here = resource.getrusage(resource.RUSAGE_SELF)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(here.ru_utime + here.ru_stime, int(peak.split()[1]) // 1024)
"""
INGEST = """
import resource, sys
from datetime import UTC, datetime
from tools.collection.charges import ingest
from tools.store.database import open_database
database = open_database(sys.argv[2])
done = ingest(database, "default", [sys.argv[1]], tag_keys=("team", "env", "app"), detail_months=4,
              now=lambda: datetime.now(UTC))
here, child = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
# ru_maxrss of a started process begins at that of its parent.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(len(done), here.ru_utime + here.ru_stime, int(peak.split()[1]) // 1024, child.ru_utime + child.ru_stime,
      child.ru_maxrss // 1024)
"""


def tables() -> Iterator[str]:
    """Each table as text."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "focus"
        estate = write(data, ROWS)
        urls = [f"sqlite:///{folder}/facts.db", *([POSTGRES] if POSTGRES else [])]
        yield _reading(data, estate.rows, urls)
        yield _questions(urls)
        yield _growth(Path(folder))
        yield _together(data, urls)


def _reading(data: Path, rows: int, urls: Sequence[str]) -> str:
    lines = [("reader", "CPU s", "CPU s of the child", "MB", "MB of the child")]
    for url in urls:
        for again in ("", ", again unchanged"):
            _, cpu, size, child_cpu, child_size = _run(INGEST, str(data), url)
            name = url.split(":", 1)[0]
            lines.append((f"into {name}{again}", f"{float(cpu):.1f}", f"{float(child_cpu):.1f}", size, child_size))
    for name, code in (("pandas", PANDAS), ("polars", POLARS)):
        if OTHER_PYTHON:
            _, cpu, size = _run(code + MEASURED, str(data), python=OTHER_PYTHON)
            lines.append((f"{name}, one level, float, stores nothing", f"{float(cpu):.1f}", "-", size, "-"))
    return _table(f"{rows:,} rows in {len(list(data.iterdir()))} parquet files", lines)


def _run(code: str, *arguments: str, python: str = sys.executable) -> list[str]:
    done = subprocess.run([python, "-c", code, *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.split()


def _questions(urls: Sequence[str]) -> str:
    lines = [("store", *ASKED)]
    for url in urls:
        database = open_database(url)
        costs = Costs(database, "default", TAG_KEYS, 2)
        lines.append((url.split(":", 1)[0], *(_milliseconds(ask, costs) for ask in ASKED.values())))
        database.dispose()
    return _table(f"The eight questions, warm, median milliseconds of {REPEATS}", lines)


def _growth(folder: Path) -> str:
    """The same resources with ten times as many rows, and ten times as many resources with as many rows each."""
    made = {
        "base": (ROWS // 10, ROWS_PER_DAY),
        "10 x line items": (ROWS, 10 * ROWS_PER_DAY),
        "10 x all": (ROWS, ROWS_PER_DAY),
    }
    asking = []
    for number, (rows, per_day) in enumerate(made.values()):
        url = f"sqlite:///{folder}/growth{number}.db"
        if rows == ROWS and per_day == ROWS_PER_DAY:
            url = f"sqlite:///{folder}/facts.db"
        else:
            write(folder / f"growth{number}", rows, per_day)
            _run(INGEST, str(folder / f"growth{number}"), url)
        asking.append(Costs(open_database(url), "default", TAG_KEYS, 2))
    lines = [("organisation", *ASKED)]
    # Interleaved: what else the machine does concerns all of them.
    spent = [[[_processor(ask, costs) for costs in asking] for _ in range(11)] for ask in ASKED.values()]
    for number, name in enumerate(made):
        medians = [median(one[number] for one in question[1:]) for question in spent]
        lines.append((f"{name}, {list(made.values())[number][0]:,} rows", *(f"{m:.1f}" for m in medians)))
    for costs in asking:
        costs.database.dispose()
    return _table("CPU milliseconds of each question on SQLite, medians of ten", lines)


def _processor(ask: Callable[[Costs], object], costs: Costs) -> float:
    began = time.process_time()
    ask(costs)
    return (time.process_time() - began) * 1000


def _together(data: Path, urls: Sequence[str]) -> str:
    """Readers ask all questions but the two longest while a load replaces a month again and again."""
    lines = [("store", "answers", "median ms", "p95 ms", "loads meanwhile", "errors")]
    asked = [ask for name, ask in ASKED.items() if not name.startswith(("q6", "q7"))]
    newest = max(data.glob("aws-*.parquet"), key=lambda path: path.stat().st_size)
    for url in urls:
        database, until = open_database(url), time.monotonic() + READING
        found: list[float] = []
        failed: list[BaseException] = []
        loads = 0
        with ThreadPoolExecutor(READERS) as pool:
            reading = [
                pool.submit(_answers, Costs(database, "default", TAG_KEYS, 2), asked, n, until) for n in range(READERS)
            ]
            while time.monotonic() < until:
                # Fewer tag keys, then all of them: each time the month is another one.
                keys = TAG_KEYS[: 2 + loads % 2]
                ingest(database, "default", [newest], tag_keys=keys, detail_months=4, now=lambda: datetime.now(UTC))
                loads += 1
            for one in reading:
                error = one.exception()
                if error is not None:
                    failed.append(error)
                else:
                    found += one.result()
        found.sort()
        p95 = found[len(found) * 95 // 100] if found else 0
        lines.append(
            (url.split(":", 1)[0], str(len(found)), f"{median(found):.0f}", f"{p95:.0f}", str(loads), str(len(failed)))
        )
        database.dispose()
    return _table(f"{READERS} readers in one process and a load, {READING:.0f} s", lines)


def _answers(costs: Costs, asked: Sequence[Callable[[Costs], object]], first: int, until: float) -> list[float]:
    """Ask one question after the other; gives the milliseconds that each took."""
    spent: list[float] = []
    while time.monotonic() < until:
        began = time.perf_counter()
        asked[(first + len(spent)) % len(asked)](costs)
        spent.append((time.perf_counter() - began) * 1000)
    return spent


def _milliseconds(ask: Callable[[Costs], object], costs: Costs) -> str:
    ask(costs)
    spent: list[float] = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        ask(costs)
        spent.append((time.perf_counter() - began) * 1000)
    return f"{median(spent):.0f}"


def _last(days: int) -> Period:
    return Period(END - timedelta(days=days), END)


def _month_to_date(costs: Costs) -> None:
    costs.table(CostQuery(Period(END.replace(day=1), END + timedelta(days=1)), by=("provider",)))
    costs.table(CostQuery(Period(date(2026, 10, 1), date(2026, 11, 1)), by=("provider",)))


def _movers(costs: Costs) -> None:
    for period in (_last(7), _last(7).previous()):
        costs.table(CostQuery(period, by=("sub_account_id", "service_name"), limit=20))


def _untagged(costs: Costs) -> None:
    costs.table(CostQuery(_last(30)))
    costs.table(CostQuery(_last(30), where=(Filter("tag:team", ("",)),)))


ASKED: dict[str, Callable[[Costs], object]] = {
    "q1 service 30 d": lambda c: c.table(CostQuery(_last(30), by=("service_name",))),
    "q2 month to date": _month_to_date,
    "q3 movers": _movers,
    "q4 team 30 d": lambda c: c.table(CostQuery(_last(30), by=("tag:team",))),
    "q5 resources 30 d": lambda c: c.table(
        CostQuery(_last(30), by=("resource_id",), where=(Filter("sub_account_id", ("100000000042",)),), limit=20)
    ),
    "q6 daily account x service 90 d": lambda c: c.table(
        CostQuery(_last(90), by=("sub_account_id", "service_name"), granularity=Granularity.DAY)
    ),
    "q7 daily service 400 d": lambda c: c.series(CostQuery(_last(400), by=("service_name",))),
    "q8 untagged 30 d": _untagged,
}


def _table(title: str, lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    body = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    stamp = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return "\n".join([f"{title} ({stamp})", "-" * len(title), *body])
