"""Who may do what: principals, roles and permissions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    """What a role allows. Viewing is scoped by tenant alone."""

    COSTS_READ = "costs:read"
    ROLLOUTS_PROPOSE = "rollouts:propose"
    ROLLOUTS_APPROVE = "rollouts:approve"
    ROLLOUTS_ROLLBACK = "rollouts:rollback"
    FEEDBACK_GIVE = "feedback:give"
    ALLOCATION_CHANGE = "allocation:change"
    BUDGETS_CHANGE = "budgets:change"
    ADMIN = "admin"


class Role(StrEnum):
    """Roles build on each other, from the least to the most."""

    VIEWER = "viewer"
    REQUESTER = "requester"
    APPROVER = "approver"
    OPERATOR = "operator"
    ADMIN = "admin"


_VIEWER = frozenset({Permission.COSTS_READ, Permission.FEEDBACK_GIVE})
_REQUESTER = _VIEWER | {Permission.ROLLOUTS_PROPOSE}
_APPROVER = _REQUESTER | {
    Permission.ROLLOUTS_APPROVE,
    Permission.ROLLOUTS_ROLLBACK,
    Permission.ALLOCATION_CHANGE,
    Permission.BUDGETS_CHANGE,
}
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.REQUESTER: _REQUESTER,
    Role.APPROVER: _APPROVER,
    # An operator keeps things safe (roll back, stop) but does not approve spending changes.
    Role.OPERATOR: _REQUESTER | {Permission.ROLLOUTS_ROLLBACK},
    Role.ADMIN: _APPROVER | {Permission.ADMIN},
}


@dataclass(frozen=True, slots=True)
class Principal:
    """A person (or a program) as the product knows it. `id` is ours and stable; `name` is for showing."""

    id: str
    tenant: str
    name: str
    role: Role
    is_human: bool = True

    def may(self, permission: Permission) -> bool:
        return permission in PERMISSIONS[self.role]
