"""Stops: the kill switch and freeze windows, which forbid forward effects and never a rollback."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tools.store.rollout_tables import freezes, stops

_KILL = "stop"


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing new is changed: `starts_at` included, `ends_at` excluded."""

    id: str
    starts_at: datetime
    ends_at: datetime
    actor: str
    reason: str


def set_stop(tx: Connection, tenant: str, on: bool, *, actor: str, reason: str, now: datetime) -> None:
    """Turn the kill switch on or off; waits for whoever is claiming an effect at this moment."""
    _ensure(tx, tenant)
    tx.execute(_SWITCH, {"t": tenant, "to": on, "who": actor, "why": reason, "now": now})


def standing(tx: Connection, tenant: str, *, now: datetime, lock: bool = False) -> tuple[str, str] | None:
    """(fixed word, sentence) of what forbids forward effects now, or None.

    `lock` keeps the kill switch as it is until this transaction ends, so that no effect is claimed after
    somebody has been told that it is on.
    """
    if lock:
        _ensure(tx, tenant)
    row = tx.execute(_STOP_LOCKED if lock else _STOP, {"t": tenant}).one_or_none()
    if row is not None and row.is_on:
        return "kill_switch", f"{row.actor} stopped all rollouts: {row.reason or 'no reason given'}."
    window = tx.execute(_FREEZE, {"t": tenant, "now": now}).one_or_none()
    if window is not None:
        return "freeze", f"Changes are frozen until {window.ends_at:%d %b %H:%M} UTC ({window.reason})."
    return None


def add_freeze(tx: Connection, tenant: str, freeze: Freeze) -> None:
    """Plan a freeze window."""
    window = {
        "tenant": tenant,
        "id": freeze.id,
        "starts_at": freeze.starts_at,
        "ends_at": freeze.ends_at,
        "actor": freeze.actor,
        "reason": freeze.reason,
    }
    tx.execute(_ADD_FREEZE, window)


def remove_freeze(tx: Connection, tenant: str, freeze_id: str) -> bool:
    """Lift a freeze window; False when there is none with that id."""
    return tx.execute(_REMOVE_FREEZE, {"t": tenant, "i": freeze_id}).rowcount == 1


def planned(tx: Connection, tenant: str, *, now: datetime) -> tuple[Freeze, ...]:
    """Freeze windows that are on or still to come."""
    rows = tx.execute(
        select(freezes).where(freezes.c.tenant == tenant, freezes.c.ends_at > now).order_by(freezes.c.starts_at)
    )
    return tuple(Freeze(r.id, r.starts_at, r.ends_at, r.actor, r.reason) for r in rows)


def _ensure(tx: Connection, tenant: str) -> None:
    # A row that exists can be locked; an absent one cannot.
    if tx.execute(_STOP, {"t": tenant}).first():
        return
    try:
        with tx.begin_nested():
            tx.execute(_ADD_STOP, {"tenant": tenant, "name": _KILL, "is_on": False, "actor": "", "reason": ""})
    except IntegrityError:
        pass  # somebody else made it at the same moment


_IT = (stops.c.tenant == bindparam("t"), stops.c.name == _KILL)
_STOP = select(stops).where(*_IT)
_STOP_LOCKED = _STOP.with_for_update(read=True)
_ADD_STOP = insert(stops)
_SWITCH = (
    update(stops)
    .where(*_IT)
    .values(is_on=bindparam("to"), actor=bindparam("who"), reason=bindparam("why"), at=bindparam("now"))
)
_ADD_FREEZE = insert(freezes)
_REMOVE_FREEZE = delete(freezes).where(freezes.c.tenant == bindparam("t"), freezes.c.id == bindparam("i"))
_FREEZE = (
    select(freezes)
    .where(
        freezes.c.tenant == bindparam("t"),
        freezes.c.starts_at <= bindparam("now"),
        freezes.c.ends_at > bindparam("now"),
    )
    .order_by(freezes.c.ends_at.desc())
    .limit(1)
)
