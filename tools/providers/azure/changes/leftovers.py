"""Leftovers: "azure.disk_delete" keeps a snapshot and deletes, "azure.ip_release" gives an unused address back for good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tools.model.errors import ResourceMissingError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.azure.changes import hands
from tools.providers.azure.connection import Connection, inner, words
from tools.providers.azure.resources import address, disk, whole
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    in_one_step,
    items,
    number,
    own_tags,
    planned,
    protected,
    refuse_plan,
    text,
    waits,
)
from tools.providers.rest import Asking, Document

_SIMPLE = ("Standard_LRS", "StandardSSD_LRS", "Premium_LRS", "StandardSSD_ZRS", "Premium_ZRS")
_DISK, _SNAPSHOT, _ADDRESS = (
    "Microsoft.Compute/disks",
    "Microsoft.Compute/snapshots",
    "Microsoft.Network/publicIPAddresses",
)
_ZONE, _UNDO_OF = "optiinfra-zone", "optiinfra-undo-of"


@dataclass(frozen=True, slots=True)
class DiskDelete(Acting):
    """Snapshot, wait until it is there, delete. Back: a disk of the same id, kind, size, zone and tags from it."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "azure.disk_delete"
    needs: tuple[str, ...] = (
        f"{_DISK}/beginGetAccess/action",
        f"{_DISK}/delete",
        f"{_DISK}/write",
        f"{_SNAPSHOT}/read",
        f"{_SNAPSHOT}/write",
    )
    reads: tuple[str, ...] = (
        *hands.READS,
        f"{_DISK}/read",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        kind = text(resource, "type")
        used = [] if resource.attributes.get("attached") is False else ["a machine uses it"]
        strange = (
            [] if kind in _SIMPLE else [f"a disk of kind {kind} has a speed of its own, which would not come back"]
        )
        refuse_plan(resource, [*used, *strange], "deleted")
        tags = own_tags(resource.tags)
        return planned(
            {"exists": True, "type": kind, "gib": number(resource, "gib"), "tags": tags},
            in_one_step({"exists": False}),
            {"gib": number(resource, "gib"), "type": kind, "tags": tags, "attached": False},
            "A snapshot is taken first and kept. Undo makes a disk of the same name, kind, size, zone and tags from it. The "
            "snapshot is paid for until somebody deletes it.",
            "disk",
        )

    def look(self, plan: Plan) -> Sighting:
        asking = Asking(f"looking at the disk {hands.name_of(plan)}", f"{_DISK}/read")
        told = hands.look(self.connection, plan.resource_id, hands.DISKS, asking)
        if told is None:
            return Sighting({"exists": False}, {}, 1)
        seen, tags = disk(told), hands.tags_of(told)
        setting: Setting = {"exists": True, "type": seen["type"], "gib": seen["gib"], "tags": tags}
        basis = {"gib": seen["gib"], "type": seen["type"], "tags": tags, "attached": seen["attached"]}
        return Sighting(setting, basis, 0, settled=words(told, "properties", "provisioningState") in hands.SETTLED)

    def check(self, plan: Plan, desired: Setting) -> None:
        told = self._disk(plan)
        if words(told, "properties", "encryption", "type") not in {"", "EncryptionAtRestWithPlatformKey"}:
            raise protected(hands.name_of(plan), "it is encrypted with a key of its owner, which undo would need")
        hands.refuse_protected(self.connection, plan, hands.all_tags(told), self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        # By this effect, not by an earlier one: a snapshot from before would not hold what was written since.
        name, taken = hands.name_of(plan), self._undo(plan, token)
        asking = Asking("looking for the snapshot", f"{_SNAPSHOT}/read")
        snapshot = hands.look(self.connection, taken, hands.DISKS, asking)
        if snapshot is None:
            told = self._disk(plan)
            zones = items(told.get("zones"))
            body = {
                "location": told.get("location"),
                "tags": hands.tags_of(told) | {_UNDO_OF: name} | ({_ZONE: str(zones[0])} if zones else {}),
                "properties": {
                    "creationData": {"createOption": "Copy", "sourceResourceId": plan.resource_id},
                    "incremental": True,
                },
            }
            # A PUT under a name of our own: sent twice it is one snapshot.
            asking = Asking(f"taking a snapshot of {name}", f"{_SNAPSHOT}/write")
            hands.act(self.connection, "PUT", taken, hands.DISKS, asking, body)
        if snapshot is None or not _complete(snapshot):
            raise waits(f"The snapshot of {name} is being taken; the disk goes once it is complete.")
        asking = Asking(f"deleting the disk {name}", f"{_DISK}/delete")
        hands.act(self.connection, "DELETE", plan.resource_id, hands.DISKS, asking)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["exists"]:
            return
        snapshot, name = self._snapshot(plan), hands.name_of(plan)
        if snapshot is None:
            raise ResourceMissingError(
                f"{name} cannot come back: there is no snapshot of it.",
                changed="The disk is deleted.",
                fix="Look for another backup of its data.",
            )
        zone = hands.all_tags(snapshot).get(_ZONE)
        body = {
            "location": snapshot.get("location"),
            "sku": {"name": plan.before["type"]},
            "tags": plan.before["tags"],
            "properties": {
                "creationData": {"createOption": "Copy", "sourceResourceId": words(snapshot, "id")},
                "diskSizeGB": plan.before["gib"],
            },
        } | ({"zones": [zone]} if zone else {})
        asking = Asking(f"making the disk {name} anew", f"{_DISK}/write")
        hands.act(self.connection, "PUT", plan.resource_id, hands.DISKS, asking, body)

    def _disk(self, plan: Plan) -> Document:
        what = f"The disk {hands.name_of(plan)}"
        return hands.there(self.connection, plan.resource_id, hands.DISKS, what, f"{_DISK}/read")

    def _snapshot(self, plan: Plan) -> Document | None:
        """The newest snapshot of ours of the disk."""
        subscription = plan.resource_id.partition("/resourceGroups/")[0]
        asking = Asking(f"looking for the snapshot of {hands.name_of(plan)}", f"{_SNAPSHOT}/read")
        path = f"{subscription}/providers/{_SNAPSHOT}"
        ours = [
            one
            for one in self.connection.listing(path, hands.DISKS, asking, effects=True)
            if _UNDO_OF in hands.all_tags(one)
            and words(one, "properties", "creationData", "sourceResourceId").lower() == plan.resource_id.lower()
            and _complete(one)
        ]
        return max(ours, key=lambda one: words(one, "properties", "timeCreated"), default=None)

    def _undo(self, plan: Plan, token: str) -> str:
        return hands.sibling(plan, _SNAPSHOT, hands.called("undo", hands.name_of(plan)[:40], token[:13]))


@dataclass(frozen=True, slots=True)
class IpRelease(Acting):
    """Delete a public address. There is no way back: Azure gives out another number."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "azure.ip_release"
    needs: tuple[str, ...] = (f"{_ADDRESS}/delete",)
    reads: tuple[str, ...] = (
        *hands.READS,
        f"{_ADDRESS}/read",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        used = [] if resource.attributes.get("attached") is False else ["something uses it"]
        refuse_plan(resource, used, "released")
        return planned(
            {"reserved": True, "ip": text(resource, "ip")},
            in_one_step({"reserved": False, "ip": text(resource, "ip")}),
            {"tags": own_tags(resource.tags), "attached": False},
            "There is no undo: Azure never gives the same address again. Firewalls and DNS records of others that name it "
            "are not known here.",
            "address",
        )

    def look(self, plan: Plan) -> Sighting:
        asking = Asking(f"looking at the address {hands.name_of(plan)}", f"{_ADDRESS}/read")
        told = hands.look(self.connection, plan.resource_id, hands.NETWORK, asking)
        if told is None:
            return Sighting({"reserved": False, "ip": plan.before["ip"]}, {}, 1)
        seen = address(told)
        settled = words(told, "properties", "provisioningState") in hands.SETTLED
        basis = {"tags": hands.tags_of(told), "attached": seen["attached"]}
        return Sighting({"reserved": True, "ip": seen["ip"]}, basis, 0, settled=settled)

    def check(self, plan: Plan, desired: Setting) -> None:
        told = self._address(plan)
        hands.refuse_protected(self.connection, plan, hands.all_tags(told), self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        asking = Asking(f"releasing the address {hands.name_of(plan)}", f"{_ADDRESS}/delete")
        hands.act(self.connection, "DELETE", plan.resource_id, hands.NETWORK, asking)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if not seen.setting["reserved"]:
            raise ResourceMissingError(
                f"The address {plan.before['ip']} cannot come back: Azure gives out another one.",
                changed="The address is released.",
                fix="Make a new one, and change what names the old one.",
            )

    def _address(self, plan: Plan) -> Document:
        what = f"The address {hands.name_of(plan)}"
        return hands.there(self.connection, plan.resource_id, hands.NETWORK, what, f"{_ADDRESS}/read")


def _complete(snapshot: Mapping[str, object]) -> bool:
    """An incremental snapshot may be there before its data is."""
    percent = inner(snapshot, "properties", "completionPercent")
    ready = words(snapshot, "properties", "provisioningState") == "Succeeded"
    return ready and (percent is None or whole(percent) >= 100)
