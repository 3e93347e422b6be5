"""Fixtures of execution: a world with people, a fleet, its health, a clock that tests move, gates and an engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOW, TENANT
from tests.execution.fleet import NAME, Fleet, Health
from tools.execution import requests
from tools.execution.engine import Engine
from tools.execution.gates import Gates
from tools.execution.limits import Limits
from tools.execution.panel import Panel
from tools.execution.planning import STAGES
from tools.model.access import Principal, Role
from tools.model.recommendation import Recommendation
from tools.model.resource import Resource
from tools.model.rollout import Rollout, State
from tools.store import audit, people, recommendations, resources, rollout_history, rollouts
from tools.store.database import Database

GOOD = {"spot": (600, 0), "on_demand": (600, 0)}
BAD = {"spot": (600, 90), "on_demand": (600, 1)}
LIMITS = Limits(
    bake=timedelta(minutes=10),
    poll=timedelta(seconds=15),
    stage_timeout=timedelta(minutes=30),
    blind_limit=timedelta(minutes=5),
    gate_ttl=timedelta(hours=24),
    approval_age=timedelta(hours=1),
    final_guard=timedelta(minutes=20),
    rollback_guard=timedelta(minutes=5),
)
_ROLES = {
    "priya": Role.APPROVER,
    "ben": Role.APPROVER,
    "carla": Role.ADMIN,
    "olaf": Role.OPERATOR,
    "rita": Role.REQUESTER,
    "dan": Role.VIEWER,
}


@dataclass
class Clock:
    """The time, moved by tests."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class World:
    """Everything around one rollout."""

    database: Database
    fleet: Fleet
    health: Health
    clock: Clock = field(default_factory=Clock)
    limits: Limits = LIMITS
    tenant: str = TENANT
    panel: Panel | None = None
    crash: Callable[[str], None] = lambda point: None
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def person(self, handle: str) -> Principal:
        role = _ROLES.get(handle, Role.VIEWER)
        return Principal(f"{handle}@lumen.example", self.tenant, handle.capitalize(), role)

    @property
    def gates(self) -> Gates:
        return Gates(self.database, self.tenant, now=self.clock, new_id=self.new_id, limits=self.limits)

    def engine(self, owner: str = "worker-1") -> Engine:
        return Engine(
            self.database,
            self.tenant,
            owner=owner,
            now=self.clock,
            change=lambda plan: self.fleet,
            health=self.health,
            limits=self.limits,
            crash=self.crash,
        )

    def new_id(self, prefix: str) -> str:
        return f"{prefix}-{next(self.ids)}"

    def propose(
        self,
        who: str = "priya",
        units: int = 20,
        recommendation: str = "rec-1",
        risk: str = "R1",
        resource: str = "",
        changed: dict[str, Any] | None = None,
        percents: tuple[int, ...] = STAGES,
    ) -> Rollout:
        """Inventory sees the fleet, the rules find it, and somebody proposes it."""
        name = resource or ("checkout-workers" if recommendation == "rec-1" else f"fleet-of-{recommendation}")
        found = replace(recommendation_of(recommendation, name, self.tenant, risk), **(changed or {}))
        seen = [resource_of(units, self.clock(), name)]
        with self.database.begin() as tx:
            resources.replace(tx, self.tenant, "AWS", "1", seen, now=self.clock())
            recommendations.save(tx, self.tenant, [found], now=self.clock())
        return requests.propose(
            self.database,
            self.tenant,
            recommendation,
            self.person(who),
            change=lambda name: self.fleet,
            now=self.clock,
            new_id=self.new_id,
            expires_in=timedelta(hours=24),
            percents=percents,
            panel=self.panel,
        )

    def get(self, rollout: Rollout) -> Rollout:
        with self.database.read() as tx:
            return rollouts.get(tx, self.tenant, rollout.id)

    def approve(self, rollout: Rollout, who: str = "ben") -> Rollout:
        return self.gates.approve(self.get(rollout).seen, self.person(who))

    def look(self) -> None:
        """The next time that the engine comes by."""
        self.clock.pass_(seconds=self.limits.poll.total_seconds())
        self.engine().step_all()

    def run(self, rollout: Rollout, until: State, *, limit: int = 400, seconds: float = 60) -> Rollout:
        """The clock ticks and the engine steps until the rollout is there."""
        engine = self.engine()
        for _ in range(limit):
            engine.step_all()
            now = self.get(rollout)
            if now.state is until:
                return now
            self.clock.pass_(seconds=seconds)
        raise AssertionError(f"{now.state} ({now.reason}) instead of {until}")

    def refusals(self) -> list[tuple[str, str, str]]:
        """(who, what, reason) of every refusal in the audit record, newest first."""
        with self.database.read() as tx:
            return [(e.actor, e.action, e.reason) for e in audit.entries(tx, self.tenant) if e.outcome == "refused"]

    def story(self, rollout: Rollout) -> list[str]:
        with self.database.read() as tx:
            return [event.what for event in rollout_history.events(tx, self.tenant, rollout.id)]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    """Twenty old instances, a healthy service, and people of every role."""
    return make_world(database, tmp_path)


def make_world(database: Database, folder: Path, units: int = 20) -> World:
    clock = Clock()
    fleet = Fleet(folder / "fleet.db", clock).create(units)
    world = World(database, fleet, Health(folder / "health.json").set(**GOOD), clock)
    with database.begin() as tx:
        for handle, role in _ROLES.items():
            people.save(tx, world.tenant, f"{handle}@lumen.example", role, name=handle.capitalize(), now=clock())
    return world


def recommendation_of(id_: str, name: str, tenant: str, risk: str) -> Recommendation:
    return Recommendation(
        id=id_,
        tenant=tenant,
        kind="spot_migration",
        provider="AWS",
        account_id="1",
        region="eu-west-1",
        resource_ids=(name,),
        title=f"Move {name} to spot",
        saving_low=Decimal(800),
        saving_expected=Decimal("1234.50"),
        saving_high=Decimal(1500),
        currency="USD",
        confidence=Decimal("0.8"),
        risk=risk,
        reversible=True,
        evidence=(),
        price_source="bill",
        parameters={"change": NAME, "resource_kind": "instance_group", "resource_id": name},
        service="checkout",
    )


def resource_of(units: int, at: datetime, name: str = "checkout-workers") -> Resource:
    return Resource("AWS", "1", "eu-west-1", "instance_group", name, name, (), {"size": units}, "as planned", at)


def other_tenant(world: World) -> World:
    return replace(world, tenant="other")
