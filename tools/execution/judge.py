"""Judge: what requests and errors say of a stage - HEALTHY, REGRESSED or INCONCLUSIVE; pure, and valid at every look.

Each claim is a likelihood ratio of a mixture of alternatives against what is to be ruled out. Such a ratio exceeds
1/alpha with a probability of at most alpha however often one looks, so a judge that is asked every few seconds
does not raise more false alarms than one that is asked once. Counts are of changed units ("spot") against unchanged
ones ("on_demand"); without unchanged units, against the service before the rollout, which is weaker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tools.execution.limits import JudgePolicy
from tools.model.rollout import Verdict
from tools.providers.base import HealthReading

CHANGED, UNCHANGED = "spot", "on_demand"
_WORSE = (1.6, 2.0, 3.0, 5.0, 10.0)
_AS_GOOD = (0.5, 0.8, 1.0, 1.25)
_BELOW = (0.02, 0.1, 0.25, 0.5)
_LIKELY = math.log(3)
_NO_MORE = 1.05
# Without a control group the service is compared with its own past, whose level moves by itself.
_WEAK_TOLERABLE = 2.0
# So few failures say nothing about a rate.
_FEW = 2


@dataclass(frozen=True, slots=True)
class Count:
    """Requests and how many of them failed."""

    requests: float = 0.0
    errors: float = 0.0

    @property
    def rate(self) -> float:
        return self.errors / self.requests if self.requests > 0 else 0.0

    def __add__(self, other: Count) -> Count:
        return Count(self.requests + other.requests, self.errors + other.errors)


@dataclass(frozen=True, slots=True)
class Judgement:
    """`blind` says that nothing was seen at all, which is worse than seeing too little; `plain`, that what was seen
    is far beyond every limit, whatever a service's noise."""

    verdict: Verdict
    why: str
    numbers: dict[str, object] = field(default_factory=dict)
    blind: bool = False
    plain: bool = False


def counts(reading: HealthReading) -> dict[str, Count]:
    """Requests and errors per group; a sample that is no number, negative, or fails more than it serves is dropped."""
    found: dict[str, Count] = {}
    for sample in reading.samples:
        requests, errors = float(sample.requests), float(sample.errors)
        if math.isfinite(requests) and math.isfinite(errors) and requests > 0 and 0 <= errors <= requests:
            found[sample.group] = found.get(sample.group, Count()) + Count(requests, errors)
    return found


def judge(stage: HealthReading, recent: HealthReading, baseline: Count, policy: JudgePolicy) -> Judgement:
    """Judge a stage on all that it saw (`stage`), on the last moments (`recent`), and on the time before (`baseline`)."""
    whole, now = counts(stage), counts(recent)
    numbers = _numbers(whole, baseline)
    total = sum(now.values(), Count())
    if total.requests <= 0:
        return Judgement(Verdict.INCONCLUSIVE, "no health data: nothing is known, so nothing moves", numbers, True)
    alarm = _hard_guard(now, baseline, policy)
    if alarm:
        return Judgement(Verdict.REGRESSED, alarm, numbers, plain=True)
    if CHANGED in whole and UNCHANGED in whole:
        return against_control(whole[CHANGED], whole[UNCHANGED], numbers, policy)
    return against_past(sum(whole.values(), Count()), baseline, numbers, policy)


def _hard_guard(now: dict[str, Count], baseline: Count, policy: JudgePolicy) -> str:
    # Immediate and without statistics: far above the limit, and far above what the service did before.
    usual = max(baseline.rate, 1 / baseline.requests if baseline.requests else 0.0)
    for name, count in [*now.items(), ("all", sum(now.values(), Count()))]:
        enough = count.requests >= policy.minimum_requests and count.errors >= policy.guard_errors
        if enough and count.rate >= policy.max_error_rate and count.rate >= policy.guard_factor * usual:
            who = {"all": "the service", CHANGED: "spot instances", UNCHANGED: "on-demand instances"}.get(name, name)
            return f"{_percent(count.rate)} of the requests to {who} fail (limit {_percent(policy.max_error_rate)})"
    return ""


def against_control(changed: Count, control: Count, numbers: dict[str, object], policy: JudgePolicy) -> Judgement:
    """Judge changed units by unchanged ones of the same time."""
    if worse(changed, control, policy.tolerable, policy):
        why = f"spot instances fail {_percent(changed.rate)} of requests, on-demand ones {_percent(control.rate)}"
        return Judgement(Verdict.REGRESSED, why, numbers)
    if changed.requests < policy.minimum_requests:
        return Judgement(Verdict.INCONCLUSIVE, _too_few(changed, policy), numbers)
    if no_worse(changed, control, policy):
        why = f"spot instances fail {_percent(changed.rate)}, on-demand ones {_percent(control.rate)}"
        return Judgement(Verdict.HEALTHY, why, numbers)
    return _by_limit(changed, control, numbers, policy, "spot instances fail")


def against_past(seen: Count, baseline: Count, numbers: dict[str, object], policy: JudgePolicy) -> Judgement:
    """Judge the whole service by what it was before."""
    over = seen.rate >= policy.max_error_rate and baseline.requests > 0
    if over and worse(seen, baseline, _WEAK_TOLERABLE, policy):
        why = f"the service fails {_percent(seen.rate)} of requests, {_percent(baseline.rate)} before the rollout"
        return Judgement(Verdict.REGRESSED, why, numbers)
    if seen.requests < policy.minimum_requests:
        return Judgement(Verdict.INCONCLUSIVE, _too_few(seen, policy), numbers)
    past = "compared with the time before the rollout (weaker evidence): "
    if baseline.requests > 0 and no_worse(seen, baseline, policy):
        return Judgement(Verdict.HEALTHY, f"{past}{_percent(seen.rate)}, was {_percent(baseline.rate)}", numbers)
    return _by_limit(seen, baseline, numbers, policy, f"{past}the service fails")


def _by_limit(seen: Count, reference: Count, numbers: dict[str, object], policy: JudgePolicy, who: str) -> Judgement:
    # Rates so small that no ratio is certain are judged against the limit, if they look more like before than severe.
    alike = seen.errors <= _FEW
    if reference.requests > 0 and not alike:
        alike = (
            seen.rate <= _NO_MORE * reference.rate
            or _evidence(seen, reference, policy.severe, _AS_GOOD, policy) > _LIKELY
        )
    if alike and below_limit(seen, policy):
        return Judgement(Verdict.HEALTHY, f"{who} {_percent(seen.rate)} of requests, surely below the limit", numbers)
    why = f"not clear yet: {seen.errors:.0f} errors in {seen.requests:.0f} requests"
    return Judgement(Verdict.INCONCLUSIVE, why, numbers)


def worse(seen: Count, control: Count, tolerable: float, policy: JudgePolicy) -> bool:
    """True when it is certain (to 1 - alpha, at every look) that `seen` fails more than `tolerable` times as often."""
    if control.requests <= 0 or seen.rate <= tolerable * control.rate:
        return False
    alternatives = tuple(a for a in _WORSE if a > tolerable)
    return _evidence(seen, control, tolerable, alternatives, policy) > -math.log(policy.alpha)


def no_worse(seen: Count, control: Count, policy: JudgePolicy) -> bool:
    """True when it is certain that `seen` fails less than `severe` times as often."""
    if control.requests <= 0:
        return False
    return _evidence(seen, control, policy.severe, _AS_GOOD, policy) > -math.log(policy.alpha)


def below_limit(seen: Count, policy: JudgePolicy) -> bool:
    """True when it is certain that the rate of failures is below the limit."""
    limit = policy.max_error_rate
    logs = [seen.errors * math.log(share) - seen.requests * limit * (share - 1) for share in _BELOW]
    return _mixture(logs) / policy.dispersion > -math.log(policy.alpha)


def _evidence(seen: Count, control: Count, null: float, others: tuple[float, ...], policy: JudgePolicy) -> float:
    # Given all errors, how many fall on the changed units is binomial in their share of requests and the rate ratio.
    weight = seen.requests / control.requests
    p0 = weight * null / (1 + weight * null)
    logs = []
    for ratio in others:
        p = weight * ratio / (1 + weight * ratio)
        logs.append(seen.errors * math.log(p / p0) + control.errors * math.log((1 - p) / (1 - p0)))
    return _mixture(logs) / policy.dispersion


def _mixture(logs: list[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(value - top) for value in logs) / len(logs))


def _numbers(whole: dict[str, Count], baseline: Count) -> dict[str, object]:
    named = {f"{group or 'all'}": count for group, count in whole.items()} | {"before": baseline}
    return {
        name: {"requests": round(count.requests), "errors": round(count.errors), "rate": f"{count.rate:.5f}"}
        for name, count in named.items()
    }


def _too_few(seen: Count, policy: JudgePolicy) -> str:
    return f"too few requests so far: {seen.requests:.0f} of at least {policy.minimum_requests}"


def _percent(rate: float) -> str:
    return f"{rate * 100:.2f} %"
