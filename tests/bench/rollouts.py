"""Rollouts: what a pass of the engine costs, how fast runs are simulated, and how the judge does beside its rivals.

`OPTIINFRA_BENCH_STEPS=10000` judges more steps per regime; 2,000 rollouts at once take `OPTIINFRA_BENCH_ROLLOUTS=2000`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bot.terminal.output import table
from tests.bench.regimes import REGIMES, Regime, fixed_z, mann_whitney, ours
from tools.execution.engine import Engine
from tools.execution.gates import Gates
from tools.execution.proof.simulator import Parts, play

STEPS = int(os.environ.get("OPTIINFRA_BENCH_STEPS", "500"))
ROLLOUTS = int(os.environ.get("OPTIINFRA_BENCH_ROLLOUTS", "1000"))
RUNS = 300
# Every pair of minutes is compared anew each minute, which is slow; so many steps tell enough.
_MOST_RANKED = 1000
ROOT = Path(__file__).resolve().parents[2]


def tables() -> Iterator[str]:
    """One table for each of the three questions."""
    yield _flight()
    yield _simulation()
    yield _judges()


def _flight() -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.flight", f"{ROLLOUTS}", f"{folder}/state.db"]
        told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found = json.loads(told.stdout)
    rows = [(name, f"{seconds:.3f}") for name, seconds in found["passes"].items()]
    head = f"{found['rollouts']} rollouts on one executor (SQLite, simulated clouds), {found['peak_mb']} MB at most"
    return f"{head}\n{table(('pass of the engine', 'CPU s'), rows, right=(1,))}"


def _simulation() -> str:
    began = time.process_time()
    broken = [ended for ended in play(Parts(Gates, Engine), 1, RUNS) if ended.violation]
    seconds = time.process_time() - began
    row = (RUNS, f"{seconds:.1f}", f"{RUNS / seconds:.0f}", len(broken))
    return table(("simulated rollouts", "CPU s", "per CPU s", "violations"), [row], right=(0, 1, 2, 3))


def _judges() -> str:
    columns = ("noise", "ours", "ours held", "z", "Mann-Whitney")
    return "\n\n".join(
        f"{title}, {STEPS} steps each\n{table(columns, [_judged(r, ratio, end) for r in REGIMES], right=range(1, 5))}"
        for title, ratio, end in (
            ("Nothing changed, and it is rolled back", 1.0, "rolled back"),
            ("Three times as many requests fail, and it goes on", 3.0, "advanced"),
        )
    )


def _judged(regime: Regime, ratio: float, end: str) -> tuple[str, ...]:
    said = ours(regime, STEPS, ratio, 7)
    rivals = (fixed_z(regime, STEPS, ratio, 7), mann_whitney(regime, min(STEPS, _MOST_RANKED), ratio, 7))
    return (regime.name, _share(said, end), _share(said, "held"), *(_share(ends, end) for ends in rivals))


def _share(ends: Counter[str], end: str) -> str:
    return f"{100 * ends[end] / ends.total():.2f} %"
