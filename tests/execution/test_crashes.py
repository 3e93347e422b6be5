"""kill -9: real processes die at every named point, and the next one finishes without doing anything twice."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from tests.execution.conftest import make_world
from tests.execution.mortal import QUICK, live
from tools.model.rollout import IntentStatus, State
from tools.store import audit, rollout_intents, rollouts
from tools.store.database import Database

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.execution.mortal"])
# Every effect passes these; a machine that lost one of them would make the test below pass for nothing.
_MUST_DIE_AT = {
    *(
        f"{state}/{point}"
        for state in ("EXECUTING", "ROLLING_BACK")
        for point in ("claimed", "applied", "accepted", "shown")
    ),
    "PREFLIGHT/moved",
    "BAKING/noted",
    "GUARDING/looked",
}


def _run(url: str, folder: Path, start: object, back: bool, only: str | None = None) -> int | None:
    process = _PROCESSES.Process(target=live, args=(url, folder, start, back, only))
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
def test_killed_at_every_point(database: Database, database_url: str, tmp_path: Path, back: bool) -> None:
    """One rollout whose worker dies at each point once still ends as people decided, each effect once."""
    world = make_world(database, tmp_path)
    world.limits = QUICK
    world.propose()
    deaths = 0
    while _run(database_url, tmp_path, world.clock(), back) == -signal.SIGKILL:
        deaths += 1
        assert deaths < 200
    _check(database, tmp_path, world.fleet.calls(), back)
    points = (tmp_path / "deaths").read_text().split()
    assert len(points) == len(set(points)) == deaths
    wanted = {p for p in _MUST_DIE_AT if back or not p.startswith(("ROLLING", "GUARDING"))}
    assert wanted <= set(points)


@pytest.mark.prove
@pytest.mark.stores
@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
def test_killed_at_each_point_alone(database: Database, database_url: str, tmp_path: Path, back: bool) -> None:
    """Each point by itself, on both engines; how long the next worker needs to go on is printed."""
    slowest, died = 0.0, 0
    for number, point in enumerate(sorted(_points(database, database_url, tmp_path, back))):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        _empty(database)
        world = make_world(database, folder)
        world.limits = QUICK
        world.propose()
        if _run(database_url, folder, world.clock(), back, point) == 0:
            continue  # a point that is passed only after another death
        died += 1
        began = time.monotonic()
        assert _run(database_url, folder, world.clock(), back, point) == 0
        slowest = max(slowest, time.monotonic() - began)
        _check(database, folder, world.fleet.calls(), back)
    assert died >= 20
    print(f"\nslowest recovery and finish ({database.dialect}, {'back' if back else 'forward'}): {slowest:.2f} s")  # noqa: T201


def _points(database: Database, url: str, folder: Path, back: bool) -> set[str]:
    every = folder / "every"
    every.mkdir()
    world = make_world(database, every)
    world.limits = QUICK
    world.propose()
    while _run(url, every, world.clock(), back) == -signal.SIGKILL:
        pass
    return set((every / "deaths").read_text().split())


def _empty(database: Database) -> None:
    from tools.store.rollout_tables import approvals, events, intents, people, rollout_claims, verdicts
    from tools.store.rollout_tables import rollouts as table

    with database.begin() as tx:
        for one in (table, approvals, events, intents, people, rollout_claims, verdicts):
            tx.execute(one.delete())


def _check(database: Database, folder: Path, calls: list[tuple[int, str]], back: bool) -> None:
    with database.read() as tx:
        (rollout,) = rollouts.listing(tx, "default")
        assert audit.verify(tx, "default").problems == ()
        intents = rollout_intents.listing(tx, "default", rollout.id)
    assert rollout.state is (State.ROLLED_BACK if back else State.SUCCEEDED)
    assert {intent.status for intent in intents} == {IntentStatus.DONE}
    forward = [share for share, _ in calls if share]
    assert forward == ([2, 10] if back else [2, 10, 20])
    # The way back is an absolute state under one token; after a death in mid-call it may arrive once more.
    assert len({token for share, token in calls if not share}) == int(back)
    assert max(Counter(token for _, token in calls).values()) <= 2
    assert timedelta(0) <= rollout.updated_at - rollout.created_at
