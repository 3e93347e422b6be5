"""What the sandbox's Vultr does when something is changed: machines made of snapshots, halted, led to and destroyed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sandbox.clouds import vultr_things as things
from sandbox.clouds.acting import Document, Short, Timeline, found
from sandbox.clouds.rest import Answer, Ask, RefusalError, Route
from sandbox.faults import FaultKind, Faults
from sandbox.inventory import resource_id

EXECUTOR_KEY = "sandbox-vultr-executor-key"
CHANGE, MAKE, BALANCERS, VIEW = "subscriptions", "provisioning", "loadbalancer", "subscriptions_view"
# Seconds of Vultr's time.
HALT, SNAPSHOT, MACHINE = 10.0, 120.0, 90.0
_KEYS = {
    "instances": "instance", "blocks": "block", "reserved-ips": "reserved_ip", "snapshots": "snapshot",
    "load-balancers": "load_balancer",
}  # fmt: skip


@dataclass
class World:
    """Everything that can change, by collection, and what is under way with it."""

    make: Callable[[], dict[str, list[Document]]]
    line: Timeline = field(default_factory=Timeline)
    short: Short = field(default_factory=Short)
    things: dict[str, list[Document]] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    _numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Everything as at the start."""
        self.line.forget()
        self.short = Short()
        self.things = copy.deepcopy(self.make())

    def denied(self, acl: str) -> bool:
        """Whether a fault takes this permission away."""
        return any(one["kind"] == FaultKind.DENY.value and one["action"] == acl for one in self.faults.as_json())

    def of(self, collection: str) -> list[Document]:
        with self.line.lock:
            return copy.deepcopy(self.things[collection])

    def routes(self) -> Sequence[Route]:
        """What is looked at one by one, and what changes."""
        gone = ("instances", "blocks", "reserved-ips", "snapshots")
        verbs = {
            "instances": {"halt": self._halt, "start": self._start},
            "reserved-ips": {"attach": self._attach, "detach": self._detach},
        }
        return (
            *(Route("GET", f"/v2/{name}/{{id}}", VIEW, self._get(name)) for name in _KEYS),
            *(self._act("DELETE", f"/v2/{name}/{{id}}", CHANGE, self._delete(name)) for name in gone),
            *(
                self._act("POST", f"/v2/{name}/{{id}}/{verb}", CHANGE, do)
                for name, known in verbs.items()
                for verb, do in known.items()
            ),
            self._act("POST", "/v2/instances", MAKE, self._new_machine),
            self._act("POST", "/v2/snapshots", MAKE, self._new_snapshot),
            self._act("PUT", "/v2/snapshots/{id}", CHANGE, self._describe),
            self._act("PATCH", "/v2/load-balancers/{id}", BALANCERS, self._lead),
            Route("GET", "/v2/regions/{id}/availability", VIEW, self._available),
        )

    def _act(self, method: str, pattern: str, acl: str, do: Callable[[Ask], Answer]) -> Route:
        def answer(ask: Ask) -> Answer:
            if ask.headers.get("authorization") != f"Bearer {EXECUTOR_KEY}":
                raise RefusalError(403, "", "Forbidden: you do not have permission for this.")
            with self.line.lock:
                return do(ask)

        return Route(method, pattern, acl, answer)

    def _thing(self, collection: str, ask: Ask) -> Document:
        try:
            return found(self.things[collection], ask.parts["id"], "id")
        except RefusalError:
            raise RefusalError(404, "", f"Invalid {_KEYS[collection]}.") from None

    def _get(self, collection: str) -> Callable[[Ask], Answer]:
        def answer(ask: Ask) -> Answer:
            with self.line.lock:
                return Answer(200, {_KEYS[collection]: copy.deepcopy(self._thing(collection, ask))})

        return answer

    def _delete(self, collection: str) -> Callable[[Ask], Answer]:
        def answer(ask: Ask) -> Answer:
            thing = self._thing(collection, ask)
            if thing.get("attached_to_instance") or thing.get("instance_id"):
                raise RefusalError(409, "", "It is attached to an instance.")
            self.things[collection].remove(thing)
            return Answer(204, None)

        return answer

    def _halt(self, ask: Ask) -> Answer:
        machine = self._thing("instances", ask)
        self.line.after(HALT, lambda: machine.update(power_status="stopped"))
        return Answer(204, None)

    def _start(self, ask: Ask) -> Answer:
        machine = self._thing("instances", ask)
        self.line.after(HALT, lambda: machine.update(power_status="running"))
        return Answer(204, None)

    def _new_machine(self, ask: Ask) -> Answer:
        asked = ask.document()
        source = found(self.things["snapshots"], str(asked.get("snapshot_id", "")), "id")
        if asked["plan"] not in self._plans():
            raise RefusalError(400, "", f"Plan {asked['plan']} is not available in {asked['region']}.")
        _, vcpus, memory, disk = things.PLANS[asked["plan"]]
        number = next(self._numbers)
        made = copy.deepcopy(source["_of"]) | {
            "id": resource_id("vultr", f"{asked['label']}/{number}"),
            "plan": asked["plan"],
            "region": asked["region"],
            "label": asked["label"],
            "hostname": asked.get("hostname", asked["label"]),
            "tags": asked.get("tags", []),
            "vcpu_count": vcpus,
            "ram": memory,
            "disk": disk,
            "main_ip": things.address_of(100 + number),
            "date_created": f"2026-11-23T09:{number % 60:02d}:00+00:00",
            "status": "pending",
            "power_status": "stopped",
            "server_status": "none",
        }
        self.things["instances"].append(made)
        ready = {"status": "active", "power_status": "running", "server_status": "ok"}
        self.line.after(MACHINE, lambda: made.update(ready))
        return Answer(202, {"instance": copy.deepcopy(made)})

    def _new_snapshot(self, ask: Ask) -> Answer:
        asked = ask.document()
        machine = found(self.things["instances"], str(asked.get("instance_id", "")), "id")
        made: Document = {
            "id": resource_id("vultr", f"snapshot/{asked['description']}/{next(self._numbers)}"),
            "date_created": f"2026-11-23T10:{next(self._numbers) % 60:02d}:00+00:00",
            "description": asked["description"],
            "size": 0,
            "compressed_size": 0,
            "status": "pending",
            "os_id": machine["os_id"],
            "app_id": 0,
            "_of": copy.deepcopy(machine),
        }
        self.things["snapshots"].append(made)
        size = int(machine["disk"]) << 30
        self.line.after(SNAPSHOT, lambda: made.update(status="complete", size=size, compressed_size=size // 2))
        return Answer(201, {"snapshot": {k: v for k, v in made.items() if k != "_of"}})

    def _describe(self, ask: Ask) -> Answer:
        self._thing("snapshots", ask)["description"] = ask.document()["description"]
        return Answer(204, None)

    def _attach(self, ask: Ask) -> Answer:
        address = self._thing("reserved-ips", ask)
        if address["instance_id"]:
            raise RefusalError(409, "", "It is attached to an instance.")
        address["instance_id"] = found(self.things["instances"], ask.document()["instance_id"], "id")["id"]
        return Answer(204, None)

    def _detach(self, ask: Ask) -> Answer:
        self._thing("reserved-ips", ask)["instance_id"] = ""
        return Answer(204, None)

    def _lead(self, ask: Ask) -> Answer:
        self._thing("load-balancers", ask)["instances"] = list(ask.document()["instances"])
        return Answer(204, None)

    def _plans(self) -> list[str]:
        return [plan for plan in things.PLANS if plan not in self.short.sold_out]

    def _available(self, ask: Ask) -> Answer:
        return Answer(200, {"available_plans": self._plans()})
