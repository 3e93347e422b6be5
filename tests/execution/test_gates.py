"""Gates: who may decide what, on which card, and what everybody else is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.execution.conftest import BAD, World
from tools.execution import gates as gates_room
from tools.model.access import Principal, Role
from tools.model.errors import NotFoundError, RefusedError
from tools.model.rollout import Rollout, State
from tools.store import audit, outbox, people, rollout_approvals, rollouts, stops

# What transactions, locks and conditions decide is decided by both databases.
both = pytest.mark.stores
Decision = Callable[[World, Rollout], object]


def _refused(world: World, rollout: Rollout, decide: Decision, reason: str) -> str:
    """The decision is refused with that word, audited, and nothing but the audit record changed."""
    before = world.get(rollout)
    with pytest.raises(RefusedError) as refusal:
        decide(world, rollout)
    assert refusal.value.reason == reason
    assert world.refusals()[0][2] == reason
    assert world.get(rollout) == before
    return str(refusal.value)


@both
def test_an_approval_is_bound_audited_and_told(world: World) -> None:
    """The row, the approval, history, audit and what is to be told stand together."""
    rollout = world.propose()
    after = world.gates.approve(gates_room.seen(rollout), world.person("ben"), "looks good")
    assert (after.state, after.version, after.approved_at) == (State.APPROVED, 2, world.clock())
    with world.database.read() as tx:
        (approval,) = rollout_approvals.listing(tx, world.tenant, rollout.id)
        newest = audit.entries(tx, world.tenant)[0]
        waiting = outbox.due(tx, world.tenant, now=world.clock())
    assert (approval.actor, approval.stage, approval.version) == ("ben@lumen.example", 0, 1)
    assert (approval.plan_hash, approval.reason) == (rollout.plan.hash, "looks good")
    assert (newest.action, newest.outcome, newest.detail["note"]) == ("rollout.approve", "done", "looks good")
    assert [(w.topic, w.subject) for w in waiting] == [("rollout", rollout.id)]


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("priya", "proposer"),
        ("rita", "role"),
        ("dan", "role"),
        ("olaf", "role"),
        ("nobody", "person"),
    ],
)
def test_who_may_not_approve(world: World, who: str, reason: str) -> None:
    """The proposer never, a role without the right never, a stranger never."""
    rollout = world.propose()
    _refused(world, rollout, lambda w, r: w.gates.approve(r.seen, w.person(who)), reason)


def test_an_admin_who_proposed_may_not_approve_either(world: World) -> None:
    """No role is above the rule."""
    rollout = world.propose("carla")
    _refused(world, rollout, lambda w, r: w.approve(r, "carla"), "proposer")


def test_a_program_may_not_decide(world: World) -> None:
    """Not even one that carries an approver's name."""
    rollout = world.propose()
    robot = replace(world.person("ben"), is_human=False)
    for decide in ("approve", "reject", "abort", "rollback"):
        _refused(world, rollout, lambda w, r, d=decide: getattr(w.gates, d)(r.seen, robot), "not_human")


def test_another_organisation_may_not_decide(world: World) -> None:
    """A principal of another tenant is refused; a rollout of another tenant does not exist."""
    rollout = world.propose()
    stranger = Principal("ben@lumen.example", "other", "Ben", Role.ADMIN)
    _refused(world, rollout, lambda w, r: w.gates.approve(r.seen, stranger), "tenant")
    elsewhere = replace(world, tenant="other")
    with pytest.raises(NotFoundError):
        elsewhere.gates.approve(rollout.seen, elsewhere.person("ben"))
    assert world.get(rollout).state is State.PROPOSED


def test_the_stored_role_counts_not_the_claimed_one(world: World) -> None:
    """A role taken away a moment ago is gone, whatever the session still believes; so is a person who left."""
    rollout = world.propose()
    ben = world.person("ben")
    with world.database.begin() as tx:
        people.save(tx, world.tenant, ben.id, Role.VIEWER, now=world.clock())
    _refused(world, rollout, lambda w, r: w.gates.approve(r.seen, ben), "role")
    with world.database.begin() as tx:
        people.save(tx, world.tenant, ben.id, Role.APPROVER, active=False, now=world.clock())
    _refused(world, rollout, lambda w, r: w.gates.approve(r.seen, ben), "person")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"version": 7}, "stale"),
        ({"version": 0}, "stale"),
        ({"stage": 1}, "plan"),
        ({"plan_hash": "f" * 64}, "plan"),
    ],
)
def test_a_card_that_shows_something_else(world: World, wrong: dict[str, object], reason: str) -> None:
    """Version, step and plan on the card must be those that wait."""
    rollout = world.propose()
    card = replace(rollout.seen, **wrong)  # type: ignore[arg-type]  # the fields of Seen
    _refused(world, rollout, lambda w, r: w.gates.approve(card, w.person("ben")), reason)


def test_an_unknown_rollout(world: World) -> None:
    """A card of something that does not exist is not found, and that too is on record."""
    rollout = world.propose()
    with pytest.raises(NotFoundError):
        world.gates.approve(replace(rollout.seen, rollout_id="ro-none"), world.person("ben"))
    assert world.refusals()[0] == ("ben@lumen.example", "rollout.approve", "not_found")


@both
def test_expiry_is_checked_in_the_click(world: World) -> None:
    """A second before the end it counts; at the end it does not, though no timer ran."""
    first, second = world.propose(), world.propose(recommendation="rec-2")
    world.clock.at = first.expires_at - timedelta(seconds=1)
    assert world.approve(first).state is State.APPROVED
    world.clock.at = second.expires_at
    words = _refused(world, second, lambda w, r: w.approve(r), "expired")
    assert "open until" in words


@both
def test_the_loser_is_told_who_won(world: World) -> None:
    """Two people look at the same card; the second click says who was first and when."""
    rollout = world.propose()
    card = rollout.seen
    world.gates.approve(card, world.person("ben"))
    world.clock.pass_(seconds=2)
    words = _refused(world, rollout, lambda w, r: w.gates.approve(card, w.person("carla")), "decided")
    assert "Ben approved step 1 at 08:00:00 UTC" in words


def test_a_click_on_an_old_step_does_not_approve_the_next(world: World) -> None:
    """The 10 % card pressed again at the 50 % gate is refused."""
    rollout = world.propose()
    card = rollout.seen
    world.approve(rollout)
    waiting = world.run(rollout, State.AWAITING_APPROVAL)
    _refused(world, waiting, lambda w, r: w.gates.approve(card, w.person("ben")), "decided")


def test_a_running_step_cannot_be_approved(world: World) -> None:
    """A fresh look at a rollout that does not wait gives nothing to approve."""
    rollout = world.propose()
    world.approve(rollout)
    world.engine().step_all()
    _refused(world, rollout, lambda w, r: w.approve(r, "carla"), "state")


@both
def test_two_approvals_at_the_same_moment(world: World) -> None:
    """However often it is tried: exactly one wins, the other is told, one approval is kept."""
    engines = {"sqlite": 12, "postgresql": 25}
    for number in range(engines[world.database.dialect]):
        rollout = world.propose(recommendation=f"rec-{number}")
        start = threading.Barrier(3)
        results: list[str] = []

        def click(
            who: str, rollout: Rollout = rollout, start: threading.Barrier = start, results: list[str] = results
        ) -> None:
            start.wait()
            try:
                results.append(world.gates.approve(rollout.seen, world.person(who)).state)
            except RefusedError as refusal:
                results.append(refusal.reason)

        threads = [threading.Thread(target=click, args=(who,)) for who in ("ben", "carla", "ben")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == ["APPROVED", "decided", "decided"]
        with world.database.read() as tx:
            assert len(rollout_approvals.listing(tx, world.tenant, rollout.id)) == 1
        # Only so many may be under way at once, so this one makes room.
        world.gates.rollback(world.get(rollout).seen, world.person("olaf"))
    with world.database.read() as tx:
        assert audit.verify(tx, world.tenant).problems == ()


@both
def test_approve_and_rollback_at_the_same_moment(world: World) -> None:
    """Whoever is first, the rollout ends stopped: a rollback is never lost."""
    for number in range(8):
        rollout = world.propose(recommendation=f"rec-{number}")
        start = threading.Barrier(2)

        def act(what: str, who: str, rollout: Rollout = rollout, start: threading.Barrier = start) -> None:
            start.wait()
            with contextlib.suppress(RefusedError):
                getattr(world.gates, what)(rollout.seen, world.person(who))

        threads = [threading.Thread(target=act, args=pair) for pair in (("approve", "ben"), ("rollback", "olaf"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert world.get(rollout).state is State.CANCELLED


@both
def test_two_people_for_what_destroys(world: World) -> None:
    """R2 needs two different people; the first yes moves nothing, the same person twice does not count."""
    rollout = world.propose(risk="R2")
    first = world.approve(rollout, "ben")
    assert (first.state, first.version) == (State.PROPOSED, 2)
    assert "1 of 2" in first.reason
    _refused(world, rollout, lambda w, r: w.approve(r, "ben"), "same_person")
    assert world.approve(rollout, "carla").state is State.APPROVED


def test_reject(world: World) -> None:
    """An approver refuses, the proposer may withdraw, a viewer may not; a running one cannot be rejected."""
    rollout = world.propose()
    _refused(world, rollout, lambda w, r: w.gates.reject(r.seen, w.person("dan")), "role")
    assert world.gates.reject(rollout.seen, world.person("ben"), "not this week").reason.endswith("not this week")
    again = world.propose()
    assert again.id != rollout.id
    assert world.gates.reject(again.seen, world.person("priya")).state is State.REJECTED
    third = world.propose()
    world.approve(third)
    _refused(world, third, lambda w, r: w.gates.reject(w.get(r).seen, w.person("ben")), "state")


def test_nobody_rolls_back_what_has_ended(world: World) -> None:
    """What is over is over; a viewer cannot roll back at all."""
    rollout = world.propose()
    _refused(world, rollout, lambda w, r: w.gates.rollback(r.seen, w.person("dan")), "role")
    world.gates.abort(rollout.seen, world.person("priya"))
    _refused(world, rollout, lambda w, r: w.gates.rollback(w.get(r).seen, w.person("olaf")), "state")


@both
def test_the_kill_switch(world: World) -> None:
    """It stops approvals and forward effects at once, never a rollback; lifting it takes an approver."""
    rollout, running = world.propose(), world.propose(recommendation="rec-2")
    world.approve(running)
    world.gates.stop(world.person("olaf"), "incident 42")
    words = _refused(world, rollout, lambda w, r: w.approve(r), "kill_switch")
    assert "Olaf stopped all rollouts: incident 42" in words
    assert world.run(running, State.HELD).held_from is State.PREFLIGHT
    assert world.fleet.calls() == []
    assert world.gates.rollback(world.get(running).seen, world.person("olaf")).state is State.CANCELLED
    with pytest.raises(RefusedError, match="may not"):
        world.gates.resume(world.person("olaf"), "over")
    world.gates.resume(world.person("ben"), "over")
    assert world.approve(rollout).state is State.APPROVED


def test_a_freeze(world: World) -> None:
    """Inside the window nothing new is approved; after it, or when it is lifted, it is."""
    rollout = world.propose()
    now = world.clock()
    with pytest.raises(RefusedError, match="end after it starts"):
        world.gates.freeze(world.person("olaf"), now, now, "typo")
    freeze = world.gates.freeze(world.person("olaf"), now, now + timedelta(hours=2), "release")
    _refused(world, rollout, lambda w, r: w.approve(r), "freeze")
    with world.database.read() as tx:
        assert [f.reason for f in stops.planned(tx, world.tenant, now=now)] == ["release"]
    world.gates.thaw(world.person("ben"), freeze.id)
    with pytest.raises(NotFoundError):
        world.gates.thaw(world.person("ben"), freeze.id)
    assert world.approve(rollout).state is State.APPROVED


def test_only_so_many_at_once(world: World) -> None:
    """A fourth rollout of an account waits until one has ended."""
    started = [world.propose(recommendation=f"rec-{n}") for n in range(4)]
    for rollout in started[:3]:
        world.approve(rollout)
    _refused(world, started[3], lambda w, r: w.approve(r), "cap")
    world.gates.rollback(world.get(started[0]).seen, world.person("olaf"))
    assert world.approve(started[3]).state is State.APPROVED


def test_a_step_whose_predecessor_is_not_known_healthy(world: World) -> None:
    """At a gate whose service went silent nobody can say yes; rolling back still works."""
    rollout = world.propose()
    world.approve(rollout)
    world.run(rollout, State.AWAITING_APPROVAL)
    world.health.set(down=(1, 0))
    world.look()
    words = _refused(world, rollout, lambda w, r: w.approve(r), "health")
    assert "does not answer" in words
    assert world.gates.rollback(rollout.seen, world.person("priya")).state is State.ROLLING_BACK


@both
def test_a_second_rollback_click_changes_nothing(world: World) -> None:
    """It is being rolled back already; the click is no error and no second write."""
    rollout = world.propose()
    world.approve(rollout)
    world.run(rollout, State.AWAITING_APPROVAL)
    first = world.gates.rollback(rollout.seen, world.person("priya"))
    assert world.gates.rollback(rollout.seen, world.person("olaf")) == first
    world.run(rollout, State.ROLLED_BACK)
    assert [share for share, _ in world.fleet.calls()] == [2, 0]


def test_retry_is_only_for_what_is_held(world: World) -> None:
    """A held step goes back to its gate, by somebody who may approve and did not propose it."""
    rollout = world.propose()
    _refused(world, rollout, lambda w, r: w.gates.retry(r.seen, w.person("ben")), "state")
    _refused(world, rollout, lambda w, r: w.gates.resolve(r.seen, w.person("ben"), True), "state")
    world.approve(rollout)
    world.health.set()
    world.run(rollout, State.HELD)
    _refused(world, rollout, lambda w, r: w.gates.retry(r.seen, w.person("ben")), "decided")
    _refused(world, rollout, lambda w, r: w.gates.retry(w.get(r).seen, w.person("priya")), "proposer")
    _refused(world, rollout, lambda w, r: w.gates.retry(w.get(r).seen, w.person("olaf")), "role")
    again = world.gates.retry(world.get(rollout).seen, world.person("ben"))
    assert (again.state, again.gate) == (State.PROPOSED, 2)
    world.health.set(spot=(600, 0))
    world.approve(rollout)
    assert world.run(rollout, State.AWAITING_APPROVAL).stage == 1


@both
def test_an_old_approval_does_not_count_at_a_new_gate(world: World) -> None:
    """After a hold the same step needs its approval again; the old row stays as history."""
    rollout = world.propose()
    world.approve(rollout)
    world.clock.pass_(hours=2)
    waiting = world.run(rollout, State.PROPOSED)
    assert "not used in time" in waiting.reason
    world.engine().step_all()
    assert world.fleet.calls() == []
    world.approve(rollout)
    world.run(rollout, State.AWAITING_APPROVAL)
    with world.database.read() as tx:
        assert len(rollout_approvals.listing(tx, world.tenant, rollout.id)) == 2


def test_a_regression_cannot_be_approved_away(world: World) -> None:
    """The rollback is decided before the click; the click is told so."""
    rollout = world.propose()
    world.approve(rollout)
    card = world.run(rollout, State.AWAITING_APPROVAL).seen
    world.health.set(**BAD)
    world.fleet.change(pace=0)
    world.look()
    words = _refused(world, rollout, lambda w, r: w.gates.approve(card, w.person("ben")), "stale")
    assert "health got worse" in words


def test_a_requester_withdraws_only_what_is_theirs(world: World) -> None:
    """Somebody who may only propose takes back their own proposal, and nobody else's."""
    own, other = world.propose("rita"), world.propose(recommendation="rec-2")
    _refused(world, other, lambda w, r: w.gates.reject(r.seen, w.person("rita")), "role")
    assert world.gates.reject(own.seen, world.person("rita")).reason == "rejected by Rita"


def test_an_old_card_rejects_nothing(world: World) -> None:
    """What was proposed anew is not what the card shows."""
    rollout = world.propose(risk="R2")
    world.approve(rollout)
    _refused(world, rollout, lambda w, r: w.gates.reject(replace(r.seen, version=1), w.person("ben")), "decided")


@pytest.mark.parametrize(
    ("state", "held_from", "reason"),
    [
        (State.NEEDS_HUMAN, State.ROLLING_BACK, "state"),
        (State.NEEDS_HUMAN, State.GUARDING, "state"),
        (State.HELD, State.EXECUTING, "state"),
        (State.NEEDS_HUMAN, State.EXECUTING, "stale"),
    ],
)
def test_only_an_unclear_effect_is_resolved(world: World, state: State, held_from: State, reason: str) -> None:
    """And only by somebody who looks at the newest card."""
    rollout = world.propose()
    stuck = replace(rollout, version=2, state=state, held_from=held_from, touched=True)
    with world.database.begin() as tx:
        assert rollouts.transition(tx, rollout, stuck)
    _refused(world, rollout, lambda w, r: w.gates.resolve(r.seen, w.person("ben"), True), reason)


def test_a_rollback_is_never_too_late(world: World) -> None:
    """The time to decide on the next step is over, and nobody has looked since: back is still possible."""
    rollout = world.propose()
    world.approve(rollout)
    waiting = world.run(rollout, State.AWAITING_APPROVAL)
    world.clock.at = waiting.expires_at + timedelta(hours=1)
    back = world.gates.rollback(waiting.seen, world.person("olaf"))
    assert (back.state, back.reason) == (State.ROLLING_BACK, "rollback by Olaf")


def test_reasons_are_kept(world: World) -> None:
    """With a reason it stands in the words; without one the words end there."""
    first, second = world.propose(), world.propose(recommendation="rec-2")
    world.health.set()
    for rollout, reason, words in (
        (first, "it is back", "tried again by Ben: it is back"),
        (second, "", "tried again by Ben"),
    ):
        world.approve(rollout)
        world.run(rollout, State.HELD)
        assert world.gates.retry(world.get(rollout).seen, world.person("ben"), reason).reason == words
    assert world.gates.abort(world.get(first).seen, world.person("olaf"), "enough").reason == (
        "abort by Olaf: enough; nothing had been changed"
    )


def test_stops_and_freezes_are_on_record(world: World) -> None:
    """Who stopped, froze, thawed and went on, and why."""
    olaf, ben, now = world.person("olaf"), world.person("ben"), world.clock()
    world.gates.stop(olaf, "incident")
    world.gates.resume(ben, "over")
    freeze = world.gates.freeze(olaf, now, now + timedelta(hours=1), "release")
    world.gates.thaw(ben, freeze.id)
    with world.database.read() as tx:
        lines = [(e.actor, e.action, e.subject, e.detail) for e in reversed(audit.entries(tx, world.tenant))]
    assert lines == [
        (olaf.id, "stop.on", "rollouts", {"why": "incident"}),
        (ben.id, "stop.off", "rollouts", {"why": "over"}),
        (olaf.id, "freeze.add", freeze.id, {"from": f"{now}", "to": f"{now + timedelta(hours=1)}"}),
        (ben.id, "freeze.remove", freeze.id, {}),
    ]


@both
@pytest.mark.parametrize("decision", ["approve", "reject", "abort", "rollback", "retry", "resolve"])
def test_every_decision_holds_its_row(world: World, monkeypatch: pytest.MonkeyPatch, decision: str) -> None:
    """From reading it to writing it nobody else moves the rollout: the row is read under a lock."""
    rollout, read, locks = world.propose(), rollouts.get, []

    def watched(*arguments: object, lock: bool = False) -> Rollout:
        locks.append(lock)
        return read(*arguments, lock=lock)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(rollouts, "get", watched)
    more = [True] if decision == "resolve" else []
    with contextlib.suppress(RefusedError):
        getattr(world.gates, decision)(rollout.seen, world.person("ben"), *more)
    assert locks == [True]
