"""Fills moto with what the organisation runs, under the ids that its bills name."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from sandbox import inventory as have
from sandbox.clouds.aws_groups import ROOT_VOLUME, GroupKeeper, named
from sandbox.organisation import FLEETS, Fleet

IMAGE = "ami-0a1b2c3d4e5f60718"
METRIC_HOURS = 24 * 14


def seed(keeper: GroupKeeper, now: datetime) -> None:
    """Make everything; the groups are brought to their policies at once."""
    from moto.autoscaling.models import autoscaling_backends
    from moto.ec2.models import ec2_backends

    for fleet in FLEETS:
        ec2 = ec2_backends[fleet.account_id][fleet.region]
        keeper.settle(_group(autoscaling_backends[fleet.account_id][fleet.region], ec2, fleet))
    keeper.activities.clear()
    for host in have.STANDALONE:
        _host(ec2_backends[host.account_id][have.REGION], host)
    _launched_long_ago(now)
    for volume in have.VOLUMES:
        _volume(ec2_backends[volume.account_id][have.REGION], volume, now)
    for snapshot in have.SNAPSHOTS:
        _snapshot(ec2_backends[snapshot.account_id][have.REGION], snapshot, now)
    for address in have.ADDRESSES:
        _address(ec2_backends[address.account_id][have.REGION], address)
    _buckets()


def _group(autoscaling: Any, ec2: Any, fleet: Fleet) -> Any:
    template = ec2.create_launch_template(
        name=fleet.name,
        description="",
        template_data={"ImageId": IMAGE, "InstanceType": fleet.instance_type},
        tag_spec={},
    )
    name_and_version = {"LaunchTemplateId": template.id, "Version": "$Default"}
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": name_and_version,
            "Overrides": [{"InstanceType": kind} for kind in have.ALTERNATIVES.get(fleet.instance_type, ())],
        },
        "InstancesDistribution": {
            "OnDemandAllocationStrategy": "prioritized",
            "OnDemandBaseCapacity": 0,
            "OnDemandPercentageAboveBaseCapacity": fleet.on_demand_percent,
            "SpotAllocationStrategy": "price-capacity-optimized",
        },
    }
    return autoscaling.create_auto_scaling_group(
        name=fleet.name,
        availability_zones=list(have.ZONES),
        desired_capacity=fleet.size,
        max_size=fleet.size * 2,
        min_size=max(1, fleet.size // 2),
        launch_config_name=None,
        launch_template=None if fleet.mixed else dict(name_and_version),
        vpc_zone_identifier=None,
        default_cooldown=None,
        health_check_period=300,
        health_check_type="EC2",
        load_balancers=[],
        target_group_arns=[],
        placement_group=None,
        termination_policies=[],
        tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in have.fleet_tags(fleet)],
        capacity_rebalance=True,
        mixed_instances_policy=policy if fleet.mixed else None,
        instance_id=None,
    )


def _host(ec2: Any, host: have.Instance) -> None:
    with named("moto.ec2.models.instances", "random_instance_id", host.id):
        ec2.run_instances(
            IMAGE,
            1,
            None,
            [],
            instance_type=host.instance_type,
            placement=host.zone,
            region_name=have.REGION,
            is_instance_type_default=False,
            block_device_mappings=ROOT_VOLUME,
            tags={"instance": dict(host.tags)},
        )


def _launched_long_ago(now: datetime) -> None:
    from moto.ec2.models import ec2_backends

    launched = (now - timedelta(days=420)).replace(tzinfo=None)
    for account in {host.account_id for host in have.INSTANCES}:
        for reservation in ec2_backends[account][have.REGION].reservations.values():
            for instance in reservation.instances:
                instance.launch_time = launched


def _volume(ec2: Any, volume: have.Volume, now: datetime) -> None:
    with named("moto.ec2.models.elastic_block_store", "random_volume_id", volume.id):
        made = ec2.create_volume(
            size=volume.gigabytes,
            zone_name=have.ZONES[0],
            volume_type=volume.kind,
            iops=1000 if volume.kind == "io1" else None,
        )
    made.create_time = (now - timedelta(days=volume.age_days)).replace(tzinfo=None)
    made.add_tags(dict(volume.tags) | {"Name": volume.name})
    if volume.instance:
        ec2.attach_volume(volume.id, have.resource_id("i", volume.instance), "/dev/sdf")


def _snapshot(ec2: Any, snapshot: have.Snapshot, now: datetime) -> None:
    # A snapshot needs the volume it was taken of; that one is long gone.
    source = ec2.create_volume(size=snapshot.gigabytes, zone_name=have.ZONES[0])
    with named("moto.ec2.models.elastic_block_store", "random_snapshot_id", snapshot.id):
        made = ec2.create_snapshot(source.id, snapshot.name)
    ec2.delete_volume(source.id)
    made.start_time = (now - timedelta(days=snapshot.age_days)).replace(tzinfo=None)
    made.add_tags(dict(snapshot.tags) | {"Name": snapshot.name})


def _address(ec2: Any, address: have.Address) -> None:
    with named("moto.ec2.models.elastic_ip_addresses", "random_eip_allocation_id", address.id):
        made = ec2.allocate_address("vpc", address=address.public_ip, tags=dict(address.tags) | {"Name": address.name})
    if address.attached:
        made.association_id = have.resource_id("eipassoc", address.key)


def _buckets() -> None:
    from moto.s3.models import s3_backends

    for name, account, tags in have.BUCKETS:
        s3 = s3_backends[account]["aws"]
        s3.create_bucket(name, have.REGION)
        if tags:
            s3.put_bucket_tagging(name, dict(tags))


def metrics(now: datetime) -> None:
    """Two weeks of hourly CPU for the machines that stand alone: one is idle, the others work."""
    from moto.cloudwatch.models import cloudwatch_backends

    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=METRIC_HOURS)
    for host in (have.IDLE_HOST, *have.CATALOG_HOSTS[:2]):
        data = [
            {
                "MetricName": "CPUUtilization",
                "Dimensions": [{"Name": "InstanceId", "Value": host.id}],
                "Timestamp": (start + timedelta(hours=hour)).replace(tzinfo=None),
                "Value": _cpu(host, hour),
                "Unit": "Percent",
            }
            for hour in range(METRIC_HOURS)
        ]
        cloudwatch_backends[host.account_id][have.REGION].put_metric_data("AWS/EC2", data)


def _cpu(host: have.Instance, hour: int) -> float:
    wave = math.sin(hour % 24 / 24 * 2 * math.pi - 2)
    return round(0.7 + 0.3 * wave, 3) if host.idle else round(46 + 21 * wave, 3)
