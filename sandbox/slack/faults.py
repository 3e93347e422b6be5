"""Faults that tests ask for: refusals, failures, duplicate, late and lost deliveries."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.slack.workspace import Json

API_FAULTS = ("rate_limit", "server_error", "error", "slow")
DELIVERY_FAULTS = ("duplicate", "late", "drop_acks")
CONNECTION_FAULTS = ("refresh", "disconnect")
KINDS = (*API_FAULTS, *DELIVERY_FAULTS, *CONNECTION_FAULTS)


@dataclass(slots=True)
class Fault:
    """One planned fault: what, for which method (None: any), how many times, and its details."""

    kind: str
    method: str | None = None
    times: int = 1
    seconds: float = 1.0
    error: str = "internal_error"
    retry_after: float = 1.0


@dataclass(slots=True)
class Faults:
    """The faults still to come, oldest first."""

    planned: list[Fault] = field(default_factory=list)

    def plan(self, fault: Fault) -> None:
        self.planned.append(fault)

    def clear(self) -> None:
        self.planned.clear()

    def take(self, kind: str, method: str | None = None) -> Fault | None:
        """The next fault of this kind that fits the method, used up by one."""
        for fault in self.planned:
            if fault.kind == kind and fault.method in (None, method):
                fault.times -= 1
                if fault.times <= 0:
                    self.planned.remove(fault)
                return fault
        return None

    def listing(self) -> list[Json]:
        return [
            {"kind": f.kind, "method": f.method, "times": f.times, "seconds": f.seconds, "error": f.error}
            for f in self.planned
        ]
