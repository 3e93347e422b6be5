"""Question and Answer: what comes into the mind and what leaves it, before any surface draws it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from tools.model.access import Principal
from tools.model.fact import Chart, Fact, Table
from tools.model.query import Coverage


class Status(StrEnum):
    """How a question ended."""

    ANSWERED = "answered"
    AMBIGUOUS = "ambiguous"
    NOT_UNDERSTOOD = "not_understood"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Question:
    """`thread` names the conversation (follow-ups share it; empty: none). `today` is the asker's day.

    `offline` keeps language models out of it. `channel` is where cards of a proposed rollout should go.
    """

    text: str
    principal: Principal
    today: date
    thread: str = ""
    offline: bool = False
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is plain text without markup. `query` is JSON-ready (tool, args, period, metric, filters).

    `alternatives` are questions in words that the person can choose when it was ambiguous or not understood.
    `comments` are digit-free sentences of a language model, already checked. `rollout_id` asks for its card.
    """

    status: Status
    text: str
    query: dict[str, object] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    assumptions: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    coverage: Coverage = field(default_factory=lambda: Coverage(complete_to=None))
    planner_source: str = "planner"
    confidence: Decimal = Decimal(0)
    elapsed_ms: int = 0
    rollout_id: str | None = None
    dropped_comments: int = 0
