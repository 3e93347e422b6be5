"""Planning of changes, without any cloud: what is refused in a sentence, and what a plan then sets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import NOW
from tools.model.errors import InputError, SettingsError
from tools.model.resource import Resource
from tools.providers import registry
from tools.providers.aws.changes.instances import misfit
from tools.providers.azure.changes.databases import tier_of
from tools.providers.changing import kept, own_tags
from tools.settings import Settings

VOLUME = {"type": "gp2", "gib": 500, "attached": False, "state": "available"}
RUNNING = {"instance_type": "m5.xlarge", "state": "running", "lifecycle": "on_demand", "group": ""}
DATABASE = {"instance_type": "db.m5.xlarge", "engine": "postgres", "state": "running"}
MIG = {
    "size": 4, "counts": {"spot": 0, "on_demand": 4}, "stable": True, "moving": 0, "template": "t-1",
    "zones": ["z-b"], "setting": {"instance_template": "t-1", "versions": [{}], "update_policy": {}},
}  # fmt: skip
VMSS = {
    "size": 4, "on_demand_base": 0, "on_demand_percentage": 100, "counts": {"spot": 0, "on_demand": 4},
    "orchestration": "Flexible", "setting": {"priority": "Spot", "priority_mix": {"baseRegularPriorityCount": 0}},
}  # fmt: skip
DISK = {"type": "pd-ssd", "gib": 100, "attached": False, "zone": "z-b"}
EDGE = {"instance_type": "vhf-4c-16gb", "state": "running", "volumes": []}


def thing(tags: dict[str, str] | None = None, **attributes: Any) -> Resource:
    return Resource("AWS", "1", "r", "kind", "//x/projects/p/zones/z-b/things/t", "t", tuple((tags or {}).items()), attributes, "", NOW)  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "attributes", "reason"),
    [
        ("aws.volume_delete", VOLUME | {"attached": True}, "something is attached"),
        ("aws.volume_delete", VOLUME | {"gib": None}, "Inventory does not know gib"),
        ("aws.volume_type:gp3", VOLUME | {"type": "gp3"}, "of type gp3 already"),
        ("aws.volume_type:st1", VOLUME, "no type that a volume can be moved to"),
        ("aws.volume_type:gp3", VOLUME | {"type": "st1"}, "speed is not known"),
        ("aws.volume_type:gp3", VOLUME | {"type": "io1"}, "Inventory does not know iops"),
        ("aws.snapshot_delete", {"gib": 1, "images": ["ami-1"]}, "ami-1 is made of it"),
        ("aws.snapshot_delete", {"gib": 1, "images": [], "state": "pending"}, "not complete"),
        ("aws.address_release", {"attached": True, "ip": "198.51.100.1"}, "something uses it"),
        ("aws.address_release", {"attached": False}, "address is not known"),
        ("aws.instance_stop", RUNNING | {"group": "web"}, "the group web would replace it"),
        ("aws.instance_stop", RUNNING | {"lifecycle": "spot"}, "spot capacity"),
        ("aws.instance_stop", RUNNING | {"state": "stopped"}, "it is stopped"),
        ("aws.instance_resize", RUNNING, "needs to know what to change to"),
        ("aws.instance_resize:m5.xlarge", RUNNING, "of type m5.xlarge already"),
        ("aws.rds_class:db.m5.xlarge", DATABASE, "of class db.m5.xlarge already"),
        ("aws.rds_stop", DATABASE | {"engine": "aurora-mysql"}, "belongs to a cluster"),
        ("aws.rds_stop", DATABASE | {"state": "stopped"}, "it is stopped"),
        ("aws.s3_lifecycle:SOMETHING@1", {}, "is no lifecycle rule"),
        ("aws.lambda_memory:64@live", {"memory_mib": 128}, "does not say which memory"),
        ("aws.lambda_memory:512", {"memory_mib": 128}, "does not say which memory"),
        ("aws.lambda_memory:512@live", {"memory_mib": 512}, "that memory already"),
        ("gcp.mig_spot", MIG | {"size": 0}, "no machine"),
        ("gcp.mig_spot", MIG | {"counts": {"spot": 1}}, "on spot already"),
        ("gcp.mig_spot", MIG | {"setting": {}}, "no single template"),
        ("gcp.mig_spot", MIG | {"setting": MIG["setting"] | {"versions": [{}, {}]}}, "two versions"),  # type: ignore[operator]
        ("gcp.mig_spot", MIG | {"stable": False}, "changing right now"),
        ("gcp.mig_spot", MIG | {"template": ""}, "template is not known"),
        ("gcp.machine_type:e2-small", RUNNING | {"instance_type": "e2-small"}, "of type e2-small already"),
        ("gcp.machine_type:e2-small", RUNNING | {"group": "web"}, "makes its machines from a template"),
        ("gcp.machine_type:e2-small", RUNNING | {"lifecycle": "spot"}, "spot capacity"),
        ("gcp.machine_type:e2-small", RUNNING | {"state": "stopped"}, "it is stopped"),
        ("gcp.disk_delete", DISK | {"attached": True}, "a machine uses it"),
        ("gcp.disk_delete", DISK | {"type": "hyperdisk-extreme"}, "a speed of its own"),
        ("gcp.disk_delete", DISK | {"zone": ""}, "two zones"),
        ("gcp.address_release", {"attached": True}, "something uses it"),
        ("gcp.address_release", {"attached": False, "external": False}, "inner address"),
        ("gcp.sql_tier:db-1", {"instance_type": "db-1", "state": "running"}, "db-1 already"),
        ("gcp.sql_tier:db-1", {"instance_type": "db-2", "state": "stopped"}, "it is stopped"),
        ("gcp.bucket_lifecycle", {"autoclass": True}, "Autoclass"),
        ("gcp.bucket_lifecycle", {"lifecycle_rules": [{"action": {"type": "SetStorageClass"}}]}, "moves objects"),
        ("azure.vmss_spot", VMSS | {"orchestration": "Uniform"}, "flexible orchestration"),
        ("azure.vmss_spot", VMSS | {"setting": {"priority": "Regular"}}, "without a priority mix"),
        ("azure.vmss_spot", VMSS | {"on_demand_percentage": 50}, "on spot already"),
        ("azure.vmss_spot", VMSS | {"on_demand_base": 4}, "no machine that may change"),
        ("azure.vm_size:m5.xlarge", RUNNING, "m5.xlarge already"),
        ("azure.vm_size:B", RUNNING | {"group": "set"}, "decides on its size"),
        ("azure.vm_size:B", RUNNING | {"lifecycle": "spot"}, "spot capacity"),
        ("azure.vm_size:B", RUNNING | {"state": "stopped"}, "it is stopped"),
        ("azure.disk_delete", {"attached": True, "gib": 1, "type": "Premium_LRS"}, "a machine uses it"),
        ("azure.disk_delete", {"attached": False, "gib": 1, "type": "UltraSSD_LRS"}, "a speed of its own"),
        ("azure.ip_release", {"attached": True}, "something uses it"),
        ("azure.sql_sku:GP_Gen5_4", {"instance_type": "GP_Gen5_4", "state": "Online"}, "GP_Gen5_4 already"),
        ("azure.sql_sku:GP_Gen5_4", {"instance_type": "GP_Gen5_8", "state": "Paused"}, "it is Paused"),
        ("azure.sql_sku:GP_Gen5_4", {"instance_type": "BC_Gen5_8", "state": "Online"}, "another tier"),
        ("vultr.plan_change:vhf-4c-16gb", EDGE, "vhf-4c-16gb already"),
        ("vultr.plan_change:other", EDGE | {"volumes": ["b"]}, "block storage hangs on it"),
        ("vultr.plan_change:other", EDGE | {"state": "stopped"}, "it is stopped"),
        ("vultr.instance_snapshot_destroy", EDGE | {"volumes": ["b"]}, "block storage hangs on it"),
        ("vultr.block_delete", {"attached": True}, "something uses it"),
        ("vultr.snapshot_delete", {"images": ["i"]}, "an image is made of it"),
        ("vultr.snapshot_delete:now", {}, "takes nothing after its name"),
        ("aws.reboot", {}, "no executable change"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_before_anybody_approves(
    wanted: str, attributes: dict[str, Any], reason: str
) -> None:
    """Each in a sentence with its reason, from what inventory saw."""
    assert reason in registry.obstacles(wanted, thing(**attributes))[0]


@pytest.mark.parametrize(
    ("wanted", "attributes"),
    [
        ("aws.volume_delete", VOLUME), ("aws.instance_stop", RUNNING), ("gcp.disk_delete", DISK), ("gcp.mig_spot", MIG),
        ("azure.vmss_spot", VMSS), ("vultr.plan_change:other", EDGE), ("aws.rds_stop", DATABASE),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "tags", [{"optiinfra:exclude": "true"}, {"optiinfra-exclude": "yes"}, {"optiinfra": "exclude"}]
)
def test_an_owner_s_tag_keeps_a_thing(wanted: str, attributes: dict[str, Any], tags: dict[str, str]) -> None:
    """In each cloud's way to write it; "false" keeps nothing."""
    assert "leave it alone" in registry.obstacles(wanted, thing(tags, **attributes))[0]
    assert registry.obstacles(wanted, thing({"optiinfra:exclude": "false"}, **attributes)) == ()


@pytest.mark.parametrize(
    ("kind", "gib", "more", "wanted", "becomes"),
    [
        ("gp2", 100, {}, "gp3", (3000, 125)),
        ("gp2", 2000, {}, "gp3", (6000, 250)),
        ("gp2", 9000, {}, "gp3", (16_000, 250)),
        ("io1", 400, {"iops": 5000}, "gp3", (5000, 250)),
        ("io1", 400, {"iops": 5000}, "io2", (5000, None)),
        ("gp3", 400, {"iops": 3000, "throughput": 400}, "io2", (3000, None)),
    ],
)
def test_a_volume_is_never_slower_than_before(
    kind: str, gib: int, more: dict[str, int], wanted: str, becomes: tuple[int, int | None]
) -> None:
    """gp2 gives by its size what the others must be told."""
    change = registry.change(Settings(_env_file=None, aws_regions=("r",)), f"aws.volume_type:{wanted}")
    plan = change.plan(thing(type=kind, gib=gib, **more), (100,))
    assert plan.stages[0].desired == {"type": wanted, "iops": becomes[0], "throughput": becomes[1]}


@pytest.mark.parametrize(
    ("told", "instance", "reason"),
    [
        ({"ProcessorInfo": {"SupportedArchitectures": ["arm64"]}}, {"Architecture": "x86_64"}, "built for x86_64"),
        ({"NetworkInfo": {"EnaSupport": "required"}}, {"EnaSupport": False}, "no driver"),
        ({"SupportedVirtualizationTypes": ["hvm"]}, {"VirtualizationType": "paravirtual"}, "paravirtual"),
        ({"SupportedVirtualizationTypes": ["hvm"]}, {"VirtualizationType": "hvm"}, ""),
    ],
)
def test_a_type_must_fit_the_machine(told: dict[str, Any], instance: dict[str, Any], reason: str) -> None:
    """Before it is stopped, not when it does not start."""
    assert reason in misfit(told, instance) if reason else misfit(told, instance) == ""


@pytest.mark.parametrize(
    ("sku", "tier"),
    [("GP_Gen5_4", "GeneralPurpose"), ("BC_Gen5_2", "BusinessCritical"), ("S3", "Standard"), ("P1", "Premium"),
     ("Basic", ""), ("Strange", "")],
)  # fmt: skip
def test_tiers_are_told_by_the_sku(sku: str, tier: str) -> None:
    """What is not known is no tier."""
    assert tier_of(sku) == tier


def test_what_owners_tell_us_is_theirs_and_what_we_write_is_not() -> None:
    """A restored thing has its owner's tags, also those that speak to us."""
    tags = {"team": "web", "optiinfra:managed": "true", "optiinfra:undo-of": "vol-1", "aws:cloudformation": "s"}
    assert own_tags(tags) == {"team": "web", "optiinfra:managed": "true"}
    assert kept({}.items()) == ()


@pytest.mark.parametrize("wanted", ["aws.volume_delete", "gcp.disk_delete", "azure.disk_delete", "vultr.ip_release"])
def test_a_cloud_that_is_not_connected_is_said_so(wanted: str) -> None:
    """With the setting that connects it."""
    with pytest.raises(SettingsError, match="not connected"):
        registry.change(Settings(_env_file=None), wanted)


def test_an_unknown_change_lists_those_that_are_known() -> None:
    """Never the next best one."""
    with pytest.raises(InputError) as unknown:
        registry.change(Settings(_env_file=None), "aws.reboot")
    assert "aws.volume_delete" in unknown.value.fix
