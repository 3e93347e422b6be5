"""Looking: what the cloud and the metrics source show of a rollout at this moment, never raising for their silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from tools.execution import calibration, health
from tools.execution.decisions import Sight, same, target
from tools.execution.judge import Judgement
from tools.execution.limits import Limits
from tools.model.errors import OptiInfraError, ProviderError, ThrottledError, TransientError, UnderWayError
from tools.model.rollout import Intent, Plan, Rollout, State, Verdict
from tools.providers.base import Change, HealthSource, Observation

_SHARE = Decimal("0.0001")
_UNSEEN = frozenset({State.PROPOSED, State.APPROVED})
_UNJUDGED = _UNSEEN | {State.ROLLING_BACK, State.GUARDING}


@dataclass(frozen=True, slots=True)
class Eyes:
    """Looks at one rollout's resource and service."""

    now: Callable[[], datetime]
    change: Callable[[Plan], Change]
    health: HealthSource | None
    limits: Limits

    def look(self, rollout: Rollout, intents: tuple[Intent, ...]) -> Sight:
        """Everything that deciding about this state needs."""
        observation, problem = (None, "") if rollout.state in _UNSEEN else self.observe(rollout)
        forbidden, unchecked = self._checked(rollout, observation)
        return Sight(self.now(), observation, problem, self._judge(rollout), intents, forbidden, unchecked)

    def observe(self, rollout: Rollout) -> tuple[Observation | None, str]:
        """The resource as the cloud shows it, or None and why it cannot be seen."""
        try:
            return self.change(rollout.plan).observe(rollout.plan), ""
        except OptiInfraError as error:
            return None, error.what

    def _checked(self, rollout: Rollout, seen: Observation | None) -> tuple[str, str]:
        """What the cloud's checks forbid before a step, and why they cannot be asked now; both empty: nothing."""
        plan = rollout.plan
        # What is not as approved, or still moves, is told as that.
        if rollout.state is not State.PREFLIGHT or seen is None or not seen.settled:
            return "", ""
        if seen.fingerprint != plan.fingerprint or not same(seen.setting, target(rollout)):
            return "", ""
        try:
            self.change(plan).check(plan, rollout.current.desired)
        except (ThrottledError, TransientError, UnderWayError) as error:
            return "", error.what
        except OptiInfraError as error:
            return " ".join(part for part in (error.what, error.fix) if part), ""
        return "", ""

    def with_baseline(self, rollout: Rollout, sight: Sight) -> tuple[Rollout, Sight]:
        """Before the first effect: how the service and the resource were, measured once and kept to compare with."""
        seen = sight.observation
        if rollout.state is not State.PREFLIGHT or rollout.touched or seen is None or not seen.settled:
            return rollout, sight
        if rollout.plan.unwatched:
            return replace(rollout, baseline=_baseline(rollout, sight, seen.changed)), sight
        if rollout.baseline.get("of") == rollout.version:
            return rollout, replace(sight, judgement=Judgement(Verdict.HEALTHY, "before"))
        if self.health is None:
            return rollout, replace(sight, judgement=_blind("no metrics source is configured"))
        try:
            count, noise = health.before(self.health, rollout.plan.service, self.limits, self.now)
        except ProviderError as error:
            return rollout, replace(sight, judgement=_blind(f"health could not be read: {error.what}"))
        baseline = _baseline(rollout, sight, seen.changed) | {
            "requests": str(round(count.requests, 6)),
            "errors": str(round(count.errors, 6)),
            "calibration": calibration.kept(noise),
        }
        return replace(rollout, baseline=baseline), replace(sight, judgement=Judgement(Verdict.HEALTHY, "before"))

    def _judge(self, rollout: Rollout) -> Judgement | None:
        if not rollout.touched or rollout.state in _UNJUDGED or rollout.plan.unwatched:
            return None
        return health.look(self.health, rollout, self.limits, self.now())


def kept(rollout: Rollout, sight: Sight, failed: bool, limits: Limits) -> Rollout:
    """The rollout with what was seen, and since when something could not be seen; itself when that is nothing new."""
    blind = sight.judgement is not None and sight.judgement.blind
    unseen = sight.observation is None and rollout.state not in _UNSEEN
    found: dict[str, Any] = {
        "blind_since": (rollout.blind_since or sight.now) if blind else None,
        "unseen_since": (rollout.unseen_since or sight.now) if unseen else None,
        "failures": rollout.failures + 1 if unseen or failed else 0,
    }
    if sight.observation is not None:
        total = sight.observation.total
        share = Decimal(sight.observation.changed) / total if total else Decimal(0)
        found["observed"] = dict(sight.observation.counts)
        found["progress"] = share.quantize(_SHARE).normalize() + 0
    if rollout.state is State.GUARDING and (unseen or sight.now - rollout.updated_at > limits.rollback_guard):
        # A guard counts while it is watched: one look after a long silence may show the past.
        found["bake_since"] = sight.now
    if all(getattr(rollout, name) == value for name, value in found.items()):
        return rollout
    return replace(rollout, **found)


def _baseline(rollout: Rollout, sight: Sight, changed: int) -> dict[str, object]:
    if rollout.baseline.get("of") == rollout.version:
        return rollout.baseline
    return {"at": sight.now.isoformat(), "of": rollout.version, "changed": changed}


def _blind(why: str) -> Judgement:
    return Judgement(Verdict.INCONCLUSIVE, why, {}, True)
