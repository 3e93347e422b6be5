"""Compose: makes the answer out of tool results - code writes every value, unit, name, period and direction."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from agent import grounding
from agent.answer import Answer, Status
from agent.planner.plan import Reading
from agent.turn import Turn
from tools.model.fact import ToolResult
from tools.model.query import Coverage

SURE_OF_A_MODEL = Decimal("0.7")


def answer(turn: Turn, elapsed_ms: int) -> Answer:
    """The answer of a finished turn; the first sentence holds the number."""
    made = _of_results(turn) if turn.results else _of_words(turn)
    return replace(made, elapsed_ms=elapsed_ms, dropped_comments=made.dropped_comments + turn.discarded)


def _of_results(turn: Turn) -> Answer:
    results = turn.results
    plan = turn.reading.plan if turn.reading else None
    planned = turn.source == "planner" and plan is not None
    grounded = grounding.accept(turn.final, turn.facts, turn.desk.vocabulary)
    return Answer(
        status=Status.ANSWERED,
        text="\n".join(r.headline for r in results),
        query=_query(results),
        facts=turn.facts,
        tables=tuple(t for r in results for t in r.tables),
        charts=tuple(c for r in results for c in r.charts),
        assumptions=tuple(dict.fromkeys((*(plan.assumptions if planned and plan else ()), *turn.assumptions))),
        alternatives=plan.alternatives if planned and plan else (),
        notes=tuple(dict.fromkeys(n for r in results for n in r.notes)),
        comments=grounded.comments,
        coverage=_coverage(results),
        planner_source=turn.source,
        confidence=Decimal(str(plan.confidence)) if planned and plan else SURE_OF_A_MODEL,
        rollout_id=next((r.rollout_id for r in results if r.rollout_id), None),
        dropped_comments=len(grounded.dropped),
    )


def _query(results: list[ToolResult]) -> dict[str, object]:
    """The first tool's query; further ones stand beside it."""
    query = dict(results[0].query)
    if len(results) > 1:
        query["also"] = [r.query for r in results[1:]]
    return query


def _coverage(results: list[ToolResult]) -> Coverage:
    """The most careful of several: the earliest complete day, the largest share, everything missing."""
    all_of = [r.coverage for r in results]
    days = [c.complete_to for c in all_of if c.complete_to]
    return Coverage(
        min(days, default=None),
        max((c.provisional_share for c in all_of), default=Decimal(0)),
        tuple(dict.fromkeys(m for c in all_of for m in c.missing)),
        "; ".join(dict.fromkeys(c.invoices for c in all_of if c.invoices)),
    )


def _of_words(turn: Turn) -> Answer:
    reading = turn.reading or Reading(Status.NOT_UNDERSTOOD, sentence="I did not understand that.")
    stop = turn.stop
    confidence = Decimal(str(reading.confidence))
    query: dict[str, object] = {}
    if reading.plan:
        query = {"tool": reading.plan.tool, "args": reading.plan.args, "period": None, "metric": None, "filters": []}
    if stop:
        return Answer(
            stop.status,
            stop.sentence,
            query,
            alternatives=stop.alternatives,
            planner_source=turn.source,
            confidence=confidence,
            coverage=turn.desk.costs.coverage(),
        )
    return Answer(
        reading.status,
        reading.sentence or "I could not work that out.",
        query,
        alternatives=reading.alternatives,
        notes=reading.notes,
        planner_source=turn.source,
        confidence=confidence,
        coverage=turn.desk.costs.coverage(),
    )
