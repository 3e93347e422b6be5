"""Delivery tables: what waits to be told, where it was told, digests as told, and outside events already taken in."""

from __future__ import annotations

from sqlalchemy import Column, Date, Index, Integer, String, Table, Text

from tools.store.metadata import AutoId, Json, UtcDateTime, metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("topic", String(32), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("channel", String(64), nullable=False, server_default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_try_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("delivered_at", UtcDateTime),
    Column("problem", Text, nullable=False, server_default=""),
    Index("ix_outbox_waiting", "tenant", "delivered_at", "next_try_at"),
)

messages = Table(
    "messages",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("topic", String(32), primary_key=True),
    Column("subject", String(128), primary_key=True),
    Column("channel", String(64), primary_key=True),
    Column("ts", String(32), nullable=False, server_default=""),
    Column("content_hash", String(64), nullable=False, server_default=""),
    Column("claimed_until", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("event_key", String(128), primary_key=True),
    Column("received_at", UtcDateTime, nullable=False),
    Index("ix_inbox_age", "received_at"),
)

digests = Table(
    "digests",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("body", Json, nullable=False),
    Column("composed_at", UtcDateTime, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("body", Json, nullable=False),
    Column("kept_at", UtcDateTime, nullable=False),
    Index("ix_answers_age", "kept_at"),
)
