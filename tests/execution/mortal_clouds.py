"""An executor process on the sandbox's clouds that may be killed at any named point. Run as a module, one per life."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tests.execution.conformance import hasty
from tests.execution.fleet import Health
from tools.execution.engine import Engine
from tools.execution.gates import Gates
from tools.execution.limits import Limits
from tools.model.access import Principal, Role
from tools.model.identifiers import random_id
from tools.model.rollout import TERMINAL, State
from tools.providers import registry
from tools.settings import Settings
from tools.store import rollouts
from tools.store.database import open_database

# The clouds of these tests live so much faster: a turn of the loop is some minutes for them.
SPEED, TURN_SECONDS = 4000.0, 0.06
TENANT, TURN = "default", timedelta(seconds=45)
QUICK = Limits(
    bake=timedelta(minutes=2),
    final_guard=timedelta(minutes=2),
    rollback_guard=timedelta(minutes=1),
    stage_timeout=timedelta(hours=2),
    lease=timedelta(seconds=30),
)
_WRITTEN = ("moved", "noted")


@dataclass(frozen=True)
class Life:
    """What one process is told: the database, what is changed and where, since when, and at which point to die.

    `only` "" : at no point. `born` is when it was asked for, in Unix seconds.
    """

    database: str
    folder: str
    wanted: str
    settings: Mapping[str, Any]
    start: str
    back: bool
    only: str
    born: float

    def written(self) -> str:
        return json.dumps(asdict(self))


def plain(settings: Settings) -> dict[str, Any]:
    """The settings as another process may be told them; the sandbox's secrets are none."""
    told = settings.model_dump(exclude_defaults=True)
    return {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in told.items()}


class Body:
    """What is left when the process is gone: points passed, and how long it took to the first step written down."""

    def __init__(self, life: Life) -> None:
        self.life, self.folder = life, Path(life.folder)
        self.alive = False

    def point(self, name: str) -> None:
        with (self.folder / "points").open("a") as file:
            file.write(name + "\n")
        if name == self.life.only:
            (self.folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if not self.alive and name.endswith(_WRITTEN):
            self.alive = True
            with (self.folder / "seconds").open("a") as file:
                file.write(f"{time.time() - self.life.born:.3f} {time.process_time():.3f}\n")


def live(life: Life) -> int:
    """Step and click until the rollout has ended, or die: 0, or 3 when it never ends."""
    body, at = Body(life), [datetime.fromisoformat(life.start)]
    if (body.folder / "died").exists():
        at[0] += timedelta(minutes=2)
    database = open_database(life.database, migrate=False)
    change = _change(life)
    gates = Gates(database, TENANT, now=lambda: at[0], new_id=random_id, limits=QUICK)
    engine = Engine(
        database,
        TENANT,
        owner=f"worker-{os.getpid()}",
        now=lambda: at[0],
        change=lambda plan: change,
        health=Health(body.folder / "health.json"),
        limits=QUICK,
        crash=body.point,
    )
    for _ in range(600):
        with database.read() as tx:
            (rollout,) = rollouts.listing(tx, TENANT)
        if rollout.state in TERMINAL:
            database.dispose()
            return 0
        if life.back and (rollout.state, rollout.stage) in {(State.AWAITING_APPROVAL, 1), (State.FINALISING, 0)}:
            gates.rollback(rollout.seen, _person("olaf", Role.OPERATOR))
        elif rollout.state in {State.PROPOSED, State.AWAITING_APPROVAL}:
            gates.approve(rollout.seen, _person("ben", Role.APPROVER))
        engine.step_all()
        at[0] += TURN
        time.sleep(TURN_SECONDS)
    return 3


def _change(life: Life) -> Any:
    """The product's change, which does not wait between the sandbox's answers."""
    change: Any = registry.change(Settings(_env_file=None, **life.settings), life.wanted)
    if not life.wanted.startswith("aws."):
        reached = change.connection
        several = hasattr(reached, "executors")
        doors = (
            [*reached.executors.values(), *reached.services.values()] if several else [reached.rest, reached.effects]
        )
        hasty(*doors)
    return change


def _person(handle: str, role: Role) -> Principal:
    return Principal(f"{handle}@lumen.example", TENANT, handle.capitalize(), role)


def begin(life: Life) -> None:
    """The process's beginning and end."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}
    sys.exit(live(life))


if __name__ == "__main__":
    begin(Life(**json.loads(sys.argv[1])))
