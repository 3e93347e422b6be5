"""Preflight: everything that must still be true right before a step is allowed to change something; pure."""

from __future__ import annotations

from datetime import datetime

from tools.execution import calibration
from tools.execution.decisions import Move, Sight, regressed, same, target
from tools.execution.health import baseline_of
from tools.execution.limits import Limits
from tools.model.rollout import Rollout, State, Verdict


def check(rollout: Rollout, sight: Sight, limits: Limits, *, stop: str, approved: str) -> Move | None:
    """EXECUTING when all holds, HELD (or back to the gate) with the reason when not, None to look again.

    `stop` and `approved` are the sentences of a standing stop and of a missing or withdrawn approval (empty: fine).
    """
    if rollout.touched and regressed(sight):
        assert sight.judgement is not None
        return Move(State.ROLLING_BACK, f"health got worse: {sight.judgement.why}")
    if approved or too_old(rollout, sight.now, limits):
        return back_to_gate(rollout, approved or "the approval was not used in time; it must be given again")
    if stop:
        return Move(State.HELD, stop)
    problem = _resource(rollout, sight) or sight.forbidden or _health(rollout, sight, limits)
    if problem:
        return Move(State.HELD, problem)
    if not _ready(rollout, sight):
        waited = sight.now - rollout.state_since > limits.blind_limit
        return Move(State.HELD, f"the step cannot start: {_waiting_for(sight)}") if waited else None
    words = f"step {rollout.stage + 1} of {len(rollout.plan.stages)} is under way"
    noise = calibration.of(rollout, limits.judge)
    if rollout.plan.unwatched:
        words += f"; its units are counted, and nothing is to be watched: {rollout.plan.unwatched}"
    elif not noise.armed:
        words += f"; of this service only plain failures roll it back by themselves: {noise.why}"
    return Move(State.EXECUTING, words)


def back_to_gate(rollout: Rollout, why: str) -> Move:
    """The same step waits for people again."""
    return Move(State.AWAITING_APPROVAL if rollout.touched else State.PROPOSED, why)


def too_old(rollout: Rollout, now: datetime, limits: Limits) -> bool:
    """True when the approval was not used in time: what was judged then may not hold any more."""
    return rollout.approved_at is None or now - rollout.approved_at > limits.approval_age


def _resource(rollout: Rollout, sight: Sight) -> str:
    seen = sight.observation
    if seen is None:
        return ""
    if seen.total < 1:
        return "there is nothing left to change: the resource has no units any more"
    if seen.fingerprint != rollout.plan.fingerprint or not same(seen.setting, target(rollout)):
        return "the resource is not what was approved any more; abort this rollout and propose it again"
    return ""


def _health(rollout: Rollout, sight: Sight, limits: Limits) -> str:
    if rollout.touched or sight.judgement is None or sight.judgement.blind:
        return ""
    past = baseline_of(rollout)
    if past.requests < limits.judge.minimum_requests:
        return (
            f"the service {rollout.plan.service or '(none)'} had {past.requests:.0f} requests lately, and at least "
            f"{limits.judge.minimum_requests} are needed to judge a step"
        )
    if past.rate >= limits.judge.max_error_rate:
        return f"the service already fails {past.rate * 100:.2f} % of its requests"
    return ""


def _ready(rollout: Rollout, sight: Sight) -> bool:
    if sight.observation is None or not sight.observation.settled or sight.unchecked:
        return False
    if rollout.plan.unwatched:
        return True
    if sight.judgement is None:
        return False
    return sight.judgement.verdict is Verdict.HEALTHY if rollout.touched else not sight.judgement.blind


def _waiting_for(sight: Sight) -> str:
    if sight.observation is None:
        return sight.problem or "the cloud cannot be seen"
    if not sight.observation.settled:
        return "the resource is still changing"
    if sight.unchecked:
        return sight.unchecked
    return sight.judgement.why if sight.judgement else "health was not read"
