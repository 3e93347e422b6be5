"""Rollout tables: rollouts and what belongs to them, the stops that hold them, people, and the audit chain."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint

from tools.store.metadata import AutoId, Json, UtcDateTime, metadata

rollouts = Table(
    "rollouts",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("state", String(24), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("gate", Integer, nullable=False),
    Column("plan", Text, nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("account_id", String(64), nullable=False),
    Column("recommendation_id", String(64), nullable=False),
    Column("proposed_by", String(255), nullable=False),
    Column("proposed_by_name", String(255), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("state_since", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("approved_at", UtcDateTime),
    Column("stage_since", UtcDateTime),
    Column("bake_since", UtcDateTime),
    Column("blind_since", UtcDateTime),
    Column("unseen_since", UtcDateTime),
    Column("touched", Boolean, nullable=False),
    Column("held_from", String(24)),
    Column("reason", Text, nullable=False),
    Column("observed", Json, nullable=False),
    Column("progress", String(32), nullable=False),
    Column("baseline", Json, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("rewrites", Integer, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("next_look_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64), nullable=False),
    Column("lease_until", UtcDateTime, nullable=False),
    Column("epoch", Integer, nullable=False),
    Index("ix_rollouts_due", "tenant", "live", "next_look_at"),
)

# One live rollout per resource: the row goes when the rollout ends, so the key is the lock.
rollout_claims = Table(
    "rollout_claims",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("resource_key", String(512), primary_key=True),
    Column("rollout_id", String(64), nullable=False),
    Index("ix_rollout_claims_rollout", "tenant", "rollout_id"),
)

approvals = Table(
    "rollout_approvals",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("rollout_id", String(64), primary_key=True),
    Column("gate", Integer, primary_key=True),
    Column("actor", String(255), primary_key=True),
    Column("actor_name", String(255), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("tenant", "rollout_id", "version"),
)

intents = Table(
    "rollout_intents",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("rollout_id", String(64), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("gate", Integer, nullable=False),
    Column("direction", String(8), nullable=False),
    Column("desired", Json, nullable=False),
    Column("status", String(8), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("accepted_at", UtcDateTime),
    Column("detail", Text, nullable=False),
    Index("ix_rollout_intents_rollout", "tenant", "rollout_id", "created_at"),
)

verdicts = Table(
    "rollout_verdicts",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("rollout_id", String(64), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("why", Text, nullable=False),
    Column("numbers", Json, nullable=False),
    Index("ix_rollout_verdicts_rollout", "tenant", "rollout_id", "id"),
)

reviews = Table(
    "rollout_reviews",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("rollout_id", String(64), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("reviewer", String(32), nullable=False),
    Column("opinion", String(16), nullable=False),
    Column("why", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

events = Table(
    "rollout_events",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("rollout_id", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("what", Text, nullable=False),
    Index("ix_rollout_events_rollout", "tenant", "rollout_id", "id"),
)

# The kill switch is the row "stop"; it is read under a lock by whoever is about to send an effect.
stops = Table(
    "rollout_stops",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("is_on", Boolean, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime),
)

freezes = Table(
    "rollout_freezes",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("reason", Text, nullable=False),
)

people = Table(
    "people",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("email", String(255), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("slack_team", String(32)),
    Column("slack_user", String(32)),
    Column("active", Boolean, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("tenant", "slack_team", "slack_user"),
)

audit = Table(
    "audit",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_subject", "tenant", "subject"),
)

# The end of each tenant's chain: it puts writers in line, and shows when records were cut off at the end.
audit_heads = Table(
    "audit_heads",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
