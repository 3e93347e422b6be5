"""The engine: what one look returns, writes and leaves behind, and when it looks again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from tests.execution.conftest import World
from tools.execution import engine as room
from tools.execution.engine import Engine
from tools.model.rollout import Plan, Rollout, State
from tools.providers.base import Change
from tools.store import leases, outbox, rollout_history, rollouts

POLL = timedelta(seconds=15)


def _running(world: World, state: State = State.BAKING, pace: int = 20) -> Rollout:
    rollout = world.propose()
    world.fleet.change(pace=pace)
    world.approve(rollout)
    return world.run(rollout, state)


def _due(world: World, at: datetime) -> tuple[str, ...]:
    with world.database.read() as tx:
        return rollouts.due(tx, world.tenant, now=at)


def _free(world: World, rollout: Rollout) -> bool:
    """Whether another worker could take it at this moment."""
    now = world.clock()
    with world.database.begin() as tx:
        taken = leases.take(tx, world.tenant, rollout.id, owner="other", now=now, until=now + POLL)
        return taken is not None


def _told(world: World) -> bool:
    """Whether the card is to be drawn anew; what waited is told then."""
    with world.database.begin() as tx:
        waiting = outbox.due(tx, world.tenant, now=world.clock())
        for one in waiting:
            outbox.delivered(tx, world.tenant, one, now=world.clock())
    return bool(waiting)


def test_a_look_returns_what_changed(world: World) -> None:
    """The rollout as it stands after its moves; nothing when nothing is new."""
    rollout = world.propose()
    world.approve(rollout)
    (changed,) = world.engine().step_all()
    assert changed == replace(world.get(rollout), updated_at=changed.updated_at)
    assert changed.version > 2
    assert _told(world)
    while world.get(rollout).state is not State.BAKING:
        world.look()
    world.look()
    _told(world)
    world.clock.pass_(seconds=15)
    assert world.engine().step_all() == ()
    assert world.get(rollout).updated_at == world.clock()
    assert not _told(world)


def test_counting_on_is_news(world: World) -> None:
    """The state stays, but more units are changed: that is returned, stored and told."""
    rollout = _running(world, State.AWAITING_APPROVAL)
    world.fleet.change(pace=1)
    world.approve(rollout)
    world.look()
    _told(world)
    world.clock.pass_(seconds=15)
    (changed,) = world.engine().step_all()
    assert (changed.state, changed.observed) == (State.EXECUTING, world.get(rollout).observed)
    assert _told(world)


def test_a_new_verdict_is_news(world: World) -> None:
    """Nothing moved and nothing was counted, but health is not known any more."""
    _running(world)
    world.look()
    _told(world)
    world.health.set(down=(1, 0))
    world.clock.pass_(seconds=15)
    assert len(world.engine().step_all()) == 1
    assert _told(world)


def test_the_lease_is_given_back(world: World) -> None:
    """After a look that ends well, one that was lost, one that made enough moves, and one that could not be worked on."""
    rollout = _running(world)
    world.look()
    assert _free(world, rollout)

    def somebody_clicks(point: str) -> None:
        if point == "BAKING/looked":
            world.gates.rollback(world.get(rollout).seen, world.person("olaf"))

    world.clock.pass_(seconds=30)
    world.crash = somebody_clicks
    assert world.engine().step_all() == ()
    assert _free(world, rollout)


def test_some_moves_are_enough_for_one_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others get their turn; what was done is returned, and the next look goes on at once."""
    monkeypatch.setattr(room, "_MOST_MOVES", 2)
    rollout = world.propose()
    world.approve(rollout)
    (changed,) = world.engine().step_all()
    assert changed.state is State.EXECUTING
    assert _free(world, rollout)
    assert _due(world, world.clock()) == (rollout.id,)


def test_the_ways_of_one_look(world: World) -> None:
    """Where a process may die, in order: nothing is done twice because of any."""
    points: list[str] = []
    world.crash = points.append
    rollout = world.propose()
    world.approve(rollout)
    world.engine().step_all()
    assert points == [
        "APPROVED/taken",
        "APPROVED/looked",
        "APPROVED/moved",
        "PREFLIGHT/looked",
        "PREFLIGHT/moved",
        "EXECUTING/looked",
        "EXECUTING/claimed",
        "EXECUTING/applied",
        "EXECUTING/accepted",
        "EXECUTING/shown",
        "EXECUTING/moved",
        "BAKING/looked",
        "BAKING/noted",
    ]


def test_a_quiet_rollout_is_looked_at_each_poll(world: World) -> None:
    """Due after half a poll, not before: whoever is woken for another one leaves it alone."""
    rollout = _running(world)
    world.look()
    now = world.clock()
    assert _due(world, now + POLL / 2 - timedelta(microseconds=1)) == ()
    assert _due(world, now + POLL / 2) == (rollout.id,)


def test_an_effect_under_way_is_always_due(world: World) -> None:
    """While units change every look counts."""
    rollout = world.propose()
    world.fleet.change(pace=1)
    world.approve(rollout)
    world.engine().step_all()
    assert world.get(rollout).state is State.EXECUTING
    assert _due(world, world.clock()) == (rollout.id,)


def test_an_outage_is_asked_less_often(world: World) -> None:
    """Twice the time after each failure, up to a minute."""
    rollout = _running(world)
    for wait in (30, 60, 60):
        world.fleet.fail("observe", 1)
        world.clock.pass_(seconds=60)
        world.engine().step_all()
        now = world.clock()
        assert _due(world, now + timedelta(seconds=wait - 1)) == ()
        assert _due(world, now + timedelta(seconds=wait)) == (rollout.id,)
    world.clock.pass_(seconds=60)
    world.engine().step_all()
    assert world.get(rollout).failures == 0


def test_the_longest_wait_has_an_end(world: World) -> None:
    """However often it failed, the next time is a minute away, or what the limit says."""
    limits = replace(world.limits, poll=timedelta(milliseconds=1))
    engine = Engine(
        world.database, world.tenant, owner="w", now=world.clock, change=_broken, health=None, limits=limits
    )
    stuck = replace(world.propose(), failures=10)
    now = world.clock()
    assert engine._next_look(stuck, now) == engine._next_look(replace(stuck, failures=50), now)
    assert engine._next_look(stuck, now) == now + timedelta(milliseconds=1024)


def _broken(plan: Plan) -> Change:
    raise ValueError("no such change")


def test_what_cannot_be_worked_on_is_told_once_and_stops_nobody(world: World) -> None:
    """It is put off for a while, its lease is free, its history says why - one time - and the other one goes on."""
    bad, good = world.propose(), world.propose(recommendation="rec-2")
    world.approve(bad)
    world.approve(good)

    def change(plan: Plan) -> Change:
        return _broken(plan) if plan.resource_id == bad.plan.resource_id else world.fleet

    engine = Engine(
        world.database,
        world.tenant,
        owner="w",
        now=world.clock,
        change=change,
        health=world.health,
        limits=world.limits,
    )
    with capture_logs() as lines:
        for _ in range(2):
            engine.step_all()
            world.clock.pass_(seconds=60)
    assert [line["event"] for line in lines] == ["rollout_unworkable"] * 2
    assert lines[0]["place"].startswith(__file__)
    assert world.get(good).state is not State.APPROVED
    world.clock.pass_(seconds=-60)
    assert _due(world, world.clock() + timedelta(seconds=59)) == (good.id,)
    assert bad.id in _due(world, world.clock() + timedelta(seconds=60))
    assert _free(world, bad)
    with world.database.read() as tx:
        told = [event.what for event in rollout_history.events(tx, world.tenant, bad.id)]
    assert len([line for line in told if "could not be worked on (ValueError: no such change)" in line]) == 1
