"""Requests: all that the mind may do with rollouts - propose one, and look."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from tools.execution import allowed, planning, record
from tools.execution.limits import Caps
from tools.execution.panel import Panel, refuse_blocked
from tools.execution.reviewers import Case
from tools.model.access import Permission, Principal
from tools.model.audit import AuditEntry
from tools.model.errors import InputError, NotFoundError, RefusedError
from tools.model.identifiers import NewId
from tools.model.recommendation import Recommendation
from tools.model.resource import Resource
from tools.model.review import Review
from tools.model.rollout import Plan, Rollout, State
from tools.providers.base import Change
from tools.store import audit, recommendations, resources, rollout_reviews, rollouts, stops
from tools.store.database import Database

_SUBJECT = "rollout.propose"


def propose(
    database: Database,
    tenant: str,
    recommendation_id: str,
    proposer: Principal,
    *,
    change: Callable[[str], Change],
    now: Callable[[], datetime],
    new_id: NewId,
    expires_in: timedelta,
    channel: str = "",
    percents: tuple[int, ...] = planning.STAGES,
    caps: Caps | None = None,
    panel: Panel | None,
) -> Rollout:
    """Propose the rollout of a recommendation; asking again gives the one that is live already.

    `panel` reviews it first (None: nobody does, in simulations); a block of one of them is a refusal.

    Raises RefusedError (audited) when it may not be proposed, NotFoundError for an unknown recommendation.
    """
    try:
        with database.read() as tx:
            recommendation, resource = _wanted(tx, tenant, recommendation_id)
        name = str(recommendation.parameters["change"])
        doing = change(name)
        plan = planning.build(recommendation, resource, name, doing.plan(resource, percents), percents)
        _within(plan, caps or Caps())
        heard: tuple[Review, ...] = ()
        if panel is not None:
            with database.read() as tx:
                allowed.check(tx, tenant, proposer, Permission.ROLLOUTS_PROPOSE)
                case = _case(tx, tenant, plan, recommendation, resource, now())
            heard = panel.hear(case, doing) if case else ()
            refuse_blocked(heard)
        with database.begin() as tx:
            who = allowed.check(tx, tenant, proposer, Permission.ROLLOUTS_PROPOSE)
            return _store(
                tx, tenant, plan, who, heard, now=now(), new_id=new_id, expires_in=expires_in, channel=channel
            )
    except RefusedError as refusal:
        with database.begin() as tx:
            record.refused(
                tx,
                tenant,
                actor=proposer.id,
                action=_SUBJECT,
                subject=recommendation_id,
                reason=refusal.reason,
                words=refusal.what,
                now=now(),
            )
        raise


def status(database: Database, tenant: str, rollout_id: str) -> Rollout:
    """One rollout as it stands; raises NotFoundError."""
    with database.read() as tx:
        return rollouts.get(tx, tenant, rollout_id)


def listing(database: Database, tenant: str) -> tuple[Rollout, ...]:
    """Every rollout, newest first."""
    with database.read() as tx:
        return rollouts.listing(tx, tenant)


def _wanted(tx: Connection, tenant: str, recommendation_id: str) -> tuple[Recommendation, Resource]:
    found = recommendations.one(tx, tenant, recommendation_id)
    if found.blocked_by:
        raise RefusedError("blocked", f"This cannot be proposed now: {'; '.join(found.blocked_by)}.")
    wanted = found.parameters
    if not wanted.get("change"):
        raise RefusedError(
            "not_executable",
            f'"{found.title}" is advice: OptiInfra has no safe way to carry it out.',
            fix="Do it by hand; the next recommendations will notice.",
        )
    kind, resource_id = str(wanted.get("resource_kind", "")), str(wanted.get("resource_id", ""))
    resource = resources.one(tx, tenant, found.provider, found.account_id, found.region, kind, resource_id)
    if resource is None:
        raise NotFoundError(
            f"The {kind or 'resource'} {resource_id} of this recommendation is not in the inventory any more.",
            fix="Run `optiinfra collect` and `optiinfra recommend`.",
        )
    return found, resource


def _case(
    tx: Connection, tenant: str, plan: Plan, recommendation: Recommendation, resource: Resource, now: datetime
) -> Case | None:
    """What the reviewers look at; None when the resource has a rollout, which was reviewed then."""
    if rollouts.holder(tx, tenant, planning.resource_key(plan)):
        return None
    stop = stops.standing(tx, tenant, now=now)
    return Case(plan, recommendation, resource, now, rollouts.listing(tx, tenant), stop[1] if stop else "")


def _within(plan: Plan, caps: Caps) -> None:
    if plan.units > caps.units:
        raise RefusedError(
            "cap",
            f"This would change {plan.count(plan.units)}, and one rollout may change {caps.units} at most.",
            fix="Split the resource's group, or have an administrator raise the cap.",
        )
    first = plan.stages[0]
    if len(plan.stages) > 1 and first.units > 1 and first.percent > caps.first_stage_percent:
        raise InputError(
            f"The first step would change {first.percent} % at once; {caps.first_stage_percent} % is the most."
        )


def _store(
    tx: Connection,
    tenant: str,
    plan: Plan,
    who: Principal,
    heard: tuple[Review, ...],
    *,
    now: datetime,
    new_id: NewId,
    expires_in: timedelta,
    channel: str,
) -> Rollout:
    fresh = new_id("ro")
    holder = rollouts.claim_resource(tx, tenant, planning.resource_key(plan), fresh)
    if holder != fresh:
        return _same_or_busy(rollouts.get(tx, tenant, holder), plan)
    rollout = Rollout(
        id=fresh,
        tenant=tenant,
        version=1,
        state=State.PROPOSED,
        stage=0,
        plan=plan,
        proposed_by=who.id,
        proposed_by_name=who.name,
        created_at=now,
        updated_at=now,
        state_since=now,
        expires_at=now + expires_in,
        reason="waits for a decision",
        channel=channel,
    )
    rollouts.add(tx, rollout)
    rollout_reviews.add(tx, tenant, fresh, heard)
    record.tell(tx, rollout, who.name, f"proposed: {plan.title}", now)
    detail: dict[str, object] = {"plan_hash": plan.hash, "recommendation": plan.recommendation_id, "title": plan.title}
    if heard:
        detail["reviews"] = {review.reviewer: review.opinion.value for review in heard}
    audit.record(tx, AuditEntry(tenant, now, who.id, _SUBJECT, rollout.id, "done", "", detail))
    return rollout


def _same_or_busy(other: Rollout, plan: Plan) -> Rollout:
    if other.plan.hash == plan.hash or (
        plan.recommendation_id and other.plan.recommendation_id == plan.recommendation_id
    ):
        return other
    raise RefusedError(
        "busy",
        f"The rollout {other.id} ({other.plan.title}) works on {plan.resource_id} already.",
        fix="Wait until it has ended, or abort it.",
    )
