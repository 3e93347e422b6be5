"""Migration 0005: finding tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tools.store import metadata as store

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "anomalies",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("keys", store.Json, nullable=False),
        sa.Column("direction", sa.String(length=4), nullable=False),
        sa.Column("started", sa.Date(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("actual", sa.String(length=64), nullable=False),
        sa.Column("expected", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=16), nullable=False),
        sa.Column("score", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("named", sa.Text(), server_default="", nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("drivers", store.Json, nullable=False),
        sa.Column("decided_by", sa.String(length=254), server_default="", nullable=False),
        sa.Column("found_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("told_on", sa.Date(), nullable=True),
        sa.Column("reminded_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_anomalies")),
    )
    op.create_index("ix_anomalies_started", "anomalies", ["tenant", "started"], unique=False)
    op.create_table(
        "anomaly_feedback",
        sa.Column("id", store.AutoId, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("anomaly_id", sa.String(length=32), nullable=False),
        sa.Column("keys", store.Json, nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("given_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("actor_name", sa.String(length=254), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_anomaly_feedback")),
    )
    op.create_index(
        "ix_anomaly_feedback_once", "anomaly_feedback", ["tenant", "anomaly_id", "verdict", "actor"], unique=True
    )
    op.create_table(
        "detector_memories",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("next_day", sa.Date(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("series", store.Json, nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_detector_memories")),
    )
    op.create_table(
        "alert_budgets",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("per_week", sa.Integer(), nullable=False),
        sa.Column("set_by", sa.String(length=254), nullable=False),
        sa.Column("set_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_alert_budgets")),
    )
    op.create_table(
        "day_sightings",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=128), nullable=False),
        sa.Column("currency", sa.String(length=16), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("lag", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cost", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "provider", "currency", "day", "lag", name=op.f("pk_day_sightings")),
    )


def downgrade() -> None:
    for name in ("day_sightings", "alert_budgets", "detector_memories", "anomaly_feedback", "anomalies"):
        op.drop_table(name)
