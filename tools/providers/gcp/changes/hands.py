"""Hands: looks at one thing of Google's, effects that Google does once per request id, and permissions asked for first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from tools.model.errors import ResourceMissingError
from tools.model.rollout import Plan
from tools.providers.changing import lacking, own_tags, step_token
from tools.providers.gcp.connection import Connection
from tools.providers.gcp.refusals import failed
from tools.providers.rest import Asking, Document

COMPUTE = "compute/v1/projects/"
# On a snapshot of ours: of which disk it is the way back.
UNDO_OF = "optiinfra-undo-of"
MOST_NAME = 63


def path_of(plan: Plan) -> str:
    """Where the thing of a plan is asked for: "compute/v1/projects/p/zones/z/disks/d"."""
    return COMPUTE + plan.resource_id.partition("/projects/")[2]


def place_of(plan: Plan) -> str:
    """The zone (or region) in which it is: "compute/v1/projects/p/zones/z"."""
    return path_of(plan).rsplit("/", 2)[0]


def name_of(plan: Plan) -> str:
    return plan.resource_id.rpartition("/")[2]


def look(connection: Connection, service: str, path: str, asking: Asking) -> Document | None:
    """The thing, or None when Google does not know it (any more)."""
    try:
        return connection.effects(service).get(path, asking)
    except ResourceMissingError:
        return None


def there(connection: Connection, service: str, path: str, what: str, permission: str) -> Document:
    """The thing; raises ResourceMissingError when it is gone."""
    found = look(connection, service, path, Asking(f"looking at {what}", permission))
    if found is None:
        raise ResourceMissingError(f"{what} does not exist any more.", fix="Collect again.")
    return found


def act(
    connection: Connection,
    method: str,
    path: str,
    asking: Asking,
    token: str,
    step: str,
    body: object = None,
) -> None:
    """An effect on Compute Engine, done once per token and step. Raises a ProviderError when it failed by now."""
    reply = connection.effects("compute").act(
        method, path, asking, body=body, parameters={"requestId": step_token(token, step)}
    )
    if (error := failed(reply.body, asking)) is not None:
        raise error


def must_be_allowed(connection: Connection, plan: Plan, permissions: tuple[str, ...]) -> None:
    """Ask Google whether the executor has all of these in the project; raises DeniedError naming the first missing."""
    asking = Asking(f"asking what may be changed in {plan.account_id}")
    for missing in sorted(set(permissions) - connection.may_change(plan.account_id, permissions, asking)):
        raise lacking("Google Cloud", missing, plan.account_id)


def labels_of(told: Mapping[str, object], key: str = "labels") -> dict[str, str]:
    """Its owner's labels."""
    found = told.get(key)
    return own_tags({str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {})


def all_labels(told: Mapping[str, object], key: str = "labels") -> dict[str, str]:
    found = told.get(key)
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def called(*parts: str) -> str:
    """A name of Google's form for something of ours, the same for the same parts."""
    whole = "-".join(parts)
    tail = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: MOST_NAME - 9].rstrip('-')}-{tail}"
