"""Stores of cost facts as tests look at them: what is billed, which answers come, how many rows lie where."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import func, select

from tests.collection.bills import TAG_KEYS
from tools.analysis.costs import Costs
from tools.model.period import Period
from tools.model.query import CostQuery
from tools.store.database import Database
from tools.store.fact_tables import facts

OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
NOVEMBER = {
    "BillingPeriodStart": "2026-11-01T00:00:00Z",
    "BillingPeriodEnd": "2026-12-01T00:00:00Z",
    "ChargePeriodStart": "2026-11-02T00:00:00Z",
    "ChargePeriodEnd": "2026-11-03T00:00:00Z",
}


def costs_of(database: Database) -> Costs:
    return Costs(database, "default", TAG_KEYS, 2)


def billed(database: Database, period: Period = OCTOBER) -> Decimal | None:
    return dict(costs_of(database).table(CostQuery(period)).totals).get("USD", Decimal(0))


def facts_in(database: Database, level: int | None = None) -> int:
    """How many facts lie in the store, seen or not."""
    statement = select(func.count().label("n")).select_from(facts)
    statement = statement if level is None else statement.where(facts.c.level == level)
    with database.read() as tx:
        found = tx.execute(statement).all() if database.facts is None else database.facts.rows(statement)
    return int(found[0].n)
