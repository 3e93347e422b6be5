"""Levels: the DuckDB text that rolls a batch of partitions up to days, at three levels of detail."""

# ruff: noqa: S608 - table and column names are ours; values are bound or quoted
from __future__ import annotations

from tools.providers.focus.reading import AMOUNTS, FIGURES_TABLE, TEXTS_TABLE

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
# What is to be rolled up: number of a partition, the batch it is done in, its load's id, whether detail is kept.
CREATE_PART = (
    "CREATE TABLE part (number INTEGER, provider VARCHAR, billing_account_id VARCHAR, billing_period DATE, "
    "batch INTEGER, load_id BIGINT, detail BOOLEAN)"
)
_GOOD = f"FROM {FIGURES_TABLE} f JOIN named ON named.key = f.key WHERE f.bad IS NULL AND f.file BETWEEN ? AND ?"
# Days of a batch, with how many staged rows each has.
STAGED_DAYS = f"SELECT day, count(*) {_GOOD} GROUP BY day ORDER BY day"
_COUNTS = ("n", *AMOUNTS, "list_unknown", "contracted_unknown")


def tag_columns(count: int) -> tuple[str, ...]:
    return tuple(f"tag_{n}" for n in range(1, count + 1))


# What rare values of a tag key with too many of them count as, where there is no cost per resource.
OTHER = "(other)"


def tag_values(tags: int) -> str:
    """How many different values each tag key has, one column a key."""
    return f"SELECT {', '.join(f'count(DISTINCT {t})' for t in tag_columns(tags))} FROM tag_map"


def keep(tag: str) -> str:
    """CREATE TABLE kept_TAG: of each partition the dearest values of a tag key, with how many it has.

    Parameter: how many are kept.
    """
    return (
        f"CREATE OR REPLACE TEMP TABLE kept_{tag} AS SELECT part, value, of FROM ("
        f"SELECT part, value, count(*) OVER (PARTITION BY part) AS of, "
        "row_number() OVER (PARTITION BY part ORDER BY cost DESC, value) AS place FROM ("
        f"SELECT part, tag_map.{tag} AS value, sum(abs(billed) + abs(effective)) AS cost "
        f"FROM summed JOIN tag_map ON text = tags WHERE tag_map.{tag} <> '' GROUP BY 1, 2)) WHERE place <= ?"
    )


def crowded(tag: str) -> str:
    """Partitions in which more values were found than kept: part, found, kept."""
    return f"SELECT part, max(of), count(*) FROM kept_{tag} GROUP BY part HAVING max(of) > count(*) ORDER BY part"


def dims_of(level: int, tags: int) -> tuple[str, ...]:
    """Dimensions of a level, in the order of the series file. The tag columns stand before the resource."""
    if level == 1:
        return ACCOUNTS_DIMS
    base = (*TAGS_DIMS, *tag_columns(tags))
    return base if level == 2 else (*base, *DETAIL_DIMS)


# The good rows of a batch added up by their texts: what control totals come from, not what was rolled up.
# Parameters: first and last file, the same again, batch.
SUMMED = (
    "CREATE OR REPLACE TEMP TABLE summed AS SELECT number AS part, t.*, f.* EXCLUDE (key) FROM (SELECT key, "
    + ", ".join(f"sum({c}) AS {c}" for c in (*_COUNTS, "price_off"))
    + f" FROM {FIGURES_TABLE} WHERE bad IS NULL AND file BETWEEN ? AND ? GROUP BY key) f "
    f"JOIN (SELECT * FROM {TEXTS_TABLE} WHERE bad IS NULL AND file BETWEEN ? AND ?) t ON t.key = f.key JOIN part ON part.provider = t.provider "
    "AND part.billing_account_id = t.billing_account_id AND part.billing_period = t.billing_period WHERE batch = ?"
)


def name(tags: int, folds: frozenset[str]) -> str:
    """CREATE TABLE named: every combination of texts of `summed` with its dimensions, and at each level the id of the
    series that it belongs to; the same content has the same ids. Without detail there is none at level 3.

    Rare values of the tag columns `folds` are folded where there is no detail.
    """
    picked = [f"coalesce(tag_map.{t}, '') AS {t}" for t in tag_columns(tags)]
    join = "LEFT JOIN tag_map ON tag_map.text = tags" if tags else ""
    folded = [
        f"CASE WHEN {t} = '' OR (part, {t}) IN (SELECT part, value FROM kept_{t}) THEN {t} ELSE '{OTHER}' END AS {t}_kept"
        for t in sorted(folds)
    ]
    ids = [
        f"CASE WHEN {'detail' if level == 3 else 'true'} THEN (load_id << {ID_BITS}) + {(level - 1) * PER_LEVEL - 1} "
        f"+ dense_rank() OVER (PARTITION BY part ORDER BY {', '.join(_kept(level, tags, folds))}) END AS id_{level}"
        for level in (1, 2, 3)
    ]
    return (
        f"CREATE OR REPLACE TEMP TABLE named AS SELECT *, {', '.join(ids)} FROM (SELECT {', '.join(['*', *folded])} FROM ("
        f"SELECT part, load_id, detail, key, {', '.join((*TAGS_DIMS, *DETAIL_DIMS, *picked))} "
        f"FROM summed JOIN (SELECT number, load_id, detail FROM part) p ON number = part {join}))"
    )


def _kept(level: int, tags: int, folds: frozenset[str]) -> list[str]:
    """The columns of `named` that hold a level's dimensions."""
    return [f"{d}_kept" if level == 2 and d in folds else d for d in dims_of(level, tags)]


# The most combinations of one partition and level in `named`.
WIDEST = (
    "SELECT max(n) FROM (SELECT greatest(count(DISTINCT id_1), count(DISTINCT id_2), count(DISTINCT id_3)) AS n "
    "FROM named GROUP BY part)"
)
# Rows of the finest level that is kept, with the texts that laws speak of.
CREATE_FINE = (
    "CREATE OR REPLACE TEMP VIEW fine AS SELECT l.part, day, n, billed, service_name, charge_category, charge_class FROM level_3 l "
    "JOIN (SELECT DISTINCT coalesce(id_3, id_2) AS id, service_name, charge_category, charge_class FROM named) s "
    "ON s.id = coalesce(l.id_3, l.id_2)"
)


def roll(level: int, *, more: bool = False) -> str:
    """CREATE TABLE level_N (or put `more` days into it): figures added up by day and series of a level.

    Level 3 is made of staged rows (parameters: first and last file, first and last day), each other one of the level
    before it (parameters: first and last day). Without detail, level 3 is as coarse as level 2.
    """
    ids = [f"id_{n}" for n in (3, 2, 1) if n <= level]
    sums = [f"coalesce(sum({c}), 0) AS {c}" if c in AMOUNTS else f"CAST(sum({c}) AS BIGINT) AS {c}" for c in _COUNTS]
    if level == 3:
        sums.append("coalesce(sum(CASE WHEN detail THEN quantity END), 0) AS quantity")
        rows = f"{_GOOD} AND day BETWEEN ? AND ?"
    else:
        # Quantities of different units must not mix: they are kept at the finest level only.
        sums.append("CAST(0 AS DECIMAL(38,12)) AS quantity")
        rows = f"FROM level_{level + 1} WHERE day BETWEEN ? AND ?"
    keys = ", ".join(("part", *ids, "day"))
    return (
        f"{f'INSERT INTO level_{level}' if more else f'CREATE OR REPLACE TEMP TABLE level_{level} AS'} "
        f"SELECT {keys}, {', '.join(sums)} {rows} GROUP BY {keys}"
    )


def write_series(level: int, tags: int, folds: frozenset[str], folder: str) -> str:
    """COPY the series of a level, a csv file a partition: tenant, load, id, level, then every dimension ('' where the
    level has none).
    """
    columns = dict(zip(dims_of(level, tags), _kept(level, tags, folds), strict=True))
    # NUL is the one character that PostgreSQL cannot keep in a text.
    texts = ", ".join(
        f"replace({columns[d]}, chr(0), '') AS {d}" if d in columns else f"'' AS {d}" for d in dims_of(3, tags)
    )
    return (
        f"COPY (SELECT part, getvariable('tenant') AS tenant, load_id, id, {level} AS level, {texts} FROM ("
        f"SELECT DISTINCT part, load_id, id_{level} AS id, {', '.join(columns.values())} FROM named "
        f"WHERE id_{level} IS NOT NULL) ORDER BY part, id) TO '{folder}' ({_CSV})"
    )


# Columns of `figures`, and their types in tools/collection/arrow.py.
FIGURES = {
    "part": "<i8",
    "day": "<i8",
    "id": "<i8",
    "n": "<i8",
    "billed": "2<u8",
    "effective": "2<u8",
    "list": "2<u8",
    "list_unknown": "<i8",
    "contracted": "2<u8",
    "contracted_unknown": "<i8",
    "quantity": "<f8",
}


def figures(level: int) -> str:
    """SELECT the day rows of a level in their order; the day is counted from 1970. Parameters: first and last day."""
    spelled = {
        "part": "CAST(part AS BIGINT)",
        "day": "day - DATE '1970-01-01'",
        "id": f"id_{level}",
        "quantity": "CAST(quantity AS DOUBLE)",
    }
    return (
        f"SELECT {', '.join(f'{spelled.get(name, name)} AS {name}' for name in FIGURES)} FROM level_{level} "
        f"WHERE id_{level} IS NOT NULL AND day BETWEEN ? AND ? ORDER BY 1, 2, 3"
    )


_CSV = "FORMAT csv, HEADER false, QUOTE '\"', ESCAPE '\"', DELIMITER ',', PARTITION_BY (part)"

DAYS = "SELECT part, min(day), max(day) FROM level_3 GROUP BY part"
CONTROL = (
    "SELECT part, currency, sum(n), CAST(sum(billed) AS VARCHAR), CAST(sum(effective) AS VARCHAR), "
    "CAST(coalesce(sum(list), 0) AS VARCHAR), sum(list_unknown), "
    "CAST(coalesce(sum(contracted), 0) AS VARCHAR), sum(contracted_unknown) "
    "FROM summed GROUP BY 1, 2 ORDER BY 1, 2"
)
PRICES = "SELECT part, sum(price_off) FROM summed GROUP BY 1 HAVING sum(price_off) > 0"
# What the rows say of the invoices that they name; long ids are no ids.
INVOICES = (
    "SELECT part, left(replace(invoice_id, chr(0), ''), 250), currency, sum(n), count(DISTINCT (sub_account_id, service_name)), "
    + ", ".join(
        f"CAST(coalesce(sum(billed){only}, 0) AS VARCHAR)"
        for only in ("", *(f" FILTER (charge_category = '{c}')" for c in ("Tax", "Credit", "Purchase")))
    )
    + " FROM summed GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)
