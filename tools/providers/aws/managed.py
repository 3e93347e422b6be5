"""Managed: databases and their clusters, functions, NAT gateways and load balancers of one account and region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tools.model.resource import Resource
from tools.providers.aws.describing import BALANCER, CLUSTER, DATABASE, FUNCTION, GATEWAY
from tools.providers.aws.metrics import Wanted
from tools.providers.aws.refusals import our_words
from tools.providers.aws.sections import Place, Section

# What a load balancer's traffic is counted by, per type.
_TRAFFIC = {
    "application": ("AWS/ApplicationELB", "RequestCount"),
    "network": ("AWS/NetworkELB", "NewFlowCount"),
    "gateway": ("AWS/GatewayELB", "NewFlowCount"),
}
_CLASSIC_TAGS_PER_CALL = 20


def _databases(place: Place) -> Iterator[Resource]:
    found = list(place.pages("rds", "describe_db_instances", "DBInstances", "databases"))
    names = [one["DBInstanceIdentifier"] for one in found if one.get("DBInstanceStatus") == "available"]
    use = place.utilisation(names, namespace="AWS/RDS", dimension="DBInstanceIdentifier")
    yield from (place.see.database(one, use.get(one["DBInstanceIdentifier"])) for one in found)


def _clusters(place: Place) -> Iterator[Resource]:
    yield from map(place.see.cluster, place.pages("rds", "describe_db_clusters", "DBClusters", "database clusters"))


def _functions(place: Place) -> Iterator[Resource]:
    found = list(place.pages("lambda", "list_functions", "Functions", "functions"))
    invoked = place.totals(
        [Wanted("AWS/Lambda", "Invocations", (("FunctionName", one["FunctionName"]),), "Sum") for one in found]
    )
    for one, invocations in zip(found, invoked, strict=True):
        yield place.see.function(one, place.tags(one["FunctionArn"]), invocations)


def _gateways(place: Place) -> Iterator[Resource]:
    every = place.pages("ec2", "describe_nat_gateways", "NatGateways", "NAT gateways")
    # AWS goes on listing a deleted gateway for an hour.
    found = [one for one in every if one.get("State") not in {"deleted", "failed"}]
    wanted = [
        Wanted("AWS/NATGateway", "BytesOutToDestination", (("NatGatewayId", one["NatGatewayId"]),), "Sum")
        for one in found
    ]
    yield from (place.see.gateway(one, sent) for one, sent in zip(found, place.totals(wanted), strict=True))


def _balancers(place: Place) -> Iterator[Resource]:
    found = list(place.pages("elbv2", "describe_load_balancers", "LoadBalancers", "load balancers"))
    groups = list(place.pages("elbv2", "describe_target_groups", "TargetGroups", "target groups")) if found else []
    health = {group["TargetGroupArn"]: _health(place, group) for group in groups}
    requests = place.totals(
        [Wanted(*_TRAFFIC[one["Type"]], (("LoadBalancer", _name_in_metrics(one)),), "Sum") for one in found]
    )
    for one, count in zip(found, requests, strict=True):
        mine = [health[g["TargetGroupArn"]] for g in groups if one["LoadBalancerArn"] in g.get("LoadBalancerArns", ())]
        yield place.see.balancer(
            one["LoadBalancerArn"],
            one["LoadBalancerName"],
            place.tags(one["LoadBalancerArn"]),
            _balancer(one["Type"], one, sum(n for n, _ in mine), sum(n for _, n in mine), count),
        )


def _name_in_metrics(balancer: Mapping[str, Any]) -> str:
    """CloudWatch knows a load balancer by the end of its ARN: "app/shop/50dc6c495c0c9188"."""
    return str(balancer["LoadBalancerArn"]).partition(":loadbalancer/")[2]


def _health(place: Place, group: Mapping[str, Any]) -> tuple[int, int]:
    """How many targets a group has, and how many of them are healthy."""
    with our_words(f"looking at the targets of load balancers of {place.account_id} in {place.region}"):
        told = place.client("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupArn"])
    states = [target["TargetHealth"]["State"] for target in told["TargetHealthDescriptions"]]
    return len(states), states.count("healthy")


def _classic(place: Place) -> Iterator[Resource]:
    found = list(place.pages("elb", "describe_load_balancers", "LoadBalancerDescriptions", "classic load balancers"))
    requests = place.totals(
        [Wanted("AWS/ELB", "RequestCount", (("LoadBalancerName", one["LoadBalancerName"]),), "Sum") for one in found]
    )
    tags = dict(_classic_tags(place, [one["LoadBalancerName"] for one in found]))
    for one, count in zip(found, requests, strict=True):
        name = one["LoadBalancerName"]
        with our_words(f"looking at the targets of load balancers of {place.account_id} in {place.region}"):
            states = place.client("elb").describe_instance_health(LoadBalancerName=name)["InstanceStates"]
        healthy = sum(state["State"] == "InService" for state in states)
        arn = f"arn:aws:elasticloadbalancing:{place.region}:{place.account_id}:loadbalancer/{name}"
        attributes = _balancer("classic", one, len(states), healthy, count)
        yield place.see.balancer(arn, name, tags.get(name, []), attributes)


def _classic_tags(place: Place, names: list[str]) -> Iterator[tuple[str, Iterable[Mapping[str, Any]]]]:
    for start in range(0, len(names), _CLASSIC_TAGS_PER_CALL):
        with our_words(f"reading tags of load balancers of {place.account_id} in {place.region}"):
            told = place.client("elb").describe_tags(LoadBalancerNames=names[start : start + _CLASSIC_TAGS_PER_CALL])
        yield from ((one["LoadBalancerName"], one["Tags"]) for one in told["TagDescriptions"])


def _balancer(
    kind: str, told: Mapping[str, Any], targets: int, healthy: int, requests: int | None
) -> dict[str, object]:
    created = told.get("CreatedTime")
    return {
        "type": kind,
        "state": told.get("State", {}).get("Code", "active"),
        "scheme": told.get("Scheme", ""),
        "targets": targets,
        "healthy": healthy,
        "requests": requests,
        "created_at": created.isoformat() if created else "",
    }


SECTIONS = (
    Section((DATABASE,), "databases", _databases),
    Section((CLUSTER,), "database clusters", _clusters),
    Section((FUNCTION,), "functions", _functions),
    Section((GATEWAY,), "NAT gateways", _gateways),
    Section((BALANCER,), "load balancers", lambda place: [*_balancers(place), *_classic(place)]),
)
