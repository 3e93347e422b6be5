"""Resources: what Azure's descriptions of machines, disks, addresses and stores mean in our words; pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from tools.model.resource import Resource
from tools.providers.azure.connection import PROVIDER, inner, words
from tools.providers.rest import Document

GROUP, INSTANCE = "instance_group", "instance"


@dataclass(frozen=True, slots=True)
class Kind:
    """One list of Azure: what it holds, where, in which version, with which permission, how it becomes a resource."""

    kind: str
    path: str
    version: str
    permission: str
    what: str
    attributes: Callable[[Document], dict[str, object]]


def machine(item: Document) -> dict[str, object]:
    group = words(item, "properties", "virtualMachineScaleSet", "id")
    storage = inner(item, "properties", "storageProfile")
    disks = [inner(storage, "osDisk"), *_list(inner(storage, "dataDisks"))] if isinstance(storage, dict) else []
    zones = _list(item.get("zones"))
    return {
        "instance_type": words(item, "properties", "hardwareProfile", "vmSize"),
        "state": "unknown",
        "stopped_since": "",
        "lifecycle": "spot" if words(item, "properties", "priority") in {"Spot", "Low"} else "on_demand",
        "created_at": when(words(item, "properties", "timeCreated")),
        "zone": str(zones[0]) if zones else "",
        "group": group.rpartition("/")[2],
        "volumes": sorted(
            found for disk in disks if isinstance(disk, dict) and (found := words(disk, "managedDisk", "id"))
        ),
        "utilisation": None,
    }


def running(item: Document) -> dict[str, object]:
    """How a machine's run-time status reads: stopped by its guest, it is still paid for; deallocated, it is not."""
    statuses = [s for s in _list(inner(item, "properties", "instanceView", "statuses")) if isinstance(s, dict)]
    power = next((s for s in statuses if str(s.get("code", "")).startswith("PowerState/")), None)
    word = str(power["code"]).removeprefix("PowerState/") if power else ""
    stopped = word in {"deallocated", "stopped"}
    return {
        "state": "running" if word == "running" else "stopped" if stopped else word or "unknown",
        "billed_when_stopped": word == "stopped",
        "stopped_since": when(str(power.get("time", ""))) if power and stopped else "",
    }


def scale_set(item: Document) -> dict[str, object]:
    """A scale set's size and how it buys; its members are counted by the machines that name it, where they do."""
    profile = inner(item, "properties", "virtualMachineProfile")
    priority = words(profile, "priority") if isinstance(profile, dict) else ""
    mix = inner(item, "properties", "priorityMixPolicy")
    size = whole(inner(item, "sku", "capacity"))
    spot = priority in {"Spot", "Low"}
    share = whole(inner(mix, "regularPriorityPercentageAboveBase")) if isinstance(mix, dict) else 0 if spot else 100
    base = whole(inner(mix, "baseRegularPriorityCount")) if isinstance(mix, dict) else 0
    regular = size if not spot else min(size, base + -(-max(0, size - base) * share // 100))
    return {
        "size": size,
        "instance_types": [words(item, "sku", "name")] if words(item, "sku", "name") else [],
        "orchestration": words(item, "properties", "orchestrationMode") or "Uniform",
        "on_demand_base": base,
        "on_demand_percentage": share,
        "counts": {"spot": size - regular, "on_demand": regular},
        "counted": False,
        "members": [],
        "setting": {"priority": priority or "Regular", "priority_mix": mix if isinstance(mix, dict) else None},
        "zones": [str(zone) for zone in _list(item.get("zones"))],
    }


def disk(item: Document) -> dict[str, object]:
    host = str(item.get("managedBy") or "")
    state = words(item, "properties", "diskState")
    return {
        # A disk that several machines share names them in another field.
        "attached": bool(host) or bool(_list(item.get("managedByExtended"))) or state in {"Attached", "Reserved"},
        "instances": [host] if host else [],
        "state": state,
        "type": words(item, "sku", "name"),
        "gib": whole(inner(item, "properties", "diskSizeGB")),
        "created_at": when(words(item, "properties", "timeCreated")),
    }


def snapshot(item: Document) -> dict[str, object]:
    return {
        "volume_id": words(item, "properties", "creationData", "sourceResourceId"),
        "gib": whole(inner(item, "properties", "diskSizeGB")),
        "state": words(item, "properties", "provisioningState"),
        "created_at": when(words(item, "properties", "timeCreated")),
        "images": [],
    }


def address(item: Document) -> dict[str, object]:
    host = words(item, "properties", "ipConfiguration", "id") or words(item, "properties", "natGateway", "id")
    return {"ip": words(item, "properties", "ipAddress"), "attached": bool(host), "instance": host}


def store(item: Document) -> dict[str, object]:
    return {
        "type": words(item, "sku", "name"),
        "access_tier": words(item, "properties", "accessTier"),
        "state": words(item, "properties", "provisioningState"),
        "created_at": when(words(item, "properties", "creationTime")),
    }


def database(item: Document) -> dict[str, object]:
    return {
        "instance_type": words(item, "sku", "name"),
        "tier": words(item, "sku", "tier"),
        "capacity": whole(inner(item, "sku", "capacity")),
        "state": words(item, "properties", "status") or "unknown",
        "created_at": when(words(item, "properties", "creationDate") or words(item, "createdTime")),
    }


_COMPUTE = "2024-07-01"
LISTS = (
    Kind(
        INSTANCE, "Microsoft.Compute/virtualMachines", _COMPUTE, "Microsoft.Compute/virtualMachines/read", "machines",
        machine,
    ),
    Kind(
        GROUP, "Microsoft.Compute/virtualMachineScaleSets", _COMPUTE,
        "Microsoft.Compute/virtualMachineScaleSets/read", "scale sets", scale_set,
    ),
    Kind("volume", "Microsoft.Compute/disks", "2023-10-02", "Microsoft.Compute/disks/read", "disks", disk),
    Kind(
        "snapshot", "Microsoft.Compute/snapshots", "2023-10-02", "Microsoft.Compute/snapshots/read", "snapshots",
        snapshot,
    ),
    Kind(
        "address", "Microsoft.Network/publicIPAddresses", "2023-11-01", "Microsoft.Network/publicIPAddresses/read",
        "public addresses", address,
    ),
    Kind(
        "storage_account", "Microsoft.Storage/storageAccounts", "2023-01-01", "Microsoft.Storage/storageAccounts/read",
        "storage accounts", store,
    ),
)  # fmt: skip
DATABASE_TYPE = "microsoft.sql/servers/databases"
DATABASE = Kind("database", "", "", "Microsoft.Resources/subscriptions/resources/read", "databases", database)


def resource(account_id: str, kind: Kind, item: Document, at: datetime) -> Resource:
    """One described thing as a Resource; its id is the whole path, as bills name it."""
    id_ = str(item.get("id", ""))
    attributes = kind.attributes(item)
    tags = item.get("tags")
    basis = [id_, *(attributes.get(name) for name in ("instance_type", "attached", "size", "instance_types", "type"))]
    return Resource(
        PROVIDER,
        account_id,
        region_of(item.get("location")),
        kind.kind,
        id_,
        str(item.get("name") or id_.rpartition("/")[2]),
        tuple(sorted((str(k), str(v)) for k, v in tags.items())) if isinstance(tags, dict) else (),
        attributes,
        _fingerprint(basis),
        at,
    )


def count_members(found: Iterable[Resource]) -> None:
    """Give each scale set the machines that name it: counted, they are worth more than what its policy asks for."""
    resources = list(found)
    for group in (r for r in resources if r.kind == GROUP):
        members = [
            r for r in resources if r.kind == INSTANCE and str(r.attributes["group"]).lower() == group.name.lower()
        ]
        if members:
            spot = sum(member.attributes["lifecycle"] == "spot" for member in members)
            group.attributes["counts"] = {"spot": spot, "on_demand": len(members) - spot}
            group.attributes["members"] = sorted(member.id for member in members)
            group.attributes["counted"] = True


def region_of(location: object) -> str:
    """A region's id: "West Europe" and "westeurope" are the same."""
    return str(location or "").replace(" ", "").lower()


def when(text: str) -> str:
    """A moment as ISO text in UTC, empty when there is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def whole(value: object) -> int:
    return int(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else 0


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _fingerprint(basis: object) -> str:
    return hashlib.sha256(json.dumps(basis, sort_keys=True, default=str).encode()).hexdigest()[:32]
