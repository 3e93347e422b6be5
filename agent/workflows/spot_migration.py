"""Spot migration: candidate, evidence, reviews, one proposal - then it waits for people and for the rollout's end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict

from agent import words
from agent.toolset.desk import Desk
from agent.workflows import reviews
from tools.execution import requests
from tools.execution.panel import Panel
from tools.model.errors import RefusedError
from tools.model.rollout import TERMINAL, Rollout, State

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

NAME = "spot_migration"


class Progress(TypedDict, total=False):
    """The workflow's state: JSON-plain, and never the truth about the rollout - that is in the state database."""

    recommendation_id: str
    rollout_id: str
    evidence: list[str]
    notes: list[str]
    seen_state: str
    conclusion: str


def fresh(*, recommendation_id: str = "", rollout_id: str = "") -> Progress:
    """A state to begin with: whatever an earlier run on the same thread left behind is overwritten."""
    return {
        "recommendation_id": recommendation_id,
        "rollout_id": rollout_id,
        "evidence": [],
        "notes": [],
        "seen_state": "",
        "conclusion": "",
    }


@dataclass(frozen=True, slots=True)
class Run:
    """What a started workflow gave: its rollout, a sentence, and the reviewers' notes."""

    rollout_id: str
    sentence: str
    notes: tuple[str, ...]


Propose = Callable[[str], Rollout]
Read = Callable[[str], Rollout]


@dataclass(frozen=True, slots=True)
class Hands:
    """What the workflow may do below it: look, and ask for a proposal. Nothing here acts on a cloud."""

    read: Read
    propose: Propose | None = None
    find: Callable[[str], Mapping[str, object]] | None = None
    review: Callable[[str], tuple[reviews.Review, ...]] | None = None


def thread_id(tenant: str, recommendation_id: str) -> str:
    """One thread of checkpoints per recommendation: whoever knows the rollout finds it again."""
    return f"{tenant}/{NAME}/{recommendation_id}"


def build(hands: Hands, saver: BaseCheckpointSaver[Any] | None) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The graph. Entered with a `rollout_id` it goes straight to waiting: that is how a lost checkpoint is rebuilt."""
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(Progress)
    graph.add_node("find_candidate", lambda s: _find(hands, s))
    graph.add_node("gather_evidence", lambda s: _gather(hands, s))
    graph.add_node("hear_reviews", lambda s: _hear(hands, s))
    graph.add_node("propose", lambda s: _propose(hands, s))
    graph.add_node("wait", _wait)
    graph.add_node("look", lambda s: _look(hands, s))
    graph.add_node("conclude", lambda s: _conclude(hands, s))
    graph.add_conditional_edges(
        START, lambda s: "look" if s.get("rollout_id") else "find_candidate", ["look", "find_candidate"]
    )
    graph.add_edge("find_candidate", "gather_evidence")
    graph.add_edge("gather_evidence", "hear_reviews")
    graph.add_edge("hear_reviews", "propose")
    graph.add_edge("propose", "wait")
    graph.add_edge("wait", "look")
    graph.add_conditional_edges("look", _after_look, ["wait", "conclude"])
    graph.add_edge("conclude", END)
    return graph.compile(checkpointer=saver)


def _find(hands: Hands, state: Progress) -> Progress:
    assert hands.find is not None  # a run that begins without a rollout is given all hands
    found = hands.find(state["recommendation_id"])
    return {"recommendation_id": str(found["id"])}


def _gather(hands: Hands, state: Progress) -> Progress:
    assert hands.find is not None
    found = hands.find(state["recommendation_id"])
    evidence = found["evidence"]
    return {"evidence": [str(line) for line in evidence] if isinstance(evidence, list) else []}


def _hear(hands: Hands, state: Progress) -> Progress:
    assert hands.review is not None
    heard = hands.review(state["recommendation_id"])
    against = [r for r in heard if not r.ok]
    if against:
        raise RefusedError("review", f"This is not proposed: {' '.join(r.note for r in against)}")
    return {"notes": [r.note for r in heard if r.note]}


def _propose(hands: Hands, state: Progress) -> Progress:
    assert hands.propose is not None
    rollout = hands.propose(state["recommendation_id"])
    return {"rollout_id": rollout.id, "seen_state": str(rollout.state)}


def _wait(state: Progress) -> Progress:
    """Nothing but the interrupt: on resuming, a node runs again from its first line."""
    from langgraph.types import interrupt

    interrupt({"wait": "rollout", "rollout_id": state["rollout_id"]})
    return {}


def _look(hands: Hands, state: Progress) -> Progress:
    return {"seen_state": str(hands.read(state["rollout_id"]).state)}


def _after_look(state: Progress) -> str:
    return "conclude" if State(state["seen_state"]) in TERMINAL else "wait"


def _conclude(hands: Hands, state: Progress) -> Progress:
    return {"conclusion": conclusion(hands.read(state["rollout_id"]))}


def conclusion(rollout: Rollout) -> str:
    """What became of a rollout that has ended, from its stored state alone."""
    plan = rollout.plan
    title = words.name(plan.title)
    saving = words.money(Decimal(plan.saving_monthly), plan.currency)
    if rollout.state is State.SUCCEEDED:
        return f"{title}: done. {saving} per month is expected; the next bills will show what is really saved."
    if rollout.state is State.ROLLED_BACK:
        why = f" ({rollout.reason.rstrip('.')})" if rollout.reason else ""
        return f"{title}: rolled back to where it began{why}. Nothing is saved."
    word = {State.REJECTED: "rejected", State.EXPIRED: "expired without a decision"}.get(rollout.state, "cancelled")
    return f"{title}: {word}. Nothing was changed at the cloud."


def start(desk: Desk, recommendation_id: str) -> Run:
    """Run the workflow up to its waiting point and give the rollout that now waits for people.

    Raises RefusedError when a reviewer or the gate says no. Asking twice gives the rollout that is live already.
    """
    from agent import memory

    with memory.open_memory(desk.settings) as saver:
        graph = build(_hands(desk), saver)
        config: Any = {"configurable": {"thread_id": thread_id(desk.tenant, recommendation_id)}}
        values = graph.invoke(fresh(recommendation_id=recommendation_id), config, durability="sync")
    rollout_id = str(values["rollout_id"])
    return Run(
        rollout_id,
        "Nothing is touched until somebody else who may approve presses the button on its card.",
        tuple(str(n) for n in values.get("notes", ())),
    )


def _hands(desk: Desk) -> Hands:
    from tools.store import recommendations

    def one(recommendation_id: str) -> Any:
        with desk.database.read() as tx:
            return recommendations.one(tx, desk.tenant, recommendation_id)

    def find(recommendation_id: str) -> Mapping[str, object]:
        found = one(recommendation_id)
        return {"id": found.id, "evidence": [f"{e.label}: {e.value} ({e.source})" for e in found.evidence]}

    def review(recommendation_id: str) -> tuple[reviews.Review, ...]:
        every = requests.listing(desk.database, desk.tenant)
        found = one(recommendation_id)
        return reviews.review(found, every, health_known=desk.settings.health_told(found.service))

    def propose(recommendation_id: str) -> Rollout:
        return requests.propose(
            desk.database,
            desk.tenant,
            recommendation_id,
            desk.principal,
            change=desk.change,
            now=desk.now,
            new_id=desk.new_id,
            expires_in=timedelta(seconds=desk.settings.approval_ttl_seconds),
            channel=desk.channel,
            panel=Panel.of(desk.settings, desk.now),
        )

    return Hands(lambda i: requests.status(desk.database, desk.tenant, i), propose, find, review)
