"""Paid tables: requests to clouds that cost money, counted per day, and the answers that were paid for."""

from __future__ import annotations

from sqlalchemy import Column, Date, Integer, String, Table, Text

from tools.store.metadata import UtcDateTime, metadata

paid_requests = Table(
    "paid_requests",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("provider", String(32), primary_key=True),
    Column("account_id", String(64), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("requests", Integer, nullable=False, server_default="0"),
)

paid_answers = Table(
    "paid_answers",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("provider", String(32), primary_key=True),
    Column("account_id", String(64), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("answer", Text, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)
