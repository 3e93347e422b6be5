"""The sandbox's AWS, asked by Amazon's own client."""

from __future__ import annotations

import time
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from sandbox import inventory as have
from sandbox.organisation import AWS_PRODUCTION, AWS_STAGING
from sandbox.pytest_plugin import SandboxAws

FLEET = "checkout-workers"
_clients: dict[tuple[str, str, str], Any] = {}


def client(aws: SandboxAws, service: str, key: str = "AKIAANYBODY", **keys: str) -> Any:
    """Amazon's client, without retries; made once per service and key, as that is slow."""
    known = (aws.url, service, key)
    if known not in _clients:
        keys = {"aws_access_key_id": key, "aws_secret_access_key": "secret"} | keys
        once = Config(retries={"total_max_attempts": 1})
        _clients[known] = boto3.client(service, endpoint_url=aws.url, region_name="eu-west-1", config=once, **keys)
    return _clients[known]


def set_on_demand(aws: SandboxAws, percent: int, fleet: str = FLEET, **more: object) -> None:
    distribution = {"OnDemandPercentageAboveBaseCapacity": percent} | more
    client(aws, "autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=fleet, MixedInstancesPolicy={"InstancesDistribution": distribution}
    )


def group(aws: SandboxAws, fleet: str = FLEET) -> dict[str, Any]:
    found = client(aws, "autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[fleet])
    only: dict[str, Any] = found["AutoScalingGroups"][0]
    return only


def lifecycles(aws: SandboxAws, fleet: str = FLEET) -> dict[str, int]:
    """Instances in service counted one by one, as a careful client does."""
    ids = [state["InstanceId"] for state in group(aws, fleet)["Instances"] if state["LifecycleState"] == "InService"]
    found = client(aws, "ec2").describe_instances(InstanceIds=ids)["Reservations"]
    kinds = [i.get("InstanceLifecycle", "on-demand") for r in found for i in r["Instances"]]
    return {kind: kinds.count(kind) for kind in set(kinds)}


def test_a_changed_percentage_gradually_becomes_spot_instances(sandbox_aws: SandboxAws) -> None:
    """90, 50, 0 and back to 100 percent end at 18, 10, 0 and 20 on-demand instances of 20."""
    for percent, on_demand in ((90, 18), (50, 10), (0, 0), (100, 20)):
        set_on_demand(sandbox_aws, percent)
        sandbox_aws.wait_until_settled(FLEET)
        expected = {"on-demand": on_demand, "spot": 20 - on_demand}
        assert lifecycles(sandbox_aws) == {kind: n for kind, n in expected.items() if n}
        assert group(sandbox_aws)["DesiredCapacity"] == 20


def test_capacity_is_never_lost_on_the_way(sandbox_aws: SandboxAws) -> None:
    """While instances are replaced, at least as many serve as are desired; the present ones stay until then."""
    sandbox_aws.control.post("speed", speed=100)
    set_on_demand(sandbox_aws, 50)
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["spot"] < 10:
        seen.append(sandbox_aws.fleet(FLEET))
    assert min(fleet["on_demand"] + fleet["spot"] for fleet in seen) >= 20
    assert len({fleet["spot"] for fleet in seen}) > 2, "it happened all at once"
    activities = client(sandbox_aws, "autoscaling").describe_scaling_activities(AutoScalingGroupName=FLEET)[
        "Activities"
    ]
    assert any("Launching a new EC2 instance" in a["Description"] for a in activities)


def test_the_rest_of_the_policy_survives_an_update(sandbox_aws: SandboxAws) -> None:
    """Template, overrides and strategy are what they were; the change is seen at once."""
    before = group(sandbox_aws)["MixedInstancesPolicy"]
    set_on_demand(sandbox_aws, 50)
    after = group(sandbox_aws)["MixedInstancesPolicy"]
    assert after["LaunchTemplate"] == before["LaunchTemplate"]
    assert after["InstancesDistribution"] == before["InstancesDistribution"] | {
        "OnDemandPercentageAboveBaseCapacity": 50
    }
    client(sandbox_aws, "autoscaling").update_auto_scaling_group(AutoScalingGroupName=FLEET, MaxSize=30)
    assert group(sandbox_aws)["MixedInstancesPolicy"] == after


def test_an_impossible_percentage_is_refused_and_changes_nothing(sandbox_aws: SandboxAws) -> None:
    """As AWS: a ValidationError, and the group is as before."""
    with pytest.raises(ClientError, match="between 0 and 100"):
        set_on_demand(sandbox_aws, 120)
    assert sandbox_aws.fleet(FLEET)["wanted_on_demand"] == 20


def test_no_spot_capacity_means_waiting_without_loss(sandbox_aws: SandboxAws) -> None:
    """With no spot to be had the group keeps its on-demand instances; when it comes back, the change goes on."""
    sandbox_aws.control.post("spot", available=False, fleet=FLEET)
    set_on_demand(sandbox_aws, 50)
    time.sleep(0.5)
    assert lifecycles(sandbox_aws) == {"on-demand": 20}
    sandbox_aws.control.post("spot", available=True)
    sandbox_aws.wait_until_settled(FLEET)
    assert lifecycles(sandbox_aws) == {"on-demand": 10, "spot": 10}


def test_interrupted_spot_instances_are_replaced(sandbox_aws: SandboxAws) -> None:
    """AWS takes three spot instances back; others take their place."""
    before = {i["InstanceId"] for i in group(sandbox_aws, "thumbnailer")["Instances"]}
    assert sandbox_aws.control.post("interrupt", fleet="thumbnailer", count=3) == {"interrupted": 3}
    fleet = sandbox_aws.wait_until_settled("thumbnailer")
    assert (fleet["on_demand"], fleet["spot"]) == (2, 8)
    after = {i["InstanceId"] for i in group(sandbox_aws, "thumbnailer")["Instances"]}
    assert len(before - after) == 3


def test_groups_grow_shrink_and_heal(sandbox_aws: SandboxAws) -> None:
    """Desired capacity is followed both ways; an instance that somebody ends or marks unhealthy is replaced."""
    autoscaling = client(sandbox_aws, "autoscaling")
    autoscaling.set_desired_capacity(AutoScalingGroupName="payments-api", DesiredCapacity=8)
    assert sandbox_aws.wait_until_settled("payments-api")["on_demand"] == 8
    autoscaling.set_desired_capacity(AutoScalingGroupName="payments-api", DesiredCapacity=5)
    assert sandbox_aws.wait_until_settled("payments-api")["on_demand"] == 5
    first, second = [i["InstanceId"] for i in group(sandbox_aws, "payments-api")["Instances"]][:2]
    client(sandbox_aws, "ec2").terminate_instances(InstanceIds=[first])
    autoscaling.set_instance_health(InstanceId=second, HealthStatus="Unhealthy")
    time.sleep(0.3)
    assert sandbox_aws.wait_until_settled("payments-api")["on_demand"] == 5
    left = {i["InstanceId"] for i in group(sandbox_aws, "payments-api")["Instances"]}
    assert not left & {first, second}


def test_a_new_group_gets_its_instances(sandbox_aws: SandboxAws) -> None:
    """A group that somebody creates with 40 percent on demand starts 2 of 5 so, the others spot."""
    policy = group(sandbox_aws)["MixedInstancesPolicy"]
    template = policy["LaunchTemplate"]["LaunchTemplateSpecification"]
    client(sandbox_aws, "autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="new", MinSize=1, MaxSize=9, DesiredCapacity=5, AvailabilityZones=["eu-west-1a"],
        MixedInstancesPolicy={
            "LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateId": template["LaunchTemplateId"]}},
            "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 40},
        },
    )  # fmt: skip
    assert sandbox_aws.wait_until_settled("new")["spot"] == 3


def test_what_exists_has_the_ids_of_the_bill(sandbox_aws: SandboxAws) -> None:
    """Instances, volumes, snapshots and addresses of the production account are those that it is billed for."""
    ec2 = client(sandbox_aws, "ec2")
    instances = {i["InstanceId"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]}
    assert instances == {i.id for i in have.INSTANCES if i.account_id == AWS_PRODUCTION}
    volumes = ec2.describe_volumes(Filters=[{"Name": "status", "Values": ["available"]}])["Volumes"]
    mine = {v.id: v for v in have.UNATTACHED_VOLUMES if v.account_id == AWS_PRODUCTION}
    assert {v["VolumeId"]: v["Size"] for v in volumes} == {key: v.gigabytes for key, v in mine.items()}
    snapshots = {s["SnapshotId"] for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert snapshots == {s.id for s in have.SNAPSHOTS if s.account_id == AWS_PRODUCTION}
    loose = {a["AllocationId"] for a in ec2.describe_addresses()["Addresses"] if "AssociationId" not in a}
    assert loose == {a.id for a in have.ADDRESSES if a.account_id == AWS_PRODUCTION and not a.attached}


def test_another_account_is_reached_by_assuming_a_role(sandbox_aws: SandboxAws) -> None:
    """The default keys are production's; staging's machines are seen with staging's role only."""
    sts = client(sandbox_aws, "sts")
    assert sts.get_caller_identity()["Account"] == AWS_PRODUCTION
    role = f"arn:aws:iam::{AWS_STAGING}:role/reader"
    given = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    staging = client(sandbox_aws, "ec2", given["AccessKeyId"], aws_session_token=given["SessionToken"])
    found = {i["InstanceId"] for r in staging.describe_instances()["Reservations"] for i in r["Instances"]}
    assert found == {i.id for i in have.STAGING_HOSTS}


def test_spot_has_the_storys_price(sandbox_aws: SandboxAws) -> None:
    """Price history gives the price of each zone for the types asked for, and nothing for unknown ones."""
    ec2 = client(sandbox_aws, "ec2")
    history = ec2.describe_spot_price_history(InstanceTypes=["c5.xlarge"], ProductDescriptions=["Linux/UNIX"])
    prices = {p["AvailabilityZone"]: p["SpotPrice"] for p in history["SpotPriceHistory"]}
    assert prices == {zone: str(have.spot_price("c5.xlarge", zone)) for zone in have.ZONES}
    only = ec2.describe_spot_price_history(InstanceTypes=["c5.xlarge"], AvailabilityZone="eu-west-1b")
    assert len(only["SpotPriceHistory"]) == 1
    assert ec2.describe_spot_price_history(InstanceTypes=["p5.48xlarge"])["SpotPriceHistory"] == []


@pytest.mark.parametrize(
    ("kind", "code"),
    [("throttle", "Throttling"), ("error", "InternalFailure"), ("deny", "AccessDenied"), ("expired", "ExpiredToken")],
)
def test_a_refused_call_changes_nothing(sandbox_aws: SandboxAws, kind: str, code: str) -> None:
    """Throttled, failed, denied or expired: the client sees AWS's own code, and the group is untouched."""
    sandbox_aws.control.post("fault", kind=kind, action="autoscaling:Update*", times=1)
    with pytest.raises(ClientError) as refused:
        set_on_demand(sandbox_aws, 50)
    assert refused.value.response["Error"]["Code"] == code
    assert sandbox_aws.fleet(FLEET)["wanted_on_demand"] == 20
    set_on_demand(sandbox_aws, 50)
    assert sandbox_aws.fleet(FLEET)["wanted_on_demand"] == 10


def test_the_protocols_word_their_refusals(sandbox_aws: SandboxAws) -> None:
    """EC2, CloudWatch and S3 each have their own way to say that a permission is missing."""
    sandbox_aws.control.post("fault", kind="deny")
    for service, call, code in (
        ("ec2", lambda c: c.describe_volumes(), "UnauthorizedOperation"),
        ("cloudwatch", lambda c: c.list_metrics(), "AccessDenied"),
        ("s3", lambda c: c.list_buckets(), "AccessDenied"),
    ):
        with pytest.raises(ClientError) as refused:
            call(client(sandbox_aws, service))
        assert refused.value.response["Error"]["Code"] == code
    sandbox_aws.control.delete("fault")
    assert client(sandbox_aws, "s3").list_buckets()["Buckets"]


@pytest.mark.parametrize(("kind", "wanted"), [("timeout_after_success", 10), ("timeout", 20), ("cut", 20)])
def test_a_lost_answer_does_not_tell_whether_it_was_done(sandbox_aws: SandboxAws, kind: str, wanted: int) -> None:
    """The connection ends without an answer; only looking tells what happened."""
    sandbox_aws.control.post("fault", kind=kind, action="UpdateAutoScalingGroup", times=1, seconds=0.1)
    with pytest.raises(ConnectionClosedError):
        set_on_demand(sandbox_aws, 50)
    assert sandbox_aws.fleet(FLEET)["wanted_on_demand"] == wanted


@pytest.mark.parametrize(
    ("path", "document", "words"),
    [
        ("fault", {"kind": "fire"}, "kind must be one of"),
        ("spot", {}, "true or false"),
        ("spot", {"available": True, "fleet": "x"}, "There is no fleet x"),
        ("interrupt", {"fleet": FLEET, "count": 0}, "whole number from 1"),
        ("speed", {"speed": 0}, "above 0"),
        ("nothing", {}, "There is no POST"),
    ],
)
def test_a_control_request_that_makes_no_sense_is_told(
    sandbox_aws: SandboxAws, path: str, document: dict[str, object], words: str
) -> None:
    """The control paths refuse with a sentence."""
    with pytest.raises(HTTPError) as refused:
        sandbox_aws.control.post(path, **document)
    assert words in refused.value.read().decode()


def test_calls_are_counted(sandbox_aws: SandboxAws) -> None:
    """What was asked of AWS can be read back, so that a test can tell how often something was done."""
    group(sandbox_aws)
    assert sandbox_aws.control.get("calls") == {"autoscaling:DescribeAutoScalingGroups": 1}
    assert sandbox_aws.control.get("ready") == {"ready": True}
