"""Describing: what Google says of a thing as one of our resources; pure, and the same name as on the bill."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tools.model.resource import Resource
from tools.providers.gcp.connection import PROVIDER
from tools.providers.rest import Document

GROUP, INSTANCE, VOLUME, SNAPSHOT, ADDRESS = "instance_group", "instance", "volume", "snapshot", "address"
DATABASE, BUCKET, COMMITMENT = "database", "bucket", "commitment"
_STATES = {"RUNNING": "running", "TERMINATED": "stopped", "STOPPED": "stopped"}
_BUSY_ACTIONS = frozenset({"none"})


@dataclass(frozen=True, slots=True)
class Describer:
    """Makes resources of one project out of Google's descriptions."""

    project: str
    at: datetime

    def instance(self, told: Document, use: Mapping[str, object] | None) -> Resource:
        scheduling = _object(told.get("scheduling"))
        spot = scheduling.get("provisioningModel") == "SPOT" or scheduling.get("preemptible") is True
        addresses = [
            str(access["natIP"])
            for network in _objects(told.get("networkInterfaces"))
            for access in _objects(network.get("accessConfigs"))
            if access.get("natIP")
        ]
        state = str(told.get("status", ""))
        attributes: dict[str, object] = {
            "instance_type": last(told.get("machineType")),
            "state": _STATES.get(state, state.lower()),
            "stopped_since": utc_text(told.get("lastStopTimestamp")) if state in {"TERMINATED", "STOPPED"} else "",
            "lifecycle": "spot" if spot else "on_demand",
            "launched_at": utc_text(told.get("lastStartTimestamp") or told.get("creationTimestamp")),
            "zone": last(told.get("zone")),
            "group": last(maker_of(told)),
            "volumes": sorted(
                full_name(disk["source"]) for disk in _objects(told.get("disks")) if isinstance(disk.get("source"), str)
            ),
            "addresses": addresses,
            "utilisation": dict(use) if use is not None else None,
        }
        basis = [told.get("id"), attributes["instance_type"], attributes["state"]]
        return self._compute(INSTANCE, told, attributes, basis)

    def disk(self, told: Document) -> Resource:
        users = sorted(full_name(user) for user in _texts(told.get("users")))
        attributes: dict[str, object] = {
            "attached": bool(users),
            "instances": users,
            "state": str(told.get("status", "")).lower(),
            "type": last(told.get("type")),
            "gib": whole(told.get("sizeGb")),
            "created_at": utc_text(told.get("creationTimestamp")),
            "detached_at": utc_text(told.get("lastDetachTimestamp")) if not users else "",
            "zone": last(told.get("zone")),
        }
        basis = [told.get("id"), users, attributes["gib"], attributes["type"]]
        return self._compute(VOLUME, told, attributes, basis)

    def snapshot(self, told: Document, images: list[str]) -> Resource:
        attributes: dict[str, object] = {
            "volume_id": full_name(str(told["sourceDisk"])) if told.get("sourceDisk") else "",
            "gib": whole(told.get("diskSizeGb")),
            "billed_gib": -(-whole(told.get("storageBytes")) // (1 << 30)),
            "state": str(told.get("status", "")).lower(),
            "created_at": utc_text(told.get("creationTimestamp")),
            "images": images,
        }
        return self._compute(SNAPSHOT, told, attributes, [told.get("id"), attributes["state"], images])

    def address(self, told: Document) -> Resource:
        users = sorted(full_name(user) for user in _texts(told.get("users")))
        attributes: dict[str, object] = {
            "ip": str(told.get("address", "")),
            "attached": bool(users) or told.get("status") == "IN_USE",
            "instance": users[0] if users else "",
            "external": told.get("addressType", "EXTERNAL") == "EXTERNAL",
        }
        return self._compute(ADDRESS, told, attributes, [told.get("id"), attributes["attached"]])

    def group(self, told: Document, members: list[Resource]) -> Resource:
        """`members` are the group's instances as they were listed: counted, never taken from the group's setting."""
        running = [m for m in members if m.attributes["state"] == "running"]
        spot = sum(m.attributes["lifecycle"] == "spot" for m in running)
        actions = {name: whole(n) for name, n in _object(told.get("currentActions")).items()}
        template = last(told.get("instanceTemplate"))
        attributes: dict[str, object] = {
            "size": whole(told.get("targetSize")),
            "instance_types": sorted({str(m.attributes["instance_type"]) for m in members}),
            "counts": {"spot": spot, "on_demand": len(running) - spot},
            "moving": sum(n for name, n in actions.items() if name not in _BUSY_ACTIONS),
            "stable": _object(told.get("status")).get("isStable") is True,
            "zones": sorted({str(m.attributes["zone"]) for m in members}),
            "template": template,
            "template_asks_for_spot": bool(members) and spot == len(running),
            "setting": {
                "instance_template": str(told.get("instanceTemplate") or ""),
                "versions": _objects(told.get("versions")),
                "update_policy": _object(told.get("updatePolicy")),
            },
            "members": sorted(m.id for m in members),
        }
        return self._compute(GROUP, told, attributes, [told.get("id"), attributes["size"]])

    def commitment(self, told: Document) -> Resource:
        """A committed use discount that was bought: how much of what, until when. Memory is told in MiB."""
        amounts = {
            str(one.get("type", "")).lower(): whole(one.get("amount")) for one in _objects(told.get("resources"))
        }
        attributes: dict[str, object] = {
            "state": str(told.get("status", "")).lower(),
            "plan": str(told.get("plan", "")).lower(),
            "category": str(told.get("type", "")).lower(),
            "amounts": amounts,
            "starts_at": utc_text(told.get("startTimestamp")),
            "ends_at": utc_text(told.get("endTimestamp")),
            "renews": told.get("autoRenew") is True,
        }
        return self._compute(COMMITMENT, told, attributes, [told.get("id"), attributes["state"], amounts])

    def database(self, told: Document) -> Resource:
        settings = _object(told.get("settings"))
        state, policy = str(told.get("state", "")), str(settings.get("activationPolicy", ""))
        attributes: dict[str, object] = {
            "instance_type": str(settings.get("tier", "")),
            "engine": str(told.get("databaseVersion", "")),
            # A database that was switched off stays RUNNABLE: its activation policy tells.
            "state": "stopped" if policy == "NEVER" else "running" if state == "RUNNABLE" else state.lower(),
            "highly_available": settings.get("availabilityType") == "REGIONAL",
            "disk_gib": whole(settings.get("dataDiskSizeGb")),
            "created_at": utc_text(told.get("createTime")),
        }
        name = str(told.get("name", ""))
        id_ = f"//cloudsql.googleapis.com/projects/{self.project}/instances/{name}"
        basis = [name, attributes["instance_type"], attributes["state"], attributes["disk_gib"]]
        region = str(told.get("region", ""))
        return self._resource(DATABASE, id_, name, region, settings.get("userLabels"), attributes, basis)

    def bucket(self, told: Document) -> Resource:
        name = str(told.get("name", ""))
        rules = _objects(_object(told.get("lifecycle")).get("rule"))
        attributes: dict[str, object] = {
            "storage_class": str(told.get("storageClass", "")),
            "location_type": str(told.get("locationType", "")),
            "created_at": utc_text(told.get("timeCreated")),
            "versioning": _object(told.get("versioning")).get("enabled") is True,
            "autoclass": _object(told.get("autoclass")).get("enabled") is True,
            "lifecycle_rules": rules,
        }
        id_ = f"//storage.googleapis.com/projects/_/buckets/{name}"
        region = str(told.get("location", "")).lower()
        return self._resource(BUCKET, id_, name, region, told.get("labels"), attributes, [name, rules])

    def _compute(self, kind: str, told: Document, attributes: dict[str, object], basis: object) -> Resource:
        name = str(told.get("name", ""))
        return self._resource(
            kind,
            full_name(str(told.get("selfLink", name))),
            name,
            region_of(told),
            told.get("labels"),
            attributes,
            basis,
        )

    def _resource(
        self, kind: str, id_: str, name: str, region: str, labels: object, attributes: dict[str, object], basis: object
    ) -> Resource:
        """`basis` is what the fingerprint covers: everything that a rollout does not set itself."""
        tags = tuple(sorted((str(k), str(v)) for k, v in _object(labels).items()))
        return Resource(
            PROVIDER, self.project, region, kind, id_, name or id_, tags, attributes, _digest(basis), self.at
        )


def full_name(link: str) -> str:
    """A resource's full name, as bills write it: "//compute.googleapis.com/projects/p/zones/z/disks/d"."""
    _, found, path = link.partition("/projects/")
    return f"//compute.googleapis.com/projects/{path}" if found else link


def last(link: object) -> str:
    """The last part of a link: a zone's, type's or template's own name."""
    return str(link or "").rpartition("/")[2]


def region_of(told: Mapping[str, object]) -> str:
    """The region of a thing in a zone ("europe-west1-b") or a region, or where it is stored; "global" for the rest."""
    if told.get("zone"):
        return last(told["zone"]).rpartition("-")[0]
    places = _texts(told.get("storageLocations"))
    return last(told.get("region")) or (places[0] if len(places) == 1 else "global")


def maker_of(told: Mapping[str, object]) -> str:
    """The managed group that made an instance, by the metadata that Google leaves on it; empty for one of its own."""
    for item in _objects(_object(told.get("metadata")).get("items")):
        if item.get("key") == "created-by" and "/instanceGroupManagers/" in str(item.get("value", "")):
            return str(item["value"])
    return ""


def tail(link: object) -> str:
    """Place, collection and name of a link, "zones/z/instanceGroupManagers/g": links differ in how they name projects."""
    return "/".join(str(link or "").split("/")[-4:])


def whole(value: object) -> int:
    """Google writes 64-bit numbers as text; 0 where there is none."""
    text = str(value if value is not None else 0)
    return int(text) if text.lstrip("-").isdigit() else 0


def utc_text(value: object) -> str:
    """A moment with any offset, in UTC; empty when Google tells none."""
    try:
        return datetime.fromisoformat(str(value or "")).astimezone(UTC).isoformat()
    except ValueError:
        return ""


def images_by_snapshot(images: Iterable[Document]) -> dict[str, list[str]]:
    """Full name of a snapshot -> names of the images that were made from it."""
    used: dict[str, list[str]] = {}
    for image in images:
        if image.get("sourceSnapshot"):
            used.setdefault(full_name(str(image["sourceSnapshot"])), []).append(str(image.get("name", "")))
    return used


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Document]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _digest(basis: object) -> str:
    return hashlib.sha256(json.dumps(basis, sort_keys=True, default=str).encode()).hexdigest()[:16]
