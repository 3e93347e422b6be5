"""Machines: "gcp.machine_type" gives one virtual machine another type - reserve, stop, change, start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tools.model.errors import InputError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    argument_of,
    in_one_step,
    items,
    kept,
    mapping,
    own_tags,
    planned,
    protected,
    refuse_plan,
    text,
    waits,
)
from tools.providers.gcp.changes import hands
from tools.providers.gcp.connection import Connection
from tools.providers.gcp.describing import last
from tools.providers.rest import Asking

# Reserved capacity ends by itself, should nobody give it back.
RESERVED_SECONDS = 3600
_STATES = {"RUNNING": "running", "TERMINATED": "stopped", "STOPPED": "stopped"}


@dataclass(frozen=True, slots=True)
class MachineType(Acting):
    """Reserve a machine of the new type, stop the old one, set its type, start it, give the reservation back."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "gcp.machine_type"
    needs: tuple[str, ...] = (
        "compute.instances.setMachineType",
        "compute.instances.start",
        "compute.instances.stop",
        "compute.machineTypes.get",
        "compute.reservations.create",
        "compute.reservations.delete",
        "compute.reservations.get",
    )
    reads: tuple[str, ...] = ("compute.instances.get",)

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        wanted = argument_of(self.name, self.argument, "e2-standard-4")
        old = text(resource, "instance_type")
        obstacles = [f"it is of type {wanted} already"] if old == wanted else []
        if text(resource, "group"):
            obstacles.append(f"the group {text(resource, 'group')} makes its machines from a template")
        if text(resource, "lifecycle") == "spot":
            obstacles.append("it is spot capacity")
        if text(resource, "state") != "running":
            obstacles.append(f"it is {text(resource, 'state') or 'in an unknown state'}")
        refuse_plan(resource, obstacles, "given another type")
        return planned(
            {"machine_type": old, "state": "running"},
            in_one_step({"machine_type": wanted, "state": "running"}),
            {"labels": own_tags(resource.tags)},
            f"It is stopped, set back to {old} and started. Each way is an interruption of some minutes, an ephemeral "
            f"address changes, and Google may have no {old} in the zone at that moment.",
            "machine",
        )

    def look(self, plan: Plan) -> Sighting:
        told = self._machine(plan)
        kind, status = last(told.get("machineType")), str(told.get("status", ""))
        setting: Setting = {"machine_type": kind, "state": _STATES.get(status, status.lower())}
        changed = int(kind != plan.before["machine_type"])
        return Sighting(setting, {"labels": hands.labels_of(told)}, changed, settled=status in _STATES)

    def check(self, plan: Plan, desired: Setting) -> None:
        told, name = self._machine(plan), hands.name_of(plan)
        for reason in kept(hands.all_labels(told).items()):
            raise protected(name, reason)
        if any(mapping(disk).get("type") == "SCRATCH" for disk in items(told.get("disks"))):
            raise protected(name, "it has local disks, and stopping it would empty them")
        wanted = desired["machine_type"]
        asking = Asking(f"looking whether {wanted} exists in the zone of {name}", "compute.machineTypes.get")
        path = f"{hands.place_of(plan)}/machineTypes/{wanted}"
        if hands.look(self.connection, "compute", path, asking) is None:
            raise InputError(f"There is no {wanted} in the zone of {name}.", fix="Choose another type.")
        hands.must_be_allowed(self.connection, plan, self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        wanted = str(desired["machine_type"])
        if seen.setting["machine_type"] != wanted:
            # Before anything is stopped: without capacity of the new type it could not be started again.
            self._reserve(plan, wanted, token)
        self._step(plan, wanted, token, seen)
        self._give_back(plan, token)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting != plan.before:
            self._step(plan, str(plan.before["machine_type"]), token, seen)
        self._give_back(plan, token)

    def _step(self, plan: Plan, wanted: str, token: str, seen: Sighting) -> None:
        """The next of stop, change, start. Raises UnderWayError while the machine is between states."""
        name, state, kind = hands.name_of(plan), seen.setting["state"], seen.setting["machine_type"]
        if kind != wanted:
            if state == "running":
                self._do(plan, "stop", token)
            if state != "stopped":
                raise waits(f"{name} is being stopped; then it becomes {wanted} and is started.")
            link = f"{hands.place_of(plan).partition('/projects/')[2].partition('/')[2]}/machineTypes/{wanted}"
            self._do(plan, "setMachineType", token, {"machineType": link})
            raise waits(f"{name} becomes {wanted}; then it is started.")
        if state == "stopped":
            self._do(plan, "start", token)

    def _do(self, plan: Plan, verb: str, token: str, body: object = None) -> None:
        asking = Asking(f"asking {hands.name_of(plan)} to {verb}", f"compute.instances.{verb}")
        hands.act(self.connection, "POST", f"{hands.path_of(plan)}/{verb}", asking, token, verb, body)

    def _reserve(self, plan: Plan, wanted: str, token: str) -> None:
        asking = Asking(f"reserving a {wanted} for {hands.name_of(plan)}", "compute.reservations.create")
        if self._reservation(plan):
            return
        body = {
            "name": self._reserved(plan),
            "specificReservation": {"count": "1", "instanceProperties": {"machineType": wanted}},
            "deleteAfterDuration": {"seconds": str(RESERVED_SECONDS)},
        }
        hands.act(self.connection, "POST", f"{hands.place_of(plan)}/reservations", asking, token, "reserve", body)

    def _give_back(self, plan: Plan, token: str) -> None:
        if self._reservation(plan):
            asking = Asking("giving reserved capacity back", "compute.reservations.delete")
            path = f"{hands.place_of(plan)}/reservations/{self._reserved(plan)}"
            hands.act(self.connection, "DELETE", path, asking, token, "unreserve")

    def _reservation(self, plan: Plan) -> bool:
        path = f"{hands.place_of(plan)}/reservations/{self._reserved(plan)}"
        asking = Asking("looking for reserved capacity", "compute.reservations.get")
        return hands.look(self.connection, "compute", path, asking) is not None

    def _reserved(self, plan: Plan) -> str:
        return hands.called("optiinfra", hands.name_of(plan))

    def _machine(self, plan: Plan) -> dict[str, object]:
        what = f"The machine {hands.name_of(plan)}"
        return hands.there(self.connection, "compute", hands.path_of(plan), what, "compute.instances.get")
