"""The judge: sure when it may be, silent when it knows too little, and right however often it is asked."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tools.execution.judge import CHANGED, UNCHANGED, Count, counts, judge
from tools.execution.limits import JudgePolicy
from tools.model.rollout import Verdict
from tools.providers.base import HealthReading, Sample

NOW = datetime(2026, 11, 23, tzinfo=UTC)
POLICY = JudgePolicy()
BEFORE = Count(100_000, 100)


def _reading(**groups: tuple[float, float]) -> HealthReading:
    samples = tuple(Sample(g, Decimal(str(n)), Decimal(str(e))) for g, (n, e) in groups.items())
    return HealthReading(NOW, 60, samples)


def _verdict(stage: HealthReading, recent: HealthReading | None = None, before: Count = BEFORE) -> Verdict:
    return judge(stage, recent or stage, before, POLICY).verdict


@pytest.mark.parametrize(
    ("groups", "verdict"),
    [
        ({}, Verdict.INCONCLUSIVE),
        ({"spot": (0, 0), "on_demand": (0, 0)}, Verdict.INCONCLUSIVE),
        ({"spot": (99, 0), "on_demand": (5000, 5)}, Verdict.INCONCLUSIVE),
        ({"spot": (2000, 2), "on_demand": (18000, 18)}, Verdict.HEALTHY),
        ({"spot": (30000, 33), "on_demand": (30000, 30)}, Verdict.HEALTHY),
        ({"spot": (30000, 300), "on_demand": (30000, 290)}, Verdict.HEALTHY),
        ({"spot": (3000, 60), "on_demand": (27000, 90)}, Verdict.REGRESSED),
        ({"spot": (20000, 600), "on_demand": (20000, 200)}, Verdict.REGRESSED),
        ({"spot": (1000, 200), "on_demand": (9000, 9)}, Verdict.REGRESSED),
        ({"spot": (400, 7), "on_demand": (3600, 18)}, Verdict.INCONCLUSIVE),
        ({"on_demand": (20000, 20)}, Verdict.HEALTHY),
        ({"spot": (20000, 22)}, Verdict.HEALTHY),
        ({"spot": (20000, 1500)}, Verdict.REGRESSED),
        ({"": (20000, 1500)}, Verdict.REGRESSED),
        ({"": (50, 0)}, Verdict.INCONCLUSIVE),
    ],
)
def test_what_counts_say(groups: dict[str, tuple[float, float]], verdict: Verdict) -> None:
    """A table of situations and what must be said of them."""
    assert _verdict(_reading(**groups)) is verdict


def test_no_data_is_blind_and_too_little_is_not() -> None:
    """Seeing nothing is worse than seeing little, and the words say which."""
    nothing = judge(_reading(), _reading(), BEFORE, POLICY)
    assert nothing.blind
    assert "nothing is known" in nothing.why
    little = judge(_reading(spot=(40, 0), on_demand=(60, 0)), _reading(spot=(40, 0)), BEFORE, POLICY)
    assert not little.blind
    assert "40 of at least 100" in little.why


def test_the_last_moments_alone_raise_the_alarm() -> None:
    """A good hour does not hide a burning minute."""
    stage = _reading(spot=(100_000, 100), on_demand=(100_000, 100))
    burning = _reading(spot=(600, 60), on_demand=(600, 0))
    said = judge(stage, burning, BEFORE, POLICY)
    assert said.verdict is Verdict.REGRESSED
    assert "10.00 %" in said.why


def test_a_service_that_always_fails_a_lot_is_compared_with_itself() -> None:
    """Six percent errors are no regression where six percent are usual."""
    usual = Count(100_000, 6000)
    assert _verdict(_reading(spot=(5000, 300), on_demand=(5000, 300)), before=usual) is not Verdict.REGRESSED


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-5"])
def test_samples_that_are_no_counts_are_dropped(bad: str) -> None:
    """Not a number, endless, negative, or more failures than requests: unknown, never healthy."""
    samples = (
        Sample(CHANGED, Decimal(bad), Decimal(0)),
        Sample(UNCHANGED, Decimal(10), Decimal(11)),
        Sample("", Decimal(100), Decimal(bad)),
    )
    reading = HealthReading(NOW, 60, samples)
    assert counts(reading) == {}
    assert _verdict(reading) is Verdict.INCONCLUSIVE


def test_samples_of_one_group_add_up() -> None:
    """Two series of the same group are one count."""
    two = (Sample(CHANGED, Decimal(10), Decimal(1)), Sample(CHANGED, Decimal(5), Decimal(0)))
    assert counts(HealthReading(NOW, 60, two)) == {CHANGED: Count(15, 1)}


def _run(chance: random.Random, base: float, ratio: float, share: float, minutes: int, per_minute: int) -> Verdict:
    """A stage that is looked at every minute, until it regresses or its time is over."""
    seen = [0, 0, 0, 0]
    said = Verdict.INCONCLUSIVE
    spot, rest = round(per_minute * share), per_minute - round(per_minute * share)
    for _ in range(minutes):
        now = [spot, _failures(chance, spot, base * ratio), rest, _failures(chance, rest, base)]
        seen = [a + b for a, b in zip(seen, now, strict=True)]
        stage = _reading(spot=(seen[0], seen[1]), on_demand=(seen[2], seen[3]))
        recent = _reading(spot=(now[0], now[1]), on_demand=(now[2], now[3]))
        said = judge(stage, recent, Count(100_000, 100_000 * base), POLICY).verdict
        if said is Verdict.REGRESSED:
            return said
    return said


def _failures(chance: random.Random, requests: int, rate: float) -> int:
    # Poisson by a normal for large means: exact enough for counting alarms.
    mean = requests * rate
    return min(requests, max(0, round(chance.gauss(mean, mean**0.5))))


@pytest.mark.parametrize(("base", "share"), [(0.001, 0.1), (0.01, 0.1), (0.01, 0.5), (0.03, 0.5)])
def test_no_change_raises_no_alarm(base: float, share: float) -> None:
    """Looked at thirty times a stage, an unchanged service is hardly ever rolled back."""
    chance = random.Random(11)
    alarms = sum(_run(chance, base, 1.0, share, 30, 3000) is Verdict.REGRESSED for _ in range(60))
    assert alarms <= 1


@pytest.mark.parametrize(("base", "share"), [(0.01, 0.1), (0.01, 0.5), (0.003, 0.5)])
def test_three_times_the_errors_are_never_called_healthy(base: float, share: float) -> None:
    """A severe regression is rolled back, or at the least not advanced."""
    chance = random.Random(12)
    said = [_run(chance, base, 3.0, share, 30, 3000) for _ in range(40)]
    assert Verdict.HEALTHY not in said
    assert said.count(Verdict.REGRESSED) >= 38
