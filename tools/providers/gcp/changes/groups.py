"""Groups: "gcp.mig_spot" moves a managed instance group to spot machines as a canary of two versions, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.model.errors import QuotaExceededError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers.base import ChangePlan
from tools.providers.changing import (
    Acting,
    Setting,
    Sighting,
    fingerprint,
    in_steps,
    items,
    kept,
    mapping,
    number,
    own_tags,
    planned,
    protected,
    refuse_plan,
    text,
    waits,
)
from tools.providers.gcp.changes import hands
from tools.providers.gcp.connection import Connection
from tools.providers.gcp.describing import last, tail, whole
from tools.providers.rest import Asking, Document

SPOT_QUOTA = "PREEMPTIBLE_CPUS"
# What decides how a group updates; Google adds derived values, which are left out.
_POLICY = ("type", "minimalAction", "replacementMethod")
_AMOUNTS = ("maxSurge", "maxUnavailable")


@dataclass(frozen=True, slots=True)
class MigSpot(Acting):
    """A spot copy of the group's template, and so many machines of it; new ones start before old ones end.

    A setting is {"spot": machines of the spot template asked for, "update_policy"}. The group's fingerprint goes with
    every patch, so that Google refuses one that rests on an older look.
    """

    connection: Connection
    now: Callable[[], datetime]
    argument: str = ""
    name: str = "gcp.mig_spot"
    needs: tuple[str, ...] = (
        "compute.instanceGroupManagers.get",
        "compute.instanceGroupManagers.update",
        "compute.instanceTemplates.create",
        "compute.instanceTemplates.get",
        "compute.instanceTemplates.useReadOnly",
        "compute.instances.create",
        "compute.instances.delete",
        "compute.instances.list",
        "compute.machineTypes.get",
        "compute.regions.get",
    )

    def plan(self, resource: Resource, percents: tuple[int, ...]) -> ChangePlan:
        size = number(resource, "size")
        setting = mapping(resource.attributes.get("setting"))
        refuse_plan(resource, _obstacles(resource, size), "moved to spot")
        template = str(setting["instance_template"])
        zones = len(items(resource.attributes.get("zones"))) or 1
        ours: Setting = {
            "type": "PROACTIVE",
            "minimalAction": "REPLACE",
            "maxSurge": {"fixed": zones if "/regions/" in resource.id else 1},
            "maxUnavailable": {"fixed": 0},
        }
        return planned(
            {"spot": 0, "update_policy": policy_of(setting.get("update_policy"))},
            in_steps(size, percents, lambda count: {"spot": count, "update_policy": ours}),
            {"template": tail(template), "labels": own_tags(resource.tags)},
            "The group goes back to its own template; Google starts machines on demand before it ends spot ones, so "
            "capacity stays. The spot copy of the template is kept; it costs nothing.",
            "machine",
        )

    def look(self, plan: Plan) -> Sighting:
        group = self._group(plan)
        members = list(self._members(plan, group))
        spot = sum(mapping(m.get("scheduling")).get("provisioningModel") == "SPOT" for m in members)
        versions = [mapping(version) for version in items(group.get("versions"))]
        own = [v for v in versions if not self._is_ours(v.get("instanceTemplate"))]
        status = mapping(group.get("status"))
        moving = sum(whole(n) for name, n in mapping(group.get("currentActions")).items() if name != "none")
        size = whole(group.get("targetSize"))
        asked = _asked(versions, own, size, plan)
        stable = status.get("isStable") is True and mapping(status.get("versionTarget")).get("isReached") is not False
        running = sum(m.get("status") == "RUNNING" for m in members)
        setting: Setting = {"spot": asked, "update_policy": policy_of(group.get("updatePolicy"))}
        basis = {
            # At the end no version is left that says what the group's own template was.
            "template": tail(own[0].get("instanceTemplate")) if own else tail(self._own(plan, group)),
            "labels": hands.labels_of(group),
        }
        counts = {"spot": spot, "on_demand": running - spot, "moving": moving}
        return Sighting(setting, basis, spot, size, stable and not moving and running == size, counts)

    def check(self, plan: Plan, desired: Setting) -> None:
        group, name = self._group(plan), hands.name_of(plan)
        template = self._template(plan, self._own(plan, group))
        properties = mapping(template.get("properties"))
        for reason in kept(hands.all_labels(properties).items()):
            raise protected(name, reason)
        if mapping(group.get("statefulPolicy")).get("preservedState"):
            raise protected(name, "its machines keep state, which a replacement would lose")
        self._need_quota(plan, str(properties.get("machineType", "")), int(str(desired["spot"])))
        hands.must_be_allowed(self.connection, plan, self.needs)

    def forward(self, plan: Plan, desired: Setting, token: str, seen: Sighting) -> None:
        group = self._group(plan)
        own, spot = self._own(plan, group), self._spot_link(plan)
        if hands.look(self.connection, "compute", spot, Asking("looking at the spot template")) is None:
            self._copy(plan, own, token)
            raise waits(f"The spot copy of the template of {hands.name_of(plan)} is being made.")
        count, everything = int(str(desired["spot"])), plan.stages[-1].units
        canary: dict[str, object] = {"name": "optiinfra-spot", "instanceTemplate": _relative(spot)}
        versions: list[dict[str, object]] = [canary]
        if count < everything:
            versions = [{"instanceTemplate": own}, {**canary, "targetSize": {"fixed": count}}]
        self._patch(plan, group, versions, desired["update_policy"], token)

    def back(self, plan: Plan, token: str, seen: Sighting) -> None:
        if seen.setting == plan.before and not seen.changed:
            return
        group = self._group(plan)
        policy = plan.before["update_policy"]
        if seen.changed or not seen.settled:
            # With its own policy the group might never replace the spot machines; that one comes back last.
            policy = plan.stages[-1].desired["update_policy"]
        if seen.setting == {"spot": 0, "update_policy": policy}:
            raise waits(
                f"{hands.name_of(plan)} replaces its spot machines; its own update policy comes back after that."
            )
        self._patch(plan, group, [{"instanceTemplate": self._own(plan, group)}], policy, token)

    def _patch(
        self, plan: Plan, group: Document, versions: list[dict[str, object]], policy: object, token: str
    ) -> None:
        asking = Asking(f"changing the versions of {hands.name_of(plan)}", "compute.instanceGroupManagers.update")
        body = {"versions": versions, "updatePolicy": policy, "fingerprint": group.get("fingerprint")}
        hands.act(self.connection, "PATCH", hands.path_of(plan), asking, token, fingerprint(body), body)

    def _copy(self, plan: Plan, own: str, token: str) -> None:
        """The group's own template again, with spot machines; where it came from is in its description."""
        properties = dict(mapping(self._template(plan, own).get("properties")))
        properties["scheduling"] = {
            "provisioningModel": "SPOT",
            "preemptible": True,
            "automaticRestart": False,
            "onHostMaintenance": "TERMINATE",
            "instanceTerminationAction": "STOP",
        }
        body = {"name": last(self._spot_link(plan)), "description": own, "properties": properties}
        asking = Asking("making a spot template", "compute.instanceTemplates.create")
        path = f"{hands.COMPUTE}{plan.account_id}/global/instanceTemplates"
        hands.act(self.connection, "POST", path, asking, token, "template", body)

    def _need_quota(self, plan: Plan, machine_type: str, count: int) -> None:
        """Refuse before anything is begun when the region's quota of spot cores is too small."""
        region, zone = self._place(plan)
        path = f"{hands.COMPUTE}{plan.account_id}/zones/{zone}/machineTypes/{last(machine_type)}"
        asking = Asking("reading machine types", "compute.machineTypes.get")
        cores = whole(self.connection.effects("compute").get(path, asking).get("guestCpus"))
        asking = Asking(f"reading the quotas of {region}", "compute.regions.get")
        told = self.connection.effects("compute").get(f"{hands.COMPUTE}{plan.account_id}/regions/{region}", asking)
        for quota in (mapping(one) for one in items(told.get("quotas"))):
            # Without a quota of its own, spot counts as any other machine.
            if quota.get("metric") == SPOT_QUOTA and 0 < quota["limit"] < quota["usage"] + cores * count:
                raise QuotaExceededError(
                    f"{count} spot machines of {hands.name_of(plan)} need {cores * count} cores, and the quota "
                    f"{SPOT_QUOTA} of {region} has {quota['limit'] - quota['usage']} left.",
                    fix="Ask Google for a higher quota.",
                )

    def _place(self, plan: Plan) -> tuple[str, str]:
        """The group's region, and a zone in it."""
        where = hands.place_of(plan).rpartition("/")[2]
        if "/zones/" in hands.path_of(plan):
            return where.rpartition("-")[0], where
        zones = items(mapping(self._group(plan).get("distributionPolicy")).get("zones"))
        return where, last(mapping(zones[0]).get("zone")) if zones else f"{where}-b"

    def _members(self, plan: Plan, group: Document) -> Iterable[Mapping[str, Any]]:
        """The group's machines as Compute Engine lists them: what they are is seen there, not in the group's plan."""
        base = group.get("baseInstanceName")
        asking = Asking(f"counting the machines of {hands.name_of(plan)}", "compute.instances.list")
        path = f"{hands.COMPUTE}{plan.account_id}/aggregated/instances"
        for page in self.connection.pages(
            "compute", path, asking, effects=True, filter=f"name:{base}-*", maxResults="500"
        ):
            for scope in mapping(page.get("items")).values():
                yield from (m for m in items(mapping(scope).get("instances")) if self._made_by(m, plan))

    def _made_by(self, machine: Mapping[str, Any], plan: Plan) -> bool:
        entries = items(mapping(machine.get("metadata")).get("items"))
        makers = [str(mapping(entry).get("value")) for entry in entries if mapping(entry).get("key") == "created-by"]
        return any(tail(maker) == tail(plan.resource_id) for maker in makers)

    def _group(self, plan: Plan) -> Document:
        what = f"The group {hands.name_of(plan)}"
        permission = "compute.instanceGroupManagers.get"
        return hands.there(self.connection, "compute", hands.path_of(plan), what, permission)

    def _template(self, plan: Plan, link: str) -> Document:
        path = f"{hands.COMPUTE}{link.partition('/projects/')[2] or link.removeprefix('projects/')}"
        return hands.there(self.connection, "compute", path, "The group's template", "compute.instanceTemplates.get")

    def _own(self, plan: Plan, group: Document) -> str:
        """The template that is the group's own: a version's, or what the spot copy says that it was made of."""
        links = [str(mapping(version).get("instanceTemplate", "")) for version in items(group.get("versions"))]
        own = [link for link in links if not self._is_ours(link)]
        if own:
            return own[0]
        asking = Asking("looking at the spot template", "compute.instanceTemplates.get")
        return str((hands.look(self.connection, "compute", self._spot_link(plan), asking) or {}).get("description", ""))

    def _spot_link(self, plan: Plan) -> str:
        """One per plan: the group may have another template the next time."""
        name = hands.called("optiinfra-spot", hands.name_of(plan), plan.fingerprint[:12])
        return f"{hands.COMPUTE}{plan.account_id}/global/instanceTemplates/{name}"

    def _is_ours(self, link: object) -> bool:
        return last(link).startswith("optiinfra-spot-")


def policy_of(told: object) -> dict[str, object]:
    """An update policy in normal form."""
    policy = mapping(told)
    found: dict[str, object] = {name: policy[name] for name in _POLICY if policy.get(name) not in {None, "SUBSTITUTE"}}
    for name in _AMOUNTS:
        amount = {k: int(v) for k, v in mapping(policy.get(name)).items() if k in {"fixed", "percent"}}
        if amount:
            found[name] = amount
    return found


def _asked(versions: list[Mapping[str, Any]], own: list[Mapping[str, Any]], size: int, plan: Plan) -> int:
    """How many spot machines the group's versions ask for."""
    ours = [v for v in versions if v not in own]
    if not ours:
        return 0
    return plan.stages[-1].units if not own else whole(mapping(ours[0].get("targetSize")).get("fixed"))


def _obstacles(resource: Resource, size: int) -> list[str]:
    counts = mapping(resource.attributes.get("counts"))
    found = ["it has no machine"] if size < 1 else []
    if counts.get("spot") or resource.attributes.get("template_asks_for_spot"):
        found.append("a part of it is on spot already")
    setting = mapping(resource.attributes.get("setting"))
    if not text_of(setting, "instance_template"):
        found.append("it runs no single template")
    if len(items(setting.get("versions"))) > 1:
        found.append("it runs two versions already")
    if resource.attributes.get("moving") or resource.attributes.get("stable") is False:
        found.append("it is changing right now")
    if not text(resource, "template"):
        found.append("its template is not known")
    return found


def text_of(setting: Mapping[str, Any], name: str) -> str:
    return str(setting.get(name) or "")


def _relative(path: str) -> str:
    """A link as Google takes it: "projects/p/global/instanceTemplates/t"."""
    return path.removeprefix("compute/v1/")
