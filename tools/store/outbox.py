"""Outbox: what changed and waits to be told, written in the transaction that changed it; and where it was told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Update, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from tools.store.delivery_tables import inbox, messages, outbox


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing to tell: the newest state of `subject`, whatever was written since. `last_id` covers all its rows."""

    topic: str
    subject: str
    channel: str
    last_id: int
    attempts: int


def put(tx: Connection, tenant: str, topic: str, subject: str, *, now: datetime, channel: str = "") -> None:
    """Note that `subject` changed and must be told (in `channel`, or where that topic is told)."""
    row = {"tenant": tenant, "topic": topic, "subject": subject, "channel": channel}
    tx.execute(_PUT, row | {"created_at": now, "next_try_at": now})


_PUT = insert(outbox)


def due(tx: Connection, tenant: str, *, now: datetime, limit: int = 50) -> tuple[Waiting, ...]:
    """What waits, oldest first, one entry per (topic, subject, channel) however often it changed."""
    rows = tx.execute(
        select(
            outbox.c.topic,
            outbox.c.subject,
            outbox.c.channel,
            func.max(outbox.c.id).label("last_id"),
            func.max(outbox.c.attempts).label("attempts"),
        )
        .where(outbox.c.tenant == tenant, outbox.c.delivered_at.is_(None))
        .group_by(outbox.c.topic, outbox.c.subject, outbox.c.channel)
        .having(func.max(outbox.c.next_try_at) <= now)
        .order_by(func.min(outbox.c.id))
        .limit(limit)
    )
    return tuple(Waiting(r.topic, r.subject, r.channel, r.last_id, r.attempts) for r in rows)


def delivered(tx: Connection, tenant: str, waiting: Waiting, *, now: datetime) -> None:
    """Everything of this subject up to what was read is told now; what was written meanwhile stays waiting."""
    tx.execute(_rows(tenant, waiting).values(delivered_at=now, problem=""))


def failed(
    tx: Connection, tenant: str, waiting: Waiting, *, now: datetime, problem: str, retry_in: timedelta | None
) -> None:
    """Try again later, or (None) give up for good with the reason kept."""
    values: dict[str, object] = {"problem": problem[:500], "attempts": waiting.attempts + 1}
    values |= {"delivered_at": now} if retry_in is None else {"next_try_at": now + retry_in}
    tx.execute(_rows(tenant, waiting).values(**values))


def _rows(tenant: str, waiting: Waiting) -> Update:
    return update(outbox).where(
        outbox.c.tenant == tenant,
        outbox.c.topic == waiting.topic,
        outbox.c.subject == waiting.subject,
        outbox.c.channel == waiting.channel,
        outbox.c.delivered_at.is_(None),
        outbox.c.id <= waiting.last_id,
    )


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that stands in a channel; `ts` is empty while its first posting is under way.

    `tried` says that somebody held this right before: without a `ts`, the message may stand there all the same.
    """

    ts: str
    content_hash: str
    tried: bool = field(default=False, compare=False)


def claim_message(
    tx: Connection, tenant: str, topic: str, subject: str, channel: str, *, now: datetime, lease: timedelta
) -> Posted | None:
    """Take the right to write this message, so that one replica writes it; None while another one holds it."""
    key = {"tenant": tenant, "topic": topic, "subject": subject, "channel": channel}
    tried = False
    try:
        with tx.begin_nested():
            tx.execute(insert(messages).values(**key, claimed_until=now + lease, updated_at=now))
    except IntegrityError:
        tried = True
        mine = tx.execute(
            update(messages)
            .where(
                _is(tenant, topic, subject, channel),
                (messages.c.claimed_until.is_(None)) | (messages.c.claimed_until <= now),
            )
            .values(claimed_until=now + lease)
        )
        if mine.rowcount != 1:
            return None
    row = tx.execute(select(messages).where(_is(tenant, topic, subject, channel))).one()
    return Posted(row.ts, row.content_hash, tried)


def message_written(
    tx: Connection, tenant: str, topic: str, subject: str, channel: str, *, ts: str, content_hash: str, now: datetime
) -> None:
    """Remember where the message stands and what it says, and let others write it again."""
    tx.execute(
        update(messages)
        .where(_is(tenant, topic, subject, channel))
        .values(ts=ts, content_hash=content_hash, claimed_until=None, updated_at=now)
    )


def release_message(tx: Connection, tenant: str, topic: str, subject: str, channel: str) -> None:
    """Give the right to write back without having written."""
    tx.execute(update(messages).where(_is(tenant, topic, subject, channel)).values(claimed_until=None))


def _is(tenant: str, topic: str, subject: str, channel: str) -> ColumnElement[bool]:
    return and_(
        messages.c.tenant == tenant,
        messages.c.topic == topic,
        messages.c.subject == subject,
        messages.c.channel == channel,
    )


def posted(tx: Connection, tenant: str, topic: str, subject: str) -> dict[str, str]:
    """Channel -> ts of every message that stands for this subject."""
    rows = tx.execute(
        select(messages.c.channel, messages.c.ts).where(
            messages.c.tenant == tenant, messages.c.topic == topic, messages.c.subject == subject, messages.c.ts != ""
        )
    )
    return {row.channel: row.ts for row in rows}


def standing_at(tx: Connection, tenant: str, topic: str, channel: str, moments: Iterable[str]) -> set[str]:
    """The subjects of that topic whose message stands in the channel at one of these ts, or in whose thread one does."""
    wanted = sorted({ts for ts in moments if ts})
    rows = tx.execute(
        select(messages.c.subject).where(
            messages.c.tenant == tenant,
            messages.c.topic == topic,
            messages.c.channel == channel,
            messages.c.ts.in_(wanted),
        )
    )
    return {row.subject.partition("#")[0] for row in rows}


@dataclass(frozen=True, slots=True)
class Stuck:
    """Something that could not be told yet: how often it was tried since when, and why it failed last."""

    topic: str
    subject: str
    channel: str
    since: datetime
    attempts: int
    problem: str


def stuck(tx: Connection, tenant: str) -> tuple[Stuck, ...]:
    """What failed at least once and still waits, oldest first."""
    rows = tx.execute(
        select(outbox)
        .where(outbox.c.tenant == tenant, outbox.c.delivered_at.is_(None), outbox.c.problem != "")
        .order_by(outbox.c.id)
    )
    return tuple(Stuck(r.topic, r.subject, r.channel, r.created_at, r.attempts, r.problem) for r in rows)


def waiting(tx: Connection, tenant: str) -> int:
    """How many entries wait to be told."""
    count = tx.execute(
        select(func.count()).select_from(outbox).where(outbox.c.tenant == tenant, outbox.c.delivered_at.is_(None))
    )
    return int(count.scalar_one())


def take_in(tx: Connection, tenant: str, event_key: str, *, now: datetime) -> bool:
    """True the first time an outside event is seen; False when it was taken in before."""
    try:
        with tx.begin_nested():
            tx.execute(insert(inbox).values(tenant=tenant, event_key=event_key, received_at=now))
    except IntegrityError:
        return False
    return True


def forget_before(tx: Connection, moment: datetime) -> int:
    """Drop inbox rows and told outbox rows older than `moment`; return how many."""
    old = tx.execute(delete(inbox).where(inbox.c.received_at < moment)).rowcount
    told = tx.execute(delete(outbox).where(outbox.c.delivered_at.is_not(None), outbox.c.delivered_at < moment)).rowcount
    return old + told
