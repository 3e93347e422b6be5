"""Hands: AWS's clients for one plan, calls that are only asked about (DryRun), and the tags that changes leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tools.model.errors import ResourceMissingError
from tools.model.rollout import Plan
from tools.providers.aws.connection import Connection
from tools.providers.aws.refusals import our_words
from tools.providers.changing import own_tags

# On a snapshot: of which volume it is the way back, and for which effect it was taken. On a volume: of which one it is
# the copy.
SNAPSHOT_OF, EFFECT = "optiinfra:undo-of", "optiinfra:effect"
COPY_OF, ZONE = "optiinfra:restored-from", "optiinfra:zone"


def key(connection: Connection, plan: Plan) -> str:
    """The account whose role is taken; without configured accounts the credentials' own account is meant."""
    return plan.account_id if connection.accounts else ""


def reader(connection: Connection, plan: Plan, service: str) -> Any:
    """A client in the reader's role, for looks."""
    return connection.client(service, key(connection, plan), plan.region)


def actor(connection: Connection, plan: Plan, service: str) -> Any:
    """A client in the executor's role that never repeats a call by itself."""
    return connection.client(service, key(connection, plan), plan.region, effects=True)


def ec2(connection: Connection, plan: Plan) -> Any:
    return reader(connection, plan, "ec2")


def would_be_let(call: Callable[..., object], doing: str, **arguments: object) -> None:
    """Ask EC2 whether it would let a call through, without doing it; raises DeniedError when not."""
    from botocore.exceptions import ClientError

    with our_words(f"asking whether we may: {doing}"):
        try:
            call(**arguments, DryRun=True)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "DryRunOperation":
                raise


def tags_of(described: Mapping[str, Any]) -> dict[str, str]:
    """All tags of a described thing."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in described.get("Tags") or []}


def owners_tags(described: Mapping[str, Any]) -> dict[str, str]:
    """Its owner's tags, without AWS's and ours."""
    return own_tags(tags_of(described))


def tagged(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """A TagSpecification."""
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in sorted(tags.items())]}]


def by(name: str, *values: str) -> Any:
    """A Filter; asked by filter, an id that is gone gives an empty list instead of an error."""
    return [{"Name": name, "Values": list(values)}]


def there(found: Iterable[Mapping[str, Any]], what: str) -> Mapping[str, Any]:
    """The first, or ResourceMissingError."""
    for one in found:
        return one
    raise ResourceMissingError(
        f"{what} does not exist any more.", fix="Collect again; the recommendation will go away."
    )
