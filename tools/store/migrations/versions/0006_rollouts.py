"""Migration 0006: rollout, people and audit tables; the audit chain can only grow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tools.store import metadata as store

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SQLITE = """
CREATE TRIGGER audit_{verb} BEFORE {verb} ON audit
BEGIN SELECT RAISE(ABORT, 'audit records are never changed'); END
"""
_POSTGRESQL = """
CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'audit records are never changed'; END $$;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE ON audit
FOR EACH ROW EXECUTE FUNCTION audit_only_grows();
"""


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "seq", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_subject", "audit", ["tenant", "subject"], unique=False)
    op.create_table(
        "audit_heads",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "people",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("slack_team", sa.String(length=32), nullable=True),
        sa.Column("slack_user", sa.String(length=32), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("updated_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "email", name=op.f("pk_people")),
        sa.UniqueConstraint("tenant", "slack_team", "slack_user", name=op.f("uq_people_tenant_slack_team_slack_user")),
    )
    op.create_table(
        "rollout_approvals",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("rollout_id", sa.String(length=64), nullable=False),
        sa.Column("gate", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("actor_name", sa.String(length=255), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("plan_hash", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "rollout_id", "gate", "actor", name=op.f("pk_rollout_approvals")),
        sa.UniqueConstraint(
            "tenant", "rollout_id", "version", name=op.f("uq_rollout_approvals_tenant_rollout_id_version")
        ),
    )
    op.create_table(
        "rollout_claims",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("resource_key", sa.String(length=512), nullable=False),
        sa.Column("rollout_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "resource_key", name=op.f("pk_rollout_claims")),
    )
    op.create_index("ix_rollout_claims_rollout", "rollout_claims", ["tenant", "rollout_id"], unique=False)
    op.create_table(
        "rollout_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("rollout_id", sa.String(length=64), nullable=False),
        sa.Column("at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollout_events")),
    )
    op.create_index("ix_rollout_events_rollout", "rollout_events", ["tenant", "rollout_id", "id"], unique=False)
    op.create_table(
        "rollout_freezes",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("starts_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ends_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_rollout_freezes")),
    )
    op.create_table(
        "rollout_intents",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("rollout_id", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("gate", sa.Integer(), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("desired", store.Json, nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("sent_at", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_rollout_intents")),
    )
    op.create_index(
        "ix_rollout_intents_rollout", "rollout_intents", ["tenant", "rollout_id", "created_at"], unique=False
    )
    op.create_table(
        "rollout_stops",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", store.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_rollout_stops")),
    )
    op.create_table(
        "rollout_reviews",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("rollout_id", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reviewer", sa.String(length=32), nullable=False),
        sa.Column("opinion", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("evidence", store.Json, nullable=False),
        sa.Column("at", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "rollout_id", "place", name=op.f("pk_rollout_reviews")),
    )
    op.create_table(
        "rollout_verdicts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("rollout_id", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("first_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("numbers", store.Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollout_verdicts")),
    )
    op.create_index("ix_rollout_verdicts_rollout", "rollout_verdicts", ["tenant", "rollout_id", "id"], unique=False)
    op.create_table(
        "rollouts",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("gate", sa.Integer(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("plan_hash", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("recommendation_id", sa.String(length=64), nullable=False),
        sa.Column("proposed_by", sa.String(length=255), nullable=False),
        sa.Column("proposed_by_name", sa.String(length=255), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("created_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("state_since", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("approved_at", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("stage_since", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("bake_since", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("blind_since", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("unseen_since", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("touched", sa.Boolean(), nullable=False),
        sa.Column("held_from", sa.String(length=24), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("observed", store.Json, nullable=False),
        sa.Column("progress", sa.String(length=32), nullable=False),
        sa.Column("baseline", store.Json, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("rewrites", sa.Integer(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("next_look_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=False),
        sa.Column("lease_until", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_rollouts")),
    )
    op.create_index("ix_rollouts_due", "rollouts", ["tenant", "live", "next_look_at"], unique=False)
    # ### end Alembic commands ###
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(_SQLITE.format(verb=verb))
    else:
        op.execute(_POSTGRESQL)


def downgrade() -> None:
    for name in (
        "rollout_freezes",
        "rollout_stops",
        "rollout_events",
        "rollout_reviews",
        "rollout_verdicts",
        "rollout_intents",
        "rollout_approvals",
        "rollout_claims",
        "rollouts",
        "people",
        "audit_heads",
        "audit",
    ):
        op.drop_table(name)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION audit_only_grows()")
