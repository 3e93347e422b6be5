"""Calibration: a service's own past decides whether the judge may roll back by itself, and people are told."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from tests.execution.conftest import BAD, World
from tests.execution.fleet import Health
from tools.execution.calibration import Calibration, calibrate, kept, of
from tools.execution.judge import Count
from tools.execution.limits import Limits
from tools.model.rollout import State
from tools.providers.base import HealthReading, Sample
from tools.store import rollout_history, rollouts

LIMITS = Limits()


def _history(windows: int = 24, burst: float = 1.0) -> list[Count]:
    chance = random.Random(5)
    rates = [0.01 * (burst if chance.random() < 0.2 else 1.0) for _ in range(windows)]
    return [Count(180_000, round(chance.gauss(1800 * r / 0.01, (1800 * r / 0.01) ** 0.5))) for r in rates]


def test_a_quiet_service_is_armed() -> None:
    """Nothing in its past would have been an alarm, and chance alone explains how its failures vary."""
    found = calibrate(_history(), LIMITS)
    assert (found.armed, found.windows, found.alarms, found.why) == (True, 23, 0, "")
    assert 1.5 <= found.dispersion < 2.5


def test_a_restless_service_is_watched_only() -> None:
    """One hour in five fails six times as often: its own past would have raised alarms."""
    found = calibrate(_history(burst=6.0), LIMITS)
    assert not found.armed
    assert found.dispersion == 10.0
    assert "false alarms in 23 windows" in found.why


@pytest.mark.parametrize("windows", [0, 1, 11])
def test_a_short_past_is_not_enough(windows: int) -> None:
    """A service that nobody measured yesterday is watched only."""
    found = calibrate([*_history(windows), *[Count()] * 5], LIMITS)
    assert not found.armed
    assert f"{windows} of at least 12" in found.why


def test_a_service_that_never_fails() -> None:
    """No failure at all is no noise."""
    assert calibrate([Count(1000, 0)] * 12, LIMITS) == Calibration(True, LIMITS.judge.dispersion, 11)


def test_it_comes_back_as_it_was_stored(world: World) -> None:
    """What was measured before the first step holds to the end; where nothing was, nothing is armed."""
    rollout = world.propose()
    assert not of(rollout, LIMITS.judge).armed
    found = Calibration(True, 2.5, 23, 0)
    assert of(replace(rollout, baseline={"calibration": kept(found)}), LIMITS.judge) == found


class _New:
    """A service that is measured since a moment ago only."""

    def __init__(self, health: Health, since: datetime) -> None:
        self.health, self.since = health, since

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        return self.health.read(service, window_seconds, now) if now >= self.since else HealthReading(now, 60)

    def check(self) -> str:
        return "new"


def _at_gate(world: World) -> str:
    world.health = _New(world.health, world.clock())  # type: ignore[assignment]  # a HealthSource as well
    rollout = world.propose()
    world.approve(rollout)
    world.run(rollout, State.AWAITING_APPROVAL)
    return rollout.id


def test_watched_only_means_held_and_told(world: World) -> None:
    """Twice the failures of a service with no past: no step further, no rollback by itself, and the reason in words."""
    rollout_id = _at_gate(world)
    with world.database.read() as tx:
        rollout = rollouts.get(tx, world.tenant, rollout_id)
    assert any("only plain failures roll it back" in line for line in world.story(rollout))
    world.health.health.set(spot=(6000, 200), on_demand=(6000, 60))  # type: ignore[attr-defined]  # the file behind it
    for _ in range(10):
        world.look()
    assert world.get(rollout).state is State.AWAITING_APPROVAL
    with world.database.read() as tx:
        said = rollout_history.verdicts(tx, world.tenant, rollout.id)[-1]
    assert (said.verdict, said.why.endswith("people decide")) == ("INCONCLUSIVE", True)
    with pytest.raises(Exception, match="not known to be healthy"):
        world.approve(rollout)


def test_what_is_far_beyond_the_limits_is_taken_back_all_the_same(world: World) -> None:
    """A seventh of the requests failing is no noise of anybody's."""
    rollout_id = _at_gate(world)
    world.health.health.set(**BAD)  # type: ignore[attr-defined]  # the file behind it
    world.look()
    with world.database.read() as tx:
        rollout = rollouts.get(tx, world.tenant, rollout_id)
    assert rollout.state in {State.ROLLING_BACK, State.GUARDING}


class _Slow(_New):
    """Every answer takes two seconds."""

    def read(self, service: str, window_seconds: int, now: datetime) -> HealthReading:
        self.clock.pass_(seconds=2)  # type: ignore[attr-defined]  # set by the test
        return HealthReading(now, window_seconds, (Sample("", Decimal(9000), Decimal(9)),))


def test_a_slow_source_is_asked_for_less(world: World) -> None:
    """The lease of the look is not spent on history; then the past is too short, and that is said."""
    source = _Slow(world.health, world.clock())
    source.clock = world.clock  # type: ignore[attr-defined]  # moved by each answer
    world.health = source  # type: ignore[assignment]  # a HealthSource as well
    rollout = world.propose()
    world.approve(rollout)
    world.engine().step_all()
    assert any("3 of at least 12 windows" in line for line in world.story(rollout))
