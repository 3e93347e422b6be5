"""Budgets: what people set, and which alerts of them were told."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from tools.model.budget import Alert, Budget, BudgetPeriod
from tools.model.errors import NotFoundError
from tools.model.metric import Metric
from tools.model.money import plain
from tools.model.query import Filter
from tools.store.allocation_tables import budget_alerts as alerts
from tools.store.allocation_tables import budgets


@lru_cache(maxsize=1)
def _codec() -> TypeAdapter[Alert]:
    return TypeAdapter(Alert)


def save(tx: Connection, tenant: str, budget: Budget, *, actor: str, now: datetime) -> Budget:
    """Set a budget: a new one, or in place of the one with its name, as its next revision."""
    key = (budgets.c.tenant == tenant) & (budgets.c.name == budget.name)
    before = tx.execute(select(budgets.c.revision).where(key).with_for_update()).scalar()
    values: dict[str, object] = {
        "revision": (before or 0) + 1,
        "amount": plain(budget.amount),
        "currency": budget.currency,
        "period": str(budget.period),
        "metric": str(budget.metric),
        "scope": [{"dimension": f.dimension, "values": list(f.values), "exclude": f.exclude} for f in budget.where],
        "levels": list(budget.levels),
        "chance": budget.chance,
        "channel": budget.channel,
        "removed": False,
        "actor": actor,
        "set_at": now,
    }
    if before is None:
        tx.execute(insert(budgets).values(tenant=tenant, name=budget.name, **values))
    else:
        tx.execute(update(budgets).where(key).values(**values))
    return one(tx, tenant, budget.name)


def remove(tx: Connection, tenant: str, name: str) -> Budget:
    """Take a budget out of use; its name and revision stay, so that its alerts are not told again."""
    gone = one(tx, tenant, name)
    tx.execute(update(budgets).where(budgets.c.tenant == tenant, budgets.c.name == name).values(removed=True))
    return gone


def one(tx: Connection, tenant: str, name: str) -> Budget:
    """Raises NotFoundError naming those that exist."""
    found = {budget.name: budget for budget in listing(tx, tenant)}
    if name not in found:
        known = ", ".join(found) or "none"
        raise NotFoundError(f"There is no budget {name}.", fix=f"Budgets are: {known}.")
    return found[name]


def listing(tx: Connection, tenant: str) -> tuple[Budget, ...]:
    """Every budget that is in use, by name."""
    rows = tx.execute(
        select(budgets).where(budgets.c.tenant == tenant, budgets.c.removed.is_(False)).order_by(budgets.c.name)
    )
    return tuple(_budget(row) for row in rows)


def _budget(row: Row[Any]) -> Budget:
    return Budget(
        row.name,
        Decimal(row.amount),
        row.currency,
        BudgetPeriod(row.period),
        Metric(row.metric),
        tuple(Filter(f["dimension"], tuple(f["values"]), f["exclude"]) for f in row.scope),
        tuple(row.levels),
        row.chance,
        row.channel,
        row.revision,
        row.actor,
        row.set_at,
    )


def told(tx: Connection, tenant: str, budget: Budget, period_start: date) -> frozenset[str]:
    """The levels that were told of this budget, as it is set now, in a period."""
    rows = tx.execute(
        select(alerts.c.level).where(
            alerts.c.tenant == tenant,
            alerts.c.budget == budget.name,
            alerts.c.revision == budget.revision,
            alerts.c.period_start == period_start,
        )
    )
    return frozenset(rows.scalars())


def note(tx: Connection, tenant: str, alert: Alert) -> bool:
    """Keep an alert; False when it was told already (by another replica, for one)."""
    values = {
        "tenant": tenant,
        "budget": alert.budget,
        "revision": alert.revision,
        "period_start": alert.period.start,
        "level": alert.level,
        "body": _codec().dump_python(alert, mode="json"),
        "at": alert.at,
    }
    try:
        with tx.begin_nested():
            tx.execute(insert(alerts).values(**values))
    except IntegrityError:
        return False
    return True


def alert(tx: Connection, tenant: str, subject: str) -> Alert | None:
    """The alert of that name in the outbox."""
    budget, revision, start, level = subject.split("/")
    body = tx.execute(
        select(alerts.c.body).where(
            alerts.c.tenant == tenant,
            alerts.c.budget == budget,
            alerts.c.revision == int(revision),
            alerts.c.period_start == date.fromisoformat(start),
            alerts.c.level == level,
        )
    ).scalar()
    return None if body is None else _codec().validate_python(body)


def alerts_of(tx: Connection, tenant: str, name: str = "") -> tuple[Alert, ...]:
    """What was told, the newest first; of one budget when named."""
    query = select(alerts.c.body).where(alerts.c.tenant == tenant)
    if name:
        query = query.where(alerts.c.budget == name)
    return tuple(_codec().validate_python(body) for body in tx.execute(query.order_by(alerts.c.at.desc())).scalars())
