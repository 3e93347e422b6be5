"""Compute: instances and their groups, volumes, snapshots and addresses of one account and region."""

from __future__ import annotations

from collections.abc import Iterator

from tools.model.resource import Resource
from tools.providers.aws.describing import ADDRESS, GROUP, INSTANCE, SNAPSHOT, VOLUME, images_by_snapshot
from tools.providers.aws.groups import describe_group_resource
from tools.providers.aws.refusals import our_words
from tools.providers.aws.sections import Place, Section


def _machines(place: Place) -> Iterator[Resource]:
    """Groups and instances belong together: a group is described by its members."""
    instances = [
        instance
        for reservation in place.pages("ec2", "describe_instances", "Reservations", "instances")
        for instance in reservation["Instances"]
        if instance["State"]["Name"] != "terminated"
    ]
    groups = list(
        place.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "Auto Scaling groups")
    )
    use = place.utilisation([i["InstanceId"] for i in instances if i["State"]["Name"] == "running"])
    by_id = {instance["InstanceId"]: instance for instance in instances}
    ec2 = place.connection.client("ec2", place.key, place.region)
    yield from (describe_group_resource(place.see.resource, ec2, group, by_id) for group in groups)
    yield from (place.see.instance(instance, use.get(instance["InstanceId"])) for instance in instances)


def _volumes(place: Place) -> Iterator[Resource]:
    yield from map(place.see.volume, place.pages("ec2", "describe_volumes", "Volumes", "volumes"))


def _snapshots(place: Place) -> Iterator[Resource]:
    snapshots = list(place.pages("ec2", "describe_snapshots", "Snapshots", "snapshots", OwnerIds=["self"]))
    used = images_by_snapshot(place.pages("ec2", "describe_images", "Images", "images", Owners=["self"]))
    yield from (place.see.snapshot(one, used.get(one["SnapshotId"], [])) for one in snapshots)


def _addresses(place: Place) -> Iterator[Resource]:
    with our_words(f"listing addresses of {place.account_id} in {place.region}"):
        addresses = place.client("ec2").describe_addresses()["Addresses"]
    yield from map(place.see.address, addresses)


SECTIONS = (
    Section((INSTANCE, GROUP), "instances", _machines),
    Section((VOLUME,), "volumes", _volumes),
    Section((SNAPSHOT,), "snapshots", _snapshots),
    Section((ADDRESS,), "addresses", _addresses),
)
