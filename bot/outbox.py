"""The outbox: tells what changed, once - posts a message, edits it in place afterwards, and never posts it twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.shared.message import Message, Reply
from bot.shared.pace import SECONDS_PER_CHANNEL, SECONDS_PER_EDIT, Pace
from bot.shared.posting import NotDeliveredError, Transport
from tools.store import outbox
from tools.store.database import Database
from tools.store.outbox import Posted, Waiting
from tools.telemetry.logs import get_logger
from tools.telemetry.metrics import Metrics

LEASE = timedelta(seconds=60)
FIRST_RETRY, LAST_RETRY = 5, 900
TEXT_ALONE = 3000
LONGEST_SLEEP = 5.0
UNSHOWABLE = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"}
GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}
_UNDRAWABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
Render = Callable[[Waiting], Message | None]
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Channels:
    """Where each topic is told."""

    approvals: str = ""
    digest: str = ""

    def of(self, waiting: Waiting) -> str:
        """Rollouts go to the approvals channel if there is one; else where they were asked for; else to the digest's."""
        first = self.approvals if waiting.topic == "rollout" else ""
        return first or waiting.channel or self.digest


@dataclass(frozen=True, slots=True)
class Outbox:
    """Delivers what waits. `render` draws a subject from what is stored now; None means that there is nothing to show."""

    database: Database
    tenant: str
    transport: Transport
    render: Render
    channels: Channels
    now: Callable[[], datetime]
    metrics: Metrics
    pace: Pace = field(default_factory=Pace)
    sleep: Callable[[float], None] = time.sleep

    def deliver(self) -> int:
        """Tell everything that is due; return how many messages were written. What fails stays, with its reason."""
        with self.database.read() as tx:
            due = list(outbox.due(tx, self.tenant, now=self.now()))
        written = 0
        while due:
            # The channel that is free first goes first, so that a slow one holds nobody else up.
            due.sort(key=lambda waiting: self.pace.free_in(self.channels.of(waiting)))
            written += self._tell(due.pop(0))
        with self.database.read() as tx:
            self.metrics.outbox_waiting.set(outbox.waiting(tx, self.tenant))
        return written

    def _tell(self, waiting: Waiting) -> int:
        channel = self.channels.of(waiting)
        try:
            if not channel:
                raise NotDeliveredError("no_channel", f"No channel is set for {waiting.topic} {waiting.subject}.")
            if (wait := self.pace.free_in(channel)) > LONGEST_SLEEP:
                # Slack asked for a longer pause; sleeping through it would hold everything else up.
                raise NotDeliveredError("paused", f"Slack asks to send less for {wait:.0f} seconds.", wait)
            written = _Subject(self, waiting, channel).tell()
        except NotDeliveredError as error:
            self._failed(waiting, channel, error)
            return 0
        except _UNDRAWABLE as error:
            # One subject whose stored state cannot be drawn must not keep the others from being told.
            _log.error("not_drawable", topic=waiting.topic, subject=waiting.subject, exc_info=error)
            self._failed(waiting, channel, NotDeliveredError("undrawable", "What is stored of it cannot be drawn."))
            return 0
        if written is None:
            return 0
        with self.database.begin() as tx:
            outbox.delivered(tx, self.tenant, waiting, now=self.now())
        return written

    def _failed(self, waiting: Waiting, channel: str, error: NotDeliveredError) -> None:
        """Keep it waiting with its reason: longer each time, or as long as Slack says when it says so."""
        seconds = error.retry_in or float(min(LAST_RETRY, FIRST_RETRY * 2 ** min(waiting.attempts, 10)))
        if error.reason == "ratelimited":
            self.pace.block(channel, seconds)
        with self.database.begin() as tx:
            outbox.failed(
                tx, self.tenant, waiting, now=self.now(), problem=error.what, retry_in=timedelta(seconds=seconds)
            )
        self.metrics.outbox_failures.inc()
        _log.warning("not_delivered", topic=waiting.topic, reason=error.reason, channel=channel, retry_in=seconds)


@dataclass(frozen=True, slots=True)
class _Subject:
    """One subject in one channel: its message, and the replies beneath it."""

    box: Outbox
    waiting: Waiting
    channel: str

    def tell(self) -> int | None:
        """How many messages were written; None while another replica writes this one."""
        message = self.box.render(self.waiting)
        if message is None:
            return 0
        stands = self._once(self.waiting.subject, lambda held, key: self._card(held, key, message))
        if stands is None:
            return None
        ts, written = stands
        for reply in message.replies:
            written += self._told(ts, reply)
        return written

    def _told(self, card: str, reply: Reply) -> int:
        subject = f"{self.waiting.subject}#{reply.key}"
        stands = self._once(subject, lambda held, key: self._beneath(held, key, card, reply))
        return stands[1] if stands is not None else 0

    def _once(self, subject: str, write: Callable[[Posted, str], tuple[str, str, int]]) -> tuple[str, int] | None:
        """Hold the right to this message while `write` posts or edits it: (its ts, how many were written)."""
        box, name = self.box, (self.box.tenant, self.waiting.topic, subject, self.channel)
        with box.database.begin() as tx:
            held = outbox.claim_message(tx, *name, now=box.now(), lease=LEASE)
        if held is None:
            return None
        try:
            ts, content_hash, written = write(held, f"{self.waiting.topic}:{subject}")
        except NotDeliveredError:
            with box.database.begin() as tx:
                outbox.release_message(tx, *name)
            raise
        with box.database.begin() as tx:
            outbox.message_written(tx, *name, ts=ts, content_hash=content_hash, now=box.now())
        return ts, written

    def _card(self, held: Posted, key: str, drawn: Message) -> tuple[str, str, int]:
        ts = held.ts or self._found(held, key)
        wait = self.box.pace.reserve(f"{self.channel}:{ts}", SECONDS_PER_EDIT) if ts else self._slot()
        if wait:
            self.box.sleep(wait)
        # Drawn again now, when it is written: of several changes only the last one needs to be seen.
        message = self.box.render(self.waiting) or drawn
        if held.ts and held.content_hash == message.content_hash:
            return held.ts, held.content_hash, 0
        return self._edited(ts, message, key) or self._posted(message, key), message.content_hash, 1

    def _edited(self, ts: str, message: Message, key: str) -> str:
        """The same ts, or an empty text when nothing stands there any more."""
        if not ts:
            return ""
        try:
            self._drawable(message, lambda m: self.box.transport.edit(self.channel, ts, m, key))
        except NotDeliveredError as error:
            if error.reason in GONE:
                return ""
            raise
        return ts

    def _posted(self, message: Message, key: str) -> str:
        made: list[str] = []
        self._drawable(message, lambda m: made.append(self.box.transport.post(self.channel, m, key)))
        return made[-1]

    def _beneath(self, held: Posted, key: str, card: str, reply: Reply) -> tuple[str, str, int]:
        message = Message(reply.text, reply.blocks)
        if held.ts:
            return self._beneath_again(held, key, message)
        ts = self._found(held, key, card)
        if ts:
            return ts, message.content_hash, 0
        self.box.sleep(self._slot())
        posted: list[str] = []
        self._drawable(
            message, lambda m: posted.append(self.box.transport.post(self.channel, m, key, card, reply.broadcast))
        )
        return posted[-1], message.content_hash, 1

    def _beneath_again(self, held: Posted, key: str, message: Message) -> tuple[str, str, int]:
        """A card in the thread shows what is stored now; one that somebody deleted stays away."""
        if not message.blocks or held.content_hash == message.content_hash:
            return held.ts, held.content_hash, 0
        self.box.sleep(self.box.pace.reserve(f"{self.channel}:{held.ts}", SECONDS_PER_EDIT))
        written = self._edited(held.ts, message, key) != ""
        return held.ts, message.content_hash, int(written)

    def _slot(self) -> float:
        return self.box.pace.reserve(self.channel, SECONDS_PER_CHANNEL)

    def _found(self, held: Posted, key: str, thread_ts: str = "") -> str:
        """Where a message stands whose posting may have ended without an answer; empty when it does not."""
        if not held.tried:
            return ""
        try:
            return self.box.transport.find(self.channel, key, thread_ts)
        except NotDeliveredError as error:
            # Without the permission to look, a second card is better than none: decisions count per version.
            if error.reason == "missing_scope":
                return ""
            raise

    def _drawable(self, message: Message, send: Callable[[Message], None]) -> None:
        """Send the message; if Slack cannot draw it, its text alone."""
        try:
            send(message)
        except NotDeliveredError as error:
            if error.reason not in UNSHOWABLE or not message.blocks:
                raise
            self.box.metrics.slack_events.labels("message", "text_only").inc()
            _log.warning("blocks_refused", reason=error.reason, topic=self.waiting.topic)
            send(Message(message.text[:TEXT_ALONE]))
