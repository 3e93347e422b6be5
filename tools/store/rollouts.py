"""Rollouts: rows of the state machine, each transition one conditional UPDATE, with what belongs to them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from tools.model.errors import NotFoundError
from tools.model.rollout import (
    TERMINAL,
    Approval,
    Event,
    HealthVerdict,
    Intent,
    IntentStatus,
    Plan,
    Rollout,
    Stage,
    State,
    Verdict,
)
from tools.store.rollout_tables import approvals as _approvals
from tools.store.rollout_tables import events, rollout_claims
from tools.store.rollout_tables import intents as _intents
from tools.store.rollout_tables import rollouts as _rollouts
from tools.store.rollout_tables import verdicts as _verdicts


def add(tx: Connection, rollout: Rollout) -> None:
    """Store a new rollout; the caller holds the claims on its resources."""
    tx.execute(
        insert(_rollouts).values(
            tenant=rollout.tenant,
            id=rollout.id,
            plan=rollout.plan.canonical(),
            plan_hash=rollout.plan.hash,
            provider=rollout.plan.provider,
            account_id=rollout.plan.account_id,
            recommendation_id=rollout.plan.recommendation_id,
            proposed_by=rollout.proposed_by,
            proposed_by_name=rollout.proposed_by_name,
            channel=rollout.channel,
            created_at=rollout.created_at,
            next_look_at=rollout.created_at,
            lease_owner="",
            lease_until=rollout.created_at,
            epoch=0,
            **_changing(rollout),
        )
    )


def transition(tx: Connection, before: Rollout, after: Rollout, *where: ColumnElement[bool]) -> bool:
    """Move a rollout: one UPDATE that finds exactly the version, state, stage and plan that were decided on.

    False when somebody else moved it first (or a condition of `where` does not hold): nothing was changed then.
    The engine looks at it at once. Ending a rollout frees its resources.
    """
    moved = tx.execute(
        update(_rollouts)
        .where(
            _is(before.tenant, before.id),
            _rollouts.c.version == before.version,
            _rollouts.c.state == str(before.state),
            _rollouts.c.stage == before.stage,
            _rollouts.c.plan_hash == before.plan.hash,
            *where,
        )
        .values(**_changing(after), next_look_at=after.updated_at)
    )
    if moved.rowcount != 1:
        return False
    if after.state in TERMINAL:
        tx.execute(
            delete(rollout_claims).where(
                rollout_claims.c.tenant == after.tenant, rollout_claims.c.rollout_id == after.id
            )
        )
    return True


def not_expired(now: datetime) -> ColumnElement[bool]:
    """The condition that a decision must meet in its own transaction."""
    return _rollouts.c.expires_at > now


def fenced(epoch: int) -> ColumnElement[bool]:
    """The condition that the lease taken under this epoch is still the newest one."""
    return _rollouts.c.epoch == epoch


def note(tx: Connection, rollout: Rollout, epoch: int, *, next_look_at: datetime) -> bool:
    """Keep what the engine saw without moving the state; False when the lease was lost or the rollout moved."""
    key = {"t": rollout.tenant, "i": rollout.id, "v": rollout.version, "e": epoch}
    values = {f"to_{name}": value for name, value in _changing(rollout).items()}
    return tx.execute(_NOTE, key | values | {"to_next_look_at": next_look_at}).rowcount == 1


def lock(tx: Connection, rollout: Rollout, epoch: int, *, until: datetime) -> bool:
    """Hold the row until the transaction ends and the lease until `until`.

    False when another worker took the lease or somebody moved the rollout since it was read.
    """
    key = {"t": rollout.tenant, "i": rollout.id, "v": rollout.version, "e": epoch, "s": str(rollout.state)}
    return tx.execute(_LOCK, key | {"until": until}).rowcount == 1


def claim_resource(tx: Connection, tenant: str, key: str, rollout_id: str) -> str:
    """Take a resource for a rollout; returns the id of the rollout that holds it (this one, or the other)."""
    try:
        with tx.begin_nested():
            tx.execute(insert(rollout_claims).values(tenant=tenant, resource_key=key, rollout_id=rollout_id))
    except IntegrityError:
        return holder(tx, tenant, key) or rollout_id
    return rollout_id


def holder(tx: Connection, tenant: str, key: str) -> str | None:
    """The live rollout that works on this resource."""
    found: str | None = tx.execute(
        select(rollout_claims.c.rollout_id).where(
            rollout_claims.c.tenant == tenant, rollout_claims.c.resource_key == key
        )
    ).scalar_one_or_none()
    return found


def get(tx: Connection, tenant: str, rollout_id: str, *, lock: bool = False) -> Rollout:
    """One rollout; raises NotFoundError. `lock` holds its row until the transaction ends."""
    row = tx.execute(_GET_LOCKED if lock else _GET, {"t": tenant, "i": rollout_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no rollout {rollout_id}.", fix="Run `optiinfra rollout list` to see them.")
    return rollout_of(row)


def listing(tx: Connection, tenant: str, states: Iterable[State] | None = None) -> tuple[Rollout, ...]:
    """All rollouts, newest first; only those in `states` when given."""
    query = select(_rollouts).where(_rollouts.c.tenant == tenant)
    if states is not None:
        query = query.where(_rollouts.c.state.in_([str(s) for s in states]))
    return _all(tx, query.order_by(_rollouts.c.created_at.desc(), _rollouts.c.id))


def live_with_plan(tx: Connection, tenant: str, plan_hash: str) -> Rollout | None:
    """The live rollout of exactly this plan."""
    found = _all(
        tx, select(_rollouts).where(_rollouts.c.tenant == tenant, _rollouts.c.plan_hash == plan_hash, _rollouts.c.live)
    )
    return found[0] if found else None


def running(tx: Connection, tenant: str, account_id: str) -> int:
    """How many rollouts of an account have been approved and have not ended."""
    waiting = [str(State.PROPOSED)]
    count: int = tx.execute(
        select(func.count())
        .select_from(_rollouts)
        .where(
            _rollouts.c.tenant == tenant,
            _rollouts.c.account_id == account_id,
            _rollouts.c.live,
            _rollouts.c.state.not_in(waiting),
        )
    ).scalar_one()
    return count


def due(tx: Connection, tenant: str, *, now: datetime) -> tuple[str, ...]:
    """Ids of the rollouts to look at now, longest waiting first; a proposal only once it has expired."""
    rows = tx.execute(_DUE, {"t": tenant, "now": now})
    return tuple(row.id for row in rows)


def put_off(tx: Connection, tenant: str, rollout_id: str, until: datetime) -> None:
    """Look at this rollout again only from `until` on."""
    tx.execute(update(_rollouts).where(_is(tenant, rollout_id)).values(next_look_at=until))


def add_event(tx: Connection, rollout: Rollout, actor: str, what: str, *, now: datetime) -> None:
    """Write one line of history."""
    tx.execute(insert(events).values(tenant=rollout.tenant, rollout_id=rollout.id, at=now, actor=actor, what=what))


def history(tx: Connection, tenant: str, rollout_id: str) -> tuple[Event, ...]:
    """What happened, oldest first."""
    rows = tx.execute(
        select(events).where(events.c.tenant == tenant, events.c.rollout_id == rollout_id).order_by(events.c.id)
    )
    return tuple(Event(row.at, row.actor, row.what) for row in rows)


def add_approval(tx: Connection, rollout: Rollout, approval: Approval) -> bool:
    """Keep one person's yes to this gate; False when the same person said it before."""
    try:
        with tx.begin_nested():
            tx.execute(
                insert(_approvals).values(
                    tenant=rollout.tenant,
                    rollout_id=rollout.id,
                    gate=rollout.gate,
                    actor=approval.actor,
                    actor_name=approval.actor_name,
                    stage=approval.stage,
                    plan_hash=approval.plan_hash,
                    version=approval.version,
                    at=approval.at,
                    reason=approval.reason,
                )
            )
    except IntegrityError:
        return False
    return True


def approvals(tx: Connection, tenant: str, rollout_id: str, *, gate: int | None = None) -> tuple[Approval, ...]:
    """Every yes, oldest first; only those of one gate when given."""
    query = select(_approvals).where(_approvals.c.tenant == tenant, _approvals.c.rollout_id == rollout_id)
    if gate is not None:
        query = query.where(_approvals.c.gate == gate)
    return tuple(
        Approval(r.rollout_id, r.stage, r.plan_hash, r.actor, r.actor_name, r.at, r.version, r.reason)
        for r in tx.execute(query.order_by(_approvals.c.version))
    )


def add_intent(tx: Connection, tenant: str, intent: Intent) -> None:
    """Write down an effect that is to be tried; writing the same one again changes nothing."""
    try:
        with tx.begin_nested():
            tx.execute(
                insert(_intents).values(
                    tenant=tenant,
                    id=intent.id,
                    rollout_id=intent.rollout_id,
                    stage=intent.stage,
                    gate=intent.gate,
                    direction=intent.direction,
                    desired=intent.desired,
                    status=str(intent.status),
                    attempts=intent.attempts,
                    epoch=0,
                    created_at=intent.created_at,
                    updated_at=intent.updated_at,
                    detail=intent.detail,
                )
            )
    except IntegrityError:
        pass  # written before; its id is deterministic


def claim_intent(tx: Connection, tenant: str, intent: Intent, epoch: int, *, now: datetime) -> bool:
    """PENDING (or a sending that is to be repeated) becomes SENDING; False when somebody else was first."""
    claimed = tx.execute(
        update(_intents)
        .where(
            _intents.c.tenant == tenant,
            _intents.c.id == intent.id,
            _intents.c.status == str(intent.status),
            _intents.c.attempts == intent.attempts,
        )
        .values(
            status=str(IntentStatus.SENDING), attempts=intent.attempts + 1, epoch=epoch, sent_at=now, updated_at=now
        )
    )
    return claimed.rowcount == 1


def update_intent(
    tx: Connection,
    tenant: str,
    intent: Intent,
    *,
    status: IntentStatus,
    now: datetime,
    detail: str = "",
    accepted: bool = False,
) -> bool:
    """Write what became of a sending; False when the intent has been closed meanwhile."""
    values: dict[str, object] = {"status": str(status), "detail": detail[:500], "updated_at": now}
    if accepted:
        values["accepted_at"] = now
    written = tx.execute(
        update(_intents)
        .where(_intents.c.tenant == tenant, _intents.c.id == intent.id, _intents.c.status.in_(["PENDING", "SENDING"]))
        .values(**values)
    )
    return written.rowcount == 1


def close_intents(tx: Connection, rollout: Rollout, *, now: datetime, detail: str) -> None:
    """Nothing that was written down for this rollout may be sent any more."""
    tx.execute(
        update(_intents)
        .where(
            _intents.c.tenant == rollout.tenant,
            _intents.c.rollout_id == rollout.id,
            _intents.c.status.in_(["PENDING", "SENDING"]),
        )
        .values(status=str(IntentStatus.FAILED), detail=detail, updated_at=now)
    )


def intents(tx: Connection, tenant: str, rollout_id: str) -> tuple[Intent, ...]:
    """Every effect that was written down, oldest first."""
    rows = tx.execute(_INTENTS, {"t": tenant, "i": rollout_id})
    return tuple(_intent(row) for row in rows)


def keep_verdict(tx: Connection, tenant: str, verdict: HealthVerdict) -> bool:
    """Keep one look of the judge; looks that say the same of the same stage share a row. True when it says something new."""
    last = tx.execute(_LAST_VERDICT, {"t": tenant, "i": verdict.rollout_id}).one_or_none()
    values = {"at": verdict.at, "why": verdict.why, "numbers": verdict.numbers}
    if last is not None and (last.verdict, last.stage) == (str(verdict.verdict), verdict.stage):
        tx.execute(_SAME_VERDICT, {f"to_{name}": value for name, value in values.items()} | {"row": last.id})
        return False
    tx.execute(
        insert(_verdicts).values(
            tenant=tenant,
            rollout_id=verdict.rollout_id,
            stage=verdict.stage,
            first_at=verdict.at,
            looks=1,
            verdict=str(verdict.verdict),
            **values,
        )
    )
    return True


def verdicts(tx: Connection, tenant: str, rollout_id: str) -> tuple[HealthVerdict, ...]:
    """What the judge said, oldest first; `at` is the last look that said it."""
    rows = tx.execute(
        select(_verdicts)
        .where(_verdicts.c.tenant == tenant, _verdicts.c.rollout_id == rollout_id)
        .order_by(_verdicts.c.id)
    )
    return tuple(HealthVerdict(r.rollout_id, r.stage, r.at, Verdict(r.verdict), r.why, r.numbers) for r in rows)


# Statements of every look are built once: building and hashing them costs more than running them.
_GET = select(_rollouts).where(_rollouts.c.tenant == bindparam("t"), _rollouts.c.id == bindparam("i"))
_GET_LOCKED = _GET.with_for_update()
_DUE = (
    select(_rollouts.c.id)
    .where(
        _rollouts.c.tenant == bindparam("t"),
        _rollouts.c.live,
        _rollouts.c.next_look_at <= bindparam("now"),
        or_(_rollouts.c.state != str(State.PROPOSED), _rollouts.c.expires_at <= bindparam("now")),
    )
    .order_by(_rollouts.c.next_look_at, _rollouts.c.id)
)
_OURS = (
    _rollouts.c.tenant == bindparam("t"),
    _rollouts.c.id == bindparam("i"),
    _rollouts.c.version == bindparam("v"),
    _rollouts.c.epoch == bindparam("e"),
)
_LOCK = update(_rollouts).where(*_OURS, _rollouts.c.state == bindparam("s")).values(lease_until=bindparam("until"))
_INTENTS = (
    select(_intents)
    .where(_intents.c.tenant == bindparam("t"), _intents.c.rollout_id == bindparam("i"))
    .order_by(_intents.c.created_at, _intents.c.id)
)
_LAST_VERDICT = (
    select(_verdicts)
    .where(_verdicts.c.tenant == bindparam("t"), _verdicts.c.rollout_id == bindparam("i"))
    .order_by(_verdicts.c.id.desc())
    .limit(1)
)
_SAME_VERDICT = (
    update(_verdicts)
    .where(_verdicts.c.id == bindparam("row"))
    .values(
        at=bindparam("to_at"), why=bindparam("to_why"), numbers=bindparam("to_numbers"), looks=_verdicts.c.looks + 1
    )
)


def rollout_of(row: Row[Any]) -> Rollout:
    """A row of `rollouts` as the noun."""
    return Rollout(
        id=row.id,
        tenant=row.tenant,
        version=row.version,
        state=State(row.state),
        stage=row.stage,
        plan=plan_of(row.plan),
        proposed_by=row.proposed_by,
        proposed_by_name=row.proposed_by_name,
        created_at=row.created_at,
        updated_at=row.updated_at,
        state_since=row.state_since,
        expires_at=row.expires_at,
        reason=row.reason,
        held_from=State(row.held_from) if row.held_from else None,
        observed=row.observed,
        progress=Decimal(row.progress),
        touched=bool(row.touched),
        gate=row.gate,
        channel=row.channel,
        baseline=row.baseline,
        approved_at=row.approved_at,
        stage_since=row.stage_since,
        bake_since=row.bake_since,
        blind_since=row.blind_since,
        unseen_since=row.unseen_since,
        failures=row.failures,
        rewrites=row.rewrites,
    )


def plan_of(text: str) -> Plan:
    """The plan of its canonical JSON."""
    document = json.loads(text)
    stages = tuple(Stage(**stage) for stage in document.pop("stages"))
    return Plan(stages=stages, **document)


def _changing(rollout: Rollout) -> dict[str, object]:
    return {
        "version": rollout.version,
        "state": str(rollout.state),
        "stage": rollout.stage,
        "gate": rollout.gate,
        "updated_at": rollout.updated_at,
        "state_since": rollout.state_since,
        "expires_at": rollout.expires_at,
        "approved_at": rollout.approved_at,
        "stage_since": rollout.stage_since,
        "bake_since": rollout.bake_since,
        "blind_since": rollout.blind_since,
        "unseen_since": rollout.unseen_since,
        "touched": rollout.touched,
        "held_from": str(rollout.held_from) if rollout.held_from else None,
        "reason": rollout.reason,
        "observed": rollout.observed,
        "progress": str(rollout.progress),
        "baseline": rollout.baseline,
        "failures": rollout.failures,
        "rewrites": rollout.rewrites,
        "live": rollout.state not in TERMINAL,
    }


_CHANGING = (
    "version",
    "state",
    "stage",
    "gate",
    "updated_at",
    "state_since",
    "expires_at",
    "approved_at",
    "stage_since",
    "bake_since",
    "blind_since",
    "unseen_since",
    "touched",
    "held_from",
    "reason",
    "observed",
    "progress",
    "baseline",
    "failures",
    "rewrites",
    "live",
)
_NOTE = update(_rollouts).where(*_OURS).values({name: bindparam(f"to_{name}") for name in (*_CHANGING, "next_look_at")})


def _intent(row: Row[Any]) -> Intent:
    return Intent(
        id=row.id,
        rollout_id=row.rollout_id,
        stage=row.stage,
        direction=row.direction,
        desired=row.desired,
        status=IntentStatus(row.status),
        attempts=row.attempts,
        created_at=row.created_at,
        updated_at=row.updated_at,
        detail=row.detail,
        gate=row.gate,
        sent_at=row.sent_at,
        accepted_at=row.accepted_at,
    )


def _all(tx: Connection, query: Select[Any]) -> tuple[Rollout, ...]:
    return tuple(rollout_of(row) for row in tx.execute(query))


def _is(tenant: str, rollout_id: str) -> ColumnElement[bool]:
    return and_(_rollouts.c.tenant == tenant, _rollouts.c.id == rollout_id)
