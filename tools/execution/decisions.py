"""Decisions: a rollout, what was seen of cloud and health, and the limits give the next move; pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from tools.execution.judge import Judgement
from tools.execution.limits import Limits
from tools.model.rollout import Intent, IntentStatus, Rollout, State, Verdict
from tools.providers.base import Observation

FORWARD, BACK = "forward", "back"
# States in which an effect may be on its way: what was written down of effects is needed to decide.
WITH_EFFECTS = frozenset({State.EXECUTING, State.ROLLING_BACK, State.NEEDS_HUMAN})


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look found. `observation` is None when the cloud could not be seen (`problem` says why).

    `judgement` is None where health is not watched. `intents` are those of the rollout, oldest first,
    in a state in which an effect may be on its way. `forbidden` is what the cloud's checks before a step found
    against it, `unchecked` why they could not be asked.
    """

    now: datetime
    observation: Observation | None = None
    problem: str = ""
    judgement: Judgement | None = None
    intents: tuple[Intent, ...] = ()
    forbidden: str = ""
    unchecked: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """Where a rollout goes next, and why in words for a person."""

    to: State
    reason: str
    stage: int | None = None


class Effect(StrEnum):
    """What to do about an effect that is written down."""

    SEND = "send"
    DONE = "done"
    WAIT = "wait"
    ASK = "ask"


def next_move(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    """The one move that is due now, or None to stay."""
    decide = _DECIDERS.get(rollout.state)
    return decide(rollout, sight, limits) if decide else None


def moved(rollout: Rollout, move: Move, now: datetime, limits: Limits) -> Rollout:
    """The rollout after a move, one version on, with every timer of the new state set."""
    after = replace(
        rollout,
        version=rollout.version + 1,
        state=move.to,
        stage=rollout.stage if move.stage is None else move.stage,
        reason=move.reason,
        held_from=None,
        updated_at=now,
        state_since=now,
        blind_since=None,
        unseen_since=None,
        failures=0,
    )
    match move.to:
        case State.PROPOSED | State.AWAITING_APPROVAL:
            return replace(after, gate=rollout.gate + 1, approved_at=None, expires_at=now + limits.gate_ttl)
        case State.EXECUTING:
            return replace(after, touched=True, stage_since=now, bake_since=None)
        case State.BAKING | State.FINALISING | State.GUARDING:
            return replace(after, bake_since=now)
        case State.ROLLING_BACK:
            again = rollout.state is State.GUARDING
            return replace(after, stage_since=now, rewrites=rollout.rewrites + 1 if again else rollout.rewrites)
        case State.HELD | State.NEEDS_HUMAN:
            return replace(after, held_from=rollout.held_from or rollout.state)
        case _:
            return after


def intent_of(before: Rollout, after: Rollout, now: datetime) -> Intent | None:
    """The effect that a move asks for, to be written in the move's own transaction."""
    if after.state is State.EXECUTING and before.state is State.PREFLIGHT:
        return _intent(f"{after.id}/{after.gate}/{FORWARD}", after, FORWARD, after.current.desired, now)
    if after.state is State.ROLLING_BACK:
        return _intent(f"{after.id}/{after.version}/{BACK}", after, BACK, after.plan.before, now)
    return None


def effect(rollout: Rollout, intent: Intent, observation: Observation | None, now: datetime, limits: Limits) -> Effect:
    """What to do about an open effect. A rollback is written even when the cloud already looks old.

    That write fences: a forward write that a stalled worker still sends afterwards meets a newer state.
    """
    shown = observation is not None and same(observation.setting, intent.desired)
    if intent.direction == FORWARD and observation is None:
        return Effect.WAIT
    if shown and (intent.direction == FORWARD or intent.accepted_at is not None):
        return Effect.DONE
    if intent.status is IntentStatus.PENDING:
        return Effect.SEND
    since = now - (intent.accepted_at or intent.sent_at or intent.updated_at)
    if not rollout.plan.repeatable:
        return Effect.ASK if intent.accepted_at is None and since > limits.resend_after else Effect.WAIT
    if intent.accepted_at is None:
        return Effect.SEND
    if intent.direction == BACK:
        # Some ways back take two writes: the second one is due once the first has done its work.
        finished = observation is not None and observation.settled
        return Effect.SEND if since >= (limits.poll if finished else limits.resend_after) else Effect.WAIT
    return Effect.SEND if since > limits.resend_after and intent.attempts < limits.most_sends else Effect.WAIT


def open_intent(rollout: Rollout, intents: tuple[Intent, ...]) -> Intent | None:
    """The effect that waits to be sent or shown in the present state."""
    direction = {State.EXECUTING: FORWARD, State.ROLLING_BACK: BACK}.get(rollout.state)
    waiting = {IntentStatus.PENDING, IntentStatus.SENDING}
    for intent in reversed(intents):
        if intent.direction == direction and intent.status in waiting:
            return intent
    return None


def needed_units(rollout: Rollout, observation: Observation) -> int:
    """How many units must be counted in the new form for the stage to stand.

    A fleet that was scaled since planning is held to the stage's share of what there is now, rounded down
    because the cloud may round either way; always at least one.
    """
    if observation.total == rollout.plan.units:
        return rollout.current.units
    return max(1, observation.total * rollout.current.units // rollout.plan.units)


def reached(rollout: Rollout, observation: Observation) -> bool:
    """True when counted units - never the setting alone - show the stage, and nothing is on its way."""
    shown = same(observation.setting, rollout.current.desired)
    return shown and observation.settled and observation.changed >= needed_units(rollout, observation)


def restored(rollout: Rollout, observation: Observation) -> bool:
    """True when setting and every counted unit are as before the rollout."""
    units = observation.changed <= int(str(rollout.baseline.get("changed", 0)))
    return units and observation.settled and same(observation.setting, rollout.plan.before)


def target(rollout: Rollout) -> dict[str, object]:
    """The setting that the cloud should show while nothing is being sent."""
    settled_on = rollout.stage
    waiting = {State.PROPOSED, State.APPROVED, State.PREFLIGHT, State.AWAITING_APPROVAL}
    if (rollout.held_from or rollout.state) in waiting:
        settled_on -= 1
    return rollout.plan.stages[settled_on].desired if settled_on >= 0 else rollout.plan.before


def same(one: dict[str, object], other: dict[str, object]) -> bool:
    """Equal as JSON, so that a tuple and a list are no difference - but 1 and true are one."""
    return repr(one) == repr(other) or _as_json(one) == _as_json(other)


_as_json = json.JSONEncoder(sort_keys=True).encode


def _proposed(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    if rollout.expires_at <= sight.now:
        return Move(State.EXPIRED, "nobody decided in time; nothing was changed")
    return None


def _approved(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    return Move(State.PREFLIGHT, "checking the resource, its health and the stops before anything is changed")


def _executing(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    failed = _last(sight.intents, FORWARD)
    if regressed(sight):
        return _back(sight)
    if failed is not None and failed.status is IntentStatus.FAILED:
        return _refused(rollout, failed, sight)
    if _over(rollout.stage_since, limits.stage_timeout, sight.now):
        return Move(State.ROLLING_BACK, f"the step did not get there in time: {_counted(rollout, sight)}")
    if sight.observation is None or failed is None or failed.status is not IntentStatus.DONE:
        return _blind(rollout, sight, limits)
    if not same(sight.observation.setting, rollout.current.desired):
        return Move(State.HELD, "somebody else changed the resource while the step was under way")
    if reached(rollout, sight.observation):
        return Move(State.BAKING, f"counted {_counted(rollout, sight)}; now its health is watched")
    return _blind(rollout, sight, limits)


def _baking(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    stop = _watch(rollout, sight, limits)
    if stop or rollout.bake_since is None or sight.now - rollout.bake_since < limits.bake:
        return stop
    if sight.observation is None or not _healthy(rollout, sight) or not reached(rollout, sight.observation):
        return _too_long(rollout, sight, rollout.bake_since + limits.bake, limits)
    if rollout.stage + 1 < len(rollout.plan.stages):
        words = f"step {rollout.stage + 1} is {_good(rollout, sight)}"
        return Move(State.AWAITING_APPROVAL, words, stage=rollout.stage + 1)
    return Move(State.FINALISING, f"all units are changed and {_good(rollout, sight)}; watched a while longer")


def _awaiting(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    if regressed(sight):
        return _back(sight)
    if rollout.expires_at <= sight.now:
        return Move(State.ROLLING_BACK, "nobody decided on the next step in time")
    return _drift(rollout, sight)


def _finalising(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    stop = _watch(rollout, sight, limits)
    if stop or rollout.bake_since is None or sight.now - rollout.bake_since < limits.final_guard:
        return stop
    if sight.observation is None or not _healthy(rollout, sight) or not reached(rollout, sight.observation):
        return _too_long(rollout, sight, rollout.bake_since + limits.final_guard, limits)
    end = "with nothing to watch" if rollout.plan.unwatched else "healthy to the end"
    return Move(State.SUCCEEDED, f"done: {_counted(rollout, sight)}, {end}")


def _held(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    if rollout.touched and regressed(sight):
        return _back(sight)
    if sight.now - rollout.state_since < limits.held_limit:
        return None
    if rollout.touched:
        return Move(State.ROLLING_BACK, f"held too long ({rollout.reason})")
    return Move(State.CANCELLED, f"held too long ({rollout.reason}); nothing was changed")


def _rolling_back(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    last = _last(sight.intents, BACK)
    accepted = last is not None and last.accepted_at is not None
    if accepted and sight.observation is not None and restored(rollout, sight.observation):
        return Move(State.GUARDING, "counted: everything is as before; watched for late changes")
    if _over(rollout.stage_since, limits.stage_timeout, sight.now):
        why = sight.problem or (last.detail if last else "") or _counted(rollout, sight)
        return Move(State.NEEDS_HUMAN, f"the rollback is not finished: {why}")
    return None


def _guarding(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    if sight.observation is None or rollout.bake_since is None:
        if _over(rollout.state_since, limits.rollback_guard + limits.stage_timeout, sight.now):
            return Move(State.NEEDS_HUMAN, f"it cannot be seen whether the rollback holds: {sight.problem}")
        return None
    if not restored(rollout, sight.observation):
        if rollout.rewrites >= limits.most_rewrites:
            return Move(State.NEEDS_HUMAN, "something keeps changing the resource after the rollback")
        return Move(State.ROLLING_BACK, "the resource changed again after the rollback; it is set back once more")
    if sight.now - rollout.bake_since >= limits.rollback_guard:
        return Move(State.ROLLED_BACK, "everything is as before, and stayed so")
    return None


def _needs_human(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    last = _last(sight.intents, BACK)
    back = rollout.held_from in {State.ROLLING_BACK, State.GUARDING} and last is not None and last.accepted_at
    if back and sight.observation is not None and restored(rollout, sight.observation):
        return Move(State.GUARDING, "counted: everything is as before after all; watched for late changes")
    if rollout.touched and rollout.held_from is State.EXECUTING and regressed(sight):
        return _back(sight)
    return None


_DECIDERS: dict[State, Callable[[Rollout, Sight, Limits], Move | None]] = {
    State.PROPOSED: _proposed,
    State.APPROVED: _approved,
    State.EXECUTING: _executing,
    State.BAKING: _baking,
    State.AWAITING_APPROVAL: _awaiting,
    State.FINALISING: _finalising,
    State.HELD: _held,
    State.ROLLING_BACK: _rolling_back,
    State.GUARDING: _guarding,
    State.NEEDS_HUMAN: _needs_human,
}


def regressed(sight: Sight) -> bool:
    """True when the judge is sure that the rollout does harm."""
    return sight.judgement is not None and sight.judgement.verdict is Verdict.REGRESSED


def _healthy(rollout: Rollout, sight: Sight) -> bool:
    return bool(rollout.plan.unwatched) or (sight.judgement is not None and sight.judgement.verdict is Verdict.HEALTHY)


def _watch(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    if regressed(sight):
        return _back(sight)
    return _drift(rollout, sight) or _blind(rollout, sight, limits)


def _back(sight: Sight) -> Move:
    return Move(State.ROLLING_BACK, f"health got worse: {_why(sight)}")


def _drift(rollout: Rollout, sight: Sight) -> Move | None:
    if sight.observation is not None and not same(sight.observation.setting, target(rollout)):
        return Move(State.HELD, "somebody else changed the resource since the last step")
    return None


def _blind(rollout: Rollout, sight: Sight, limits: Limits) -> Move | None:
    if _over(rollout.blind_since, limits.blind_limit, sight.now):
        return Move(State.HELD, f"health is unknown for too long: {_why(sight)}")
    if _over(rollout.unseen_since, limits.blind_limit, sight.now):
        return Move(State.HELD, f"the cloud cannot be seen for too long: {sight.problem}")
    return None


def _too_long(rollout: Rollout, sight: Sight, since: datetime, limits: Limits) -> Move | None:
    if sight.now - since > limits.stage_timeout:
        return Move(State.HELD, f"the step cannot be called {_good(rollout, sight)}; {_counted(rollout, sight)}")
    return None


def _refused(rollout: Rollout, intent: Intent, sight: Sight) -> Move | None:
    # Sent once, refused for certain, and counted as before: there is nothing to take back.
    if rollout.stage == 0 and intent.attempts <= 1 and intent.accepted_at is None:
        if sight.observation is None:
            return None
        if restored(rollout, sight.observation):
            return Move(State.CANCELLED, f"the cloud refused: {intent.detail}; nothing was changed")
    return Move(State.ROLLING_BACK, f"the cloud refused the step: {intent.detail}")


def _counted(rollout: Rollout, sight: Sight) -> str:
    if sight.observation is None:
        return "the cloud cannot be seen"
    need = needed_units(rollout, sight.observation)
    return f"{sight.observation.changed} of the {rollout.plan.count(need)} of this step are changed"


def _good(rollout: Rollout, sight: Sight) -> str:
    unwatched = rollout.plan.unwatched
    return f"counted, with nothing to watch: {unwatched}" if unwatched else f"healthy: {_why(sight)}"


def _why(sight: Sight) -> str:
    return sight.judgement.why if sight.judgement else "health was not read"


def _last(intents: tuple[Intent, ...], direction: str) -> Intent | None:
    return next((intent for intent in reversed(intents) if intent.direction == direction), None)


def _over(since: datetime | None, limit: timedelta, now: datetime) -> bool:
    return since is not None and now - since > limit


def _intent(key: str, rollout: Rollout, direction: str, desired: dict[str, object], now: datetime) -> Intent:
    return Intent(
        key, rollout.id, rollout.stage, direction, desired, IntentStatus.PENDING, 0, now, now, gate=rollout.gate
    )
