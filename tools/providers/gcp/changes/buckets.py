"""Buckets: "gcp.bucket_lifecycle" adds one rule that moves objects to a colder class, guarded by the metageneration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.model.resource import Resource
from tools.model.rollout import Plan
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
from tools.providers.gcp.changes import hands
from tools.providers.gcp.connection import Connection
from tools.providers.rest import Asking, Document

CLASSES = ("NEARLINE", "COLDLINE", "ARCHIVE")
MOVE = "SetStorageClass"


@dataclass(frozen=True, slots=True)
class BucketLifecycle(Acting):
    """One rule beside the owner's, which stay as they are. The argument is CLASS@DAYS.

    Google's rules have no names: ours is the one that moves everything to that class at that age.
    """

    connection: Connection
    now: Callable[[], datetime]
    argument: str = "NEARLINE@30"
    name: str = "gcp.bucket_lifecycle"
    needs: tuple[str, ...] = ("storage.buckets.get", "storage.buckets.update")

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        storage_class, days = rule_of(self.argument, CLASSES)
        obstacles = ["Google moves its objects by itself (Autoclass)"] if resource.attributes.get("autoclass") else []
        if any(_moves(rule) for rule in items(resource.attributes.get("lifecycle_rules"))):
            obstacles.append("a rule of its owner moves objects to other classes already")
        refuse_plan(resource, obstacles, "given a lifecycle rule")
        return planned(
            {"rule": None},
            in_one_step({"rule": {"storage_class": storage_class, "days": days}}),
            {"labels": own_tags(resource.tags)},
            "The rule is taken away and the owner's own rules stay. Objects that were moved by then stay where they are: "
            "reading them costs retrieval, and they are paid for a least time.",
            "bucket",
        )

    def look(self, plan: Plan) -> Sighting:
        told = self._bucket(plan)
        ours = next((rule for rule in _rules(told) if rule == _ours(plan)), None)
        setting: Setting = {"rule": plan.stages[-1].desired["rule"] if ours else None}
        return Sighting(setting, {"labels": hands.labels_of(told)}, int(ours is not None))

    def check(self, plan: Plan, desired: Setting) -> None:
        if any(_moves(rule) for rule in _rules(self._bucket(plan))):
            raise protected(hands.name_of(plan), "a rule of its owner moves objects to other classes already")
        hands.must_be_allowed(self.connection, plan, self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        told = self._bucket(plan)
        self._write(plan, told, [*_rules(told), _ours(plan)])

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["rule"] is not None:
            told = self._bucket(plan)
            self._write(plan, told, [rule for rule in _rules(told) if rule != _ours(plan)])

    def _write(self, plan: Plan, told: Document, rules: list[Any]) -> None:
        asking = Asking(f"writing the lifecycle rules of {hands.name_of(plan)}", "storage.buckets.update")
        body = {"lifecycle": {"rule": rules} if rules else None}
        unchanged = {"ifMetagenerationMatch": str(told.get("metageneration", ""))}
        self.connection.effects("storage").act("PATCH", self._path(plan), asking, body=body, parameters=unchanged)

    def _bucket(self, plan: Plan) -> Document:
        what = f"The bucket {hands.name_of(plan)}"
        return hands.there(self.connection, "storage", self._path(plan), what, "storage.buckets.get")

    def _path(self, plan: Plan) -> str:
        return f"storage/v1/b/{hands.name_of(plan)}"


def _rules(told: Document) -> list[Any]:
    return items(mapping(told.get("lifecycle")).get("rule"))


def _ours(plan: Plan) -> dict[str, object]:
    wanted = mapping(plan.stages[-1].desired["rule"])
    return {
        "action": {"type": MOVE, "storageClass": wanted["storage_class"]},
        "condition": {"age": wanted["days"]},
    }


def _moves(rule: object) -> bool:
    return mapping(mapping(rule).get("action")).get("type") == MOVE
