"""Resource tables: what exists at the clouds, how each account's last look went, and prices that were seen."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, String, Table, Text

from tools.store.metadata import Json, UtcDateTime, metadata

resources = Table(
    "resources",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("provider", String(32), primary_key=True),
    Column("account_id", String(64), primary_key=True),
    Column("region", String(64), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("tags", Json, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Index("ix_resources_kind", "tenant", "kind"),
)

looks = Table(
    "inventory_looks",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("provider", String(32), primary_key=True),
    Column("account_id", String(64), primary_key=True),
    Column("tried_at", UtcDateTime, nullable=False),
    Column("complete_at", UtcDateTime),
    Column("ok", Boolean, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    Column("missing", Json, nullable=False),
)

prices = Table(
    "prices",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("provider", String(32), primary_key=True),
    Column("region", String(64), primary_key=True),
    Column("sku", String(64), primary_key=True),
    Column("purchase", String(16), primary_key=True),
    Column("unit", String(16), primary_key=True),
    Column("low", String(40), nullable=False),
    Column("usual", String(40), nullable=False),
    Column("high", String(40), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("source", Text, nullable=False),
)
