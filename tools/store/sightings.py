"""Sightings: what a provider's bill said of a day each time it was looked at, so that its lateness can be learned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, delete, insert, select

from tools.model.money import plain
from tools.store.finding_tables import day_sightings


@dataclass(frozen=True, slots=True)
class Sighting:
    """The cost of `day` at one provider as its bill stood `lag` days after it (1 is the day after)."""

    provider: str
    currency: str
    day: date
    lag: int
    cost: Decimal


def note(tx: Connection, tenant: str, seen: Iterable[Sighting]) -> None:
    """Keep what was seen; the first look at a day on a later day counts, later ones on the same day replace it."""
    for one in seen:
        key = {"tenant": tenant, "provider": one.provider, "currency": one.currency, "day": one.day, "lag": one.lag}
        tx.execute(delete(day_sightings).where(*(day_sightings.c[name] == value for name, value in key.items())))
        tx.execute(insert(day_sightings).values(**key, cost=plain(one.cost)))


def since(tx: Connection, tenant: str, first: date) -> tuple[Sighting, ...]:
    """Everything seen of days from `first` on."""
    rows = tx.execute(
        select(day_sightings)
        .where(day_sightings.c.tenant == tenant, day_sightings.c.day >= first)
        .order_by(day_sightings.c.provider, day_sightings.c.currency, day_sightings.c.day, day_sightings.c.lag)
    )
    return tuple(Sighting(row.provider, row.currency, row.day, row.lag, Decimal(row.cost)) for row in rows)


def forget_before(tx: Connection, tenant: str, day: date) -> None:
    """Old days teach nothing about how late bills are now."""
    tx.execute(delete(day_sightings).where(day_sightings.c.tenant == tenant, day_sightings.c.day < day))
