"""Machines: "azure.vm_size" gives one virtual machine another size, in place where its host can, else deallocated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tools.model.errors import CapacityUnavailableError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.azure.changes import hands
from tools.providers.azure.connection import Connection, inner, words
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    argument_of,
    in_one_step,
    items,
    mapping,
    own_tags,
    planned,
    refuse_plan,
    text,
    waits,
)
from tools.providers.rest import Asking, Document

_VM = "Microsoft.Compute/virtualMachines"
_SKUS = "Microsoft.Compute/skus"
_RESTS = frozenset({"running", "stopped"})


@dataclass(frozen=True, slots=True)
class VmSize(Acting):
    """PATCH of hardwareProfile.vmSize under the machine's ETag; it restarts. Deallocated first where its host must change."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "azure.vm_size"
    needs: tuple[str, ...] = (f"{_VM}/deallocate/action", f"{_VM}/start/action", f"{_VM}/write")
    reads: tuple[str, ...] = (
        *hands.READS,
        f"{_SKUS}/read",
        f"{_VM}/read",
        f"{_VM}/vmSizes/read",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        wanted = argument_of(self.name, self.argument, "Standard_D2s_v5")
        old = text(resource, "instance_type")
        obstacles = [f"its size is {wanted} already"] if old == wanted else []
        if text(resource, "group"):
            obstacles.append(f"the scale set {text(resource, 'group')} decides on its size")
        if text(resource, "lifecycle") == "spot":
            obstacles.append("it is spot capacity")
        if text(resource, "state") != "running":
            obstacles.append(f"it is {text(resource, 'state') or 'in an unknown state'}")
        refuse_plan(resource, obstacles, "given another size")
        return planned(
            {"vm_size": old, "state": "running"},
            in_one_step({"vm_size": wanted, "state": "running"}),
            {"tags": own_tags(resource.tags)},
            f"Its size is set back to {old}. Each way restarts it, its temporary disk is emptied, and where its host must "
            f"change Azure may have no {old} at that moment.",
            "machine",
        )

    def look(self, plan: Plan) -> Sighting:
        told = self._machine(plan)
        size, state = words(told, "properties", "hardwareProfile", "vmSize"), _power(told)
        settled = state in _RESTS and words(told, "properties", "provisioningState") in hands.SETTLED
        changed = int(size != plan.before["vm_size"])
        return Sighting({"vm_size": size, "state": state}, {"tags": hands.tags_of(told)}, changed, settled=settled)

    def check(self, plan: Plan, desired: Setting) -> None:
        told, wanted = self._machine(plan), str(desired["vm_size"])
        if not self._in_place(plan, wanted) and not self._sold(plan, told, wanted):
            raise CapacityUnavailableError(f"Azure does not offer {wanted} to this subscription in that region now.")
        hands.refuse_protected(self.connection, plan, hands.all_tags(told), self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        self._step(plan, str(desired["vm_size"]), seen)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting != plan.before:
            self._step(plan, str(plan.before["vm_size"]), seen)

    def _step(self, plan: Plan, wanted: str, seen: Sighting) -> None:
        """The next of deallocate, change, start. Raises UnderWayError while the machine is between states."""
        name, state, size = hands.name_of(plan), seen.setting["state"], seen.setting["vm_size"]
        if not seen.settled:
            raise waits(f"{name} is changing; the next part follows.")
        if state == "running" and size != wanted and not self._in_place(plan, wanted):
            self._do(plan, "deallocate")
            raise waits(f"{name} is being deallocated; then it becomes {wanted} and is started.")
        told = self._machine(plan)
        if size != wanted:
            asking = Asking(f"changing the size of {name}", f"{_VM}/write")
            body = {"properties": {"hardwareProfile": {"vmSize": wanted}}}
            hands.act(self.connection, "PATCH", plan.resource_id, hands.COMPUTE, asking, body, words(told, "etag"))
            if state == "stopped":
                raise waits(f"{name} becomes {wanted}; then it is started.")
            return
        hands.refuse_failed(told, f"starting {name}")
        if state == "stopped":
            self._do(plan, "start")

    def _do(self, plan: Plan, verb: str) -> None:
        asking = Asking(f"asking {hands.name_of(plan)} to {verb}", f"{_VM}/{verb}/action")
        hands.act(self.connection, "POST", f"{plan.resource_id}/{verb}", hands.COMPUTE, asking)

    def _in_place(self, plan: Plan, wanted: str) -> bool:
        """Whether the machine's present host has that size."""
        asking = Asking(f"asking which sizes {hands.name_of(plan)} can have", f"{_VM}/vmSizes/read")
        told = hands.look(self.connection, f"{plan.resource_id}/vmSizes", hands.COMPUTE, asking) or {}
        return any(mapping(size).get("name") == wanted for size in items(told.get("value")))

    def _sold(self, plan: Plan, told: Document, wanted: str) -> bool:
        """Whether the subscription can have that size in the region at all."""
        subscription = plan.resource_id.partition("/resourceGroups/")[0]
        place = f"location eq '{words(told, 'location')}'"
        skus = self.connection.listing(
            f"{subscription}/providers/{_SKUS}",
            "2021-07-01",
            Asking("reading which sizes are sold", f"{_SKUS}/read"),
            effects=True,
            **{"$filter": place},
        )
        return any(sku.get("name") == wanted and not items(sku.get("restrictions")) for sku in skus)

    def _machine(self, plan: Plan) -> Document:
        what = f"The machine {hands.name_of(plan)}"
        more = {"$expand": "instanceView"}
        return hands.there(self.connection, plan.resource_id, hands.COMPUTE, what, f"{_VM}/read", **more)


def _power(told: Mapping[str, object]) -> str:
    codes = [str(mapping(s).get("code", "")) for s in items(inner(told, "properties", "instanceView", "statuses"))]
    power = next((code.partition("/")[2] for code in codes if code.startswith("PowerState/")), "unknown")
    return "stopped" if power in {"deallocated", "stopped"} else power
