"""Rollout: a change in stages - its plan, its state machine's words, its intents and verdicts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class State(StrEnum):
    """Where a rollout stands. Transitions are decided in execution/decisions.py and execution/gates.py only."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    PREFLIGHT = "PREFLIGHT"
    EXECUTING = "EXECUTING"
    BAKING = "BAKING"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    FINALISING = "FINALISING"
    SUCCEEDED = "SUCCEEDED"
    HELD = "HELD"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    ROLLING_BACK = "ROLLING_BACK"
    GUARDING = "GUARDING"
    ROLLED_BACK = "ROLLED_BACK"
    NEEDS_HUMAN = "NEEDS_HUMAN"


TERMINAL = frozenset({State.SUCCEEDED, State.REJECTED, State.EXPIRED, State.CANCELLED, State.ROLLED_BACK})
WAITING_FOR_PEOPLE = frozenset({State.PROPOSED, State.AWAITING_APPROVAL})
# States in which something at the cloud may differ from before the rollout: health is watched, rollback is accepted.
TOUCHED = frozenset(
    {State.EXECUTING, State.BAKING, State.AWAITING_APPROVAL, State.FINALISING, State.HELD, State.NEEDS_HUMAN}
)


class Phase(StrEnum):
    """The phase that people know from Argo Rollouts."""

    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    HEALTHY = "Healthy"
    DEGRADED = "Degraded"


def phase(state: State) -> Phase:
    if state is State.SUCCEEDED:
        return Phase.HEALTHY
    if state in {
        State.ROLLED_BACK,
        State.ROLLING_BACK,
        State.GUARDING,
        State.NEEDS_HUMAN,
        State.REJECTED,
        State.EXPIRED,
        State.CANCELLED,
    }:
        return Phase.DEGRADED
    if state in WAITING_FOR_PEOPLE or state is State.HELD:
        return Phase.PAUSED
    return Phase.PROGRESSING


class Verdict(StrEnum):
    """What the judge says of health. No data is INCONCLUSIVE, and INCONCLUSIVE never advances."""

    HEALTHY = "HEALTHY"
    REGRESSED = "REGRESSED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: after it, `units` of the plan's units are changed. `desired` is the absolute state to set (JSON-ready)."""

    index: int
    percent: int
    units: int
    desired: dict[str, object]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is approved, as pure data; `hash` binds an approval to exactly this.

    `change` names the executable change ("aws.asg_spot"); `before` is the absolute state that rollback
    restores; `fingerprint` is the resource's at planning time (drift refuses to execute).
    `saving_monthly` is a decimal string.
    """

    change: str
    provider: str
    account_id: str
    region: str
    resource_id: str
    service: str
    title: str
    unit_name: str
    units: int
    stages: tuple[Stage, ...]
    before: dict[str, object]
    fingerprint: str
    risk: str
    saving_monthly: str
    currency: str
    undo: str
    recommendation_id: str = ""

    def canonical(self) -> str:
        """The JSON that is hashed: keys sorted, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.canonical().encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes to one stage of one exact plan."""

    rollout_id: str
    stage: int
    plan_hash: str
    actor: str
    actor_name: str
    at: datetime
    version: int


class IntentStatus(StrEnum):
    PENDING = "PENDING"
    SENDING = "SENDING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Intent:
    """An effect written down before it is tried. `id` is deterministic: rollout, stage, direction, attempt epoch."""

    id: str
    rollout_id: str
    stage: int
    direction: str
    desired: dict[str, object]
    status: IntentStatus
    attempts: int
    created_at: datetime
    updated_at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HealthVerdict:
    """One look of the judge, with the numbers it saw, in words for the card."""

    rollout_id: str
    stage: int
    at: datetime
    verdict: Verdict
    why: str
    numbers: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a rollout's history."""

    at: datetime
    actor: str
    what: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout as stored. `stage` is the index of the stage being worked on or waited for (0-based).

    `observed` is the counted state last seen at the cloud (JSON-ready, e.g. {"spot": 10, "on_demand": 10}).
    `held_from` is the state to resume when HELD. `reason` says in words why it is where it is.
    """

    id: str
    tenant: str
    version: int
    state: State
    stage: int
    plan: Plan
    proposed_by: str
    proposed_by_name: str
    created_at: datetime
    updated_at: datetime
    state_since: datetime
    expires_at: datetime
    reason: str = ""
    held_from: State | None = None
    observed: dict[str, object] = field(default_factory=dict)
    progress: Decimal = Decimal(0)

    @property
    def phase(self) -> Phase:
        return phase(self.state)

    @property
    def current(self) -> Stage:
        return self.plan.stages[self.stage]
