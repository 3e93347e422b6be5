"""Ask: the one way into the mind - a question in, a checked answer out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent import compose, memory, toolbox
from agent.answer import Answer, Question
from agent.models import Models
from agent.planner import vocabulary
from agent.planner.vocabulary import Vocabulary
from agent.toolset.desk import Desk
from agent.turn import Turn
from tools.model.anomaly import Anomaly
from tools.model.identifiers import NewId
from tools.settings import Settings
from tools.store.database import Database

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from tools.analysis.costs import Costs
    from tools.providers.base import Change

_GROUPS_FRESH = timedelta(seconds=30)
LONGEST_TEXT = 4000


class Mind:
    """Answers questions. Safe to use from several threads; the graph is built when the first question comes."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        costs: Costs,
        *,
        now: Callable[[], datetime],
        new_id: NewId,
        models: Models,
        change: Callable[[str], Change],
    ) -> None:
        self.models = models
        self._settings = settings
        self._database = database
        self._costs = costs
        self._now = now
        self._new_id = new_id
        self._change = change
        self._lock = threading.Lock()
        self._graph: CompiledStateGraph[Any, Any, Any, Any] | None = None
        self._known: tuple[str, datetime, Vocabulary] | None = None
        self._judged: tuple[tuple[str, date], tuple[Anomaly, ...]] | None = None

    def ask(self, question: Question) -> Answer:
        """Answer one question. Raises only what makes answering impossible (StoreUnavailableError, ProviderError ...)."""
        started = time.perf_counter()
        turn = Turn(question, self._desk(question))
        self._invoke(turn)
        self._second_reading(turn)
        return compose.answer(turn, round((time.perf_counter() - started) * 1000))

    def close(self) -> None:
        """Let go of what is open towards language models. A closed mind may be asked again."""
        self.models.close()

    def _invoke(self, turn: Turn) -> None:
        graph = self._compiled()
        question = turn.question
        message = {"type": "human", "data": {"content": question.text[:LONGEST_TEXT], "type": "human"}}
        if not question.thread:
            graph.invoke({"messages": [message]}, context=turn)
            return
        thread = f"{question.principal.tenant}/chat/{question.thread}"
        config: Any = {"configurable": {"thread_id": thread}}
        with memory.open_memory(self._settings) as saver:
            remembering = graph.copy(update={"checkpointer": saver})
            before = remembering.get_state(config).values.get("messages", [])
            remembering.invoke({"messages": [*before, message]}, config, context=turn, durability="exit")
            memory.keep_latest(saver, thread)

    def _second_reading(self, turn: Turn) -> None:
        """A language model that brought nothing leaves the planner's own plan to be run."""
        if turn.results or turn.source != "llm":
            return
        from agent import graph

        turn.source = "planner"
        plan = turn.reading.plan if turn.reading else None
        turn.stop = None
        if plan:
            graph.act([{"name": plan.tool, "args": plan.args, "id": "plan"}], turn)

    def _compiled(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        from agent import graph

        with self._lock:
            if self._graph is None:
                self._graph = graph.build(self.models)
            return self._graph

    def _desk(self, question: Question) -> Desk:
        return Desk(
            self._settings,
            self._database,
            self._costs,
            question.principal,
            question.today,
            self._now,
            self._new_id,
            self._vocabulary(),
            self._change,
            self._detected,
            question.channel,
        )

    def _detected(self, today: date) -> tuple[Anomaly, ...]:
        """The anomalies before a day: those the clock's job keeps when they are of the newest data, else judged here
        (and again only when data was loaded)."""
        from tools.analysis import anomalies

        kept = self._kept_anomalies() if today == self._now().date() else None
        if kept is not None:
            return kept
        key = (self._costs.version(), today)
        with self._lock:
            judged = self._judged
        if judged and judged[0] == key:
            return judged[1]
        found = anomalies.find(self._costs, today)
        with self._lock:
            self._judged = (key, found)
        return found

    def _kept_anomalies(self) -> tuple[Anomaly, ...] | None:
        """What is stored, if it was looked at after the newest load; None when that is not known."""
        from sqlalchemy import func, select

        from tools.store import findings, loads
        from tools.store.finding_tables import anomalies

        tenant = self._settings.tenant
        with self._database.read() as tx:
            looked = tx.execute(select(func.max(anomalies.c.updated_at)).where(anomalies.c.tenant == tenant)).scalar()
            loaded = max((line.loaded_at for line in loads.ledger(tx, tenant)), default=None)
            if looked is None or loaded is None or looked < loaded:
                return None
            return findings.anomalies(tx, tenant)

    def _vocabulary(self) -> Vocabulary:
        """The known names, read again when data was loaded or what can be changed may have changed."""
        version, now = self._costs.version(), self._now()
        with self._lock:
            known = self._known
        if known and known[0] == version and now - known[1] < _GROUPS_FRESH:
            return known[2]
        groups = self._groups()
        if known and known[0] == version and known[2].groups == groups:
            made = known[2]
        else:
            settings, span = self._settings, self._costs.span()
            made = vocabulary.build(
                self._costs.values, settings.tag_keys, span, groups, fiscal_start=settings.fiscal_year_start
            )
        with self._lock:
            self._known = (version, now, made)
        return made

    def _groups(self) -> tuple[str, ...]:
        """Names of what rollouts are, or could be, about."""
        from tools.store import recommendations, rollouts

        with self._database.read() as tx:
            found = recommendations.listing(tx, self._settings.tenant)
            running = rollouts.listing(tx, self._settings.tenant)
        names = [str(r.parameters.get("resource_id", "")) for r in found] + [r.plan.resource_id for r in running]
        return tuple(dict.fromkeys(n.rsplit("/", 1)[-1] for n in names if n))


def build_mind(
    settings: Settings, database: Database, costs: Costs, *, now: Callable[[], datetime], new_id: NewId
) -> Mind:
    """The mind of an installation. Nothing heavy is loaded before the first question."""

    def change(name: str) -> Change:
        from tools.providers import registry

        return registry.change(settings, name)

    models = Models(settings, toolbox.schemas())
    return Mind(settings, database, costs, now=now, new_id=new_id, models=models, change=change)
