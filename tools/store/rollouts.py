"""Rollouts: rows of the state machine, each transition one conditional UPDATE, and the resources that they hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from tools.model.errors import NotFoundError
from tools.model.rollout import TERMINAL, Rollout, State
from tools.store.rollout_rows import MOVING, fixed, moving, rollout_of
from tools.store.rollout_tables import rollout_claims
from tools.store.rollout_tables import rollouts as _rollouts


def add(tx: Connection, rollout: Rollout) -> None:
    """Store a new rollout; the caller holds the claims on its resources."""
    at = rollout.created_at
    lease = {"next_look_at": _first_look(rollout), "lease_owner": "", "lease_until": at, "epoch": 0}
    tx.execute(_ADD, {**fixed(rollout), **moving(rollout), **lease})


def transition(
    tx: Connection, before: Rollout, after: Rollout, *, epoch: int | None = None, unexpired_at: datetime | None = None
) -> bool:
    """Move a rollout: one UPDATE that finds exactly the version, state, stage and plan that were decided on.

    With `epoch`, only while the lease taken under it is the newest one; with `unexpired_at`, only if the decision
    could still be made then. False when any of it does not hold: nothing was changed. The engine looks at it at
    once. Ending a rollout frees its resources.
    """
    key: dict[str, object] = {
        "t": before.tenant,
        "i": before.id,
        "v": before.version,
        "s": before.state.value,
        "stage_was": before.stage,
        "h": before.plan.hash,
        "to_next_look_at": _first_look(after),
    }
    statement = _MOVE
    if epoch is not None:
        statement, key["e"] = _MOVE_FENCED, epoch
    elif unexpired_at is not None:
        statement, key["now"] = _MOVE_IN_TIME, unexpired_at
    if tx.execute(statement, key | moving(after, "to_")).rowcount != 1:
        return False
    if after.state in TERMINAL:
        tx.execute(_FREE, {"t": after.tenant, "i": after.id})
    return True


def note(tx: Connection, seen: Rollout, epoch: int, *, now: datetime, next_look_at: datetime, news: bool) -> bool:
    """Keep what the engine saw (`news`: that it saw something else than before), and give the lease back.

    False when the lease was lost or the rollout moved.
    """
    key: dict[str, object] = {"t": seen.tenant, "i": seen.id, "v": seen.version, "e": epoch}
    times = {"to_updated_at": now, "to_next_look_at": next_look_at, "to_lease_until": now}
    if news:
        return tx.execute(_NOTE, key | moving(seen, "to_") | times).rowcount == 1
    return tx.execute(_LOOKED, key | times).rowcount == 1


def lock(tx: Connection, rollout: Rollout, epoch: int, *, until: datetime) -> bool:
    """Hold the row until the transaction ends and the lease until `until`.

    False when another worker took the lease or somebody moved the rollout since it was read.
    """
    key = {"t": rollout.tenant, "i": rollout.id, "v": rollout.version, "e": epoch, "s": rollout.state.value}
    return tx.execute(_LOCK, key | {"until": until}).rowcount == 1


def claim_resource(tx: Connection, tenant: str, key: str, rollout_id: str) -> str:
    """Take a resource for a rollout; returns the id of the rollout that holds it (this one, or the other)."""
    try:
        with tx.begin_nested():
            tx.execute(_CLAIM, {"tenant": tenant, "resource_key": key, "rollout_id": rollout_id})
    except IntegrityError:
        return holder(tx, tenant, key) or rollout_id
    return rollout_id


def holder(tx: Connection, tenant: str, key: str) -> str | None:
    """The live rollout that works on this resource."""
    found: str | None = tx.execute(_HOLDER, {"t": tenant, "key": key}).scalar_one_or_none()
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
        query = query.where(_rollouts.c.state.in_([s.value for s in states]))
    return _all(tx, query.order_by(_rollouts.c.created_at.desc(), _rollouts.c.id))


def live_with_plan(tx: Connection, tenant: str, plan_hash: str) -> Rollout | None:
    """The live rollout of exactly this plan."""
    found = _all(
        tx, select(_rollouts).where(_rollouts.c.tenant == tenant, _rollouts.c.plan_hash == plan_hash, _rollouts.c.live)
    )
    return found[0] if found else None


def running(tx: Connection, tenant: str, account_id: str) -> int:
    """How many rollouts of an account have been approved and have not ended."""
    count: int = tx.execute(_RUNNING, {"t": tenant, "a": account_id}).scalar_one()
    return count


def standing(tx: Connection, tenant: str) -> dict[State, int]:
    """How many rollouts are in which state, ended ones too."""
    return {State(row.state): row.n for row in tx.execute(_STANDING, {"t": tenant})}


def due(tx: Connection, tenant: str, *, now: datetime) -> tuple[str, ...]:
    """Ids of the rollouts to look at now, longest waiting first; a proposal only once it has expired."""
    return tuple(row.id for row in tx.execute(_DUE, {"t": tenant, "now": now}))


def put_off(tx: Connection, tenant: str, rollout_id: str, until: datetime) -> None:
    """Look at this rollout again only from `until` on."""
    tx.execute(_PUT_OFF, {"t": tenant, "i": rollout_id, "until": until})


# Statements are built once: building and hashing them costs more than running them.
_IT = (_rollouts.c.tenant == bindparam("t"), _rollouts.c.id == bindparam("i"))
_AS_READ = (*_IT, _rollouts.c.version == bindparam("v"))
_OURS = (*_AS_READ, _rollouts.c.epoch == bindparam("e"))
_MOVED: dict[str, BindParameter[Any]] = {name: bindparam(f"to_{name}") for name in (*MOVING, "next_look_at")}
_ADD = insert(_rollouts)
_MOVE = (
    update(_rollouts)
    .where(
        *_AS_READ,
        _rollouts.c.state == bindparam("s"),
        _rollouts.c.stage == bindparam("stage_was"),
        _rollouts.c.plan_hash == bindparam("h"),
    )
    .values(_MOVED)
)
_MOVE_FENCED = _MOVE.where(_rollouts.c.epoch == bindparam("e"))
_MOVE_IN_TIME = _MOVE.where(_rollouts.c.expires_at > bindparam("now"))
_NOTE = update(_rollouts).where(*_OURS).values({**_MOVED, "lease_until": bindparam("to_lease_until")})
# Most looks see what the one before saw: then only the times are written.
_LOOKED = (
    update(_rollouts)
    .where(*_OURS)
    .values({name: bindparam(f"to_{name}") for name in ("updated_at", "next_look_at", "lease_until")})
)
_LOCK = update(_rollouts).where(*_OURS, _rollouts.c.state == bindparam("s")).values(lease_until=bindparam("until"))
_PUT_OFF = update(_rollouts).where(*_IT).values(next_look_at=bindparam("until"))
_GET = select(_rollouts).where(*_IT)
_GET_LOCKED = _GET.with_for_update()
_DUE = (
    select(_rollouts.c.id)
    .where(
        _rollouts.c.tenant == bindparam("t"),
        _rollouts.c.live,
        _rollouts.c.next_look_at <= bindparam("now"),
    )
    .order_by(_rollouts.c.next_look_at, _rollouts.c.id)
)
_RUNNING = (
    select(func.count().label("n"))
    .select_from(_rollouts)
    .where(
        _rollouts.c.tenant == bindparam("t"),
        _rollouts.c.account_id == bindparam("a"),
        _rollouts.c.live,
        _rollouts.c.state != State.PROPOSED.value,
    )
)
_STANDING = (
    select(_rollouts.c.state, func.count().label("n"))
    .where(_rollouts.c.tenant == bindparam("t"))
    .group_by(_rollouts.c.state)
)
_CLAIM = insert(rollout_claims)
_FREE = delete(rollout_claims).where(
    rollout_claims.c.tenant == bindparam("t"), rollout_claims.c.rollout_id == bindparam("i")
)
_HOLDER = select(rollout_claims.c.rollout_id).where(
    rollout_claims.c.tenant == bindparam("t"), rollout_claims.c.resource_key == bindparam("key")
)


def _first_look(rollout: Rollout) -> datetime:
    # A proposal is nobody's business until it expires.
    return rollout.expires_at if rollout.state is State.PROPOSED else rollout.updated_at


def _all(tx: Connection, query: Select[Any]) -> tuple[Rollout, ...]:
    return tuple(rollout_of(row) for row in tx.execute(query))
