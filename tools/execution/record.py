"""Record: writes one move whole - the row, its intent, history, audit and what is to be told - or nothing of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from tools.execution.decisions import intent_of
from tools.model.audit import AuditEntry
from tools.model.rollout import TERMINAL, Rollout, State
from tools.store import audit, outbox, rollout_history, rollout_intents, rollouts

EXECUTOR = "executor"


def write(
    tx: Connection,
    before: Rollout,
    after: Rollout,
    *,
    actor: str,
    actor_name: str,
    action: str,
    what: str,
    now: datetime,
    detail: dict[str, object] | None = None,
    epoch: int | None = None,
    unexpired_at: datetime | None = None,
) -> bool:
    """True when the move stands; False (and nothing written) when somebody else moved the rollout first.

    `epoch` and `unexpired_at` are conditions of the move itself (rollouts.transition).
    """
    if not rollouts.transition(tx, before, after, epoch=epoch, unexpired_at=unexpired_at):
        return False
    leaving = after.state is State.ROLLING_BACK or after.state in TERMINAL
    if leaving or (before.state is State.EXECUTING and after.state is State.AWAITING_APPROVAL):
        rollout_intents.close(tx, after, now=now, detail=f"not needed any more: {after.reason}")
    intent = intent_of(before, after, now)
    if intent is not None:
        rollout_intents.add(tx, after.tenant, intent)
    tell(tx, after, actor_name, what, now)
    facts: dict[str, object] = {
        "from": str(before.state),
        "to": str(after.state),
        "stage": after.stage,
        "version": after.version,
        "plan_hash": after.plan.hash,
        "reason": after.reason,
    }
    entry = AuditEntry(after.tenant, now, actor, action, after.id, "done", "", facts | (detail or {}))
    audit.record(tx, entry)
    return True


def tell(tx: Connection, rollout: Rollout, actor_name: str, what: str, now: datetime) -> None:
    """One line of history, and the card is to be drawn anew."""
    rollout_history.add_event(tx, rollout, actor_name, what, now=now)
    refresh(tx, rollout, now)


def refresh(tx: Connection, rollout: Rollout, now: datetime) -> None:
    """The card is to be drawn anew."""
    outbox.put(tx, rollout.tenant, "rollout", rollout.id, now=now, channel=rollout.channel)


def refused(
    tx: Connection, tenant: str, *, actor: str, action: str, subject: str, reason: str, words: str, now: datetime
) -> None:
    """A refusal in the audit record."""
    audit.record(tx, AuditEntry(tenant, now, actor, action, subject, "refused", reason, {"words": words}))
