"""People: who may do what, and which Slack user is which person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from tools.model.access import Principal, Role
from tools.model.errors import InputError, NotFoundError
from tools.store.rollout_tables import people


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a tenant. `id` is the e-mail in lower case; `slack_*` are empty until bound."""

    id: str
    email: str
    name: str
    role: Role
    slack_team: str
    slack_user: str
    active: bool


def by_email(tx: Connection, tenant: str, email: str, *, lock: bool = False) -> Principal | None:
    """The active person with that e-mail. `lock` keeps role and activity as they are until the transaction ends."""
    row = tx.execute(_ACTIVE_LOCKED if lock else _ACTIVE, {"t": tenant, "key": _key(email)}).one_or_none()
    return _principal(row) if row else None


def by_slack(tx: Connection, tenant: str, team_id: str, user_id: str) -> Principal | None:
    """The active person bound to exactly this user of exactly this workspace."""
    row = tx.execute(
        select(people).where(
            people.c.tenant == tenant, people.c.slack_team == team_id, people.c.slack_user == user_id, people.c.active
        )
    ).one_or_none()
    return _principal(row) if row else None


def save(
    tx: Connection,
    tenant: str,
    email: str,
    role: Role,
    *,
    name: str = "",
    slack_team: str = "",
    slack_user: str = "",
    active: bool = True,
    now: datetime,
) -> Person:
    """Add a person, or change role, name, binding and activity; empty name and Slack ids keep what is known."""
    key = _key(email)
    given = {"name": name, "slack_team": slack_team or None, "slack_user": slack_user or None}
    values: dict[str, object] = {"role": str(role), "active": active, "updated_at": now}
    known = [name for name, value in given.items() if value]
    try:
        with tx.begin_nested():
            changed = tx.execute(
                update(people)
                .where(people.c.tenant == tenant, people.c.email == key)
                .values(**values, **{name: given[name] for name in known})
            )
            if changed.rowcount == 0:
                named = given | {"name": name or key.partition("@")[0]}
                tx.execute(insert(people).values(tenant=tenant, email=key, **values, **named))
    except IntegrityError:
        raise InputError(
            f"The Slack user {slack_user} is somebody else already.", fix="Run `optiinfra people list` to see who."
        ) from None
    return _one(tx, tenant, key)


def bind_slack(tx: Connection, tenant: str, email: str, team_id: str, user_id: str) -> Person:
    """Say which Slack user a person is; raises NotFoundError for an unknown e-mail, InputError for a taken user."""
    try:
        with tx.begin_nested():
            tx.execute(
                update(people)
                .where(people.c.tenant == tenant, people.c.email == _key(email))
                .values(slack_team=team_id, slack_user=user_id)
            )
    except IntegrityError:
        raise InputError(
            f"The Slack user {user_id} is somebody else already.", fix="Run `optiinfra people list` to see who."
        ) from None
    return _one(tx, tenant, _key(email))


def listing(tx: Connection, tenant: str) -> tuple[Person, ...]:
    """Everybody of a tenant, also those who are no longer active, by e-mail."""
    rows = tx.execute(select(people).where(people.c.tenant == tenant).order_by(people.c.email))
    return tuple(_person(row) for row in rows)


_ACTIVE = select(people).where(people.c.tenant == bindparam("t"), people.c.email == bindparam("key"), people.c.active)
_ACTIVE_LOCKED = _ACTIVE.with_for_update(read=True)


def _one(tx: Connection, tenant: str, key: str) -> Person:
    row = tx.execute(select(people).where(people.c.tenant == tenant, people.c.email == key)).one_or_none()
    if row is None:
        raise NotFoundError(f"Nobody here has the e-mail {key}.", fix=f"Say: optiinfra people set {key} ROLE.")
    return _person(row)


def _key(email: str) -> str:
    key = email.strip().lower()
    if "@" not in key or " " in key or len(key) > 255:
        raise InputError(f'"{email[:80]}" is not an e-mail address.', fix="Write it as ana@company.example.")
    return key


def _principal(row: Row[Any]) -> Principal:
    return Principal(row.email, row.tenant, row.name, Role(row.role))


def _person(row: Row[Any]) -> Person:
    return Person(
        row.email, row.email, row.name, Role(row.role), row.slack_team or "", row.slack_user or "", bool(row.active)
    )
