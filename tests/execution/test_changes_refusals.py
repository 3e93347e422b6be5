"""What the clouds, their owners and we ourselves refuse while a change is made: nothing is sent, and it is said why."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.execution import subjects_aws
from tests.execution.conformance import Subject
from tests.execution.subjects import rest_clouds_of, subject_of
from tests.execution.subjects_aws import AwsSide
from tests.execution.subjects_azure import AzureSide
from tests.execution.subjects_gcp import GcpSide
from tests.execution.subjects_vultr import BETTER, VultrSide
from tools.model.errors import (
    CapacityUnavailableError,
    InputError,
    ProtectedError,
    ProviderError,
    ResourceMissingError,
    TransientError,
    UnderWayError,
)
from tools.model.rollout import Plan

REPLACED = f"vultr.plan_change:{BETTER}"


@pytest.fixture(scope="module")
def rest_clouds() -> Iterator[dict[str, tuple[str, Any]]]:
    """The sandbox's clouds that speak REST, each on a loopback port."""
    yield from rest_clouds_of()
    subjects_aws.leave()


@pytest.fixture
def subject(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    """The thing that the change `request.param` is tried on."""
    yield from subject_of(str(request.param), request, monkeypatch)


def of(*changes: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("subject", changes, indirect=True)


def refused(subject: Subject, error: type[ProviderError | InputError], words: str) -> None:
    """The first stage is refused with these words, and everything is as it was."""
    plan, before = subject.plan(), copy.deepcopy(subject.facts())
    with pytest.raises(error, match=words):
        subject.walk(plan, plan.stages[0].desired)
    assert subject.facts() == before


@of("aws.instance_stop")
def test_aws_stop_protection(subject: Subject) -> None:
    """Whoever protected the machine meant it."""
    side: AwsSide = subject.side
    ec2, id_ = side.client("ec2"), subject.resource.id
    ec2.modify_instance_attribute(InstanceId=id_, DisableApiStop={"Value": True})
    side.undo.append(lambda: ec2.modify_instance_attribute(InstanceId=id_, DisableApiStop={"Value": False}))
    refused(subject, ProtectedError, "stop protection is on")


@of("aws.rds_class:db.m5.large")
def test_aws_a_database_without_a_backup(subject: Subject) -> None:
    """Its machine is not changed under data that nobody could restore."""
    side: AwsSide = subject.side
    rds, id_ = side.client("rds"), subject.resource.id
    rds.modify_db_instance(DBInstanceIdentifier=id_, BackupRetentionPeriod=0)
    side.undo.append(lambda: rds.modify_db_instance(DBInstanceIdentifier=id_, BackupRetentionPeriod=7))
    refused(subject, ProtectedError, "no backup younger than a day")


@of("aws.volume_type:gp3")
def test_aws_a_volume_cools_down(subject: Subject) -> None:
    """AWS allows one modification in six hours: a second one is not even asked for, and the way back waits."""
    side: AwsSide = subject.side
    plan = subject.plan()
    subject.send(plan, plan.stages[0].desired)
    rest(subject, plan)
    with pytest.raises(UnderWayError, match="only from"):
        subject.send(plan, plan.before, "back")
    side.aws.control.post("acts", cooled=True)
    subject.send(plan, plan.before, "back")
    rest(subject, plan)
    with pytest.raises(ProtectedError, match="modified lately"):
        subject.send(plan, plan.stages[0].desired, "again")


def rest(subject: Subject, plan: Plan) -> None:
    """Until nothing is under way, without six hours going by."""
    while not subject.change.observe(plan).settled:
        time.sleep(0.05)


@of("aws.snapshot_delete")
def test_aws_a_snapshot_that_no_recycle_bin_kept(subject: Subject) -> None:
    """The way back says that the data is lost."""
    side: AwsSide = subject.side
    side.aws.control.post("acts", recycle_bin=False)
    plan = subject.plan()
    subject.walk(plan, plan.stages[0].desired)
    with pytest.raises(ResourceMissingError, match="not in the Recycle Bin"):
        subject.send(plan, plan.before, "back")
    side.aws.reset()


@of("aws.address_release")
def test_aws_an_address_that_somebody_else_has_now(subject: Subject) -> None:
    """AWS does not give it back, and nothing else is taken instead."""
    side: AwsSide = subject.side
    plan = subject.plan()
    subject.walk(plan, plan.stages[0].desired)
    side.aws.control.post("acts", taken=[plan.before["ip"]])
    with pytest.raises(ResourceMissingError, match="cannot come back"):
        subject.send(plan, plan.before, "back")
    assert subject.facts() == {"addresses": []}
    side.aws.reset()


@of("aws.s3_lifecycle:INTELLIGENT_TIERING@0")
def test_aws_a_bucket_without_rules_has_none_again(subject: Subject) -> None:
    """And one that is gone is said to be gone."""
    side: AwsSide = subject.side
    s3, name, plan = side.client("s3"), subject.resource.id, subject.plan()
    s3.delete_bucket_lifecycle(Bucket=name)
    subject.walk(plan, plan.stages[0].desired)
    subject.walk(plan, plan.before, "back")
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchLifecycleConfiguration"):
        subject.facts()


@of("gcp.disk_delete", "gcp.machine_type:n2-standard-2", "gcp.address_release", "gcp.sql_tier:db-custom-4-16384")
def test_google_an_owner_s_label(subject: Subject) -> None:
    """Written after the plan: the effect looks again."""
    side: GcpSide = subject.side
    plan = subject.plan()
    thing = side.of(subject.resource)
    labels = thing["settings"]["userLabels"] if "settings" in thing else thing.setdefault("labels", {})
    labels["optiinfra-exclude"] = "true"
    before = copy.deepcopy(subject.facts())
    with pytest.raises(ProviderError, match=r"leave it alone|not what was approved"):
        subject.send(plan, plan.stages[0].desired)
    assert subject.facts() == before


@of("gcp.machine_type:n2-standard-2")
def test_google_local_disks_and_unknown_types(subject: Subject) -> None:
    """Stopping would empty the ones, and the others do not exist."""
    side: GcpSide = subject.side
    plan = subject.plan()
    machine = side.of(subject.resource)
    machine["disks"].append({"type": "SCRATCH"})
    refused(subject, ProtectedError, "local disks")
    machine["disks"].pop()
    strange = {**plan.stages[0].desired, "machine_type": "n9-huge"}
    with pytest.raises(InputError, match="There is no n9-huge"):
        subject.send(plan, strange)


@of("gcp.machine_type:n2-standard-2")
def test_google_no_capacity_on_the_way_back_is_said_and_tried_again(subject: Subject) -> None:
    """The old type is sold out when it is started: Google says so of its operation, later it works."""
    side: GcpSide = subject.side
    plan, before = subject.plan(), copy.deepcopy(subject.facts())
    subject.walk(plan, plan.stages[0].desired)
    side.world.short.sold_out.add("n2-standard-4")
    with pytest.raises(CapacityUnavailableError):
        subject.walk(plan, plan.before, "back")
    side.world.short.sold_out.clear()
    subject.walk(plan, plan.before, "back once more")
    assert subject.facts() == before


@of("gcp.sql_tier:db-custom-4-16384")
def test_google_a_database_without_backups(subject: Subject) -> None:
    """Its machine is not changed under data that nobody could restore."""
    side: GcpSide = subject.side
    side.of(subject.resource)["settings"]["backupConfiguration"] = {"enabled": False}
    refused(subject, ProtectedError, "backups are switched off")


@of("gcp.address_release")
def test_google_an_address_that_somebody_else_has_now(subject: Subject) -> None:
    """Google does not give it back."""
    side: GcpSide = subject.side
    plan = subject.plan()
    subject.walk(plan, plan.stages[0].desired)
    side.world.taken.add(str(plan.before["ip"]))
    with pytest.raises(ResourceMissingError, match="cannot come back"):
        subject.send(plan, plan.before, "back")


@of("gcp.mig_spot")
def test_google_machines_that_keep_state(subject: Subject) -> None:
    """A replacement would lose it."""
    side: GcpSide = subject.side
    side.of(subject.resource)["statefulPolicy"] = {"preservedState": {"disks": {}}, "x": 1}
    side.of(subject.resource)["statefulPolicy"]["preservedState"] = {"disks": {"data": {}}}
    refused(subject, ProtectedError, "keep state")


@of("azure.disk_delete", "azure.vm_size:Standard_D2s_v5", "azure.vmss_spot", "azure.ip_release")
def test_azure_a_lock_on_the_group(subject: Subject) -> None:
    """Locks above the thing count for it; taking one away is not ours."""
    side: AzureSide = subject.side
    group = subject.resource.id.lower().partition("/providers/")[0]
    side.world.locks[group] = "keep"
    refused(subject, ProtectedError, "it has the lock keep")


@of("azure.disk_delete")
def test_azure_a_disk_with_a_key_of_its_owner(subject: Subject) -> None:
    """Undo would need the key."""
    side: AzureSide = subject.side
    side.world.things[subject.resource.id.lower()]["properties"]["encryption"] = {
        "type": "EncryptionAtRestWithCustomerKey"
    }
    refused(subject, ProtectedError, "encrypted with a key of its owner")


@of("azure.vm_size:Standard_E4s_v5")
def test_azure_no_capacity_when_it_is_started(subject: Subject) -> None:
    """What Azure says of the machine afterwards is told; back to the old size it is running again."""
    side: AzureSide = subject.side
    plan, before = subject.plan(), copy.deepcopy(subject.facts())
    for _ in ("deallocate", "change"):
        with pytest.raises(UnderWayError):
            subject.send(plan, plan.stages[0].desired)
        subject.wait()
    side.world.short.sold_out.add("Standard_E4s_v5")
    with pytest.raises(CapacityUnavailableError, match="does not offer"):
        subject.send(plan, plan.stages[0].desired)
    side.world.short.sold_out.clear()
    machine = side.world.things[subject.resource.id.lower()]
    machine["_failed"], machine["properties"]["provisioningState"] = "AllocationFailed", "Failed"
    with pytest.raises(CapacityUnavailableError, match="no capacity"):
        subject.send(plan, plan.stages[0].desired)
    subject.walk(plan, plan.before, "back")
    assert subject.facts() == before


@of("azure.blob_lifecycle:cool@30")
def test_azure_rules_of_the_owner(subject: Subject) -> None:
    """Where the owner moves blobs already we add nothing; where there was no rule there is none again."""
    side: AzureSide = subject.side
    store = side.world.things[subject.resource.id.lower()]
    moved = {"baseBlob": {"tierToArchive": {"daysAfterModificationGreaterThan": 90}}}
    store["_rules"] = [{"enabled": True, "name": "theirs", "definition": {"actions": moved}}]
    refused(subject, ProtectedError, "moves blobs to other tiers already")
    del store["_rules"]
    plan = subject.plan()
    subject.walk(plan, plan.stages[0].desired)
    subject.walk(plan, plan.before, "back")
    assert "_rules" not in store


@of(REPLACED)
def test_vultr_a_plan_must_hold_the_disk_and_something_must_lead_there(subject: Subject) -> None:
    """Before anything is halted."""
    side: VultrSide = subject.side
    plan = subject.plan()
    with pytest.raises(InputError, match="smaller disk"):
        subject.send(plan, {**plan.stages[0].desired, "plan": "vc2-2c-4gb"})
    for balancer in side.world.things["load-balancers"]:
        balancer["instances"] = []
    for address in side.world.things["reserved-ips"]:
        address["instance_id"] = ""
    refused(subject, ProtectedError, "neither a reserved address nor a load balancer")


@of("vultr.instance_snapshot_destroy")
def test_vultr_a_machine_that_is_led_to(subject: Subject) -> None:
    """Somebody still sends requests there."""
    side: VultrSide = subject.side
    side.world.things["load-balancers"][0]["instances"].append(subject.resource.id)
    refused(subject, ProtectedError, "still leads to it")


@of(REPLACED)
def test_vultr_a_machine_is_asked_for_at_most_once_while_it_is_unknown(subject: Subject) -> None:
    """Vultr knows no tokens: after silence it is looked for, and asked for again only once it would have shown."""
    side: VultrSide = subject.side
    change: Any = subject.change
    clock = [datetime(2026, 11, 23, 8, tzinfo=UTC)]
    patient = type(change)(change.connection, lambda: clock[0], argument=BETTER)
    plan, desired = subject.plan(), subject.plan().stages[0].desired
    for _ in range(2):
        with pytest.raises(UnderWayError):
            patient.apply(plan, desired, "token")
        subject.wait()
    subject.fail("timeout", "provisioning", 2)
    with pytest.raises((UnderWayError, TransientError)):
        patient.apply(plan, desired, "token")
    subject.heal()
    subject.wait()
    machines = len(side.world.things["instances"])
    for _ in range(12):
        subject.wait()
        try:
            patient.apply(plan, desired, "token")
        except UnderWayError as waits:
            if "asked for at" in waits.what:
                assert len(side.world.things["instances"]) == machines
                clock[0] += timedelta(minutes=11)
            continue
        break
    assert [m["plan"] for m in side.world.things["instances"] if m["label"] == subject.resource.name] == [BETTER]
