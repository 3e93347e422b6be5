"""Reviewers: performance, resource and application each look at a change before it is proposed; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tools.execution.decisions import same
from tools.execution.judge import Count
from tools.execution.limits import JudgePolicy
from tools.model.recommendation import Recommendation
from tools.model.resource import Resource
from tools.model.review import Opinion, Review
from tools.model.rollout import TERMINAL, Plan, Rollout, State
from tools.providers.base import Observation
from tools.recommendation.rules.idle import IDLE_CPU_PERCENT
from tools.recommendation.rules.rightsizing import FITS_BELOW_PERCENT

OWNERS = ("owner", "team")
# What inventory saw longer ago than this is worth another look.
STALE = timedelta(hours=36)
_PAGES = ("idle", "rightsizing")


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be reviewed, and what was gathered about it.

    `seen` is the resource at the cloud now and `past` the requests of its service in the last hour; None with
    `unseen` or `unknown` saying why. `others` are all rollouts, `stop` is why nothing may be begun now (empty: it may).
    """

    plan: Plan
    recommendation: Recommendation
    resource: Resource
    at: datetime
    others: tuple[Rollout, ...] = ()
    stop: str = ""
    seen: Observation | None = None
    unseen: str = ""
    past: Count | None = None
    unknown: str = ""


@dataclass(slots=True)
class _Findings:
    """What one reviewer comes upon; the worst of it is its opinion."""

    blocks: list[str]
    concerns: list[str]
    evidence: list[str]

    def said(self, reviewer: str, good: str, at: datetime) -> Review:
        opinion = Opinion.BLOCK if self.blocks else Opinion.CONCERN if self.concerns else Opinion.APPROVE
        why = " ".join([*self.blocks, *self.concerns]) or good
        return Review(reviewer, opinion, why, tuple(self.evidence), at)


def performance(case: Case) -> Review:
    """Headroom: whether what is left can carry the measured peak. Latency is not measured, and said so."""
    found, use = _Findings([], [], []), case.resource.attributes.get("utilisation")
    kind = case.recommendation.kind
    if case.plan.unwatched:
        found.evidence.append(f"Nothing to slow down: {case.plan.unwatched}.")
        return found.said("performance", "It serves no requests.", case.at)
    found.evidence.append("Latency is not measured; failed requests are.")
    if kind == "spot_migration":
        found.evidence.append("The machines stay of the same types, and new ones start before old ones end.")
    elif isinstance(use, dict) and use.get("hours"):
        peak = float(use["cpu_maximum"])
        found.evidence.append(f"CPU was at {peak:.1f} % at most in {use['hours']} measured hours.")
        if kind == "idle" and peak >= IDLE_CPU_PERCENT:
            found.blocks.append(f"It is not idle: its CPU went up to {peak:.1f} %.")
        if kind == "rightsizing" and peak >= FITS_BELOW_PERCENT:
            found.blocks.append(f"Half the size would be {peak * 2:.0f} % busy at its peak.")
    elif kind in _PAGES:
        found.concerns.append("How busy it is has not been measured.")
    return found.said("performance", "There is room for its measured peak.", case.at)


def resource(case: Case) -> Review:
    """Whether the thing is still as inventory saw it, at rest, and what may take its capacity away."""
    found, plan = _Findings([], [], []), case.plan
    if case.seen is None:
        found.concerns.append(f"It cannot be looked at now: {case.unseen}")
    elif case.seen.fingerprint != plan.fingerprint or not same(case.seen.setting, plan.before):
        found.blocks.append("It was changed since inventory saw it; collect again.")
    else:
        found.evidence.append(f"It is as planned: {plan.count(case.seen.total)}, {case.seen.changed} changed.")
        if not case.seen.settled:
            found.concerns.append("It is changing right now, by a deployment or by scaling.")
    if case.at - case.resource.seen_at > STALE:
        found.concerns.append(f"Inventory saw it last on {case.resource.seen_at:%d %b %H:%M} UTC.")
    _interruptions(case, found)
    found.evidence += [f"{e.label}: {e.value}." for e in case.recommendation.evidence if e.label == "Commitments"]
    found.evidence.append("Quota, capacity, protection and permissions are asked of the cloud before each step.")
    return found.said("resource", "It is as it was planned for.", case.at)


def _interruptions(case: Case, found: _Findings) -> None:
    if case.recommendation.kind != "spot_migration":
        return
    types = case.resource.attributes.get("instance_types")
    pools = len(types) if isinstance(types, list | tuple) else 0
    if pools == 1:
        found.concerns.append("All its spot capacity would be of one type: when that runs out, all of it may go.")
    elif pools:
        found.evidence.append(f"Its spot capacity may be of {pools} types.")


def application(case: Case, policy: JudgePolicy) -> Review:
    """Whether the service is healthy and measured, who owns it, and what else is going on with it."""
    found = _Findings([], [], [])
    _health(case, policy, found)
    owner = next((value for tag in OWNERS if (value := case.resource.tag(tag))), "")
    if owner:
        found.evidence.append(f"Its owner is {owner}.")
    else:
        found.concerns.append(f"Nobody is named as its owner (tag {' or '.join(OWNERS)}).")
    if case.stop:
        found.concerns.append(f"Nothing may be begun now: {case.stop}")
    _others(case, found)
    return found.said("application", "Its service is healthy and measured.", case.at)


def _health(case: Case, policy: JudgePolicy, found: _Findings) -> None:
    plan, past = case.plan, case.past
    if plan.unwatched:
        found.evidence.append(f"There is no health to watch: {plan.unwatched}.")
    elif past is None:
        found.concerns.append(f"Its health is not known, so the first step would not start: {case.unknown}")
    elif past.requests < policy.minimum_requests:
        needed = f"{past.requests:.0f} requests in the last hour, and {policy.minimum_requests} are needed"
        found.concerns.append(f"The first step would not start: {plan.service} had {needed}.")
    else:
        told = f"{plan.service} failed {past.rate * 100:.2f} % of {past.requests:.0f} requests in the last hour"
        found.evidence.append(f"{told}.")
        if past.rate >= policy.max_error_rate:
            found.blocks.append(f"The service is not well: {told}.")


def _others(case: Case, found: _Findings) -> None:
    plan = case.plan
    live = [r for r in case.others if r.state not in TERMINAL and plan.service and r.plan.service == plan.service]
    if live:
        found.concerns.append(f"Another rollout of {plan.service} is under way ({live[0].id}).")
    past = [r for r in case.others if r.state in TERMINAL and r.plan.recommendation_id == plan.recommendation_id]
    if not past:
        return
    last = max(past, key=lambda r: r.updated_at)
    told = f"The last try ended {str(last.state).lower().replace('_', ' ')} ({last.id})"
    if last.state is State.ROLLED_BACK:
        found.concerns.append(f"{told}: {last.reason}.")
    else:
        found.evidence.append(f"{told}.")
