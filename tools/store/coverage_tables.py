"""Coverage tables: what providers invoiced, what our rows say of those invoices, and how each bill could be read."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, String, Table, Text

from tools.store.metadata import Json, UtcDateTime, metadata

_PARTS = ("billed", "tax", "credits", "purchases")


def _money(name: str) -> tuple[Column[int], Column[int]]:
    """An amount as the two integers of tools/model/money.py."""
    return (
        Column(f"{name}_micros", BigInteger, nullable=False, server_default="0"),
        Column(f"{name}_rest", BigInteger, nullable=False, server_default="0"),
    )


# What a provider asked for; without an id it is the total of the period's invoices.
invoices = Table(
    "invoices",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("provider", String(128), primary_key=True),
    Column("billing_account_id", String(512), primary_key=True),
    Column("billing_period", Date, primary_key=True),
    Column("invoice_id", String(256), primary_key=True),
    Column("currency", String(16), primary_key=True),
    *_money("amount"),
    *_money("tax"),
    Column("tax_known", Boolean, nullable=False),
    Column("source", String(255), nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
)

# Of each load: what its rows add up to per invoice that they name ("" for none).
load_invoices = Table(
    "load_invoices",
    metadata,
    Column("load_id", BigInteger, primary_key=True, autoincrement=False),
    Column("invoice_id", String(256), primary_key=True),
    Column("currency", String(16), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    Column("lines", BigInteger, nullable=False, server_default="0"),
    *(column for part in _PARTS for column in _money(part)),
)

# How the last reading of each account's bill through its cloud's API went.
billing_looks = Table(
    "billing_looks",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("provider", String(128), primary_key=True),
    Column("account_id", String(512), primary_key=True),
    Column("tried_at", UtcDateTime, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    Column("missing", Json, nullable=False),
)
