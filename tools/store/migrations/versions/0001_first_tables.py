"""Migration 0001: first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tools.store import metadata as store

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "slots",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("slot", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("lease_until", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant", "job", "slot", name=op.f("pk_slots")),
    )


def downgrade() -> None:
    op.drop_table("slots")
