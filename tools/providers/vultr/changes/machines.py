"""Machines: "vultr.instance_snapshot_destroy" keeps a snapshot and destroys, "vultr.plan_change" replaces by another plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tools.model.errors import CapacityUnavailableError, InputError, ResourceMissingError
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
    mapping,
    own_tags,
    planned,
    protected,
    refuse_plan,
    text,
    waits,
)
from tools.providers.rest import Asking, Document
from tools.providers.vultr.changes import hands
from tools.providers.vultr.connection import BALANCERS, VIEW, Connection
from tools.providers.vultr.prices import number

_NEEDS = (hands.MAKE, hands.CHANGE)


@dataclass(frozen=True, slots=True)
class InstanceSnapshotDestroy(Acting):
    """Snapshot, wait until it is complete, destroy. Back: a machine of the same plan, region, label and tags from it."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "vultr.instance_snapshot_destroy"
    needs: tuple[str, ...] = _NEEDS
    reads: tuple[str, ...] = (
        VIEW,
        BALANCERS,
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        disks = ["block storage hangs on it"] if items(resource.attributes.get("volumes")) else []
        refuse_plan(resource, disks, "destroyed")
        what: Setting = {
            "plan": text(resource, "instance_type"),
            "label": resource.name,
            "tags": own_tags(resource.tags),
        }
        return planned(
            {"exists": True, **what},
            in_one_step({"exists": False}),
            what,
            "A snapshot is taken first and kept. Undo makes a machine of the same plan, region, label and tags from it, with "
            "another id and another address. The snapshot is paid for until somebody deletes it.",
            "machine",
        )

    def look(self, plan: Plan) -> Sighting:
        machine = self._machine(plan)
        if machine is None:
            return Sighting({"exists": False}, {}, 1)
        what = _basis(machine)
        return Sighting({"exists": True, **what}, what, 0, settled=machine.get("status") == "active")

    def check(self, plan: Plan, desired: Setting) -> None:
        machine = self._machine(plan) or {}
        hands.refuse_protected(self.connection, plan.resource_id, hands.tags_of(machine), self.needs)
        roads = Roads(self.connection)
        if roads.addresses(plan.resource_id) or roads.balancers(plan.resource_id):
            raise protected(plan.resource_id, "a reserved address or a load balancer still leads to it")

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        maker, machine = hands.Maker(self.connection, self.now), self._machine(plan)
        if machine is None:
            return
        # By this effect, not by an earlier one: a snapshot from before would not hold what was written since.
        snapshot = maker.snapshot(f"{_undo(plan)}{token}")
        if snapshot is None:
            maker.take(str(machine["id"]), f"{_undo(plan)}{token}")
        if snapshot is None or snapshot.get("status") != "complete":
            raise waits(f"The snapshot of {plan.resource_id} is being taken; the machine goes once it is complete.")
        path = f"/v2/instances/{machine['id']}"
        hands.act(self.connection, "DELETE", path, f"destroying {plan.resource_id}", hands.CHANGE)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["exists"]:
            return
        maker = hands.Maker(self.connection, self.now)
        snapshot = maker.snapshot(_undo(plan))
        if snapshot is None:
            raise hands.gone_for_good(plan.resource_id, "there is no snapshot of it")
        tags = [f"{key}:{value}" for key, value in mapping(plan.before["tags"]).items()]
        machine: dict[str, object] = {
            "region": plan.region,
            "plan": plan.before["plan"],
            "label": plan.before["label"],
            "tags": [*tags, _mark(plan)],
        }
        maker.make(snapshot, machine, f"the machine {plan.before['label']}")

    def _machine(self, plan: Plan) -> Document | None:
        """The machine itself, or the one that was made anew from its snapshot."""
        own = hands.look(self.connection, "instances", "instance", plan.resource_id)
        if own is not None:
            return own
        made = hands.Maker(self.connection, self.now).machines(lambda m: _mark(plan) in items(m.get("tags")))
        return made[0] if made else None


@dataclass(frozen=True, slots=True)
class PlanChange(Acting):
    """Halt, snapshot, make a machine of the other plan, lead addresses and balancers to it, destroy the old one.

    Undo is the same the other way, from the machine as it is then, so nothing that was written since is lost.
    """

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "vultr.plan_change"
    needs: tuple[str, ...] = (*_NEEDS, BALANCERS)
    reads: tuple[str, ...] = (VIEW,)

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        wanted = argument_of(self.name, self.argument, "vc2-2c-4gb")
        old = text(resource, "instance_type")
        obstacles = [f"its plan is {wanted} already"] if old == wanted else []
        if items(resource.attributes.get("volumes")):
            obstacles.append("block storage hangs on it")
        if text(resource, "state") != "running":
            obstacles.append(f"it is {text(resource, 'state') or 'in an unknown state'}")
        refuse_plan(resource, obstacles, "given another plan")
        return planned(
            {"plan": old, "machines": 1},
            in_one_step({"plan": wanted, "machines": 1}),
            {"label": resource.name, "tags": own_tags(resource.tags)},
            f"It is replaced by a machine of {old} in the same way. Each way it is halted for some minutes, has another id, "
            "and only reserved addresses and load balancers lead to its successor.",
            "machine",
        )

    def look(self, plan: Plan) -> Sighting:
        machines = self._line(plan)
        if not machines:
            raise ResourceMissingError(f"The machine {plan.resource_id} does not exist any more.", fix="Collect again.")
        oldest = machines[0]
        only = len(machines) == 1
        setting: Setting = {"plan": oldest.get("plan"), "machines": len(machines)}
        changed = int(only and oldest.get("plan") != plan.before["plan"])
        basis = {"label": oldest.get("label"), "tags": own_tags(hands.tags_of(oldest))}
        return Sighting(setting, basis, changed, settled=only and hands.alive(oldest))

    def check(self, plan: Plan, desired: Setting) -> None:
        machines = self._line(plan)
        hands.refuse_protected(self.connection, plan.resource_id, hands.tags_of(machines[0]), self.needs)
        if len(machines) > 1:
            return
        roads, id_ = Roads(self.connection), str(machines[0]["id"])
        if not roads.addresses(id_) and not roads.balancers(id_):
            raise protected(plan.resource_id, "neither a reserved address nor a load balancer leads to it")
        self._need(machines[0], str(desired["plan"]))

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        self._towards(plan, str(desired["plan"]), token)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting != plan.before or not seen.settled:
            self._towards(plan, str(plan.before["plan"]), token)

    def _towards(self, plan: Plan, wanted: str, token: str) -> None:
        """The next step of the replacement. Raises UnderWayError until one machine of the wanted plan is left."""
        machines = self._line(plan)
        old = [m for m in machines if m.get("plan") != wanted]
        new = [m for m in machines if m.get("plan") == wanted]
        if not old:
            self._ensure_running(new[0])
            return
        if not new:
            self._make(plan, old[0], wanted, token)
        if not hands.alive(new[0]):
            self._ensure_running(new[0])
            raise waits(f"The successor of {plan.resource_id} is starting.")
        Roads(self.connection).lead(str(old[0]["id"]), new[0])
        doing = f"destroying the replaced machine {old[0]['id']}"
        hands.act(self.connection, "DELETE", f"/v2/instances/{old[0]['id']}", doing, hands.CHANGE)
        raise waits(f"The replaced machine of {plan.resource_id} is being destroyed.")

    def _make(self, plan: Plan, old: Document, wanted: str, token: str) -> None:
        """Halt, snapshot, ask for the successor - whichever is next; always ends with UnderWayError."""
        maker, described = hands.Maker(self.connection, self.now), f"optiinfra {old['id']} to {wanted} {token}"
        snapshot = maker.snapshot(described)
        if snapshot is None:
            if old.get("power_status") != "stopped":
                # What is written after the snapshot would be lost.
                path = f"/v2/instances/{old['id']}/halt"
                hands.act(self.connection, "POST", path, f"halting {old['id']}", hands.CHANGE)
                raise waits(f"{plan.resource_id} is being halted before a snapshot of it is taken.")
            maker.take(str(old["id"]), described)
        if snapshot is None or snapshot.get("status") != "complete":
            raise waits(f"The snapshot of {plan.resource_id} is being taken.")
        roads = [f"{hands.ROAD}{address['id']}" for address in Roads(self.connection).addresses(str(old["id"]))]
        successor = hands.like(old, _mark(plan), *roads) | {"plan": wanted}
        maker.make(snapshot, successor, f"the successor of {plan.resource_id}")
        raise waits(f"The successor of {plan.resource_id} is being made.")

    def _ensure_running(self, machine: Document) -> None:
        if machine.get("power_status") == "stopped" and machine.get("status") == "active":
            path = f"/v2/instances/{machine['id']}/start"
            hands.act(self.connection, "POST", path, f"starting {machine['id']}", hands.CHANGE)

    def _need(self, old: Document, wanted: str) -> None:
        """Refuse before anything is begun when the plan is not to be had, or its disk is too small."""
        region = str(old.get("region"))
        asking = Asking(f"asking which plans {region} has", VIEW)
        there = self.connection.effects.get(f"/v2/regions/{region}/availability", asking)
        if wanted not in items(there.get("available_plans")):
            raise CapacityUnavailableError(f"Vultr has no {wanted} in {region} now.")
        plans = self.connection.listing("/v2/plans", "plans", Asking("reading the plans"), effects=True)
        disk = next((number(p.get("disk")) for p in plans if p.get("id") == wanted), None)
        if disk is None or disk < (number(old.get("disk")) or 0):
            raise InputError(
                f"{wanted} has a smaller disk than {old.get('label')}, and a snapshot does not fit into it.",
                fix="Choose a plan with at least that disk.",
            )

    def _line(self, plan: Plan) -> list[Document]:
        """The machine and those that replaced it, the one that came first in front."""
        machines = hands.Maker(self.connection, self.now).machines(
            lambda m: m.get("id") == plan.resource_id or _mark(plan) in items(m.get("tags"))
        )
        return sorted(machines, key=lambda m: (m.get("id") != plan.resource_id, str(m.get("date_created"))))


@dataclass(frozen=True, slots=True)
class Roads:
    """Reserved addresses and load balancers: what leads to a machine."""

    connection: Connection

    def addresses(self, machine: str) -> list[Document]:
        return [one for one in self._reserved() if one.get("instance_id") == machine]

    def balancers(self, machine: str) -> list[Document]:
        asking = Asking("looking for load balancers", BALANCERS)
        found = self.connection.listing("/v2/load-balancers", "load_balancers", asking, effects=True)
        return [one for one in found if machine in items(one.get("instances"))]

    def lead(self, old: str, new: Document) -> None:
        """What led to the old machine leads to the new one; begun and broken off, it is finished."""
        id_ = str(new["id"])
        # Which addresses are meant is written on the new machine: one that is between both names neither.
        meant = {
            str(word).removeprefix(hands.ROAD) for word in items(new.get("tags")) if str(word).startswith(hands.ROAD)
        }
        for address in (a for a in self._reserved() if a.get("id") in meant and a.get("instance_id") != id_):
            where, doing = f"/v2/reserved-ips/{address['id']}", "moving a reserved address"
            if address.get("instance_id"):
                hands.act(self.connection, "POST", f"{where}/detach", doing, hands.CHANGE)
            hands.act(self.connection, "POST", f"{where}/attach", doing, hands.CHANGE, {"instance_id": id_})
        for balancer in self.balancers(old):
            hosts = dict.fromkeys(id_ if host == old else str(host) for host in items(balancer.get("instances")))
            path, doing = f"/v2/load-balancers/{balancer['id']}", "leading a load balancer to the new machine"
            hands.act(self.connection, "PATCH", path, doing, BALANCERS, {"instances": list(hosts)})

    def _reserved(self) -> list[Document]:
        asking = Asking("looking for reserved addresses", VIEW)
        return self.connection.listing("/v2/reserved-ips", "reserved_ips", asking, effects=True)


def _basis(machine: Document) -> dict[str, object]:
    tags = own_tags(hands.tags_of(machine))
    return {"plan": machine.get("plan"), "label": machine.get("label"), "tags": tags}


def _mark(plan: Plan) -> str:
    """The tag by which a successor is found."""
    return f"{hands.INSTEAD}{plan.resource_id}"


def _undo(plan: Plan) -> str:
    return f"optiinfra undo of {plan.resource_id} "
