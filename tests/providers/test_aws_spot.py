"""Moving an Auto Scaling group to spot and back, against a real AWS wire."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import NOW
from tests.providers.conftest import GROUP, REGION, Aws
from tools.model.errors import InputError, ResourceMissingError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers import registry
from tools.providers.aws import groups
from tools.providers.aws.changes.spot import AsgSpot
from tools.providers.aws.connection import Connection
from tools.providers.aws.inventory import AwsInventory
from tools.providers.base import Change, ChangePlan

STAGES = (10, 50, 100)


def seen(aws: Aws, name: str = GROUP) -> Resource:
    inventory = registry.inventories(aws.settings)[0]
    return next(r for r in inventory.resources(aws.account) if (r.kind, r.id) == ("instance_group", name))


def change(aws: Aws) -> Change:
    return registry.change(aws.settings, "aws.asg_spot")


def approved(resource: Resource, planned: ChangePlan) -> Plan:
    return Plan(
        change="aws.asg_spot",
        provider="AWS",
        account_id=resource.account_id,
        region=resource.region,
        resource_id=resource.id,
        service="checkout",
        title="Move to spot",
        unit_name=planned.unit_name,
        units=planned.units,
        stages=planned.stages,
        before=planned.before,
        fingerprint=planned.fingerprint,
        risk="R1",
        saving_monthly="100",
        currency="USD",
        undo=planned.undo,
    )


def planned(aws: Aws) -> Plan:
    resource = seen(aws)
    return approved(resource, change(aws).plan(resource, STAGES))


def unplugged() -> Change:
    """The change without a cloud: planning needs none."""
    return AsgSpot(Connection((REGION,)), lambda: NOW)


def group_of(instances: int, **attributes: Any) -> Resource:
    setting = {
        "launch_template": {"LaunchTemplateId": "lt-1", "Version": "$Default"},
        "mixed_instances_policy": None,
    }
    known = {"size": instances, "on_demand_base": 0, "counts": {"spot": 0, "on_demand": instances}, "setting": setting}
    return Resource("AWS", "1", REGION, "instance_group", "g", "g", (), known | attributes, "print", NOW)


def distribution(aws: Aws) -> dict[str, Any]:
    return dict(aws.described()["MixedInstancesPolicy"]["InstancesDistribution"])


def test_a_group_of_twenty_goes_to_spot_in_three_steps_and_back_to_exactly_what_it_was(aws: Aws) -> None:
    """Each step counts only when AWS has really replaced the instances; undo leaves no trace of a policy."""
    before = aws.group(size=20)
    plan = planned(aws)
    assert [(s.percent, s.units) for s in plan.stages] == [(10, 2), (50, 10), (100, 20)]
    for stage, on_demand in zip(plan.stages, (90, 50, 0), strict=True):
        change(aws).apply(plan, stage.desired, "token")
        assert distribution(aws)["OnDemandPercentageAboveBaseCapacity"] == on_demand
        at_once = change(aws).observe(plan)
        assert at_once.setting == stage.desired
        assert not at_once.settled, "the setting alone proves nothing"
        aws.rebalance(most=1)
        assert not change(aws).observe(plan).settled or stage.units == 1
        aws.rebalance()
        done = change(aws).observe(plan)
        assert (done.changed, done.total, done.settled) == (stage.units, 20, True)
        assert done.counts == {"spot": stage.units, "on_demand": 20 - stage.units, "moving": 0}
        assert done.fingerprint == plan.fingerprint, "a rollout's own doing is no drift"

    change(aws).apply(plan, plan.before, "token")
    on_the_way = change(aws).observe(plan)
    assert on_the_way.setting != plan.before, "taking the policy away at once would strand the spot instances"
    assert distribution(aws)["OnDemandPercentageAboveBaseCapacity"] == 100
    aws.rebalance()
    change(aws).apply(plan, plan.before, "token")
    back = change(aws).observe(plan)
    assert (back.setting, back.changed, back.settled) == (plan.before, 0, True)
    after = aws.described()
    assert "MixedInstancesPolicy" not in after
    assert after["LaunchTemplate"] == before["LaunchTemplate"]


def test_a_policy_that_was_there_keeps_its_types_base_and_strategy_and_comes_back_exactly(aws: Aws) -> None:
    """Only the on-demand percentage changes; the base stays on demand and is no unit of the rollout."""
    aws.group(
        size=6,
        policy={
            "OnDemandBaseCapacity": 2,
            "OnDemandPercentageAboveBaseCapacity": 100,
            "SpotAllocationStrategy": "capacity-optimized",
        },
    )
    plan = planned(aws)
    assert [(s.percent, s.units) for s in plan.stages] == [(10, 1), (50, 2), (100, 4)]
    change(aws).apply(plan, plan.stages[1].desired, "token")
    policy = aws.described()["MixedInstancesPolicy"]
    assert [o["InstanceType"] for o in policy["LaunchTemplate"]["Overrides"]] == [
        "m5.2xlarge",
        "m5a.2xlarge",
        "m6i.2xlarge",
    ]
    assert policy["InstancesDistribution"]["SpotAllocationStrategy"] == "capacity-optimized"
    assert policy["InstancesDistribution"]["OnDemandBaseCapacity"] == 2
    assert change(aws).observe(plan).total == 4
    change(aws).apply(plan, plan.before, "token")
    assert change(aws).observe(plan).setting == plan.before


def test_setting_the_same_step_twice_is_setting_it_once(aws: Aws) -> None:
    """A retry after a timeout may repeat the call without harm."""
    aws.group(size=4)
    plan = planned(aws)
    for _ in range(2):
        change(aws).apply(plan, plan.stages[0].desired, "same-token")
    aws.rebalance()
    assert change(aws).observe(plan).counts == {"spot": 1, "on_demand": 3, "moving": 0}


@pytest.mark.parametrize(("size", "units"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (7, [1, 4, 7]), (37, [4, 19, 37])])
def test_small_groups_get_whole_instances(size: int, units: list[int]) -> None:
    """Nobody is told that ten percent of one machine was changed; the percentages make AWS change exactly that many."""
    stages = unplugged().plan(group_of(size), STAGES).stages
    assert [s.units for s in stages] == units
    assert stages[-1].percent == 100
    assert [size - groups.on_demand_units(s.desired, size) for s in stages] == units


def test_what_is_leaving_or_unknown_is_on_its_way_and_what_stands_by_does_not_count() -> None:
    """Only a member in service that EC2 shows running is counted as one kind or the other."""
    states = {
        "a": ("InService", "running", {"InstanceLifecycle": "spot"}),
        "b": ("InService", "running", {}),
        "c": ("InService", "shutting-down", {"InstanceLifecycle": "spot"}),
        "d": ("Pending", "pending", {"InstanceLifecycle": "spot"}),
        "e": ("Terminating:Wait", "running", {}),
        "f": ("Standby", "running", {}),
    }
    group = {"Instances": [{"InstanceId": i, "LifecycleState": s[0]} for i, s in states.items()]}
    group["Instances"].append({"InstanceId": "unknown", "LifecycleState": "InService"})
    instances = {i: {"State": {"Name": s[1]}, **s[2]} for i, s in states.items()}
    counted = groups.count(group, instances)
    assert (counted.spot, counted.on_demand, counted.moving) == (1, 1, 4)


def test_drift_shows_in_the_fingerprint_and_scaling_does_not(aws: Aws) -> None:
    """Other limits or another tag mean that the approved plan is for another group; size changes every day."""
    aws.group(size=4)
    plan = planned(aws)
    autoscaling = aws.client("autoscaling")
    autoscaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=5)
    assert change(aws).observe(plan).fingerprint == plan.fingerprint
    assert change(aws).observe(plan).total == 5
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=50)
    assert change(aws).observe(plan).fingerprint != plan.fingerprint


def test_a_group_that_is_gone_is_said_to_be_gone(aws: Aws) -> None:
    """The engine must tell a deleted group from one that cannot be seen."""
    aws.group(size=2)
    plan = planned(aws)
    aws.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
    with pytest.raises(ResourceMissingError, match=f"{GROUP} does not exist any more"):
        change(aws).observe(plan)


def test_neither_template_nor_policy_is_no_state_to_set(aws: Aws) -> None:
    """A plan without a way back is refused before anything is sent."""
    aws.group(size=2)
    plan = planned(aws)
    with pytest.raises(InputError, match="neither"):
        change(aws).apply(plan, {"launch_template": None, "mixed_instances_policy": None}, "token")


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"setting": {"launch_template": None, "mixed_instances_policy": None}}, "launch configuration"),
        ({"template_asks_for_spot": True}, "asks for spot"),
        ({"counts": {"spot": 1, "on_demand": 2}}, "on spot already"),
        ({"on_demand_percentage": 50}, "on spot already"),
        ({"size": 0}, "no instance that may change"),
        ({"weighted": True}, "different weights"),
        ({"suspended": ["Launch"]}, "suspended (Launch)"),
        ({"protected": True}, "protected from scale-in"),
        ({"moving": 1}, "right now"),
    ],
)
def test_a_group_that_cannot_move_says_why(attributes: dict[str, Any], reason: str) -> None:
    """Refused at planning, in a sentence, not half-way through a rollout."""
    with pytest.raises(InputError) as refused:
        unplugged().plan(group_of(3, **attributes), STAGES)
    assert reason in refused.value.what


def test_a_group_on_a_launch_configuration_is_seen_as_such(aws: Aws) -> None:
    """Old groups are inventoried, and their obstacle is known."""
    autoscaling = aws.client("autoscaling")
    autoscaling.create_launch_configuration(LaunchConfigurationName="old", ImageId=aws.image, InstanceType="m5.large")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="legacy",
        LaunchConfigurationName="old",
        MinSize=1,
        MaxSize=2,
        AvailabilityZones=[f"{REGION}a"],
    )
    legacy = seen(aws, "legacy")
    assert legacy.attributes["instance_types"] == ["m5.large"]
    assert "launch configuration" in registry.obstacles("aws.asg_spot", legacy)[0]


def test_inventory_is_the_one_of_the_settings(aws: Aws) -> None:
    """The registry makes AWS's inventory only where AWS is connected."""
    assert isinstance(registry.inventories(aws.settings)[0], AwsInventory)
