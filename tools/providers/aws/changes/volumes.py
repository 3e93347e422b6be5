"""Volumes: "aws.volume_delete" keeps a snapshot and deletes; "aws.volume_type" moves a volume to another type, online."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.model.errors import InputError, ResourceMissingError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.aws.changes import hands
from tools.providers.aws.changes.hands import COPY_OF, EFFECT, SNAPSHOT_OF, ZONE
from tools.providers.aws.connection import Connection
from tools.providers.aws.refusals import our_words
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    argument_of,
    in_one_step,
    kept,
    number,
    own_tags,
    planned,
    protected,
    refuse_plan,
    text,
    waits,
)

COOL_DOWN = timedelta(hours=6)
_GONE = frozenset({"deleting", "deleted"})
# What a gp2 volume gives by its size, which a gp3 volume must be told.
_PER_GIB, _FREE_IOPS, _MOST_IOPS = 3, 3000, 16_000
_SMALL_GIB, _SMALL_THROUGHPUT, _THROUGHPUT = 170, 125, 250


@dataclass(frozen=True, slots=True)
class VolumeDelete(Acting):
    """Snapshot, wait until it is complete, delete. Back: a new volume from it, same zone, type, speed and tags."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "aws.volume_delete"
    needs: tuple[str, ...] = ("ec2:CreateSnapshot", "ec2:CreateTags", "ec2:CreateVolume", "ec2:DeleteVolume")
    reads: tuple[str, ...] = (
        "ec2:DescribeSnapshots",
        "ec2:DescribeVolumes",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        refuse_plan(resource, _held(resource), "deleted")
        before: Setting = {"exists": True, "type": text(resource, "type"), "gib": number(resource, "gib")}
        return planned(
            before,
            in_one_step({"exists": False}),
            {"gib": before["gib"], "type": before["type"], "tags": own_tags(resource.tags), "attached": False},
            "A snapshot is taken first and kept. Undo makes a volume from it in the same zone, with the same type, speed "
            "and tags; it has another id. The snapshot is paid for until somebody deletes it.",
            "volume",
        )

    def look(self, plan: Plan) -> Sighting:
        ec2 = hands.ec2(self.connection, plan)
        with our_words(f"looking at the volume {plan.resource_id}"):
            own = ec2.describe_volumes(Filters=hands.by("volume-id", plan.resource_id))["Volumes"]
            copies = ec2.describe_volumes(Filters=hands.by(f"tag:{COPY_OF}", plan.resource_id))["Volumes"]
        for volume in (*own, *copies):
            if volume["State"] not in _GONE:
                setting: Setting = {"exists": True, "type": volume.get("VolumeType", ""), "gib": volume["Size"]}
                return Sighting(setting, _basis(volume), 0, settled=volume["State"] in {"available", "in-use"})
        return Sighting({"exists": False}, {}, 1, settled=not own)

    def check(self, plan: Plan, desired: Setting) -> None:
        act = hands.actor(self.connection, plan, "ec2")
        volume = _volume(self.connection, plan)
        if volume.get("Attachments") or volume["State"] != "available":
            raise protected(plan.resource_id, "something is attached to it again")
        for reason in kept(hands.tags_of(volume).items()):
            raise protected(plan.resource_id, reason)
        tags = hands.tagged("snapshot", {SNAPSHOT_OF: plan.resource_id})
        hands.would_be_let(act.create_snapshot, "CreateSnapshot", VolumeId=plan.resource_id, TagSpecifications=tags)
        hands.would_be_let(act.delete_volume, "DeleteVolume", VolumeId=plan.resource_id)
        zone, gib = volume["AvailabilityZone"], volume["Size"]
        hands.would_be_let(act.create_volume, "CreateVolume", AvailabilityZone=zone, Size=gib)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        act = hands.actor(self.connection, plan, "ec2")
        # By this effect, not by an earlier one: a snapshot from before would not hold what was written since.
        snapshot = self._snapshot(plan, token)
        if snapshot is None:
            volume = _volume(self.connection, plan)
            tags = hands.owners_tags(volume) | _speed(volume) | {SNAPSHOT_OF: plan.resource_id, EFFECT: token}
            with our_words(f"taking a snapshot of {plan.resource_id}"):
                act.create_snapshot(
                    VolumeId=plan.resource_id,
                    Description=f"Taken by OptiInfra before it deleted {plan.resource_id}",
                    TagSpecifications=hands.tagged("snapshot", tags),
                )
        if snapshot is None or snapshot["State"] != "completed":
            raise waits(f"The snapshot of {plan.resource_id} is being taken; the volume goes once it is complete.")
        with our_words(f"deleting the volume {plan.resource_id}"):
            act.delete_volume(VolumeId=plan.resource_id)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["exists"]:
            return
        snapshot = self._snapshot(plan)
        if snapshot is None:
            raise ResourceMissingError(
                f"{plan.resource_id} cannot come back: there is no snapshot of it.",
                changed="The volume is deleted.",
                fix="Look for another backup of its data.",
            )
        act = hands.actor(self.connection, plan, "ec2")
        with our_words(f"making {plan.resource_id} anew from {snapshot['SnapshotId']}"):
            act.create_volume(**_recipe(plan, snapshot), ClientToken=token)

    def _snapshot(self, plan: Plan, token: str = "") -> Mapping[str, Any] | None:
        """The newest snapshot that is a way back (of the effect `token`, if given); a complete one first."""
        wanted = hands.by(f"tag:{SNAPSHOT_OF}", plan.resource_id) + (hands.by(f"tag:{EFFECT}", token) if token else [])
        with our_words(f"looking for the snapshot of {plan.resource_id}"):
            pages = hands.ec2(self.connection, plan).get_paginator("describe_snapshots")
            found = [
                snapshot
                for page in pages.paginate(OwnerIds=["self"], Filters=wanted)
                for snapshot in page["Snapshots"]
                if snapshot["State"] in {"pending", "completed"}
            ]
        return max(found, key=lambda s: (s["State"] == "completed", s["StartTime"]), default=None)


@dataclass(frozen=True, slots=True)
class VolumeType(Acting):
    """gp2 to gp3 (or another type) through ModifyVolume, attached and online, never slower than before."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = "gp3"
    name: str = "aws.volume_type"
    needs: tuple[str, ...] = ("ec2:ModifyVolume",)
    reads: tuple[str, ...] = (
        "ec2:DescribeVolumes",
        "ec2:DescribeVolumesModifications",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        wanted = argument_of(self.name, self.argument, "gp3")
        old, gib = text(resource, "type"), number(resource, "gib")
        refuse_plan(resource, [f"it is of type {wanted} already"] if old == wanted else [], "given another type")
        before = _performance(old, gib, resource)
        return planned(
            before,
            in_one_step(_as_fast(wanted, before, gib)),
            {"gib": gib, "tags": own_tags(resource.tags)},
            f"The volume is set back to {old}, online. AWS lets a volume be modified again only six hours after the "
            "last time, so going back may have to wait that long.",
            "volume",
        )

    def look(self, plan: Plan) -> Sighting:
        volume = _volume(self.connection, plan)
        modification = self._modification(plan)
        setting = _setting(volume)
        return Sighting(
            setting,
            {"gib": volume["Size"], "tags": hands.owners_tags(volume)},
            changed=int(setting["type"] != plan.before["type"]),
            settled=modification.get("ModificationState") != "modifying",
        )

    def check(self, plan: Plan, desired: Setting) -> None:
        volume = _volume(self.connection, plan)
        for reason in kept(hands.tags_of(volume).items()):
            raise protected(plan.resource_id, reason)
        if again := self._cools(plan):
            raise protected(plan.resource_id, f"it was modified lately, and AWS allows that again from {again} UTC")
        act = hands.actor(self.connection, plan, "ec2")
        hands.would_be_let(act.modify_volume, "ModifyVolume", VolumeId=plan.resource_id, **_asked(desired))

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        self._modify(plan, desired)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting == plan.before:
            return
        if again := self._cools(plan):
            raise waits(f"AWS lets {plan.resource_id} be modified again only from {again} UTC; then it is set back.")
        self._modify(plan, plan.before)

    def _cools(self, plan: Plan) -> str:
        """From when on AWS allows another modification, "14:05"; empty when it does now."""
        started = self._modification(plan).get("StartTime")
        if started is None or self.now() - started.astimezone(UTC) >= COOL_DOWN:
            return ""
        return str((started.astimezone(UTC) + COOL_DOWN).strftime("%H:%M"))

    def _modify(self, plan: Plan, wanted: Setting) -> None:
        act = hands.actor(self.connection, plan, "ec2")
        with our_words(f"changing the type of {plan.resource_id}"):
            act.modify_volume(VolumeId=plan.resource_id, **_asked(wanted))

    def _modification(self, plan: Plan) -> Mapping[str, Any]:
        """The last modification that is known; {} for a volume that was never modified."""
        ec2 = hands.ec2(self.connection, plan)
        with our_words(f"looking at what was modified on {plan.resource_id}"):
            found = ec2.describe_volumes_modifications(Filters=hands.by("volume-id", plan.resource_id))
        known = [m for m in found["VolumesModifications"] if m.get("StartTime") and m["ModificationState"] != "failed"]
        return max(known, key=lambda m: m["StartTime"], default={})


def _volume(connection: Connection, plan: Plan) -> Mapping[str, Any]:
    with our_words(f"looking at the volume {plan.resource_id}"):
        found = hands.ec2(connection, plan).describe_volumes(Filters=hands.by("volume-id", plan.resource_id))
    volume = hands.there(found["Volumes"], f"The volume {plan.resource_id}")
    if volume["State"] in _GONE:
        raise ResourceMissingError(f"The volume {plan.resource_id} was deleted.", fix="Collect again.")
    return volume


def _held(resource: Resource) -> list[str]:
    free = resource.attributes.get("attached") is False and text(resource, "state") in {"", "available"}
    return [] if free else ["something is attached to it"]


def _basis(volume: Mapping[str, Any]) -> dict[str, object]:
    return {
        "gib": volume["Size"],
        "type": volume.get("VolumeType", ""),
        "tags": hands.owners_tags(volume),
        "attached": bool(volume.get("Attachments")),
    }


def _speed(volume: Mapping[str, Any]) -> dict[str, str]:
    """What the snapshot must remember beside the data: it is the only record once the volume is gone."""
    known = {
        ZONE: volume["AvailabilityZone"],
        "optiinfra:type": volume.get("VolumeType", ""),
        "optiinfra:iops": volume.get("Iops", "") if volume.get("VolumeType") in {"io1", "io2", "gp3"} else "",
        "optiinfra:throughput": volume.get("Throughput", "") if volume.get("VolumeType") == "gp3" else "",
        "optiinfra:key": volume.get("KmsKeyId", "") if volume.get("Encrypted") else "",
    }
    return {key: str(value) for key, value in known.items() if value}


def _recipe(plan: Plan, snapshot: Mapping[str, Any]) -> dict[str, Any]:
    told = hands.tags_of(snapshot)
    tags = hands.owners_tags(snapshot) | {COPY_OF: plan.resource_id}
    recipe: dict[str, Any] = {
        "SnapshotId": snapshot["SnapshotId"],
        "AvailabilityZone": told[ZONE],
        "VolumeType": told["optiinfra:type"],
        "TagSpecifications": hands.tagged("volume", tags),
    }
    for name, tag in (("Iops", "optiinfra:iops"), ("Throughput", "optiinfra:throughput")):
        if tag in told:
            recipe[name] = int(told[tag])
    return recipe | ({"Encrypted": True, "KmsKeyId": told["optiinfra:key"]} if "optiinfra:key" in told else {})


def _performance(kind: str, gib: int, resource: Resource) -> Setting:
    """What the volume gives now: gp2 by its size, the others as they were told."""
    if kind == "gp2":
        return {"type": "gp2", "iops": None, "throughput": None}
    if kind == "gp3":
        return {"type": kind, "iops": number(resource, "iops"), "throughput": number(resource, "throughput")}
    if kind in {"io1", "io2"}:
        return {"type": kind, "iops": number(resource, "iops"), "throughput": None}
    raise InputError(f"{resource.name} is of type {kind}, whose speed is not known well enough to change it safely.")


def _as_fast(kind: str, before: Setting, gib: int) -> Setting:
    """The new type with at least what the old one gave."""
    by_size = max(_FREE_IOPS, min(_MOST_IOPS, _PER_GIB * gib))
    iops = before["iops"] if isinstance(before["iops"], int) else by_size
    if kind == "gp3":
        return {"type": kind, "iops": max(_FREE_IOPS, iops), "throughput": _throughput(before, gib)}
    if kind in {"io1", "io2"}:
        return {"type": kind, "iops": iops, "throughput": None}
    raise InputError(f"{kind} is no type that a volume can be moved to safely.", fix="Name gp3, io1 or io2.")


def _throughput(before: Setting, gib: int) -> int:
    told = before["throughput"]
    if isinstance(told, int):
        return told
    return _SMALL_THROUGHPUT if before["type"] == "gp2" and gib <= _SMALL_GIB else _THROUGHPUT


def _setting(volume: Mapping[str, Any]) -> Setting:
    kind = volume.get("VolumeType", "")
    return {
        "type": kind,
        "iops": volume.get("Iops") if kind in {"gp3", "io1", "io2"} else None,
        "throughput": volume.get("Throughput") if kind == "gp3" else None,
    }


def _asked(wanted: Setting) -> dict[str, Any]:
    names = {"type": "VolumeType", "iops": "Iops", "throughput": "Throughput"}
    return {names[name]: value for name, value in wanted.items() if value is not None}
