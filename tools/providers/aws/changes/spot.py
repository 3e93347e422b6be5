"""Changes: "aws.asg_spot" moves an Auto Scaling group to spot capacity step by step, and back exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tools.model.errors import InputError, ResourceConflictError
from tools.model.resource import Resource
from tools.model.rollout import Plan, Stage, whole_units
from tools.providers.aws import groups
from tools.providers.aws.connection import Connection
from tools.providers.aws.refusals import our_words
from tools.providers.base import ChangePlan, Observation
from tools.providers.changing import kept, protected

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import LaunchTemplateSpecificationTypeDef, MixedInstancesPolicyUnionTypeDef

ASG_SPOT = "aws.asg_spot"
UNIT = "instance"
_NEEDED_PROCESSES = frozenset({"Launch", "Terminate"})
_INSTANCES_PER_CALL = 500


@dataclass(frozen=True, slots=True)
class AsgSpot:
    """The Change of an Auto Scaling group from on-demand to spot through its mixed instances policy.

    A setting is {"launch_template", "mixed_instances_policy"} in the normal form of `groups.setting_of`.
    """

    connection: Connection
    now: Callable[[], datetime]
    name: str = ASG_SPOT

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        """Stages by whole instances; raises InputError with the reason when the group does not allow it."""
        if problems := obstacles(resource):
            raise InputError(f"{resource.name} cannot move to spot: {problems[0]}", fix="Choose another group.")
        before: dict[str, object] = dict(_mapping(resource.attributes["setting"]))
        base = _number(resource, "on_demand_base")
        size = _number(resource, "size")
        return ChangePlan(
            unit_name=UNIT,
            units=size - base,
            stages=tuple(_stages(before, size, base, percents)),
            before=before,
            fingerprint=resource.fingerprint,
            undo="The group's purchase setting is put back as it was; AWS starts on-demand instances before it ends "
            "spot ones, so capacity stays.",
        )

    def observe(self, plan: Plan) -> Observation:
        """Count the group's members by how EC2 says they were bought."""
        group, members = self._look(plan)
        setting = groups.setting_of(group)
        size = int(group["DesiredCapacity"])
        wanted = size - groups.on_demand_units(setting, size)
        base = int(_distribution(setting).get("OnDemandBaseCapacity", 0))
        return Observation(
            at=self.now(),
            setting=setting,
            counts={"spot": members.spot, "on_demand": members.on_demand, "moving": members.moving},
            changed=members.spot,
            total=size - min(base, size),
            settled=members.moving == 0 and members.in_service == size and members.spot == wanted,
            fingerprint=groups.fingerprint(groups.basis(group)),
        )

    def check(self, plan: Plan, desired: dict[str, object]) -> None:
        """Its owner may have protected the group or its instances, or stopped its scaling, since it was planned."""
        group, _ = self._look(plan)
        for reason in kept((str(tag["Key"]), str(tag.get("Value", ""))) for tag in group.get("Tags", [])):
            raise protected(plan.resource_id, reason)
        if any(instance.get("ProtectedFromScaleIn") for instance in group["Instances"]):
            raise protected(plan.resource_id, "some of its instances are protected from scale-in")
        suspended = {str(process["ProcessName"]) for process in group.get("SuspendedProcesses", [])}
        if stopped := sorted(_NEEDED_PROCESSES & suspended):
            raise protected(plan.resource_id, f"its scaling is suspended ({', '.join(stopped)})")

    def apply(self, plan: Plan, desired: dict[str, object], token: str) -> None:
        """Set it through UpdateAutoScalingGroup. `token` is not needed: the setting is absolute.

        Back to a plain launch template goes in two steps, because AWS leaves spot instances running when a policy
        is taken away: first the policy asks for on-demand only, and once no spot instance is left (a later call)
        the template is put back. Until then `observe` shows a setting that is not yet the desired one.
        """
        policy = desired["mixed_instances_policy"]
        if policy is None and desired["launch_template"] is None:
            raise InputError("An Auto Scaling group cannot be set to neither a launch template nor a policy.")
        if policy is None:
            group, members = self._look(plan)
            present = groups.setting_of(group)
            if present["mixed_instances_policy"] is not None and (members.spot or members.moving):
                policy = groups.mixed(present, 100)["mixed_instances_policy"]
        client = self.connection.client("autoscaling", self._key(plan), plan.region, effects=True)
        with our_words(f"changing the purchase setting of {plan.resource_id}"):
            if policy is not None:
                client.update_auto_scaling_group(
                    AutoScalingGroupName=plan.resource_id, MixedInstancesPolicy=_policy(policy)
                )
            else:
                client.update_auto_scaling_group(
                    AutoScalingGroupName=plan.resource_id, LaunchTemplate=_template(desired["launch_template"])
                )

    def _key(self, plan: Plan) -> str:
        return plan.account_id if self.connection.accounts else ""

    def _look(self, plan: Plan) -> tuple[Mapping[str, Any], groups.Members]:
        autoscaling = self.connection.client("autoscaling", self._key(plan), plan.region)
        with our_words(f"looking at the group {plan.resource_id}"):
            found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[plan.resource_id])
        group = groups.find(found["AutoScalingGroups"], plan.resource_id)
        return group, groups.count(group, self._instances(plan, [i["InstanceId"] for i in group["Instances"]]))

    def _instances(self, plan: Plan, ids: list[str]) -> dict[str, Mapping[str, Any]]:
        """EC2's descriptions; asked by filter, because one id that is gone would make a call by ids fail."""
        ec2 = self.connection.client("ec2", self._key(plan), plan.region)
        pages: Iterable[Mapping[str, Any]] = (
            page
            for start in range(0, len(ids), _INSTANCES_PER_CALL)
            for page in ec2.get_paginator("describe_instances").paginate(
                Filters=[{"Name": "instance-id", "Values": ids[start : start + _INSTANCES_PER_CALL]}]
            )
        )
        with our_words(f"counting the instances of {plan.resource_id}"):
            return {i["InstanceId"]: i for page in pages for r in page["Reservations"] for i in r["Instances"]}


def obstacles(resource: Resource) -> tuple[str, ...]:
    """Every reason why a group cannot be moved to spot, as sentences; empty when it can."""
    attributes = resource.attributes
    setting = _mapping(attributes.get("setting"))
    found = []
    if not setting or (setting["launch_template"] is None and setting["mixed_instances_policy"] is None):
        found.append("it is built on a launch configuration, and a mixed policy needs a launch template.")
    if attributes.get("template_asks_for_spot"):
        found.append("its launch template asks for spot instances itself, which a mixed policy does not allow.")
    counts = _mapping(attributes.get("counts"))
    if counts.get("spot", 0) or _number(resource, "on_demand_percentage", 100) < 100:
        found.append("a part of it is on spot already.")
    if _number(resource, "size") - _number(resource, "on_demand_base") < 1:
        found.append("it has no instance that may change.")
    if attributes.get("weighted"):
        found.append("its instance types count with different weights, so whole instances cannot be planned.")
    if stopped := sorted(_NEEDED_PROCESSES & set(_list(attributes.get("suspended")))):
        found.append(f"its scaling is suspended ({', '.join(stopped)}), so AWS would replace nothing.")
    if attributes.get("protected"):
        found.append("some of its instances are protected from scale-in, so AWS would not replace them.")
    if attributes.get("moving"):
        found.append("instances are starting or stopping in it right now.")
    return tuple(found)


def _stages(before: Mapping[str, Any], size: int, base: int, percents: tuple[int, ...]) -> Iterable[Stage]:
    """Steps of whole instances above the base that stays on demand, each larger than the one before."""
    units = size - base
    for index, (percent, count) in enumerate(whole_units(units, percents)):
        share, reached = _on_demand_share(units, count)
        yield Stage(index, percent, reached, dict(groups.mixed(before, share)))


def _on_demand_share(units: int, changed: int) -> tuple[int, int]:
    """The on-demand percentage under which AWS changes `changed` of `units`, and how many it then changes.

    AWS knows whole percents only and rounds up in favour of on-demand. Up to 100 units every number can be met;
    beyond, the nearest one that is not more than asked for.
    """
    share = 100 * (units - changed) // units
    if units - -(-units * share // 100) > changed:
        share += 1
    return share, units - -(-units * share // 100)


def _distribution(setting: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping((setting["mixed_instances_policy"] or {}).get("InstancesDistribution"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _number(resource: Resource, attribute: str, default: int = 0) -> int:
    value = resource.attributes.get(attribute, default)
    if not isinstance(value, int):
        raise ResourceConflictError(f"Inventory does not know {attribute} of {resource.name}.", fix="Collect again.")
    return value


def _policy(value: object) -> MixedInstancesPolicyUnionTypeDef:
    return value  # type: ignore[return-value]  # the normal form is what the API takes


def _template(value: object) -> LaunchTemplateSpecificationTypeDef:
    return value  # type: ignore[return-value]  # same
