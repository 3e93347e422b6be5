"""Allocation tables: versions of allocation rules, budgets with the alerts that were told, and people's own metrics."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, Integer, String, Table, Text

from tools.store.metadata import Json, UtcDateTime, metadata

allocation_versions = Table(
    "allocation_versions",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("dimension", String(32), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# A budget that is set anew has the next revision: its alerts may be told again.
budgets = Table(
    "budgets",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("amount", String(64), nullable=False),
    Column("currency", String(16), nullable=False),
    Column("period", String(16), nullable=False),
    Column("metric", String(32), nullable=False),
    Column("scope", Json, nullable=False),
    Column("levels", Json, nullable=False),
    Column("chance", Integer, nullable=False),
    Column("channel", String(64), nullable=False, server_default=""),
    Column("removed", Boolean, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
)

budget_alerts = Table(
    "budget_alerts",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("budget", String(64), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("period_start", Date, primary_key=True),
    Column("level", String(16), primary_key=True),
    Column("body", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# `scope` is JSON text with sorted keys: what the value is of ("{}": of everything).
unit_values = Table(
    "unit_values",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("metric", String(64), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("scope", String(1024), primary_key=True),
    Column("value", String(64), nullable=False),
    Column("imported_at", UtcDateTime, nullable=False),
)
