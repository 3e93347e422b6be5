"""Migration 0003: fact tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tools.store import metadata as store

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COSTS = [
    "rows",
    "billed_micros",
    "billed_rest",
    "effective_micros",
    "effective_rest",
    "list_micros",
    "list_rest",
    "list_unknown",
    "contracted_micros",
    "contracted_rest",
    "contracted_unknown",
]
_WORDS = [
    "provider",
    "billing_account_id",
    "sub_account_id",
    "sub_account_name",
    "service_name",
    "service_category",
    "charge_category",
    "charge_class",
    "currency",
    "region_id",
    "pricing_category",
    "commitment_discount_id",
    "commitment_discount_status",
    "tag_1",
    "tag_2",
    "tag_3",
    "tag_4",
    "tag_5",
    "tag_6",
    "tag_7",
    "tag_8",
    "tag_9",
    "tag_10",
    "resource_id",
    "resource_name",
    "sku_id",
    "charge_description",
    "consumed_unit",
]


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def upgrade() -> None:
    op.create_table(
        "loads",
        sa.Column("id", store.AutoId, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=128), nullable=False),
        sa.Column("billing_account_id", sa.String(length=512), nullable=False),
        sa.Column("billing_period", sa.Date(), nullable=False),
        sa.Column("fingerprint", sa.String(length=80), server_default="", nullable=False),
        sa.Column("detail_fingerprint", sa.String(length=80), server_default="", nullable=False),
        _text("tag_keys"),
        _whole("rows"),
        _whole("rejected"),
        sa.Column("first_day", sa.Date(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("loaded_at", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("checked_at", store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("report", store.Json, server_default="{}", nullable=False),
        sa.Column("facts_store", sa.String(length=64), server_default="", nullable=False),
        _whole("facts_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loads")),
        sa.UniqueConstraint(
            "tenant",
            "provider",
            "billing_account_id",
            "billing_period",
            name=op.f("uq_loads_tenant_provider_billing_account_id_billing_period"),
        ),
    )
    op.create_table(
        "load_totals",
        sa.Column("load_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("currency", sa.String(length=16), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        *(_whole(name) for name in _COSTS),
        sa.PrimaryKeyConstraint("load_id", "currency", name=op.f("pk_load_totals")),
    )
    op.create_table(
        "load_files",
        sa.Column("load_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("load_id", "digest", name=op.f("pk_load_files")),
    )
    op.create_table(
        "load_history",
        sa.Column("id", store.AutoId, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("load_id", sa.BigInteger(), nullable=False),
        sa.Column("at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("differences", store.Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_load_history")),
    )
    op.create_index(op.f("ix_load_history_tenant"), "load_history", ["tenant"], unique=False)
    op.create_table(
        "tag_slots",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", name=op.f("pk_tag_slots")),
        sa.UniqueConstraint("tenant", "slot", name=op.f("uq_tag_slots_tenant_slot")),
    )
    op.create_table(
        "cost_series",
        sa.Column("id", store.AutoId, autoincrement=False, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("load_id", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        *(_text(name) for name in _WORDS),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost_series")),
    )
    op.create_table(
        "cost_facts",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        *(_whole(name) for name in _COSTS),
        sa.Column("quantity", sa.Double(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant", "level", "day", "series_id", name=op.f("pk_cost_facts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fact_leftovers",
        sa.Column("facts_store", sa.String(length=64), nullable=False),
        sa.Column("facts_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("since", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("facts_store", "facts_id", "level", name=op.f("pk_fact_leftovers")),
    )
    op.create_table(
        "paid_answers",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("until", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "provider", "account_id", "key", name=op.f("pk_paid_answers")),
    )
    op.create_table(
        "paid_requests",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("requests", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant", "provider", "account_id", "day", name=op.f("pk_paid_requests")),
    )
    op.create_table(
        "invoices",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=128), nullable=False),
        sa.Column("billing_account_id", sa.String(length=512), nullable=False),
        sa.Column("billing_period", sa.Date(), nullable=False),
        sa.Column("invoice_id", sa.String(length=256), nullable=False),
        sa.Column("currency", sa.String(length=16), nullable=False),
        *(_whole(name) for name in ("amount_micros", "amount_rest", "tax_micros", "tax_rest")),
        sa.Column("tax_known", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("as_of", store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant",
            "provider",
            "billing_account_id",
            "billing_period",
            "invoice_id",
            "currency",
            name=op.f("pk_invoices"),
        ),
    )
    op.create_table(
        "load_invoices",
        sa.Column("load_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("invoice_id", sa.String(length=256), nullable=False),
        sa.Column("currency", sa.String(length=16), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        *(_whole(name) for name in ("rows", "lines")),
        *(
            _whole(f"{name}_{part}")
            for name in ("billed", "tax", "credits", "purchases")
            for part in ("micros", "rest")
        ),
        sa.PrimaryKeyConstraint("load_id", "invoice_id", "currency", name=op.f("pk_load_invoices")),
    )
    op.create_table(
        "billing_looks",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=128), nullable=False),
        sa.Column("account_id", sa.String(length=512), nullable=False),
        sa.Column("tried_at", store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("missing", store.Json, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "provider", "account_id", name=op.f("pk_billing_looks")),
    )


def downgrade() -> None:
    facts = ("cost_facts", "cost_series", "tag_slots", "load_history", "load_files", "load_totals", "loads")
    for name in (
        "billing_looks",
        "load_invoices",
        "invoices",
        "paid_requests",
        "paid_answers",
        "fact_leftovers",
        *facts,
    ):
        op.drop_table(name)
