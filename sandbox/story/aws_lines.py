"""What Amazon bills for machines, their storage, commitments and the contract; the rest is in aws_services."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal as D  # noqa: N817 - a table of prices reads better with one letter
from functools import partial

from sandbox import inventory as have
from sandbox.organisation import AWS_DATA, AWS_PAYER, AWS_PRODUCTION, AWS_STAGING
from sandbox.story import aws_services
from sandbox.story.aws_services import DISCOUNT
from sandbox.story.lines import Kind, Line, Shape
from sandbox.story.services import EC2

SAVINGS_PLAN = "arn:aws:savingsplans::100000000001:savingsplan/5b1d7c1e-lumen-r6i"
SAVINGS_PLAN_NAME = "r6i in eu-west-1, 1 year, no upfront"
SAVINGS_PLAN_HOURLY = D("1.8")
SAVINGS_PLAN_RATE = D("0.1831")
# A month of 730 hours: what a day's share of a GB-month is.
DAY = D(24) / D(730)

_line = partial(Line, provider="aws", discount=DISCOUNT)


def lines() -> Iterator[Line]:
    """All AWS lines, the planted events not yet applied."""
    yield from _compute()
    yield from _storage_waste()
    yield from aws_services.lines()
    yield from _organisation()


def _compute() -> Iterator[Line]:
    for host in have.INSTANCES:
        yield _instance(host)
    plan = partial(
        _line,
        account=AWS_PAYER,
        service="AWS Savings Plans",
        unit="Hours",
        price=SAVINGS_PLAN_HOURLY,
        quantity=D(24),
        shape=Shape.CONSTANT,
        growth=D(0),
        discount=D(0),
        resource_id=SAVINGS_PLAN,
        resource_name=SAVINGS_PLAN_NAME,
        resource_type="Savings Plan",
        commitment=SAVINGS_PLAN,
    )
    yield plan(
        key="savings-plan",
        sku="ComputeSP:EC2InstanceSavingsPlans",
        description="USD 1.80 hourly commitment, EC2 Instance Savings Plans r6i, no upfront",
        kind=Kind.COMMITMENT,
    )
    yield plan(
        key="savings-plan-unused",
        sku="ComputeSP:EC2InstanceSavingsPlans",
        description="Unused part of the hourly commitment, EC2 Instance Savings Plans r6i",
        kind=Kind.UNUSED,
    )


def _instance(host: have.Instance) -> Line:
    covered = host in have.CATALOG_HOSTS
    spot = host.spot
    shape = Shape.CONSTANT
    if host.account_id == AWS_STAGING:
        shape = Shape.WEEKDAYS
    elif covered and host.key.endswith(("/8", "/9")):
        shape = Shape.DAILY_LESS
    tags = tuple(pair for pair in host.tags if not pair[0].startswith("optiinfra:"))
    if host.fleet:
        tags = (*tags, ("aws:autoscaling:groupName", host.fleet))
    market = "spot" if spot else "on-demand"
    return _line(
        key=f"instance/{host.key}",
        account=host.account_id,
        service=EC2,
        sku=f"EU-{'SpotUsage' if spot else 'BoxUsage'}:{host.instance_type}",
        description=f"Linux {host.instance_type} {market} instance hour, EU (Ireland)",
        unit="Hours",
        # A bill shows spot usage at what it cost; there is no list price for it but the on-demand one.
        price=have.spot_price(host.instance_type, host.zone) if spot else have.ON_DEMAND[host.instance_type],
        quantity=D(24),
        shape=shape,
        kind=Kind.COVERED if covered else Kind.USAGE,
        growth=D(0),
        discount=D(0) if spot else DISCOUNT,
        zone=host.zone,
        resource_id=host.id,
        resource_name=host.name,
        resource_type="Instance",
        operation="RunInstances:SV001" if spot else "RunInstances",
        pricing="Committed" if covered else "Dynamic" if spot else "Standard",
        commitment=SAVINGS_PLAN if covered else "",
        rate=SAVINGS_PLAN_RATE if covered else D(0),
        tags=tags,
    )


def _storage_waste() -> Iterator[Line]:
    for volume in have.VOLUMES:
        yield _line(
            key=volume.key,
            account=volume.account_id,
            service=EC2,
            sku=f"EU-EBS:VolumeUsage.{volume.kind}",
            description=f"{volume.kind} storage per GB-month, EU (Ireland)",
            unit="GB-Mo",
            price=have.VOLUME_PRICE[volume.kind],
            quantity=volume.gigabytes * DAY,
            shape=Shape.CONSTANT,
            growth=D(0),
            resource_id=volume.id,
            resource_name=volume.name,
            resource_type="Volume",
            operation=f"CreateVolume-{volume.kind}",
            first=-volume.age_days,
            tags=volume.tags,
        )
    for snapshot in have.SNAPSHOTS:
        yield _line(
            key=snapshot.key,
            account=snapshot.account_id,
            service=EC2,
            sku="EU-EBS:SnapshotUsage",
            description="Snapshot storage per GB-month, EU (Ireland)",
            unit="GB-Mo",
            price=have.SNAPSHOT_PRICE,
            quantity=snapshot.gigabytes * DAY,
            shape=Shape.CONSTANT,
            growth=D(0),
            resource_id=snapshot.id,
            resource_name=snapshot.name,
            resource_type="Snapshot",
            operation="CreateSnapshot",
            first=-snapshot.age_days,
            tags=snapshot.tags,
        )
    for address in have.ADDRESSES:
        state = "InUseAddress" if address.attached else "IdleAddress"
        yield _line(
            key=address.key,
            account=address.account_id,
            service="Amazon Virtual Private Cloud",
            sku=f"EU-PublicIPv4:{state}",
            description=f"Public IPv4 address hour ({'in use' if address.attached else 'idle'}), EU (Ireland)",
            unit="Hours",
            price=have.ADDRESS_PRICE,
            quantity=D(24),
            shape=Shape.CONSTANT,
            growth=D(0),
            resource_id=address.id,
            resource_name=address.name,
            resource_type="Elastic IP",
            operation="AllocateAddressVPC",
            tags=address.tags,
        )


def _organisation() -> Iterator[Line]:
    fee = partial(
        _line, account=AWS_PAYER, unit="", growth=D(0), shape=Shape.MONTHLY, quantity=D(1), discount=D(0), region=""
    )
    yield fee(
        key="support",
        service="AWS Support (Business)",
        sku="Dollar",
        description="AWS Support (Business), monthly fee",
        price=D(2450),
        kind=Kind.FEE,
    )
    yield fee(
        key="tax",
        service="AWS Support (Business)",
        sku="",
        description="VAT on AWS Support (Business)",
        price=D("465.5"),
        kind=Kind.TAX,
    )
    yield fee(
        key="migration-credit",
        account=AWS_PRODUCTION,
        service=EC2,
        sku="",
        description="Migration Acceleration Program credit",
        price=D(-900),
        kind=Kind.CREDIT,
    )
    yield fee(
        key="refund",
        account=AWS_DATA,
        service="AWS Glue",
        sku="",
        description="Refund: Glue jobs that failed during a service event",
        price=D("-214.37"),
        kind=Kind.ADJUSTMENT,
        shape=Shape.CONSTANT,
        first=-121,
        last=-121,
    )
    yield fee(
        key="correction",
        account=AWS_PRODUCTION,
        service="AWS Data Transfer",
        sku="",
        description="Correction of data transfer billed in an earlier period",
        price=D("38.12"),
        kind=Kind.ADJUSTMENT,
        shape=Shape.CONSTANT,
        first=-64,
        last=-64,
        correction=True,
    )
