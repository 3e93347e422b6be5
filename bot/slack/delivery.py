"""Delivery: takes each outside event in once, and speaks to people within Slack's limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.shared.message import Message
from bot.shared.posting import NotDeliveredError, refusal, shown
from bot.slack.blockkit import fit, text_only
from bot.slack.envelope import Body, text
from bot.slack.services import Services
from tools.store import outbox
from tools.telemetry.logs import get_logger

SLACK_DOWN = (SlackApiError, aiohttp.ClientError, OSError, TimeoutError)
UNSHOWABLE = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"}
LONGEST_WAIT = 10.0
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person is to be answered: a conversation, a thread in it (or none), and the person."""

    channel: str
    thread_ts: str
    user: str
    response_url: str = ""


class Voice:
    """Speaks in channels and threads, and to one person alone; what cannot be said that way is said another way."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def new(self, key: str) -> bool:
        """True when the event with this key was not taken in before. Committed before Slack is told that it arrived."""
        return not key or await self._services.threads.in_thread(self._take_in, key)

    def _take_in(self, key: str) -> bool:
        with self._services.database.begin() as tx:
            return outbox.take_in(tx, self._services.tenant, key, now=self._services.now())

    async def say(self, client: AsyncWebClient, place: Place, message: Message) -> str:
        """Post in the thread (or the conversation) and return the ts; raises NotDeliveredError."""
        arguments: dict[str, Any] = {"thread_ts": place.thread_ts} if place.thread_ts else {}
        await self._turn(place.channel)
        sent = await self._send(
            lambda m: client.chat_postMessage(channel=place.channel, **shown(m), **arguments), place.channel, message
        )
        return str(sent.get("ts") or "")

    async def rewrite(self, client: AsyncWebClient, channel: str, ts: str, message: Message) -> None:
        """Put the message in place of what stands there; raises NotDeliveredError."""
        await self._send(lambda m: client.chat_update(channel=channel, ts=ts, **_edited(m)), channel, message)

    async def whisper(self, client: AsyncWebClient, place: Place, message: Message) -> None:
        """Tell one person: by the response URL, else for their eyes in the channel, else in a direct message."""
        if place.response_url and await self._respond(place, message):
            return
        if not (
            await self._told(self._ephemeral(client, place, message))
            or await self._told(self._direct(client, place, message))
        ):
            self._services.metrics.slack_events.labels("whisper", "lost").inc()

    async def _told(self, telling: Awaitable[None]) -> bool:
        try:
            await telling
        except NotDeliveredError as error:
            _log.info("whisper_failed", reason=error.reason)
            return False
        return True

    async def redraw(self, place: Place, message: Message) -> bool:
        """Put the message in place of one that only this person sees; False when that is not possible any more."""
        return bool(place.response_url) and await self._respond(place, message, instead=True)

    async def _respond(self, place: Place, message: Message, *, instead: bool = False) -> bool:
        fitted = self.fitted(message)
        body = shown(fitted) | {"response_type": "ephemeral", "replace_original": instead}
        thread: dict[str, Any] = {"thread_ts": place.thread_ts} if place.thread_ts and not instead else {}
        try:
            answer = await AsyncWebhookClient(place.response_url, timeout=10).send_dict(body | thread)
        except SLACK_DOWN:
            return False
        return answer.status_code == 200

    async def _ephemeral(self, client: AsyncWebClient, place: Place, message: Message) -> None:
        if not place.channel:
            raise NotDeliveredError("no_channel", "There is no channel to tell it in.")
        thread: dict[str, Any] = {"thread_ts": place.thread_ts} if place.thread_ts else {}
        await self._send(
            lambda m: client.chat_postEphemeral(
                channel=place.channel, user=place.user, text=m.text, blocks=list(m.blocks), **thread
            ),
            place.channel,
            message,
        )

    async def _direct(self, client: AsyncWebClient, place: Place, message: Message) -> None:
        await self._send(lambda m: client.chat_postMessage(channel=place.user, **shown(m)), place.user, message)

    async def status(self, client: AsyncWebClient, place: Place, words: str) -> None:
        """Show under the thread that something is being done; no words take it away."""
        try:
            await client.assistant_threads_setStatus(channel_id=place.channel, thread_ts=place.thread_ts, status=words)
        except SLACK_DOWN as error:
            _log.debug("status_not_shown", error=str(error)[:200])

    def fitted(self, message: Message) -> Message:
        """The message as Slack will take it; what was left out is counted."""
        fitted, steps = fit(message)
        for step in steps:
            self._services.metrics.slack_events.labels("message", step).inc()
        return fitted

    async def _turn(self, channel: str) -> None:
        wait = self._services.pace.reserve(channel)
        if wait > 0:
            await asyncio.sleep(min(wait, LONGEST_WAIT))

    async def _send(self, call: Any, channel: str, message: Message) -> Mapping[str, Any]:
        fitted = self.fitted(message)
        try:
            return await _called(call, channel, fitted)
        except NotDeliveredError as error:
            if error.reason not in UNSHOWABLE or not fitted.blocks:
                raise
            self._services.metrics.slack_events.labels("message", "text_only").inc()
            return await _called(call, channel, text_only(fitted))


def _edited(message: Message) -> dict[str, Any]:
    return {"text": message.text, "blocks": list(message.blocks)}


async def _called(call: Any, channel: str, message: Message) -> Mapping[str, Any]:
    try:
        data = (await call(message)).data
    except SlackApiError as error:
        raise refusal(error, channel) from error
    except SLACK_DOWN as error:
        raise NotDeliveredError("unreachable", f"Slack could not be reached ({type(error).__name__}).") from error
    return data if isinstance(data, dict) else {}


def place(body: Body) -> Place:
    """Where the person behind this envelope is to be answered."""
    event = body.get("event")
    if isinstance(event, dict):
        channel = text(event, "channel") or text(event, "channel", "id")
        return Place(channel, text(event, "thread_ts") or text(event, "ts"), text(event, "user"))
    if isinstance(body.get("user"), dict):
        channel = text(body, "channel", "id") or text(body, "container", "channel_id")
        thread = text(body, "message", "thread_ts") or text(body, "container", "thread_ts")
        return Place(channel, thread, text(body, "user", "id"), text(body, "response_url"))
    return Place(text(body, "channel_id"), "", text(body, "user_id"), text(body, "response_url"))
