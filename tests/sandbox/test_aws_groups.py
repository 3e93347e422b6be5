"""How Auto Scaling decides, as a table, and how faults and the wire read."""

from __future__ import annotations

import pytest

from sandbox.clouds.aws_groups import Census, Move, next_move
from sandbox.clouds.aws_moto import merge_policy, policy_problem
from sandbox.clouds.aws_wire import call_of, error, key_of
from sandbox.faults import Fault, FaultKind, Faults, UnknownFaultError, fault_of
from sandbox.inventory import fleet_instances, on_demand_count, spot_price
from sandbox.organisation import FLEETS


@pytest.mark.parametrize(
    ("size", "percent", "base", "on_demand"),
    [
        (20, 100, 0, 20),
        (20, 90, 0, 18),
        (20, 50, 0, 10),
        (20, 0, 0, 0),
        (7, 50, 0, 4),
        (7, 1, 0, 1),
        (7, 50, 2, 5),
        (3, 0, 5, 3),
        (0, 50, 0, 0),
        (1, 10, 0, 1),
    ],
)
def test_on_demand_is_rounded_up(size: int, percent: int, base: int, on_demand: int) -> None:
    """The percentage above the base is rounded in favour of on-demand instances, and never beyond the group."""
    assert on_demand_count(size, percent, base) == on_demand


@pytest.mark.parametrize(
    ("census", "move"),
    [
        # wanted: 18 on demand, 2 spot
        (Census(20, 18, on_demand=20, spot=0), Move(launch_spot=2)),
        (Census(20, 18, on_demand=20, spot=0, pending_spot=2), Move()),
        (Census(20, 18, on_demand=20, spot=2), Move(terminate_on_demand=2)),
        (Census(20, 18, on_demand=18, spot=2), Move()),
        # a whole group is replaced by tenths
        (Census(20, 0, on_demand=20, spot=0), Move(launch_spot=2)),
        (Census(20, 0, on_demand=18, spot=2, pending_spot=1), Move(launch_spot=1)),
        # back again
        (Census(20, 20, on_demand=0, spot=20), Move(launch_on_demand=2)),
        (Census(20, 20, on_demand=2, spot=20), Move(terminate_spot=2)),
        # growing and shrinking
        (Census(5, 5, on_demand=0, spot=0), Move(launch_on_demand=5)),
        (Census(10, 2, on_demand=2, spot=0), Move(launch_spot=8)),
        (Census(2, 1, on_demand=5, spot=5), Move(terminate_on_demand=4, terminate_spot=4)),
        # interrupted
        (Census(10, 0, on_demand=0, spot=7), Move(launch_spot=3)),
    ],
)
def test_what_a_group_does_next(census: Census, move: Move) -> None:
    """It launches before it terminates, a tenth at a time, and at once what is missing."""
    assert next_move(census) == move


def test_without_spot_capacity_nothing_is_given_up() -> None:
    """When no spot capacity is to be had, the on-demand instances stay."""
    assert next_move(Census(20, 10, on_demand=20, spot=0), spot_available=False) == Move()
    assert next_move(Census(10, 0, on_demand=0, spot=7), spot_available=False) == Move()


def test_a_policy_keeps_what_an_update_does_not_name() -> None:
    """An update of the percentage alone leaves template, overrides and strategy as they are."""
    present = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "n", "Version": "1"},
            "Overrides": [{"InstanceType": "c5.large"}],
        },
        "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 100, "SpotAllocationStrategy": "s"},
    }
    merged = merge_policy(present, {"InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 50}})
    assert merged == {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "Version": "1"},
            "Overrides": [{"InstanceType": "c5.large"}],
        },
        "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 50, "SpotAllocationStrategy": "s"},
    }
    assert merge_policy(None, None) is None
    assert merge_policy(None, present) == present


def test_an_impossible_policy_is_refused() -> None:
    """AWS says no to percentages beyond 100 and to negative bases."""
    assert "between 0 and 100" in policy_problem(
        {"InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 101}}
    )
    assert "negative" in policy_problem({"InstancesDistribution": {"OnDemandBaseCapacity": -1}})
    assert policy_problem(None) == ""


def test_faults_hit_as_often_as_they_were_asked_to() -> None:
    """A fault for one action leaves others alone, and is over after its times."""
    faults = Faults()
    faults.add(Fault(FaultKind.THROTTLE, "Describe*", times=2))
    assert faults.hit("UpdateAutoScalingGroup") is None
    assert [bool(faults.hit("DescribeVolumes")) for _ in range(3)] == [True, True, False]
    assert faults.as_json()[0]["hits"] == 2
    faults.clear()
    assert faults.as_json() == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "kind must be one of"),
        ({"kind": "fire"}, "kind must be one of"),
        ({"kind": "deny", "times": 0}, "times must be"),
        ({"kind": "deny", "times": True}, "times must be"),
        ({"kind": "deny", "seconds": -1}, "seconds must be"),
        ({"kind": "deny", "actions": "x"}, "Unknown fields actions"),
    ],
)
def test_a_fault_that_makes_no_sense_is_told(document: dict[str, object], words: str) -> None:
    """A typo in a fault is an error, never a fault that does nothing."""
    with pytest.raises(UnknownFaultError, match=words):
        fault_of(document)


@pytest.mark.parametrize(
    ("headers", "path", "body", "name", "protocol"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, "/", b"Action=RunInstances&V=1", "RunInstances", "ec2"),
        ({"x-amz-target": "Thing_2016.GetCost"}, "/", b"{}", "GetCost", "json"),
        ({}, "/service/X/operation/GetMetricData", b"", "GetMetricData", "cbor"),
        ({}, "/bucket/key", b"", "GET /bucket/key", "rest"),
    ],
)
def test_every_protocol_names_its_action(
    headers: dict[str, str], path: str, body: bytes, name: str, protocol: str
) -> None:
    """Query, JSON, CBOR and REST requests are told apart, and their errors are in their own words."""
    signed = headers | {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA1/20261125/eu-west-1/ec2/aws4_request, x=y"}
    call = call_of("GET", path, signed, body)
    assert (call.service, call.action, call.protocol) == ("ec2", name, protocol)
    status, _, text = error(call, FaultKind.DENY, "1")
    assert status == (400 if protocol == "json" else 403)
    assert f"perform: ec2:{name}".encode() in text


def test_an_unsigned_request_has_no_service() -> None:
    """Requests without a signature are not guessed at."""
    assert call_of("GET", "/", {}, b"").service == ""
    assert key_of("") == ""


def test_a_fleet_begins_as_its_policy_says() -> None:
    """The inventory that the bills are made from has the policy's on-demand and spot instances."""
    thumbnailer = next(f for f in FLEETS if f.name == "thumbnailer")
    kinds = [i.spot for i in fleet_instances(thumbnailer)]
    assert (kinds.count(False), kinds.count(True)) == (2, 8)


def test_spot_costs_a_little_more_in_the_next_zone() -> None:
    """Each zone has a market of its own."""
    assert spot_price("m5.2xlarge", "eu-west-1a") < spot_price("m5.2xlarge", "eu-west-1b")
