"""Databases: "aws.rds_class" gives an RDS instance another class, "aws.rds_stop" stops one that nobody uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.model.errors import CapacityUnavailableError, ResourceMissingError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.aws.changes import hands
from tools.providers.aws.connection import Connection
from tools.providers.aws.refusals import our_words
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    argument_of,
    in_one_step,
    kept,
    own_tags,
    planned,
    protected,
    refuse_plan,
    text,
    waits,
)

BACKUP_AGE = timedelta(hours=24)
_RESTS = frozenset({"available", "stopped"})


@dataclass(frozen=True, slots=True)
class RdsClass(Acting):
    """ModifyDBInstance to another class, at once; with a standby a failover, without one some minutes of downtime."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "aws.rds_class"
    needs: tuple[str, ...] = ("rds:ModifyDBInstance",)
    reads: tuple[str, ...] = (
        "rds:DescribeDBInstances",
        "rds:DescribeOrderableDBInstanceOptions",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        wanted = argument_of(self.name, self.argument, "db.m6i.large")
        old = text(resource, "instance_type")
        same = [f"it is of class {wanted} already"] if old == wanted else []
        refuse_plan(resource, [*same, *_obstacles(resource)], "given another class")
        return planned(
            {"instance_class": old},
            in_one_step({"instance_class": wanted}),
            {"engine": text(resource, "engine"), "tags": own_tags(resource.tags)},
            f"The class is set back to {old}. Each way restarts the database: a failover of about a minute with a standby, "
            "several minutes of downtime without one.",
            "database",
        )

    def look(self, plan: Plan) -> Sighting:
        told = _database(self.connection, plan)
        pending = (told.get("PendingModifiedValues") or {}).get("DBInstanceClass")
        settled = told["DBInstanceStatus"] in _RESTS and not pending
        changed = int(told["DBInstanceClass"] != plan.before["instance_class"])
        return Sighting({"instance_class": told["DBInstanceClass"]}, _basis(told), changed, settled=settled)

    def check(self, plan: Plan, desired: Setting) -> None:
        told = _database(self.connection, plan)
        _refuse_busy(plan, told)
        _need_backup(plan, told, self.now())
        rds = hands.reader(self.connection, plan, "rds")
        with our_words(f"looking whether {plan.resource_id} can be a {desired['instance_class']}"):
            orderable = rds.describe_orderable_db_instance_options(
                Engine=told["Engine"],
                EngineVersion=told["EngineVersion"],
                DBInstanceClass=desired["instance_class"],
                MaxRecords=20,
            )["OrderableDBInstanceOptions"]
        if not any(option["DBInstanceClass"] == desired["instance_class"] for option in orderable):
            raise CapacityUnavailableError(
                f"AWS does not offer {desired['instance_class']} for {told['Engine']} {told['EngineVersion']} here."
            )

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        self._modify(plan, str(desired["instance_class"]))

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        told = _database(self.connection, plan)
        pending = (told.get("PendingModifiedValues") or {}).get("DBInstanceClass")
        if told["DBInstanceStatus"] not in _RESTS:
            raise waits(f"{plan.resource_id} is {told['DBInstanceStatus']}; it is set back once that has ended.")
        if pending or seen.setting != plan.before:
            self._modify(plan, str(plan.before["instance_class"]))

    def _modify(self, plan: Plan, wanted: str) -> None:
        with our_words(f"changing the class of {plan.resource_id}"):
            hands.actor(self.connection, plan, "rds").modify_db_instance(
                DBInstanceIdentifier=plan.resource_id, DBInstanceClass=wanted, ApplyImmediately=True
            )


@dataclass(frozen=True, slots=True)
class RdsStop(Acting):
    """Stop a database; its storage stays and is paid for. AWS starts it by itself after seven days."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "aws.rds_stop"
    needs: tuple[str, ...] = ("rds:StartDBInstance", "rds:StopDBInstance")
    reads: tuple[str, ...] = ("rds:DescribeDBInstances",)

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        refuse_plan(resource, _obstacles(resource), "stopped")
        return planned(
            {"state": "available"},
            in_one_step({"state": "stopped"}),
            {"engine": text(resource, "engine"), "tags": own_tags(resource.tags)},
            "The database is started again, which takes some minutes. AWS starts a stopped one by itself after seven days, "
            "so the saving ends then unless it is stopped again.",
            "database",
        )

    def look(self, plan: Plan) -> Sighting:
        told = _database(self.connection, plan)
        state = told["DBInstanceStatus"]
        return Sighting({"state": state}, _basis(told), int(state == "stopped"), settled=state in _RESTS)

    def check(self, plan: Plan, desired: Setting) -> None:
        told = _database(self.connection, plan)
        if told["DBInstanceStatus"] in {"stopping", "stopped"}:
            return  # by our own call
        _refuse_busy(plan, told)
        if told.get("ReadReplicaDBInstanceIdentifiers") or told.get("ReadReplicaSourceDBInstanceIdentifier"):
            raise protected(plan.resource_id, "it has a read replica or is one, and AWS stops neither")
        if told.get("MultiAZ") and str(told["Engine"]).startswith("sqlserver"):
            raise protected(plan.resource_id, "AWS does not stop SQL Server with a standby")

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        if seen.setting["state"] == "available":
            with our_words(f"stopping {plan.resource_id}"):
                hands.actor(self.connection, plan, "rds").stop_db_instance(DBInstanceIdentifier=plan.resource_id)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["state"] == "stopping":
            raise waits(f"{plan.resource_id} is still stopping; it is started once it has stopped.")
        if seen.setting["state"] == "stopped":
            with our_words(f"starting {plan.resource_id}"):
                hands.actor(self.connection, plan, "rds").start_db_instance(DBInstanceIdentifier=plan.resource_id)


def _obstacles(resource: Resource) -> list[str]:
    found = []
    if text(resource, "cluster") or text(resource, "engine").startswith(("aurora", "docdb", "neptune")):
        found.append("it belongs to a cluster, which is changed as a whole")
    if text(resource, "state") not in {"available", "running"}:
        found.append(f"it is {text(resource, 'state') or 'in an unknown state'}")
    return found


def _database(connection: Connection, plan: Plan) -> Mapping[str, Any]:
    rds = hands.reader(connection, plan, "rds")
    try:
        with our_words(f"looking at the database {plan.resource_id}"):
            found = rds.describe_db_instances(DBInstanceIdentifier=plan.resource_id)["DBInstances"]
    except ResourceMissingError as error:
        raise ResourceMissingError(
            f"The database {plan.resource_id} does not exist any more.", fix="Collect again."
        ) from error
    return hands.there(found, f"The database {plan.resource_id}")


def _basis(told: Mapping[str, Any]) -> dict[str, object]:
    tags = {str(t["Key"]): str(t.get("Value", "")) for t in told.get("TagList") or []}
    return {"engine": told["Engine"], "tags": own_tags(tags)}


def _refuse_busy(plan: Plan, told: Mapping[str, Any]) -> None:
    tags = {str(t["Key"]): str(t.get("Value", "")) for t in told.get("TagList") or []}
    for reason in kept(tags.items()):
        raise protected(plan.resource_id, reason)
    if told["DBInstanceStatus"] != "available" or told.get("PendingModifiedValues"):
        raise waits(f"{plan.resource_id} is being changed; it goes on once that has ended.")


def _need_backup(plan: Plan, told: Mapping[str, Any], now: datetime) -> None:
    """A change of the machine under data needs a fresh way to restore it."""
    restorable = told.get("LatestRestorableTime")
    if not told.get("BackupRetentionPeriod") or (restorable and now - restorable.astimezone(UTC) > BACKUP_AGE):
        raise protected(plan.resource_id, "it has no backup younger than a day")
