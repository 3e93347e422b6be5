"""Inventory: what exists in AWS accounts - groups, instances, volumes, snapshots and addresses - all pages of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tools.model.errors import DeniedError, ProviderError
from tools.model.price import Price
from tools.model.resource import Resource
from tools.providers.aws import metrics, prices
from tools.providers.aws.connection import PROVIDER, Connection
from tools.providers.aws.groups import describe_group_resource, fingerprint
from tools.providers.aws.refusals import our_words
from tools.providers.base import Access

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ec2.type_defs import AddressTypeDef, InstanceTypeDef, SnapshotTypeDef, VolumeTypeDef

GROUP, INSTANCE, VOLUME, SNAPSHOT, ADDRESS = "instance_group", "instance", "volume", "snapshot", "address"


@dataclass(frozen=True, slots=True)
class AwsInventory:
    """The Inventory (and PriceSource) of the configured AWS accounts."""

    connection: Connection
    now: Callable[[], datetime]
    provider: str = PROVIDER

    def check_access(self) -> tuple[Access, ...]:
        """Who we are in each account, and which of the reading calls it refuses."""
        return tuple(self._access(account_id) for account_id in self.connection.accounts or ("",))

    def _access(self, account_id: str) -> Access:
        try:
            with our_words("asking who we are"):
                me = self.connection.client("sts", account_id, self.connection.regions[0]).get_caller_identity()
        except ProviderError as error:
            lacks = (error.permission,) if isinstance(error, DeniedError) and error.permission else ()
            return Access(PROVIDER, account_id or "own account", "", False, str(error.what), lacks)
        found, identity = str(me["Account"]), str(me["Arn"])
        missing, problem = self._missing(found)
        if account_id and found != account_id:
            problem = f"The credentials lead to account {found} instead of {account_id}."
        return Access(PROVIDER, account_id or found, identity, not missing and not problem, problem, missing)

    def _missing(self, account_id: str) -> tuple[tuple[str, ...], str]:
        """Try every reading call once, as small as it goes; the permissions that were refused, and other trouble."""
        missing, problems = [], []
        for doing, probe in self._probes(self._key(account_id), self.connection.regions[0]):
            try:
                with our_words(doing):
                    probe()
            except DeniedError as error:
                missing.append(error.permission or doing)
            except ProviderError as error:
                problems.append(error.what)
        problem = "OptiInfra lacks permissions to read this account." if missing else ""
        return tuple(sorted(set(missing))), " ".join([*([problem] if problem else []), *problems[:1]])

    def _probes(self, account_id: str, region: str) -> Iterator[tuple[str, Callable[[], object]]]:
        ec2 = self.connection.client("ec2", account_id, region)
        groups = self.connection.client("autoscaling", account_id, region)
        yield "listing Auto Scaling groups", lambda: groups.describe_auto_scaling_groups(MaxRecords=1)
        yield "listing instances", lambda: ec2.describe_instances(MaxResults=5)
        yield "listing volumes", lambda: ec2.describe_volumes(MaxResults=5)
        yield "listing snapshots", lambda: ec2.describe_snapshots(OwnerIds=["self"], MaxResults=5)
        yield "listing images", lambda: ec2.describe_images(Owners=["self"], MaxResults=5)
        yield "listing addresses", lambda: ec2.describe_addresses()
        yield "reading launch templates", lambda: ec2.describe_launch_templates(MaxResults=1)
        yield "reading spot prices", lambda: ec2.describe_spot_price_history(InstanceTypes=["m5.large"], MaxResults=1)
        watch = self.connection.client("cloudwatch", account_id, region)
        yield "reading metrics", lambda: metrics.probe(watch, self.now())

    def _key(self, account_id: str) -> str:
        # Without configured accounts the credentials' own account is meant: no role is assumed for it.
        return account_id if self.connection.accounts else ""

    def resources(self, account_id: str) -> tuple[Resource, ...]:
        """Everything in all regions of one account; raises a ProviderError rather than give part of it."""
        return tuple(resource for region in self.connection.regions for resource in self._in_region(account_id, region))

    def _in_region(self, account_id: str, region: str) -> list[Resource]:
        key = self._key(account_id)
        ec2 = self.connection.client("ec2", key, region)
        see = _Seen(account_id, region, self.now())
        with our_words(f"listing instances of {account_id} in {region}"):
            instances = [
                instance
                for page in ec2.get_paginator("describe_instances").paginate()
                for reservation in page["Reservations"]
                for instance in reservation["Instances"]
                if instance["State"]["Name"] != "terminated"
            ]
        with our_words(f"listing Auto Scaling groups of {account_id} in {region}"):
            autoscaling = self.connection.client("autoscaling", key, region)
            groups = [
                group
                for page in autoscaling.get_paginator("describe_auto_scaling_groups").paginate()
                for group in page["AutoScalingGroups"]
            ]
        with our_words(f"listing volumes of {account_id} in {region}"):
            volumes = [v for page in ec2.get_paginator("describe_volumes").paginate() for v in page["Volumes"]]
        with our_words(f"listing snapshots of {account_id} in {region}"):
            pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"])
            snapshots = [s for page in pages for s in page["Snapshots"]]
            used = _images_by_snapshot(
                image
                for page in ec2.get_paginator("describe_images").paginate(Owners=["self"])
                for image in page["Images"]
            )
        with our_words(f"listing addresses of {account_id} in {region}"):
            addresses = ec2.describe_addresses()["Addresses"]
        watch = self.connection.client("cloudwatch", key, region)
        use = _utilisation(watch, [i["InstanceId"] for i in instances if _runs(i)], self.now())
        by_id = {instance["InstanceId"]: instance for instance in instances}
        return [
            *(describe_group_resource(see.resource, ec2, group, by_id) for group in groups),
            *(see.instance(instance, use.get(instance["InstanceId"])) for instance in instances),
            *(see.volume(volume) for volume in volumes),
            *(see.snapshot(snapshot, used.get(snapshot["SnapshotId"], [])) for snapshot in snapshots),
            *(see.address(address) for address in addresses),
        ]

    def prices(self, resources: Iterable[Resource]) -> tuple[Price, ...]:
        """Spot prices of what the given groups run on, where AWS tells usable ones."""
        wanted = {
            (resource.account_id, resource.region, sku)
            for resource in resources
            if resource.kind == GROUP
            for sku in _words(resource.attributes.get("instance_types"))
        }
        found: list[Price] = []
        for account_id, region in sorted({(a, r) for a, r, _ in wanted}):
            skus = sorted(sku for a, r, sku in wanted if (a, r) == (account_id, region))
            ec2 = self.connection.client("ec2", self._key(account_id), region)
            found.extend(prices.spot_prices(ec2, region, skus, self.now()))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Makes resources of one account and region out of AWS's descriptions."""

    account_id: str
    region: str
    at: datetime

    def resource(
        self, kind: str, id_: str, tags: Iterable[Mapping[str, Any]], attributes: dict[str, object], basis: object
    ) -> Resource:
        """`basis` is what the fingerprint covers: everything that a rollout does not set itself."""
        named = {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags}
        return Resource(
            PROVIDER,
            self.account_id,
            self.region,
            kind,
            id_,
            named.get("Name", id_),
            tuple(sorted(named.items())),
            attributes,
            fingerprint(basis),
            self.at,
        )

    def instance(self, instance: InstanceTypeDef, use: dict[str, object] | None) -> Resource:
        attributes: dict[str, object] = {
            "instance_type": instance["InstanceType"],
            "state": instance["State"]["Name"],
            "stopped_since": _stopped_since(instance.get("StateTransitionReason", "")),
            "lifecycle": "spot" if instance.get("InstanceLifecycle") == "spot" else "on_demand",
            "launched_at": _moment(instance.get("LaunchTime")),
            "zone": instance.get("Placement", {}).get("AvailabilityZone", ""),
            "group": _tag(instance.get("Tags", []), "aws:autoscaling:groupName"),
            "volumes": sorted(
                mapping["Ebs"]["VolumeId"]
                for mapping in instance.get("BlockDeviceMappings", [])
                if "VolumeId" in mapping.get("Ebs", {})
            ),
            "utilisation": use,
        }
        basis = [instance["InstanceId"], instance["InstanceType"], attributes["state"]]
        return self.resource(INSTANCE, instance["InstanceId"], instance.get("Tags", []), attributes, basis)

    def volume(self, volume: VolumeTypeDef) -> Resource:
        attached = [attachment["InstanceId"] for attachment in volume.get("Attachments", [])]
        attributes: dict[str, object] = {
            "attached": volume["State"] == "in-use" or bool(attached),
            "instances": sorted(attached),
            "state": volume["State"],
            "type": volume.get("VolumeType", ""),
            "gib": volume["Size"],
            "created_at": _moment(volume.get("CreateTime")),
        }
        basis = [volume["VolumeId"], volume["State"], volume["Size"], volume.get("VolumeType", "")]
        return self.resource(VOLUME, volume["VolumeId"], volume.get("Tags", []), attributes, basis)

    def snapshot(self, snapshot: SnapshotTypeDef, images: list[str]) -> Resource:
        attributes: dict[str, object] = {
            "volume_id": snapshot.get("VolumeId", ""),
            "gib": snapshot.get("VolumeSize", 0),
            "state": snapshot.get("State", ""),
            "created_at": _moment(snapshot.get("StartTime")),
            "images": images,
        }
        basis = [snapshot["SnapshotId"], attributes["state"], images]
        return self.resource(SNAPSHOT, snapshot["SnapshotId"], snapshot.get("Tags", []), attributes, basis)

    def address(self, address: AddressTypeDef) -> Resource:
        attributes: dict[str, object] = {
            "ip": address.get("PublicIp", ""),
            "attached": bool(address.get("AssociationId") or address.get("InstanceId")),
            "instance": address.get("InstanceId", ""),
        }
        id_ = address.get("AllocationId") or address.get("PublicIp", "")
        return self.resource(ADDRESS, id_, address.get("Tags", []), attributes, [id_, attributes["attached"]])


def _utilisation(client: CloudWatchClient, ids: list[str], now: datetime) -> dict[str, dict[str, object]]:
    try:
        return metrics.utilisation(client, ids, now)
    except DeniedError:
        # Without the permission use is unknown, which hides no resource; check_access names what is missing.
        return {}


def _runs(instance: InstanceTypeDef) -> bool:
    return instance["State"]["Name"] == "running"


def _images_by_snapshot(images: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    used: dict[str, list[str]] = {}
    for image in images:
        for mapping in image.get("BlockDeviceMappings", []):
            if snapshot_id := mapping.get("Ebs", {}).get("SnapshotId"):
                used.setdefault(snapshot_id, []).append(image["ImageId"])
    return used


def _tag(tags: Iterable[Mapping[str, Any]], key: str) -> str:
    return next((str(tag["Value"]) for tag in tags if tag["Key"] == key), "")


def _moment(value: datetime | None) -> str:
    return value.astimezone(UTC).isoformat() if value else ""


def _stopped_since(reason: str) -> str:
    """AWS tells it in brackets only: 'User initiated (2026-10-02 09:30:00 GMT)'; empty when it does not."""
    _, _, rest = reason.partition("(")
    try:
        return datetime.strptime(rest.partition(")")[0], "%Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC).isoformat()
    except ValueError:
        return ""


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, list) else ()
