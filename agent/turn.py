"""Turn: what happens while one question is answered, outside the graph's own (plain, remembered) state."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.answer import Question, Status
from agent.planner.plan import Reading
from agent.toolset.desk import Desk
from tools.model.fact import Fact, ToolResult


@dataclass(frozen=True, slots=True)
class Stop:
    """A tool said no, or asked back: how the turn ends unless another tool gives a result."""

    status: Status
    sentence: str
    alternatives: tuple[str, ...] = ()


@dataclass(slots=True)
class Turn:
    """`results` are whole tool results with their facts; `names` are the aliases under which a model saw entities."""

    question: Question
    desk: Desk
    reading: Reading | None = None
    source: str = "planner"
    calls: int = 0
    results: list[ToolResult] = field(default_factory=list)
    stop: Stop | None = None
    names: dict[str, str] = field(default_factory=dict)
    final: str = ""
    assumptions: list[str] = field(default_factory=list)
    discarded: int = 0

    @property
    def facts(self) -> tuple[Fact, ...]:
        return tuple(fact for result in self.results for fact in result.facts)
