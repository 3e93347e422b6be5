"""Migration 0004: resources, prices, recommendations and outcomes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tools.store import metadata as store

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calibrations",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("low", sa.String(length=32), nullable=False),
        sa.Column("usual", sa.String(length=32), nullable=False),
        sa.Column("high", sa.String(length=32), nullable=False),
        sa.Column("outcomes", sa.Integer(), nullable=False),
        sa.Column("updated_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "kind", name=op.f("pk_calibrations")),
    )
    op.create_table(
        "inventory_looks",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("tried_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("complete_at", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("missing", store.Json, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "provider", "account_id", name=op.f("pk_inventory_looks")),
    )
    op.create_table(
        "outcomes",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("rollout_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("estimated_monthly", sa.String(length=64), nullable=False),
        sa.Column("realised_monthly", sa.String(length=64), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("measured_from", sa.Date(), nullable=True),
        sa.Column("measured_to", sa.Date(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("updated_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "rollout_id", name=op.f("pk_outcomes")),
    )
    op.create_table(
        "prices",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("purchase", sa.String(length=16), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("low", sa.String(length=40), nullable=False),
        sa.Column("usual", sa.String(length=40), nullable=False),
        sa.Column("high", sa.String(length=40), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("observed_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "provider", "region", "sku", "purchase", "unit", name=op.f("pk_prices")),
    )
    op.create_table(
        "recommendation_feedback",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("recommendation_id", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("word", sa.String(length=16), nullable=False),
        sa.Column("at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "recommendation_id", "actor", name=op.f("pk_recommendation_feedback")),
    )
    op.create_table(
        "recommendations",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=128), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("resource_ids", store.Json, nullable=False),
        sa.Column("saving_low", sa.String(length=64), nullable=False),
        sa.Column("saving_expected", sa.String(length=64), nullable=False),
        sa.Column("saving_high", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("confidence", sa.String(length=16), nullable=False),
        sa.Column("risk", sa.String(length=2), nullable=False),
        sa.Column("reversible", sa.Boolean(), nullable=False),
        sa.Column("evidence", store.Json, nullable=False),
        sa.Column("price_source", sa.Text(), nullable=False),
        sa.Column("parameters", store.Json, nullable=False),
        sa.Column("blocked_by", store.Json, nullable=False),
        sa.Column("found_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("gone_at", store.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_recommendations")),
    )
    op.create_index("ix_recommendations_open", "recommendations", ["tenant", "gone_at", "kind"], unique=False)
    op.create_table(
        "resources",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("tags", store.Json, nullable=False),
        sa.Column("attributes", store.Json, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("seen_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "provider", "account_id", "region", "kind", "id", name=op.f("pk_resources")),
    )
    op.create_index("ix_resources_kind", "resources", ["tenant", "kind"], unique=False)


def downgrade() -> None:
    for name in (
        "resources",
        "recommendations",
        "recommendation_feedback",
        "prices",
        "outcomes",
        "inventory_looks",
        "calibrations",
    ):
        op.drop_table(name)
