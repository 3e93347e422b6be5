"""Allowed: who a person is at this moment and whether they may do this, read in the transaction that decides."""

from __future__ import annotations

from sqlalchemy import Connection

from tools.model.access import Permission, Principal
from tools.model.errors import RefusedError
from tools.store import people

_VERB = {
    Permission.ROLLOUTS_PROPOSE: "propose rollouts",
    Permission.ROLLOUTS_APPROVE: "approve rollouts",
    Permission.ROLLOUTS_ROLLBACK: "roll back or stop rollouts",
    Permission.ADMIN: "administer this installation",
}


def check(tx: Connection, tenant: str, person: Principal, *permissions: Permission) -> Principal:
    """The person as stored now, when they have one of the permissions; raises RefusedError otherwise.

    What the caller believes about the person's role does not count, nor does a program that speaks for somebody.
    """
    same_tenant(tenant, person)
    if not person.is_human:
        raise RefusedError("not_human", "Only a person may decide this; a program may only propose.")
    known = people.by_email(tx, tenant, person.id, lock=True) if "@" in person.id else None
    if known is None:
        raise RefusedError(
            "person",
            f"{person.name or person.id} is not known here, or not active any more.",
            fix="An administrator can add people: optiinfra people set E-MAIL ROLE.",
        )
    if not any(known.may(permission) for permission in permissions):
        raise RefusedError(
            "role",
            f"{known.name} is {_article(known.role)} and may not {_VERB.get(permissions[0], permissions[0])}.",
            fix="Ask somebody who may, or an administrator for the role.",
        )
    return known


def same_tenant(tenant: str, person: Principal) -> None:
    """Raise RefusedError for somebody of another organisation, before anything is looked up for them."""
    if person.tenant != tenant:
        raise RefusedError("tenant", "You belong to another organisation than this rollout.")


def _article(role: str) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"
