"""Planner: the mind without a key - a LangChain chat model that reads questions by rules and emits tool calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable

from agent.planner.plan import Plan, Reading, reading_of
from agent.planner.reading import read
from agent.planner.vocabulary import Vocabulary


class PlannerModel(BaseChatModel):
    """Answers a person's message with one tool call, or with a sentence when there is nothing to call.

    The whole reading travels in `additional_kwargs["reading"]`. After tool results it says nothing more.
    """

    today: date
    vocabulary: Any

    @property
    def _llm_type(self) -> str:
        return "optiinfra-planner"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """The tools are known already."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = AIMessage("") if isinstance(messages[-1], ToolMessage) else self._read(messages)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _read(self, messages: list[BaseMessage]) -> AIMessage:
        vocabulary = self.vocabulary
        assert isinstance(vocabulary, Vocabulary)
        reading = read(str(messages[-1].content), self.today, vocabulary, previous_plan(messages[:-1]))
        kept = {"reading": reading.plain()}
        if reading.plan is None:
            return AIMessage(reading.sentence, additional_kwargs=kept)
        call = {
            "name": reading.plan.tool,
            "args": reading.plan.args,
            "id": f"plan-{len(messages)}",
            "type": "tool_call",
        }
        return AIMessage("", tool_calls=[call], additional_kwargs=kept)


def previous_plan(messages: Sequence[BaseMessage]) -> Plan | None:
    """The last tool call of the conversation, whoever made it."""
    for message in reversed(messages):
        if isinstance(message, AIMessage) and message.tool_calls:
            call = message.tool_calls[0]
            return Plan(call["name"], dict(call["args"]), 1.0)
        if isinstance(message, HumanMessage):
            continue
    return None


def reading(message: AIMessage) -> Reading:
    """The reading that a planner's message carries."""
    return reading_of(message.additional_kwargs["reading"])
