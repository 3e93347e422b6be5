"""Plan and Reading: what the planner understood of a question, as JSON-plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from agent.answer import Status


@dataclass(frozen=True, slots=True)
class Plan:
    """One tool call with its arguments (JSON-plain), how sure the planner is (0-1), and what it assumed."""

    tool: str
    args: dict[str, object]
    confidence: float
    assumptions: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()

    def but(self, **args: object) -> Plan:
        """The same plan with some arguments changed; None removes one."""
        merged = {k: v for k, v in {**self.args, **args}.items() if v is not None}
        return replace(self, args=merged)


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a question: a plan to run, or a sentence for the person with questions to choose from."""

    status: Status
    plan: Plan | None = None
    sentence: str = ""
    alternatives: tuple[str, ...] = ()
    intent: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def confidence(self) -> float:
        return self.plan.confidence if self.plan else 0.0

    def plain(self) -> dict[str, object]:
        """As JSON-plain data, to travel in a message."""
        document = asdict(self)
        document["status"] = str(self.status)
        return document


def reading_of(document: dict[str, object]) -> Reading:
    """The inverse of `Reading.plain`."""
    plan = document.get("plan")
    return Reading(
        Status(str(document["status"])),
        Plan(
            plan["tool"],
            dict(plan["args"]),
            plan["confidence"],
            tuple(plan["assumptions"]),
            tuple(plan["alternatives"]),
        )
        if isinstance(plan, dict)
        else None,
        str(document["sentence"]),
        tuple(str(a) for a in _list(document["alternatives"])),
        str(document["intent"]),
        tuple(str(a) for a in _list(document["notes"])),
    )


def _list(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else ()
