"""Leftovers: "gcp.disk_delete" keeps a snapshot and deletes, "gcp.address_release" gives an unused address back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tools.model.errors import ProviderError, ResourceConflictError, ResourceMissingError, TransientError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    in_one_step,
    items,
    kept,
    number,
    own_tags,
    planned,
    protected,
    refuse_plan,
    text,
    waits,
)
from tools.providers.gcp.changes import hands
from tools.providers.gcp.connection import Connection
from tools.providers.gcp.describing import last, tail, utc_text, whole
from tools.providers.rest import Asking, Document

_SIMPLE = ("pd-standard", "pd-balanced", "pd-ssd")


@dataclass(frozen=True, slots=True)
class DiskDelete(Acting):
    """Snapshot, wait until it is ready, delete. Back: a disk of the same name, type, size and labels from it."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "gcp.disk_delete"
    needs: tuple[str, ...] = (
        "compute.disks.create",
        "compute.disks.createSnapshot",
        "compute.disks.delete",
        "compute.disks.setLabels",
        "compute.snapshots.create",
        "compute.snapshots.setLabels",
        "compute.snapshots.useReadOnly",
    )
    reads: tuple[str, ...] = (
        "compute.disks.get",
        "compute.snapshots.get",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        kind = text(resource, "type")
        used = [] if resource.attributes.get("attached") is False else ["a machine uses it"]
        strange = (
            [] if kind in _SIMPLE else [f"a disk of type {kind} has a speed of its own, which would not come back"]
        )
        elsewhere = [] if text(resource, "zone") else ["it lies in two zones"]
        refuse_plan(resource, [*used, *strange, *elsewhere], "deleted")
        labels = own_tags(resource.tags)
        return planned(
            {"exists": True, "type": kind, "gib": number(resource, "gib"), "labels": labels},
            in_one_step({"exists": False}),
            {"gib": number(resource, "gib"), "type": kind, "labels": labels, "attached": False},
            "A snapshot is taken first and kept. Undo makes a disk of the same name, type, size and labels from it, in the "
            "same zone. The snapshot is paid for until somebody deletes it.",
            "disk",
        )

    def look(self, plan: Plan) -> Sighting:
        asking = Asking(f"looking at the disk {hands.name_of(plan)}", "compute.disks.get")
        disk = hands.look(self.connection, "compute", hands.path_of(plan), asking)
        if disk is None:
            return Sighting({"exists": False}, {}, 1)
        labels, kind, gib = hands.labels_of(disk), last(disk.get("type")), whole(disk.get("sizeGb"))
        setting: Setting = {"exists": True, "type": kind, "gib": gib, "labels": labels}
        basis = {"gib": gib, "type": kind, "labels": labels, "attached": bool(disk.get("users"))}
        return Sighting(setting, basis, 0, settled=disk.get("status") == "READY")

    def check(self, plan: Plan, desired: Setting) -> None:
        disk = hands.there(self.connection, "compute", hands.path_of(plan), f"The disk {hands.name_of(plan)}", "")
        for reason in kept(hands.all_labels(disk).items()):
            raise protected(hands.name_of(plan), reason)
        hands.must_be_allowed(self.connection, plan, self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        # By this effect, not by an earlier one: a snapshot from before would not hold what was written since.
        name, taken = hands.name_of(plan), hands.called("undo", hands.name_of(plan), token)
        path = f"{hands.COMPUTE}{plan.account_id}/global/snapshots/{taken}"
        asking = Asking("looking for the snapshot", "compute.snapshots.get")
        snapshot = hands.look(self.connection, "compute", path, asking)
        if snapshot is None:
            asking = Asking(f"taking a snapshot of {name}", "compute.disks.createSnapshot")
            body = {"name": taken, "labels": {hands.UNDO_OF: name}}
            hands.act(self.connection, "POST", f"{hands.path_of(plan)}/createSnapshot", asking, token, "snapshot", body)
        if snapshot is None or snapshot.get("status") != "READY":
            raise waits(f"The snapshot of {name} is being taken; the disk goes once it is ready.")
        asking = Asking(f"deleting the disk {name}", "compute.disks.delete")
        hands.act(self.connection, "DELETE", hands.path_of(plan), asking, token, "delete")

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["exists"]:
            return
        snapshot, name, place = self._snapshot(plan), hands.name_of(plan), hands.place_of(plan)
        if snapshot is None:
            raise ResourceMissingError(
                f"{name} cannot come back: there is no snapshot of it.",
                changed="The disk is deleted.",
                fix="Look for another backup of its data.",
            )
        link = place.removeprefix("compute/v1/")
        body = {
            "name": name,
            "sourceSnapshot": snapshot["selfLink"],
            "type": f"{link}/diskTypes/{plan.before['type']}",
            "sizeGb": str(plan.before["gib"]),
            "labels": plan.before["labels"],
        }
        asking = Asking(f"making the disk {name} anew", "compute.disks.create")
        hands.act(self.connection, "POST", f"{place}/disks", asking, token, "create", body)

    def _snapshot(self, plan: Plan) -> Document | None:
        """The newest snapshot of ours of the disk."""
        name = hands.name_of(plan)
        asking = Asking(f"looking for the snapshot of {name}", "compute.snapshots.list")
        path, found = f"{hands.COMPUTE}{plan.account_id}/global/snapshots", list[Document]()
        wanted = f"labels.{hands.UNDO_OF}={name}"
        for page in self.connection.pages("compute", path, asking, effects=True, filter=wanted, maxResults="500"):
            found += items(page.get("items"))
        # A disk of that name may be in another zone too.
        ours = [s for s in found if hands.all_labels(s).get(hands.UNDO_OF) == name]
        ours = [s for s in ours if tail(s.get("sourceDisk")) == tail(plan.resource_id) and s.get("status") == "READY"]
        return max(ours, key=lambda s: utc_text(s.get("creationTimestamp")), default=None)


@dataclass(frozen=True, slots=True)
class AddressRelease(Acting):
    """Give a reserved address back. Back: ask for the same one, which Google grants only while nobody has it."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "gcp.address_release"
    needs: tuple[str, ...] = ("compute.addresses.create", "compute.addresses.delete", "compute.addresses.setLabels")
    reads: tuple[str, ...] = ("compute.addresses.get",)

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        used = [] if resource.attributes.get("attached") is False else ["something uses it"]
        inside = (
            [] if resource.attributes.get("external") is not False else ["it is an inner address, which costs nothing"]
        )
        refuse_plan(resource, [*used, *inside], "released")
        labels = own_tags(resource.tags)
        return planned(
            {"reserved": True, "ip": text(resource, "ip"), "labels": labels},
            in_one_step({"reserved": False, "ip": text(resource, "ip"), "labels": {}}),
            {"attached": False},
            "The same address is asked for again under its name; Google grants it only as long as no other customer has it. "
            "Firewalls and DNS records of others that name it are not known here.",
            "address",
        )

    def look(self, plan: Plan) -> Sighting:
        asking = Asking(f"looking at the address {hands.name_of(plan)}", "compute.addresses.get")
        told = hands.look(self.connection, "compute", hands.path_of(plan), asking)
        if told is None:
            return Sighting({"reserved": False, "ip": plan.before["ip"], "labels": {}}, {"attached": False}, 1)
        attached = bool(told.get("users")) or told.get("status") == "IN_USE"
        setting: Setting = {"reserved": True, "ip": str(told.get("address", "")), "labels": hands.labels_of(told)}
        return Sighting(setting, {"attached": attached}, 0, settled=told.get("status") != "RESERVING")

    def check(self, plan: Plan, desired: Setting) -> None:
        told = hands.there(self.connection, "compute", hands.path_of(plan), f"The address {hands.name_of(plan)}", "")
        for reason in kept(hands.all_labels(told).items()):
            raise protected(hands.name_of(plan), reason)
        hands.must_be_allowed(self.connection, plan, self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        asking = Asking(f"releasing the address {hands.name_of(plan)}", "compute.addresses.delete")
        hands.act(self.connection, "DELETE", hands.path_of(plan), asking, token, "release")

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["reserved"]:
            return
        body = {"name": hands.name_of(plan), "address": plan.before["ip"], "labels": plan.before["labels"]}
        asking = Asking(f"asking for the address {plan.before['ip']} again", "compute.addresses.create")
        try:
            hands.act(self.connection, "POST", f"{hands.place_of(plan)}/addresses", asking, token, "reserve", body)
        except (ResourceConflictError, TransientError):
            raise
        except ProviderError as error:
            if type(error) is not ProviderError:
                raise
            raise ResourceMissingError(
                f"The address {plan.before['ip']} cannot come back: Google does not give it to this project any more.",
                changed="The address is released.",
                fix="Reserve another one, and change what names the old one.",
            ) from error
