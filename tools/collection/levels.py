"""Levels: the DuckDB text that rolls a batch of partitions up to days, at three levels of detail."""

# ruff: noqa: S608 - table and column names are ours; values are bound or quoted
from __future__ import annotations

from tools.providers.focus.reading import AMOUNTS, STAGE

ACCOUNTS_DIMS = (
    "provider",
    "billing_account_id",
    "sub_account_id",
    "sub_account_name",
    "service_name",
    "service_category",
    "charge_category",
    "charge_class",
    "currency",
)
TAGS_DIMS = (
    *ACCOUNTS_DIMS,
    "region_id",
    "pricing_category",
    "commitment_discount_id",
    "commitment_discount_status",
)
DETAIL_DIMS = ("resource_id", "resource_name", "sku_id", "charge_description", "consumed_unit")
# A load's ids have 24 bits (tools/store/fact_tables.py): room for three levels.
ID_BITS = 24
PER_LEVEL = 5_000_000
MACROS = (
    # An amount of 18 decimals as the two integers of tools/model/money.py; of a negative one both are negative.
    "CREATE MACRO micros(v) AS replace(left(v, -12), '.', '')",
    "CREATE MACRO rest(v) AS CASE WHEN starts_with(v, '-') THEN '-' || right(v, 12) ELSE right(v, 12) END",
)
# What is to be rolled up: number of a partition, the batch it is done in, its load's id, whether detail is kept.
CREATE_PART = (
    "CREATE TABLE part (number INTEGER, provider VARCHAR, billing_account_id VARCHAR, billing_period DATE, "
    "batch INTEGER, load_id BIGINT, detail BOOLEAN)"
)
_OF_BATCH = (
    f"FROM {STAGE} JOIN part ON part.provider = {STAGE}.provider "
    f"AND part.billing_account_id = {STAGE}.billing_account_id AND part.billing_period = {STAGE}.billing_period"
)
_GOOD = "WHERE bad IS NULL AND part.batch = ? AND file BETWEEN ? AND ?"
# Days of a batch, with how many staged rows each has.
STAGED_DAYS = f"SELECT day, count(*) {_OF_BATCH} {_GOOD} GROUP BY day ORDER BY day"
_SUMS = (
    ("n", "sum(n)"),
    *((a, f"sum({a})") for a in AMOUNTS),
    ("list_unknown", "sum(list_unknown)"),
    ("contracted_unknown", "sum(contracted_unknown)"),
    # Quantities of different units must not mix: they are kept at the finest level only.
    ("quantity", "CAST(0 AS DECIMAL(38,12))"),
)


def tag_columns(count: int) -> tuple[str, ...]:
    return tuple(f"tag_{n}" for n in range(1, count + 1))


def finest(tags: int, *, more: bool) -> str:
    """CREATE TABLE fine (or put `more` days into it): good rows, added up by day and every dimension that is kept.

    Parameters: batch, first and last file, first and last day. Of a partition without detail the detail dimensions
    are empty.
    """
    dims = [f"{STAGE}.{d} AS {d}" for d in TAGS_DIMS]
    detail = [f"CASE WHEN part.detail THEN {STAGE}.{d} ELSE '' END AS {d}" for d in DETAIL_DIMS]
    picked = [f"coalesce(tag_map.{t}, '') AS {t}" for t in tag_columns(tags)]
    sums = (
        "sum(n) AS n, sum(billed) AS billed, sum(effective) AS effective, coalesce(sum(list), 0) AS list, "
        "coalesce(sum(contracted), 0) AS contracted, sum(list_unknown) AS list_unknown, "
        "sum(contracted_unknown) AS contracted_unknown, "
        "coalesce(sum(CASE WHEN part.detail THEN quantity END), 0) AS quantity"
    )
    join = f"LEFT JOIN tag_map ON tag_map.text = {STAGE}.tags" if tags else ""
    return (
        f"{'INSERT INTO fine' if more else 'CREATE OR REPLACE TEMP TABLE fine AS'} "
        f"SELECT part.number AS part, part.detail AS detailed, day, {', '.join([*dims, *picked, *detail])}, {sums} "
        f"{_OF_BATCH} {join} {_GOOD} AND day BETWEEN ? AND ? GROUP BY ALL"
    )


def dims_of(level: int, tags: int) -> tuple[str, ...]:
    """Dimensions of a level, in the order of the series file. The tag columns stand before the resource."""
    if level == 1:
        return ACCOUNTS_DIMS
    base = (*TAGS_DIMS, *tag_columns(tags))
    return base if level == 2 else (*base, *DETAIL_DIMS)


def roll(source: str, target: str, dims: tuple[str, ...], *, more: bool) -> str:
    """CREATE TABLE `target` (or put `more` days into it): `source` added up by day and fewer dimensions.

    Parameters: first and last day.
    """
    sums = ", ".join(f"{expression} AS {name}" for name, expression in _SUMS)
    return (
        f"{f'INSERT INTO {target}' if more else f'CREATE OR REPLACE TEMP TABLE {target} AS'} "
        f"SELECT part, detailed, day, {', '.join(dims)}, {sums} FROM {source} WHERE day BETWEEN ? AND ? GROUP BY ALL"
    )


def number(level: int, table: str, dims: tuple[str, ...]) -> str:
    """CREATE TABLE numbered: each combination of dimensions with its id; the same content has the same ids."""
    order, first = ", ".join(f"d.{d}" for d in dims), (level - 1) * PER_LEVEL
    detailed = "WHERE detailed" if level == 3 else ""
    return (
        f"CREATE OR REPLACE TEMP TABLE numbered AS SELECT d.part, p.load_id, (p.load_id << {ID_BITS}) + {first} "
        f"+ row_number() OVER (PARTITION BY d.part ORDER BY {order}) - 1 AS id, {order} "
        f"FROM (SELECT DISTINCT part, {', '.join(dims)} FROM {table} {detailed}) d JOIN part p ON p.number = d.part"
    )


# The most combinations of one partition in `numbered`.
WIDEST = "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM numbered GROUP BY part)"


def write_series(level: int, dims: tuple[str, ...], every: tuple[str, ...], folder: str) -> str:
    """COPY the numbered combinations, a csv file a partition: tenant, load, id, level, then every dimension ('' where
    the level has none).
    """
    # NUL is the one character that PostgreSQL cannot keep in a text.
    columns = ", ".join(f"replace({d}, chr(0), '') AS {d}" if d in dims else f"'' AS {d}" for d in every)
    return (
        f"COPY (SELECT part, getvariable('tenant') AS tenant, load_id, id, {level} AS level, {columns} "
        f"FROM numbered ORDER BY part, id) TO '{folder}' ({_CSV})"
    )


def write_facts(level: int, table: str, dims: tuple[str, ...], folder: str) -> str:
    """COPY the day rows of a level, a csv file a partition, in the order of the columns of `cost_facts`."""
    texts = ", ".join(f"CAST({a} AS VARCHAR) AS {a}" for a in AMOUNTS)
    split = [f"micros({a}), rest({a})" for a in AMOUNTS]
    money = f"{split[0]}, {split[1]}, {split[2]}, list_unknown, {split[3]}, contracted_unknown"
    return (
        f"COPY (SELECT part, getvariable('tenant'), {level}, day, id, n, {money}, quantity FROM ("
        f"SELECT {table}.part AS part, day, id, n, {texts}, list_unknown, contracted_unknown, "
        f"CAST(quantity AS DOUBLE) AS quantity FROM {table} JOIN numbered USING (part, {', '.join(dims)}) "
        f"ORDER BY part, day, id)) TO '{folder}' ({_CSV})"
    )


_CSV = "FORMAT csv, HEADER false, QUOTE '\"', ESCAPE '\"', DELIMITER ',', PARTITION_BY (part)"

DAYS = "SELECT part, min(day), max(day) FROM fine GROUP BY part"
# Control totals come from the staged rows themselves, not from what was rolled up.
CONTROL = (
    "SELECT part.number, currency, sum(n), CAST(sum(billed) AS VARCHAR), CAST(sum(effective) AS VARCHAR), "
    "CAST(coalesce(sum(list), 0) AS VARCHAR), sum(list_unknown), "
    "CAST(coalesce(sum(contracted), 0) AS VARCHAR), sum(contracted_unknown) "
    f"{_OF_BATCH} {_GOOD} GROUP BY 1, 2 ORDER BY 1, 2"
)
PRICES = f"SELECT part.number, sum(price_off) {_OF_BATCH} {_GOOD} GROUP BY 1 HAVING sum(price_off) > 0"
