"""Databases: "gcp.sql_tier" gives a Cloud SQL instance another machine, guarded by its settings' version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    argument_of,
    in_one_step,
    items,
    kept,
    mapping,
    own_tags,
    planned,
    protected,
    refuse_plan,
    text,
    waits,
)
from tools.providers.gcp.changes import hands
from tools.providers.gcp.connection import Connection
from tools.providers.rest import Asking, Document


@dataclass(frozen=True, slots=True)
class SqlTier(Acting):
    """instances.patch of settings.tier; Google refuses it when somebody changed the settings in between."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "gcp.sql_tier"
    needs: tuple[str, ...] = ("cloudsql.instances.get", "cloudsql.instances.update")

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        wanted = argument_of(self.name, self.argument, "db-custom-4-16384")
        old, state = text(resource, "instance_type"), text(resource, "state")
        obstacles = [f"its tier is {wanted} already"] if old == wanted else []
        refuse_plan(resource, [*obstacles, *([] if state == "running" else [f"it is {state}"])], "given another tier")
        return planned(
            {"tier": old},
            in_one_step({"tier": wanted}),
            {"engine": text(resource, "engine"), "labels": own_tags(resource.tags)},
            f"The tier is set back to {old}. Each way restarts the database: about a minute where it is highly available, "
            "some minutes where it is not.",
            "database",
        )

    def look(self, plan: Plan) -> Sighting:
        told = self._database(plan)
        settings = mapping(told.get("settings"))
        tier = str(settings.get("tier", ""))
        basis = {"engine": told.get("databaseVersion"), "labels": hands.labels_of(settings, "userLabels")}
        settled = told.get("state") == "RUNNABLE" and not self._busy(plan)
        return Sighting({"tier": tier}, basis, int(tier != plan.before["tier"]), settled=settled)

    def check(self, plan: Plan, desired: Setting) -> None:
        told, name = self._database(plan), hands.name_of(plan)
        settings = mapping(told.get("settings"))
        for reason in kept(hands.all_labels(settings, "userLabels").items()):
            raise protected(name, reason)
        if mapping(settings.get("backupConfiguration")).get("enabled") is False:
            raise protected(name, "its backups are switched off")
        if self._busy(plan):
            raise waits(f"{name} is being changed; it goes on once that has ended.")
        hands.must_be_allowed(self.connection, plan, self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        self._patch(plan, str(desired["tier"]))

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting == plan.before:
            return
        if not seen.settled:
            raise waits(f"{hands.name_of(plan)} is still being changed; it is set back once that has ended.")
        self._patch(plan, str(plan.before["tier"]))

    def _patch(self, plan: Plan, tier: str) -> None:
        version = mapping(self._database(plan).get("settings")).get("settingsVersion")
        asking = Asking(f"changing the tier of {hands.name_of(plan)}", "cloudsql.instances.update")
        body = {"settings": {"tier": tier, "settingsVersion": version}}
        self.connection.effects("sqladmin").act("PATCH", self._path(plan), asking, body=body)

    def _busy(self, plan: Plan) -> bool:
        """Whether an operation on it is under way."""
        asking = Asking(f"looking what is under way at {hands.name_of(plan)}", "cloudsql.instances.get")
        path = f"v1/projects/{plan.account_id}/operations"
        told = self.connection.effects("sqladmin").get(path, asking, instance=hands.name_of(plan), maxResults="5")
        return any(mapping(operation).get("status") != "DONE" for operation in items(told.get("items")))

    def _database(self, plan: Plan) -> Document:
        what = f"The database {hands.name_of(plan)}"
        return hands.there(self.connection, "sqladmin", self._path(plan), what, "cloudsql.instances.get")

    def _path(self, plan: Plan) -> str:
        return f"v1/projects/{plan.account_id}/instances/{hands.name_of(plan)}"
