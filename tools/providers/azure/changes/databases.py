"""Databases: "azure.sql_sku" scales an Azure SQL database within its tier, online but for a short drop of connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tools.model.errors import InputError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.azure.changes import hands
from tools.providers.azure.connection import Connection, words
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    argument_of,
    in_one_step,
    own_tags,
    planned,
    refuse_plan,
    text,
    waits,
)
from tools.providers.rest import Asking, Document

_SQL = "Microsoft.Sql/servers/databases"


@dataclass(frozen=True, slots=True)
class SqlSku(Acting):
    """PATCH of the database's sku, an absolute value; the connections drop once when Azure switches over."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "azure.sql_sku"
    needs: tuple[str, ...] = (f"{_SQL}/read", f"{_SQL}/write")
    reads: tuple[str, ...] = (*hands.READS,)

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        wanted = argument_of(self.name, self.argument, "GP_Gen5_4")
        old = text(resource, "instance_type")
        obstacles = [f"its sku is {wanted} already"] if old == wanted else []
        if text(resource, "state") not in {"Online", "unknown", ""}:
            obstacles.append(f"it is {text(resource, 'state')}")
        refuse_plan(resource, obstacles, "given another sku")
        if tier_of(old) != tier_of(wanted) or not tier_of(old):
            raise InputError(
                f"{resource.name} cannot go from {old} to {wanted}: another tier has other storage and limits.",
                fix="Choose a sku of the same tier.",
            )
        return planned(
            {"sku": old},
            in_one_step({"sku": wanted}),
            {"tags": own_tags(resource.tags)},
            f"The sku is set back to {old}. Each way Azure copies nothing and switches over at the end: open connections "
            "drop once, for some seconds.",
            "database",
        )

    def look(self, plan: Plan) -> Sighting:
        told = self._database(plan)
        sku = words(told, "properties", "currentServiceObjectiveName") or words(told, "sku", "name")
        asked = words(told, "properties", "requestedServiceObjectiveName") or sku
        settled = words(told, "properties", "status") in {"Online", ""} and asked == sku
        return Sighting({"sku": sku}, {"tags": hands.tags_of(told)}, int(sku != plan.before["sku"]), settled=settled)

    def check(self, plan: Plan, desired: Setting) -> None:
        hands.refuse_protected(self.connection, plan, hands.all_tags(self._database(plan)), self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        if not seen.settled:
            raise waits(f"{hands.name_of(plan)} is being scaled.")
        self._scale(plan, str(desired["sku"]))

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if not seen.settled:
            raise waits(f"{hands.name_of(plan)} is still being scaled; it is set back once that has ended.")
        if seen.setting != plan.before:
            self._scale(plan, str(plan.before["sku"]))

    def _scale(self, plan: Plan, sku: str) -> None:
        asking = Asking(f"scaling {hands.name_of(plan)}", f"{_SQL}/write")
        body = {"sku": {"name": sku, "tier": tier_of(sku)} | _capacity(sku)}
        hands.act(self.connection, "PATCH", plan.resource_id, hands.SQL, asking, body)

    def _database(self, plan: Plan) -> Document:
        what = f"The database {hands.name_of(plan)}"
        return hands.there(self.connection, plan.resource_id, hands.SQL, what, f"{_SQL}/read")


_TIERS = {"GP": "GeneralPurpose", "BC": "BusinessCritical", "HS": "Hyperscale"}


def tier_of(sku: str) -> str:
    """ "GP_Gen5_4" -> "GeneralPurpose", "S3" -> "Standard"; empty for what is not known."""
    start = sku.partition("_")[0]
    if start in _TIERS:
        return _TIERS[start]
    return {"S": "Standard", "P": "Premium"}.get(sku[:1], "") if sku[1:].isdigit() else ""


def _capacity(sku: str) -> dict[str, int]:
    last = sku.rpartition("_")[2]
    return {"capacity": int(last)} if "_" in sku and last.isdigit() else {}
