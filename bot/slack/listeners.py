"""Listeners: the one list of what the bot hears from Slack; the app is wired from it and the manifest written from it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.anomalies import Anomalies
from bot.slack.buttons import Buttons
from bot.slack.cards import anomaly as anomaly_card
from bot.slack.cards import answer as answer_card
from bot.slack.cards import recommendation as recommendation_card
from bot.slack.cards import rollout as rollout_card
from bot.slack.commands import COMMAND, Commands
from bot.slack.envelope import Body, event_key, text
from bot.slack.home import Home
from bot.slack.presses import missing_reason
from bot.slack.questions import Questions

EVENT, ACTION, VIEW, SLASH = "event", "action", "view", "command"


@dataclass(frozen=True, slots=True)
class Door:
    """The rooms behind the listeners."""

    questions: Questions
    buttons: Buttons
    anomalies: Anomalies
    commands: Commands
    home: Home


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that was heard: its envelope, Slack's client, and the bot's own user id."""

    body: Body
    client: AsyncWebClient
    bot_user: str

    @property
    def action(self) -> str:
        return str(self.body["actions"][0]["action_id"])

    @property
    def carried(self) -> str:
        """What the pressed button or the chosen option carries."""
        action = self.body["actions"][0]
        return text(action, "value") or text(action, "selected_option", "value")


Answer = Callable[[Door, Heard], Awaitable[object]]
Check = Callable[[Door, Body], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Listener:
    """`name` is the event, action id (a pattern when it ends with *), callback id or command it hears.

    `subscriptions` are the names under which Slack sends it, `scopes` what Slack asks for in return. `check` says what
    is wrong with a filled-in form, per field.
    """

    kind: str
    name: str
    answer: Answer
    subscriptions: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    check: Check = lambda door, body: missing_reason(body)


async def _decided(door: Door, heard: Heard) -> None:
    await door.buttons.decide(heard.client, heard.body, heard.action, heard.carried)
    if text(heard.body, "container", "type") == "view":
        await door.home.publish(heard.client, heard.body)


async def _reasoned(door: Door, heard: Heard) -> None:
    await door.buttons.ask_reason(heard.client, heard.body, heard.action, heard.carried)


async def _submitted(door: Door, heard: Heard) -> None:
    await door.buttons.submitted(heard.client, heard.body, text(heard.body, "view", "callback_id"))


async def _pressed(door: Door, heard: Heard) -> None:
    await door.anomalies.press(heard.client, heard.body, heard.action, heard.carried)


async def _asked(door: Door, heard: Heard) -> None:
    await door.anomalies.ask(heard.client, heard.body, heard.action, heard.carried)


async def _filled_in(door: Door, heard: Heard) -> None:
    await door.anomalies.submitted(heard.client, heard.body, text(heard.body, "view", "callback_id"))


async def _home(door: Door, heard: Heard) -> None:
    await door.home.opened(heard.client, heard.body)


DIRECT = (rollout_card.APPROVE, rollout_card.RETRY, rollout_card.HAPPENED, rollout_card.NOT_HAPPENED)
REASONED = (rollout_card.REJECT, rollout_card.STOP, rollout_card.ROLLBACK)

LISTENERS: tuple[Listener, ...] = (
    Listener(
        EVENT,
        "app_mention",
        lambda door, h: door.questions.mentioned(h.client, h.body, h.bot_user),
        ("app_mention",),
        ("app_mentions:read",),
    ),
    Listener(
        EVENT,
        "message",
        lambda door, h: door.questions.messaged(h.client, h.body, h.bot_user),
        ("message.im", "message.channels", "message.groups"),
        ("im:history", "channels:history", "groups:history"),
    ),
    Listener(EVENT, "app_home_opened", _home, ("app_home_opened",)),
    Listener(SLASH, COMMAND, lambda door, h: door.commands.typed(h.client, h.body), scopes=("commands",)),
    *(Listener(ACTION, name, _decided) for name in DIRECT),
    *(Listener(ACTION, name, _reasoned) for name in REASONED),
    *(Listener(VIEW, name, _submitted) for name in REASONED),
    Listener(ACTION, answer_card.SHOW_QUERY, lambda door, h: door.questions.receipt(h.client, h.body, h.carried)),
    Listener(ACTION, f"{answer_card.CHOOSE}.*", lambda door, h: door.questions.chosen(h.client, h.body, h.carried)),
    Listener(ACTION, recommendation_card.PROPOSE, lambda door, h: door.buttons.propose(h.client, h.body, h.carried)),
    Listener(ACTION, anomaly_card.INVESTIGATE, lambda door, h: door.anomalies.investigate(h.client, h.body, h.carried)),
    *(Listener(ACTION, name, _pressed) for name in (anomaly_card.USEFUL, anomaly_card.UNMUTE, anomaly_card.REOPEN)),
    *(Listener(ACTION, name, _asked) for name in (anomaly_card.EXPECTED, anomaly_card.MUTE)),
    Listener(VIEW, anomaly_card.EXPECTED, _filled_in),
    Listener(VIEW, anomaly_card.MUTE, _filled_in, check=lambda door, body: door.anomalies.missing(body)),
    # The last ones of their kind: no click is ever swallowed.
    Listener(ACTION, "*", lambda door, h: door.buttons.unknown(h.client, h.body)),
    Listener(VIEW, "*", lambda door, h: door.buttons.unknown(h.client, h.body)),
)


def register(app: AsyncApp, door: Door) -> None:
    """Wire every listener, in the order of the list."""
    for listener in LISTENERS:
        _ADD[listener.kind](app, door, listener)


def pattern(name: str) -> str | re.Pattern[str]:
    """What Bolt matches: the name itself, or for `prefix.*` everything that begins with it."""
    return re.compile(re.escape(name.removesuffix("*")) + r"[\s\S]*") if name.endswith("*") else name


def _add_event(app: AsyncApp, door: Door, listener: Listener) -> None:
    async def hear(body: dict[str, Any], client: AsyncWebClient, context: Any) -> None:
        await listener.answer(door, Heard(body, client, str(context.bot_user_id or "")))

    app.event(listener.name)(hear)


def _add_interaction(app: AsyncApp, door: Door, listener: Listener) -> None:
    async def hear(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await listener.answer(door, Heard(body, client, ""))

    if listener.kind == ACTION:
        app.action(pattern(listener.name))(hear)
    else:
        app.command(listener.name)(hear)


def _add_view(app: AsyncApp, door: Door, listener: Listener) -> None:
    async def hear(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        missing = listener.check(door, body) if not listener.name.endswith("*") else {}
        if missing:
            await ack(response_action="errors", errors=missing)
            return
        await ack()
        await listener.answer(door, Heard(body, client, ""))

    app.view_submission(pattern(listener.name))(hear)


_ADD: dict[str, Callable[[AsyncApp, Door, Listener], None]] = {
    EVENT: _add_event,
    ACTION: _add_interaction,
    SLASH: _add_interaction,
    VIEW: _add_view,
}


def inbox_key(body: Body) -> str:
    """The key under which this envelope is taken in; empty for what nobody will answer, or what may come again."""
    event = body.get("event")
    if isinstance(event, dict) and text(event, "type") == "message":
        relevant = text(event, "channel_type") == "im" or text(event, "thread_ts")
        return event_key(body) if relevant and not event.get("bot_id") else ""
    return event_key(body)
