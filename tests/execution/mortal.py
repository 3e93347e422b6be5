"""A worker process that may be killed at any named point, and the people who click meanwhile."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from tests.conftest import TENANT
from tests.execution.conftest import LIMITS, Clock, World
from tests.execution.fleet import Fleet, Health
from tools.model.rollout import TERMINAL, State
from tools.store import rollouts
from tools.store.database import open_database

QUICK = replace(
    LIMITS,
    bake=timedelta(minutes=2),
    final_guard=timedelta(minutes=2),
    rollback_guard=timedelta(minutes=1),
    lease=timedelta(seconds=30),
)


def live(url: str, folder: Path, start: datetime, back: bool, only: str | None) -> None:
    """Step and click until the rollout has ended, or die.

    `only` names the one point to die at; None: at every point that nobody died at before (kept in a file), so
    that one rollout survives a death at each. `back`: people roll back at the second gate instead of going on.
    """
    deaths = folder / "deaths"
    died = set(deaths.read_text().split()) if deaths.exists() else set()

    def crash(point: str) -> None:
        if point not in died and only in {None, point}:
            with deaths.open("a") as file:
                file.write(point + "\n")
            os.kill(os.getpid(), signal.SIGKILL)

    clock = Clock(start + timedelta(minutes=2 * len(died)))
    database = open_database(url, migrate=False)
    world = World(database, Fleet(folder / "fleet.db", clock), Health(folder / "health.json"), clock, QUICK)
    world.crash = crash
    engine = world.engine(owner=f"worker-{os.getpid()}")
    for _ in range(200):
        with database.read() as tx:
            (rollout,) = rollouts.listing(tx, TENANT)
        if rollout.state in TERMINAL:
            return
        if rollout.state is State.AWAITING_APPROVAL and rollout.stage == 2 and back:
            world.gates.rollback(rollout.seen, world.person("olaf"))
        elif rollout.state in {State.PROPOSED, State.AWAITING_APPROVAL}:
            world.gates.approve(rollout.seen, world.person("ben"))
        engine.step_all()
        clock.pass_(minutes=1)
    raise SystemExit(3)
