"""World: the clock, the cloud and the metrics source of a simulated run, all driven by one seeded generator."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tools.model.errors import DeniedError, ResourceConflictError, ThrottledError, TransientError
from tools.model.resource import Resource
from tools.model.rollout import Plan, Stage, whole_units
from tools.providers.base import ChangePlan, HealthReading, Observation, Sample

CHANGE = "proof.fleet"
KINDS = ("absolute", "two_step", "stale", "once", "etag")
# These may show the past.
LATE = frozenset({"stale", "once"})
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PRINT = "as planned"
_PLAIN, _MIXED = "plain", "mixed"


@dataclass
class Clock:
    """Simulated time; it only moves when somebody moves it."""

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Cloud:
    """A fleet that converges as it is looked at, fails as the generator says, and remembers every write.

    Kinds: "absolute" sets a state; "two_step" needs a second write to be as before; "stale" may show the past;
    "once" must never be sent twice, and may show the past too; "etag" refuses a write when somebody else wrote
    since it was begun. `in_flight` is called while a write is on its way.
    """

    kind: str
    units: int
    chance: random.Random
    clock: Clock
    in_flight: Callable[[str], None] = lambda point: None
    on_write: Callable[[Plan, dict[str, object], str], None] = lambda plan, desired, token: None
    share: int = 0
    form: str = _PLAIN
    changed: int = 0
    print: str = PRINT
    trouble: float = 0.0
    landed: dict[str, int] = field(default_factory=dict)
    last: Observation | None = None
    etag: int = 0
    seen: bool = False
    looked: bool = False
    drift_shown_at: datetime | None = None
    # Of its own, so that a seed's other chances stay what they were.
    doubts: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - seeded, not a secret
    name: str = CHANGE

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        stages = tuple(
            Stage(index, percent, count, {"units": count, "form": _MIXED})
            for index, (percent, count) in enumerate(whole_units(self.units, percents))
        )
        before: dict[str, object] = {"units": 0, "form": _PLAIN}
        repeatable = self.kind != "once"
        return ChangePlan("unit", self.units, stages, before, resource.fingerprint, "set it back", repeatable)

    def observe(self, plan: Plan) -> Observation:
        self._maybe_fail()
        step = self.chance.choice((1, 3, 20))
        self.changed += max(-step, min(step, self.share - self.changed))
        now = Observation(
            self.clock(),
            {"units": self.share, "form": self.form},
            {"spot": self.changed, "on_demand": self.units - self.changed},
            self.changed,
            self.units,
            self.changed == self.share,
            self.print,
        )
        before, self.last, self.seen = self.last, now, True
        if self.kind in LATE and before is not None and self.chance.random() < self.trouble:
            now = before
        if now.fingerprint == self.print != PRINT:
            self.drift_shown_at = self.drift_shown_at or self.clock()
        return now

    def apply(self, plan: Plan, desired: dict[str, object], token: str) -> None:
        self._maybe_fail()
        # Whether somebody looked between the sending before and this one, whatever lands while it is on its way.
        begun, looked, self.seen = self.etag, self.seen, False
        self.in_flight("cloud/in flight")
        if self.kind == "etag" and self.etag != begun:
            raise ResourceConflictError("Somebody else wrote meanwhile.")
        self.etag += 1
        self.looked = looked
        self.on_write(plan, desired, token)
        self.landed[token] = self.landed.get(token, 0) + 1
        if self.kind == "two_step" and desired["form"] == _PLAIN and self.changed:
            self.share, self.form = 0, _MIXED
        else:
            self.share, self.form = int(str(desired["units"])), str(desired["form"])
        if self.chance.random() < self.trouble / 2:
            raise TransientError("The answer never came.")

    def check(self, plan: Plan, desired: dict[str, object]) -> None:
        self._maybe_fail(self.doubts)

    def _maybe_fail(self, chance: random.Random | None = None) -> None:
        dice = (chance or self.chance).random()
        if dice < self.trouble / 4:
            raise ThrottledError("Slow down.")
        if dice < self.trouble / 2:
            raise TransientError("The line was cut.")
        if dice < self.trouble * 0.52:
            raise DeniedError("Not allowed just now.")


@dataclass
class Health:
    """A metrics source whose truth is set by the run: "good", "bad" (only changed units fail), "silent" or "down"."""

    cloud: Cloud
    mode: str = "good"
    read_in: str = ""

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        self.read_in = self.mode
        if self.mode == "down":
            raise TransientError("The metrics source does not answer.")
        if self.mode == "silent":
            return HealthReading(now, window_seconds)
        total = Decimal(window_seconds) * 40
        spot = total * self.cloud.changed / self.cloud.units
        failing = Decimal("0.2") if self.mode == "bad" else Decimal(0)
        samples = [Sample("spot", spot, spot * failing), Sample("on_demand", total - spot, Decimal(0))]
        return HealthReading(now, window_seconds, tuple(s for s in samples if s.requests > 0))

    def check(self) -> str:
        return "simulated"

    @property
    def shows_harm(self) -> bool:
        """Whether somebody who looks now must see that the rollout does harm."""
        return self.mode == "bad" and self.cloud.changed > 0
