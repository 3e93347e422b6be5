"""Leases: one worker looks at a rollout at a time; each taking counts an epoch up, which fences the one before."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, update

from tools.model.rollout import Rollout
from tools.store.rollout_rows import rollout_of
from tools.store.rollout_tables import rollouts


def take(
    tx: Connection, tenant: str, rollout_id: str, *, owner: str, now: datetime, until: datetime
) -> tuple[Rollout, int] | None:
    """The rollout and the new epoch, or None while another worker holds it (or it is not there)."""
    key = {"t": tenant, "i": rollout_id, "owner": owner, "now": now, "until": until}
    row = tx.execute(_TAKE, key).one_or_none()
    return None if row is None else (rollout_of(row), row.epoch)


def release(tx: Connection, tenant: str, rollout_id: str, epoch: int, *, now: datetime) -> None:
    """Let others look at it; a lease that was lost meanwhile is left alone."""
    tx.execute(_RELEASE, {"t": tenant, "i": rollout_id, "e": epoch, "until": now})


_IT = (rollouts.c.tenant == bindparam("t"), rollouts.c.id == bindparam("i"))
_TAKE = (
    update(rollouts)
    .where(
        *_IT,
        rollouts.c.live,
        (rollouts.c.lease_until <= bindparam("now")) | (rollouts.c.lease_owner == bindparam("owner")),
    )
    .values(lease_owner=bindparam("owner"), lease_until=bindparam("until"), epoch=rollouts.c.epoch + 1)
    .returning(rollouts)
)
_RELEASE = update(rollouts).where(*_IT, rollouts.c.epoch == bindparam("e")).values(lease_until=bindparam("until"))
