"""Leftovers: "aws.snapshot_delete" and "aws.address_release" remove what nothing uses; coming back is luck, and said so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.model.errors import CapacityUnavailableError, ResourceMissingError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.aws.changes import hands
from tools.providers.aws.connection import Connection
from tools.providers.aws.refusals import our_words
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
)


@dataclass(frozen=True, slots=True)
class SnapshotDelete(Acting):
    """Delete a snapshot. Back: only from the account's Recycle Bin, where a retention rule kept it."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "aws.snapshot_delete"
    needs: tuple[str, ...] = ("ec2:DeleteSnapshot", "ec2:RestoreSnapshotFromRecycleBin")
    reads: tuple[str, ...] = (
        "ec2:DescribeImages",
        "ec2:DescribeSnapshots",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        used = [f"the image {image} is made of it" for image in items(resource.attributes.get("images"))]
        taken = text(resource, "state") in {"", "completed"}
        refuse_plan(resource, [*used, *([] if taken else ["it is not complete"])], "deleted")
        return planned(
            {"exists": True},
            in_one_step({"exists": False}),
            {"gib": number(resource, "gib"), "tags": own_tags(resource.tags)},
            "A deleted snapshot comes back only where a Recycle Bin rule of the account kept it. Otherwise its data is lost "
            "for good.",
            "snapshot",
        )

    def look(self, plan: Plan) -> Sighting:
        snapshot = self._snapshot(plan)
        if snapshot is None:
            return Sighting({"exists": False}, {}, 1)
        basis = {"gib": snapshot["VolumeSize"], "tags": hands.owners_tags(snapshot)}
        return Sighting({"exists": True}, basis, 0, settled=snapshot["State"] == "completed")

    def check(self, plan: Plan, desired: Setting) -> None:
        ec2, act = hands.ec2(self.connection, plan), hands.actor(self.connection, plan, "ec2")
        for reason in kept(hands.tags_of(self._snapshot(plan) or {}).items()):
            raise protected(plan.resource_id, reason)
        with our_words(f"looking which images are made of {plan.resource_id}"):
            images = ec2.describe_images(
                Owners=["self"],
                Filters=hands.by("block-device-mapping.snapshot-id", plan.resource_id),
            )["Images"]
        if images:
            raise protected(plan.resource_id, f"the image {images[0]['ImageId']} is made of it")
        hands.would_be_let(act.delete_snapshot, "DeleteSnapshot", SnapshotId=plan.resource_id)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        with our_words(f"deleting the snapshot {plan.resource_id}"):
            hands.actor(self.connection, plan, "ec2").delete_snapshot(SnapshotId=plan.resource_id)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["exists"]:
            return
        act = hands.actor(self.connection, plan, "ec2")
        try:
            with our_words(f"taking {plan.resource_id} out of the Recycle Bin"):
                act.restore_snapshot_from_recycle_bin(SnapshotId=plan.resource_id)
        except ResourceMissingError as error:
            raise ResourceMissingError(
                f"{plan.resource_id} cannot come back: it is not in the Recycle Bin.",
                changed="The snapshot is deleted.",
                fix="Look for another backup of its data.",
            ) from error

    def _snapshot(self, plan: Plan) -> Mapping[str, Any] | None:
        with our_words(f"looking at the snapshot {plan.resource_id}"):
            found = hands.ec2(self.connection, plan).describe_snapshots(
                OwnerIds=["self"],
                Filters=hands.by("snapshot-id", plan.resource_id),
            )["Snapshots"]
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class AddressRelease(Acting):
    """Release an Elastic IP. Back: AWS gives the same address again as long as nobody else got it."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "aws.address_release"
    needs: tuple[str, ...] = ("ec2:AllocateAddress", "ec2:CreateTags", "ec2:ReleaseAddress")
    reads: tuple[str, ...] = ("ec2:DescribeAddresses",)

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        attached = [] if resource.attributes.get("attached") is False else ["something uses it"]
        refuse_plan(resource, [*attached, *([] if text(resource, "ip") else ["its address is not known"])], "released")
        tags = own_tags(resource.tags)
        return planned(
            {"allocated": True, "ip": text(resource, "ip"), "tags": tags},
            in_one_step({"allocated": False, "ip": text(resource, "ip"), "tags": {}}),
            {"attached": False},
            "The address is asked for again; AWS gives it back only as long as no other customer got it, under another "
            "allocation id. Firewalls and DNS records of others that name it are not known here.",
            "address",
        )

    def look(self, plan: Plan) -> Sighting:
        ip = str(plan.before["ip"])
        address = self._address(plan)
        if address is None:
            return Sighting({"allocated": False, "ip": ip, "tags": {}}, {"attached": False}, 1)
        attached = bool(address.get("AssociationId") or address.get("InstanceId"))
        setting: Setting = {"allocated": True, "ip": ip, "tags": hands.owners_tags(address)}
        return Sighting(setting, {"attached": attached}, 0)

    def check(self, plan: Plan, desired: Setting) -> None:
        act = hands.actor(self.connection, plan, "ec2")
        address = self._address(plan) or {}
        for reason in kept(hands.tags_of(address).items()):
            raise protected(plan.resource_id, reason)
        hands.would_be_let(act.release_address, "ReleaseAddress", AllocationId=address.get("AllocationId", ""))
        hands.would_be_let(act.allocate_address, "AllocateAddress", Domain="vpc")

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        address = self._address(plan)
        if address is not None:
            with our_words(f"releasing the address {plan.before['ip']}"):
                hands.actor(self.connection, plan, "ec2").release_address(AllocationId=address["AllocationId"])

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["allocated"]:
            return
        tags = plan.before["tags"]
        named = hands.tagged("elastic-ip", tags) if isinstance(tags, dict) and tags else []
        try:
            # An address exists once: asking twice for the same one cannot give two.
            with our_words(f"asking for the address {plan.before['ip']} again"):
                hands.actor(self.connection, plan, "ec2").allocate_address(
                    Domain="vpc", Address=plan.before["ip"], TagSpecifications=named
                )
        except (ResourceMissingError, CapacityUnavailableError) as error:
            raise ResourceMissingError(
                f"The address {plan.before['ip']} cannot come back: AWS does not give it to this account any more.",
                changed="The address is released.",
                fix="Allocate another one, and change what names the old one.",
            ) from error

    def _address(self, plan: Plan) -> Mapping[str, Any] | None:
        """By its number, not by its id: an address that came back has another id."""
        with our_words(f"looking at the address {plan.before['ip']}"):
            found = hands.ec2(self.connection, plan).describe_addresses(
                Filters=hands.by("public-ip", str(plan.before["ip"]))
            )["Addresses"]
        return found[0] if found else None
