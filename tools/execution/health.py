"""Health: asks the metrics source at the right windows and hands what it says to the judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from tools.execution import calibration
from tools.execution.judge import Count, Judgement, counts, judge
from tools.execution.limits import Limits
from tools.model.errors import ProviderError
from tools.model.rollout import Rollout, Verdict
from tools.providers.base import HealthSource


def look(source: HealthSource | None, rollout: Rollout, limits: Limits, now: datetime) -> Judgement:
    """How the rollout's service does since its stage began. No source or no answer is INCONCLUSIVE and blind."""
    if source is None:
        return Judgement(Verdict.INCONCLUSIVE, "no metrics source is configured", {}, True)
    since = rollout.bake_since or rollout.stage_since or rollout.state_since
    try:
        recent = source.read(rollout.plan.service, _seconds(limits.recent), now)
        stage = source.read(rollout.plan.service, _seconds(_window(now - since, limits)), now)
    except ProviderError as error:
        return Judgement(Verdict.INCONCLUSIVE, f"health could not be read: {error.what}", {}, True)
    known = calibration.of(rollout, limits.judge)
    said = judge(stage, recent, baseline_of(rollout), replace(limits.judge, dispersion=known.dispersion))
    if said.verdict is Verdict.REGRESSED and not known.armed and not said.plain:
        # Nothing moves on and people are asked; what is far beyond the limits is taken back all the same.
        why = f"it looks worse ({said.why}), but {known.why}: people decide"
        return replace(said, verdict=Verdict.INCONCLUSIVE, why=why)
    return said


def before(
    source: HealthSource, service: str, limits: Limits, clock: Callable[[], datetime]
) -> tuple[Count, calibration.Calibration]:
    """The service before the first effect, and what its past allows; raises a ProviderError without an answer.

    A source that is slow to answer is asked for less of the past: the lease of this look must not run out.
    """
    now, window = clock(), limits.longest_window
    past: list[Count] = []
    while len(past) < limits.history_windows and clock() - now < limits.lease / 3:
        reading = source.read(service, _seconds(window), now - len(past) * window)
        past.append(sum(counts(reading).values(), Count()))
    return past[0], calibration.calibrate(past[::-1], limits)


def baseline_of(rollout: Rollout) -> Count:
    """The health that was kept before the first effect."""
    return Count(float(str(rollout.baseline.get("requests", 0))), float(str(rollout.baseline.get("errors", 0))))


def _window(elapsed: timedelta, limits: Limits) -> timedelta:
    # Long waits are judged on the last hour: a late regression must not drown in a good week.
    return max(limits.recent, min(elapsed, limits.longest_window))


def _seconds(window: timedelta) -> int:
    return max(1, round(window.total_seconds()))
