"""What changed is told once, in its newest state, and an outside event is taken in once."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest

from tests.conftest import NOW, TENANT
from tools.store import outbox
from tools.store.database import Database

LEASE = timedelta(seconds=30)
CARD = ("rollout", "ro-1", "C1")


@pytest.mark.stores
def test_many_changes_of_one_thing_are_told_once(database: Database) -> None:
    """Three changes of a rollout wait as one entry; what changes while it is told waits again."""
    with database.begin() as tx:
        for _ in range(3):
            outbox.put(tx, TENANT, "rollout", "ro-1", now=NOW, channel="C1")
        outbox.put(tx, TENANT, "digest", "2026-11-23", now=NOW)
        outbox.put(tx, "another customer", "rollout", "ro-9", now=NOW)
    with database.read() as tx:
        waiting = outbox.due(tx, TENANT, now=NOW)
    assert [(w.topic, w.subject, w.channel) for w in waiting] == [CARD, ("digest", "2026-11-23", "")]
    with database.begin() as tx:
        outbox.put(tx, TENANT, "rollout", "ro-1", now=NOW, channel="C1")
        outbox.delivered(tx, TENANT, waiting[0], now=NOW)
        outbox.delivered(tx, TENANT, waiting[1], now=NOW)
    with database.read() as tx:
        again = outbox.due(tx, TENANT, now=NOW)
    assert [w.subject for w in again] == ["ro-1"]
    assert again[0].last_id > waiting[0].last_id


@pytest.mark.stores
def test_a_failed_delivery_waits_and_then_may_be_given_up(database: Database) -> None:
    """It is tried again after a while, and a hopeless one leaves its reason behind."""
    with database.begin() as tx:
        outbox.put(tx, TENANT, "rollout", "ro-1", now=NOW)
        (waiting,) = outbox.due(tx, TENANT, now=NOW)
        outbox.failed(tx, TENANT, waiting, now=NOW, problem="Slack is away", retry_in=timedelta(seconds=10))
        assert outbox.due(tx, TENANT, now=NOW + timedelta(seconds=9)) == ()
        (retried,) = outbox.due(tx, TENANT, now=NOW + timedelta(seconds=10))
        assert retried.attempts == 1
        outbox.failed(tx, TENANT, retried, now=NOW, problem="no such channel", retry_in=None)
        assert outbox.due(tx, TENANT, now=NOW + timedelta(days=9)) == ()


@pytest.mark.stores
def test_one_replica_writes_a_message(database: Database) -> None:
    """While one holds the message nobody else writes it; a holder that died is followed after its lease."""
    with database.begin() as tx:
        assert outbox.claim_message(tx, TENANT, *CARD, now=NOW, lease=LEASE) == outbox.Posted("", "")
        assert outbox.claim_message(tx, TENANT, *CARD, now=NOW, lease=LEASE) is None
        assert outbox.posted(tx, TENANT, "rollout", "ro-1") == {}
        after = NOW + LEASE
        assert outbox.claim_message(tx, TENANT, *CARD, now=after, lease=LEASE) == outbox.Posted("", "")
        outbox.message_written(tx, TENANT, *CARD, ts="1.5", content_hash="h", now=after)
        assert outbox.posted(tx, TENANT, "rollout", "ro-1") == {"C1": "1.5"}
        assert outbox.claim_message(tx, TENANT, *CARD, now=after, lease=LEASE) == outbox.Posted("1.5", "h")
        outbox.release_message(tx, TENANT, *CARD)
        assert outbox.claim_message(tx, TENANT, *CARD, now=after, lease=LEASE) == outbox.Posted("1.5", "h")


@pytest.mark.stores
def test_an_event_is_taken_in_once_however_many_see_it(database: Database) -> None:
    """Eight threads get the same event; one of them has it."""
    taken: list[bool] = []
    barrier = threading.Barrier(8)

    def take() -> None:
        barrier.wait()
        with database.begin() as tx:
            taken.append(outbox.take_in(tx, TENANT, "Ev1", now=NOW))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


@pytest.mark.stores
def test_old_events_are_forgotten(database: Database) -> None:
    """Only what is old and told goes; what still waits stays for ever."""
    old: datetime = NOW - timedelta(days=30)
    with database.begin() as tx:
        outbox.take_in(tx, TENANT, "Ev1", now=old)
        outbox.take_in(tx, TENANT, "Ev2", now=NOW)
        outbox.put(tx, TENANT, "rollout", "told", now=old)
        outbox.put(tx, TENANT, "rollout", "waits", now=old)
        told = next(w for w in outbox.due(tx, TENANT, now=NOW) if w.subject == "told")
        outbox.delivered(tx, TENANT, told, now=old)
        assert outbox.forget_before(tx, NOW - timedelta(days=7)) == 2
        assert [w.subject for w in outbox.due(tx, TENANT, now=NOW)] == ["waits"]
        assert outbox.take_in(tx, TENANT, "Ev1", now=NOW)
        assert not outbox.take_in(tx, TENANT, "Ev2", now=NOW)
