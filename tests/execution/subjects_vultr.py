"""Subjects of Vultr's changes: the sandbox's machines, disks, addresses and snapshots."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from sandbox.clouds import vultr as fake
from sandbox.clouds.vultr_acting import EXECUTOR_KEY, World
from sandbox.faults import fault_of
from tests.conftest import NOW
from tests.execution.conformance import Facts, Subject, hasty
from tools.model.resource import Resource
from tools.providers import registry
from tools.providers.vultr.inventory import VultrInventory
from tools.settings import Settings

BETTER = "voc-m-2c-16gb-400s"


class VultrSide:
    """The sandbox's Vultr past the product: its documents, its time and its troubles."""

    def __init__(self, url: str, cloud: fake.VultrCloud) -> None:
        self.cloud = cloud
        self.world: World = cloud.cloud.world
        self.world.forget()
        self.world.line.speed = 0
        self.settings = Settings(
            _env_file=None, vultr_endpoint=url, vultr_api_key=fake.API_KEY, vultr_executor_api_key=EXECUTOR_KEY
        )
        cloud.faults.clear()
        self.change: Any = registry.change(self.settings, "vultr.block_delete")
        hasty(self.change.connection.rest, self.change.connection.effects)

    def fail(self, kind: str, permission: str, times: int | None = None) -> None:
        self.cloud.faults.add(fault_of({"kind": kind, "action": permission, "times": times, "seconds": 0}, rest=True))

    def heal(self) -> None:
        self.cloud.faults.clear()
        self.world.short.sold_out.clear()

    def thing(self, collection: str, name: str) -> dict[str, Any] | None:
        found = self.world.things[collection]
        return next((t for t in found if name in {t.get("label"), t.get("description")}), None)

    def resource(self, kind: str, name: str) -> Resource:
        """As inventory sees it."""
        seen = _FOUND.setdefault(self.settings.vultr_endpoint, {})
        if not seen:
            found = VultrInventory(self.change.connection, lambda: NOW).resources("Lumen")
            seen.update({(r.kind, r.name): r for r in found})
        return seen[kind, name]

    def subject(
        self, wanted: str, resource: Resource, facts: Callable[[], Facts], effects: tuple[str, ...], **more: Any
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
            **more,
        )


_FOUND: dict[str, dict[tuple[str, str], Resource]] = {}


def leftover(side: VultrSide, wanted: str) -> Subject:
    kind, collection, name = {
        "vultr.block_delete": ("volume", "blocks", "old-edge-logs"),
        "vultr.ip_release": ("address", "reserved-ips", "edge-spare-ip"),
        "vultr.snapshot_delete": ("snapshot", "snapshots", "edge-golden-2024"),
    }[wanted]

    def facts() -> Facts:
        return {"thing": copy.deepcopy(side.thing(collection, name)), "all": len(side.world.things[collection])}

    def drift() -> None:
        told = side.thing(collection, name) or {}
        word = "description" if collection == "snapshots" else "label"
        told[word] = "still needed"

    return side.subject(wanted, side.resource(kind, name), facts, ("subscriptions",), drift=drift, lost=True)


def machine(side: VultrSide, wanted: str) -> Subject:
    replaced = wanted.startswith("vultr.plan_change")
    balanced = (side.thing("load-balancers", "edge-lb") or {})["instances"]
    name = next(
        m["label"] for m in side.world.things["instances"] if m["id"] == balanced[1]
    ) if replaced else "edge-old-halted"  # fmt: skip
    if replaced:
        side.resource("instance", name)  # seen before the address was given to it
        (side.thing("reserved-ips", "edge-spare-ip") or {})["instance_id"] = balanced[1]

    def facts() -> Facts:
        machines = [m for m in side.world.things["instances"] if m["label"] == name]
        ids = [m["id"] for m in machines]
        return {
            "machines": [
                (
                    m["plan"],
                    m["region"],
                    m["power_status"] if replaced else "",
                    sorted(t for t in m["tags"] if "optiinfra" not in t),
                )
                for m in machines
            ],
            "balanced": sum(id_ in (side.thing("load-balancers", "edge-lb") or {})["instances"] for id_ in ids),
            "address": (side.thing("reserved-ips", "edge-spare-ip") or {})["instance_id"] in ids,
        }

    def drift() -> None:
        (side.thing("instances", name) or {})["tags"].append("owner:somebody")

    seen = side.resource("instance", name)
    if not replaced:

        def copies() -> int:
            return sum("optiinfra undo" in s["description"] for s in side.world.things["snapshots"])

        return side.subject(wanted, seen, facts, ("provisioning", "subscriptions"), drift=drift, copies=copies)
    return side.subject(
        wanted,
        seen,
        facts,
        ("provisioning", "subscriptions", "loadbalancer"),
        drift=drift,
        short=lambda: side.world.short.sold_out.add(BETTER),
    )


SUBJECTS: dict[str, Callable[[VultrSide, str], Subject]] = {
    f"vultr.plan_change:{BETTER}": machine,
    "vultr.block_delete": leftover,
    "vultr.ip_release": leftover,
    "vultr.snapshot_delete": leftover,
    "vultr.instance_snapshot_destroy": machine,
}
