"""Describing: AWS's own descriptions of things as resources, under the ids by which the bill names them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tools.model.resource import Resource
from tools.providers.aws.connection import PROVIDER
from tools.providers.aws.groups import fingerprint

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import AddressTypeDef, InstanceTypeDef, SnapshotTypeDef, VolumeTypeDef

GROUP, INSTANCE, VOLUME, SNAPSHOT, ADDRESS = "instance_group", "instance", "volume", "snapshot", "address"
DATABASE, CLUSTER, BUCKET, FUNCTION = "database", "database_cluster", "bucket", "function"
GATEWAY, BALANCER, COMMITMENT, ACCOUNT = "nat_gateway", "load_balancer", "commitment", "account"
Tags = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Describer:
    """Makes resources of one account and region out of AWS's descriptions."""

    account_id: str
    region: str
    at: datetime

    def resource(
        self,
        kind: str,
        id_: str,
        tags: Tags,
        attributes: dict[str, object],
        basis: object,
        *,
        name: str = "",
    ) -> Resource:
        """`basis` is what the fingerprint covers: everything that a rollout does not set itself.

        Without a `name` of its own a thing is called by its tag Name, else by its id.
        """
        named = {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags}
        return Resource(
            PROVIDER,
            self.account_id,
            self.region,
            kind,
            id_,
            name or named.get("Name", id_),
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

    def database(self, database: Mapping[str, Any], use: dict[str, object] | None) -> Resource:
        state = str(database.get("DBInstanceStatus", ""))
        attributes: dict[str, object] = {
            "arn": database["DBInstanceArn"],
            "instance_type": database.get("DBInstanceClass", ""),
            "engine": database.get("Engine", ""),
            "state": "running" if state == "available" else state,
            "highly_available": bool(database.get("MultiAZ")),
            "disk_gib": database.get("AllocatedStorage", 0),
            "disk_type": database.get("StorageType", ""),
            "cluster": database.get("DBClusterIdentifier", ""),
            "created_at": _moment(database.get("InstanceCreateTime")),
            "utilisation": use,
        }
        basis = [database["DBInstanceArn"], attributes["instance_type"], state, attributes["disk_gib"]]
        name, tags = database["DBInstanceIdentifier"], database.get("TagList", [])
        return self.resource(DATABASE, name, tags, attributes, basis, name=name)

    def cluster(self, cluster: Mapping[str, Any]) -> Resource:
        state = str(cluster.get("Status", ""))
        attributes: dict[str, object] = {
            "arn": cluster["DBClusterArn"],
            "engine": cluster.get("Engine", ""),
            "mode": cluster.get("EngineMode", ""),
            "state": "running" if state == "available" else state,
            "members": sorted(m["DBInstanceIdentifier"] for m in cluster.get("DBClusterMembers", [])),
            "disk_gib": cluster.get("AllocatedStorage", 0),
            "created_at": _moment(cluster.get("ClusterCreateTime")),
        }
        basis = [cluster["DBClusterArn"], state, attributes["members"]]
        name, tags = cluster["DBClusterIdentifier"], cluster.get("TagList", [])
        return self.resource(CLUSTER, name, tags, attributes, basis, name=name)

    def function(self, function: Mapping[str, Any], tags: Tags, invocations: int | None) -> Resource:
        attributes: dict[str, object] = {
            "memory_mib": function.get("MemorySize", 0),
            "architecture": (function.get("Architectures") or ["x86_64"])[0],
            "runtime": function.get("Runtime", ""),
            "timeout_seconds": function.get("Timeout", 0),
            "package": function.get("PackageType", ""),
            "modified_at": str(function.get("LastModified", "")),
            "invocations": invocations,
        }
        basis = [function["FunctionArn"], attributes["memory_mib"], attributes["architecture"]]
        return self.resource(FUNCTION, function["FunctionArn"], tags, attributes, basis, name=function["FunctionName"])

    def gateway(self, gateway: Mapping[str, Any], sent: int | None) -> Resource:
        attributes: dict[str, object] = {
            "state": gateway.get("State", ""),
            "vpc": gateway.get("VpcId", ""),
            "subnet": gateway.get("SubnetId", ""),
            "public": gateway.get("ConnectivityType", "public") == "public",
            "addresses": sorted(
                a["AllocationId"] for a in gateway.get("NatGatewayAddresses", []) if "AllocationId" in a
            ),
            "created_at": _moment(gateway.get("CreateTime")),
            "bytes_out": sent,
        }
        basis = [gateway["NatGatewayId"], attributes["state"]]
        return self.resource(GATEWAY, gateway["NatGatewayId"], gateway.get("Tags", []), attributes, basis)

    def balancer(self, id_: str, name: str, tags: Tags, attributes: dict[str, object]) -> Resource:
        """`attributes` hold type, state, scheme, targets, healthy, requests, created_at."""
        return self.resource(BALANCER, id_, tags, attributes, [id_, attributes["targets"]], name=name)

    def bucket(self, name: str, tags: Tags, attributes: dict[str, object]) -> Resource:
        """`attributes` hold classes (GiB by storage class), objects, lifecycle, incomplete_uploads, created_at."""
        return self.resource(BUCKET, name, tags, attributes, [name, attributes["lifecycle"]], name=name)

    def account(self, account: Mapping[str, Any]) -> Resource:
        state = str(account.get("Status", "")).lower()
        attributes: dict[str, object] = {"state": state, "joined_at": _moment(account.get("JoinedTimestamp"))}
        return self.resource(ACCOUNT, account["Id"], (), attributes, [account["Id"], state], name=account["Name"])

    def reservation(
        self,
        id_: str,
        *,
        name: str,
        tags: Tags,
        category: str,
        starts: datetime | None,
        ends: datetime | None,
        **more: object,
    ) -> Resource:
        """A commitment that was bought: a reservation (usage) or a savings plan (spend)."""
        attributes: dict[str, object] = {
            "category": category,
            "starts_at": _moment(starts),
            "ends_at": _moment(ends),
            **more,
        }
        return self.resource(COMMITMENT, id_, tags, attributes, [id_, attributes.get("state")], name=name)


def images_by_snapshot(images: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
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
