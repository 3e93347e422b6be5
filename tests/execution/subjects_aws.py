"""Subjects of AWS's changes: the sandbox's volumes, machines and buckets, and a database and a function beside them."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import boto3

from sandbox import inventory as have
from sandbox.pytest_plugin import SandboxAws
from tests.execution.conformance import Facts, Subject
from tools.model.resource import Resource
from tools.settings import Settings

REGION = "eu-west-1"
DATABASE, FUNCTION = "orders-db", "thumbnails"
# Made fresh once: every test leaves everything as it was, which is what they are about.
_FRESH: dict[str, SandboxAws] = {}
_CLIENTS: dict[tuple[str, str], Any] = {}


class AwsSide:
    """The sandbox's AWS past the product: clients of its own, and what its control paths do."""

    def __init__(self, aws: SandboxAws) -> None:
        self.aws = aws
        self.undo: list[Callable[[], object]] = []
        if aws.url not in _FRESH:
            aws.reset()
            _FRESH[aws.url] = aws
        self.settings = Settings(_env_file=None, aws_endpoint_url=aws.url, aws_regions=(REGION,))
        aws.control.post("speed", speed=4000)
        aws.control.post("acts", sold_out=[], recycle_bin=False, taken=[], cooled=True)

    def client(self, service: str) -> Any:
        key = (self.aws.url, service)
        if key not in _CLIENTS:
            _CLIENTS[key] = boto3.client(service, region_name=REGION, endpoint_url=self.aws.url)
        return _CLIENTS[key]

    def fail(self, kind: str, permission: str, times: int | None = None) -> None:
        more = {"times": times} if times else {}
        self.aws.control.post("fault", kind=kind, action=permission, seconds=0, **more)

    def heal(self) -> None:
        self.aws.control.delete("fault")
        self.aws.control.post("acts", sold_out=[])
        while self.undo:
            self.undo.pop()()

    def tag(self, id_: str) -> Callable[[], None]:
        """What somebody may do to a thing of EC2, until `heal`."""

        def tagged() -> None:
            ec2 = self.client("ec2")
            ec2.create_tags(Resources=[id_], Tags=[{"Key": "owner", "Value": "somebody"}])
            self.undo.append(lambda: ec2.delete_tags(Resources=[id_], Tags=[{"Key": "owner"}]))

        return tagged

    def subject(
        self, wanted: str, resource: Resource, facts: Callable[[], Facts], effects: tuple[str, ...], **more: Any
    ) -> Subject:
        more.setdefault("drift", self.tag(resource.id))
        return Subject(
            wanted,
            self.settings,
            resource,
            facts,
            fail=self.fail,
            heal=self.heal,
            effects=effects,
            side=self,
            **{"wait": lambda: time.sleep(0.1), **more},
        )


def leave() -> None:
    """Everything as at the start, for whoever comes next."""
    while _FRESH:
        _FRESH.popitem()[1].reset()


def resource(kind: str, id_: str, tags: Mapping[str, str], **attributes: object) -> Resource:
    at = datetime.now(UTC)
    return Resource("AWS", "", REGION, kind, id_, id_, tuple(sorted(tags.items())), attributes, "", at)


def tags_of(described: Mapping[str, Any]) -> dict[str, str]:
    told = described.get("Tags") or []
    return {t["Key"]: t["Value"] for t in told if not t["Key"].startswith("optiinfra:")}


def volume(side: AwsSide, wanted: str) -> Subject:
    ec2 = side.client("ec2")
    kept = next(v for v in have.UNATTACHED_VOLUMES if v.name == "checkout-loadtest" or wanted.endswith("gp3"))
    named = [{"Name": "tag:Name", "Values": [kept.name]}]

    def facts() -> Facts:
        own = ec2.describe_volumes(Filters=named)["Volumes"]
        names = ("VolumeType", "Size", "Iops", "Throughput", "AvailabilityZone", "State", "Encrypted")
        found = [{**{n: v.get(n) for n in names}, "tags": tags_of(v)} for v in own]
        return {"volumes": [f if f["VolumeType"] != "gp2" else {**f, "Iops": None, "Throughput": None} for f in found]}

    # By its name: undo gives it another id.
    told = ec2.describe_volumes(Filters=named)["Volumes"][0]
    known = {"type": told["VolumeType"], "gib": told["Size"], "attached": False, "state": "available"}
    seen = resource("volume", told["VolumeId"], tags_of(told), **known)

    def copies() -> int:
        wanted = [{"Name": "tag:optiinfra:undo-of", "Values": [seen.id]}]
        return len(ec2.describe_snapshots(OwnerIds=["self"], Filters=wanted)["Snapshots"])

    if wanted.startswith("aws.volume_type"):

        def hours_pass() -> None:
            side.aws.control.post("acts", cooled=True)
            time.sleep(0.1)

        return side.subject(wanted, seen, facts, ("ec2:ModifyVolume",), wait=hours_pass)
    effects = ("ec2:CreateSnapshot", "ec2:DeleteVolume", "ec2:CreateVolume")
    return side.subject(wanted, seen, facts, effects, silent=frozenset({"ec2:CreateTags"}), copies=copies)


def snapshot(side: AwsSide, wanted: str) -> Subject:
    ec2, kept = side.client("ec2"), have.SNAPSHOTS[0]
    side.aws.control.post("acts", recycle_bin=True)

    def facts() -> Facts:
        own = [s for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] if s["SnapshotId"] == kept.id]
        return {"snapshots": [(s["SnapshotId"], s["VolumeSize"], s["State"], tags_of(s)) for s in own]}

    told = ec2.describe_snapshots(SnapshotIds=[kept.id])["Snapshots"][0]
    known: dict[str, object] = {"gib": told["VolumeSize"], "state": "completed", "images": []}
    seen = resource("snapshot", kept.id, tags_of(told), **known)
    return side.subject(wanted, seen, facts, ("ec2:DeleteSnapshot", "ec2:RestoreSnapshotFromRecycleBin"))


def address(side: AwsSide, wanted: str) -> Subject:
    ec2, kept = side.client("ec2"), next(a for a in have.ADDRESSES if a.name == "old-vpn")

    def facts() -> Facts:
        own = [a for a in ec2.describe_addresses()["Addresses"] if a["PublicIp"] == kept.public_ip]
        return {"addresses": [(a["PublicIp"], tags_of(a), "AssociationId" in a) for a in own]}

    told = next(a for a in ec2.describe_addresses()["Addresses"] if a["PublicIp"] == kept.public_ip)
    seen = resource("address", told["AllocationId"], tags_of(told), ip=kept.public_ip, attached=False)

    def used() -> None:
        ec2.associate_address(AllocationId=seen.id, InstanceId=have.IDLE_HOST.id)
        side.undo.append(lambda: ec2.disassociate_address(PublicIp=kept.public_ip))

    effects = ("ec2:ReleaseAddress", "ec2:AllocateAddress")
    return side.subject(wanted, seen, facts, effects, drift=used, silent=frozenset({"ec2:CreateTags"}))


def machine(side: AwsSide, wanted: str) -> Subject:
    ec2, host = side.client("ec2"), have.IDLE_HOST

    def facts() -> Facts:
        told = ec2.describe_instances(InstanceIds=[host.id])["Reservations"][0]["Instances"][0]
        reserved = side.aws.control.post("acts")["reserved"]
        return {"type": told["InstanceType"], "state": told["State"]["Name"], "tags": tags_of(told), "held": reserved}

    told = ec2.describe_instances(InstanceIds=[host.id])["Reservations"][0]["Instances"][0]
    known: dict[str, object] = {"instance_type": told["InstanceType"], "state": "running", "group": ""}
    seen = resource("instance", host.id, tags_of(told), lifecycle="on_demand", **known)
    if wanted == "aws.instance_stop":
        return side.subject(wanted, seen, facts, ("ec2:StopInstances", "ec2:StartInstances"))
    effects = (
        "ec2:CreateCapacityReservation",
        "ec2:StopInstances",
        "ec2:ModifyInstanceAttribute",
        "ec2:StartInstances",
        "ec2:CancelCapacityReservation",
    )

    def short() -> None:
        side.aws.control.post("acts", sold_out=["m5.large"])

    return side.subject(wanted, seen, facts, effects, short=short)


def database(side: AwsSide, wanted: str) -> Subject:
    rds = side.client("rds")
    try:
        rds.describe_db_instances(DBInstanceIdentifier=DATABASE)
    except rds.exceptions.DBInstanceNotFoundFault:
        rds.create_db_instance(
            DBInstanceIdentifier=DATABASE,
            DBInstanceClass="db.m5.xlarge",
            Engine="postgres",
            EngineVersion="16.3",
            AllocatedStorage=100,
            BackupRetentionPeriod=7,
            MasterUsername="admin1",
            MasterUserPassword="not-a-secret",
            Tags=[{"Key": "team", "Value": "orders"}],
        )

    def facts() -> Facts:
        told = rds.describe_db_instances(DBInstanceIdentifier=DATABASE)["DBInstances"][0]
        return {"class": told["DBInstanceClass"], "status": told["DBInstanceStatus"], "tags": told["TagList"]}

    def tagged() -> None:
        arn = rds.describe_db_instances(DBInstanceIdentifier=DATABASE)["DBInstances"][0]["DBInstanceArn"]
        rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "owner", "Value": "somebody"}])
        side.undo.append(lambda: rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["owner"]))

    known = {"instance_type": "db.m5.xlarge", "engine": "postgres", "state": "running", "cluster": ""}
    seen = resource("database", DATABASE, {"team": "orders"}, **known)
    if wanted == "aws.rds_stop":
        return side.subject(wanted, seen, facts, ("rds:StopDBInstance", "rds:StartDBInstance"), drift=tagged)

    def short() -> None:
        side.aws.control.post("acts", sold_out=["db.m5.large"])

    return side.subject(wanted, seen, facts, ("rds:ModifyDBInstance",), drift=tagged, short=short)


def bucket(side: AwsSide, wanted: str) -> Subject:
    s3 = side.client("s3")
    name = "lumen-access-logs"
    own = {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [own]})

    def facts() -> Facts:
        return {"rules": s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]}

    def moved() -> None:
        rule = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": ""}}
        rule |= {"Transitions": [{"Days": 90, "StorageClass": "GLACIER"}]}
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [own, rule]})

    seen = resource("bucket", name, {})
    return side.subject(wanted, seen, facts, ("s3:PutLifecycleConfiguration",), drift=moved)


def _made_function(side: AwsSide) -> None:
    client, iam = side.client("lambda"), side.client("iam")
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_function(FunctionName=FUNCTION)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", "def handler(event, context): return 1")
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    try:
        role = iam.get_role(RoleName=FUNCTION)["Role"]["Arn"]
    except iam.exceptions.NoSuchEntityException:
        role = iam.create_role(RoleName=FUNCTION, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    client.create_function(
        FunctionName=FUNCTION,
        Runtime="python3.12",
        Role=role,
        Handler="main.handler",
        Code={"ZipFile": packed.getvalue()},
        MemorySize=1024,
        Publish=True,
        Tags={"team": "catalog"},
    )
    client.create_alias(FunctionName=FUNCTION, Name="live", FunctionVersion="1")


def function(side: AwsSide, wanted: str) -> Subject:
    client = side.client("lambda")
    _made_function(side)

    def facts() -> Facts:
        alias = client.get_alias(FunctionName=FUNCTION, Name="live")
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        memory = client.get_function_configuration(FunctionName=FUNCTION)["MemorySize"]
        versions = {
            v["Version"]: v["MemorySize"] for v in client.list_versions_by_function(FunctionName=FUNCTION)["Versions"]
        }
        return {
            "memory": memory,
            "serving": versions[alias["FunctionVersion"]],
            "shares": {versions[version]: weight for version, weight in weights.items()},
        }

    def tagged() -> None:
        arn = client.get_function_configuration(FunctionName=FUNCTION)["FunctionArn"]
        arn = arn.removesuffix(":$LATEST")
        client.tag_resource(Resource=arn, Tags={"owner": "somebody"})
        side.undo.append(lambda: client.untag_resource(Resource=arn, TagKeys=["owner"]))

    seen = resource("function", FUNCTION, {"team": "catalog"}, memory_mib=1024)
    effects = ("lambda:UpdateFunctionConfiguration", "lambda:PublishVersion", "lambda:UpdateAlias")
    return side.subject(wanted, seen, facts, effects, drift=tagged)


SUBJECTS: dict[str, Callable[[AwsSide, str], Subject]] = {
    "aws.volume_delete": volume,
    "aws.volume_type:gp3": volume,
    "aws.snapshot_delete": snapshot,
    "aws.address_release": address,
    "aws.instance_stop": machine,
    "aws.instance_resize:m5.large": machine,
    "aws.rds_class:db.m5.large": database,
    "aws.rds_stop": database,
    "aws.s3_lifecycle:INTELLIGENT_TIERING@0": bucket,
    "aws.lambda_memory:512@live": function,
}
