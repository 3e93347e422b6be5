"""What Auto Scaling does by itself: a pure decision per group, and the hands that carry it out in moto's memory."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from sandbox.inventory import on_demand_count, resource_id

# How long AWS takes, in seconds at speed 1: from launch to InService, and from Terminating to gone.
LAUNCH_SECONDS = 40.0
TERMINATE_SECONDS = 20.0
GROUP_TAG = "aws:autoscaling:groupName"
ROOT_VOLUME = [
    {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 100, "VolumeType": "gp3", "DeleteOnTermination": True}}
]


@dataclass(frozen=True, slots=True)
class Census:
    """How many instances a group has, by lifecycle and by what they are doing."""

    desired: int
    wanted_on_demand: int
    on_demand: int
    spot: int
    pending_on_demand: int = 0
    pending_spot: int = 0

    @property
    def wanted_spot(self) -> int:
        return self.desired - self.wanted_on_demand

    @property
    def at_once(self) -> int:
        """AWS replaces a tenth of the group at a time, at least one."""
        return max(1, -(-self.desired // 10))


@dataclass(frozen=True, slots=True)
class Move:
    """What to do next: launch so many of each, terminate so many of each (those in service)."""

    launch_on_demand: int = 0
    launch_spot: int = 0
    terminate_on_demand: int = 0
    terminate_spot: int = 0


def next_move(census: Census, *, spot_available: bool = True) -> Move:
    """What Auto Scaling does now. It launches first and terminates only what the group can spare."""
    pending = census.pending_on_demand + census.pending_spot
    serving = census.on_demand + census.spot
    spare = max(0, serving - census.desired)
    # What is missing is launched at once; replacements wait for those on their way and those still to go.
    room = max(0, census.desired - serving - pending, census.at_once - pending - spare)
    need_on_demand = max(0, census.wanted_on_demand - census.on_demand - census.pending_on_demand)
    launch_on_demand = min(room, need_on_demand)
    need_spot = max(0, census.wanted_spot - census.spot - census.pending_spot) if spot_available else 0
    launch_spot = min(room - launch_on_demand, need_spot)
    terminate_on_demand = min(spare, max(0, census.on_demand - census.wanted_on_demand))
    terminate_spot = min(spare - terminate_on_demand, max(0, census.spot - census.wanted_spot))
    return Move(launch_on_demand, launch_spot, terminate_on_demand, terminate_spot)


@dataclass
class GroupKeeper:
    """Keeps all groups of a moto server as their policies say. `step` is called under the server's lock."""

    backends: Callable[[], Iterable[Any]]
    speed: float = 1.0
    spot_available: bool = True
    without_spot: set[str] = field(default_factory=set)
    activities: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _numbers: dict[str, Iterator[int]] = field(default_factory=dict)

    def groups(self) -> Iterator[Any]:
        """All groups of all accounts and regions."""
        for backend in self.backends():
            yield from list(backend.autoscaling_groups.values())

    def forget(self) -> None:
        """Start again, with spot capacity and no history."""
        self.spot_available = True
        for memory in (self.without_spot, self.activities, self._since, self._numbers):
            memory.clear()

    def step(self, now: float) -> bool:
        """Do what is due in every group at `now` (seconds of a steady clock); True when anything changed."""
        changed = [self._step(group, now) for group in self.groups()]
        return any(changed)

    def settle(self, group: Any) -> None:
        """Bring a group to its policy at once, as it was long before anybody looked."""
        moment = 0.0
        while self._step(group, moment):
            moment += LAUNCH_SECONDS + TERMINATE_SECONDS
        self._since.clear()

    def census(self, group: Any) -> Census:
        """Count a group's instances one by one."""
        numbers = {(spot, state): 0 for spot in (True, False) for state in ("InService", "Pending")}
        for state in group.instance_states:
            key = (state.instance.lifecycle == "spot", state.lifecycle_state)
            if key in numbers:
                numbers[key] += 1
        desired = int(group.desired_capacity or 0)
        return Census(
            desired,
            wanted_on_demand(group, desired),
            numbers[False, "InService"],
            numbers[True, "InService"],
            numbers[False, "Pending"],
            numbers[True, "Pending"],
        )

    def interrupt(self, group: Any, how_many: int) -> int:
        """Take spot instances away, as AWS does when it needs them back; returns how many went."""
        spot = [s for s in _in_service(group) if s.instance.lifecycle == "spot"][:how_many]
        for state in spot:
            self._terminate(group, state, "was taken out of service in response to an EC2 Spot interruption notice")
        return len(spot)

    def _step(self, group: Any, now: float) -> bool:
        changed = self._finish(group, now)
        move = next_move(self.census(group), spot_available=self._has_spot(group))
        for spot, launches in ((False, move.launch_on_demand), (True, move.launch_spot)):
            for _ in range(launches):
                self._launch(group, spot=spot, now=now)
                changed = True
        for spot, going in ((False, move.terminate_on_demand), (True, move.terminate_spot)):
            for state in [s for s in _in_service(group) if (s.instance.lifecycle == "spot") is spot][:going]:
                self._terminate(group, state, "was taken out of service in response to a rebalance of purchase options")
                changed = True
        return changed

    def _has_spot(self, group: Any) -> bool:
        return self.spot_available and group.name not in self.without_spot

    def _finish(self, group: Any, now: float) -> bool:
        """End launches and terminations that took their time, and forget instances that are gone."""
        changed = False
        for state in list(group.instance_states):
            since = self._since.setdefault(state.instance.id, now)
            took = (now - since) * self.speed
            if state.lifecycle_state == "Pending" and took >= LAUNCH_SECONDS:
                state.lifecycle_state = "InService"
                _set_state(state.instance, "running", 16)
                changed = True
            elif state.lifecycle_state == "Terminating":
                if took >= TERMINATE_SECONDS:
                    group.ec2_backend.terminate_instances([state.instance.id])
                    group.instance_states.remove(state)
                    self._since.pop(state.instance.id, None)
                    changed = True
            elif state.instance.state in {"terminated", "shutting-down", "stopped"}:
                # Somebody ended it behind the group's back: it counts no longer and is replaced.
                group.instance_states.remove(state)
                self._note(group, f"Terminating EC2 instance: {state.instance.id}", "failed its EC2 status check")
                changed = True
            elif state.health_status == "Unhealthy" and state.lifecycle_state == "InService":
                self._terminate(group, state, "was taken out of service in response to a health check")
                changed = True
        return changed

    def _launch(self, group: Any, *, spot: bool, now: float) -> None:
        from moto.autoscaling.models import InstanceState

        number = next(self._numbers.setdefault(group.name, count()))
        types = _types(group) if spot else _types(group)[:1]
        template = group.ec2_launch_template
        # An id that can be told beforehand: bills and inventory speak of the same instance.
        with named("moto.ec2.models.instances", "random_instance_id", resource_id("i", f"{group.name}/{number}")):
            reservation = group.ec2_backend.run_instances(
                group.image_id,
                1,
                group.user_data,
                group.security_groups or [],
                instance_type=types[number % len(types)],
                tags={"instance": group.get_propagated_tags() | group.instance_tags | {GROUP_TAG: group.name}},
                placement=group.availability_zones[number % len(group.availability_zones)],
                region_name=group.region,
                is_instance_type_default=False,
                launch_config=group.launch_config,
                block_device_mappings=ROOT_VOLUME,
                **({"launch_template": {"LaunchTemplateId": template.id}} if template else {}),
                **({"instance_market_options": {"MarketType": "spot"}} if spot else {}),
            )
        instance = reservation.instances[0]
        instance.autoscaling_group = group
        state = InstanceState(
            instance,
            lifecycle_state="Pending",
            protected_from_scale_in=group.new_instances_protected_from_scale_in,
        )
        _set_state(instance, "pending", 0)
        group.instance_states.append(state)
        self._since[instance.id] = now
        kind = "Spot" if spot else "On-Demand"
        self._note(group, f"Launching a new EC2 instance: {instance.id}", f"{kind} capacity was below its target")

    def _terminate(self, group: Any, state: Any, why: str) -> None:
        state.lifecycle_state = "Terminating"
        _set_state(state.instance, "shutting-down", 32)
        self._since.pop(state.instance.id, None)
        self._note(group, f"Terminating EC2 instance: {state.instance.id}", f"instance {state.instance.id} {why}")

    def _note(self, group: Any, description: str, cause: str) -> None:
        from moto.core.utils import utcnow

        noted = self.activities.setdefault(group.name, [])
        moment = utcnow()
        noted.insert(
            0,
            {
                "ActivityId": str(uuid5(NAMESPACE_DNS, f"{group.name}/{description}")),
                "AutoScalingGroupName": group.name,
                "Description": description,
                "Cause": f"At {moment:%Y-%m-%dT%H:%M:%SZ} {cause}.",
                "StartTime": moment,
                "EndTime": moment,
                "StatusCode": "Successful",
                "Progress": 100,
            },
        )
        del noted[200:]


@contextmanager
def named(module: str, function: str, new_id: str) -> Iterator[None]:
    """While this lasts, moto gives the next thing of a kind the id `new_id`."""
    place = importlib.import_module(module)
    original = getattr(place, function)
    setattr(place, function, lambda: new_id)
    try:
        yield
    finally:
        setattr(place, function, original)


def wanted_on_demand(group: Any, desired: int) -> int:
    """How many on-demand instances the group's policy asks for; all of them without a mixed policy."""
    policy = group.mixed_instances_policy
    if not policy:
        return desired
    distribution = policy.get("InstancesDistribution") or {}
    percent = distribution.get("OnDemandPercentageAboveBaseCapacity", 100)
    return on_demand_count(desired, int(percent), int(distribution.get("OnDemandBaseCapacity", 0)))


def _types(group: Any) -> list[str]:
    policy = group.mixed_instances_policy or {}
    overrides = (policy.get("LaunchTemplate") or {}).get("Overrides") or []
    return [o["InstanceType"] for o in overrides if o.get("InstanceType")] or [group.instance_type]


def _in_service(group: Any) -> list[Any]:
    return [state for state in group.instance_states if state.lifecycle_state == "InService"]


def _set_state(instance: Any, name: str, code: int) -> None:
    instance._state.name = name
    instance._state.code = code
