"""Health: asks the metrics source at the right windows and hands what it says to the judge."""

from __future__ import annotations

from datetime import datetime, timedelta

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
    return judge(stage, recent, baseline_of(rollout), limits.judge)


def before(source: HealthSource, service: str, limits: Limits, now: datetime) -> Count:
    """Requests and errors of the service before the first effect; raises a ProviderError without an answer."""
    return sum(counts(source.read(service, _seconds(limits.longest_window), now)).values(), Count())


def baseline_of(rollout: Rollout) -> Count:
    """The health that was kept before the first effect."""
    return Count(float(str(rollout.baseline.get("requests", 0))), float(str(rollout.baseline.get("errors", 0))))


def _window(elapsed: timedelta, limits: Limits) -> timedelta:
    # Long waits are judged on the last hour: a late regression must not drown in a good week.
    return max(limits.recent, min(elapsed, limits.longest_window))


def _seconds(window: timedelta) -> int:
    return max(1, round(window.total_seconds()))
