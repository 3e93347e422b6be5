"""Claims: the transaction in which the right to send one effect is taken - or what forbids it is found."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from tools.execution import preflight
from tools.execution.decisions import FORWARD, Move
from tools.execution.limits import Limits
from tools.model.access import Permission
from tools.model.errors import ConflictError
from tools.model.rollout import Intent, Rollout, State
from tools.store import people, rollout_approvals, rollout_intents, rollouts, stops


class LostError(ConflictError):
    """Another worker holds the rollout now, or somebody moved it; whoever finds this stops at once."""


def hold(tx: Connection, rollout: Rollout, epoch: int, *, now: datetime, limits: Limits) -> None:
    """Hold the rollout's row for this transaction; raises LostError when it is not ours any more."""
    if not rollouts.lock(tx, rollout, epoch, until=now + limits.lease):
        raise LostError("Another worker looks after this rollout now.")


def claim(
    tx: Connection, rollout: Rollout, intent: Intent, epoch: int, *, now: datetime, limits: Limits
) -> Move | None:
    """Take the right to send `intent` (None), or give the move that is due instead.

    Kill switch, freezes, approvals and the approvers' roles are read here under locks, so nothing forward is sent
    after any of them was changed. A rollback asks for none of it.
    """
    hold(tx, rollout, epoch, now=now, limits=limits)
    if intent.direction == FORWARD:
        forbidden = _forbidden(tx, rollout, intent, now, limits)
        if forbidden is not None:
            return forbidden
    if not rollout_intents.claim(tx, rollout.tenant, intent, epoch, now=now):
        raise LostError("Another worker sends this effect.")
    return None


def missing_approval(tx: Connection, rollout: Rollout, *, lock: bool = False) -> str:
    """Why the approvals of this gate do not (any more) allow the step, or empty.

    They count for exactly this step, plan and gate, from people who may approve at this moment.
    """
    valid = set()
    for approval in rollout_approvals.listing(tx, rollout.tenant, rollout.id, gate=rollout.gate):
        exact = approval.stage == rollout.stage and approval.plan_hash == rollout.plan.hash
        who = people.by_email(tx, rollout.tenant, approval.actor, lock=lock)
        if exact and who is not None and who.id != rollout.proposed_by and who.may(Permission.ROLLOUTS_APPROVE):
            valid.add(who.id)
    if len(valid) >= rollout.approvals_needed:
        return ""
    return f"the step has {len(valid)} of {rollout.approvals_needed} approvals by people who may give them"


def _forbidden(tx: Connection, rollout: Rollout, intent: Intent, now: datetime, limits: Limits) -> Move | None:
    stop = stops.standing(tx, rollout.tenant, now=now, lock=True)
    if stop is not None:
        return Move(State.HELD, stop[1])
    missing = missing_approval(tx, rollout, lock=True)
    old = preflight.too_old(rollout, now, limits)
    if intent.attempts == 0:
        if missing or old:
            return preflight.back_to_gate(
                rollout, missing or "the approval was not used in time; it must be given again"
            )
        return None
    # Sent before and perhaps done: the step cannot go back to its gate as if nothing had happened.
    return Move(State.HELD, missing) if missing else None
