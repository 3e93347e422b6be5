"""Daily work happens once, on one replica, late rather than never."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from bot.clock import Clock, DailyJob, Loop
from bot.shared.wakeups import LocalWakeups
from tools.model.errors import StoreUnavailableError
from tools.store import slots
from tools.store.database import Database, open_database
from tools.telemetry.metrics import Metrics

MORNING = datetime(2026, 11, 23, 8, 0, 5, tzinfo=UTC)


def replica(database: Database, name: str, work: Callable[[datetime], str], now: datetime = MORNING) -> Clock:
    """A replica whose only job is the digest at 8."""
    return Clock(database, "default", name, lambda: now, (DailyJob("digest", 8, work),), Metrics())


@pytest.mark.stores
def test_two_replicas_post_one_digest(database_url: str) -> None:
    """Twenty ticks of two replicas at the same moment run the work once."""
    done: list[datetime] = []

    def work(slot: datetime) -> str:
        done.append(slot)
        time.sleep(0.05)
        return "posted"

    def ticks(name: str) -> None:
        opened = open_database(database_url, migrate=False)
        clock = replica(opened, name, work)
        for _ in range(10):
            clock.tick()
        opened.dispose()

    threads = [threading.Thread(target=ticks, args=(n,)) for n in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [MORNING]


@pytest.mark.stores
def test_it_is_due_from_its_hour_on_and_again_tomorrow(database: Database) -> None:
    """Before eight nothing happens; a bot that was down at eight still posts at eleven; tomorrow is a new slot."""
    ran: list[str] = []

    def work(slot: datetime) -> str:
        ran.append(f"{slot:%d %H}")
        return "posted"

    for moment in ("23 07", "23 11", "23 12", "24 07", "24 08"):
        day, hour = map(int, moment.split())
        replica(database, "a", work, datetime(2026, 11, day, hour, tzinfo=UTC)).tick()
    assert ran == ["23 11", "24 08"]
    with database.read() as tx:
        assert slots.outcomes(tx, "default", "digest") == {"2026-11-23": "posted", "2026-11-24": "posted"}


@pytest.mark.stores
def test_a_slot_whose_replica_died_is_taken_over(database: Database) -> None:
    """The lease of a replica that never finished runs out; what it says afterwards no longer counts."""
    with database.begin() as tx:
        assert slots.claim(
            tx, "default", "digest", "2026-11-23", owner="dead", now=MORNING, lease=timedelta(minutes=15)
        )
    ran: list[int] = []
    assert replica(database, "b", lambda _: str(ran.append(1)), MORNING + timedelta(minutes=10)).tick() == ()
    assert replica(database, "b", lambda _: str(ran.append(1)), MORNING + timedelta(minutes=16)).tick() == ("digest",)
    assert ran == [1]
    with database.begin() as tx:
        assert not slots.finish(tx, "default", "digest", "2026-11-23", owner="dead", now=MORNING, outcome="late")


def test_work_that_failed_is_tried_again(database: Database) -> None:
    """A failure is logged and counted, and five minutes later the slot is free again."""

    def broken(slot: datetime) -> str:
        raise StoreUnavailableError("The database did not answer.")

    clock = replica(database, "a", broken)
    assert clock.tick() == ("digest",)
    assert b'optiinfra_jobs_total{job="digest",outcome="failed"} 1.0' in clock.metrics.text()
    assert replica(database, "b", lambda _: "posted", MORNING + timedelta(minutes=1)).tick() == ()
    assert replica(database, "b", lambda _: "posted", MORNING + timedelta(minutes=6)).tick() == ("digest",)


def test_the_scheduler_ticks_at_once(database: Database) -> None:
    """A started clock does not wait for its first interval."""
    ran = threading.Event()
    clock = Clock(
        database,
        "default",
        "a",
        lambda: datetime.now(UTC),
        (DailyJob("digest", 0, lambda _: str(ran.set())),),
        Metrics(),
    )
    scheduler = clock.start()
    assert ran.wait(5)
    scheduler.shutdown(wait=True)


def test_a_loop_runs_when_the_bell_rings_and_survives_a_failure() -> None:
    """The first round fails, the second comes with the bell and not after the hour."""
    rounds: list[int] = []
    twice = threading.Event()

    def work() -> None:
        rounds.append(1)
        if len(rounds) == 1:
            raise StoreUnavailableError("The database did not answer.")
        twice.set()

    bell = LocalWakeups()
    loop = Loop("rollouts", work, bell, 3600)
    loop.start()
    deadline = time.monotonic() + 5
    while not twice.is_set() and time.monotonic() < deadline:
        bell.ring()
        time.sleep(0.01)
    loop.stop()
    assert twice.is_set()
