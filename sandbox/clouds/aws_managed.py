"""Fills moto with what AWS manages for the organisation; each service only when it is first asked, to start lightly."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sandbox import inventory as have
from sandbox.clouds import aws_seed
from sandbox.clouds.aws_groups import named
from sandbox.organisation import AWS_PRODUCTION, AWS_STAGING

DAYS = 15
# So few at a time that lists have more than one page where Amazon has hundreds.
PER_PAGE = {
    ("rds", "DescribeDBInstances"): b"&MaxRecords=2",
    ("elasticloadbalancing", "DescribeLoadBalancers"): b"&PageSize=2",
}
FUNCTIONS_PER_PAGE = 2
Document = dict[str, Any]


def databases(now: datetime) -> None:
    """The RDS instances."""
    from moto.rds.models import rds_backends

    for database in have.DATABASES:
        made = rds_backends[database.account_id][have.REGION].create_db_instance(
            {
                "db_instance_identifier": database.name,
                "db_instance_class": database.kind,
                "engine": "postgres",
                "allocated_storage": database.gigabytes,
                "storage_type": "gp3",
                "multi_az": database.standby,
                "master_username": "lumen",
                "master_user_password": "not-asked-for",
                "tags": [{"Key": key, "Value": value} for key, value in database.tags],
            }
        )
        made.created = now - timedelta(days=700)


def balancers(now: datetime) -> None:
    """The load balancers, each but the forgotten one with a group of healthy targets."""
    from moto.ec2.models import ec2_backends
    from moto.elbv2.models import elbv2_backends

    hosts = iter(i for i in have.INSTANCES if i.account_id == AWS_PRODUCTION and i.fleet)
    for balancer in have.LOAD_BALANCERS:
        elb = elbv2_backends[balancer.account_id][have.REGION]
        subnets = _subnets(ec2_backends[balancer.account_id][have.REGION])
        tags = [{"Key": key, "Value": value} for key, value in balancer.tags]
        made = elb.create_load_balancer(
            balancer.name, [], [s.id for s in subnets[:2]], loadbalancer_type="application", tags=tags
        )
        _rename(elb.load_balancers, made, balancer.arn)
        if balancer.targets:
            group = elb.create_target_group(
                balancer.name, protocol="HTTP", port="8080", vpc_id=subnets[0].vpc_id, target_type="instance"
            )
            group.load_balancer_arns.append(balancer.arn)
            elb.register_targets(group.arn, [{"Id": next(hosts).id, "Port": 8080} for _ in range(balancer.targets)])


def _rename(known: dict[str, Any], made: Any, arn: str) -> None:
    """Give a load balancer the ARN that the bill names."""
    del known[made.arn]
    made.arn = arn
    known[arn] = made


def _subnets(ec2: Any) -> list[Any]:
    return sorted(ec2.describe_subnets(), key=lambda subnet: str(subnet.availability_zone))


def gateways(now: datetime) -> None:
    """The NAT gateways."""
    from moto.ec2.models import ec2_backends

    for gateway in have.NAT_GATEWAYS:
        ec2 = ec2_backends[gateway.account_id][have.REGION]
        with named("moto.ec2.models.nat_gateways", "random_nat_gateway_id", gateway.id):
            made = ec2.create_nat_gateway(
                _subnets(ec2)[0].id, "", dict(gateway.tags) | {"Name": gateway.name}, "private"
            )
        made.connectivity_type = "public"
        made._created_at = (now - timedelta(days=500)).replace(tzinfo=None)


def functions(now: datetime) -> None:
    """The Lambda functions."""
    from moto.awslambda.models import lambda_backends
    from moto.iam.models import iam_backends

    for function in have.FUNCTIONS:
        iam_backends[function.account_id]["aws"].create_role(function.name, "{}", "/", None, "", [], None)
        lambda_backends[function.account_id][have.REGION].create_function(
            {
                "FunctionName": function.name,
                "Runtime": "python3.12",
                "Role": f"arn:aws:iam::{function.account_id}:role/{function.name}",
                "Handler": "main.handle",
                "Code": {"ImageUri": "lumen"},
                "PackageType": "Image",
                "MemorySize": function.memory,
                "Architectures": [function.architecture],
                "Timeout": 30,
                "Tags": dict(function.tags),
            }
        )


def metrics(now: datetime) -> None:
    """What CloudWatch measured of all this in two weeks."""
    from moto.cloudwatch.models import cloudwatch_backends

    for account in sorted({AWS_PRODUCTION, AWS_STAGING, *(account for _, account, _ in have.BUCKETS)}):
        if found := list(_points(account, now)):
            for namespace in {namespace for namespace, _ in found}:
                data = [point for space, point in found if space == namespace]
                cloudwatch_backends[account][have.REGION].put_metric_data(namespace, data)


def _points(account: str, now: datetime) -> Iterator[tuple[str, Document]]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for space, metric, dimensions, value in _daily(account):
        for day in range(1, DAYS):
            yield space, _point(metric, dimensions, midnight - timedelta(days=day), value)
    for database in have.DATABASES:
        if database.account_id == account:
            for hour in range(24 * 14):
                at = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hour + 1)
                busy = database.busy * (1 + 0.35 * math.sin(at.hour / 24 * 2 * math.pi - 2))
                dimensions = {"DBInstanceIdentifier": database.name}
                yield "AWS/RDS", _point("CPUUtilization", dimensions, at, round(busy, 3))


def _daily(account: str) -> Iterator[tuple[str, str, dict[str, str], float]]:
    for balancer in have.LOAD_BALANCERS:
        if balancer.account_id == account and balancer.requests:
            name = balancer.arn.partition(":loadbalancer/")[2]
            yield "AWS/ApplicationELB", "RequestCount", {"LoadBalancer": name}, balancer.requests
    for function in have.FUNCTIONS:
        if function.account_id == account:
            yield "AWS/Lambda", "Invocations", {"FunctionName": function.name}, function.invocations
    for gateway in have.NAT_GATEWAYS:
        if gateway.account_id == account:
            yield "AWS/NATGateway", "BytesOutToDestination", {"NatGatewayId": gateway.id}, gateway.gigabytes * 10**9
    for name, owner, _ in have.BUCKETS:
        if owner == account:
            for kind, size in have.BUCKET_CLASSES[name].items():
                yield "AWS/S3", "BucketSizeBytes", {"BucketName": name, "StorageType": kind}, size << 30
            everything = {"BucketName": name, "StorageType": "AllStorageTypes"}
            yield "AWS/S3", "NumberOfObjects", everything, sum(have.BUCKET_CLASSES[name].values()) * 1000


def _point(metric: str, dimensions: dict[str, str], at: datetime, value: float) -> Document:
    return {
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": word} for name, word in dimensions.items()],
        "Timestamp": at.replace(tzinfo=None),
        "Value": value,
    }


def uploads(now: datetime) -> None:
    """Lifecycle rules, and uploads that nobody finished."""
    from moto.s3.models import s3_backends
    from requests.structures import CaseInsensitiveDict

    accounts = {name: account for name, account, _ in have.BUCKETS}
    for name, (prefix, days) in have.EXPIRING.items():
        rule = {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": str(days)}}
        s3_backends[accounts[name]]["aws"].put_bucket_lifecycle(name, [rule])
    for name, count in have.UNFINISHED_UPLOADS.items():
        for number in range(count):
            s3_backends[accounts[name]]["aws"].create_multipart_upload(
                name, f"load/part-{number}", CaseInsensitiveDict(), "STANDARD", {}, None, "", ""
            )


# The service that a request is signed for -> what must be there before it is answered.
SEEDS: dict[str, tuple[Callable[[datetime], None], ...]] = {
    "rds": (databases,),
    "elasticloadbalancing": (balancers,),
    "lambda": (functions,),
    "monitoring": (aws_seed.metrics, metrics),
    "s3": (uploads,),
    # Tags are asked for over all services.
    "tagging": (balancers, functions),
}
# EC2 is asked all the time: its gateways come when they are asked for.
SEEDS_OF_CALLS = {"ec2:DescribeNatGateways": (gateways,)}


def forget() -> None:
    """Empty the memory of these services."""
    import sys

    for name, backends in (
        ("moto.rds.models", "rds_backends"),
        ("moto.elbv2.models", "elbv2_backends"),
        ("moto.awslambda.models", "lambda_backends"),
    ):
        if module := sys.modules.get(name):
            for regions in list(getattr(module, backends).values()):
                regions.reset()


def page_of_functions(body: bytes, query: str) -> bytes:
    """Cut Lambda's list into pages, which moto does not."""
    start = next((int(p.partition("=")[2]) for p in query.split("&") if p.startswith("Marker=")), 0)
    told = json.loads(body)
    every = told["Functions"]
    more = start + FUNCTIONS_PER_PAGE < len(every)
    cut = {"Functions": every[start : start + FUNCTIONS_PER_PAGE]}
    return json.dumps(told | cut | ({"NextMarker": str(start + FUNCTIONS_PER_PAGE)} if more else {})).encode()
