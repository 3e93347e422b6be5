"""Clock tables: which replica ran which job's slot."""

from __future__ import annotations

from sqlalchemy import Column, String, Table, Text

from tools.store.metadata import UtcDateTime, metadata

slots = Table(
    "slots",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("job", String(32), primary_key=True),
    Column("slot", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("lease_until", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("outcome", Text, nullable=False, server_default=""),
)
