"""Defects: defences switched off one at a time; a proof that does not notice one proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from sqlalchemy import update

from tools.execution import allowed, decisions, health, judge, preflight, sending
from tools.execution.decisions import BACK, Effect
from tools.execution.judge import Judgement
from tools.execution.planning import resource_key
from tools.model.rollout import TERMINAL, IntentStatus, Rollout, State, Verdict
from tools.store import audit, people, rollout_intents, rollouts, stops
from tools.store import rollout_tables as tables

Swap = tuple[object, str, Any]


@dataclass(frozen=True, slots=True)
class Defect:
    """What is broken, and the attributes that break it."""

    name: str
    swaps: Callable[[Mapping[str, ModuleType]], tuple[Swap, ...]]


@contextmanager
def planted(defect: Defect, modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """Inside this block the defence is off. `modules` holds "gates" and "engine", which only a door may import."""
    swaps = defect.swaps(modules)
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in swaps]
    for owner, name, broken in swaps:
        setattr(owner, name, broken)
    try:
        yield
    finally:
        for owner, name, whole in kept:
            setattr(owner, name, whole)


def _one(owner: object, name: str, broken: Any) -> Callable[[Mapping[str, ModuleType]], tuple[Swap, ...]]:
    return lambda modules: ((owner, name, broken),)


def _gates(name: str, broken: Any) -> Callable[[Mapping[str, ModuleType]], tuple[Swap, ...]]:
    return lambda modules: ((modules["gates"], name, broken),)


def _nothing(*args: object, **kwargs: object) -> None:
    return None


def _yes(*args: object, **kwargs: object) -> bool:
    return True


def _no(*args: object, **kwargs: object) -> bool:
    return False


def _no_fences(modules: Mapping[str, ModuleType]) -> tuple[Swap, ...]:
    return ((rollouts, "transition", _no_fence), (rollouts, "lock", _yes))


def _claimed_by_all(modules: Mapping[str, ModuleType]) -> tuple[Swap, ...]:
    return (*_no_fences(modules), (rollout_intents, "claim", _claim_without_compare))


def _empty(*args: object, **kwargs: object) -> str:
    return ""


def _any_role(tx: Any, tenant: str, person: Any, *permissions: Any) -> Any:
    allowed.same_tenant(tenant, person)
    return people.by_email(tx, tenant, person.id) or person


def _a_program_may(tx: Any, tenant: str, person: Any, *permissions: Any) -> Any:
    return _CHECK(tx, tenant, replace(person, is_human=True), *permissions)


def _no_fence(tx: Any, before: Any, after: Any, *, epoch: Any = None, unexpired_at: Any = None) -> bool:
    return _TRANSITION(tx, before, after, unexpired_at=unexpired_at)


def _no_expiry(tx: Any, before: Any, after: Any, *, epoch: Any = None, unexpired_at: Any = None) -> bool:
    return _TRANSITION(tx, before, after, epoch=epoch)


def _no_version(tx: Any, before: Any, after: Any, **conditions: Any) -> bool:
    with_any = rollouts.get(tx, before.tenant, before.id)
    return _TRANSITION(tx, with_any, after, **conditions)


def _claim_without_compare(tx: Any, tenant: str, intent: Any, epoch: int, *, now: Any) -> bool:
    tx.execute(
        update(tables.intents)
        .where(tables.intents.c.tenant == tenant, tables.intents.c.id == intent.id)
        .values(status="SENDING", attempts=tables.intents.c.attempts + 1, epoch=epoch, sent_at=now, updated_at=now)
    )
    return True


def _blind_resend(rollout: Any, intent: Any, observation: Any, now: Any, limits: Any) -> Effect:
    due = _EFFECT(rollout, intent, observation, now, limits)
    return Effect.SEND if due in {Effect.ASK, Effect.WAIT} and intent.status is IntentStatus.SENDING else due


def _no_fence_write(rollout: Any, intent: Any, observation: Any, now: Any, limits: Any) -> Effect:
    if intent.direction == BACK and observation is not None and decisions.restored(rollout, observation):
        return Effect.WAIT
    return _EFFECT(rollout, intent, observation, now, limits)


def _looks_done(rollout: Any, sight: Any, limits: Any) -> Any:
    if sight.observation is not None and decisions.restored(rollout, sight.observation):
        return decisions.Move(State.GUARDING, "it looks as before")
    return _ROLLING_BACK(rollout, sight, limits)


def _setting_is_enough(rollout: Any, observation: Any) -> bool:
    return decisions.same(observation.setting, rollout.current.desired)


def _setting_back_is_enough(rollout: Any, observation: Any) -> bool:
    return decisions.same(observation.setting, rollout.plan.before)


def _unknown_is_healthy(stage: Any, recent: Any, baseline: Any, policy: Any) -> Judgement:
    said = _JUDGE(stage, recent, baseline, policy)
    return Judgement(Verdict.HEALTHY, said.why, said.numbers) if said.verdict is Verdict.INCONCLUSIVE else said


def _no_alarm(stage: Any, recent: Any, baseline: Any, policy: Any) -> Judgement:
    said = _JUDGE(stage, recent, baseline, policy)
    return Judgement(Verdict.HEALTHY, said.why, said.numbers) if said.verdict is Verdict.REGRESSED else said


def _gate_not_watched(rollout: Any, sight: Any, limits: Any) -> Any:
    if rollout.expires_at <= sight.now:
        return decisions.Move(State.ROLLING_BACK, "nobody decided")
    return None


def _no_guard(rollout: Any, sight: Any, limits: Any) -> Any:
    return decisions.Move(State.ROLLED_BACK, "no guard")


def _sent_without_looking(rollout: Any, intent: Any, observation: Any, now: Any, limits: Any) -> Effect:
    return _EFFECT(rollout, intent, observation, now, limits) if observation is not None else Effect.SEND


def _not_freed(tx: Any, before: Any, after: Any, **conditions: Any) -> bool:
    stands = _TRANSITION(tx, before, after, **conditions)
    if stands and after.state in TERMINAL:
        rollouts.claim_resource(tx, after.tenant, resource_key(after.plan), after.id)
    return stands


def _decider(state: State, broken: Any) -> Callable[[Mapping[str, ModuleType]], tuple[Swap, ...]]:
    deciders = decisions._DECIDERS | {state: broken}
    return lambda modules: ((decisions, "_DECIDERS", deciders),)


_CHECK, _TRANSITION, _EFFECT, _JUDGE = allowed.check, rollouts.transition, decisions.effect, judge.judge
_ROLLING_BACK = decisions._rolling_back

DEFECTS = (
    Defect("the proposer approves", _gates("_not_own", _nothing)),
    Defect("any role may decide", _one(allowed, "check", _any_role)),
    Defect("a program may decide", _one(allowed, "check", _a_program_may)),
    Defect("one person is enough for what destroys", _one(Rollout, "approvals_needed", property(lambda self: 1))),
    Defect(
        "an old card counts",
        lambda modules: ((modules["gates"], "_fresh", _nothing), (rollouts, "transition", _no_version)),
    ),
    Defect(
        "an approval after its time counts",
        lambda modules: ((modules["gates"], "_in_time", _nothing), (rollouts, "transition", _no_expiry)),
    ),
    Defect("an approval is used however old it is", _one(preflight, "too_old", _no)),
    Defect("the kill switch is not read at the claim", _one(stops, "standing", _nothing)),
    Defect("drift is not looked for", _one(preflight, "_resource", _empty)),
    Defect("an effect is claimed without comparing", _claimed_by_all),
    Defect("what must not be repeated is sent again", _one(sending, "effect", _blind_resend)),
    Defect("an effect is sent without looking first", _one(sending, "effect", _sent_without_looking)),
    Defect(
        "a rollback that looks done is not written",
        lambda modules: (
            (sending, "effect", _no_fence_write),
            (decisions, "_DECIDERS", decisions._DECIDERS | {State.ROLLING_BACK: _looks_done}),
        ),
    ),
    Defect("the setting alone passes a step", _one(decisions, "reached", _setting_is_enough)),
    Defect("the setting alone ends a rollback", _one(decisions, "restored", _setting_back_is_enough)),
    Defect("unknown health is healthy", _one(health, "judge", _unknown_is_healthy)),
    Defect("a regression raises no alarm", _one(health, "judge", _no_alarm)),
    Defect("nobody watches at a gate", _decider(State.AWAITING_APPROVAL, _gate_not_watched)),
    Defect("nobody watches after a rollback", _decider(State.GUARDING, _no_guard)),
    Defect("open effects survive a rollback", _one(rollout_intents, "close", _nothing)),
    Defect("the end does not free the resource", _one(rollouts, "transition", _not_freed)),
    Defect("moves are not on record", _one(audit, "record", _nothing)),
    Defect("held for ever", _decider(State.HELD, _nothing)),
)
