"""What the sandbox's Azure does when something is changed: ETags, locks, states on their way, scale sets that add machines."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sandbox.clouds.acting import Document, Short, Timeline, merged, version_of
from sandbox.clouds.rest import Answer, Ask, RefusalError, Route
from sandbox.faults import FaultKind, Faults

EXECUTOR_TOKEN = "sandbox-azure-executor-token"  # noqa: S105 - the sandbox's own token, worth nothing anywhere else
# Seconds of Azure's time.
DEALLOCATE, START, RESIZE, SNAPSHOT, QUICK, MACHINE, DELETE, DATABASE = 90.0, 60.0, 60.0, 120.0, 5.0, 80.0, 40.0, 180.0
VM, SET = "Microsoft.Compute/virtualMachines", "Microsoft.Compute/virtualMachineScaleSets"
DISK, SNAPSHOTS = "Microsoft.Compute/disks", "Microsoft.Compute/snapshots"
ADDRESS, STORE = "Microsoft.Network/publicIPAddresses", "Microsoft.Storage/storageAccounts"
DATABASES, POLICY = "Microsoft.Sql/servers/databases", "Microsoft.Storage/storageAccounts/managementPolicies"
SIZES = {
    "Standard_D2s_v5": 2, "Standard_D4s_v5": 4, "Standard_D8s_v5": 8,
    "Standard_E4s_v5": 4, "Standard_E8s_v5": 8, "Standard_B2ms": 2, "Standard_B4ms": 4,
}  # fmt: skip
_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}/providers"
# Kept with a thing, and never told.
_POWER, _RULES, _FAILED = "_power", "_rules", "_failed"


@dataclass
class World:
    """Everything that can change, by id, and what is under way with it."""

    make: Callable[[], Iterable[Document]]
    line: Timeline = field(default_factory=Timeline)
    short: Short = field(default_factory=Short)
    locks: dict[str, str] = field(default_factory=dict)
    things: dict[str, Document] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    _numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Everything as at the start."""
        self.line.forget()
        self.locks.clear()
        self.short = Short()
        self.things = {thing["id"].lower(): copy.deepcopy(thing) for thing in self.make()}
        for thing in self.things.values():
            if thing["type"] == VM:
                thing[_POWER] = "running"

    def of(self, kind: str, subscription: str) -> list[Document]:
        """All of a kind in a subscription, as lists tell them."""
        with self.line.lock:
            mine = f"/subscriptions/{subscription}/".lower()
            found = [(i, t) for i, t in self.things.items() if i.startswith(mine) and t["type"].lower() == kind.lower()]
            return [told(thing) for _, thing in found]

    def power(self, id_: str) -> list[Document]:
        """The run-time status of a machine."""
        thing = self.things[id_.lower()]
        states = [{"code": f"PowerState/{thing.get(_POWER, 'running')}", "level": "Info"}]
        code = f"/{thing[_FAILED]}" if thing.get(_FAILED) else ""
        state = thing["properties"].get("provisioningState", "Succeeded").lower()
        return [{"code": f"ProvisioningState/{state}{code}", "level": "Info"}, *states]

    def scale_set(self, id_: str, region: str, size: int) -> None:
        """A flexible scale set with a priority mix, all of it regular so far, and its machines."""
        self.things[id_.lower()] = {
            "id": id_,
            "name": id_.rpartition("/")[2],
            "type": SET,
            "location": region,
            "tags": {"Team": "loyalty"},
            "sku": {"name": "Standard_D4s_v5", "tier": "Standard", "capacity": size},
            "properties": {
                "orchestrationMode": "Flexible",
                "provisioningState": "Succeeded",
                "virtualMachineProfile": {"priority": "Spot"},
                "priorityMixPolicy": {"baseRegularPriorityCount": 0, "regularPriorityPercentageAboveBase": 100},
            },
        }
        for _ in range(size):
            self._member(self.things[id_.lower()], spot=False, state="Succeeded")

    def routes(self) -> Sequence[Route]:
        """What is looked at one by one, and what changes."""
        own = "/subscriptions/{subscription}/providers/Microsoft.Compute"
        writable = {DISK: self._put_disk, SNAPSHOTS: self._put_snapshot}
        patched = {VM: self._patch_machine, SET: self._patch_set, DATABASES: self._patch_database}
        ended = {DISK: DELETE, ADDRESS: QUICK}
        verbs = (
            (VM, "deallocate", self._deallocate),
            (VM, "start", self._start),
            (SET, "delete", self._delete_members),
        )
        policy = f"{_path(STORE)}/managementPolicies/default"
        return (
            *(Route("GET", _path(kind), f"{kind}/read", self._get) for kind in (VM, SET, DISK, SNAPSHOTS, ADDRESS, STORE, DATABASES)),
            *(self._act("PUT", _path(kind), f"{kind}/write", do) for kind, do in writable.items()),
            *(self._act("PATCH", _path(kind), f"{kind}/write", do) for kind, do in patched.items()),
            *(self._act("DELETE", _path(kind), f"{kind}/delete", self._delete(seconds)) for kind, seconds in ended.items()),
            *(self._act("POST", f"{_path(kind)}/{verb}", f"{kind}/{verb}/action", do) for kind, verb, do in verbs),
            Route("GET", f"{_path(VM)}/vmSizes", f"{VM}/vmSizes/read", self._host_sizes),
            Route("GET", f"{own}/skus", "Microsoft.Compute/skus/read", self._skus),
            Route("GET", f"{own}/locations/{{place}}/vmSizes", "Microsoft.Compute/locations/vmSizes/read", self._sizes),
            Route("GET", f"{own}/locations/{{place}}/usages", "Microsoft.Compute/locations/usages/read", self._usages),
            Route("GET", policy, f"{POLICY}/read", self._policy),
            self._act("PUT", policy, f"{POLICY}/write", self._put_policy),
            self._act("DELETE", policy, f"{POLICY}/delete", self._delete_policy),
            Route(
                "GET", "/{resource:path}/providers/Microsoft.Authorization/locks", "Microsoft.Authorization/locks/read",
                self._locks,
            ),
            Route(
                "GET", f"{_GROUP}/Microsoft.Authorization/permissions", "Microsoft.Authorization/permissions/read",
                self._permissions,
            ),
        )  # fmt: skip

    def _act(self, method: str, pattern: str, action: str, do: Callable[[Ask], Answer]) -> Route:
        def answer(ask: Ask) -> Answer:
            if ask.headers.get("authorization") != f"Bearer {EXECUTOR_TOKEN}":
                text = f"The client does not have authorization to perform action '{action}' over scope '{ask.path}'."
                raise RefusalError(403, "AuthorizationFailed", text)
            with self.line.lock:
                if any(ask.path.lower().startswith(locked) for locked in self.locks):
                    raise RefusalError(409, "ScopeLocked", "The scope cannot perform the operation because of a lock.")
                return do(ask)

        return Route(method, pattern, action, answer)

    def _get(self, ask: Ask) -> Answer:
        with self.line.lock:
            thing = told(self._thing(ask.path))
            if ask.query.get("$expand") == "instanceView":
                thing["properties"] = thing["properties"] | {"instanceView": {"statuses": self.power(ask.path)}}
        return Answer(200, thing)

    def _thing(self, path: str) -> Document:
        thing = self.things.get(path.lower())
        if thing is None:
            raise RefusalError(404, "ResourceNotFound", f"The Resource '{path}' was not found.")
        return thing

    def _matching(self, ask: Ask) -> Document:
        """The thing, as long as it is the one that was looked at."""
        thing = self._thing(ask.path)
        if ask.headers.get("if-match", "") not in {"", _etag(thing)}:
            raise RefusalError(412, "PreconditionFailed", "The condition 'If-Match' is not met.")
        return thing

    def _then(self, thing: Document, seconds: float, during: str, do: Callable[[], None] = lambda: None) -> Answer:
        """The thing is `during` for so long; then `do`, and it has succeeded."""
        thing["properties"]["provisioningState"] = during

        def finish() -> None:
            thing["properties"]["provisioningState"] = "Succeeded"
            do()

        self.line.after(seconds, finish)
        return Answer(202, told(thing), {"Azure-AsyncOperation": "https://management.azure.com/operations/1"})

    def _deallocate(self, ask: Ask) -> Answer:
        machine = self._thing(ask.path.rpartition("/")[0])
        machine[_POWER] = "deallocating"
        return self._then(machine, DEALLOCATE, "Updating", lambda: machine.update({_POWER: "deallocated"}))

    def _start(self, ask: Ask) -> Answer:
        machine = self._thing(ask.path.rpartition("/")[0])
        if machine["properties"]["hardwareProfile"]["vmSize"] in self.short.sold_out:
            machine["properties"]["provisioningState"] = "Failed"
            machine[_FAILED] = "AllocationFailed"
            return Answer(202, None)
        machine[_POWER] = "starting"
        return self._then(machine, START, "Updating", lambda: machine.update({_POWER: "running"}))

    def _patch_machine(self, ask: Ask) -> Answer:
        machine, asked = self._matching(ask), ask.document()
        size = asked["properties"]["hardwareProfile"]["vmSize"]
        if size not in self._of_host(machine):
            raise RefusalError(
                409, "OperationNotAllowed", f"The host of the machine has no {size}; deallocate it first."
            )
        machine.pop(_FAILED, None)
        seconds = RESIZE if machine[_POWER] == "running" else QUICK
        return self._then(machine, seconds, "Updating", lambda: merged(machine, asked))

    def _of_host(self, machine: Document) -> list[str]:
        """Sizes that a machine can have where it is; anything once it is nowhere."""
        family = machine["properties"]["hardwareProfile"]["vmSize"].removeprefix("Standard_")[0]
        here = [s for s in SIZES if machine[_POWER] != "running" or s.removeprefix("Standard_")[0] == family]
        return [size for size in here if size not in self.short.sold_out]

    def _host_sizes(self, ask: Ask) -> Answer:
        machine = self._thing(ask.path.rpartition("/")[0])
        return Answer(200, {"value": [{"name": s, "numberOfCores": SIZES[s]} for s in self._of_host(machine)]})

    def _skus(self, ask: Ask) -> Answer:
        return Answer(200, {"value": [
            {
                "resourceType": "virtualMachines", "name": size, "locations": ["westeurope"],
                "restrictions": [{"type": "Location", "reasonCode": "NotAvailableForSubscription"}] if size in self.short.sold_out else [],
            }
            for size in SIZES
        ]})  # fmt: skip

    def _sizes(self, ask: Ask) -> Answer:
        return Answer(200, {"value": [{"name": size, "numberOfCores": cores} for size, cores in SIZES.items()]})

    def _usages(self, ask: Ask) -> Answer:
        quotas = {"cores": (350, 96), "lowPriorityCores": (200, 12)}
        return Answer(200, {"value": [
            {"name": {"value": name}, "limit": limit, "currentValue": limit if name in self.short.full else used, "unit": "Count"}
            for name, (limit, used) in quotas.items()
        ]})  # fmt: skip

    def _put_disk(self, ask: Ask) -> Answer:
        asked = ask.document()
        source = asked["properties"]["creationData"]["sourceResourceId"]
        self._thing(source)
        made = {
            "id": ask.path,
            "name": ask.path.rpartition("/")[2],
            "type": DISK,
            **{key: asked[key] for key in ("location", "sku", "tags", "zones") if asked.get(key)},
            "properties": {"diskState": "Unattached", **asked["properties"]},
        }
        self.things[ask.path.lower()] = made
        return self._then(made, QUICK, "Updating")

    def _put_snapshot(self, ask: Ask) -> Answer:
        if ask.path.lower() in self.things:
            return Answer(200, told(self.things[ask.path.lower()]))
        asked = ask.document()
        source = self._thing(asked["properties"]["creationData"]["sourceResourceId"])
        made = {
            "id": ask.path,
            "name": ask.path.rpartition("/")[2],
            "type": SNAPSHOTS,
            "location": asked["location"],
            "tags": asked.get("tags", {}),
            "properties": {
                **asked["properties"],
                "diskSizeGB": source["properties"]["diskSizeGB"],
                "timeCreated": f"2026-11-23T09:00:00.{next(self._numbers):07d}+00:00",
                "completionPercent": 10,
            },
        }
        self.things[ask.path.lower()] = made
        self.line.after(SNAPSHOT, lambda: made["properties"].update(completionPercent=100))
        return self._then(made, QUICK, "Updating")

    def _delete(self, seconds: float) -> Callable[[Ask], Answer]:
        def answer(ask: Ask) -> Answer:
            thing = self._thing(ask.path)
            if thing.get("managedBy") or thing["properties"].get("ipConfiguration"):
                raise RefusalError(409, "OperationNotAllowed", "The resource is in use.")
            return self._then(thing, seconds, "Deleting", lambda: self._forget_thing(ask.path))

        return answer

    def _forget_thing(self, id_: str) -> None:
        self.things.pop(id_.lower(), None)

    def _patch_set(self, ask: Ask) -> Answer:
        group, asked = self._matching(ask), ask.document()
        if "tags" in asked:
            group["tags"] = asked["tags"]
        more = {key: value for key, value in asked.items() if key in {"sku", "properties"}}
        adds = int(more.get("sku", {}).get("capacity", group["sku"]["capacity"])) - int(group["sku"]["capacity"])
        merged(group, more)
        for member in self._members(group)[adds:] if adds < 0 else []:
            # Which ones go is Azure's own choice.
            self._forget_thing(member["id"])
        for _ in range(max(0, adds)):
            mix, members = group["properties"]["priorityMixPolicy"], self._members(group)
            base, share = mix["baseRegularPriorityCount"], mix["regularPriorityPercentageAboveBase"]
            regular = sum(m["properties"]["priority"] == "Regular" for m in members)
            wanted = base - (-max(0, int(group["sku"]["capacity"]) - base) * share // 100)
            self._member(group, spot=regular >= wanted, state="Creating")
        return Answer(200, told(group))

    def _members(self, group: Document) -> list[Document]:
        return [
            t
            for t in self.things.values()
            if t["type"] == VM and t["properties"].get("virtualMachineScaleSet", {}).get("id") == group["id"]
        ]

    def _member(self, group: Document, *, spot: bool, state: str) -> None:
        name = f"{group['name']}_{next(self._numbers):08x}"
        id_ = f"{group['id'].partition('/providers/')[0]}/providers/{VM}/{name}"
        made = self.things[id_.lower()] = {
            "id": id_,
            "name": name,
            "type": VM,
            "location": group["location"],
            _POWER: "running",
            "properties": {
                "hardwareProfile": {"vmSize": group["sku"]["name"]},
                "priority": "Spot" if spot else "Regular",
                "provisioningState": state,
                "virtualMachineScaleSet": {"id": group["id"]},
            },
        }
        if state == "Creating":
            self._then(made, MACHINE, "Creating")

    def _delete_members(self, ask: Ask) -> Answer:
        group = self._thing(ask.path.rpartition("/")[0])
        names = set(ask.document()["instanceIds"])
        for member in [m for m in self._members(group) if m["name"] in names]:
            member["properties"]["provisioningState"] = "Deleting"

            def finish(id_: str = member["id"]) -> None:
                if id_.lower() in self.things:
                    group["sku"]["capacity"] -= 1
                self._forget_thing(id_)

            self.line.after(DELETE, finish)
        return Answer(202, None)

    def _patch_database(self, ask: Ask) -> Answer:
        database, asked = self._thing(ask.path), ask.document()
        if asked["sku"]["name"] in self.short.sold_out:
            raise RefusalError(409, "OperationNotAllowed", "The quota of the server does not allow it.")
        state, now = database["properties"], database["sku"]["name"]
        if state.get("requestedServiceObjectiveName", now) != now:
            raise RefusalError(409, "ConflictingDatabaseOperation", "The database is being scaled.")
        state |= {"currentServiceObjectiveName": now, "requestedServiceObjectiveName": asked["sku"]["name"]}

        def finish() -> None:
            database["sku"] = database["sku"] | asked["sku"]
            state["currentServiceObjectiveName"] = asked["sku"]["name"]

        self.line.after(DATABASE, finish)
        return Answer(202, told(database))

    def _policy(self, ask: Ask) -> Answer:
        rules = self._thing(_store(ask)).get(_RULES)
        if rules is None:
            raise RefusalError(404, "ManagementPolicyNotFound", "No ManagementPolicy found for account.")
        return Answer(200, {"id": ask.path, "properties": {"policy": {"rules": rules}}}, {"ETag": _tag(rules)})

    def _put_policy(self, ask: Ask) -> Answer:
        store = self._thing(_store(ask))
        if ask.headers.get("if-match", "") not in {"", _tag(store.get(_RULES))}:
            raise RefusalError(412, "PreconditionFailed", "The condition 'If-Match' is not met.")
        store[_RULES] = ask.document()["properties"]["policy"]["rules"]
        return self._policy(ask)

    def _delete_policy(self, ask: Ask) -> Answer:
        self._thing(_store(ask)).pop(_RULES, None)
        return Answer(200, None)

    def _locks(self, ask: Ask) -> Answer:
        path = f"/{ask.parts['resource']}".lower()
        held = [name for locked, name in self.locks.items() if path.startswith(locked)]
        return Answer(200, {"value": [{"name": name, "properties": {"level": "CanNotDelete"}} for name in held]})

    def _permissions(self, ask: Ask) -> Answer:
        acts = ask.headers.get("authorization") == f"Bearer {EXECUTOR_TOKEN}"
        denied = [str(one["action"]) for one in self.faults.as_json() if one["kind"] == FaultKind.DENY.value]
        role = {"actions": ["*" if acts else "*/read"], "notActions": denied, "dataActions": [], "notDataActions": []}
        return Answer(200, {"value": [role]})


def told(thing: Document) -> Document:
    """A thing as Azure tells it."""
    shown = copy.deepcopy({key: value for key, value in thing.items() if not key.startswith("_")})
    return shown | ({"etag": _etag(thing)} if thing["type"] in {VM, SET} else {})


def _etag(thing: Document) -> str:
    return f'"{version_of({k: v for k, v in thing.items() if k in {"sku", "tags", "properties"}})}"'


def _tag(rules: object) -> str:
    return f'"{version_of({"rules": rules})}"'


def _store(ask: Ask) -> str:
    return ask.path.partition("/managementPolicies/")[0]


def _path(kind: str) -> str:
    space, *parts = kind.split("/")
    return "/".join([_GROUP, space, *(f"{part}/{{name{place}}}" for place, part in enumerate(parts))])
