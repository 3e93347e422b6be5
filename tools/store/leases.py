"""Leases: one worker looks at a rollout at a time; each taking counts an epoch up, which fences the one before."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from tools.model.rollout import Rollout
from tools.store.rollout_tables import rollouts
from tools.store.rollouts import rollout_of


def take(
    tx: Connection, tenant: str, rollout_id: str, *, owner: str, now: datetime, until: datetime
) -> tuple[Rollout, int] | None:
    """The rollout and the new epoch, or None while another worker holds it (or it is not there)."""
    taken = tx.execute(
        update(rollouts)
        .where(
            rollouts.c.tenant == tenant,
            rollouts.c.id == rollout_id,
            rollouts.c.live,
            (rollouts.c.lease_until <= now) | (rollouts.c.lease_owner == owner),
        )
        .values(lease_owner=owner, lease_until=until, epoch=rollouts.c.epoch + 1)
    )
    if taken.rowcount != 1:
        return None
    row = tx.execute(select(rollouts).where(rollouts.c.tenant == tenant, rollouts.c.id == rollout_id)).one()
    return rollout_of(row), row.epoch


def release(tx: Connection, tenant: str, rollout_id: str, epoch: int, *, now: datetime) -> None:
    """Let others look at it; a lease that was lost meanwhile is left alone."""
    tx.execute(
        update(rollouts)
        .where(rollouts.c.tenant == tenant, rollouts.c.id == rollout_id, rollouts.c.epoch == epoch)
        .values(lease_until=now)
    )
