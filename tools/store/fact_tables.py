"""Fact tables: rolled-up cost per day and series at three levels of detail, and the ledger of what was loaded."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, Double, SmallInteger, String, Table, Text, UniqueConstraint

from tools.store.metadata import AutoId, Json, UtcDateTime, metadata

# Levels: what a row of facts is split by. The query layer reads the coarsest that can answer.
ACCOUNTS, TAGS, DETAIL = 1, 2, 3
TAG_SLOTS = 10
# The bits that number the series of one load.
ID_BITS = 24


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _whole(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


loads = Table(
    "loads",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("provider", String(128), nullable=False),
    Column("billing_account_id", String(512), nullable=False),
    Column("billing_period", Date, nullable=False),
    Column("fingerprint", String(80), nullable=False, server_default=""),
    Column("detail_fingerprint", String(80), nullable=False, server_default=""),
    _text("tag_keys"),
    _whole("rows"),
    _whole("rejected"),
    Column("first_day", Date),
    Column("last_day", Date),
    Column("loaded_at", UtcDateTime),
    Column("checked_at", UtcDateTime),
    Column("report", Json, nullable=False, server_default="{}"),
    # Where its facts lie, and under which load id: beside this table (empty) under its own, or in another store.
    Column("facts_store", String(64), nullable=False, server_default=""),
    _whole("facts_id"),
    UniqueConstraint("tenant", "provider", "billing_account_id", "billing_period"),
)

load_totals = Table(
    "load_totals",
    metadata,
    Column("load_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", String(16), primary_key=True),
    Column("tenant", String(64), nullable=False),
    _whole("rows"),
    _whole("billed_micros"),
    _whole("billed_rest"),
    _whole("effective_micros"),
    _whole("effective_rest"),
    _whole("list_micros"),
    _whole("list_rest"),
    _whole("list_unknown"),
    _whole("contracted_micros"),
    _whole("contracted_rest"),
    _whole("contracted_unknown"),
)

# The files that a load was made of, by what is in them: the same files again need not be read.
load_files = Table(
    "load_files",
    metadata,
    Column("load_id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(80), primary_key=True),
    Column("tenant", String(64), nullable=False),
)

load_history = Table(
    "load_history",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False, index=True),
    Column("load_id", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("status", String(16), nullable=False),
    Column("differences", Json, nullable=False),
)

# Facts in another store that the ledger does not speak of, not yet or no longer: they are taken out after a while.
# `level` 0 is all of a load. A claimed one is being taken out and cannot be published any more.
fact_leftovers = Table(
    "fact_leftovers",
    metadata,
    Column("facts_store", String(64), primary_key=True),
    Column("facts_id", BigInteger, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("tenant", String(64), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("claimed", Boolean, nullable=False),
)

tag_slots = Table(
    "tag_slots",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("slot", SmallInteger, nullable=False),
    UniqueConstraint("tenant", "slot"),
)

# One combination of dimensions within one load. An empty text means "no value". Ids of a load are
# `load_id << 24` onwards, so that a load's rows are found by a range of ids.
series = Table(
    "cost_series",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=False),
    Column("tenant", String(64), nullable=False),
    Column("load_id", BigInteger, nullable=False),
    Column("level", SmallInteger, nullable=False),
    _text("provider"),
    _text("billing_account_id"),
    _text("sub_account_id"),
    _text("sub_account_name"),
    _text("service_name"),
    _text("service_category"),
    _text("charge_category"),
    _text("charge_class"),
    _text("currency"),
    _text("region_id"),
    _text("pricing_category"),
    _text("commitment_discount_id"),
    _text("commitment_discount_status"),
    *(_text(f"tag_{n}") for n in range(1, TAG_SLOTS + 1)),
    _text("resource_id"),
    _text("resource_name"),
    _text("sku_id"),
    _text("charge_description"),
    _text("consumed_unit"),
)

# Money is two integers (tools/model/money.py): SUM of both, joined, is the exact sum. `*_unknown` counts the
# rows without that cost; quantity is a measure, not money, and kept at the detail level only.
facts = Table(
    "cost_facts",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("level", SmallInteger, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("series_id", BigInteger, primary_key=True),
    _whole("rows"),
    _whole("billed_micros"),
    _whole("billed_rest"),
    _whole("effective_micros"),
    _whole("effective_rest"),
    _whole("list_micros"),
    _whole("list_rest"),
    _whole("list_unknown"),
    _whole("contracted_micros"),
    _whole("contracted_rest"),
    _whole("contracted_unknown"),
    Column("quantity", Double, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
