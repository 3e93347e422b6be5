"""Hands: looks at one thing of Vultr's, effects sent once, and machines that are made at most once without a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tools.model.errors import ProviderError, ResourceMissingError, TransientError
from tools.providers.changing import items, kept, lacking, protected, waits
from tools.providers.rest import Asking, Document, not_as_described
from tools.providers.vultr.connection import PROVIDER, VIEW, Connection

CHANGE, MAKE, BALANCERS = "subscriptions", "provisioning", "loadbalancer"
# How long a machine that was asked for may take to show up in the list. Vultr knows no tokens: until then it is not
# asked for again.
SETTLE = timedelta(minutes=10)
_ASKED = " asked-for:"
# Tags by which a successor is found and knows which addresses it takes over.
INSTEAD, ROAD = "optiinfra:instead-of:", "optiinfra:address:"
OUR_MARKS = (INSTEAD, ROAD)


def look(connection: Connection, kind: str, key: str, id_: str) -> Document | None:
    """The thing, or None when Vultr does not know it (any more)."""
    asking = Asking(f"looking at {kind} {id_}", VIEW)
    try:
        told = connection.effects.get(f"/v2/{kind}/{id_}", asking).get(key)
    except ResourceMissingError:
        return None
    if not isinstance(told, dict):
        raise not_as_described(PROVIDER, asking.doing)
    return told


def act(connection: Connection, method: str, path: str, doing: str, permission: str, body: object = None) -> Document:
    """One effect."""
    reply = connection.effects.act(method, path, Asking(doing, permission), body=body)
    return reply.body if isinstance(reply.body, dict) else {}


def refuse_protected(connection: Connection, what: str, tags: Mapping[str, str], needs: tuple[str, ...]) -> None:
    """Raise for a tag that keeps it, or a permission that the key for changes lacks."""
    for reason in kept(tags.items()):
        raise protected(what, reason)
    held = connection.account(effects=True).permissions
    for permission in needs:
        if permission not in held:
            raise lacking(PROVIDER, permission, "the account")


def tags_of(told: Mapping[str, object]) -> dict[str, str]:
    """Tags as key and value; a word alone is a key that says yes."""
    pairs = (str(word).replace("=", ":", 1).partition(":") for word in items(told.get("tags")))
    return {key: value if mark else "true" for key, mark, value in pairs}


def gone_for_good(what: str, why: str) -> ResourceMissingError:
    """There is no way back."""
    return ResourceMissingError(
        f"{what} cannot come back: {why}.", changed="It is deleted.", fix="Look for another backup of its data."
    )


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes a machine from a snapshot at most once: that it was asked for is written on the snapshot before."""

    connection: Connection
    now: Callable[[], datetime]

    def snapshot(self, described: str) -> Document | None:
        """The newest snapshot of ours whose description begins so, with or without a note of what was asked for."""
        asking = Asking("looking for a snapshot", VIEW)
        found = self.connection.listing("/v2/snapshots", "snapshots", asking, effects=True)
        ours = [one for one in found if str(one.get("description", "")).startswith(described)]
        return max(ours, key=lambda one: str(one.get("date_created")), default=None)

    def take(self, instance_id: str, described: str) -> None:
        """Ask for a snapshot. One too many costs storage only, and is found under the same description."""
        body = {"instance_id": instance_id, "description": described}
        act(self.connection, "POST", "/v2/snapshots", f"taking a snapshot of {instance_id}", MAKE, body)

    def make(self, snapshot: Document, machine: dict[str, object], what: str) -> None:
        """Ask for the machine, unless it was asked for lately: then UnderWayError until it shows up or time has passed."""
        described, _, asked = str(snapshot.get("description", "")).partition(_ASKED)
        if asked and self.now() - datetime.fromisoformat(asked) < SETTLE:
            raise waits(
                f"{what} was asked for at {asked[11:16]} UTC; it is not asked for again before it had time to show."
            )
        self._note(snapshot, f"{described}{_ASKED}{self.now().isoformat()}")
        try:
            body = machine | {"snapshot_id": snapshot["id"]}
            act(self.connection, "POST", "/v2/instances", f"making {what}", MAKE, body)
        except TransientError:
            raise
        except ProviderError:
            # A certain no: it may be asked for again at any time.
            self._note(snapshot, described)
            raise

    def machines(self, chosen: Callable[[Document], bool]) -> list[Document]:
        """Machines of the account that are meant."""
        asking = Asking("looking for machines", VIEW)
        return [m for m in self.connection.listing("/v2/instances", "instances", asking, effects=True) if chosen(m)]

    def _note(self, snapshot: Document, description: str) -> None:
        path = f"/v2/snapshots/{snapshot['id']}"
        act(self.connection, "PUT", path, "noting what was asked for", CHANGE, {"description": description})


def alive(machine: Mapping[str, object]) -> bool:
    """Whether a machine is made and runs."""
    return (machine.get("status"), machine.get("power_status")) == ("active", "running") and machine.get(
        "server_status"
    ) in {"ok", None}


def like(machine: Mapping[str, object], *marks: str) -> dict[str, object]:
    """What a successor takes over of a machine; `marks` are the tags by which it is found and knows what to take over."""
    words = [str(word) for word in items(machine.get("tags")) if not str(word).startswith(OUR_MARKS)]
    return {
        "region": machine.get("region"),
        "plan": machine.get("plan"),
        "label": machine.get("label"),
        "hostname": machine.get("hostname"),
        "tags": [*words, *marks],
    } | ({"firewall_group_id": machine["firewall_group_id"]} if machine.get("firewall_group_id") else {})
