"""Ground: the database on which runs are played one after another, with the people and the fleet of every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from tools.execution.proof import driver
from tools.execution.proof.world import CHANGE, PRINT, START
from tools.model.access import Role
from tools.model.recommendation import Recommendation
from tools.model.resource import Resource
from tools.store import people, recommendations, resources
from tools.store import rollout_tables as tables
from tools.store.database import Database
from tools.store.delivery_tables import outbox

TENANT = "proof"
ROLES = {
    "priya": Role.APPROVER,
    "ben": Role.APPROVER,
    "carla": Role.ADMIN,
    "olaf": Role.OPERATOR,
    "dan": Role.VIEWER,
}
RISKS = ("R1", "R2")
# What a run writes; people, fleet and recommendations are the same for all.
_OF_A_RUN = (
    tables.rollouts,
    tables.rollout_claims,
    tables.approvals,
    tables.intents,
    tables.verdicts,
    tables.events,
    tables.stops,
    tables.freezes,
    tables.audit,
    tables.audit_heads,
    outbox,
)


@dataclass(frozen=True, slots=True)
class Ground:
    """A database for run after run. `changes` counts what was written to it, or is None where that is not known."""

    database: Database
    tenant: str
    clear: Callable[[], None]
    changes: Callable[[], int] | None = None


@contextmanager
def memory(tenant: str = TENANT) -> Iterator[Ground]:
    """The quick ground: SQLite in memory by way of the proof's own driver."""
    with driver.memory(lambda database: settle(database, tenant)) as (database, raw):
        orders = [f"DELETE FROM {table.name}" for table in _OF_A_RUN]  # noqa: S608 - names of our own tables

        def clear() -> None:
            for order in orders:
                raw.execute(order)

        yield Ground(database, tenant, clear, lambda: raw.total_changes)


def real(database: Database, tenant: str) -> Ground:
    """One run's ground on any database of the product, by way of SQLAlchemy; the tenant is the run's own."""
    settle(database, tenant)
    return Ground(database, tenant, lambda: None)


def settle(database: Database, tenant: str) -> None:
    """The people, the fleet and its recommendations."""
    seen = Resource("Proof", "1", "here", "fleet", "fleet", "fleet", (), {}, PRINT, START)
    with database.begin() as tx:
        for handle, role in ROLES.items():
            people.save(tx, tenant, f"{handle}@proof.example", role, name=handle, now=START)
        resources.replace(tx, tenant, "Proof", "1", [seen], now=START)
        recommendations.save(tx, tenant, [recommendation(risk, tenant) for risk in RISKS], now=START)


def recommendation(risk: str, tenant: str = TENANT) -> Recommendation:
    """What the rules found for the fleet, of one risk class."""
    return Recommendation(
        id=f"rec-{risk}",
        tenant=tenant,
        kind="spot_migration",
        provider="Proof",
        account_id="1",
        region="here",
        resource_ids=("fleet",),
        title="Move the fleet",
        saving_low=Decimal(1),
        saving_expected=Decimal(2),
        saving_high=Decimal(3),
        currency="USD",
        confidence=Decimal(1),
        risk=risk,
        reversible=True,
        evidence=(),
        price_source="simulated",
        parameters={"change": CHANGE, "resource_kind": "fleet", "resource_id": "fleet"},
        service="service",
    )
