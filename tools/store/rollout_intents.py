"""Rollout intents: every effect as it was written down before it was tried, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from tools.model.rollout import Intent, IntentStatus, Rollout
from tools.store.rollout_tables import intents

_DETAIL = 500


def add(tx: Connection, tenant: str, intent: Intent) -> None:
    """Write down an effect that is to be tried; writing the same one again changes nothing."""
    values = {
        "tenant": tenant,
        "id": intent.id,
        "rollout_id": intent.rollout_id,
        "stage": intent.stage,
        "gate": intent.gate,
        "direction": intent.direction,
        "desired": intent.desired,
        "status": intent.status.value,
        "attempts": intent.attempts,
        "epoch": 0,
        "created_at": intent.created_at,
        "updated_at": intent.updated_at,
        "detail": intent.detail,
    }
    try:
        with tx.begin_nested():
            tx.execute(_ADD, values)
    except IntegrityError:
        pass  # written before; its id is deterministic


def claim(tx: Connection, tenant: str, intent: Intent, epoch: int, *, now: datetime) -> bool:
    """PENDING (or a sending that is to be repeated) becomes SENDING; False when somebody else was first."""
    key = {"t": tenant, "i": intent.id, "was": intent.status.value, "tried": intent.attempts}
    return tx.execute(_CLAIM, key | {"by": epoch, "now": now}).rowcount == 1


def note(
    tx: Connection,
    tenant: str,
    intent: Intent,
    *,
    status: IntentStatus,
    now: datetime,
    detail: str = "",
    accepted: bool = False,
) -> bool:
    """Write what became of a sending; False when the intent has been closed meanwhile."""
    values: dict[str, object] = {"t": tenant, "i": intent.id, "is": status.value, "why": detail[:_DETAIL], "now": now}
    return tx.execute(_ACCEPTED if accepted else _NOTE, values).rowcount == 1


def close(tx: Connection, rollout: Rollout, *, now: datetime, detail: str) -> None:
    """Nothing that was written down for this rollout may be sent any more."""
    tx.execute(_CLOSE, {"t": rollout.tenant, "i": rollout.id, "why": detail, "now": now})


def listing(tx: Connection, tenant: str, rollout_id: str) -> tuple[Intent, ...]:
    """Every effect of a rollout, oldest first."""
    return tuple(_intent(row) for row in tx.execute(_LISTING, {"t": tenant, "i": rollout_id}))


# Statements are built once: building and hashing them costs more than running them.
_ADD = insert(intents)
_IT = (intents.c.tenant == bindparam("t"), intents.c.id == bindparam("i"))
_OF_ROLLOUT = (intents.c.tenant == bindparam("t"), intents.c.rollout_id == bindparam("i"))
_OPEN = or_(intents.c.status == IntentStatus.PENDING.value, intents.c.status == IntentStatus.SENDING.value)
_CLAIM = (
    update(intents)
    .where(*_IT, intents.c.status == bindparam("was"), intents.c.attempts == bindparam("tried"))
    .values(
        status=IntentStatus.SENDING.value,
        attempts=intents.c.attempts + 1,
        epoch=bindparam("by"),
        sent_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
)
_NOTE = (
    update(intents)
    .where(*_IT, _OPEN)
    .values(status=bindparam("is"), detail=bindparam("why"), updated_at=bindparam("now"))
)
_ACCEPTED = _NOTE.values(accepted_at=bindparam("now"))
_CLOSE = (
    update(intents)
    .where(*_OF_ROLLOUT, _OPEN)
    .values(status=IntentStatus.FAILED.value, detail=bindparam("why"), updated_at=bindparam("now"))
)
_LISTING = select(intents).where(*_OF_ROLLOUT).order_by(intents.c.created_at, intents.c.id)


def _intent(row: Row[Any]) -> Intent:
    return Intent(
        id=row.id,
        rollout_id=row.rollout_id,
        stage=row.stage,
        direction=row.direction,
        desired=row.desired,
        status=IntentStatus(row.status),
        attempts=row.attempts,
        created_at=row.created_at,
        updated_at=row.updated_at,
        detail=row.detail,
        gate=row.gate,
        sent_at=row.sent_at,
        accepted_at=row.accepted_at,
    )
