"""Unit values: people's own metrics, one value per day and scope."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import Connection, delete, func, insert, select

from tools.model.money import plain
from tools.model.period import Period
from tools.model.unit import Scope, UnitValue
from tools.store.allocation_tables import unit_values as table

_BATCH = 1000
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class KnownUnit:
    """A metric that was imported, and the days that its values span."""

    metric: str
    first: date
    last: date
    values: int


def replace(tx: Connection, tenant: str, values: Sequence[UnitValue], *, now: datetime) -> int:
    """Put in values; a day that was there before is replaced whole. How many values that took out."""
    gone = 0
    days: dict[str, set[date]] = {}
    for value in values:
        days.setdefault(value.metric, set()).add(value.day)
    for metric, which in days.items():
        for some in _batches(sorted(which)):
            old = (table.c.tenant == tenant) & (table.c.metric == metric) & table.c.day.in_(some)
            gone += tx.execute(delete(table).where(old)).rowcount
    for part in _batches(values):
        tx.execute(insert(table), [_row(tenant, value, now) for value in part])
    return gone


def _batches(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[n : n + _BATCH] for n in range(0, len(items), _BATCH))


def _row(tenant: str, value: UnitValue, now: datetime) -> dict[str, object]:
    return {
        "tenant": tenant,
        "metric": value.metric,
        "day": value.day,
        "scope": json.dumps(dict(sorted(value.scope)), ensure_ascii=False),
        "value": plain(value.value),
        "imported_at": now,
    }


def listing(tx: Connection, tenant: str) -> tuple[KnownUnit, ...]:
    """Every metric, by name."""
    rows = tx.execute(
        select(table.c.metric, func.min(table.c.day), func.max(table.c.day), func.count())
        .where(table.c.tenant == tenant)
        .group_by(table.c.metric)
        .order_by(table.c.metric)
    )
    return tuple(KnownUnit(*row) for row in rows)


def values(tx: Connection, tenant: str, metric: str, period: Period) -> tuple[UnitValue, ...]:
    """The values of one metric in a period, by day."""
    rows = tx.execute(
        select(table)
        .where(
            table.c.tenant == tenant, table.c.metric == metric, table.c.day >= period.start, table.c.day < period.end
        )
        .order_by(table.c.day, table.c.scope)
    )
    return tuple(UnitValue(row.metric, row.day, Decimal(row.value), _scope(row.scope)) for row in rows)


def _scope(text: str) -> Scope:
    return tuple(sorted(json.loads(text).items()))
