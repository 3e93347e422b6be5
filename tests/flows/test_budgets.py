"""Budgets of the bot: what it must not load, how much memory it may take, how fast commands start."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.flows.product import environment, optiinfra, slack_settings

BILL = Path(__file__).parent / "bill.csv"
FORBIDDEN = (
    "pandas", "pyarrow", "scipy", "sklearn", "statsmodels", "matplotlib", "duckdb", "boto3", "botocore", "moto",
    "google.cloud.bigquery", "azure.identity", "langchain_groq", "groq", "fastmcp", "alembic", "sandbox",
)  # fmt: skip

# Everything that the role `bot` puts together, with 200 questions, in one process that reports on itself.
BOT = """
import json, sys, time
from datetime import date
from bot.app import open_app
from bot.roles import _api, ROLES
app = open_app()
app.slack, app.outbox, app.bells, _api(app, ROLES["bot"])
from agent.answer import Question
questions = int(sys.argv[1])
ready = time.process_time()

def rss():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmRSS")) // 1024

idle = rss()
person = app.person("")
asked = ("what did we spend in October 2026?", "spend by service in October 2026", "and on GCP?", "top 3 services",
         "why did cost change in October 2026?", "any anomalies?", "where can we save money?", "hello")
for number in range(questions):
    app.mind.ask(Question(asked[number % 8], person, date(2026, 11, 2), thread=f"C1:{number // 8}"))
peak = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) // 1024
print(json.dumps({"ready": ready, "idle": idle, "after": rss(), "peak": peak, "modules": sorted(sys.modules)}))
"""


def test_the_bot_stays_small(workspace: SlackWorkspace, tmp_path: Path) -> None:
    """Idle under 150 MB, after 200 questions under 200 MB, ready within 3 CPU seconds, no heavy library loaded."""
    env = environment(tmp_path / "home", **slack_settings(workspace.api_url))
    assert optiinfra(env, "ingest", str(BILL)).returncode == 0
    # Compiled files first: a product that was never started on this machine compiles itself once.
    for questions in ("8", "200"):
        command = [sys.executable, "-c", BOT, questions]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    loaded = [name for name in FORBIDDEN if name in found["modules"]]
    sys.stdout.write(f"{ ({k: v for k, v in found.items() if k != 'modules'}) }\n")  # shown with -s
    assert not loaded
    assert found["idle"] < 150
    assert found["peak"] < 200
    assert found["ready"] < 3.0


def test_help_loads_next_to_nothing() -> None:
    """`optiinfra --help` needs argparse and our errors, so it answers at once: under 0.3 CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bot.cli", "--help"],
        env=dict(os.environ), capture_output=True, text=True, check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    loaded = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert not loaded & {"pydantic", "sqlalchemy", "slack_bolt", "langgraph", "structlog", "redis", "uvicorn"}
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3
