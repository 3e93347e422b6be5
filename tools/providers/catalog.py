"""Catalog: every executable change by name - for what, how risky, what it does at each stage, and what nobody can undo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class About:
    """One executable change. `example` shows what may follow its name ("aws.volume_type:gp3"); empty: nothing does.

    `risk` is R0 to R3 (R2 and R3 need two people). `lasting` says in a sentence what no rollback brings back.
    `unused` is why there is never traffic to watch, `quiet` why there is none unless its service is named; both empty:
    there is some.
    """

    name: str
    provider: str
    kind: str
    risk: str
    code: str
    does: str
    lasting: str
    example: str = ""
    unused: str = ""
    quiet: str = ""

    def unwatched(self, service: str) -> str:
        """Why no traffic can show whether this change does harm, or empty."""
        return self.unused or ("" if service else self.quiet)


_AWS = "tools.providers.aws.changes"
_GCP = "tools.providers.gcp.changes"
_AZURE = "tools.providers.azure.changes"
_VULTR = "tools.providers.vultr.changes"
_DELETED = "The data on it, for good."
_ALONE = "nothing is attached to it or made of it, so it serves no requests"
_FREE = "nothing answers at this address"
_IDLE = "it was idle, and no service is named whose requests it would serve"
_SAME = "what is stored is read as before, and no service is named that does"
ABOUT = (
    About(
        "aws.asg_spot", "AWS", "instance_group", "R1", f"{_AWS}.spot:AsgSpot",
        "Each stage asks the group's mixed instances policy for less on-demand capacity; AWS starts spot instances before "
        "it ends on-demand ones.",
        "Instances that were replaced are gone; their successors are alike.",
    ),
    About(
        "aws.volume_delete", "AWS", "volume", "R2", f"{_AWS}.volumes:VolumeDelete",
        "In one step: a snapshot is taken, and once it is complete the volume is deleted.",
        "The volume's id. A volume made from the snapshot is slower until its blocks were read once.",
        unused=_ALONE,
    ),
    About(
        "aws.volume_type", "AWS", "volume", "R1", f"{_AWS}.volumes:VolumeType",
        "In one step, online: the volume becomes one of the new type, with at least the speed it had.",
        "Nothing, but AWS allows the way back only six hours after the last modification.",
        "gp3",
    ),
    About(
        "aws.snapshot_delete", "AWS", "snapshot", "R3", f"{_AWS}.leftovers:SnapshotDelete",
        "In one step: the snapshot is deleted, after a look that no image is made of it.",
        "The snapshot's data, unless a Recycle Bin rule of the account keeps deleted snapshots.",
        unused=_ALONE,
    ),
    About(
        "aws.address_release", "AWS", "address", "R3", f"{_AWS}.leftovers:AddressRelease",
        "In one step: the address is given back to AWS.",
        "The address itself as soon as another customer has it, and its allocation id.",
        unused=_FREE,
    ),
    About(
        "aws.instance_stop", "AWS", "instance", "R1", f"{_AWS}.instances:InstanceStop",
        "In one step: the instance is stopped; its volumes stay and are paid for.",
        "What was in its memory, and its public address unless it has an Elastic IP.",
        quiet=_IDLE,
    ),
    About(
        "aws.instance_resize", "AWS", "instance", "R1", f"{_AWS}.instances:InstanceResize",
        "In one step: capacity of the new type is reserved, the instance is stopped, changed and started.",
        "What was in its memory, and its public address unless it has an Elastic IP.",
        "m5.large",
    ),
    About(
        "aws.rds_class", "AWS", "database", "R1", f"{_AWS}.databases:RdsClass",
        "In one step: the database gets the new class at once, with a failover or a restart.",
        "Connections that are open during the restart.",
        "db.m6i.large",
    ),
    About(
        "aws.rds_stop", "AWS", "database", "R1", f"{_AWS}.databases:RdsStop",
        "In one step: the database is stopped; AWS starts it by itself after seven days.",
        "Connections that are open when it stops.",
        quiet=_IDLE,
    ),
    About(
        "aws.s3_lifecycle", "AWS", "bucket", "R1", f"{_AWS}.buckets:S3Lifecycle",
        "In one step: one lifecycle rule is added beside the owner's; S3 then moves objects within days.",
        "Where objects were moved to by then: moving them back costs retrieval and least storage times.",
        "INTELLIGENT_TIERING@0",
        quiet=_SAME,
    ),
    About(
        "aws.lambda_memory", "AWS", "function", "R1", f"{_AWS}.functions:LambdaMemory",
        "Each stage sends more tenths of the alias's requests to a version with the new memory.",
        "Requests that were answered by the new version.",
        "512@live",
    ),
    About(
        "gcp.mig_spot", "Google Cloud", "instance_group", "R1", f"{_GCP}.groups:MigSpot",
        "Each stage asks the group for more machines of a spot copy of its template; Google starts new machines before it "
        "ends old ones.",
        "Machines that were replaced are gone; their successors are alike.",
    ),
    About(
        "gcp.machine_type", "Google Cloud", "instance", "R1", f"{_GCP}.machines:MachineType",
        "In one step: a machine of the new type is reserved, the old one is stopped, changed and started.",
        "What was in its memory, and an ephemeral address.",
        "e2-standard-4",
    ),
    About(
        "gcp.disk_delete", "Google Cloud", "volume", "R2", f"{_GCP}.leftovers:DiskDelete",
        "In one step: a snapshot is taken, and once it is ready the disk is deleted.",
        "The disk's numeric id; name, type, size and labels come back.",
        unused=_ALONE,
    ),
    About(
        "gcp.address_release", "Google Cloud", "address", "R3", f"{_GCP}.leftovers:AddressRelease",
        "In one step: the address is given back to Google.",
        "The address itself as soon as another customer has it.",
        unused=_FREE,
    ),
    About(
        "gcp.sql_tier", "Google Cloud", "database", "R1", f"{_GCP}.databases:SqlTier",
        "In one step: the database gets the new tier and restarts.",
        "Connections that are open during the restart.",
        "db-custom-4-16384",
    ),
    About(
        "gcp.bucket_lifecycle", "Google Cloud", "bucket", "R1", f"{_GCP}.buckets:BucketLifecycle",
        "In one step: one lifecycle rule is added beside the owner's; Google then moves objects within days.",
        "Where objects were moved to by then: reading them costs retrieval, and least storage times are paid.",
        "NEARLINE@30",
        quiet=_SAME,
    ),
    About(
        "azure.vmss_spot", "Microsoft", "instance_group", "R1", f"{_AZURE}.groups:VmssSpot",
        "Each stage sets the mix, adds spot machines a fifth of the set at a time and deletes as many regular ones.",
        "Machines that were replaced are gone; their successors are alike.",
    ),
    About(
        "azure.vm_size", "Microsoft", "instance", "R1", f"{_AZURE}.machines:VmSize",
        "In one step: the machine gets the new size and restarts, deallocated first where its host must change.",
        "What was in its memory and on its temporary disk.",
        "Standard_D2s_v5",
    ),
    About(
        "azure.disk_delete", "Microsoft", "volume", "R2", f"{_AZURE}.leftovers:DiskDelete",
        "In one step: a snapshot is taken, and once it is complete the disk is deleted.",
        "Nothing but time: name, kind, size, zone and tags come back.",
        unused=_ALONE,
    ),
    About(
        "azure.ip_release", "Microsoft", "address", "R3", f"{_AZURE}.leftovers:IpRelease",
        "In one step: the public address is deleted.",
        "The address itself: Azure gives out another one.",
        unused=_FREE,
    ),
    About(
        "azure.sql_sku", "Microsoft", "database", "R1", f"{_AZURE}.databases:SqlSku",
        "In one step: the database is scaled within its tier; connections drop once, for some seconds.",
        "Connections that are open when Azure switches over.",
        "GP_Gen5_4",
    ),
    About(
        "azure.blob_lifecycle", "Microsoft", "storage_account", "R1", f"{_AZURE}.stores:BlobLifecycle",
        "In one step: one lifecycle rule is added beside the owner's; Azure then moves blobs within days.",
        "Where blobs were moved to by then: reading them costs more, and least storage times are paid.",
        "cool@30",
        quiet=_SAME,
    ),
    About(
        "vultr.plan_change", "Vultr", "instance", "R1", f"{_VULTR}.machines:PlanChange",
        "In one step: the machine is halted, a snapshot of it becomes one of the new plan, what leads to it is moved, and "
        "it is destroyed.",
        "Its id and its own address.",
        "vc2-2c-4gb",
    ),
    About(
        "vultr.block_delete", "Vultr", "volume", "R3", f"{_VULTR}.leftovers:BlockDelete",
        "In one step: the block storage is deleted; Vultr takes no snapshot of it.",
        _DELETED,
        unused=_ALONE,
    ),
    About(
        "vultr.ip_release", "Vultr", "address", "R3", f"{_VULTR}.leftovers:IpRelease",
        "In one step: the reserved address is given back to Vultr.",
        "The address itself: Vultr gives out another one.",
        unused=_FREE,
    ),
    About(
        "vultr.snapshot_delete", "Vultr", "snapshot", "R3", f"{_VULTR}.leftovers:SnapshotDelete",
        "In one step: the snapshot is deleted; Vultr keeps no copy of it.",
        _DELETED,
        unused=_ALONE,
    ),
    About(
        "vultr.instance_snapshot_destroy", "Vultr", "instance", "R2", f"{_VULTR}.machines:InstanceSnapshotDestroy",
        "In one step: a snapshot is taken, and once it is complete the machine is destroyed.",
        "Its id and its address.",
        quiet=_IDLE,
    ),
)  # fmt: skip
BY_NAME = {about.name: about for about in ABOUT}


def split(wanted: str) -> tuple[str, str]:
    """A change and what it is to change to: "aws.volume_type:gp3" -> ("aws.volume_type", "gp3")."""
    name, _, argument = wanted.partition(":")
    return name, argument


def about(wanted: str) -> About | None:
    """What is known of a change by its name, with or without an argument."""
    return BY_NAME.get(split(wanted)[0])
