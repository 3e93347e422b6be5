"""Questions: a mention, a direct message or a reply becomes a question, and its answer goes into the thread."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from weakref import WeakValueDictionary

from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import Connection

from agent.answer import Answer, Question
from bot.shared.message import Message
from bot.shared.posting import NotDeliveredError
from bot.slack.cards import answer as answer_card
from bot.slack.cards import error as error_card
from bot.slack.delivery import SLACK_DOWN, Place, Voice, place
from bot.slack.envelope import Body, message_key, text
from bot.slack.people import Actor, Directory, Known, actor, record_refusal
from bot.slack.services import Services
from bot.slack.words import duration
from tools.model.errors import OptiInfraError, RefusedError
from tools.store import answers, outbox
from tools.telemetry.logs import get_logger

LONGEST = 3000
SPOKEN = frozenset({"", "file_share", "thread_broadcast"})
ANSWERS = "answer"
_MENTION = re.compile(r"<@([A-Z0-9]{1,40})(?:\|[^>]{0,200})?>")
_LINK = re.compile(r"<(?:[#!]|https?:|mailto:)?([^|>]{0,2000})(?:\|([^>]{0,500}))?>")
_log = get_logger(__name__)


def words(said: str, bot_user: str) -> str:
    """What was written, as plain text: without the mention of the bot and without Slack's markup."""
    without = _MENTION.sub(lambda m: "" if m[1] == bot_user else f"@{m[1]}", said)
    return unescape(_LINK.sub(lambda m: m[2] or m[1], without)).strip()


def spoken(event: Mapping[str, Any]) -> bool:
    """Whether a person said it: no bot, no edit, nothing hidden."""
    return text(event, "subtype") in SPOKEN and not event.get("bot_id") and bool(text(event, "user"))


class Questions:
    """Answers people, each thread in order."""

    def __init__(self, services: Services, directory: Directory, voice: Voice) -> None:
        self._services = services
        self._directory = directory
        self._voice = voice
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def mentioned(self, client: AsyncWebClient, body: Body, bot_user: str) -> None:
        """Somebody wrote to the bot in a channel."""
        event = body["event"]
        if spoken(event):
            await self._heard(client, body, bot_user)

    async def messaged(self, client: AsyncWebClient, body: Body, bot_user: str) -> None:
        """Something was written where the bot reads along: a direct message, or a reply in a thread it answered in."""
        event = body["event"]
        if not spoken(event):
            return
        direct = text(event, "channel_type") == "im"
        # A mention is told twice, as a message and as a mention; the second one counts.
        if not direct and (f"<@{bot_user}>" in text(event, "text") or not await self._follows(body)):
            return
        await self._heard(client, body, bot_user)

    async def _follows(self, body: Body) -> bool:
        event = body["event"]
        if not text(event, "thread_ts"):
            return False
        thread = _thread(actor(body).team, place(body))
        return await self._services.threads.in_thread(self._answered_in, thread)

    async def _heard(self, client: AsyncWebClient, body: Body, bot_user: str) -> None:
        event = body["event"]
        where = place(body)
        if await self._voice.new(message_key(where.channel, text(event, "ts"))):
            await self.asked(client, actor(body), where, words(text(event, "text"), bot_user))

    async def asked(
        self, client: AsyncWebClient, acting: Actor, where: Place, said: str, *, alone: bool = False
    ) -> None:
        """Answer what was said; `alone`: for the eyes of the person only."""
        try:
            known = await self._directory.who(client, acting)
            await self._admit(known, said)
        except RefusedError as error:
            await self._turn_away(client, acting, where, error)
            return
        if not alone:
            await self._voice.status(client, where, "is looking at the costs…")
        lock = self._turns.setdefault(_thread(acting.team, where), asyncio.Lock())
        async with lock:
            message = await self._answer(client, acting, where, known, said)
            await self._tell(client, where, message, alone=alone)

    async def _admit(self, known: Known, said: str) -> None:
        if not said:
            raise RefusedError("empty", "Ask me about cloud cost.", fix="For example: what did we spend last month?")
        if len(said) > LONGEST:
            raise RefusedError(
                "too_long", f"That is {len(said)} characters long; I read up to {LONGEST}.", fix="Ask in fewer words."
            )
        wait = await self._services.threads.in_thread(self._services.limiter.wait_for, f"slack:{known.principal.id}")
        if wait > 0:
            self._services.metrics.rate_limited.labels("slack").inc()
            raise RefusedError(
                "rate_limited", "You have asked a lot in the last minute.", fix=f"Ask again in {duration(wait)}."
            )

    async def _turn_away(self, client: AsyncWebClient, acting: Actor, where: Place, error: RefusedError) -> None:
        if error.reason not in {"empty", "too_long", "rate_limited", "not_confirmed"}:
            await self._services.threads.in_thread(record_refusal, self._services, acting, "ask", where.channel, error)
        await self._voice.whisper(client, where, error_card.message(error))

    async def _answer(self, client: AsyncWebClient, acting: Actor, where: Place, known: Known, said: str) -> Message:
        began = time.perf_counter()
        question = Question(
            text=said,
            principal=known.principal,
            today=known.today(self._services.now()).date(),
            thread=_thread(acting.team, where),
            channel=where.channel,
        )
        try:
            answer = await self._services.threads.in_thread(self._services.ask, question)
        except OptiInfraError as error:
            reference = self._services.new_id("err")
            _log.warning("question_failed", reference=reference, code=error.code, error=str(error))
            self._services.metrics.questions.labels("failed").inc()
            return error_card.message(error, reference)
        self._services.metrics.questions.labels(str(answer.status)).inc()
        self._services.metrics.question_seconds.observe(time.perf_counter() - began)
        kept = self._services.new_id("ans")
        card = await self._services.threads.in_thread(self._keep, kept, question, answer)
        link = await self._permalink(client, *card) if card else ""
        if answer.rollout_id:
            self._services.ring()
        return answer_card.message(answer, kept, card=link)

    async def _tell(self, client: AsyncWebClient, where: Place, message: Message, *, alone: bool) -> None:
        if alone:
            await self._voice.whisper(client, where, message)
            return
        try:
            await self._voice.say(client, where, message)
        except NotDeliveredError as error:
            _log.warning("answer_not_delivered", reason=error.reason)
            await self._voice.status(client, where, "")
            await self._voice.whisper(client, replace(where, thread_ts=""), message)

    async def _permalink(self, client: AsyncWebClient, channel: str, ts: str) -> str:
        try:
            return str((await client.chat_getPermalink(channel=channel, message_ts=ts)).get("permalink") or "")
        except SLACK_DOWN:
            return ""

    def _keep(self, kept: str, question: Question, answer: Answer) -> tuple[str, str] | None:
        """Keep receipts and choices, remember the thread; where the card stands that the answer speaks of."""
        services = self._services
        with services.database.begin() as tx:
            answers.keep(tx, services.tenant, kept, answer_card.document(answer), now=services.now())
            if question.thread:
                self._remember(tx, question)
            cards = outbox.posted(tx, services.tenant, "rollout", answer.rollout_id) if answer.rollout_id else {}
        return next(iter(cards.items()), None)

    def _remember(self, tx: Connection, question: Question) -> None:
        key = (self._services.tenant, ANSWERS, question.thread, question.channel)
        now = self._services.now()
        outbox.claim_message(tx, *key, now=now, lease=timedelta(0))
        outbox.message_written(tx, *key, ts=question.thread.rpartition(":")[2], content_hash="", now=now)

    def _answered_in(self, thread: str) -> bool:
        with self._services.database.read() as tx:
            return bool(outbox.posted(tx, self._services.tenant, ANSWERS, thread))

    async def chosen(self, client: AsyncWebClient, body: Body, carried: str) -> None:
        """One of the readings of an ambiguous question was chosen: it is asked in the same thread."""
        kept, _, number = carried.partition(":")
        document = await self._services.threads.in_thread(self.kept, kept)
        choices = document["alternatives"] if document else []
        acting, where = actor(body), place(body)
        if not number.isdigit() or int(number) >= len(choices):
            await self._voice.whisper(client, where, GONE)
            return
        thread = where.thread_ts or text(body, "container", "message_ts")
        await self.asked(client, acting, Place(where.channel, thread, where.user), str(choices[int(number)]))

    async def receipt(self, client: AsyncWebClient, body: Body, kept: str) -> None:
        """Open what an answer rests on."""
        acting, where = actor(body), place(body)
        try:
            await self._directory.who(client, acting)
        except RefusedError as error:
            await self._turn_away(client, acting, where, error)
            return
        document = await self._services.threads.in_thread(self.kept, kept)
        if document is None:
            await self._voice.whisper(client, where, GONE)
            return
        await client.views_open(trigger_id=text(body, "trigger_id"), view=answer_card.receipt_view(document))

    def kept(self, kept: str) -> dict[str, Any] | None:
        """What was kept of an answer."""
        with self._services.database.read() as tx:
            return answers.kept(tx, self._services.tenant, kept[:64])


GONE = error_card.said("That answer is too old: what stood behind it is gone.", fix="Ask the question again.")


def _thread(team: str, where: Place) -> str:
    """The conversation's name: team, channel, and the ts at the thread's root."""
    return f"{team}:{where.channel}:{where.thread_ts}" if where.thread_ts else ""
