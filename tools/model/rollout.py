"""Rollout: a change in stages - its plan, its state machine's words, its intents and verdicts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from tools.model.errors import InputError


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


def whole_units(units: int, percents: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """(percent, units) of each stage: max(1, ceil(units * percent / 100)), strictly increasing, the last is all.

    Stages that would change nothing more are dropped, so one unit is one atomic step. Raises InputError for
    percentages that do not rise from above 0 to exactly 100, and for nothing to change.
    """
    if units < 1:
        raise InputError("There is nothing to change: the resource has no units.")
    if not percents or percents[-1] != 100 or list(percents) != sorted(set(percents)) or percents[0] < 1:
        raise InputError(
            f"Stages of {', '.join(str(p) for p in percents) or 'no'} percent cannot be planned.",
            fix="Give rising whole percentages that end at 100, such as 10,50,100.",
        )
    counted: dict[int, int] = {}
    for percent in percents:
        # Integer arithmetic: a float 0.1 * 10 can land on either side of 1.
        count = max(1, -(-units * percent // 100))
        # What is reached is told, not what was asked for: 10 % of one unit is all of it.
        counted.setdefault(count, 100 if count == units else percent)
    return tuple((percent, count) for count, percent in sorted(counted.items()))


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


# Without slots, so that the hash can be kept: a plan never changes and is hashed at every decision.
@dataclass(frozen=True)
class Plan:
    """Everything that is approved, as pure data; `hash` binds an approval to exactly this.

    `change` names the executable change ("aws.asg_spot"); `before` is the absolute state that rollback
    restores; `fingerprint` is the resource's at planning time (drift refuses to execute).
    `saving_monthly` is a decimal string. `repeatable` says that sending an effect twice is the same as once
    (absolute settings are); where it is not, an effect whose fate is unknown is never sent again.
    `unwatched` is empty, or why there is no traffic to watch: then counted units alone decide about a step.
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
    repeatable: bool = True
    unwatched: str = ""

    def count(self, units: int) -> str:
        """A number of units in words: '1 instance', '10 instances'."""
        name = self.unit_name or "unit"
        return f"{units} {name if units == 1 or name.endswith('s') else name + 's'}"

    def canonical(self) -> str:
        """The JSON that is hashed: keys sorted, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @cached_property
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
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the card (or terminal) that a person decided on had shown: a decision counts for exactly this."""

    rollout_id: str
    version: int
    stage: int
    plan_hash: str


class IntentStatus(StrEnum):
    PENDING = "PENDING"
    SENDING = "SENDING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Intent:
    """An effect written down before it is tried. `id` is deterministic: rollout, direction, and what it answers.

    `sent_at` is when it was last sent, `accepted_at` when the cloud said yes; DONE means that the cloud shows it.
    """

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
    gate: int = 1
    sent_at: datetime | None = None
    accepted_at: datetime | None = None


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
    `held_from` is the state to resume when HELD (or that needed a person). `reason` says in words why it is where
    it is. `touched` says that something may have been changed at the cloud. `gate` counts the decisions that were
    waited for: an approval counts for one gate only. `baseline` is health before the first effect.
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
    touched: bool = False
    gate: int = 1
    channel: str = ""
    baseline: dict[str, object] = field(default_factory=dict)
    approved_at: datetime | None = None
    stage_since: datetime | None = None
    bake_since: datetime | None = None
    blind_since: datetime | None = None
    unseen_since: datetime | None = None
    failures: int = 0
    rewrites: int = 0

    @property
    def approvals_needed(self) -> int:
        """Two people for what destroys or cannot be undone (R2, R3), one otherwise."""
        return 1 if self.plan.risk in {"R0", "R1"} else 2

    @property
    def phase(self) -> Phase:
        return phase(self.state)

    @property
    def seen(self) -> Seen:
        """What a fresh card of this rollout shows, and what a decision made on it is bound to."""
        return Seen(self.id, self.version, self.stage, self.plan.hash)

    @property
    def current(self) -> Stage:
        return self.plan.stages[self.stage]
