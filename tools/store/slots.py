"""Slots: one replica runs each job's slot; a slot whose owner died is taken over after its lease."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from tools.store.clock_tables import slots


def claim(tx: Connection, tenant: str, job: str, slot: str, *, owner: str, now: datetime, lease: timedelta) -> bool:
    """True when `owner` now holds this slot: it is new, or its last owner let the lease run out unfinished."""
    key = {"tenant": tenant, "job": job, "slot": slot}
    try:
        with tx.begin_nested():
            tx.execute(insert(slots).values(**key, owner=owner, lease_until=now + lease))
    except IntegrityError:
        taken_over = tx.execute(
            update(slots)
            .where(_is(tenant, job, slot), slots.c.finished_at.is_(None), slots.c.lease_until <= now)
            .values(owner=owner, lease_until=now + lease)
        )
        return taken_over.rowcount == 1
    return True


def finish(tx: Connection, tenant: str, job: str, slot: str, *, owner: str, now: datetime, outcome: str) -> bool:
    """Mark a slot as done; False when another replica has taken it over meanwhile."""
    done = tx.execute(
        update(slots)
        .where(_is(tenant, job, slot), slots.c.owner == owner, slots.c.finished_at.is_(None))
        .values(finished_at=now, outcome=outcome[:500])
    )
    return done.rowcount == 1


def release(tx: Connection, tenant: str, job: str, slot: str, *, owner: str, retry_at: datetime) -> None:
    """Give a failed slot back, to be tried again from `retry_at` on."""
    tx.execute(
        update(slots)
        .where(_is(tenant, job, slot), slots.c.owner == owner, slots.c.finished_at.is_(None))
        .values(lease_until=retry_at)
    )


def outcomes(tx: Connection, tenant: str, job: str) -> dict[str, str]:
    """The outcome of every finished slot of a job."""
    rows = tx.execute(
        select(slots.c.slot, slots.c.outcome)
        .where(slots.c.tenant == tenant, slots.c.job == job, slots.c.finished_at.is_not(None))
        .order_by(slots.c.slot)
    )
    return {row.slot: row.outcome for row in rows}


def _is(tenant: str, job: str, slot: str) -> ColumnElement[bool]:
    return and_(slots.c.tenant == tenant, slots.c.job == job, slots.c.slot == slot)
