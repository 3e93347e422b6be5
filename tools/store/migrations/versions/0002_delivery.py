"""Migration 0002: delivery tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tools.store import metadata as store

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "inbox",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("event_key", sa.String(length=128), nullable=False),
        sa.Column("received_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "event_key", name=op.f("pk_inbox")),
    )
    op.create_index("ix_inbox_age", "inbox", ["received_at"], unique=False)
    op.create_table(
        "messages",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("ts", sa.String(length=32), server_default="", nullable=False),
        sa.Column("content_hash", sa.String(length=64), server_default="", nullable=False),
        sa.Column("claimed_until", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("updated_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "topic", "subject", "channel", name=op.f("pk_messages")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", store.AutoId, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("channel", sa.String(length=64), server_default="", nullable=False),
        sa.Column("created_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("next_try_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("delivered_at", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_waiting", "outbox", ["tenant", "delivered_at", "next_try_at"], unique=False)
    op.create_table(
        "digests",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("body", store.Json, nullable=False),
        sa.Column("composed_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "day", name=op.f("pk_digests")),
    )
    op.create_table(
        "answers",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("body", store.Json, nullable=False),
        sa.Column("kept_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_answers")),
    )
    op.create_index("ix_answers_age", "answers", ["kept_at"], unique=False)


def downgrade() -> None:
    for name in ("answers", "digests", "outbox", "messages", "inbox"):
        op.drop_table(name)
