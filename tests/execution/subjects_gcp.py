"""Subjects of Google Cloud's changes: the sandbox's groups, machines, disks, databases and buckets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.clouds import gcp as fake
from sandbox.clouds.gcp_acting import EXECUTOR_TOKEN, World
from sandbox.clouds.gcp_things import ML, PROJECTS, WEB
from sandbox.faults import fault_of
from tests.execution.conformance import Facts, Subject, hasty
from tools.model.resource import Resource
from tools.providers import registry
from tools.providers.gcp.connection import Connection
from tools.providers.gcp.inventory import GcpInventory
from tools.settings import Settings


class GcpSide:
    """The sandbox's Google Cloud past the product: its documents, its time and its troubles."""

    def __init__(self, url: str, cloud: fake.GcpCloud) -> None:
        self.cloud = cloud
        self.world: World = cloud.cloud.world
        self.world.forget()
        self.world.line.speed = 0
        self.settings = Settings(
            _env_file=None,
            gcp_endpoint=url,
            gcp_projects=PROJECTS,
            gcp_token=fake.TOKEN,
            gcp_executor_token=EXECUTOR_TOKEN,
        )
        cloud.faults.clear()
        connection: Any = registry.change(self.settings, "gcp.disk_delete")
        hasty(*connection.connection.services.values(), *connection.connection.executors.values())

    def fail(self, kind: str, permission: str, times: int | None = None) -> None:
        self.cloud.faults.add(fault_of({"kind": kind, "action": permission, "times": times, "seconds": 0}, rest=True))

    def heal(self) -> None:
        self.cloud.faults.clear()
        self.world.short.sold_out.clear()
        self.world.short.full.clear()

    def thing(self, collection: str, project: str, name: str) -> dict[str, Any] | None:
        return next((t for t in self.world.things[collection][project] if t["name"] == name), None)

    def of(self, resource: Resource) -> dict[str, Any]:
        """The document of what inventory saw."""
        kinds = {
            "instance_group": "instanceGroupManagers",
            "instance": "instances",
            "volume": "disks",
            "address": "addresses",
            "database": "databases",
        }
        found = self.thing(kinds[resource.kind], resource.account_id, resource.name)
        assert found is not None
        return found

    def resource(self, kind: str, project: str, name: str) -> Resource:
        """As inventory sees it."""
        from tests.conftest import NOW

        inventory = GcpInventory.of(_connection(self.settings), lambda: NOW)
        return next(r for r in _seen(inventory, project) if (r.kind, r.name) == (kind, name))

    def subject(
        self,
        wanted: str,
        resource: Resource,
        facts: Callable[[], Facts],
        effects: tuple[str, ...],
        drift: Callable[[], None],
        **more: Any,
    ) -> Subject:
        return Subject(
            wanted,
            self.settings,
            resource,
            facts,
            fail=self.fail,
            heal=self.heal,
            wait=lambda: self.world.line.pass_(181),
            effects=effects,
            side=self,
            drift=drift,
            **more,
        )


_CONNECTIONS: dict[str, Connection] = {}
_FOUND: dict[tuple[str, str], tuple[Resource, ...]] = {}


def _connection(settings: Settings) -> Connection:
    return _CONNECTIONS.setdefault(settings.gcp_endpoint, Connection.of(settings))


def _seen(inventory: GcpInventory, project: str) -> tuple[Resource, ...]:
    """Read once: the sandbox's things are the same at the start of every test."""
    key = (next(iter(inventory.connection.services.values())).base, project)
    if key not in _FOUND:
        _FOUND[key] = inventory.resources(project)
    return _FOUND[key]


def kept(document: dict[str, Any] | None, *without: str) -> dict[str, Any] | None:
    return document and {k: v for k, v in document.items() if k not in {"id", "creationTimestamp", *without}}


def group(side: GcpSide, wanted: str) -> Subject:
    def facts() -> Facts:
        members = [m for m in side.world.things["instances"][ML] if m["name"].startswith("render-")]
        spot = [m for m in members if m["scheduling"]["provisioningModel"] == "SPOT"]
        told = side.thing("instanceGroupManagers", ML, "render") or {}
        templates = {v["instanceTemplate"].rpartition("/")[2]: v.get("targetSize") for v in told["versions"]}
        own = {name: size for name, size in templates.items() if not name.startswith("optiinfra")}
        return {"spot": len(spot), "all": len(members), "own": sorted(own), "policy": told["updatePolicy"]}

    def drift() -> None:
        told = side.thing("instanceGroupManagers", ML, "render") or {}
        told["versions"] = [{"instanceTemplate": told["instanceTemplate"].replace("render-1", "render-2")}]

    return side.subject(
        wanted,
        side.resource("instance_group", ML, "render"),
        facts,
        ("compute.instanceTemplates.create", "compute.instanceGroupManagers.update"),
        drift,
        short=lambda: side.world.short.full.add("PREEMPTIBLE_CPUS"),
    )


def machine(side: GcpSide, wanted: str) -> Subject:
    def facts() -> Facts:
        told = side.thing("instances", WEB, "web-1") or {}
        return {"machine": kept(told), "reserved": len(side.world.things["reservations"][WEB])}

    def drift() -> None:
        (side.thing("instances", WEB, "web-1") or {})["labels"]["owner"] = "somebody"

    return side.subject(
        wanted,
        side.resource("instance", WEB, "web-1"),
        facts,
        (
            "compute.reservations.create",
            "compute.instances.stop",
            "compute.instances.setMachineType",
            "compute.instances.start",
            "compute.reservations.delete",
        ),
        drift,
        short=lambda: side.world.short.sold_out.add("n2-standard-2"),
    )


def disk(side: GcpSide, wanted: str) -> Subject:
    def facts() -> Facts:
        return {"disk": kept(side.thing("disks", WEB, "old-web-data"), "lastDetachTimestamp", "sourceSnapshot")}

    def drift() -> None:
        (side.thing("disks", WEB, "old-web-data") or {})["labels"]["owner"] = "somebody"

    return side.subject(
        wanted,
        side.resource("volume", WEB, "old-web-data"),
        facts,
        ("compute.disks.createSnapshot", "compute.disks.delete", "compute.disks.create"),
        drift,
        copies=lambda: sum(s["name"].startswith("undo-") for s in side.world.things["snapshots"][WEB]),
    )


def address(side: GcpSide, wanted: str) -> Subject:
    def facts() -> Facts:
        told = side.thing("addresses", WEB, "old-campaign")
        return {"address": told and {k: told[k] for k in ("name", "address", "addressType", "region", "status")}}

    def drift() -> None:
        told = side.thing("addresses", WEB, "old-campaign") or {}
        told |= {"status": "IN_USE", "users": ["https://example/forwardingRules/new"]}

    return side.subject(
        wanted,
        side.resource("address", WEB, "old-campaign"),
        facts,
        ("compute.addresses.delete", "compute.addresses.create"),
        drift,
    )


def database(side: GcpSide, wanted: str) -> Subject:
    def facts() -> Facts:
        told = side.thing("databases", WEB, "content") or {}
        return {"state": told["state"], **{k: v for k, v in told["settings"].items() if k != "settingsVersion"}}

    def drift() -> None:
        told = side.thing("databases", WEB, "content") or {}
        told["settings"]["userLabels"]["owner"] = "somebody"

    return side.subject(
        wanted,
        side.resource("database", WEB, "content"),
        facts,
        ("cloudsql.instances.update",),
        drift,
        short=lambda: side.world.short.sold_out.add("db-custom-4-16384"),
    )


def bucket(side: GcpSide, wanted: str) -> Subject:
    def facts() -> Facts:
        return {"bucket": kept(side.thing("buckets", "lumen-analytics", "lumen-exports-tmp"), "metageneration")}

    def drift() -> None:
        told = side.thing("buckets", "lumen-analytics", "lumen-exports-tmp") or {}
        moved = {"action": {"type": "SetStorageClass", "storageClass": "ARCHIVE"}, "condition": {"age": 400}}
        told["lifecycle"]["rule"].append(moved)
        told["metageneration"] = "2"

    return side.subject(
        wanted,
        side.resource("bucket", "lumen-analytics", "lumen-exports-tmp"),
        facts,
        ("storage.buckets.update",),
        drift,
    )


SUBJECTS: dict[str, Callable[[GcpSide, str], Subject]] = {
    "gcp.mig_spot": group,
    "gcp.machine_type:n2-standard-2": machine,
    "gcp.disk_delete": disk,
    "gcp.address_release": address,
    "gcp.sql_tier:db-custom-4-16384": database,
    "gcp.bucket_lifecycle:NEARLINE@30": bucket,
}
