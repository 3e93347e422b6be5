"""Resume: brings a waiting workflow on when its rollout reached a gate or its end - or rebuilds it from stored state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent import memory
from agent.workflows import spot_migration
from agent.workflows.spot_migration import Hands
from tools.execution import requests
from tools.model.rollout import TERMINAL, WAITING_FOR_PEOPLE
from tools.settings import Settings
from tools.store.database import Database


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where the workflow stands now. `conclusion` is a sentence once the rollout has ended, otherwise empty."""

    rollout_id: str
    rebuilt: bool
    conclusion: str


def resume(settings: Settings, database: Database, rollout_id: str) -> Resumed | None:
    """Bring the workflow of this rollout on; None while it is neither waiting for people nor ended.

    Everything comes from the state database: a workflow whose checkpoint is lost, old or of another run starts again
    at its waiting point. Calling it twice, or from two replicas, gives the same conclusion and changes nothing.
    """
    rollout = requests.status(database, settings.tenant, rollout_id)
    if rollout.state not in TERMINAL | WAITING_FOR_PEOPLE:
        return None
    config: Any = {
        "configurable": {"thread_id": spot_migration.thread_id(settings.tenant, rollout.plan.recommendation_id)}
    }
    hands = Hands(lambda i: requests.status(database, settings.tenant, i))
    with memory.open_memory(settings) as saver:
        graph = spot_migration.build(hands, saver)
        waiting = _waiting(graph.get_state(config).interrupts, rollout_id)
        begin = spot_migration.fresh(recommendation_id=rollout.plan.recommendation_id, rollout_id=rollout_id)
        step = _command(waiting) if waiting else begin
        values = graph.invoke(step, config, durability="sync")
    return Resumed(rollout_id, not waiting, str(values.get("conclusion", "")) if rollout.state in TERMINAL else "")


def _waiting(interrupts: tuple[Any, ...], rollout_id: str) -> str:
    """The id of the interrupt that waits for exactly this rollout; empty when there is none."""
    for pending in interrupts:
        if isinstance(pending.value, dict) and pending.value.get("rollout_id") == rollout_id:
            return str(pending.id)
    return ""


def _command(interrupt_id: str) -> Any:
    from langgraph.types import Command

    # Addressed by id: a plain resume would answer whatever happens to wait by then.
    return Command(resume={interrupt_id: "look"})
