"""Finding tables: anomalies, what people said of them, how many they want, and what the detector remembers."""

from __future__ import annotations

from sqlalchemy import Column, Date, Index, Integer, LargeBinary, String, Table, Text

from tools.store.metadata import AutoId, Json, UtcDateTime, metadata

# Amounts are decimal text: they are read and shown, never summed by the database.
anomalies = Table(
    "anomalies",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("keys", Json, nullable=False),
    Column("direction", String(4), nullable=False),
    Column("started", Date, nullable=False),
    Column("days", Integer, nullable=False),
    Column("actual", String(64), nullable=False),
    Column("expected", String(64), nullable=False),
    Column("currency", String(16), nullable=False),
    Column("score", String(32), nullable=False),
    Column("severity", String(8), nullable=False),
    Column("status", String(16), nullable=False),
    Column("named", Text, nullable=False, server_default=""),
    Column("why", Text, nullable=False),
    Column("drivers", Json, nullable=False),
    Column("decided_by", String(254), nullable=False, server_default=""),
    Column("found_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    # The digest's day on which it was told first, and last.
    Column("told_on", Date),
    Column("reminded_on", Date),
    Index("ix_anomalies_started", "tenant", "started"),
)

anomaly_feedback = Table(
    "anomaly_feedback",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("anomaly_id", String(32), nullable=False),
    Column("keys", Json, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("actor", String(254), nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", Date),
    Column("given_at", UtcDateTime, nullable=False),
    # The person's name as it was then, for showing.
    Column("actor_name", String(254), nullable=False, server_default=""),
    # A person says a thing about an anomaly once, however often they press.
    Index("ix_anomaly_feedback_once", "tenant", "anomaly_id", "verdict", "actor", unique=True),
)

detector_memories = Table(
    "detector_memories",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("next_day", Date, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("series", Json, nullable=False),
    Column("block", LargeBinary, nullable=False),
)

# How many alerts a week a customer wants, where that differs from the installation's setting.
alert_budgets = Table(
    "alert_budgets",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("per_week", Integer, nullable=False),
    Column("set_by", String(254), nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
)

# What a provider's bill said of a day when it was looked at `lag` days after it: how late bills come in is learned.
day_sightings = Table(
    "day_sightings",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("provider", String(128), primary_key=True),
    Column("currency", String(16), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("lag", Integer, primary_key=True, autoincrement=False),
    Column("cost", String(64), nullable=False),
)
