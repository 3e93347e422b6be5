"""What the conformance of changes is made of: a subject at a cloud of the sandbox, and walking it to a setting."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.execution.decisions import same
from tools.execution.planning import STAGES, checked_stages, plain_json
from tools.model.errors import TransientError, UnderWayError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers import catalog, registry
from tools.providers.base import Change, ChangePlan, Observation
from tools.settings import Settings

Facts = Mapping[str, object]


@dataclass
class Subject:
    """One thing at one cloud that one change is tried on.

    `facts` counts at the cloud itself, past the product; `same` from one undo to the next means that all came back.
    `fail` asks for a fault of a permission's call, `drift` is somebody changing the thing, `short` takes away what
    the change needs (capacity, quota), `wait` lets the cloud's time pass. `effects` are the calls that change something.
    """

    wanted: str
    settings: Settings
    resource: Resource
    facts: Callable[[], Facts]
    fail: Callable[..., None]
    heal: Callable[[], None]
    wait: Callable[[], None]
    drift: Callable[[], None]
    effects: tuple[str, ...]
    short: Callable[[], None] | None = None
    # Permissions whose lack only shows on a way that these tests do not take.
    silent: frozenset[str] = frozenset()
    # What no undo brings back, as the catalog words it, when it is all of it.
    lost: bool = False
    # How many snapshots of ours there are of the thing, where a change takes one.
    copies: Callable[[], int] | None = None
    # The cloud's side, for tests that need more than this.
    side: Any = None
    patience: float = 20.0
    # An effect's token is never used for another one.
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _change: list[Change] = field(default_factory=list)

    @property
    def change(self) -> Change:
        if not self._change:
            self._change.append(registry.change(self.settings, self.wanted))
        return self._change[0]

    @property
    def about(self) -> catalog.About:
        return catalog.BY_NAME[catalog.split(self.wanted)[0]]

    def plan(self) -> Plan:
        return approved(self.wanted, self.resource, self.change.plan(self.resource, STAGES), self.about.risk)

    def send(self, plan: Plan, desired: dict[str, object], token: str = "token") -> None:
        """One sending of an effect; the same `token` is the same effect."""
        self.change.apply(plan, desired, f"{self.run}-{token}")

    def walk(self, plan: Plan, desired: dict[str, object], token: str = "token") -> Observation:
        """Send as the engine does until the cloud shows the setting and rests; silence of the cloud is survived."""
        ends = time.monotonic() + self.patience
        while time.monotonic() < ends:
            try:
                self.send(plan, desired, token)
            except (UnderWayError, TransientError):
                self.wait()
                continue
            seen = self.change.observe(plan)
            if same(seen.setting, desired) and seen.settled:
                return seen
            self.wait()
        raise AssertionError(f"{self.wanted}: {seen} instead of {desired}")


def approved(wanted: str, resource: Resource, planned: ChangePlan, risk: str) -> Plan:
    return Plan(
        change=wanted,
        provider=resource.provider,
        account_id=resource.account_id,
        region=resource.region,
        resource_id=resource.id,
        service="checkout",
        title=f"{wanted} of {resource.name}",
        unit_name=planned.unit_name,
        units=planned.units,
        stages=checked_stages(planned, STAGES),
        before=plain_json(planned.before),
        fingerprint=planned.fingerprint,
        risk=risk,
        saving_monthly="100",
        currency="USD",
        undo=planned.undo,
        repeatable=planned.repeatable,
    )


def hasty(*doors: Any) -> None:
    """Doors that neither wait between questions nor before another try, nor look for a proxy each time."""
    for door in doors:
        door.sleep = door.pace.sleep = lambda _: None
        door._session.trust_env = False
