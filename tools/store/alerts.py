"""Alerts: which anomalies were told on which day, and how many a week a customer wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from tools.model.errors import InputError
from tools.store.finding_tables import alert_budgets, anomalies

MOST_PER_WEEK = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """The digest's days on which an anomaly was told first and last."""

    first: date
    last: date


def told(tx: Connection, tenant: str) -> Mapping[str, Told]:
    """Every anomaly that was told, by its id."""
    rows = tx.execute(
        select(anomalies.c.id, anomalies.c.told_on, anomalies.c.reminded_on).where(
            anomalies.c.tenant == tenant, anomalies.c.told_on.is_not(None)
        )
    )
    return {row.id: Told(row.told_on, row.reminded_on or row.told_on) for row in rows}


def note_told(tx: Connection, tenant: str, ids: Iterable[str], day: date) -> None:
    """Keep that these were told in the digest of `day`."""
    mine = (anomalies.c.tenant == tenant) & anomalies.c.id.in_(sorted(ids))
    first = func.coalesce(anomalies.c.told_on, day)
    tx.execute(update(anomalies).where(mine).values(told_on=first, reminded_on=day))


def per_week(tx: Connection, tenant: str, otherwise: int) -> int:
    """How many alerts a week this customer wants; `otherwise` when nobody said."""
    found = tx.execute(select(alert_budgets.c.per_week).where(alert_budgets.c.tenant == tenant)).scalar_one_or_none()
    return otherwise if found is None else int(found)


def set_per_week(tx: Connection, tenant: str, wanted: int, *, actor: str, now: datetime) -> None:
    """A person's word on how many alerts a week are wanted; 0 is none."""
    if not 0 <= wanted <= MOST_PER_WEEK:
        raise InputError(f"{wanted} alerts a week cannot be meant.", fix=f"Say a number from 0 to {MOST_PER_WEEK}.")
    tx.execute(delete(alert_budgets).where(alert_budgets.c.tenant == tenant))
    tx.execute(insert(alert_budgets).values(tenant=tenant, per_week=wanted, set_by=actor, set_at=now))
