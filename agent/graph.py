"""Graph: think, act, think again - one LangGraph for Slack and the terminal, with and without a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_to_dict,
    messages_from_dict,
)
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from agent import prompts, toolbox
from agent.answer import Status
from agent.memory import MESSAGES
from agent.models import Models
from agent.planner import intents
from agent.planner import planner as planning
from agent.planner.planner import PlannerModel
from agent.planner.vocabulary import words
from agent.toolset.desk import AmbiguousError
from agent.turn import Stop, Turn
from tools.model.errors import InputError, NotFoundError, RefusedError, UnknownDimensionError

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

MOST_CALLS = 4
MOST_TOOLS = 6
_SURE_INTENTS = frozenset({intents.ACT, intents.HELP, intents.OUTSIDE})


class State(TypedDict):
    """What is remembered of a conversation: its last messages as plain data."""

    messages: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Thinker:
    """Chooses who thinks: the planner when it is sure, a language model when not, the planner again when that fails."""

    models: Models

    def think(self, messages: list[BaseMessage], turn: Turn) -> AIMessage:
        turn.calls += 1
        planner = PlannerModel(today=turn.question.today, vocabulary=turn.desk.vocabulary)
        if isinstance(messages[-1], HumanMessage):
            return self._first(messages, turn, planner)
        if turn.source == "llm" and turn.calls <= MOST_CALLS:
            return self._ask(messages, turn) or AIMessage("")
        return AIMessage("")

    def _first(self, messages: list[BaseMessage], turn: Turn, planner: PlannerModel) -> AIMessage:
        mine = planner.invoke(messages)
        turn.reading = planning.reading(mine)
        if turn.question.offline or not self.models.available or self._sure(turn):
            return mine
        other = self._ask(messages, turn)
        if other is None or not (other.tool_calls or other.invalid_tool_calls):
            # A model that only talks has nothing that may be shown; the planner's own reading stands.
            turn.discarded += 1 if other is not None and other.content else 0
            return mine
        turn.source = "llm"
        return other

    def _sure(self, turn: Turn) -> bool:
        reading = turn.reading
        assert reading is not None
        if reading.plan:
            return reading.plan.confidence >= turn.desk.settings.planner_confidence
        if reading.status is Status.AMBIGUOUS:
            # Which of two things a name means is for the person to say, not for a model to guess.
            return reading.intent != "fragment"
        return reading.intent in _SURE_INTENTS

    def _ask(self, messages: list[BaseMessage], turn: Turn) -> AIMessage | None:
        prompt = SystemMessage(prompts.system(turn.question.today, turn.desk.settings.tag_keys))
        return self.models.ask([prompt, *(_stripped(m) for m in messages)])


def _stripped(message: BaseMessage) -> BaseMessage:
    """Messages as a model may see them: without the planner's notes."""
    if isinstance(message, AIMessage):
        return AIMessage(message.content, tool_calls=message.tool_calls, invalid_tool_calls=message.invalid_tool_calls)
    return message


def act(calls: Sequence[Mapping[str, Any]], turn: Turn) -> list[ToolMessage]:
    """Run the tool calls of one message, in order."""
    return [ToolMessage(_run(call, turn), tool_call_id=str(call.get("id") or "call")) for call in calls[:MOST_TOOLS]]


def _run(call: Mapping[str, Any], turn: Turn) -> str:
    name, args = str(call["name"]), _named(call["args"], turn)
    refusal = _not_asked_for(name, args, turn)
    if refusal:
        turn.discarded += 1
        return refusal
    try:
        result = toolbox.run(name, args, turn.desk, first_fact=len(turn.facts) + 1)
    except AmbiguousError as error:
        turn.stop = Stop(Status.AMBIGUOUS, error.what, error.choices)
        return error.what
    except RefusedError as error:
        turn.stop = Stop(Status.REFUSED, str(error))
        return "refused"
    except (InputError, NotFoundError) as error:
        turn.stop = Stop(_ending(name, error), str(error))
        return f"error: {error.what} {error.fix}".strip()
    turn.results.append(result)
    if turn.source == "llm":
        turn.assumptions += _disagreements(name, args, turn)
        return prompts.result(result, turn.names)
    return "shown"


def _ending(name: str, error: InputError | NotFoundError) -> Status:
    """What was asked is not there: an answer without numbers. A proposal that cannot be made is a refusal."""
    if _proposes(name):
        return Status.REFUSED
    unclear = isinstance(error, toolbox.ArgumentsError | UnknownDimensionError)
    return Status.NOT_UNDERSTOOD if unclear else Status.ANSWERED


def _named(args: Any, turn: Turn) -> dict[str, Any]:
    """Arguments with the names that E1, E2 ... stand for."""

    def real(value: Any) -> Any:
        if isinstance(value, str):
            return turn.names.get(value, value)
        if isinstance(value, list):
            return [real(v) for v in value]
        return {k: real(v) for k, v in value.items()} if isinstance(value, dict) else value

    return {str(k): real(v) for k, v in args.items()} if isinstance(args, dict) else {}


def _not_asked_for(name: str, args: Mapping[str, Any], turn: Turn) -> str:
    """A model may propose only what the person's own words propose: the planner must read the same wish in them."""
    if turn.source != "llm" or not _proposes(name):
        return ""
    said = set(words(turn.question.text))
    target = words(str(args.get("recommendation") or args.get("resource") or ""))
    asked = turn.reading is not None and turn.reading.intent == intents.PROPOSE
    if asked and target and set(target) <= said:
        return ""
    return "error: the person did not ask for this change in so many words."


def _proposes(name: str) -> bool:
    return any(tool.proposes for tool in toolbox.TOOLS if tool.name == name)


def _disagreements(name: str, args: Mapping[str, Any], turn: Turn) -> list[str]:
    """Where a model's arguments differ from what the planner read in the same words, the answer says so."""
    plan = turn.reading.plan if turn.reading else None
    if plan is None or plan.tool != name:
        return ["a language model chose how to answer"]
    differ = [key for key in ("start", "end", "where", "by") if str(plan.args.get(key, "")) != str(args.get(key, ""))]
    if not differ:
        return []
    return [f"a language model chose the {' and '.join(differ)}; the words alone could be read differently"]


def _think_node(thinker: Thinker, state: State, runtime: Runtime[Turn]) -> State:
    messages = messages_from_dict(state["messages"])
    answer = thinker.think(messages, runtime.context)
    if not answer.tool_calls and not answer.invalid_tool_calls:
        runtime.context.final = str(answer.content) if runtime.context.source == "llm" else ""
    return {"messages": trimmed([*state["messages"], message_to_dict(answer)])}


def _act_node(state: State, runtime: Runtime[Turn]) -> State:
    last = messages_from_dict(state["messages"][-1:])[0]
    assert isinstance(last, AIMessage)
    done = act([dict(call) for call in last.tool_calls], runtime.context)
    for bad in last.invalid_tool_calls:
        text = "error: the arguments of this call are not valid JSON."
        done.append(ToolMessage(text, tool_call_id=str(bad.get("id") or "call")))
    return {"messages": trimmed([*state["messages"], *(message_to_dict(m) for m in done)])}


def _next(state: State) -> str:
    data = state["messages"][-1]["data"]
    return "act" if data.get("tool_calls") or data.get("invalid_tool_calls") else END


def trimmed(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last dozen messages, beginning with a person's; the turn that is under way is never cut."""
    if len(messages) <= MESSAGES:
        return messages
    starts = [n for n, m in enumerate(messages) if m["type"] == "human"]
    fitting = [n for n in starts if len(messages) - n <= MESSAGES]
    return messages[fitting[0] if fitting else starts[-1] :]


def build(models: Models) -> CompiledStateGraph[State, Turn, State, State]:
    """The compiled graph, without a memory; `with_memory` gives it one."""
    thinker = Thinker(models)
    graph = StateGraph(State, context_schema=Turn)

    def think(state: State, runtime: Runtime[Turn]) -> State:
        return _think_node(thinker, state, runtime)

    graph.add_node("think", think)
    graph.add_node("act", _act_node)
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", _next, ["act", END])
    graph.add_edge("act", "think")
    return graph.compile()
