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

from tests.conftest import TENANT
from tests.execution.conformance import hasty
from tests.execution.conftest import Clock, World
from tests.execution.fleet import Health
from tests.execution.mortal import QUICK
from tools.model.rollout import TERMINAL, State
from tools.providers import registry
from tools.settings import Settings
from tools.store import rollouts
from tools.store.database import open_database

# The clouds of these tests live so much faster: a turn of the loop is some minutes for them.
SPEED, TURN_SECONDS = 4000.0, 0.06
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
    folder, body = Path(life.folder), Body(life)
    deaths = timedelta(minutes=2) if (folder / "died").exists() else timedelta(0)
    clock = Clock(datetime.fromisoformat(life.start) + deaths)
    database = open_database(life.database, migrate=False)
    change: Any = registry.change(Settings(_env_file=None, **life.settings), life.wanted)
    if not life.wanted.startswith("aws."):
        services = getattr(change.connection, "services", None)
        hasty(*(services | change.connection.executors).values()) if services else hasty(
            change.connection.rest, change.connection.effects
        )
    world = World(database, change, Health(folder / "health.json"), clock, QUICK)
    world.crash = body.point
    engine = world.engine(owner=f"worker-{os.getpid()}")
    for _ in range(1500):
        with database.read() as tx:
            (rollout,) = rollouts.listing(tx, TENANT)
        if rollout.state in TERMINAL:
            database.dispose()
            return 0
        waits = rollout.state in {State.PROPOSED, State.AWAITING_APPROVAL}
        if life.back and (rollout.state, rollout.stage) in {(State.AWAITING_APPROVAL, 1), (State.FINALISING, 0)}:
            world.gates.rollback(rollout.seen, world.person("olaf"))
        elif waits:
            world.gates.approve(rollout.seen, world.person("ben"))
        engine.step_all()
        clock.pass_(seconds=45)
        time.sleep(TURN_SECONDS)
    return 3


def begin(life: Life) -> None:
    """The process's beginning and end."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}
    sys.exit(live(life))


if __name__ == "__main__":
    begin(Life(**json.loads(sys.argv[1])))
