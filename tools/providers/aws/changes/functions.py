"""Functions: "aws.lambda_memory" publishes a version with other memory and moves an alias to it by tenths of the requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.model.errors import InputError
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
    in_steps,
    mapping,
    number,
    own_tags,
    planned,
    protected,
    refuse_plan,
    waits,
)

TENTHS = 10
LEAST_MIB, MOST_MIB = 128, 10_240


@dataclass(frozen=True, slots=True)
class LambdaMemory(Acting):
    """$LATEST gets the memory, a version of it is published, and the alias sends it 1, 5 and 10 tenths of its requests.

    The version's description keeps which one served before: at 10 tenths the alias itself does not know it any more.
    """

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "aws.lambda_memory"
    needs: tuple[str, ...] = ("lambda:PublishVersion", "lambda:UpdateAlias", "lambda:UpdateFunctionConfiguration")
    reads: tuple[str, ...] = (
        "lambda:GetAlias",
        "lambda:GetFunctionConfiguration",
        "lambda:ListTags",
        "lambda:ListVersionsByFunction",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        wanted, alias = _wanted(argument_of(self.name, self.argument, "512@live"))
        memory = number(resource, "memory_mib")
        refuse_plan(resource, ["it has that memory already"] if memory == wanted else [], "given other memory")
        return planned(
            {"alias": alias, "memory": memory, "tenths": 0},
            in_steps(TENTHS, percents, lambda count: {"alias": alias, "memory": wanted, "tenths": count}),
            {"tags": own_tags(resource.tags)},
            f"The alias {alias} goes back to its version of before for all requests, at once, and the function to {memory} "
            "MiB. The version that was published stays; it costs nothing.",
            "request tenth",
        )

    def look(self, plan: Plan) -> Sighting:
        client = hands.reader(self.connection, plan, "lambda")
        name = plan.resource_id
        with our_words(f"looking at the function {name}"):
            latest = client.get_function_configuration(FunctionName=name)
            alias = client.get_alias(FunctionName=name, Name=str(plan.before["alias"]))
            tags = client.list_tags(Resource=latest["FunctionArn"].rpartition(":$LATEST")[0] or latest["FunctionArn"])
        tenths = self._tenths(plan, alias)
        setting: Setting = {"alias": plan.before["alias"], "memory": latest["MemorySize"], "tenths": tenths}
        settled = latest.get("LastUpdateStatus", "Successful") != "InProgress"
        return Sighting(setting, {"tags": own_tags(tags.get("Tags") or {})}, tenths, TENTHS, settled)

    def check(self, plan: Plan, desired: Setting) -> None:
        client = hands.reader(self.connection, plan, "lambda")
        with our_words(f"comparing the code of {plan.resource_id}"):
            latest = client.get_function_configuration(FunctionName=plan.resource_id)
            serving = client.get_function_configuration(
                FunctionName=plan.resource_id, Qualifier=str(plan.before["alias"])
            )
        if latest["CodeSha256"] != serving["CodeSha256"]:
            raise protected(plan.resource_id, "its newest code is not the code that serves; publish that first")

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        act, name = hands.actor(self.connection, plan, "lambda"), plan.resource_id
        latest = self._remember(plan, int(str(desired["memory"])))
        ours = self._published(plan, code=latest["CodeSha256"])
        if ours is None:
            with our_words(f"publishing a version of {name}"):
                serving = hands.reader(self.connection, plan, "lambda").get_alias(
                    FunctionName=name, Name=str(plan.before["alias"])
                )["FunctionVersion"]
                told = act.publish_version(
                    FunctionName=name,
                    CodeSha256=latest["CodeSha256"],
                    **_revision(latest),
                    Description=f"{_mark(plan)}{serving}",
                )
            ours = (str(told["Version"]), str(serving))
        self._send(plan, int(str(desired["tenths"])), *ours)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        ours = self._published(plan, serving=self._serving(plan))
        if seen.changed and ours is not None:
            self._send(plan, 0, *ours)
        if seen.setting["memory"] != plan.before["memory"]:
            self._remember(plan, int(str(plan.before["memory"])))

    def _remember(self, plan: Plan, memory: int) -> Mapping[str, Any]:
        """Give $LATEST this memory; its configuration once that has settled, else UnderWayError."""
        act, name = hands.actor(self.connection, plan, "lambda"), plan.resource_id
        client = hands.reader(self.connection, plan, "lambda")
        with our_words(f"changing the memory of {name}"):
            latest: Mapping[str, Any] = client.get_function_configuration(FunctionName=name)
            if latest["MemorySize"] != memory and latest.get("LastUpdateStatus") != "InProgress":
                act.update_function_configuration(FunctionName=name, MemorySize=memory, **_revision(latest))
                latest = client.get_function_configuration(FunctionName=name)
        if latest.get("LastUpdateStatus") == "InProgress":
            raise waits(f"The memory of {name} is being changed; the next part follows.")
        return latest

    def _send(self, plan: Plan, tenths: int, new: str, old: str) -> None:
        """So many tenths of the alias's requests to the new version; its revision id refuses a change in between."""
        act, name, alias = hands.actor(self.connection, plan, "lambda"), plan.resource_id, str(plan.before["alias"])
        weights = {new: tenths / TENTHS} if 0 < tenths < TENTHS else {}
        with our_words(f"moving the alias {alias} of {name}"):
            known = hands.reader(self.connection, plan, "lambda").get_alias(FunctionName=name, Name=alias)
            act.update_alias(
                FunctionName=name,
                Name=alias,
                FunctionVersion=new if tenths == TENTHS else old,
                RoutingConfig={"AdditionalVersionWeights": weights},
                **_revision(known),
            )

    def _published(self, plan: Plan, *, code: str = "", serving: str = "") -> tuple[str, str] | None:
        """The version that an earlier try published, and the one that served before it, by its description.

        `code`: only one of this code, as a version of an older one must not serve. `serving`: rather this version.
        """
        client = hands.reader(self.connection, plan, "lambda")
        with our_words(f"listing the versions of {plan.resource_id}"):
            pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=plan.resource_id)
            versions = [v for page in pages for v in page["Versions"] if v["Version"] != "$LATEST"]
        ours = [v for v in versions if str(v.get("Description", "")).startswith(_mark(plan))]
        ours = [v for v in ours if code in {"", v["CodeSha256"]}]
        ours.sort(key=lambda v: (v["Version"] == serving, int(v["Version"])))
        return (str(ours[-1]["Version"]), ours[-1]["Description"].removeprefix(_mark(plan))) if ours else None

    def _serving(self, plan: Plan) -> str:
        client = hands.reader(self.connection, plan, "lambda")
        with our_words(f"looking at the alias {plan.before['alias']}"):
            alias = client.get_alias(FunctionName=plan.resource_id, Name=str(plan.before["alias"]))
        return str(alias["FunctionVersion"])

    def _tenths(self, plan: Plan, alias: Mapping[str, Any]) -> int:
        """How many tenths of the requests go to another version than the one that served before."""
        ours = self._published(plan, serving=str(alias["FunctionVersion"]))
        if ours is not None and str(alias["FunctionVersion"]) == ours[0]:
            return TENTHS
        weights = mapping(mapping(alias.get("RoutingConfig")).get("AdditionalVersionWeights"))
        return round(sum(float(weight) for weight in weights.values()) * TENTHS)


def _wanted(argument: str) -> tuple[int, str]:
    memory, _, alias = argument.partition("@")
    if not memory.isdigit() or not alias or not LEAST_MIB <= int(memory) <= MOST_MIB:
        raise InputError(
            f"{argument} does not say which memory through which alias.",
            fix=f"Write it as MEMORY@ALIAS, for example 512@live; memory is {LEAST_MIB} to {MOST_MIB} MiB.",
        )
    return int(memory), alias


def _revision(told: Mapping[str, Any]) -> dict[str, str]:
    """What a call is bound to, so that a change in between refuses it."""
    return {"RevisionId": told["RevisionId"]} if told.get("RevisionId") else {}


def _mark(plan: Plan) -> str:
    return f"optiinfra {plan.hash[:12]}: instead of version "
