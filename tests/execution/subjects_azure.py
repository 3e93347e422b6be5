"""Subjects of Azure's changes: the sandbox's machines, disks, stores and database, a scale set and an address beside them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from sandbox.clouds import azure as fake
from sandbox.clouds.azure_acting import ADDRESS, DATABASES, EXECUTOR_TOKEN, SET, STORE, VM, World
from sandbox.faults import fault_of
from tests.conftest import NOW
from tests.execution.conformance import Facts, Subject, hasty
from tools.model.resource import Resource
from tools.providers import registry
from tools.providers.azure.connection import Connection, sub_account
from tools.providers.azure.inventory import AzureInventory
from tools.settings import Settings

SIZE = 6


class AzureSide:
    """The sandbox's Azure past the product: its documents, its time and its troubles."""

    def __init__(self, url: str, cloud: fake.AzureCloud) -> None:
        self.cloud = cloud
        self.world: World = cloud.cloud.world
        self.world.forget()
        self.world.line.speed = 0
        group = next(iter(self.world.things.values()))["id"].partition("/providers/")[0]
        self.set_id = f"{group}/providers/{SET}/loyalty-web"
        self.address_id = f"{group}/providers/{ADDRESS}/old-vpn"
        self.world.scale_set(self.set_id, "westeurope", SIZE)
        self.world.things[self.address_id.lower()] = {
            "id": self.address_id,
            "name": "old-vpn",
            "type": ADDRESS,
            "location": "westeurope",
            "tags": {},
            "properties": {"ipAddress": "203.0.113.80", "provisioningState": "Succeeded"},
        }
        self.settings = Settings(
            _env_file=None,
            azure_endpoint=url,
            azure_subscriptions=fake.SUBSCRIPTIONS,
            azure_token=fake.TOKEN,
            azure_executor_token=EXECUTOR_TOKEN,
        )
        cloud.faults.clear()
        self.change: Any = registry.change(self.settings, "azure.disk_delete")
        hasty(self.change.connection.rest, self.change.connection.effects)

    def fail(self, kind: str, permission: str, times: int | None = None) -> None:
        self.cloud.faults.add(fault_of({"kind": kind, "action": permission, "times": times, "seconds": 0}, rest=True))

    def heal(self) -> None:
        self.cloud.faults.clear()
        self.world.short.sold_out.clear()
        self.world.short.full.clear()

    def first(self, kind: str) -> dict[str, Any]:
        return next(
            t for t in self.world.things.values() if t["type"] == kind and not t["name"].startswith("loyalty-web")
        )

    def resource(self, id_: str) -> Resource:
        """As inventory sees it."""
        seen = _FOUND.setdefault(self.settings.azure_endpoint, {})
        if id_ not in seen:
            connection: Connection = self.change.connection
            inventory = AzureInventory(connection, lambda: NOW)
            for subscription in fake.SUBSCRIPTIONS:
                seen.update({r.id: r for r in inventory.resources(sub_account(subscription))})
        return seen[id_]

    def subject(
        self, wanted: str, id_: str, facts: Callable[[], Facts], effects: tuple[str, ...], **more: Any
    ) -> Subject:
        def tagged() -> None:
            self.world.things[id_.lower()].setdefault("tags", {})["owner"] = "somebody"

        more.setdefault("drift", tagged)
        return Subject(
            wanted,
            self.settings,
            self.resource(id_),
            facts,
            fail=self.fail,
            heal=self.heal,
            wait=lambda: self.world.line.pass_(181),
            effects=effects,
            side=self,
            **more,
        )


_FOUND: dict[str, dict[str, Resource]] = {}
JOIN = {"Microsoft.Network/networkInterfaces/join/action", "Microsoft.Network/virtualNetworks/subnets/join/action"}


def group(side: AzureSide, wanted: str) -> Subject:
    def facts() -> Facts:
        told = side.world.things[side.set_id.lower()]
        members = side.world._members(told)
        tags = {k: v for k, v in told["tags"].items() if not k.startswith("optiinfra")}
        spot = sum(m["properties"]["priority"] == "Spot" for m in members)
        return {"spot": spot, "all": len(members), "set": (told["sku"], told["properties"], tags)}

    effects = (f"{SET}/write", f"{SET}/delete/action")
    return side.subject(
        wanted, side.set_id, facts, effects, short=lambda: side.world.short.full.add("lowPriorityCores")
    )


def machine(side: AzureSide, wanted: str) -> Subject:
    id_ = side.first(VM)["id"]

    def facts() -> Facts:
        return {"machine": {k: v for k, v in side.world.things[id_.lower()].items() if k != "_failed"}}

    effects = (f"{VM}/write",) if "_D" in wanted else (f"{VM}/deallocate/action", f"{VM}/write", f"{VM}/start/action")
    return side.subject(
        wanted, id_, facts, effects, short=lambda: side.world.short.sold_out.add(wanted.partition(":")[2])
    )


def disk(side: AzureSide, wanted: str) -> Subject:
    id_ = side.first("Microsoft.Compute/disks")["id"]

    def facts() -> Facts:
        told = side.world.things.get(id_.lower())
        known = ("id", "name", "type", "location", "tags", "zones")
        return {
            "disk": told and [{k: told.get(k) for k in known}, told["sku"]["name"], told["properties"]["diskSizeGB"]]
        }

    def copies() -> int:
        return sum(t["type"] == "Microsoft.Compute/snapshots" for t in side.world.things.values())

    kind = "Microsoft.Compute/disks"
    effects = ("Microsoft.Compute/snapshots/write", f"{kind}/delete", f"{kind}/write")
    return side.subject(
        wanted, id_, facts, effects, silent=frozenset({"Microsoft.Compute/snapshots/read"}), copies=copies
    )


def address(side: AzureSide, wanted: str) -> Subject:
    def facts() -> Facts:
        return {"address": copy.deepcopy(side.world.things.get(side.address_id.lower()))}

    return side.subject(wanted, side.address_id, facts, (f"{ADDRESS}/delete",), lost=True)


def database(side: AzureSide, wanted: str) -> Subject:
    id_ = side.first(DATABASES)["id"]

    def facts() -> Facts:
        told = side.world.things[id_.lower()]
        return {"sku": told["sku"], "status": told["properties"]["status"], "tags": told.get("tags")}

    return side.subject(
        wanted, id_, facts, (f"{DATABASES}/write",), short=lambda: side.world.short.sold_out.add("GP_Gen5_4")
    )


def store(side: AzureSide, wanted: str) -> Subject:
    id_ = side.first(STORE)["id"]
    expire = {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 400}}}
    own = {"enabled": True, "name": "expire", "type": "Lifecycle", "definition": {"actions": expire}}
    side.world.things[id_.lower()]["_rules"] = [own]

    def facts() -> Facts:
        return {"store": side.world.things[id_.lower()]}

    return side.subject(
        wanted,
        id_,
        facts,
        (f"{STORE}/managementPolicies/write",),
        silent=frozenset({f"{STORE}/managementPolicies/delete"}),
    )


SUBJECTS: dict[str, Callable[[AzureSide, str], Subject]] = {
    "azure.vmss_spot": group,
    "azure.vm_size:Standard_D2s_v5": machine,
    "azure.vm_size:Standard_E4s_v5": machine,
    "azure.disk_delete": disk,
    "azure.ip_release": address,
    "azure.sql_sku:GP_Gen5_4": database,
    "azure.blob_lifecycle:cool@30": store,
}
