"""Gates: what people decide about rollouts - each decision one conditional UPDATE with its audit row, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from tools.execution import allowed, record
from tools.execution.decisions import Move, moved
from tools.execution.limits import Caps, Limits
from tools.execution.preflight import back_to_gate
from tools.model.access import Permission, Principal
from tools.model.audit import AuditEntry
from tools.model.errors import NotFoundError, RefusedError
from tools.model.identifiers import NewId
from tools.model.rollout import (
    TERMINAL,
    WAITING_FOR_PEOPLE,
    Approval,
    IntentStatus,
    Rollout,
    Seen,
    State,
    Verdict,
)
from tools.store import audit, rollout_approvals, rollout_history, rollout_intents, rollouts, stops
from tools.store.database import Database

T = TypeVar("T")


def seen(rollout: Rollout) -> Seen:
    """What a fresh card of this rollout shows."""
    return rollout.seen


@dataclass(frozen=True, slots=True)
class Gates:
    """The decisions of people. Each returns the rollout as it then stands, or raises RefusedError, audited.

    `limits` gives how long a new wait for a decision lasts, `caps` how much may be under way at once.
    """

    database: Database
    tenant: str
    now: Callable[[], datetime]
    new_id: NewId
    limits: Limits = field(default_factory=Limits)
    caps: Caps = field(default_factory=Caps)

    def approve(self, card: Seen, person: Principal, reason: str = "") -> Rollout:
        """Say yes to the step that the card shows. Destructive or irreversible plans need two different people."""

        def work(tx: Connection) -> Rollout:
            rollout = rollouts.get(tx, self.tenant, card.rollout_id, lock=True)
            now = self.now()  # after the wait for the row
            who = allowed.check(tx, self.tenant, person, Permission.ROLLOUTS_APPROVE)
            _not_own(rollout, who)
            _fresh(tx, rollout, card, now)
            self._permitted_now(tx, rollout, now)
            return self._approved(tx, rollout, who, reason, now)

        return self._decide("rollout.approve", card.rollout_id, person, work)

    def reject(self, card: Seen, person: Principal, reason: str = "") -> Rollout:
        """Refuse a proposed rollout; its proposer may withdraw it this way."""

        def work(tx: Connection) -> Rollout:
            rollout = rollouts.get(tx, self.tenant, card.rollout_id, lock=True)
            now = self.now()  # after the wait for the row
            own = person.id == rollout.proposed_by
            needed = Permission.ROLLOUTS_PROPOSE if own else Permission.ROLLOUTS_APPROVE
            who = allowed.check(tx, self.tenant, person, needed)
            if rollout.state is not State.PROPOSED:
                raise _wrong_state(rollout, "rejected", "To stop it now, use abort or rollback.")
            _fresh(tx, rollout, card, now)
            words = f"rejected by {who.name}" + (f": {reason}" if reason else "")
            return self._move(tx, rollout, Move(State.REJECTED, words), who, "rollout.reject", now, reason)

        return self._decide("rollout.reject", card.rollout_id, person, work)

    def abort(self, card: Seen, person: Principal, reason: str = "") -> Rollout:
        """Stop: nothing further happens, and what was changed is rolled back."""
        return self._undo("rollout.abort", card, person, reason)

    def rollback(self, card: Seen, person: Principal, reason: str = "") -> Rollout:
        """Go back to where it began. Accepted in every live state, from an old card too, whatever else is stopped."""
        return self._undo("rollout.rollback", card, person, reason)

    def retry(self, card: Seen, person: Principal, reason: str = "") -> Rollout:
        """Go on with what is held (before a step: back to its gate), or try a rollback once more."""

        def work(tx: Connection) -> Rollout:
            rollout = rollouts.get(tx, self.tenant, card.rollout_id, lock=True)
            now = self.now()  # after the wait for the row
            backwards = rollout.state is State.NEEDS_HUMAN
            needed = Permission.ROLLOUTS_ROLLBACK if backwards else Permission.ROLLOUTS_APPROVE
            who = allowed.check(tx, self.tenant, person, needed)
            if rollout.state not in {State.HELD, State.NEEDS_HUMAN}:
                raise _wrong_state(rollout, "retried", "Only a rollout that is held or needs a person can be.")
            if rollout.held_from is State.EXECUTING and backwards:
                raise _wrong_state(rollout, "retried", "First say whether the effect happened (resolve).")
            if not backwards:
                _not_own(rollout, who)
            _same_version(tx, rollout, card)
            words = f"tried again by {who.name}" + (f": {reason}" if reason else "")
            return self._move(tx, rollout, _resumed(rollout, words), who, "rollout.retry", now, reason)

        return self._decide("rollout.retry", card.rollout_id, person, work)

    def resolve(self, card: Seen, person: Principal, happened: bool, reason: str = "") -> Rollout:
        """Say whether an effect of unknown fate happened, after looking at the cloud; the step then goes on."""

        def work(tx: Connection) -> Rollout:
            rollout = rollouts.get(tx, self.tenant, card.rollout_id, lock=True)
            now = self.now()  # after the wait for the row
            who = allowed.check(tx, self.tenant, person, Permission.ROLLOUTS_APPROVE)
            if rollout.state is not State.NEEDS_HUMAN or rollout.held_from is not State.EXECUTING:
                raise _wrong_state(rollout, "resolved", "Nothing about it is unknown.")
            _same_version(tx, rollout, card)
            for intent in rollout_intents.listing(tx, self.tenant, rollout.id):
                if intent.status is IntentStatus.SENDING:
                    status = IntentStatus.SENDING if happened else IntentStatus.PENDING
                    rollout_intents.note(
                        tx, self.tenant, intent, status=status, now=now, accepted=happened, detail=f"{who.id}: {reason}"
                    )
            words = f"{who.name}: the effect {'happened' if happened else 'did not happen'}"
            return self._move(tx, rollout, Move(State.EXECUTING, words), who, "rollout.resolve", now, reason)

        return self._decide("rollout.resolve", card.rollout_id, person, work)

    def stop(self, person: Principal, reason: str) -> None:
        """The kill switch: from the moment this returns no forward effect is claimed. Rollbacks go on."""
        self._switch(person, True, reason)

    def resume(self, person: Principal, reason: str) -> None:
        """Lift the kill switch; what was held waits for `retry`."""
        self._switch(person, False, reason)

    def freeze(self, person: Principal, starts_at: datetime, ends_at: datetime, reason: str) -> stops.Freeze:
        """Plan a time in which nothing new is changed."""
        freeze = stops.Freeze(self.new_id("fr"), starts_at, ends_at, person.id, reason)

        def work(tx: Connection) -> None:
            now = self.now()
            who = allowed.check(tx, self.tenant, person, Permission.ROLLOUTS_ROLLBACK)
            if ends_at <= starts_at:
                raise RefusedError("period", "A freeze has to end after it starts.")
            stops.add_freeze(tx, self.tenant, freeze)
            self._audit(tx, who, "freeze.add", freeze.id, now, {"from": f"{starts_at}", "to": f"{ends_at}"})

        self._decide("freeze.add", freeze.id, person, work)
        return freeze

    def thaw(self, person: Principal, freeze_id: str) -> None:
        """Lift a freeze before its end."""

        def work(tx: Connection) -> None:
            now = self.now()
            who = allowed.check(tx, self.tenant, person, Permission.ROLLOUTS_APPROVE)
            if not stops.remove_freeze(tx, self.tenant, freeze_id):
                raise NotFoundError(f"There is no freeze {freeze_id}.")
            self._audit(tx, who, "freeze.remove", freeze_id, now, {})

        self._decide("freeze.remove", freeze_id, person, work)

    def _switch(self, person: Principal, on: bool, reason: str) -> None:
        action = "stop.on" if on else "stop.off"

        def work(tx: Connection) -> None:
            now = self.now()
            # Anybody who may roll back may stop; going on again is a decision like an approval.
            needed = Permission.ROLLOUTS_ROLLBACK if on else Permission.ROLLOUTS_APPROVE
            who = allowed.check(tx, self.tenant, person, needed)
            stops.set_stop(tx, self.tenant, on, actor=who.name, reason=reason, now=now)
            self._audit(tx, who, action, "rollouts", now, {"why": reason})

        self._decide(action, "rollouts", person, work)

    def _undo(self, action: str, card: Seen, person: Principal, reason: str) -> Rollout:
        def work(tx: Connection) -> Rollout:
            rollout = rollouts.get(tx, self.tenant, card.rollout_id, lock=True)
            now = self.now()  # after the wait for the row
            who = allowed.check(tx, self.tenant, person, Permission.ROLLOUTS_ROLLBACK)
            if rollout.state in TERMINAL:
                raise _wrong_state(rollout, "rolled back", "It has ended; to reverse it, propose a new rollout.")
            if rollout.state in {State.ROLLING_BACK, State.GUARDING}:
                return rollout
            why = f"{action.rpartition('.')[2]} by {who.name}" + (f": {reason}" if reason else "")
            move = Move(State.ROLLING_BACK, why)
            if not rollout.touched:
                move = Move(State.CANCELLED, f"{why}; nothing had been changed")
            return self._move(tx, rollout, move, who, action, now, reason)

        return self._decide(action, card.rollout_id, person, work)

    def _permitted_now(self, tx: Connection, rollout: Rollout, now: datetime) -> None:
        stop = stops.standing(tx, self.tenant, now=now)
        if stop is not None:
            raise RefusedError(stop[0], stop[1], fix="Approve it when that is over.")
        if not rollout.touched:
            others = rollouts.running(tx, self.tenant, rollout.plan.account_id)
            if others >= self.caps.live_per_account:
                raise RefusedError(
                    "cap",
                    f"{others} rollouts are under way in account {rollout.plan.account_id}, which is the most at once.",
                    fix="Approve it when one of them has ended.",
                )
            return
        if rollout.plan.unwatched:
            return
        looks = rollout_history.verdicts(tx, self.tenant, rollout.id)
        if not looks or looks[-1].verdict is not Verdict.HEALTHY:
            why = looks[-1].why if looks else "health was not read"
            raise RefusedError(
                "health", f"The step before is not known to be healthy now: {why}.", fix="Wait, or roll back."
            )

    def _approved(self, tx: Connection, rollout: Rollout, who: Principal, reason: str, now: datetime) -> Rollout:
        given = rollout_approvals.listing(tx, self.tenant, rollout.id, gate=rollout.gate)
        approval = Approval(
            rollout.id, rollout.stage, rollout.plan.hash, who.id, who.name, now, rollout.version, reason
        )
        if any(a.actor == who.id for a in given) or not rollout_approvals.add(tx, rollout, approval):
            raise RefusedError(
                "same_person", "You approved this step already; it needs a second, different person.", fix="Ask one."
            )
        step = f"step {rollout.stage + 1} of {len(rollout.plan.stages)}"
        count = len(given) + 1
        if count < rollout.approvals_needed:
            words = f"{step} approved by {who.name}; {count} of {rollout.approvals_needed} approvals"
            after = replace(rollout, version=rollout.version + 1, reason=words, updated_at=now)
        else:
            words = f"{step} approved by {who.name}"
            after = replace(moved(rollout, Move(State.APPROVED, words), now, self.limits), approved_at=now)
        return self._write(tx, rollout, after, who, "rollout.approve", now, reason)

    def _move(
        self, tx: Connection, rollout: Rollout, move: Move, who: Principal, action: str, now: datetime, reason: str
    ) -> Rollout:
        return self._write(tx, rollout, moved(rollout, move, now, self.limits), who, action, now, reason)

    def _write(
        self, tx: Connection, before: Rollout, after: Rollout, who: Principal, action: str, now: datetime, reason: str
    ) -> Rollout:
        stands = record.write(
            tx,
            before,
            after,
            actor=who.id,
            actor_name=who.name,
            action=action,
            what=after.reason,
            now=now,
            detail={"note": reason} if reason else None,
            unexpired_at=now if action == "rollout.approve" else None,
        )
        if not stands:
            raise RefusedError(
                "stale", "The rollout moved at the same moment.", fix="Look at it again and decide anew."
            )
        return after

    def _audit(
        self, tx: Connection, who: Principal, action: str, subject: str, now: datetime, detail: dict[str, object]
    ) -> None:
        audit.record(tx, AuditEntry(self.tenant, now, who.id, action, subject, "done", "", detail))

    def _decide(self, action: str, subject: str, person: Principal, work: Callable[[Connection], T]) -> T:
        try:
            allowed.same_tenant(self.tenant, person)
            with self.database.begin() as tx:
                return work(tx)
        except (RefusedError, NotFoundError) as refusal:
            reason = refusal.reason if isinstance(refusal, RefusedError) else refusal.code
            with self.database.begin() as tx:
                record.refused(
                    tx,
                    self.tenant,
                    actor=person.id,
                    action=action,
                    subject=subject,
                    reason=reason,
                    words=refusal.what,
                    now=self.now(),
                )
            raise


def _not_own(rollout: Rollout, who: Principal) -> None:
    if who.id == rollout.proposed_by:
        raise RefusedError(
            "proposer",
            "You proposed this rollout, so somebody else has to approve it.",
            fix="Ask a colleague who may approve.",
        )


def _fresh(tx: Connection, rollout: Rollout, card: Seen, now: datetime) -> None:
    """Raise unless the card shows this rollout as it waits now: version, step, plan, not expired."""
    _same_version(tx, rollout, card)
    if (card.stage, card.plan_hash) != (rollout.stage, rollout.plan.hash):
        raise RefusedError("plan", "The card shows another step or plan than the one that waits.", fix=_LOOK)
    if rollout.state not in WAITING_FOR_PEOPLE:
        raise _wrong_state(rollout, "approved", "It does not wait for a decision.")
    _in_time(rollout, now)


def _in_time(rollout: Rollout, now: datetime) -> None:
    if rollout.expires_at <= now:
        raise RefusedError(
            "expired", f"This decision was open until {rollout.expires_at:%d %b %H:%M:%S} UTC.", fix="Propose it again."
        )


def _same_version(tx: Connection, rollout: Rollout, card: Seen) -> None:
    if card.version == rollout.version:
        return
    for approval in rollout_approvals.listing(tx, rollout.tenant, rollout.id):
        if approval.version == card.version:
            raise RefusedError(
                "decided",
                f"{approval.actor_name} approved step {approval.stage + 1} at {approval.at:%H:%M:%S} UTC, before you.",
                fix=_LOOK,
                changed="Your click changed nothing.",
            )
    last = rollout_history.events(tx, rollout.tenant, rollout.id)[-1]
    raise RefusedError(
        "stale",
        f"The card is out of date. At {last.at:%H:%M:%S} UTC this happened: {last.what} ({last.actor}).",
        fix=_LOOK,
    )


_LOOK = "Look at the card as it is now and decide anew."


def _wrong_state(rollout: Rollout, verb: str, fix: str) -> RefusedError:
    where = rollout.state.value.lower().replace("_", " ")
    return RefusedError("state", f"The rollout cannot be {verb}: it is {where} ({rollout.reason}).", fix=fix)


def _resumed(rollout: Rollout, words: str) -> Move:
    if rollout.state is State.NEEDS_HUMAN:
        return Move(State.ROLLING_BACK, words)
    if rollout.held_from is None or rollout.held_from in {State.PREFLIGHT, State.APPROVED, State.AWAITING_APPROVAL}:
        return back_to_gate(rollout, words)
    return Move(rollout.held_from, words)
