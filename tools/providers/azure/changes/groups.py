"""Groups: "azure.vmss_spot" moves a flexible scale set to spot: the mix is set, then machines are replaced and counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.model.errors import QuotaExceededError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.azure.changes import hands
from tools.providers.azure.connection import Connection, inner, words
from tools.providers.azure.resources import whole
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    in_steps,
    mapping,
    number,
    own_tags,
    planned,
    refuse_plan,
    text,
    waits,
)
from tools.providers.rest import Asking, Document

_SET, _VM = "Microsoft.Compute/virtualMachineScaleSets", "Microsoft.Compute/virtualMachines"
SPOT_QUOTA, MOVED = "lowPriorityCores", "optiinfra-moved"


@dataclass(frozen=True, slots=True)
class VmssSpot(Acting):
    """Azure does not replace machines by itself: so many are added under the new mix, then as many old ones deleted.

    A setting is {"regular_percentage", "size", "moved"}; the size is larger in between, and `moved` is a tag of ours that
    is written last, so that a half-done stage never looks like a done one. Every patch carries the set's ETag.
    """

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "azure.vmss_spot"
    needs: tuple[str, ...] = (
        f"{_SET}/delete/action",
        f"{_SET}/read",
        f"{_SET}/write",
        f"{_VM}/delete",
        f"{_VM}/read",
        f"{_VM}/write",
        "Microsoft.Network/networkInterfaces/join/action",
        "Microsoft.Network/virtualNetworks/subnets/join/action",
    )
    reads: tuple[str, ...] = (
        *hands.READS,
        "Microsoft.Compute/locations/usages/read",
        "Microsoft.Compute/locations/vmSizes/read",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        size, base = number(resource, "size"), number(resource, "on_demand_base")
        refuse_plan(resource, _obstacles(resource, size - base), "moved to spot")
        units = size - base
        return planned(
            {"regular_percentage": 100, "size": size, "moved": 0},
            in_steps(units, percents, lambda n: {"regular_percentage": share(units, n), "size": size, "moved": n}),
            {"tags": own_tags(resource.tags), "base": base},
            "The mix goes back to regular machines only; as many are added as spot ones are then deleted, so capacity stays. "
            "Deleted machines are gone with their local data; their successors are alike.",
            "machine",
        )

    def look(self, plan: Plan) -> Sighting:
        told = self._set(plan)
        members = self._members(plan)
        mix = mapping(inner(told, "properties", "priorityMixPolicy"))
        setting: Setting = {
            "regular_percentage": whole(mix.get("regularPriorityPercentageAboveBase")),
            "size": whole(inner(told, "sku", "capacity")),
            "moved": _moved(told),
        }
        spot, up = sum(map(_is_spot, members)), sum(map(_is_up, members))
        wanted = wanted_spot(setting, plan)
        settled = words(told, "properties", "provisioningState") in hands.SETTLED and up == len(members)
        basis = {"tags": hands.tags_of(told), "base": whole(mix.get("baseRegularPriorityCount"))}
        counts = {"spot": spot, "on_demand": len(members) - spot, "moving": len(members) - up}
        whole_set = settled and len(members) == setting["size"] and spot == wanted
        return Sighting(setting, basis, spot, plan.units, whole_set, counts)

    def check(self, plan: Plan, desired: Setting) -> None:
        told = self._set(plan)
        hands.refuse_protected(self.connection, plan, hands.all_tags(told), self.needs)
        self._need_quota(plan, told, wanted_spot(desired, plan) - sum(map(_is_spot, self._members(plan))))

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        self._towards(plan, desired, wanted_spot(desired, plan))

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting != plan.before or seen.changed:
            self._towards(plan, plan.before, 0)

    def _towards(self, plan: Plan, desired: Setting, wanted: int) -> None:
        """The next of: set the mix, add machines, delete as many of the other kind. Raises UnderWayError in between."""
        told, members, name = self._set(plan), self._members(plan), hands.name_of(plan)
        spot, size = sum(map(_is_spot, members)), int(str(desired["size"]))
        if sum(map(_is_up, members)) < len(members) or len(members) < whole(inner(told, "sku", "capacity")):
            hands.refuse_failed(told, f"adding machines to {name}")
            raise waits(f"Machines of {name} are on their way; the next part follows.")
        surplus = len(members) - size
        to_go = [m for m in members if _is_spot(m) is (spot > wanted)][: max(surplus, 0)]
        missing = abs(wanted - spot) if not surplus else 0
        mix = whole(inner(told, "properties", "priorityMixPolicy", "regularPriorityPercentageAboveBase"))
        if missing or mix != desired["regular_percentage"]:
            added = min(missing, at_once(size))
            # Never less than there is: Azure would choose by itself which machines to delete.
            self._patch(plan, told, {"percentage": desired["regular_percentage"], "capacity": len(members) + added})
            if added:
                raise waits(f"{added} machines are being added to {name} before as many others are deleted.")
            return
        if to_go:
            self._delete(plan, to_go)
            raise waits(f"{len(to_go)} machines of {name} are being deleted; their successors serve.")
        if _moved(told) != wanted:
            tags = {k: v for k, v in hands.all_tags(told).items() if k != MOVED} | (
                {MOVED: str(wanted)} if wanted else {}
            )
            asking = Asking(f"noting that a stage of {name} is done", f"{_SET}/write")
            hands.act(
                self.connection, "PATCH", plan.resource_id, hands.COMPUTE, asking, {"tags": tags}, words(told, "etag")
            )

    def _patch(self, plan: Plan, told: Document, wanted: dict[str, object]) -> None:
        base = whole(inner(told, "properties", "priorityMixPolicy", "baseRegularPriorityCount"))
        asking = Asking(f"changing the mix of {hands.name_of(plan)}", f"{_SET}/write")
        mix = {"baseRegularPriorityCount": base, "regularPriorityPercentageAboveBase": wanted["percentage"]}
        sku = dict(mapping(told.get("sku"))) | {"capacity": wanted["capacity"]}
        body = {"sku": sku, "properties": {"priorityMixPolicy": mix}}
        hands.act(self.connection, "PATCH", plan.resource_id, hands.COMPUTE, asking, body, words(told, "etag"))

    def _delete(self, plan: Plan, members: list[Document]) -> None:
        asking = Asking(f"deleting replaced machines of {hands.name_of(plan)}", f"{_SET}/delete/action")
        body = {"instanceIds": [words(member, "name") for member in members]}
        hands.act(self.connection, "POST", f"{plan.resource_id}/delete", hands.COMPUTE, asking, body)

    def _need_quota(self, plan: Plan, told: Document, count: int) -> None:
        """Refuse before anything is begun when the region's quota of spot cores is too small."""
        region, size = words(told, "location"), words(told, "sku", "name")
        subscription = plan.resource_id.partition("/resourceGroups/")[0]
        place = f"{subscription}/providers/Microsoft.Compute/locations/{region}"
        asking = Asking(f"reading the sizes of {region}", "Microsoft.Compute/locations/vmSizes/read")
        sizes = self.connection.listing(f"{place}/vmSizes", hands.COMPUTE, asking, effects=True)
        cores = next((whole(one.get("numberOfCores")) for one in sizes if one.get("name") == size), 0)
        asking = Asking(f"reading the quotas of {region}", "Microsoft.Compute/locations/usages/read")
        for usage in self.connection.listing(f"{place}/usages", hands.COMPUTE, asking, effects=True):
            left = whole(usage.get("limit")) - whole(usage.get("currentValue"))
            if words(usage, "name", "value") == SPOT_QUOTA and left < cores * count:
                raise QuotaExceededError(
                    f"{count} spot machines of {hands.name_of(plan)} need {cores * count} cores, and the quota of spot "
                    f"cores of {region} has {left} left.",
                    fix="Ask Microsoft for a higher quota.",
                )

    def _members(self, plan: Plan) -> list[Document]:
        """The set's machines, listed one by one with what they are and whether they run."""
        subscription = plan.resource_id.partition("/resourceGroups/")[0]
        path = f"{subscription}/providers/{_VM}"
        asking = Asking(f"counting the machines of {hands.name_of(plan)}", f"{_VM}/read")
        ours = {"$filter": f"'virtualMachineScaleSet/id' eq '{plan.resource_id}'"}
        found = self.connection.listing(path, hands.COMPUTE, asking, effects=True, **ours)
        return [
            m
            for m in found
            if words(m, "properties", "virtualMachineScaleSet", "id").lower() == plan.resource_id.lower()
        ]

    def _set(self, plan: Plan) -> Document:
        what = f"The scale set {hands.name_of(plan)}"
        return hands.there(self.connection, plan.resource_id, hands.COMPUTE, what, f"{_SET}/read")


def share(units: int, changed: int) -> int:
    """The percentage of regular machines under which `changed` of `units` may be spot; Azure rounds regular ones up."""
    return 100 * (units - changed) // units


def wanted_spot(setting: Setting, plan: Plan) -> int:
    """How many spot machines a setting of the plan means; of one that is none of its stages, what the percentage says."""
    for stage in plan.stages:
        if stage.desired["regular_percentage"] == setting["regular_percentage"]:
            return stage.units
    return plan.units - -(-plan.units * int(str(setting["regular_percentage"])) // 100)


def _moved(told: Document) -> int:
    """How many machines the last stage that was finished had moved."""
    said = hands.all_tags(told).get(MOVED, "0")
    return int(said) if said.isdigit() else 0


def at_once(size: int) -> int:
    """A fifth of the set is replaced at a time, at least one."""
    return max(1, -(-size // 5))


def _is_spot(member: Any) -> bool:
    return words(member, "properties", "priority") in {"Spot", "Low"}


def _is_up(member: Any) -> bool:
    return words(member, "properties", "provisioningState") == "Succeeded"


def _obstacles(resource: Resource, units: int) -> list[str]:
    setting, counts = mapping(resource.attributes.get("setting")), mapping(resource.attributes.get("counts"))
    found = [] if units > 0 else ["it has no machine that may change"]
    if text(resource, "orchestration") != "Flexible":
        found.append("it is not in flexible orchestration, which alone mixes spot and regular machines")
    if not mapping(setting.get("priority_mix")):
        found.append("it was made without a priority mix, which cannot be added later")
    if counts.get("spot") or resource.attributes.get("on_demand_percentage") != 100:
        found.append("a part of it is on spot already")
    return found
