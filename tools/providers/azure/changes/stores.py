"""Stores: "azure.blob_lifecycle" adds one rule that moves blobs to a colder tier, guarded by the policy's ETag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.model.errors import ResourceMissingError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.azure.changes import hands
from tools.providers.azure.connection import Connection, inner
from tools.providers.azure.resources import whole
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    in_one_step,
    items,
    mapping,
    own_tags,
    planned,
    protected,
    refuse_plan,
    rule_of,
)
from tools.providers.rest import Asking

_STORE = "Microsoft.Storage/storageAccounts"
_POLICY = f"{_STORE}/managementPolicies"
NAME = "optiinfra-transition"
TIERS = {"cool": "tierToCool", "cold": "tierToCold", "archive": "tierToArchive"}


@dataclass(frozen=True, slots=True)
class BlobLifecycle(Acting):
    """One rule of ours beside the owner's in the account's management policy. The argument is TIER@DAYS."""

    connection: Connection
    now: Callable[[], datetime]
    argument: str = "cool@30"
    name: str = "azure.blob_lifecycle"
    needs: tuple[str, ...] = (f"{_POLICY}/delete", f"{_POLICY}/read", f"{_POLICY}/write")
    reads: tuple[str, ...] = (
        *hands.READS,
        f"{_STORE}/read",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        tier, days = rule_of(self.argument, tuple(TIERS))
        refuse_plan(resource, [], "given a lifecycle rule")
        return planned(
            {"rule": None},
            in_one_step({"rule": {"tier": tier, "days": days}}),
            {"tags": own_tags(resource.tags)},
            "The rule is taken away and the owner's own rules stay. Blobs that were moved by then stay where they are: "
            "reading them costs more, and colder tiers are paid for a least time.",
            "storage account",
        )

    def look(self, plan: Plan) -> Sighting:
        what = f"The storage account {hands.name_of(plan)}"
        store = hands.there(self.connection, plan.resource_id, hands.STORAGE, what, f"{_STORE}/read")
        rules, _ = self._rules(plan)
        ours = next((rule for rule in rules if mapping(rule).get("name") == NAME), None)
        setting: Setting = {"rule": _told(ours) if ours else None}
        return Sighting(setting, {"tags": hands.tags_of(store)}, int(ours is not None))

    def check(self, plan: Plan, desired: Setting) -> None:
        rules, _ = self._rules(plan)
        if any(_moves(rule) for rule in rules if mapping(rule).get("name") != NAME):
            raise protected(hands.name_of(plan), "a rule of its owner moves blobs to other tiers already")
        hands.refuse_protected(self.connection, plan, {}, self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        wanted = mapping(desired["rule"])
        moved = {TIERS[str(wanted["tier"])]: {"daysAfterModificationGreaterThan": wanted["days"]}}
        definition = {"filters": {"blobTypes": ["blockBlob"]}, "actions": {"baseBlob": moved}}
        self._write(plan, {"enabled": True, "name": NAME, "type": "Lifecycle", "definition": definition})

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["rule"] is not None:
            self._write(plan, None)

    def _write(self, plan: Plan, ours: dict[str, object] | None) -> None:
        rules, etag = self._rules(plan)
        kept = [rule for rule in rules if mapping(rule).get("name") != NAME] + ([ours] if ours else [])
        name = hands.name_of(plan)
        if kept:
            asking = Asking(f"writing the lifecycle rules of {name}", f"{_POLICY}/write")
            body = {"properties": {"policy": {"rules": kept}}}
            hands.act(self.connection, "PUT", self._path(plan), hands.STORAGE, asking, body, etag)
        else:
            asking = Asking(f"taking the lifecycle rule of {name} away", f"{_POLICY}/delete")
            hands.act(self.connection, "DELETE", self._path(plan), hands.STORAGE, asking, None, etag)

    def _rules(self, plan: Plan) -> tuple[list[Any], str]:
        """The rules as they stand and the policy's ETag; no rules where there is no policy."""
        asking = Asking(f"reading the lifecycle rules of {hands.name_of(plan)}", f"{_POLICY}/read")
        try:
            told, etag = self.connection.effects.tagged(self._path(plan), asking, **{"api-version": hands.STORAGE})
        except ResourceMissingError:
            return [], ""
        return items(inner(told, "properties", "policy", "rules")), etag

    def _path(self, plan: Plan) -> str:
        return f"{plan.resource_id}/managementPolicies/default"


def _told(rule: object) -> dict[str, object]:
    actions = mapping(inner(mapping(rule), "definition", "actions", "baseBlob"))
    for tier, action in TIERS.items():
        if action in actions:
            return {"tier": tier, "days": whole(mapping(actions[action]).get("daysAfterModificationGreaterThan"))}
    return {"tier": "", "days": 0}


def _moves(rule: object) -> bool:
    actions = mapping(mapping(mapping(rule).get("definition")).get("actions")).get("baseBlob")
    return mapping(rule).get("enabled") is not False and any(a in mapping(actions) for a in TIERS.values())
