"""Saving tables: recommendations that were found, what people said of them, and what rollouts really saved."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, Index, Integer, String, Table, Text

from tools.store.metadata import Json, UtcDateTime, metadata

recommendations = Table(
    "recommendations",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("account_id", String(64), nullable=False),
    Column("region", String(64), nullable=False),
    Column("service", String(128), nullable=False),
    Column("title", Text, nullable=False),
    Column("resource_ids", Json, nullable=False),
    Column("saving_low", String(64), nullable=False),
    Column("saving_expected", String(64), nullable=False),
    Column("saving_high", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("confidence", String(16), nullable=False),
    Column("risk", String(2), nullable=False),
    Column("reversible", Boolean, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("price_source", Text, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("blocked_by", Json, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("confirmed_at", UtcDateTime, nullable=False),
    Column("gone_at", UtcDateTime),
    Index("ix_recommendations_open", "tenant", "gone_at", "kind"),
)

feedback = Table(
    "recommendation_feedback",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("recommendation_id", String(64), primary_key=True),
    Column("actor", String(255), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("word", String(16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("rollout_id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("estimated_monthly", String(64), nullable=False),
    Column("realised_monthly", String(64)),
    Column("currency", String(3), nullable=False),
    Column("measured_from", Date),
    Column("measured_to", Date),
    Column("verdict", String(16), nullable=False),
    Column("why", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

calibrations = Table(
    "calibrations",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("low", String(32), nullable=False),
    Column("usual", String(32), nullable=False),
    Column("high", String(32), nullable=False),
    Column("outcomes", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
