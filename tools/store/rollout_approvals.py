"""Rollout approvals: who said yes to which step of which exact plan."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from tools.model.rollout import Approval, Rollout
from tools.store.rollout_tables import approvals


def add(tx: Connection, rollout: Rollout, approval: Approval) -> bool:
    """Keep one person's yes to this gate; False when the same person said it before."""
    values = {
        "tenant": rollout.tenant,
        "rollout_id": rollout.id,
        "gate": rollout.gate,
        "actor": approval.actor,
        "actor_name": approval.actor_name,
        "stage": approval.stage,
        "plan_hash": approval.plan_hash,
        "version": approval.version,
        "at": approval.at,
        "reason": approval.reason,
    }
    try:
        with tx.begin_nested():
            tx.execute(_ADD, values)
    except IntegrityError:
        return False
    return True


def listing(tx: Connection, tenant: str, rollout_id: str, *, gate: int | None = None) -> tuple[Approval, ...]:
    """Every yes, oldest first; only those of one gate when given."""
    key: dict[str, object] = {"t": tenant, "i": rollout_id}
    rows = tx.execute(_ALL, key) if gate is None else tx.execute(_OF_GATE, key | {"g": gate})
    return tuple(
        Approval(r.rollout_id, r.stage, r.plan_hash, r.actor, r.actor_name, r.at, r.version, r.reason) for r in rows
    )


_ADD = insert(approvals)
_OF_ROLLOUT = select(approvals).where(approvals.c.tenant == bindparam("t"), approvals.c.rollout_id == bindparam("i"))
_ALL = _OF_ROLLOUT.order_by(approvals.c.version)
_OF_GATE = _OF_ROLLOUT.where(approvals.c.gate == bindparam("g")).order_by(approvals.c.version)
