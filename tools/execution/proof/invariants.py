"""Invariants: what must hold after every single action of a run, whatever died, slept, lied or was clicked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from tools.execution.proof.world import LATE, Cloud, Health
from tools.model.rollout import TERMINAL, IntentStatus, Plan, Rollout, State, Verdict
from tools.store import audit, rollout_approvals, rollout_history, rollout_intents, rollouts
from tools.store.database import Database

APPROVERS = frozenset({"ben@proof.example", "carla@proof.example"})
_BEHIND = frozenset({State.ROLLING_BACK, State.GUARDING, State.ROLLED_BACK, State.NEEDS_HUMAN, State.CANCELLED})
WATCHED = frozenset({State.EXECUTING, State.BAKING, State.AWAITING_APPROVAL, State.FINALISING, State.HELD})


class ViolationError(Exception):
    """Something happened that must never happen; the text says what."""


@dataclass
class Watch:
    """Looks over one rollout of one run."""

    database: Database
    tenant: str
    cloud: Cloud
    health: Health
    approval_age: timedelta
    id: str = ""
    stopped_at: datetime | None = None
    drifted_at: datetime | None = None
    last: Rollout | None = None

    def after(self, rollout: Rollout) -> None:
        """Check what a rollout is after any action."""
        last, self.last = self.last, rollout
        if last is not None:
            _must(last.state not in TERMINAL or rollout.state is last.state, f"left {last.state}")
            _must(rollout.version >= last.version, "the version went back")
            _must(rollout.plan == last.plan, "the plan was changed")
            if rollout.version == last.version:
                _must(rollout.state is last.state, "the state moved without a version")
            else:
                self._moved(last, rollout)
        if rollout.state is State.ROLLED_BACK:
            _must(self.cloud.changed == 0, f"rolled back, and {self.cloud.changed} units are still changed")
            _must((self.cloud.share, self.cloud.form) == (0, "plain"), "rolled back, and the setting is not as before")
        if rollout.state is State.SUCCEEDED:
            _must(self.cloud.changed == self.cloud.units, "succeeded without all units changed")

    def wrote(self, plan: Plan, desired: dict[str, object], token: str) -> None:
        """Check a write that lands at the cloud right now."""
        if desired == plan.before:
            return
        with self.database.read() as tx:
            rollout = rollouts.get(tx, self.tenant, self.id)
            self._approved(tx, rollout, desired)
            given = rollout_approvals.listing(tx, self.tenant, rollout.id)
            sent = [
                i for i in rollout_intents.listing(tx, self.tenant, rollout.id) if i.desired == desired and i.attempts
            ]
        _must(bool(sent), "a write without a claimed intent")
        _must(self.cloud.looked, "a step was sent again without looking what became of it")
        newest = max(i.sent_at for i in sent if i.sent_at is not None)
        _must(self.stopped_at is None or newest <= self.stopped_at, "claimed while everything was stopped")
        drifted_at = self.cloud.drift_shown_at if self.cloud.kind in LATE else self.drifted_at
        _must(drifted_at is None or sent[-1].created_at <= drifted_at, "begun on a resource that was changed")
        if sent[-1].attempts == 1 and sent[-1].sent_at is not None:
            age = sent[-1].sent_at - max(a.at for a in given)
            _must(age <= self.approval_age, "an approval was used too late")
        if not plan.repeatable and not any("@" in i.detail for i in sent):
            _must(token not in self.cloud.landed, "an effect that must happen once happened twice")

    def harm_was_seen(self, before: Rollout, after: Rollout) -> None:
        """Check a full look of a worker while the service shows harm."""
        if before.state in WATCHED and before.touched:
            _must(after.state in _BEHIND, f"harm was there to see in {before.state}, and it is {after.state}")

    def at_the_end(self, rollout: Rollout) -> None:
        """Check the record of a finished run."""
        with self.database.read() as tx:
            _must(audit.verify(tx, self.tenant).problems == (), "the audit chain is broken")
            lines = [e for e in audit.entries(tx, self.tenant, subject=rollout.id) if e.outcome == "done"]
            open_ = [
                i for i in rollout_intents.listing(tx, self.tenant, rollout.id) if i.status is IntentStatus.SENDING
            ]
            holder = rollouts.holder(tx, self.tenant, f"Proof/1/here/{rollout.plan.resource_id}")
        versions = sorted(int(str(e.detail["version"])) for e in lines if "version" in e.detail)
        _must(versions == list(range(2, rollout.version + 1)), "a move is not (or twice) on record")
        if rollout.state in TERMINAL:
            _must(holder is None, "it has ended and still holds the resource")
            _must(not open_, "it has ended with an effect on its way")

    def _moved(self, last: Rollout, rollout: Rollout) -> None:
        if rollout.state is State.BAKING and last.state is State.EXECUTING:
            _must(self.cloud.changed >= last.current.units, "a step was passed before its units were changed")
        if rollout.state is State.GUARDING and self.cloud.kind not in LATE:
            _must(self.cloud.changed == 0, "a rollback was called done before its units were back")
        onward = {State.AWAITING_APPROVAL, State.FINALISING, State.SUCCEEDED}
        if last.state in {State.BAKING, State.FINALISING} and rollout.state in onward:
            _must(self.health.read_in in {"good", "bad"}, "a step was passed while nothing was known of health")
            with self.database.read() as tx:
                looks = rollout_history.verdicts(tx, self.tenant, rollout.id)
            said = [look.verdict for look in looks if look.stage == last.stage]
            _must(bool(said) and said[-1] is Verdict.HEALTHY, "a step was passed without being healthy")

    def _approved(self, tx: Connection, rollout: Rollout, desired: dict[str, object]) -> None:
        stages = [s.index for s in rollout.plan.stages if s.desired == desired]
        _must(len(stages) == 1, "a write of a state that is no step of the plan")
        given = {
            a.actor
            for a in rollout_approvals.listing(tx, self.tenant, rollout.id)
            if a.stage == stages[0] and a.plan_hash == rollout.plan.hash
        }
        _must(
            len(given & APPROVERS) >= (1 if rollout.plan.risk == "R1" else 2),
            "a write that was not approved by those who may",
        )
        _must(rollout.proposed_by not in given, "its proposer approved it")


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ViolationError(otherwise)
