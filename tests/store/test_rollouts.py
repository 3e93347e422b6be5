"""Rollout rows: transitions are conditional, resources are held once, leases fence each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from tests.execution.conftest import recommendation_of, resource_of
from tests.execution.fleet import Fleet
from tools.execution import planning
from tools.model.errors import NotFoundError
from tools.model.rollout import (
    Approval,
    HealthVerdict,
    Intent,
    IntentStatus,
    Rollout,
    State,
    Verdict,
)
from tools.store import leases, rollout_approvals, rollout_history, rollout_intents, rollouts, stops
from tools.store.database import Database

pytestmark = pytest.mark.stores
T = "default"


def _rollout(now: datetime, id_: str = "ro-1") -> Rollout:
    resource = resource_of(20, now, id_)
    planned = Fleet(None, lambda: now).plan(resource, (10, 50, 100))  # type: ignore[arg-type]  # planning reads no file
    plan = planning.build(recommendation_of("rec", id_, T, "R1"), resource, "test.fleet", planned, (10, 50, 100))
    return Rollout(
        id_,
        T,
        1,
        State.PROPOSED,
        0,
        plan,
        "ana",
        "Ana",
        now,
        now,
        now,
        now + timedelta(hours=1),
        channel="C1",
        baseline={"requests": "100.5"},
    )


def test_a_rollout_comes_back_as_it_was(database: Database, now: datetime) -> None:
    """Plan, hash, times and all; an unknown one is not found; another tenant sees nothing."""
    rollout = _rollout(now)
    with database.begin() as tx:
        rollouts.add(tx, rollout)
    with database.read() as tx:
        back = rollouts.get(tx, T, rollout.id)
        assert back == rollout
        assert back.plan.hash == rollout.plan.hash
        assert rollouts.listing(tx, T, states=[State.PROPOSED]) == (rollout,)
        assert rollouts.listing(tx, T, states=[State.HELD]) == ()
        assert rollouts.listing(tx, "other") == ()
        assert rollouts.live_with_plan(tx, T, rollout.plan.hash) == rollout
        assert rollouts.live_with_plan(tx, T, "0") is None
        with pytest.raises(NotFoundError):
            rollouts.get(tx, "other", rollout.id)


def test_a_transition_finds_exactly_what_was_decided_on(database: Database, now: datetime) -> None:
    """Another version, state, step or plan, or a condition that fails: nothing moves."""
    rollout = _rollout(now)
    after = replace(rollout, version=2, state=State.APPROVED)
    with database.begin() as tx:
        rollouts.add(tx, rollout)
        assert not rollouts.transition(tx, replace(rollout, version=2), after)
        assert not rollouts.transition(tx, replace(rollout, state=State.HELD), after)
        assert not rollouts.transition(tx, replace(rollout, stage=1), after)
        assert not rollouts.transition(tx, replace(rollout, plan=replace(rollout.plan, units=3)), after)
        assert not rollouts.transition(tx, rollout, after, unexpired_at=rollout.expires_at)
        assert not rollouts.transition(tx, rollout, after, epoch=1)
        assert rollouts.transition(tx, rollout, after, epoch=0)
        assert not rollouts.transition(tx, rollout, after)
        assert rollouts.get(tx, T, rollout.id, lock=True) == after


def test_a_resource_is_held_once_and_freed_at_the_end(database: Database, now: datetime) -> None:
    """The second claim is told who holds it; the end of the rollout frees it."""
    rollout = _rollout(now)
    with database.begin() as tx:
        assert rollouts.claim_resource(tx, T, "aws/1", rollout.id) == rollout.id
        assert rollouts.claim_resource(tx, T, "aws/1", "ro-2") == rollout.id
        assert rollouts.claim_resource(tx, "other", "aws/1", "ro-3") == "ro-3"
        rollouts.add(tx, rollout)
        rollouts.transition(tx, rollout, replace(rollout, version=2, state=State.REJECTED))
        assert rollouts.holder(tx, T, "aws/1") is None
        assert rollouts.claim_resource(tx, T, "aws/1", "ro-2") == "ro-2"


def test_leases_fence(database: Database, now: datetime) -> None:
    """Another worker waits for the end of the lease; the one before can then write nothing any more."""
    rollout = _rollout(now)
    until = now + timedelta(seconds=15)
    with database.begin() as tx:
        rollouts.add(tx, rollout)
        taken = leases.take(tx, T, rollout.id, owner="a", now=now, until=until)
        assert taken == (rollout, 1)
        assert leases.take(tx, T, rollout.id, owner="b", now=now, until=until) is None
        assert rollouts.lock(tx, rollout, 1, until=until)
        later = leases.take(tx, T, rollout.id, owner="b", now=until, until=until + timedelta(seconds=15))
        assert later is not None
        assert later[1] == 2
        assert not rollouts.lock(tx, rollout, 1, until=until)
        assert not rollouts.note(tx, rollout, 1, now=now, next_look_at=now, news=True)
        leases.release(tx, T, rollout.id, 1, now=now)
        assert leases.take(tx, T, rollout.id, owner="c", now=until, until=until) is None
        leases.release(tx, T, rollout.id, 2, now=until)
        assert leases.take(tx, T, rollout.id, owner="c", now=until, until=until) is not None
        assert leases.take(tx, T, "ro-none", owner="c", now=until, until=until) is None


def test_what_is_due(database: Database, now: datetime) -> None:
    """Live rollouts whose time has come; a proposal only when it has expired."""
    proposed, held, later = _rollout(now), _rollout(now, "ro-2"), _rollout(now, "ro-3")
    with database.begin() as tx:
        for rollout in (proposed, replace(held, state=State.HELD), replace(later, state=State.HELD)):
            rollouts.add(tx, rollout)
        rollouts.put_off(tx, T, later.id, now + timedelta(minutes=1))
    with database.read() as tx:
        assert rollouts.due(tx, T, now=now) == ("ro-2",)
        assert rollouts.due(tx, T, now=proposed.expires_at) == ("ro-2", "ro-3", "ro-1")
        assert rollouts.running(tx, T, "1") == 2


def test_what_belongs_to_a_rollout(database: Database, now: datetime) -> None:
    """Approvals once per person and gate, intents once by id, looks that say the same in one row."""
    rollout = _rollout(now)
    yes = Approval(rollout.id, 0, rollout.plan.hash, "ben", "Ben", now, 1, "fine")
    intent = Intent("i-1", rollout.id, 0, "forward", {"units": 2}, IntentStatus.PENDING, 0, now, now)
    with database.begin() as tx:
        rollouts.add(tx, rollout)
        assert rollout_approvals.add(tx, rollout, yes)
        assert not rollout_approvals.add(tx, rollout, replace(yes, version=2))
        assert rollout_approvals.listing(tx, T, rollout.id, gate=1) == (yes,)
        assert rollout_approvals.listing(tx, T, rollout.id, gate=2) == ()
        rollout_intents.add(tx, T, intent)
        rollout_intents.add(tx, T, intent)
        assert rollout_intents.listing(tx, T, rollout.id) == (intent,)
        assert rollout_intents.claim(tx, T, intent, 1, now=now)
        assert not rollout_intents.claim(tx, T, intent, 1, now=now)
        assert rollout_intents.note(tx, T, intent, status=IntentStatus.DONE, now=now, accepted=True)
        assert not rollout_intents.note(tx, T, intent, status=IntentStatus.FAILED, now=now)
        rollout_intents.close(tx, rollout, now=now, detail="over")
        (done,) = rollout_intents.listing(tx, T, rollout.id)
        assert (done.status, done.attempts, done.sent_at, done.accepted_at) == (IntentStatus.DONE, 1, now, now)
        look = HealthVerdict(rollout.id, 0, now, Verdict.HEALTHY, "fine", {"n": 1})
        assert rollout_history.keep_verdict(tx, T, look)
        newer = replace(look, at=now + timedelta(minutes=1), why="still fine")
        assert not rollout_history.keep_verdict(tx, T, newer)
        assert rollout_history.verdicts(tx, T, rollout.id) == (newer,)
        assert rollout_history.keep_verdict(tx, T, replace(newer, verdict=Verdict.REGRESSED))
        rollout_history.add_event(tx, rollout, "Ana", "proposed", now=now)
        assert [e.what for e in rollout_history.events(tx, T, rollout.id)] == ["proposed"]


def test_stops(database: Database, now: datetime) -> None:
    """The kill switch of one tenant is not that of another; freezes have their hours."""
    with database.begin() as tx:
        assert stops.standing(tx, T, now=now, lock=True) is None
        stops.set_stop(tx, T, True, actor="Ana", reason="drill", now=now)
        assert stops.standing(tx, T, now=now, lock=True) == ("kill_switch", "Ana stopped all rollouts: drill.")
        assert stops.standing(tx, "other", now=now) is None
        stops.set_stop(tx, T, False, actor="Ana", reason="over", now=now)
        stops.add_freeze(tx, T, stops.Freeze("fr-1", now, now + timedelta(hours=1), "Ana", "release"))
        frozen = stops.standing(tx, T, now=now)
        assert frozen is not None
        assert frozen[0] == "freeze"
        assert stops.standing(tx, T, now=now + timedelta(hours=1)) is None
        assert stops.remove_freeze(tx, T, "fr-1")
        assert not stops.remove_freeze(tx, T, "fr-1")


def test_the_migration_goes_back_and_forth(database: Database) -> None:
    """Down and up again leaves the same tables."""
    from alembic import command
    from alembic.config import Config

    from tools.store.database import MIGRATIONS

    with database.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0005")
        command.upgrade(config, "head")
    with database.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM rollouts")).scalar_one() == 0
