"""The judge: sure when it may be, silent when it knows too little, and right however often it is asked."""

from __future__ import annotations

import itertools
import math
import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.bench.regimes import REGIMES, Regime, ours
from tools.execution.judge import (
    CHANGED,
    UNCHANGED,
    Count,
    against_past,
    below_limit,
    counts,
    judge,
    no_worse,
    worse,
)
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
        ({"spot": (3000, 4), "on_demand": (3000, 4)}, Verdict.HEALTHY),
        ({"spot": (3000, 5), "on_demand": (3000, 4)}, Verdict.INCONCLUSIVE),
        ({"spot": (30000, 21), "on_demand": (30000, 20)}, Verdict.HEALTHY),
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


@pytest.mark.parametrize("regime", REGIMES[::4], ids=lambda regime: regime.name)
def test_a_step_in_noise(regime: Regime) -> None:
    """A few hundred steps of some kinds of noise in every test run."""
    same, worse = ours(regime, 150, 1.0, 3), ours(regime, 150, 3.0, 4)
    assert same["rolled back"] <= 3
    assert same["advanced"] >= 100
    assert worse["advanced"] <= 3


@pytest.mark.prove
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.name)
def test_ten_thousand_steps_in_noise(regime: Regime) -> None:
    """At most one in a hundred is rolled back for nothing, or goes on with three times the failures."""
    same, worse = ours(regime, 10_000, 1.0, 7), ours(regime, 10_000, 3.0, 8)
    assert same["rolled back"] <= 100, same
    assert worse["advanced"] <= 100, worse


def _binomial_ratio(seen: Count, control: Count, null: float, others: tuple[float, ...]) -> float:
    """How much likelier the split of all failures is under a mixture of `others` than under `null`, by definition."""

    def likelihood(ratio: float) -> float:
        share = ratio * seen.requests / (ratio * seen.requests + control.requests)
        return float(share**seen.errors * (1 - share) ** control.errors)

    return sum(likelihood(ratio) for ratio in others) / len(others) / likelihood(null)


@pytest.mark.parametrize("weight", [0.1, 1.0, 3.0])
def test_certainty_is_what_its_definition_says(weight: float) -> None:
    """Worse and no worse: a likelihood ratio beyond 1/alpha after tempering, failure by failure."""
    control = Count(2000, 20)
    said = set()
    for errors in range(round(60 + 100 * weight)):
        seen = Count(2000 * weight, errors)
        for tolerable, others in ((1.25, (1.6, 2.0, 3.0, 5.0, 10.0)), (2.0, (3.0, 5.0, 10.0))):
            certain = _binomial_ratio(seen, control, tolerable, others) ** (1 / POLICY.dispersion) > 1 / POLICY.alpha
            more = seen.rate > tolerable * control.rate
            assert worse(seen, control, tolerable, POLICY) is (certain and more)
            said.add(certain and more)
        as_good = _binomial_ratio(seen, control, POLICY.severe, (0.5, 0.8, 1.0, 1.25)) ** (1 / POLICY.dispersion)
        assert no_worse(seen, control, POLICY) is (as_good > 1 / POLICY.alpha)
    assert said == {True, False}


def test_surely_below_the_limit() -> None:
    """A Poisson count of failures against the limit, by definition; many requests and few failures are needed."""

    def likelihood(mean: float, errors: int) -> float:
        return float(mean**errors * math.exp(-mean))

    said = []
    for requests, errors in itertools.product((100, 200, 400, 1000), range(12)):
        most = requests * POLICY.max_error_rate
        ratio = sum(likelihood(most * share, errors) for share in (0.02, 0.1, 0.25, 0.5)) / 4 / likelihood(most, errors)
        said.append(ratio ** (1 / POLICY.dispersion) > 1 / POLICY.alpha)
        assert below_limit(Count(requests, errors), POLICY) is said[-1]
    assert set(said) == {True, False}


def test_without_a_control_nothing_is_certain() -> None:
    """Nobody to compare with: neither worse nor no worse."""
    assert not worse(Count(1000, 500), Count(), 1.25, POLICY)
    assert not no_worse(Count(1000, 0), Count(), POLICY)
    assert judge(_reading(**{"": (5000, 5)}), _reading(**{"": (5000, 5)}), Count(), POLICY).verdict is (
        Verdict.INCONCLUSIVE
    )
    assert judge(_reading(**{"": (5000, 2)}), _reading(**{"": (5000, 2)}), Count(), POLICY).verdict is Verdict.HEALTHY


@pytest.mark.parametrize(
    ("requests", "errors", "before", "alarm"),
    [
        (100, 20, Count(1000, 1), True),
        (99, 20, Count(1000, 1), False),
        (100, 19, Count(1000, 1), False),
        (400, 20, Count(1000, 1), True),
        (401, 20, Count(1000, 1), False),
        (100, 20, Count(1000, 40), True),
        (100, 20, Count(1000, 41), False),
        (400, 20, Count(100, 0), True),
        (400, 20, Count(99, 0), False),
        (400, 80, Count(), True),
    ],
)
def test_plain_failure(requests: int, errors: int, before: Count, alarm: bool) -> None:
    """Beyond the limit, five times what is usual, and enough of it: each at its boundary."""
    said = judge(_reading(**{"": (requests, errors)}), _reading(**{"": (requests, errors)}), before, POLICY)
    assert said.plain is alarm
    if alarm:
        assert said.verdict is Verdict.REGRESSED
        assert "of the requests to" in said.why


@pytest.mark.parametrize(
    ("seen", "before", "verdict"),
    [
        (Count(20_000, 1000), Count(20_000, 300), Verdict.REGRESSED),
        (Count(20_000, 999), Count(20_000, 20), Verdict.INCONCLUSIVE),
        (Count(20_000, 1300), Count(20_000, 1200), Verdict.HEALTHY),
        (Count(99, 0), Count(20_000, 20), Verdict.INCONCLUSIVE),
        (Count(100, 0), Count(20_000, 20), Verdict.INCONCLUSIVE),
        (Count(200, 0), Count(20_000, 20), Verdict.HEALTHY),
    ],
)
def test_against_the_past(seen: Count, before: Count, verdict: Verdict) -> None:
    """Weaker evidence: only a rate over the limit that surely doubled takes it back."""
    assert against_past(seen, before, {}, POLICY).verdict is verdict


def test_what_is_told() -> None:
    """Words and numbers for the card."""
    few = against_past(Count(99, 0), BEFORE, {}, POLICY)
    assert few.why == "too few requests so far: 99 of at least 100"
    assert "too few" not in against_past(Count(100, 3), BEFORE, {}, POLICY).why
    steady = against_past(Count(100_000, 100), BEFORE, {}, POLICY)
    assert steady.why == "compared with the time before the rollout (weaker evidence): 0.10 %, was 0.10 %"
    reading = _reading(spot=(100, 3), on_demand=(1000, 1))
    said = judge(reading, reading, BEFORE, POLICY)
    assert "too few" not in said.why
    assert said.numbers == {
        "spot": {"requests": 100, "errors": 3, "rate": "0.03000"},
        "on_demand": {"requests": 1000, "errors": 1, "rate": "0.00100"},
        "before": {"requests": 100_000, "errors": 100, "rate": "0.00100"},
    }


def test_counting() -> None:
    """Nothing is no rate; parts of requests are counted; a judgement is neither blind nor plain unless it says so."""
    assert Count() == Count(0, 0)
    assert (Count().rate, Count(0, 1).rate, Count(0.5, 0.25).rate) == (0.0, 0.0, 0.5)
    assert counts(_reading(spot=(0.5, 0.5), on_demand=(3, 0), other=(0, 0))) == {
        CHANGED: Count(0.5, 0.5),
        UNCHANGED: Count(3, 0),
    }
    said = judge(_reading(spot=(0.5, 0)), _reading(spot=(0.5, 0)), BEFORE, POLICY)
    assert (said.blind, said.plain) == (False, False)
    assert judge(_reading(), _reading(), BEFORE, POLICY).plain is False
