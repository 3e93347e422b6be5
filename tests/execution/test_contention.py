"""Contention: two replicas, real processes, click on the same cards at the same moment; each card has one winner."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TENANT
from tests.execution.conftest import make_world, recommendation_of, resource_of
from tests.execution.fleet import Fleet
from tools.execution import planning, record
from tools.execution.gates import Gates
from tools.execution.limits import Caps
from tools.model.access import Principal, Role
from tools.model.errors import RefusedError
from tools.model.rollout import Rollout, Seen, State
from tools.store import audit, rollout_approvals, rollouts
from tools.store.database import Database, open_database

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.execution.test_contention"])
_PEOPLE = ("ben", "carla")
_NO_CAP = Caps(live_per_account=1_000_000)


def _proposed(database: Database, count: int) -> list[Rollout]:
    """So many rollouts that wait for their first approval, each of a fleet of its own."""
    now = datetime.now(UTC)
    planned = Fleet(None, lambda: now).plan(resource_of(20, now), (10, 50, 100))  # type: ignore[arg-type]  # planning reads no file
    found = recommendation_of("rec-1", "fleet", TENANT, "R1")
    plan = planning.build(found, resource_of(20, now), "test.fleet", planned, (10, 50, 100))
    made = []
    with database.begin() as tx:
        for number in range(count):
            own = replace(plan, resource_id=f"fleet-{number}")
            rollout = Rollout(
                f"ro-{number}", TENANT, 1, State.PROPOSED, 0, own, "priya@lumen.example", "Priya", now, now, now,
                now + timedelta(hours=24),
            )  # fmt: skip
            rollouts.add(tx, rollout)
            record.tell(tx, rollout, "Priya", "proposed", now)
            made.append(rollout)
    return made


def _replica(url: str, cards: list[Seen], who: tuple[str, ...], start: Barrier, results: Queue[Any]) -> None:
    """A replica whose people press Approve on card after card, all at once."""
    database = open_database(url, migrate=False)
    gates = Gates(database, TENANT, now=lambda: datetime.now(UTC), new_id=lambda prefix: prefix, caps=_NO_CAP)
    won: list[str] = []
    refused: Counter[str] = Counter()

    def press(handle: str) -> None:
        person = Principal(f"{handle}@lumen.example", TENANT, handle, Role.APPROVER)
        start.wait()
        for card in cards:
            try:
                gates.approve(card, person)
                won.append(card.rollout_id)
            except RefusedError as refusal:
                refused[refusal.reason] += 1

    threads = [threading.Thread(target=press, args=(handle,)) for handle in who]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.dispose()
    results.put((won, refused))


def _contend(database: Database, url: str, count: int) -> float:
    """Everybody on both replicas presses every card; returns seconds. One wins each, all others are told."""
    cards = [rollout.seen for rollout in _proposed(database, count)]
    start, results = _PROCESSES.Barrier(2 * len(_PEOPLE)), _PROCESSES.Queue()
    replicas = [_PROCESSES.Process(target=_replica, args=(url, cards, _PEOPLE, start, results)) for _ in range(2)]
    for replica in replicas:
        replica.start()
    began = time.monotonic()
    told = [results.get(timeout=3000) for _ in replicas]
    seconds = time.monotonic() - began
    for replica in replicas:
        replica.join(60)
    wins = Counter(rollout_id for won, _ in told for rollout_id in won)
    assert wins == {card.rollout_id: 1 for card in cards}
    refused = sum((refused for _, refused in told), Counter())
    assert refused == {"decided": 3 * count}
    with database.read() as tx:
        for card in cards:
            rollout = rollouts.get(tx, TENANT, card.rollout_id)
            assert (rollout.state, rollout.version) == (State.APPROVED, 2)
            assert len(rollout_approvals.listing(tx, TENANT, card.rollout_id)) == 1
        assert audit.verify(tx, TENANT).problems == ()
    return seconds


@pytest.mark.stores
def test_contended_approvals(database: Database, database_url: str, tmp_path: Path) -> None:
    """A few in every test run."""
    make_world(database, tmp_path)
    _contend(database, database_url, 15)


@pytest.mark.prove
@pytest.mark.stores
@pytest.mark.timeout(3600)
def test_ten_thousand_contended_approvals(
    database: Database, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten thousand cards, four clicks each, two replicas on one PostgreSQL: ten thousand winners."""
    if database.dialect == "sqlite":
        pytest.skip("replicas on several machines share a PostgreSQL")
    make_world(database, tmp_path)
    seconds = _contend(database, database_url, 10_000)
    with capsys.disabled():
        print(f"\n40,000 clicks on 10,000 cards: {seconds:.0f} s")  # noqa: T201 - the figure is the result
