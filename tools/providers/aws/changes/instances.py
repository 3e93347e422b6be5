"""Instances: "aws.instance_stop" stops what is idle, "aws.instance_resize" gives one machine another size and starts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tools.model.errors import CapacityUnavailableError, InputError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.aws.changes import hands
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
    own_tags,
    planned,
    protected,
    refuse_plan,
    step_token,
    text,
    waits,
)

# Capacity that was reserved for a start ends by itself, should nobody give it back.
RESERVED_FOR = timedelta(hours=1)
_RESTS = frozenset({"running", "stopped"})


@dataclass(frozen=True, slots=True)
class InstanceStop(Acting):
    """Stop an idle instance; its volumes stay and are paid for. Back: start it."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "aws.instance_stop"
    needs: tuple[str, ...] = ("ec2:StartInstances", "ec2:StopInstances")
    reads: tuple[str, ...] = (
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceTypes",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        refuse_plan(resource, _obstacles(resource), "stopped")
        return planned(
            {"state": "running"},
            in_one_step({"state": "stopped"}),
            {"instance_type": text(resource, "instance_type"), "tags": own_tags(resource.tags)},
            "The instance is started again. It gets another public address unless it has an Elastic IP, what was in its "
            "memory is gone, and AWS may have no capacity of its type at that moment.",
            "instance",
        )

    def look(self, plan: Plan) -> Sighting:
        instance = _instance(self.connection, plan)
        state = instance["State"]["Name"]
        basis = {"instance_type": instance["InstanceType"], "tags": hands.owners_tags(instance)}
        return Sighting({"state": state}, basis, int(state == "stopped"), settled=state in _RESTS)

    def check(self, plan: Plan, desired: Setting) -> None:
        instance = _instance(self.connection, plan)
        _refuse_protected(self.connection, plan, instance)
        act = hands.actor(self.connection, plan, "ec2")
        hands.would_be_let(act.stop_instances, "StopInstances", InstanceIds=[plan.resource_id])
        hands.would_be_let(act.start_instances, "StartInstances", InstanceIds=[plan.resource_id])

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        if seen.setting["state"] == "running":
            _stop(self.connection, plan)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["state"] == "stopping":
            raise waits(f"{plan.resource_id} is still stopping; it is started once it has stopped.")
        if seen.setting["state"] == "stopped":
            _start(self.connection, plan)


@dataclass(frozen=True, slots=True)
class InstanceResize(Acting):
    """Reserve capacity of the new type, stop, change the type, start, give the reservation back."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "aws.instance_resize"
    needs: tuple[str, ...] = (
        "ec2:CancelCapacityReservation",
        "ec2:CreateCapacityReservation",
        "ec2:ModifyInstanceAttribute",
        "ec2:StartInstances",
        "ec2:StopInstances",
    )
    reads: tuple[str, ...] = (
        "ec2:DescribeCapacityReservations",
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeInstanceTypes",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        wanted = argument_of(self.name, self.argument, "m5.large")
        old = text(resource, "instance_type")
        same = [f"it is of type {wanted} already"] if old == wanted else []
        refuse_plan(resource, [*same, *_obstacles(resource)], "resized")
        return planned(
            {"instance_type": old, "state": "running"},
            in_one_step({"instance_type": wanted, "state": "running"}),
            {"tags": own_tags(resource.tags)},
            f"It is stopped, set back to {old} and started. Each way is an interruption of some minutes with another public "
            f"address unless it has an Elastic IP, and AWS may have no {old} at that moment.",
            "instance",
        )

    def look(self, plan: Plan) -> Sighting:
        instance = _instance(self.connection, plan)
        kind, state = instance["InstanceType"], instance["State"]["Name"]
        changed = int(kind != plan.before["instance_type"])
        setting: Setting = {"instance_type": kind, "state": state}
        return Sighting(setting, {"tags": hands.owners_tags(instance)}, changed, settled=state in _RESTS)

    def check(self, plan: Plan, desired: Setting) -> None:
        ec2, act = hands.ec2(self.connection, plan), hands.actor(self.connection, plan, "ec2")
        instance = _instance(self.connection, plan)
        _refuse_protected(self.connection, plan, instance)
        wanted = str(desired["instance_type"])
        with our_words(f"looking whether {wanted} fits {plan.resource_id}"):
            told = ec2.describe_instance_types(InstanceTypes=[wanted])["InstanceTypes"]
            offered = ec2.describe_instance_type_offerings(
                LocationType="availability-zone",
                Filters=[
                    *hands.by("instance-type", wanted),
                    *hands.by("location", instance["Placement"]["AvailabilityZone"]),
                ],
            )["InstanceTypeOfferings"]
        if not told or not offered:
            raise CapacityUnavailableError(f"AWS does not offer {wanted} in the zone of {plan.resource_id}.")
        if problem := misfit(told[0], instance):
            raise InputError(f"{plan.resource_id} cannot become {wanted}: {problem}.", fix="Choose another type.")
        ids = [plan.resource_id]
        hands.would_be_let(act.stop_instances, "StopInstances", InstanceIds=ids)
        hands.would_be_let(act.start_instances, "StartInstances", InstanceIds=ids)
        hands.would_be_let(
            act.modify_instance_attribute,
            "ModifyInstanceAttribute",
            InstanceId=plan.resource_id,
            InstanceType={"Value": wanted},
        )

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        if seen.setting["instance_type"] != desired["instance_type"]:
            # Before anything is stopped: without capacity of the new type it could not be started again.
            self._reserve(plan, str(desired["instance_type"]), token)
        self._step(plan, str(desired["instance_type"]), seen)
        self._give_back(plan)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting != plan.before:
            self._step(plan, str(plan.before["instance_type"]), seen)
        self._give_back(plan)

    def _step(self, plan: Plan, wanted: str, seen: Sighting) -> None:
        """The next of stop, change, start. Raises UnderWayError while the machine is between states."""
        state, kind = seen.setting["state"], seen.setting["instance_type"]
        if state == "running" and kind != wanted:
            _stop(self.connection, plan)
        if state != "stopped" and kind != wanted:
            raise waits(f"{plan.resource_id} is being stopped; then it becomes {wanted} and is started.")
        act = hands.actor(self.connection, plan, "ec2")
        if kind != wanted:
            with our_words(f"changing the type of {plan.resource_id}"):
                act.modify_instance_attribute(InstanceId=plan.resource_id, InstanceType={"Value": wanted})
        if state == "stopped":
            _start(self.connection, plan)

    def _reserve(self, plan: Plan, wanted: str, token: str) -> None:
        instance = _instance(self.connection, plan)
        with our_words(f"reserving a {wanted} for {plan.resource_id}"):
            hands.actor(self.connection, plan, "ec2").create_capacity_reservation(
                ClientToken=step_token(token, "capacity"),
                InstanceType=wanted,
                InstancePlatform=instance.get("PlatformDetails") or "Linux/UNIX",
                AvailabilityZone=instance["Placement"]["AvailabilityZone"],
                InstanceCount=1,
                EndDateType="limited",
                EndDate=self.now() + RESERVED_FOR,
                TagSpecifications=hands.tagged("capacity-reservation", {hands.COPY_OF: plan.resource_id}),
            )

    def _give_back(self, plan: Plan) -> None:
        with our_words(f"giving back the capacity reserved for {plan.resource_id}"):
            found = hands.ec2(self.connection, plan).describe_capacity_reservations(
                Filters=[*hands.by(f"tag:{hands.COPY_OF}", plan.resource_id), *hands.by("state", "active")]
            )["CapacityReservations"]
            for one in found:
                hands.actor(self.connection, plan, "ec2").cancel_capacity_reservation(
                    CapacityReservationId=one["CapacityReservationId"]
                )


def misfit(told: Mapping[str, Any], instance: Mapping[str, Any]) -> str:
    """Why an instance cannot be of a type as AWS describes it, as a clause; empty when it can."""
    made_for = told.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    if instance.get("Architecture") and instance["Architecture"] not in made_for:
        return f"it is built for {instance['Architecture']}, and that type runs {', '.join(made_for)}"
    if told.get("NetworkInfo", {}).get("EnaSupport") == "required" and instance.get("EnaSupport") is False:
        return "its image has no driver for the network of that type (ENA)"
    if instance.get("VirtualizationType") not in {None, "", *told.get("SupportedVirtualizationTypes", [])}:
        return f"its image is made for {instance['VirtualizationType']} virtualisation"
    return ""


def _obstacles(resource: Resource) -> list[str]:
    found = []
    if group := text(resource, "group"):
        found.append(f"the group {group} would replace it at once")
    if text(resource, "lifecycle") == "spot":
        found.append("it is spot capacity, which is taken away when it is stopped")
    if text(resource, "state") != "running":
        found.append(f"it is {text(resource, 'state') or 'in an unknown state'}")
    return found


def _instance(connection: Connection, plan: Plan) -> Mapping[str, Any]:
    with our_words(f"looking at the instance {plan.resource_id}"):
        found = hands.ec2(connection, plan).describe_instances(Filters=hands.by("instance-id", plan.resource_id))[
            "Reservations"
        ]
    alive = (i for r in found for i in r["Instances"] if i["State"]["Name"] != "terminated")
    return hands.there(alive, f"The instance {plan.resource_id}")


def _refuse_protected(connection: Connection, plan: Plan, instance: Mapping[str, Any]) -> None:
    for reason in kept(hands.tags_of(instance).items()):
        raise protected(plan.resource_id, reason)
    ec2 = hands.ec2(connection, plan)
    with our_words(f"looking whether {plan.resource_id} may be stopped"):
        told = ec2.describe_instance_attribute(InstanceId=plan.resource_id, Attribute="disableApiStop")
        types = ec2.describe_instance_types(InstanceTypes=[instance["InstanceType"]])["InstanceTypes"]
    if told.get("DisableApiStop", {}).get("Value"):
        raise protected(plan.resource_id, "stop protection is on")
    if types and types[0].get("InstanceStorageSupported"):
        raise protected(plan.resource_id, "it has disks of its own (instance store), and stopping it would empty them")


def _stop(connection: Connection, plan: Plan) -> None:
    with our_words(f"stopping {plan.resource_id}"):
        hands.actor(connection, plan, "ec2").stop_instances(InstanceIds=[plan.resource_id])


def _start(connection: Connection, plan: Plan) -> None:
    with our_words(f"starting {plan.resource_id}"):
        hands.actor(connection, plan, "ec2").start_instances(InstanceIds=[plan.resource_id])
