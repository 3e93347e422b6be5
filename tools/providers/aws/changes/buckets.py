"""Buckets: "aws.s3_lifecycle" adds one lifecycle rule that moves objects to a cheaper class, and takes it away again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.model.errors import ResourceMissingError
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
    in_one_step,
    mapping,
    planned,
    protected,
    refuse_plan,
    rule_of,
)

CLASSES = ("INTELLIGENT_TIERING", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR")
MOST_RULES = 1000
ID = "optiinfra-transition"


@dataclass(frozen=True, slots=True)
class S3Lifecycle(Acting):
    """One rule of ours beside the owner's, which stay as they are, word by word. The argument is CLASS@DAYS.

    S3 takes the whole configuration and knows no precondition: it is read right before and counted right after.
    """

    connection: Connection
    now: Callable[[], datetime]
    argument: str = "INTELLIGENT_TIERING@0"
    name: str = "aws.s3_lifecycle"
    needs: tuple[str, ...] = ("s3:PutLifecycleConfiguration",)
    reads: tuple[str, ...] = ("s3:GetLifecycleConfiguration",)

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        storage_class, days = rule_of(self.argument, CLASSES)
        refuse_plan(resource, [], "given a lifecycle rule")
        return planned(
            {"rule": None},
            in_one_step({"rule": {"storage_class": storage_class, "days": days}}),
            {"bucket": resource.id},
            "The rule is taken away and the owner's own rules stay. Objects that were moved by then stay where they are: "
            "moving them back costs retrieval, and some classes are paid for a least time.",
            "bucket",
        )

    def look(self, plan: Plan) -> Sighting:
        ours = next((rule for rule in self._rules(plan)[0] if rule.get("ID") == ID), None)
        setting: Setting = {"rule": _told(ours) if ours else None}
        return Sighting(setting, {"bucket": plan.resource_id}, int(ours is not None))

    def check(self, plan: Plan, desired: Setting) -> None:
        rules, _ = self._rules(plan)
        moving = [r for r in rules if r.get("ID") != ID and r.get("Transitions") and r.get("Status") == "Enabled"]
        if moving:
            raise protected(plan.resource_id, "a rule of its owner moves objects to other classes already")
        if len(rules) >= MOST_RULES:
            raise protected(plan.resource_id, f"it has {MOST_RULES} rules already, and S3 takes no more")

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        wanted = mapping(desired["rule"])
        rule = {
            "ID": ID,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Transitions": [{"Days": wanted["days"], "StorageClass": wanted["storage_class"]}],
        }
        self._put(plan, rule)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting["rule"] is not None:
            self._put(plan, None)

    def _put(self, plan: Plan, ours: Mapping[str, Any] | None) -> None:
        s3 = hands.actor(self.connection, plan, "s3")
        rules, size = self._rules(plan)
        kept = [rule for rule in rules if rule.get("ID") != ID] + ([dict(ours)] if ours else [])
        with our_words(f"writing the lifecycle rules of {plan.resource_id}"):
            if kept:
                s3.put_bucket_lifecycle_configuration(
                    Bucket=plan.resource_id, LifecycleConfiguration={"Rules": kept}, **size
                )
            else:
                s3.delete_bucket_lifecycle(Bucket=plan.resource_id)

    def _rules(self, plan: Plan) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The rules as they stand, and what else S3 keeps with them."""
        from botocore.exceptions import ClientError

        s3 = hands.reader(self.connection, plan, "s3")
        with our_words(f"reading the lifecycle rules of {plan.resource_id}"):
            try:
                told = s3.get_bucket_lifecycle_configuration(Bucket=plan.resource_id)
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
                    return [], {}
                if error.response["Error"]["Code"] == "NoSuchBucket":
                    raise ResourceMissingError(f"The bucket {plan.resource_id} does not exist any more.") from error
                raise
        name = "TransitionDefaultMinimumObjectSize"
        return list(told["Rules"]), {name: told[name]} if told.get(name) else {}


def _told(rule: Mapping[str, Any]) -> dict[str, object]:
    transition = (rule.get("Transitions") or [{}])[0]
    return {"storage_class": transition.get("StorageClass", ""), "days": transition.get("Days", 0)}
