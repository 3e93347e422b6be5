"""Groups: Auto Scaling groups as resources - their purchase setting in one normal form, and their members counted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.model.errors import ResourceMissingError
from tools.model.resource import Resource
from tools.providers.aws.refusals import our_words

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

MakeResource = Callable[[str, str, Sequence[Mapping[str, Any]], dict[str, object], object], Resource]


@dataclass(frozen=True, slots=True)
class Members:
    """A group's members counted one by one: in service by how they are bought, and on their way in or out."""

    spot: int
    on_demand: int
    moving: int

    @property
    def in_service(self) -> int:
        return self.spot + self.on_demand


def describe_group_resource(
    make: MakeResource, client: EC2Client, group: Mapping[str, Any], instances: Mapping[str, Mapping[str, Any]]
) -> Resource:
    """An Auto Scaling group as a resource of kind "instance_group"; `instances` are EC2's descriptions by id."""
    template = template_of(client, group)
    members = count(group, instances)
    setting = setting_of(group)
    distribution = (setting["mixed_instances_policy"] or {}).get("InstancesDistribution", {})
    attributes: dict[str, object] = {
        "size": group["DesiredCapacity"],
        "min": group["MinSize"],
        "max": group["MaxSize"],
        "instance_types": instance_types(group, template),
        "on_demand_base": distribution.get("OnDemandBaseCapacity", 0),
        "on_demand_percentage": distribution.get("OnDemandPercentageAboveBaseCapacity", 100),
        "counts": {"spot": members.spot, "on_demand": members.on_demand},
        "moving": members.moving,
        "zones": sorted(group.get("AvailabilityZones", [])),
        "launch_configuration": group.get("LaunchConfigurationName", ""),
        "template_asks_for_spot": template.get("InstanceMarketOptions", {}).get("MarketType") == "spot",
        "suspended": sorted(p["ProcessName"] for p in group.get("SuspendedProcesses", [])),
        "protected": any(i.get("ProtectedFromScaleIn") for i in group.get("Instances", [])),
        "weighted": any("WeightedCapacity" in o for o in overrides_of(setting)),
        "members": sorted(i["InstanceId"] for i in group.get("Instances", [])),
        "setting": setting,
    }
    return make("instance_group", group["AutoScalingGroupName"], group.get("Tags", []), attributes, basis(group))


def template_of(client: EC2Client, group: Mapping[str, Any]) -> Mapping[str, Any]:
    """The launch template data that the group's instances are made from; empty for an old launch configuration."""
    specification = _specification(group)
    if not specification:
        return {}
    with our_words(f"reading the launch template of {group['AutoScalingGroupName']}"):
        try:
            found = client.describe_launch_template_versions(
                **_named(specification), Versions=[specification["Version"]]
            )["LaunchTemplateVersions"]
        except client.exceptions.ClientError as error:
            if "NotFound" in error.response["Error"]["Code"]:
                return {}
            raise
    return found[0]["LaunchTemplateData"] if found else {}


def instance_types(group: Mapping[str, Any], template: Mapping[str, Any]) -> list[str]:
    """What the group may run on: the overrides' types, else the template's, else its members'."""
    chosen = [o["InstanceType"] for o in overrides_of(setting_of(group)) if "InstanceType" in o]
    if not chosen and "InstanceType" in template:
        chosen = [template["InstanceType"]]
    return sorted({*chosen} or {i["InstanceType"] for i in group.get("Instances", []) if "InstanceType" in i})


def count(group: Mapping[str, Any], instances: Mapping[str, Mapping[str, Any]]) -> Members:
    """Count members that are in service and that EC2 shows running; everything else is on its way.

    A member that EC2 does not show (yet or any more) is on its way, never counted as either kind.
    """
    spot = on_demand = moving = 0
    for member in group.get("Instances", []):
        if member["LifecycleState"] in {"Standby", "Detached", "Terminated"}:
            continue
        instance = instances.get(member["InstanceId"])
        running = instance is not None and instance["State"]["Name"] == "running"
        if member["LifecycleState"] != "InService" or not running or instance is None:
            moving += 1
        elif instance.get("InstanceLifecycle") == "spot":
            spot += 1
        else:
            on_demand += 1
    return Members(spot, on_demand, moving)


def setting_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """How the group buys, in normal form: {"launch_template", "mixed_instances_policy"}, one of them None.

    Normal form: AWS's documented defaults are written out and what AWS adds by itself (a template's name beside
    its id) is left out, so that what was set and what is shown compare equal.
    """
    policy = group.get("MixedInstancesPolicy")
    if policy:
        return {"launch_template": None, "mixed_instances_policy": _normal_policy(policy)}
    template = group.get("LaunchTemplate")
    return {
        "launch_template": _normal_template(template) if template else None,
        "mixed_instances_policy": None,
    }


def mixed(setting: Mapping[str, Any], on_demand_percentage: int) -> dict[str, Any]:
    """The same group's setting with a mixed policy of this on-demand percentage; template and overrides are kept."""
    policy = setting["mixed_instances_policy"] or _normal_policy(
        {
            "LaunchTemplate": {"LaunchTemplateSpecification": setting["launch_template"]},
            "InstancesDistribution": {"SpotAllocationStrategy": "price-capacity-optimized"},
        }
    )
    distribution = {**policy["InstancesDistribution"], "OnDemandPercentageAboveBaseCapacity": on_demand_percentage}
    return {
        "launch_template": None,
        "mixed_instances_policy": {**policy, "InstancesDistribution": distribution},
    }


def overrides_of(setting: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    policy = setting["mixed_instances_policy"] or {}
    return list(policy.get("LaunchTemplate", {}).get("Overrides", []))


def on_demand_units(setting: Mapping[str, Any], size: int) -> int:
    """How many of `size` units AWS keeps on demand under this setting; AWS rounds up in favour of on-demand."""
    policy = setting["mixed_instances_policy"]
    if policy is None:
        return size
    distribution = policy["InstancesDistribution"]
    base = min(size, int(distribution["OnDemandBaseCapacity"]))
    share = int(distribution["OnDemandPercentageAboveBaseCapacity"])
    return base + -(-(size - base) * share // 100)


def basis(group: Mapping[str, Any]) -> dict[str, object]:
    """What the fingerprint covers: everything of the group that a spot rollout does not set itself.

    The present size is left out, because scaling by itself is a group's daily life; its limits are not.
    """
    setting = setting_of(group)
    distribution = (setting["mixed_instances_policy"] or {}).get("InstancesDistribution", {})
    tags = {t["Key"]: t.get("Value", "") for t in group.get("Tags", [])}
    return {
        "name": group["AutoScalingGroupName"],
        "min": group["MinSize"],
        "max": group["MaxSize"],
        "zones": sorted(group.get("AvailabilityZones", [])),
        "subnets": group.get("VPCZoneIdentifier", ""),
        "template": _specification(group),
        "configuration": group.get("LaunchConfigurationName", ""),
        "overrides": overrides_of(setting),
        "base": distribution.get("OnDemandBaseCapacity", 0),
        "suspended": sorted(p["ProcessName"] for p in group.get("SuspendedProcesses", [])),
        "balancers": sorted([*group.get("TargetGroupARNs", []), *group.get("LoadBalancerNames", [])]),
        "tags": tags,
    }


def fingerprint(basis: object) -> str:
    """The hash by which drift is told."""
    text = json.dumps(basis, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def find(groups: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The group of that name, or ResourceMissingError."""
    for group in groups:
        if group["AutoScalingGroupName"] == name:
            return group
    raise ResourceMissingError(
        f"The Auto Scaling group {name} does not exist any more.",
        fix="Collect again and plan anew; if it was renamed, the new group gets its own recommendation.",
    )


def _specification(group: Mapping[str, Any]) -> dict[str, str]:
    policy = group.get("MixedInstancesPolicy")
    found = policy["LaunchTemplate"]["LaunchTemplateSpecification"] if policy else group.get("LaunchTemplate")
    return _normal_template(found) if found else {}


def _named(specification: Mapping[str, str]) -> Any:
    """The part of a specification that names the template, by id or by name."""
    return {key: value for key, value in specification.items() if key != "Version"}


def _normal_template(template: Mapping[str, Any]) -> dict[str, str]:
    version = str(template.get("Version") or "$Default")
    if template.get("LaunchTemplateId"):
        return {"LaunchTemplateId": str(template["LaunchTemplateId"]), "Version": version}
    return {"LaunchTemplateName": str(template["LaunchTemplateName"]), "Version": version}


def _normal_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    template = policy["LaunchTemplate"]
    overrides = [_normal_override(override) for override in template.get("Overrides") or []]
    by_need = any("InstanceRequirements" in override for override in overrides)
    given = policy.get("InstancesDistribution") or {}
    distribution: dict[str, Any] = {
        "OnDemandAllocationStrategy": given.get("OnDemandAllocationStrategy")
        or ("lowest-price" if by_need else "prioritized"),
        "OnDemandBaseCapacity": int(given.get("OnDemandBaseCapacity") or 0),
        "OnDemandPercentageAboveBaseCapacity": int(given.get("OnDemandPercentageAboveBaseCapacity", 100)),
        "SpotAllocationStrategy": given.get("SpotAllocationStrategy") or "lowest-price",
    }
    if distribution["SpotAllocationStrategy"] == "lowest-price":
        distribution["SpotInstancePools"] = int(given.get("SpotInstancePools") or 2)
    if given.get("SpotMaxPrice"):
        distribution["SpotMaxPrice"] = str(given["SpotMaxPrice"])
    return {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": _normal_template(template["LaunchTemplateSpecification"]),
            "Overrides": overrides,
        },
        "InstancesDistribution": distribution,
    }


def _normal_override(override: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in override.items() if value not in (None, {}, [])}
    if "LaunchTemplateSpecification" in kept:
        kept["LaunchTemplateSpecification"] = _normal_template(kept["LaunchTemplateSpecification"])
    return kept
