"""What Amazon bills for the services of each account, day by day."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal as D  # noqa: N817 - a table of prices reads better with one letter
from functools import partial

from sandbox import inventory as have
from sandbox.organisation import AWS_DATA, AWS_PRODUCTION, AWS_STAGING
from sandbox.story.lines import Line, Shape
from sandbox.story.services import CLOUDFRONT, EC2, RDS, S3

# The negotiated discount on list prices (usage only).
DISCOUNT = D("0.04")


def lines() -> Iterator[Line]:
    """The lines of all accounts."""
    yield from _production()
    yield from _data()
    yield from _staging()


def _use(
    account: str,
    service: str,
    sku: str,
    description: str,
    unit: str,
    price: str,
    quantity: str,
    shape: Shape = Shape.STEADY,
    *,
    resource: str = "",
    kind: str = "",
    tags: tuple[tuple[str, str], ...] = (),
    operation: str = "",
    growth: str = "0.12",
    region: str = have.REGION,
    **more: str,
) -> Line:
    """Usage of a service; `resource` is the name people know, and for buckets and the like also the id."""
    return Line(
        provider="aws",
        discount=DISCOUNT,
        key=f"{account}/{service}/{sku}/{resource}",
        account=account,
        service=service,
        sku=sku,
        description=description,
        unit=unit,
        price=D(price),
        quantity=D(quantity),
        shape=shape,
        growth=D(growth),
        region=region,
        resource_id=more.get("id", resource),
        resource_name=resource,
        resource_type=kind,
        operation=operation,
        tags=tags,
    )


def _production() -> Iterator[Line]:
    use = partial(_use, AWS_PRODUCTION)
    tag = have.tagged
    for name, team, size, price in (
        ("orders", "checkout", "2xlarge", "1.064"),
        ("catalog", "catalog", "2xlarge", "1.064"),
        ("payments", "payments", "xlarge", "0.532"),
    ):
        arn = f"arn:aws:rds:eu-west-1:{AWS_PRODUCTION}:db:{name}"
        tags = tag(team, service=name)
        yield use(
            RDS, f"EU-InstanceUsage:db.r6g.{size}", f"PostgreSQL db.r6g.{size} instance hour, EU (Ireland)", "Hours",
            price, "24", Shape.CONSTANT, resource=name, kind="Database", tags=tags, growth="0",
            operation="CreateDBInstance:0014", id=arn,
        )  # fmt: skip
        yield use(
            RDS, "EU-RDS:GP3-Storage", "gp3 database storage per GB-month, EU (Ireland)", "GB-Mo",
            "0.127", "41.1", resource=name, kind="Database", tags=tags, growth="0.25",
            operation="CreateDBInstance:0014", id=arn,
        )  # fmt: skip
    for name, team, quantity in (("checkout", "checkout", "212"), ("search", "search", "390"), ("web", "web", "610")):
        arn = f"arn:aws:elasticloadbalancing:eu-west-1:{AWS_PRODUCTION}:loadbalancer/app/{name}/50dc6c495c0c9188"
        tags = tag(team, service=name)
        yield use(
            "Elastic Load Balancing", "EU-LoadBalancerUsage", "Application load balancer hour, EU (Ireland)", "Hours",
            "0.0252", "24", Shape.CONSTANT, resource=name, kind="Load balancer", tags=tags, growth="0", id=arn,
        )  # fmt: skip
        yield use(
            "Elastic Load Balancing", "EU-LCUUsage", "Load balancer capacity unit hour, EU (Ireland)", "LCU-Hrs",
            "0.008", quantity, Shape.SHOP, resource=name, kind="Load balancer", tags=tags, growth="0.2", id=arn,
        )  # fmt: skip
    yield use(
        "Elastic Load Balancing", "EU-LoadBalancerUsage", "Application load balancer hour, EU (Ireland)", "Hours",
        "0.0252", "24", Shape.CONSTANT, resource="promo-2024", kind="Load balancer", growth="0",
        id=f"arn:aws:elasticloadbalancing:eu-west-1:{AWS_PRODUCTION}:loadbalancer/app/promo-2024/9f2d7a11c0ffee00",
    )  # fmt: skip
    for gateway in (g for g in have.NAT_GATEWAYS if g.account_id == AWS_PRODUCTION):
        yield use(
            EC2, "EU-NatGateway-Bytes", "NAT gateway data processed per GB, EU (Ireland)", "GB", "0.048",
            str(gateway.gigabytes), Shape.SHOP, resource=gateway.name, kind="NAT gateway", tags=gateway.tags,
            growth="0.18", operation="NatGateway", id=gateway.id,
        )  # fmt: skip
    yield use(
        EC2, "EU-EBS:VolumeUsage.gp3", "gp3 storage per GB-month, EU (Ireland)", "GB-Mo", "0.088", "263.014",
        Shape.CONSTANT, tags=tag("platform"), growth="0", operation="CreateVolume-Gp3",
    )  # fmt: skip
    yield use(
        "AWS Data Transfer", "EU-DataTransfer-Out-Bytes", "Data transferred out per GB, EU (Ireland)", "GB", "0.09",
        "1180", Shape.SHOP, tags=tag("web", service="web"), growth="0.22",
    )  # fmt: skip
    yield use(
        CLOUDFRONT, "EU-DataTransfer-Out-Bytes", "CloudFront data out per GB, Europe", "GB", "0.085", "1650",
        Shape.SHOP, resource="E2LUMENSHOP", kind="Distribution", tags=tag("web", service="web"), growth="0.2",
    )  # fmt: skip
    yield use(
        CLOUDFRONT, "EU-Requests-HTTPS", "CloudFront HTTPS requests, Europe", "Requests", "0.0000012",
        "31000000", Shape.SHOP, resource="E2LUMENSHOP", kind="Distribution", tags=tag("web", service="web"),
    )  # fmt: skip
    for bucket, gigabytes, requests, tags in (
        ("lumen-product-images", "592", "1900000", tag("catalog", service="catalog")),
        ("lumen-access-logs", "460", "700000", ()),
    ):
        yield use(
            S3, "EU-TimedStorage-ByteHrs", "S3 Standard storage per GB-month, EU (Ireland)", "GB-Mo", "0.023",
            gigabytes, resource=bucket, kind="Bucket", tags=tags, growth="0.35", operation="StandardStorage",
        )  # fmt: skip
        yield use(
            S3, "EU-Requests-Tier1", "PUT, COPY, POST and LIST requests, EU (Ireland)", "Requests", "0.000005",
            requests, Shape.SHOP, resource=bucket, kind="Bucket", tags=tags, operation="PutObject",
        )  # fmt: skip
    for name, team, quantity in (
        ("order-events", "checkout", "2900000"),
        ("image-resize", "catalog", "1450000"),
        ("notify", "web", "520000"),
    ):
        yield use(
            "AWS Lambda", "EU-Lambda-GB-Second", "Lambda GB-second, EU (Ireland)", "Lambda-GB-Second", "0.0000166667",
            quantity, Shape.SHOP, resource=name, kind="Function", tags=tag(team, service=name), growth="0.15",
            operation="Invoke", id=f"arn:aws:lambda:eu-west-1:{AWS_PRODUCTION}:function:{name}",
        )  # fmt: skip
    yield use(
        "Amazon DynamoDB", "EU-WriteRequestUnits", "DynamoDB write request units, EU (Ireland)", "WriteRequestUnits",
        "0.000000705", "58000000", Shape.SHOP, resource="sessions", kind="Table",
        tags=tag("checkout", service="checkout"), operation="PayPerRequestThroughput",
    )  # fmt: skip
    yield use(
        "Amazon ElastiCache", "EU-NodeUsage:cache.r6g.large", "Redis cache.r6g.large node hour, EU (Ireland)", "Hours",
        "0.228", "96", Shape.CONSTANT, resource="sessions", kind="Cache", tags=tag("checkout", service="checkout"),
        growth="0", operation="CreateCacheCluster:0002",
    )  # fmt: skip
    yield use(
        "AmazonCloudWatch", "EU-DataProcessing-Bytes", "CloudWatch log data ingested per GB, EU (Ireland)", "GB",
        "0.57", "128", Shape.SHOP, resource="/lumen/production", kind="Log group", growth="0.2",
        operation="PutLogEvents",
    )  # fmt: skip
    yield use(
        "Amazon Simple Queue Service", "EU-Requests-Tier1", "SQS standard requests, EU (Ireland)", "Requests",
        "0.0000004", "21000000", Shape.SHOP, tags=tag("checkout", service="checkout"),
    )  # fmt: skip
    yield use(
        "AWS Key Management Service", "EU-KMS-Requests", "KMS requests, EU (Ireland)", "Requests", "0.000003",
        "1300000", Shape.SHOP,
    )  # fmt: skip
    yield use(
        "AWS Backup", "EU-WarmStorage-ByteHrs-EBS", "Backup storage per GB-month, EU (Ireland)", "GB-Mo", "0.05",
        "820", resource="nightly-vault", kind="Backup vault", tags=tag("platform"), growth="0.1",
    )  # fmt: skip


def _data() -> Iterator[Line]:
    use = partial(_use, AWS_DATA)
    tag = have.tagged
    clickstream, warehouse = tag("data", service="clickstream"), tag("data", service="warehouse")
    for bucket, gigabytes, writes, reads, tags in (
        (have.CLICKSTREAM_BUCKET, "1480", "12900000", "9000000", clickstream),
        ("lumen-warehouse", "1020", "1100000", "14000000", warehouse),
    ):
        yield use(
            S3, "EU-TimedStorage-ByteHrs", "S3 Standard storage per GB-month, EU (Ireland)", "GB-Mo", "0.023",
            gigabytes, resource=bucket, kind="Bucket", tags=tags, growth="0.4", operation="StandardStorage",
        )  # fmt: skip
        yield use(
            S3, "EU-Requests-Tier1", "PUT, COPY, POST and LIST requests, EU (Ireland)", "Requests", "0.000005",
            writes, resource=bucket, kind="Bucket", tags=tags, operation="ListBucket", growth="0.1",
        )  # fmt: skip
        yield use(
            S3, "EU-Requests-Tier2", "GET and all other requests, EU (Ireland)", "Requests", "0.0000004", reads,
            resource=bucket, kind="Bucket", tags=tags, operation="GetObject",
        )  # fmt: skip
    yield use(
        "Amazon Redshift", "EU-Node:ra3.xlplus", "Redshift ra3.xlplus node hour, EU (Ireland)", "Hours", "1.202", "96",
        Shape.CONSTANT, resource="warehouse", kind="Cluster", tags=warehouse, growth="0", operation="RunComputeNode",
    )  # fmt: skip
    yield use(
        "AWS Glue", "EU-ETL-DPU-Hour", "Glue job DPU hour, EU (Ireland)", "DPU-Hour", "0.44", "164", Shape.WEEKLY,
        resource="nightly-load", kind="Job", tags=warehouse, operation="Jobrun",
    )  # fmt: skip
    yield use(
        "Amazon Athena", "EU-DataScannedInTB", "Athena data scanned per TB, EU (Ireland)", "Terabytes", "5", "6.4",
        Shape.OFFICE, resource="analysts", kind="Workgroup", tags=tag("data"), operation="ExecuteQuery",
    )  # fmt: skip
    yield use(
        "Amazon Kinesis", "EU-Storage-ShardHour", "Kinesis shard hour, EU (Ireland)", "ShardHour", "0.017", "768",
        Shape.CONSTANT, resource="clicks", kind="Stream", tags=clickstream, growth="0",
    )  # fmt: skip
    yield use(
        "AmazonCloudWatch", "EU-DataProcessing-Bytes", "CloudWatch log data ingested per GB, EU (Ireland)", "GB",
        "0.57", "22", resource="/lumen/data", kind="Log group", operation="PutLogEvents",
    )  # fmt: skip


def _staging() -> Iterator[Line]:
    use = partial(_use, AWS_STAGING)
    tags = have.tagged("platform", "staging", "staging")
    yield use(
        RDS, "EU-InstanceUsage:db.t4g.large", "PostgreSQL db.t4g.large instance hour, EU (Ireland)", "Hours", "0.141",
        "24", Shape.CONSTANT, resource="staging", kind="Database", tags=tags, growth="0",
        operation="CreateDBInstance:0014", id=f"arn:aws:rds:eu-west-1:{AWS_STAGING}:db:staging",
    )  # fmt: skip
    gateway = next(g for g in have.NAT_GATEWAYS if g.account_id == AWS_STAGING)
    yield use(
        EC2, "EU-NatGateway-Bytes", "NAT gateway data processed per GB, EU (Ireland)", "GB", "0.048",
        str(gateway.gigabytes), Shape.OFFICE, resource=gateway.name, kind="NAT gateway", tags=gateway.tags,
        operation="NatGateway", id=gateway.id,
    )  # fmt: skip
    yield use(
        "AmazonCloudWatch", "EU-DataProcessing-Bytes", "CloudWatch log data ingested per GB, EU (Ireland)", "GB",
        "0.57", "9", Shape.OFFICE, resource="/lumen/staging", kind="Log group", operation="PutLogEvents",
    )  # fmt: skip
