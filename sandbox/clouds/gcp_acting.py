"""What the sandbox's Google Cloud does when something is changed: operations, fingerprints, groups that act by themselves."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any

from sandbox.clouds import gcp_things as things
from sandbox.clouds.acting import Document, Short, Timeline, found, merged, version_of
from sandbox.clouds.gcp_told import machine_type
from sandbox.clouds.rest import Answer, Ask, RefusalError, Route

EXECUTOR_TOKEN = "sandbox-gcp-executor-token"  # noqa: S105 - the sandbox's own token, worth nothing anywhere else
# Seconds of Google's time.
STOP, START, SNAPSHOT, QUICK, REPLACE, DATABASE = 60.0, 30.0, 90.0, 5.0, 40.0, 300.0
SPOT = "SPOT"
_ROOT = "/compute/v1/projects/{project}"
_PLACED = {"disks", "instances", "reservations"}


@dataclass
class World:
    """Everything that can change, as documents of Google's form, and what is under way with it."""

    today: date
    line: Timeline = field(default_factory=Timeline)
    short: Short = field(default_factory=Short)
    # Addresses that another customer has got since.
    taken: set[str] = field(default_factory=set)
    things: dict[str, dict[str, list[Document]]] = field(default_factory=dict)
    operations: dict[str, Document] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Everything as at the start."""
        self.line.forget()
        self.operations.clear()
        self.requests.clear()
        self.taken.clear()
        self.short = Short()
        makers: dict[str, Callable[[str], Iterable[Document]]] = {
            "instances": lambda project: things.machines(project, self.today),
            "disks": lambda project: things.disks(project, self.today),
            "addresses": things.addresses,
            "instanceGroupManagers": things.groups,
            "snapshots": lambda project: things.snapshots(project, self.today),
            "databases": things.databases,
            "buckets": things.buckets,
            "instanceTemplates": things.templates,
            "reservations": lambda project: (),
        }
        self.things = {
            name: {project: copy.deepcopy(list(make(project))) for project in things.PROJECTS}
            for name, make in makers.items()
        }

    def of(self, collection: str, project: str) -> list[Document]:
        with self.line.lock:
            return copy.deepcopy(self.things[collection].get(project, []))

    def routes(self) -> Sequence[Route]:
        """What is looked at one by one, and what changes."""
        zone, region, glob = f"{_ROOT}/zones/{{place}}", f"{_ROOT}/regions/{{place}}", f"{_ROOT}/global"
        sql, bucket = "/v1/projects/{project}/instances/{name}", "/storage/v1/b/{name}"
        gets = {
            "instances": zone, "disks": zone, "reservations": zone, "addresses": region,
            "snapshots": glob, "instanceTemplates": glob,
        }  # fmt: skip
        return (
            *(Route("GET", f"{at}/{name}/{{name}}", f"compute.{name}.get", self._get(name)) for name, at in gets.items()),
            *(self._act("POST", f"{zone}/instances/{{name}}/{verb}", f"compute.instances.{verb}", do) for verb, do in (
                ("stop", self._stop), ("start", self._start), ("setMachineType", self._retype))),
            self._act("DELETE", f"{zone}/disks/{{name}}", "compute.disks.delete", self._delete("disks")),
            self._act("POST", f"{zone}/disks", "compute.disks.create", self._new_disk),
            self._act(
                "POST", f"{zone}/disks/{{name}}/createSnapshot", "compute.disks.createSnapshot", self._snapshot
            ),
            self._act("DELETE", f"{region}/addresses/{{name}}", "compute.addresses.delete", self._delete("addresses")),
            self._act("POST", f"{region}/addresses", "compute.addresses.create", self._new_address),
            self._act("POST", f"{zone}/reservations", "compute.reservations.create", self._reserve),
            self._act(
                "DELETE", f"{zone}/reservations/{{name}}", "compute.reservations.delete", self._delete("reservations")
            ),
            self._act("POST", f"{glob}/instanceTemplates", "compute.instanceTemplates.create", self._new_template),
            *(
                route
                for at in (zone, region)
                for route in (
                    Route(
                        "GET", f"{at}/instanceGroupManagers/{{name}}", "compute.instanceGroupManagers.get",
                        self._get("instanceGroupManagers"),
                    ),
                    self._act(
                        "PATCH", f"{at}/instanceGroupManagers/{{name}}", "compute.instanceGroupManagers.update",
                        self._patch_group,
                    ),
                )
            ),
            Route("GET", region, "compute.regions.get", self._region),
            *(
                Route("GET", f"{at}/operations/{{name}}", "compute.operations.get", self._operation)
                for at in (zone, region, glob)
            ),
            Route("GET", sql, "cloudsql.instances.get", self._database),
            self._act("PATCH", sql, "cloudsql.instances.update", self._patch_database),
            Route("GET", "/v1/projects/{project}/operations", "cloudsql.operations.list", self._database_operations),
            Route("GET", bucket, "storage.buckets.get", self._bucket),
            self._act("PATCH", bucket, "storage.buckets.update", self._patch_bucket),
        )  # fmt: skip

    def _act(self, method: str, pattern: str, action: str, do: Callable[[Ask], Answer]) -> Route:
        def answer(ask: Ask) -> Answer:
            if ask.headers.get("authorization") != f"Bearer {EXECUTOR_TOKEN}":
                raise RefusalError(403, "forbidden", f"Required '{action}' permission for 'projects/417'")
            with self.line.lock:
                known = self.requests.get(ask.query.get("requestId", ""))
                return Answer(200, self.operations[known]) if known else do(ask)

        return Route(method, pattern, action, answer)

    def _get(self, collection: str) -> Callable[[Ask], Answer]:
        def answer(ask: Ask) -> Answer:
            with self.line.lock:
                told = copy.deepcopy(self._thing(collection, ask))
            if collection == "instanceGroupManagers":
                told["fingerprint"] = version_of({k: v for k, v in told.items() if k in {"versions", "updatePolicy"}})
            return Answer(200, told)

        return answer

    def _thing(self, collection: str, ask: Ask) -> Document:
        everything = self.things[collection].get(ask.parts["project"], [])
        place = ask.parts.get("place")
        here = [one for one in everything if not place or _in(one, place)]
        return found(here, ask.parts["name"])

    def _done(self, ask: Ask, seconds: float, do: Callable[[], None] | None = None, error: str = "") -> Answer:
        """An operation that is done after so long; with `error` it fails then, and nothing is done."""
        name = f"operation-{next(self._numbers)}"
        operation: Document = {
            "kind": "compute#operation",
            "name": name,
            "status": "RUNNING",
            "progress": 0,
            "targetLink": f"{things.ROOT}{ask.path.removeprefix('/compute/v1')}",
        }
        self.operations[name] = operation
        if request := ask.query.get("requestId"):
            self.requests[request] = name

        def finish() -> None:
            operation.update(status="DONE", progress=100)
            if error:
                operation["error"] = {"errors": [{"code": error, "message": error}]}
            elif do is not None:
                do()

        self.line.after(seconds, finish)
        return Answer(200, dict(operation))

    def _operation(self, ask: Ask) -> Answer:
        if ask.parts["name"] not in self.operations:
            raise RefusalError(404, "notFound", "The operation was not found")
        return Answer(200, self.operations[ask.parts["name"]])

    def _stop(self, ask: Ask) -> Answer:
        machine = self._thing("instances", ask)
        if machine["status"] != "RUNNING":
            return self._done(ask, QUICK)
        machine["status"] = "STOPPING"
        return self._done(ask, STOP, lambda: machine.update(status="TERMINATED"))

    def _start(self, ask: Ask) -> Answer:
        machine = self._thing("instances", ask)
        if machine["status"] != "TERMINATED":
            raise RefusalError(400, "resourceNotReady", f"The resource '{machine['name']}' is not ready")
        kind = machine["machineType"].rpartition("/")[2]
        if kind in self.short.sold_out and not self._is_reserved(ask.parts["project"], kind):
            return self._done(ask, QUICK, error="ZONE_RESOURCE_POOL_EXHAUSTED")
        machine["status"] = "STAGING"
        return self._done(ask, START, lambda: machine.update(status="RUNNING"))

    def _is_reserved(self, project: str, kind: str) -> bool:
        return any(
            r["specificReservation"]["instanceProperties"]["machineType"] == kind
            for r in self.things["reservations"][project]
        )

    def _retype(self, ask: Ask) -> Answer:
        machine, link = self._thing("instances", ask), str(ask.document().get("machineType", ""))
        if machine["status"] != "TERMINATED":
            raise RefusalError(400, "resourceNotReady", f"The resource '{machine['name']}' must be stopped")
        if machine_type(ask.parts["place"], link.rpartition("/")[2]) is None:
            raise RefusalError(400, "invalid", f"Invalid value for field 'machineType': '{link}'")
        place = machine["machineType"].rpartition("/")[0]
        return self._done(ask, QUICK, lambda: machine.update(machineType=f"{place}/{link.rpartition('/')[2]}"))

    def _delete(self, collection: str) -> Callable[[Ask], Answer]:
        def answer(ask: Ask) -> Answer:
            thing = self._thing(collection, ask)
            if thing.get("users"):
                text = f"The resource '{thing['name']}' is already being used by '{thing['users'][0]}'"
                raise RefusalError(400, "resourceInUseByAnotherResource", text)
            return self._done(ask, QUICK, lambda: self.things[collection][ask.parts["project"]].remove(thing))

        return answer

    def _add(self, collection: str, ask: Ask, made: Document, seconds: float, ready: Document) -> Answer:
        """A new thing, there at once and `ready` after a while."""
        project = ask.parts["project"]
        if any(one["name"] == made["name"] for one in self.things[collection][project]):
            raise RefusalError(409, "alreadyExists", f"The resource '{made['name']}' already exists")
        self.things[collection][project].append(made)
        return self._done(ask, seconds, lambda: made.update(ready))

    def _new_disk(self, ask: Ask) -> Answer:
        asked, project = ask.document(), ask.parts["project"]
        place = f"{things.ROOT}/projects/{project}/zones/{ask.parts['place']}"
        source = str(asked.get("sourceSnapshot", "")).rpartition("/")[2]
        found(self.things["snapshots"][project], source)
        made = {
            "kind": "compute#disk",
            "id": things.number(f"{project}/disk/{asked['name']}/{next(self._numbers)}"),
            "name": asked["name"],
            "selfLink": f"{place}/disks/{asked['name']}",
            "zone": place,
            "type": f"{place}/diskTypes/{asked['type'].rpartition('/')[2]}",
            "sizeGb": asked["sizeGb"],
            "labels": asked.get("labels", {}),
            "status": "CREATING",
            "sourceSnapshot": asked["sourceSnapshot"],
        }
        return self._add("disks", ask, made, START, {"status": "READY"})

    def _snapshot(self, ask: Ask) -> Answer:
        disk, asked, project = self._thing("disks", ask), ask.document(), ask.parts["project"]
        made = {
            "kind": "compute#snapshot",
            "id": things.number(f"{project}/snapshot/{asked['name']}"),
            "name": asked["name"],
            "selfLink": f"{things.ROOT}/projects/{project}/global/snapshots/{asked['name']}",
            "status": "CREATING",
            "creationTimestamp": self._stamp(),
            "sourceDisk": disk["selfLink"],
            "diskSizeGb": disk["sizeGb"],
            "labels": asked.get("labels", {}),
            "storageLocations": [things.REGION],
        }
        return self._add("snapshots", ask, made, SNAPSHOT, {"status": "READY"})

    def _stamp(self) -> str:
        """Today, each later than the one before."""
        return (datetime.combine(self.today, time(9), UTC) + timedelta(seconds=next(self._numbers))).isoformat()

    def _new_address(self, ask: Ask) -> Answer:
        asked, project = ask.document(), ask.parts["project"]
        if asked.get("address") in self.taken:
            raise RefusalError(400, "invalid", f"Specified IP address '{asked['address']}' is not available")
        place = f"{things.ROOT}/projects/{project}/regions/{ask.parts['place']}"
        made = {
            "kind": "compute#address",
            "id": things.number(f"{project}/address/{asked['name']}/{next(self._numbers)}"),
            "name": asked["name"],
            "address": asked["address"],
            "addressType": "EXTERNAL",
            "region": place,
            "selfLink": f"{place}/addresses/{asked['name']}",
            "status": "RESERVING",
            "labels": asked.get("labels", {}),
        }
        return self._add("addresses", ask, made, QUICK, {"status": "RESERVED"})

    def _reserve(self, ask: Ask) -> Answer:
        asked, project = ask.document(), ask.parts["project"]
        if asked["specificReservation"]["instanceProperties"]["machineType"] in self.short.sold_out:
            raise RefusalError(
                503, "ZONE_RESOURCE_POOL_EXHAUSTED", "The zone does not have enough resources available."
            )
        made = asked | {"zone": f"{things.ROOT}/projects/{project}/zones/{ask.parts['place']}", "status": "CREATING"}
        return self._add("reservations", ask, made, QUICK, {"status": "READY"})

    def _new_template(self, ask: Ask) -> Answer:
        asked, project = ask.document(), ask.parts["project"]
        made = asked | {"selfLink": f"{things.ROOT}/projects/{project}/global/instanceTemplates/{asked['name']}"}
        return self._add("instanceTemplates", ask, made, QUICK, {})

    def _region(self, ask: Ask) -> Answer:
        quotas = {"CPUS": (500, 120), "PREEMPTIBLE_CPUS": (400, 40)}
        told = [
            {"metric": metric, "limit": limit, "usage": limit if metric in self.short.full else usage}
            for metric, (limit, usage) in quotas.items()
        ]
        return Answer(200, {"kind": "compute#region", "name": ask.parts["place"], "quotas": told})

    def _patch_group(self, ask: Ask) -> Answer:
        group, asked = self._thing("instanceGroupManagers", ask), ask.document()
        known = version_of({k: v for k, v in group.items() if k in {"versions", "updatePolicy"}})
        if asked.pop("fingerprint", None) != known:
            raise RefusalError(412, "conditionNotMet", "Fingerprint does not match")
        templates = self.things["instanceTemplates"][ask.parts["project"]]
        for version in asked.get("versions", []):
            link = version["instanceTemplate"] = self._link(version["instanceTemplate"])
            found(templates, link.rpartition("/")[2])
        group.update(asked)
        group["status"] = {"isStable": False, "versionTarget": {"isReached": False}}
        if not group["currentActions"].get("creating"):
            self._turn(ask.parts["project"], group)
        return self._done(ask, QUICK)

    def _link(self, link: str) -> str:
        return link if link.startswith("https://") else f"{things.ROOT}/{link}"

    def _turn(self, project: str, group: Document) -> None:
        """One round of what a group does by itself: start as many as it may, then end as many of the others."""
        members = self._members(project, group)
        spot = [m for m in members if m["scheduling"]["provisioningModel"] == SPOT]
        wanted = self._wanted_spot(project, group)
        missing = wanted - len(spot)
        if missing == 0 or (missing > 0 and SPOT in self.short.sold_out):
            reached = missing == 0
            group["status"] = {"isStable": reached, "versionTarget": {"isReached": reached}}
            group["currentActions"] = {"none": len(members), "creating": 0, "deleting": 0}
            return
        at_once = min(abs(missing), int(group["updatePolicy"].get("maxSurge", {}).get("fixed", 1)) or 1)
        going = [m for m in members if (m["scheduling"]["provisioningModel"] == SPOT) is (missing < 0)][:at_once]
        coming = [self._machine(project, group, going[0], spot=missing > 0) for _ in range(at_once)]
        self.things["instances"][project] += coming
        group["currentActions"] = {"none": len(members), "creating": at_once, "deleting": 0}

        def finish() -> None:
            for machine in coming:
                machine["status"] = "RUNNING"
            for machine in going:
                self.things["instances"][project].remove(machine)
            self._turn(project, group)

        self.line.after(REPLACE, finish)

    def _members(self, project: str, group: Document) -> list[Document]:
        mark = f"/instanceGroupManagers/{group['name']}"
        return [
            machine
            for machine in self.things["instances"][project]
            if any(str(item["value"]).endswith(mark) for item in machine["metadata"]["items"])
            and machine["status"] == "RUNNING"
        ]

    def _wanted_spot(self, project: str, group: Document) -> int:
        total, asked, rest = int(group["targetSize"]), 0, False
        for version in group["versions"]:
            template = found(self.things["instanceTemplates"][project], version["instanceTemplate"].rpartition("/")[2])
            if template["properties"].get("scheduling", {}).get("provisioningModel") != SPOT:
                continue
            fixed = version.get("targetSize", {}).get("fixed")
            rest, asked = fixed is None, asked + int(fixed or 0)
        return total if rest else min(total, asked)

    def _machine(self, project: str, group: Document, like: Document, *, spot: bool) -> Document:
        made = copy.deepcopy(like)
        name = f"{group['baseInstanceName']}-{next(self._numbers)}n0w"
        made |= {
            "name": name,
            "id": things.number(f"{project}/{name}"),
            "selfLink": f"{like['selfLink'].rpartition('/')[0]}/{name}",
            "status": "STAGING",
            "scheduling": {"provisioningModel": SPOT if spot else "STANDARD", "preemptible": spot},
        }
        return made

    def _database(self, ask: Ask) -> Answer:
        with self.line.lock:
            return Answer(200, copy.deepcopy(found(self.things["databases"][ask.parts["project"]], ask.parts["name"])))

    def _patch_database(self, ask: Ask) -> Answer:
        database = found(self.things["databases"][ask.parts["project"]], ask.parts["name"])
        asked = ask.document().get("settings", {})
        if str(asked.pop("settingsVersion", "")) != database["settings"]["settingsVersion"]:
            raise RefusalError(412, "staleData", "The settings version does not match.")
        if any(
            op["status"] != "DONE" and op["targetId"] == database["name"]
            for op in self.operations.values()
            if "targetId" in op
        ):
            raise RefusalError(409, "operationInProgress", "Another operation is in progress.")
        if asked.get("tier") in self.short.sold_out:
            raise RefusalError(403, "quotaExceeded", "The tier is not available.")

        def finish() -> None:
            merged(database["settings"], asked)
            database["settings"]["settingsVersion"] = str(int(database["settings"]["settingsVersion"]) + 1)

        answer = self._done(ask, DATABASE, finish)
        operation = self.operations[answer.document["name"]]
        operation |= {"kind": "sql#operation", "targetId": database["name"], "status": "PENDING"}
        return Answer(200, dict(operation))

    def _database_operations(self, ask: Ask) -> Answer:
        wanted = ask.query.get("instance", "")
        told = [op for op in reversed(self.operations.values()) if op.get("targetId") == wanted]
        return Answer(
            200, {"kind": "sql#operationsList", "items": told[:5]} if told else {"kind": "sql#operationsList"}
        )

    def _bucket(self, ask: Ask) -> Answer:
        with self.line.lock:
            return Answer(200, copy.deepcopy(found(self._buckets(), ask.parts["name"])))

    def _patch_bucket(self, ask: Ask) -> Answer:
        bucket = found(self._buckets(), ask.parts["name"])
        if ask.query.get("ifMetagenerationMatch", bucket["metageneration"]) != bucket["metageneration"]:
            raise RefusalError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        merged(bucket, ask.document())
        bucket["metageneration"] = str(int(bucket["metageneration"]) + 1)
        return Answer(200, copy.deepcopy(bucket))

    def _buckets(self) -> list[Document]:
        return [bucket for buckets in self.things["buckets"].values() for bucket in buckets]


def _in(thing: Document, place: str) -> bool:
    return str(thing.get("zone") or thing.get("region") or place).rpartition("/")[2] == place
