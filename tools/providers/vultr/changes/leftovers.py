"""Leftovers: "vultr.block_delete", "vultr.ip_release" and "vultr.snapshot_delete" remove for good what nothing uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Basis,
    Setting,
    Sighting,
    in_one_step,
    kept,
    planned,
    protected,
    refuse_plan,
)
from tools.providers.rest import Document
from tools.providers.vultr.changes import hands
from tools.providers.vultr.connection import VIEW, Connection


@dataclass(frozen=True, slots=True)
class _Gone:
    """What the three have in common: where the thing is, what it is called, and why it does not come back."""

    path: str
    key: str
    what: str
    host: str
    why: str


_BLOCK = _Gone("blocks", "block", "block storage", "attached_to_instance", "Vultr takes no snapshots of block storage")
_ADDRESS = _Gone("reserved-ips", "reserved_ip", "address", "instance_id", "Vultr gives out another address")
_SNAPSHOT = _Gone("snapshots", "snapshot", "snapshot", "", "Vultr keeps no deleted snapshots")


class _Delete(Acting):
    """DELETE by id: sent twice it is done once. Nothing brings the thing back, so two people decide."""

    __slots__ = ()
    connection: Connection
    of: _Gone

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        attached = resource.attributes.get("attached")
        used = [] if attached is False or not self.of.host else ["something uses it"]
        images = ["an image is made of it"] if resource.attributes.get("images") else []
        refuse_plan(resource, [*used, *images], "deleted")
        return planned(
            {"exists": True},
            in_one_step({"exists": False}),
            {"label": resource.name if resource.name != resource.id else "", "attached": False},
            f"There is no undo: {self.of.why}, so what is deleted is lost for good.",
            self.of.what,
        )

    def look(self, plan: Plan) -> Sighting:
        told = self._thing(plan)
        if told is None:
            return Sighting({"exists": False}, {}, 1)
        return Sighting({"exists": True}, self._basis(told), 0)

    def check(self, plan: Plan, desired: Setting) -> None:
        label = str((self._thing(plan) or {}).get("label", ""))
        for reason in kept((word, "true") for word in label.split()):
            raise protected(plan.resource_id, reason)
        hands.refuse_protected(self.connection, plan.resource_id, {}, self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        doing = f"deleting the {self.of.what} {plan.resource_id}"
        hands.act(self.connection, "DELETE", f"/v2/{self.of.path}/{plan.resource_id}", doing, hands.CHANGE)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if not seen.setting["exists"]:
            raise hands.gone_for_good(f"The {self.of.what} {plan.resource_id}", self.of.why)

    def _thing(self, plan: Plan) -> Document | None:
        return hands.look(self.connection, self.of.path, self.of.key, plan.resource_id)

    def _basis(self, told: Document) -> Basis:
        label = str(told.get("label") or told.get("description") or "")
        return {"label": label, "attached": bool(told.get(self.of.host)) if self.of.host else False}


@dataclass(frozen=True, slots=True)
class BlockDelete(_Delete):
    """Delete block storage that hangs on nothing."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "vultr.block_delete"
    needs: tuple[str, ...] = (hands.CHANGE,)
    reads: tuple[str, ...] = (VIEW,)
    of: _Gone = _BLOCK


@dataclass(frozen=True, slots=True)
class IpRelease(_Delete):
    """Give a reserved address back."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "vultr.ip_release"
    needs: tuple[str, ...] = (hands.CHANGE,)
    reads: tuple[str, ...] = (VIEW,)
    of: _Gone = _ADDRESS


@dataclass(frozen=True, slots=True)
class SnapshotDelete(_Delete):
    """Delete an old snapshot."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "vultr.snapshot_delete"
    needs: tuple[str, ...] = (hands.CHANGE,)
    reads: tuple[str, ...] = (VIEW,)
    of: _Gone = _SNAPSHOT
