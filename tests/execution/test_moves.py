"""Moves: each state with what is seen of cloud and health gives exactly one next move; times to the second."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import NOW, TENANT
from tests.execution.conftest import LIMITS, recommendation_of, resource_of
from tests.execution.fleet import Fleet
from tools.execution import planning, preflight
from tools.execution.decisions import (
    BACK,
    FORWARD,
    Effect,
    Move,
    Sight,
    effect,
    intent_of,
    moved,
    needed_units,
    next_move,
    open_intent,
    reached,
    restored,
    same,
    target,
)
from tools.execution.judge import Judgement
from tools.execution.looking import kept
from tools.model.rollout import TERMINAL, Intent, IntentStatus, Rollout, State, Verdict
from tools.providers.base import Observation

S = timedelta(seconds=1)
GOOD = Judgement(Verdict.HEALTHY, "good")
BAD = Judgement(Verdict.REGRESSED, "bad")
UNCLEAR = Judgement(Verdict.INCONCLUSIVE, "unclear")


def _rollout(state: State, **changed: Any) -> Rollout:
    fleet = Fleet(None, lambda: NOW)  # type: ignore[arg-type]  # planning reads no file
    plan = planning.build(
        recommendation_of("rec-1", "fleet", TENANT, changed.pop("risk", "R1")),
        resource_of(20, NOW),
        "test.fleet",
        fleet.plan(resource_of(20, NOW), (10, 50, 100)),
        (10, 50, 100),
    )
    plan = replace(plan, repeatable=changed.pop("repeatable", True))
    touched = state not in {State.PROPOSED, State.APPROVED, State.PREFLIGHT}
    times = {"created_at": NOW, "updated_at": NOW, "state_since": NOW, "expires_at": NOW + timedelta(hours=24)}
    return replace(
        Rollout("ro-1", TENANT, 5, state, 0, plan, "priya", "Priya", **times),
        **{"touched": touched, "reason": "because", **changed},
    )


def _seen(
    units: int, changed: int | None = None, settled: bool = True, total: int = 20, form: str = "as planned"
) -> Observation:
    count = units if changed is None else changed
    return Observation(NOW, {"units": units}, {"spot": count}, count, total, settled, form)


def _intent(direction: str, status: IntentStatus = IntentStatus.DONE, **changed: Any) -> Intent:
    desired = {"units": 2 if direction == FORWARD else 0}
    return replace(Intent("i", "ro-1", 0, direction, desired, status, 1, NOW, NOW, sent_at=NOW), **changed)


def _after(rollout: Rollout, **sight: Any) -> State | None:
    seconds = sight.pop("at", timedelta(0))
    move = next_move(rollout, Sight(NOW + seconds, **sight), LIMITS)
    return move.to if move else None


DONE, FAILED, PENDING, SENDING = IntentStatus.DONE, IntentStatus.FAILED, IntentStatus.PENDING, IntentStatus.SENDING
STEP = (_intent(FORWARD),)


def test_waiting_for_the_first_decision() -> None:
    """Until its time it waits; at its time it has expired."""
    day = timedelta(hours=24)
    assert _after(_rollout(State.PROPOSED), at=day - S) is None
    assert _after(_rollout(State.PROPOSED), at=day) is State.EXPIRED
    assert _after(_rollout(State.APPROVED)) is State.PREFLIGHT
    for ended in TERMINAL:
        assert _after(_rollout(ended), judgement=BAD) is None


@pytest.mark.parametrize(
    ("sight", "to"),
    [
        ({"observation": _seen(2), "intents": STEP}, State.BAKING),
        ({"observation": _seen(2), "intents": STEP, "judgement": UNCLEAR}, State.BAKING),
        ({"observation": _seen(2), "intents": STEP, "judgement": BAD}, State.ROLLING_BACK),
        ({"observation": _seen(2, changed=1), "intents": STEP}, None),
        ({"observation": _seen(2, settled=False), "intents": STEP}, None),
        ({"observation": _seen(3), "intents": STEP}, State.HELD),
        ({"observation": _seen(2), "intents": (_intent(FORWARD, SENDING),)}, None),
        ({"observation": _seen(2), "intents": ()}, None),
        ({"observation": _seen(2), "intents": (_intent(BACK),)}, None),
        ({"observation": None, "intents": STEP}, None),
        ({"observation": _seen(0), "intents": (_intent(FORWARD, FAILED),)}, State.CANCELLED),
        ({"observation": None, "intents": (_intent(FORWARD, FAILED),)}, None),
        ({"observation": _seen(0, changed=1), "intents": (_intent(FORWARD, FAILED),)}, State.ROLLING_BACK),
        ({"observation": _seen(0), "intents": (_intent(FORWARD, FAILED, attempts=2),)}, State.ROLLING_BACK),
        ({"observation": _seen(0), "intents": (_intent(FORWARD, FAILED, accepted_at=NOW),)}, State.ROLLING_BACK),
        ({"observation": _seen(2, changed=1), "intents": STEP, "at": LIMITS.stage_timeout}, None),
        ({"observation": _seen(2, changed=1), "intents": STEP, "at": LIMITS.stage_timeout + S}, State.ROLLING_BACK),
    ],
)
def test_executing(sight: dict[str, Any], to: State | None) -> None:
    """Only counted units pass a step; harm, a refusal or too much time leads back."""
    assert _after(_rollout(State.EXECUTING, stage_since=NOW), **sight) is to


def test_a_refusal_at_a_later_step_leads_back() -> None:
    """What the steps before changed has to be taken back."""
    later = _rollout(State.EXECUTING, stage=1, stage_since=NOW)
    assert _after(later, observation=_seen(0), intents=(_intent(FORWARD, FAILED),)) is State.ROLLING_BACK


@pytest.mark.parametrize("state", [State.EXECUTING, State.BAKING, State.FINALISING])
def test_what_cannot_be_seen_is_held(state: State) -> None:
    """Health or cloud unknown for longer than the limit; a second less is waited for."""
    limit = LIMITS.blind_limit
    stage = 2 if state is State.FINALISING else 0
    since = NOW + timedelta(hours=1)  # the bake is not what this is about
    for blind in ("blind_since", "unseen_since"):
        rollout = _rollout(state, stage=stage, stage_since=NOW, bake_since=since, **{blind: NOW})
        assert _after(rollout, at=limit) is None
        assert _after(rollout, at=limit + S) is State.HELD


@pytest.mark.parametrize(
    ("state", "stage", "time", "onward"),
    [
        (State.BAKING, 0, LIMITS.bake, State.AWAITING_APPROVAL),
        (State.BAKING, 2, LIMITS.bake, State.FINALISING),
        (State.FINALISING, 2, LIMITS.final_guard, State.SUCCEEDED),
    ],
)
def test_watching_a_step(state: State, stage: int, time: timedelta, onward: State) -> None:
    """Its time must pass, it must be known to be healthy, and its units must still be counted."""
    units = (2, 10, 20)[stage]
    rollout = _rollout(state, stage=stage, bake_since=NOW, stage_since=NOW)
    seen = _seen(units)
    assert _after(rollout, observation=seen, judgement=GOOD, at=time - S) is None
    assert _after(rollout, observation=seen, judgement=GOOD, at=time) is onward
    assert _after(rollout, observation=seen, judgement=BAD) is State.ROLLING_BACK
    assert _after(rollout, observation=_seen(units - 1), judgement=GOOD, at=time) is State.HELD
    late = time + LIMITS.stage_timeout
    for unknown in (
        {"observation": seen, "judgement": UNCLEAR},
        {"observation": seen},
        {"observation": None, "judgement": GOOD},
        {"observation": _seen(units, changed=units - 1), "judgement": GOOD},
        {"observation": _seen(units, settled=False), "judgement": GOOD},
    ):
        assert _after(rollout, at=time, **unknown) is None
        assert _after(rollout, at=late, **unknown) is None
        assert _after(rollout, at=late + S, **unknown) is State.HELD
    assert _after(replace(rollout, bake_since=None), observation=seen, judgement=GOOD, at=late) is None


def test_the_next_step_is_asked_for() -> None:
    """The gate is that of the step after this one."""
    rollout = _rollout(State.BAKING, bake_since=NOW)
    move = next_move(rollout, Sight(NOW + LIMITS.bake, _seen(2), judgement=GOOD), LIMITS)
    assert move is not None
    assert (move.to, move.stage) == (State.AWAITING_APPROVAL, 1)
    assert move.reason == "step 1 is healthy: good"


def test_at_a_gate() -> None:
    """Harm and silence lead back, somebody else's change holds, good health waits."""
    gate = _rollout(State.AWAITING_APPROVAL, stage=1)
    day = timedelta(hours=24)
    assert _after(gate, observation=_seen(2), judgement=GOOD, at=day - S) is None
    assert _after(gate, observation=_seen(2), judgement=GOOD, at=day) is State.ROLLING_BACK
    assert _after(gate, observation=_seen(2), judgement=BAD) is State.ROLLING_BACK
    assert _after(gate, observation=_seen(10), judgement=GOOD) is State.HELD
    assert _after(gate, observation=None) is None


def test_held() -> None:
    """A touched one is watched and taken back in the end; an untouched one is given up."""
    for touched, end in ((True, State.ROLLING_BACK), (False, State.CANCELLED)):
        held = _rollout(State.HELD, touched=touched)
        assert _after(held, at=LIMITS.held_limit - S) is None
        assert _after(held, at=LIMITS.held_limit) is end
    assert _after(_rollout(State.HELD), judgement=BAD) is State.ROLLING_BACK
    assert _after(_rollout(State.HELD, touched=False), judgement=BAD) is None


def test_rolling_back() -> None:
    """The cloud must have said yes and every unit must be counted as before; too long, and people are called."""
    back = _rollout(State.ROLLING_BACK, stage_since=NOW)
    yes = (_intent(BACK, accepted_at=NOW),)
    assert _after(back, observation=_seen(0), intents=yes) is State.GUARDING
    assert _after(back, observation=_seen(0), intents=(_intent(BACK, SENDING),)) is None
    assert _after(back, observation=_seen(0), intents=()) is None
    assert _after(back, observation=_seen(0, changed=1), intents=yes) is None
    assert _after(back, observation=None, intents=yes) is None
    assert _after(back, observation=None, intents=yes, at=LIMITS.stage_timeout) is None
    late = next_move(back, Sight(NOW + LIMITS.stage_timeout + S, None, "no line", None, yes), LIMITS)
    assert late == Move(State.NEEDS_HUMAN, "the rollback is not finished: no line")
    refused = (_intent(BACK, SENDING, detail="no quota"),)
    late = next_move(back, Sight(NOW + LIMITS.stage_timeout + S, _seen(2), "", None, refused), LIMITS)
    assert late == Move(State.NEEDS_HUMAN, "the rollback is not finished: no quota")
    late = next_move(back, Sight(NOW + LIMITS.stage_timeout + S, _seen(2)), LIMITS)
    assert late == Move(
        State.NEEDS_HUMAN, "the rollback is not finished: 2 of the 2 instances of this step are changed"
    )


def test_guarding() -> None:
    """It must stay as before for the whole time; what comes back is set back, a few times only."""
    guard = _rollout(State.GUARDING, bake_since=NOW)
    time, blind = LIMITS.rollback_guard, LIMITS.rollback_guard + LIMITS.stage_timeout
    assert _after(guard, observation=_seen(0), at=time - S) is None
    assert _after(guard, observation=_seen(0), at=time) is State.ROLLED_BACK
    assert _after(guard, observation=_seen(2)) is State.ROLLING_BACK
    for rewrites, to in ((LIMITS.most_rewrites - 1, State.ROLLING_BACK), (LIMITS.most_rewrites, State.NEEDS_HUMAN)):
        assert _after(replace(guard, rewrites=rewrites), observation=_seen(2)) is to
    assert _after(guard, observation=None, at=blind) is None
    assert _after(guard, observation=None, at=blind + S) is State.NEEDS_HUMAN
    assert _after(replace(guard, bake_since=None), observation=_seen(0), at=time) is None


def test_a_guard_counts_while_it_is_watched() -> None:
    """After a look that saw nothing, or a long silence, its time begins anew: one look may show the past."""
    guard, time = _rollout(State.GUARDING, bake_since=NOW), LIMITS.rollback_guard
    for silence, since in ((time, NOW), (time + S, NOW + time + S)):
        assert kept(guard, Sight(NOW + silence, _seen(0)), False, LIMITS).bake_since == since
    assert kept(guard, Sight(NOW + S), False, LIMITS).bake_since == NOW + S
    baking = _rollout(State.BAKING, bake_since=NOW)
    assert kept(baking, Sight(NOW + time + S), False, LIMITS).bake_since == NOW


def test_needing_a_person() -> None:
    """A rollback that finished after all goes on by itself, and so does the way back from harm."""
    yes = (_intent(BACK, accepted_at=NOW),)
    for held_from, to in (
        (State.ROLLING_BACK, State.GUARDING),
        (State.GUARDING, State.GUARDING),
        (State.EXECUTING, None),
    ):
        stuck = _rollout(State.NEEDS_HUMAN, held_from=held_from)
        assert _after(stuck, observation=_seen(0), intents=yes) is to
        assert _after(stuck, observation=_seen(0), intents=(_intent(BACK, SENDING),)) is None
        assert _after(stuck, observation=_seen(0), intents=()) is None
        assert _after(stuck, observation=_seen(1), intents=yes) is None
        assert _after(stuck, observation=None, intents=yes) is None
        harm = _after(stuck, observation=_seen(2), judgement=BAD)
        assert harm is (State.ROLLING_BACK if held_from is State.EXECUTING else None)
    assert _after(_rollout(State.NEEDS_HUMAN, touched=False, held_from=State.EXECUTING), judgement=BAD) is None


@pytest.mark.parametrize(
    ("direction", "status", "seen", "more", "due"),
    [
        (FORWARD, PENDING, 0, {}, Effect.SEND),
        (FORWARD, PENDING, None, {}, Effect.WAIT),
        (FORWARD, PENDING, 2, {}, Effect.DONE),
        (FORWARD, SENDING, 2, {}, Effect.DONE),
        (FORWARD, SENDING, 0, {}, Effect.SEND),
        (FORWARD, SENDING, 0, {"accepted_at": NOW}, Effect.WAIT),
        (FORWARD, SENDING, 0, {"accepted_at": NOW - LIMITS.resend_after}, Effect.WAIT),
        (FORWARD, SENDING, 0, {"accepted_at": NOW - LIMITS.resend_after - S}, Effect.SEND),
        (FORWARD, SENDING, 0, {"accepted_at": NOW - LIMITS.resend_after - S, "attempts": 5}, Effect.WAIT),
        (FORWARD, SENDING, 0, {"accepted_at": NOW - LIMITS.resend_after - S, "attempts": 4}, Effect.SEND),
        (BACK, PENDING, 0, {}, Effect.SEND),
        (BACK, PENDING, None, {}, Effect.SEND),
        (BACK, SENDING, 0, {}, Effect.SEND),
        (BACK, SENDING, 0, {"accepted_at": NOW}, Effect.DONE),
        (BACK, SENDING, 2, {"accepted_at": NOW}, Effect.WAIT),
        (BACK, SENDING, 2, {"accepted_at": NOW - LIMITS.poll + S}, Effect.WAIT),
        (BACK, SENDING, 2, {"accepted_at": NOW - LIMITS.poll}, Effect.SEND),
        (BACK, SENDING, None, {"accepted_at": NOW - LIMITS.resend_after + S}, Effect.WAIT),
        (BACK, SENDING, None, {"accepted_at": NOW - LIMITS.resend_after}, Effect.SEND),
    ],
)
def test_what_is_due_about_an_effect(
    direction: str, status: IntentStatus, seen: int | None, more: dict[str, Any], due: Effect
) -> None:
    """Forward: look first, and again before sending again. Back: always written once, whatever it looks like."""
    intent = _intent(direction, status, **more)
    observation = None if seen is None else _seen(seen)
    assert effect(_rollout(State.EXECUTING), intent, observation, NOW, LIMITS) is due


def test_a_way_back_that_still_moves_is_waited_for() -> None:
    """The second write of two is due once the first has done its work, not while it does it."""
    intent = _intent(BACK, SENDING, accepted_at=NOW - LIMITS.poll)
    assert effect(_rollout(State.ROLLING_BACK), intent, _seen(2, settled=False), NOW, LIMITS) is Effect.WAIT


@pytest.mark.parametrize(
    ("more", "due"),
    [
        ({"sent_at": NOW - LIMITS.resend_after}, Effect.WAIT),
        ({"sent_at": NOW - LIMITS.resend_after - S}, Effect.ASK),
        ({"sent_at": NOW - LIMITS.resend_after - S, "accepted_at": NOW - LIMITS.resend_after - S}, Effect.WAIT),
        ({"sent_at": None, "updated_at": NOW - LIMITS.resend_after - S}, Effect.ASK),
    ],
)
def test_what_must_not_be_repeated(more: dict[str, Any], due: Effect) -> None:
    """Its fate unknown for long enough, a person is asked; it is never sent again."""
    intent = _intent(FORWARD, SENDING, **more)
    assert effect(_rollout(State.EXECUTING, repeatable=False), intent, _seen(0), NOW, LIMITS) is due


def test_which_effect_is_open() -> None:
    """The newest that waits in the direction of the state."""
    one, two = _intent(FORWARD, PENDING, id="1"), _intent(FORWARD, SENDING, id="2")
    back, done = _intent(BACK, PENDING, id="3"), _intent(FORWARD, DONE, id="4")
    every = (one, two, back, done)
    assert open_intent(_rollout(State.EXECUTING), every) == two
    assert open_intent(_rollout(State.ROLLING_BACK), every) == back
    assert open_intent(_rollout(State.BAKING), every) is None
    assert open_intent(_rollout(State.EXECUTING), (done, _intent(FORWARD, FAILED))) is None


def test_units() -> None:
    """A fleet of another size than planned is held to the step's share of it, rounded down, at least one."""
    first, half = _rollout(State.EXECUTING), _rollout(State.EXECUTING, stage=1)
    assert [needed_units(first, _seen(0, total=n)) for n in (20, 5, 30, 40)] == [2, 1, 3, 4]
    assert [needed_units(half, _seen(0, total=n)) for n in (20, 5, 1)] == [10, 2, 1]
    assert reached(first, _seen(2))
    assert reached(first, _seen(2, changed=3))
    assert not reached(first, _seen(2, changed=1))
    assert restored(first, _seen(0))
    assert not restored(first, _seen(0, changed=1))
    assert not restored(first, _seen(0, settled=False))
    assert not restored(first, _seen(1, changed=0))
    some = replace(first, baseline={"changed": 3})
    assert restored(some, _seen(0, changed=3))
    assert not restored(some, _seen(0, changed=4))


def test_what_the_cloud_should_show() -> None:
    """Before a step is sent, what the step before left; while and after it, its own."""
    for state, units in (
        (State.AWAITING_APPROVAL, 2),
        (State.APPROVED, 2),
        (State.PREFLIGHT, 2),
        (State.EXECUTING, 10),
        (State.BAKING, 10),
    ):
        assert target(_rollout(state, stage=1)) == {"units": units}
        assert target(_rollout(State.HELD, stage=1, held_from=state)) == {"units": units}
    assert target(_rollout(State.PROPOSED)) == {"units": 0}
    assert target(_rollout(State.PREFLIGHT)) == {"units": 0}


def test_same() -> None:
    """As JSON: order and tuples are no difference, 1 and true are."""
    assert same({"a": 1, "b": (1, 2)}, {"b": [1, 2], "a": 1})
    assert not same({"a": 1}, {"a": True})
    assert not same({"a": 1}, {"a": 2})


def test_a_move_sets_every_timer() -> None:
    """One version on; what the new state counts from is now, what the old one counted is gone."""
    later = NOW + timedelta(minutes=3)
    dirty = {"blind_since": NOW, "unseen_since": NOW, "failures": 3, "held_from": State.BAKING, "gate": 2}

    def go(state: State, to: State, **more: Any) -> Rollout:
        return moved(_rollout(state, **{**dirty, **more}), Move(to, "why"), later, LIMITS)

    for state, to in ((State.HELD, State.BAKING), (State.BAKING, State.AWAITING_APPROVAL)):
        after = go(state, to)
        assert (after.version, after.reason, after.updated_at, after.state_since) == (6, "why", later, later)
        assert (after.blind_since, after.unseen_since, after.failures, after.held_from) == (None, None, 0, None)
    for gate in (State.PROPOSED, State.AWAITING_APPROVAL):
        waits = go(State.PREFLIGHT, gate, approved_at=NOW)
        assert (waits.gate, waits.approved_at, waits.expires_at) == (3, None, later + LIMITS.gate_ttl)
    step = go(State.PREFLIGHT, State.EXECUTING, touched=False, bake_since=NOW)
    assert (step.touched, step.stage_since, step.bake_since) == (True, later, None)
    for watched in (State.BAKING, State.FINALISING, State.GUARDING):
        assert go(State.EXECUTING, watched).bake_since == later
    assert go(State.BAKING, State.ROLLING_BACK, rewrites=1).rewrites == 1
    again = go(State.GUARDING, State.ROLLING_BACK, rewrites=1)
    assert (again.rewrites, again.stage_since) == (2, later)
    assert go(State.BAKING, State.HELD, held_from=None).held_from is State.BAKING
    assert go(State.HELD, State.NEEDS_HUMAN, held_from=State.EXECUTING).held_from is State.EXECUTING
    assert moved(_rollout(State.BAKING), Move(State.AWAITING_APPROVAL, "why", stage=1), later, LIMITS).stage == 1


def test_which_effects_a_move_writes_down() -> None:
    """A step when it begins, a way back when it is taken, and nothing else."""
    before = _rollout(State.PREFLIGHT, gate=2)
    step = intent_of(before, replace(before, state=State.EXECUTING, version=6), NOW)
    assert step is not None
    assert (step.id, step.direction, step.desired, step.gate) == ("ro-1/2/forward", FORWARD, {"units": 2}, 2)
    assert (step.status, step.attempts, step.created_at, step.sent_at) == (PENDING, 0, NOW, None)
    back = intent_of(before, replace(before, state=State.ROLLING_BACK, version=6), NOW)
    assert back is not None
    assert (back.id, back.direction, back.desired) == ("ro-1/6/back", BACK, {"units": 0})
    resumed = _rollout(State.HELD)
    assert intent_of(resumed, replace(resumed, state=State.EXECUTING), NOW) is None
    assert intent_of(before, replace(before, state=State.HELD), NOW) is None


def test_an_approval_grows_old() -> None:
    """Used within its time, to the second."""
    rollout = _rollout(State.PREFLIGHT, approved_at=NOW)
    assert not preflight.too_old(rollout, NOW + LIMITS.approval_age, LIMITS)
    assert preflight.too_old(rollout, NOW + LIMITS.approval_age + S, LIMITS)
    assert preflight.too_old(replace(rollout, approved_at=None), NOW, LIMITS)
