"""Levels: the DuckDB text that rolls one partition's staged rows up to days, at three levels of detail."""

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
OF_PARTITION = f"{STAGE}.provider = ? AND {STAGE}.billing_account_id = ? AND billing_period = ?"

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


def finest(tags: int, *, detail: bool) -> str:
    """CREATE TABLE fine: the partition's good rows, added up by day and every dimension that is kept."""
    dims = [f"{STAGE}.{d}" for d in (*TAGS_DIMS, *(DETAIL_DIMS if detail else ()))]
    picked = [f"coalesce(tag_map.{t}, '') AS {t}" for t in tag_columns(tags)]
    quantity = "coalesce(sum(quantity), 0)" if detail else "CAST(0 AS DECIMAL(38,12))"
    sums = (
        "count(*) AS n, sum(billed) AS billed, sum(effective) AS effective, coalesce(sum(list), 0) AS list, "
        "coalesce(sum(contracted), 0) AS contracted, count(*) - count(list) AS list_unknown, "
        f"count(*) - count(contracted) AS contracted_unknown, {quantity} AS quantity"
    )
    join = f"LEFT JOIN tag_map ON tag_map.text = {STAGE}.tags" if tags else ""
    return (
        f"CREATE OR REPLACE TEMP TABLE fine AS SELECT day, {', '.join(dims + picked)}, {sums} "
        f"FROM {STAGE} {join} WHERE bad IS NULL AND {OF_PARTITION} GROUP BY ALL"
    )


def dims_of(level: int, tags: int) -> tuple[str, ...]:
    """Dimensions of a level, in the order of the series file. The tag columns stand before the resource."""
    if level == 1:
        return ACCOUNTS_DIMS
    base = (*TAGS_DIMS, *tag_columns(tags))
    return base if level == 2 else (*base, *DETAIL_DIMS)


def roll(source: str, target: str, dims: tuple[str, ...]) -> str:
    """CREATE TABLE `target`: `source` added up by day and fewer dimensions."""
    sums = ", ".join(f"{expression} AS {name}" for name, expression in _SUMS)
    return f"CREATE OR REPLACE TEMP TABLE {target} AS SELECT day, {', '.join(dims)}, {sums} FROM {source} GROUP BY ALL"


def number(table: str, dims: tuple[str, ...], first: int) -> str:
    """CREATE TABLE numbered: each combination of dimensions with its number within the load, and its fingerprint."""
    return (
        f"CREATE OR REPLACE TEMP TABLE numbered AS SELECT {first} + row_number() OVER () - 1 AS id, *, "
        f"md5(concat_ws(chr(31), {', '.join(dims)})) AS mark "
        f"FROM (SELECT DISTINCT {', '.join(dims)} FROM {table})"
    )


def write_series(level: int, dims: tuple[str, ...], every: tuple[str, ...], path: str) -> str:
    """COPY the numbered combinations to a csv file: id, level, then every dimension ('' where the level has none)."""
    # NUL is the one character that PostgreSQL cannot keep in a text.
    columns = ", ".join(f"replace({d}, chr(0), '') AS {d}" if d in dims else f"'' AS {d}" for d in every)
    return f"COPY (SELECT id, {level} AS level, {columns} FROM numbered ORDER BY id) TO '{path}' ({_CSV})"


def write_facts(level: int, table: str, dims: tuple[str, ...], path: str) -> str:
    """COPY the day rows of a level to a csv file: level, day, series number, rows, the four amounts with the counts
    of unknown ones, quantity. Amounts are decimal text; splitting them here would cost more than in Python.
    """
    money = "billed, effective, list, list_unknown, contracted, contracted_unknown"
    return (
        f"COPY (SELECT {level}, day, id, n, {money}, CAST(quantity AS DOUBLE) FROM {table} "
        f"JOIN numbered USING ({', '.join(dims)}) ORDER BY day, id) TO '{path}' ({_CSV})"
    )


_CSV = "FORMAT csv, HEADER false, QUOTE '\"', ESCAPE '\"', DELIMITER ','"


def fingerprint(table: str, dims: tuple[str, ...]) -> str:
    """SELECT what identifies the content of a numbered level, whatever the order of rows or files it came from."""
    sums = ", ".join(f"CAST({name} AS VARCHAR)" for name, _ in _SUMS)
    half = "CAST(sum(CAST(md5_number_{}(t) AS HUGEINT)) AS VARCHAR)"
    return (
        f"SELECT count(*), {half.format('lower')}, {half.format('upper')} "
        f"FROM (SELECT concat_ws('|', mark, CAST(day AS VARCHAR), {sums}) AS t "
        f"FROM {table} JOIN numbered USING ({', '.join(dims)}))"
    )


# Control totals come from the staged rows themselves, not from what was rolled up.
CONTROL = (
    "SELECT currency, count(*), CAST(sum(billed) AS VARCHAR), CAST(sum(effective) AS VARCHAR), "
    "CAST(coalesce(sum(list), 0) AS VARCHAR), count(*) - count(list), "
    "CAST(coalesce(sum(contracted), 0) AS VARCHAR), count(*) - count(contracted) "
    f"FROM {STAGE} WHERE bad IS NULL AND {OF_PARTITION} GROUP BY currency ORDER BY currency"
)
