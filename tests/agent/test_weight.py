"""What the mind weighs: libraries it must not load, memory after fifty questions, and speed."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("duckdb", "boto3", "botocore", "numpy", "pandas", "langchain_groq", "groq", "psycopg", "slack_bolt", "moto")
_IMPORT = "import sys, json, agent.ask; print(json.dumps(sorted(m for m in sys.modules if '.' not in m)))"
_ASKS = """
import json, sys, time
from datetime import UTC, date, datetime
from pathlib import Path
from agent.answer import Question
from agent.ask import build_mind
from tools.analysis.costs import Costs
from tools.model.access import Principal, Role
from tools.model.identifiers import random_id
from tools.settings import Settings
from tools.store.database import open_database

home = Path(sys.argv[1])
settings = Settings(_env_file=None, home=home, state_url=f"sqlite:///{sys.argv[2]}")
database = open_database(settings.database_url, migrate=False)
costs = Costs(database, "default", ("team", "env", "service"), 2)
now = lambda: datetime(2026, 11, 23, 8, tzinfo=UTC)
mind = build_mind(settings, database, costs, now=now, new_id=random_id)
who = Principal("ana@lumen.example", "default", "Ana", Role.REQUESTER)
texts = ["what did we spend last month?", "and AWS?", "spend by team in October", "top 5 services", "how fresh is the data?"]
took = []
for n in range(50):
    began = time.process_time()
    mind.ask(Question(texts[n % len(texts)], who, date(2026, 11, 23), thread=f"t{n % 7}"))
    took.append((time.process_time() - began) * 1000)
status = Path("/proc/self/status").read_text()
rss = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
print(json.dumps({"rss": rss, "took": took[20:], "modules": sorted(m for m in sys.modules if "." not in m)}))
"""


def run(code: str, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "COVERAGE_"))}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_importing_the_mind_loads_nothing_heavy() -> None:
    """Not even LangGraph: that comes with the first question."""
    loaded = set(json.loads(run(_IMPORT)))
    assert not loaded & {*HEAVY, "langgraph", "langchain_core"}


def test_fifty_questions_stay_small_and_fast(lumen_file: Path, tmp_path: Path) -> None:
    """Under 150 MB, no heavy library, and half of the turns take less than 30 ms of processor time."""
    import shutil

    path = tmp_path / "state.db"
    shutil.copy(lumen_file, path)
    found = json.loads(run(_ASKS, str(tmp_path), str(path)))
    print(f"RSS {found['rss']:.0f} MB, p50 {statistics.median(found['took']):.1f} ms")  # noqa: T201
    assert found["rss"] < 150
    assert not set(found["modules"]) & set(HEAVY)
    assert statistics.median(found["took"]) < 30
