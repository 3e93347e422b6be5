"""Hands: looks at one thing of Azure's, effects bound to its ETag, and locks and permissions asked for first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fnmatch import fnmatchcase

from tools.model.errors import CapacityUnavailableError, ProviderError, ResourceMissingError
from tools.model.rollout import Plan
from tools.providers.azure.connection import CAPACITY, Connection, inner, words
from tools.providers.changing import items, kept, lacking, mapping, own_tags, protected
from tools.providers.rest import Asking, Document, Reply

COMPUTE, DISKS, NETWORK, SQL, STORAGE = "2024-07-01", "2023-10-02", "2023-11-01", "2021-11-01", "2023-01-01"
AUTHORIZATION, LOCKS = "2022-04-01", "2020-05-01"
# What every change asks for first.
READS = ("Microsoft.Authorization/locks/read", "Microsoft.Authorization/permissions/read")
SETTLED = frozenset({"Succeeded", "Failed", "Canceled", ""})


def look(connection: Connection, id_: str, version: str, asking: Asking, **parameters: str) -> Document | None:
    """The thing, or None when Azure does not know it (any more)."""
    try:
        return connection.effects.get(id_, asking, **{"api-version": version}, **parameters)
    except ResourceMissingError:
        return None


def there(connection: Connection, id_: str, version: str, what: str, permission: str, **parameters: str) -> Document:
    """The thing; raises ResourceMissingError when it is gone."""
    found = look(connection, id_, version, Asking(f"looking at {what}", permission), **parameters)
    if found is None:
        raise ResourceMissingError(f"{what} does not exist any more.", fix="Collect again.")
    return found


def act(
    connection: Connection,
    method: str,
    id_: str,
    version: str,
    asking: Asking,
    body: object = None,
    etag: str = "",
) -> Reply:
    """One effect; with `etag` only as long as the thing is the one that was looked at."""
    return connection.effects.act(
        method,
        id_,
        asking,
        parameters={"api-version": version},
        body=body,
        headers={"If-Match": etag} if etag else None,
    )


def refuse_protected(connection: Connection, plan: Plan, tags: Mapping[str, str], needs: tuple[str, ...]) -> None:
    """Raise for a tag that keeps it, a lock on it or above it, or a permission that the executor lacks."""
    name = plan.resource_id.rpartition("/")[2]
    for reason in kept(tags.items()):
        raise protected(name, reason)
    asking = Asking(f"looking for locks on {name}", "Microsoft.Authorization/locks/read")
    told = look(connection, f"{plan.resource_id}/providers/Microsoft.Authorization/locks", LOCKS, asking) or {}
    for lock in items(told.get("value")):
        raise protected(name, f"it has the lock {words(lock, 'name')} ({words(lock, 'properties', 'level')})")
    asking = Asking("asking what may be changed", "Microsoft.Authorization/permissions/read")
    group = plan.resource_id.partition("/providers/")[0]
    path = f"{group}/providers/Microsoft.Authorization/permissions"
    roles = items(connection.effects.get(path, asking, **{"api-version": AUTHORIZATION}).get("value"))
    for action in needs:
        if not any(_allows(mapping(role), action) for role in roles):
            raise lacking("Azure", action, group.rpartition("/")[2])


def refuse_failed(told: Mapping[str, object], doing: str) -> None:
    """Raise what an operation that Azure had accepted failed of, where it says so."""
    if words(told, "properties", "provisioningState") != "Failed":
        return
    statuses = items(inner(told, "properties", "instanceView", "statuses"))
    codes = {str(mapping(status).get("code", "")).rpartition("/")[2] for status in statuses}
    if codes & CAPACITY:
        raise CapacityUnavailableError(f"Azure has no capacity of the kind asked for while {doing}.")
    raise ProviderError(f"Azure began and gave up: {doing}.", fix="The activity log of the resource tells why.")


def tags_of(told: Mapping[str, object]) -> dict[str, str]:
    """Its owner's tags."""
    return own_tags(all_tags(told))


def all_tags(told: Mapping[str, object]) -> dict[str, str]:
    return {str(k): str(v) for k, v in mapping(told.get("tags")).items()}


def name_of(plan: Plan) -> str:
    return plan.resource_id.rpartition("/")[2]


def sibling(plan: Plan, kind: str, name: str) -> str:
    """The id of something of ours in the same resource group."""
    return f"{plan.resource_id.partition('/providers/')[0]}/providers/{kind}/{name}"


def called(*parts: str) -> str:
    """A name for something of ours, the same for the same parts."""
    whole = "-".join(parts)
    return f"{whole[:60]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _allows(role: Mapping[str, object], action: str) -> bool:
    return _matches(role.get("actions"), action) and not _matches(role.get("notActions"), action)


def _matches(patterns: object, action: str) -> bool:
    return any(fnmatchcase(action.lower(), str(pattern).lower()) for pattern in items(patterns))
