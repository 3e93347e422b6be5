"""Regimes: a step of a rollout as its judge sees it, minute by minute, in twelve kinds of noise; with two rivals.

The rivals do what is usual elsewhere: a fixed test (z for two shares, Mann-Whitney for two series) that is done again
every minute, at 5 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tools.execution import calibration
from tools.execution.judge import CHANGED, UNCHANGED, Count, judge
from tools.execution.limits import Limits
from tools.model.rollout import Verdict
from tools.providers.base import HealthReading, Sample

LIMITS = Limits()
MINUTES, BAKE, RECENT = 40, 15, 2
NOW = datetime(2026, 1, 5, tzinfo=UTC)
_HOURS = LIMITS.history_windows


@dataclass(frozen=True, slots=True)
class Regime:
    """Requests per minute, usual share of failures, share of changed units, and how the share of failures moves.

    `common` and `own` are relative sds of AR(1) noise (memory `memory`) of both groups and of each group alone;
    `batch` failures come at once; `trend` is the growth of traffic over the step.
    """

    name: str
    requests: int = 3000
    base: float = 0.01
    share: float = 0.5
    common: float = 0.0
    own: float = 0.0
    memory: float = 0.7
    batch: int = 1
    trend: float = 0.0


REGIMES = (
    Regime("steady, 1 %, half"),
    Regime("steady, 1 %, a tenth", share=0.1),
    Regime("steady, 0.1 %, half", base=0.001),
    Regime("steady, 0.1 %, a tenth", base=0.001, share=0.1),
    Regime("few requests (300/min)", requests=300),
    Regime("many requests (30,000/min), 0.1 %, a tenth", requests=30_000, base=0.001, share=0.1),
    Regime("3 % fail as a rule", base=0.03),
    Regime("both groups swing by 50 %", common=0.5, memory=0.9),
    Regime("each group swings by 15 %", own=0.15),
    Regime("each group swings by 30 %", own=0.3),
    Regime("failures in batches of five", batch=5),
    Regime("traffic doubles, swings by 20 %, a tenth", trend=1.0, common=0.2, share=0.1),
)
Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Steps:
    """Many steps at once: requests and failures per run and minute of changed and unchanged units."""

    changed: tuple[Series, Series]
    unchanged: tuple[Series, Series]


def steps(regime: Regime, runs: int, ratio: float, seed: int, minutes: int = MINUTES) -> Steps:
    """`ratio`: how many times as often changed units fail."""
    dice = np.random.default_rng([seed, len(regime.name), minutes])
    growth = np.linspace(1, 1 + regime.trend, minutes)
    common = _noise(dice, runs, minutes, regime.common, regime.memory)
    groups = []
    for share, worse in ((regime.share, ratio), (1 - regime.share, 1.0)):
        requests = np.broadcast_to(np.round(regime.requests * share * growth), (runs, minutes))
        rate = regime.base * worse * common * _noise(dice, runs, minutes, regime.own, regime.memory)
        failures = dice.poisson(requests * rate / regime.batch) * regime.batch
        groups.append((requests.astype(float), np.minimum(failures, requests).astype(float)))
    return Steps(groups[0], groups[1])


def past(regime: Regime, seed: int) -> list[Count]:
    """The hours before a rollout: every unit is as it always was."""
    day = steps(replace(regime, trend=0.0), 1, 1.0, seed + 1_000_000, _HOURS * 60)
    requests = (day.changed[0] + day.unchanged[0])[0].reshape(_HOURS, 60).sum(axis=1)
    failures = (day.changed[1] + day.unchanged[1])[0].reshape(_HOURS, 60).sum(axis=1)
    return [Count(float(r), float(f)) for r, f in zip(requests, failures, strict=True)]


def ours(regime: Regime, runs: int, ratio: float, seed: int) -> Counter[str]:
    """Steps that were "rolled back", "advanced" or "held for people", as the product would: calibrated first."""
    histories = [past(regime, seed + number) for number in range(16)]
    known = [calibration.calibrate(history, LIMITS) for history in histories]
    world = steps(regime, runs, ratio, seed)
    ends: Counter[str] = Counter()
    for run in range(runs):
        pick = run % len(known)
        noise = known[pick]
        policy = replace(LIMITS.judge, dispersion=noise.dispersion)
        end = "held"
        for minute, stage, recent in _looks(world, run):
            said = judge(stage, recent, histories[pick][-1], policy)
            verdict = said.verdict
            if verdict is Verdict.REGRESSED and not noise.armed and not said.plain:
                verdict = Verdict.INCONCLUSIVE
            if verdict is Verdict.REGRESSED:
                end = "rolled back"
                break
            if verdict is Verdict.HEALTHY and minute >= BAKE:
                end = "advanced"
                break
        ends[end] += 1
    return ends


def fixed_z(regime: Regime, runs: int, ratio: float, seed: int) -> Counter[str]:
    """A two-sided z-test of the two shares of failures so far, done again every minute: 5 % and worse rolls back."""
    world = steps(regime, runs, ratio, seed)
    n1, e1, n2, e2 = (np.cumsum(one, axis=1) for one in (*world.changed, *world.unchanged))
    pooled = (e1 + e2) / (n1 + n2)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / n1 + 1 / n2), 1e-12))
    return _ended((e1 / n1 - e2 / n2) / spread > 1.96)


def mann_whitney(regime: Regime, runs: int, ratio: float, seed: int) -> Counter[str]:
    """Mann-Whitney on the minutes' shares of failures so far, from the fifth minute on every minute, at 5 %."""
    world = steps(regime, runs, ratio, seed)
    changed, unchanged = world.changed[1] / world.changed[0], world.unchanged[1] / world.unchanged[0]
    above = (changed[:, :, None] > unchanged[:, None, :]) + 0.5 * (changed[:, :, None] == unchanged[:, None, :])
    alarm = np.zeros((runs, MINUTES), dtype=bool)
    for minute in range(5, MINUTES + 1):
        u = above[:, :minute, :minute].sum(axis=(1, 2))
        alarm[:, minute - 1] = (u - minute**2 / 2) / math.sqrt(minute**2 * (2 * minute + 1) / 12) > 1.96
    return _ended(alarm)


def _ended(alarm: NDArray[np.bool_]) -> Counter[str]:
    # The usual rule: no alarm until the time to bake is over is good enough.
    rolled_back = int(alarm[:, : BAKE + 1].any(axis=1).sum())
    return Counter({"rolled back": rolled_back, "advanced": alarm.shape[0] - rolled_back})


def _looks(world: Steps, run: int) -> Iterator[tuple[int, HealthReading, HealthReading]]:
    groups = {CHANGED: world.changed, UNCHANGED: world.unchanged}
    rows = {name: (group[0][run], group[1][run]) for name, group in groups.items()}
    sums = {name: (np.cumsum(row[0]), np.cumsum(row[1])) for name, row in rows.items()}
    for minute in range(1, MINUTES + 1):
        whole = {name: (one[0][minute - 1], one[1][minute - 1]) for name, one in sums.items()}
        first = max(0, minute - RECENT)
        last = {name: (row[0][first:minute].sum(), row[1][first:minute].sum()) for name, row in rows.items()}
        yield minute, _reading(whole), _reading(last)


def _reading(groups: dict[str, tuple[float, float]]) -> HealthReading:
    return HealthReading(NOW, 60, tuple(Sample(name, n, failed) for name, (n, failed) in groups.items()))  # type: ignore[arg-type]  # the judge reads any number


def _noise(dice: np.random.Generator, runs: int, minutes: int, sd: float, memory: float) -> Series:
    if not sd:
        return np.ones((runs, minutes))
    steady = np.empty((runs, minutes))
    steady[:, 0] = dice.normal(0, 1, runs)
    kick = math.sqrt(1 - memory**2)
    for minute in range(1, minutes):
        steady[:, minute] = memory * steady[:, minute - 1] + kick * dice.normal(0, 1, runs)
    return np.exp(sd * steady - sd**2 / 2)
