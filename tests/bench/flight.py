"""Flight: many rollouts of one executor at once; prints what a pass of the engine costs as JSON. Run as a module, alone.

`python -m tests.bench.flight COUNT FILE`: COUNT rollouts, each of a fleet of its own, in a SQLite FILE.
"""

from __future__ import annotations

import itertools
import json
import random
import resource
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tools.execution import requests
from tools.execution.engine import Engine
from tools.execution.gates import Gates
from tools.execution.limits import Caps, Limits
from tools.execution.proof.ground import ROLES, TENANT, recommendation
from tools.execution.proof.world import PRINT, START, Clock, Cloud, Health
from tools.model.access import Principal
from tools.model.resource import Resource
from tools.model.rollout import State
from tools.store import people, recommendations, resources, rollouts
from tools.store.database import open_database


def main(count: int, file: Path) -> dict[str, object]:
    """Seconds of CPU per pass when all, some or none are due, and the most memory of this process (MB)."""
    clock, database = Clock(), open_database(f"sqlite:///{file}")
    clouds = {f"fleet-{n}": Cloud("absolute", 10, random.Random(n), clock) for n in range(count)}
    health = Health(clouds["fleet-0"])
    ids = itertools.count()
    with database.begin() as tx:
        for handle, role in ROLES.items():
            people.save(tx, TENANT, f"{handle}@proof.example", role, name=handle, now=START)
        seen = [Resource("Proof", "1", "here", "fleet", name, name, (), {}, PRINT, START) for name in clouds]
        resources.replace(tx, TENANT, "Proof", "1", seen, now=START)
        found = [replace(recommendation("R1"), id=f"rec-{name}", parameters=_parameters(name)) for name in clouds]
        recommendations.save(tx, TENANT, found, now=START)
    gates = Gates(database, TENANT, now=clock, new_id=lambda prefix: f"{prefix}-{next(ids)}", caps=Caps(50, count, 10))
    for name in clouds:
        proposed = requests.propose(
            database,
            TENANT,
            f"rec-{name}",
            _person("priya"),
            change=lambda change, name=name: clouds[name],  # type: ignore[misc]  # bound per turn
            now=clock,
            new_id=gates.new_id,
            expires_in=timedelta(days=1),
            panel=None,
        )
        gates.approve(proposed.seen, _person("ben"))
    engine = Engine(
        database,
        TENANT,
        owner="bench",
        now=clock,
        change=lambda plan: clouds[plan.resource_id],
        health=health,
        limits=Limits(bake=timedelta(hours=1)),
    )
    passes: dict[str, float] = {}

    def take(name: str) -> None:
        began = time.process_time()
        engine.step_all()
        passes[name] = round(time.process_time() - began, 3)

    take("from approved to the first effect")
    clock.pass_(60)
    take("effects shown, health is watched")
    clock.pass_(60)
    take("all due, nothing new")
    take("none due")
    with database.begin() as tx:
        waiting = rollouts.listing(tx, TENANT, states=[State.BAKING])
    for rollout in waiting[: count // 100]:
        gates.rollback(rollout.seen, _person("olaf"))
    take("one in a hundred due, rolled back")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    database.dispose()
    return {"rollouts": count, "baking": len(waiting), "passes": passes, "peak_mb": round(peak)}


def _person(handle: str) -> Principal:
    return Principal(f"{handle}@proof.example", TENANT, handle, ROLES[handle])


def _parameters(name: str) -> dict[str, object]:
    return {**recommendation("R1").parameters, "resource_id": name}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), Path(sys.argv[2]))))
