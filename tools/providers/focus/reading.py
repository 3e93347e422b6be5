"""Reading: the DuckDB text that turns one FOCUS file into staged rows: typed, cleaned, and each bad row marked."""

# ruff: noqa: S608 - this is the place where SQL text is made; names are quoted, and nothing of it reaches our database
from __future__ import annotations

from collections.abc import Sequence

from tools.model.charge import ChargeCategory
from tools.providers.focus.columns import NO_CURRENCY, UNKNOWN, Layout

# What was read lies in two tables: the texts that rows share, each combination once, and the figures of rows, by the
# key of their texts. As one they are the stage.
TEXTS_TABLE, FIGURES_TABLE, STAGE = "texts", "figures", "stage"
# Texts of a staged row, in table order. Dimensions of the facts, then the tag text.
TEXTS = (
    "sub_account_id",
    "sub_account_name",
    "service_name",
    "service_category",
    "charge_category",
    "charge_class",
    "region_id",
    "pricing_category",
    "commitment_discount_id",
    "commitment_discount_status",
    "resource_id",
    "resource_name",
    "sku_id",
    "charge_description",
    "consumed_unit",
    "invoice_id",
    "tags",
)
AMOUNTS = ("billed", "effective", "list", "contracted")
# One provider, one name, whatever the FOCUS version or reseller writes: else a restatement would count twice.
_PROVIDER_NAMES = {
    "AWS": ("aws", "amazon", "amazon web services", "amazon web services, inc.", "amazon aws"),
    "Microsoft": ("microsoft", "azure", "microsoft azure", "microsoft corporation"),
    "Google Cloud": ("google cloud", "gcp", "google", "google cloud platform", "google llc"),
    "Oracle": ("oracle", "oci", "oracle cloud", "oracle cloud infrastructure"),
    "Vultr": ("vultr", "vultr.com"),
}
MACROS = (
    # Exports write missing values as nothing, NULL or null.
    "CREATE MACRO clean(x) AS CASE WHEN x IS NULL OR (strlen(x) < 9 AND lower(trim(x)) = 'null') THEN '' "
    "ELSE trim(x) END",
    # Decimal text, or a spreadsheet's "$10,000.00". Never through a float; NaN and infinity become NULL here.
    r"""CREATE MACRO amount(x) AS CASE WHEN contains(x, '_') THEN NULL ELSE coalesce(
        TRY_CAST(x AS DECIMAL(38,18)),
        CASE WHEN regexp_full_match(x, '-?[$€£¥]?-?\d{1,3}(,\d{3})+(\.\d+)?|-?[$€£¥]-?\d+(\.\d+)?')
        THEN TRY_CAST(regexp_replace(x, '[$€£¥,]', '', 'g') AS DECIMAL(38,18)) END) END""",
    # ISO 8601 with any offset that exists, or the specification's month/day/year examples (checked per file, see
    # AMBIGUOUS).
    r"""CREATE MACRO moment(x) AS CASE WHEN contains(x, '/')
        THEN try_strptime(x, ['%m/%d/%y', '%m/%d/%Y', '%m/%d/%y %H:%M', '%m/%d/%Y %H:%M'])
        WHEN strlen(x) > 20 AND regexp_matches(x, ':\d\d(\.\d+)?[+-](1[5-9]|[2-9]\d)(:?\d\d)?$') THEN NULL
        ELSE TRY_CAST(x AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END""",
    "CREATE MACRO sane(t) AS t >= TIMESTAMP '2000-01-01' AND t < TIMESTAMP '2100-01-01'",
    # What a spreadsheet makes of a long number.
    r"CREATE MACRO damaged(x) AS regexp_full_match(x, '\d(\.\d+)?[eE]\+?\d+|\d{5,}\.0+')",
    # Our own csv files have an apostrophe before what a spreadsheet would run (tools/collection/export.py).
    r"CREATE MACRO unguarded(x) AS CASE WHEN regexp_matches(x, '^''+[=+\-@\t\r]') THEN substr(x, 2) ELSE x END",
    # Two ids that look the same must be the same.
    "CREATE MACRO unseen(x) AS regexp_matches(x, '[[:cntrl:]]')",
)
_IDENTITY = "provider VARCHAR, billing_account_id VARCHAR, billing_period DATE, currency VARCHAR"
# A combination of texts is known by its `key`, which is short enough to meet another one by chance once in very many
# readings; `digest` is not, and tells (see MET). `bad` says what is wrong with the texts.
_CREATE_TEXTS = (
    f"CREATE TABLE {TEXTS_TABLE} (key UBIGINT, file INTEGER, digest UHUGEINT, {_IDENTITY}, "
    + ", ".join(f"{t} VARCHAR" for t in TEXTS)
    + ", slashed BOOLEAN, bad VARCHAR)"
)
# A row of figures stands for `n` rows of one file that agree in everything but the hour and the amounts; `row` is the
# first of them. A row whose amounts or times are bad stands alone. `mark` tells groups of other hours apart.
_CREATE_FIGURES = (
    f"CREATE TABLE {FIGURES_TABLE} (file INTEGER, row BIGINT, key UBIGINT, day DATE, "
    + ", ".join(f"{a} DECIMAL(38,18)" for a in AMOUNTS)
    + ", quantity DECIMAL(38,12), n BIGINT, list_unknown INTEGER, contracted_unknown INTEGER, price_off INTEGER, "
    "mark UBIGINT, bad VARCHAR)"
)
_CREATE_STAGE = (
    f"CREATE VIEW {STAGE} AS SELECT f.file AS file, row, provider, billing_account_id, billing_period, day, currency, "
    + ", ".join((*TEXTS, *AMOUNTS))
    + ", quantity, n, list_unknown, contracted_unknown, price_off, mark, slashed, coalesce(f.bad, t.bad) AS bad "
    f"FROM {FIGURES_TABLE} f JOIN {TEXTS_TABLE} t ON t.key = f.key"
)
CREATE = (_CREATE_TEXTS, _CREATE_FIGURES, _CREATE_STAGE)
MET = f"SELECT key FROM {TEXTS_TABLE} GROUP BY key HAVING count(*) > 1 LIMIT 1"
# Files whose dates are month/day/year only by our guess: a billing period that would not begin a month.
AMBIGUOUS = (
    f"SELECT file, sum(n) FROM {STAGE} WHERE file BETWEEN ? AND ? AND slashed AND bad IS NULL GROUP BY 1 ORDER BY 1"
)
# What two files of the same billing period may share: whole groups of rows, equal in every hour and amount.
CONTENT = (
    f"CREATE OR REPLACE TEMP TABLE content AS SELECT file, n, hash(*COLUMNS(* EXCLUDE (file, row))) AS what "
    f"FROM {STAGE} WHERE file IN (SELECT unnest(?))"
)
SHARED = """
    SELECT a.file, b.file, sum(a.n) AS shared FROM content a JOIN content b ON a.what = b.what AND a.file < b.file
    GROUP BY 1, 2 ORDER BY 1, 2"""
SEPARATOR = "\x1f"
# A quote that is never closed: a row too short with line ends in it, or a line end inside an amount, a time or an id.
OPEN_QUOTE = (
    f"SELECT min(file) FROM (SELECT file, bad FROM {FIGURES_TABLE} UNION ALL SELECT file, bad FROM {TEXTS_TABLE}) "
    f"WHERE file BETWEEN ? AND ? AND (bad = '{SEPARATOR}open' OR contains(bad, chr(10)))"
)


def source(kind: str, paths: Sequence[str], names: Sequence[str], piece: tuple[int, int] | None = None) -> str:
    """The table function that reads files of one layout: row, file, c0, c1, ...; a path ends in -NUMBER.

    A csv row too short ends in NULL, one too long fills the extra column. Rows of several csv files are counted on.
    `piece` are the rows of a parquet file that are wanted, counted from 0.
    """
    listed = "[" + ", ".join(_quoted(p) for p in paths) + "]"
    number = f"CAST(substr(filename, {paths[0].rindex('-') + 2}) AS INTEGER) AS file"
    if kind == "parquet":
        columns = ", ".join(f"{_identifier(name)} AS c{n}" for n, name in enumerate(names))
        part = f" WHERE file_row_number >= {piece[0]} AND file_row_number < {piece[1]}" if piece else ""
        return (
            f"(SELECT file_row_number + 1 AS row, {number}, {columns} "
            f"FROM read_parquet({listed}, file_row_number = true, filename = true){part})"
        )
    spelled = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(len(names) + 1))
    compression = "gzip" if kind == "csv.gz" else "none"
    return (
        f"(SELECT row_number() OVER () AS row, {number}, * EXCLUDE (filename) "
        f"FROM read_csv({listed}, columns = {{{spelled}}}, header = true, "
        "delim = ',', quote = '\"', escape = '\"', comment = '', nullstr = '\x01', null_padding = true, "
        f"parallel = false, strict_mode = false, auto_detect = false, compression = '{compression}', "
        "buffer_size = 8000000, store_rejects = true, rejects_limit = 0, filename = true))"
    )


def typed(
    kind: str, paths: Sequence[str], layout: Layout, types: list[str], piece: tuple[int, int] | None = None
) -> str:
    """SELECT of the rows of files of one layout: as they are (c0, c1, ...), with amounts and times in their types.

    `types` are DuckDB's ("VARCHAR" for csv). `key` stands for everything in a row but its hour and its amounts.
    """
    got = _Columns(layout, types)
    shape = "CAST(NULL AS VARCHAR)" if kind == "parquet" else _shape(len(types))
    columns = [
        "*",
        f"{shape} AS shape",
        f"{got.moment('charge_start')} AS charge_start",
        f"{got.moment('charge_end')} AS charge_end",
        *(f"{got.amount(a)} AS {a}" for a in AMOUNTS),
        f"{got.amount('quantity', 12)} AS quantity",
        f"{_price_off(got)} AS price_off",
    ]
    return (
        f"SELECT *, hash(file, month, {', '.join(got.raw(k) for k in _KEYS)}) AS key FROM ("
        f"SELECT *, {_month(got)} AS month FROM ("
        f"SELECT {', '.join(columns)} FROM {source(kind, paths, layout.names, piece)}))"
    )


def insert_texts(
    rows: str, layout: Layout, types: list[str], provider: str | None, files: tuple[int, int], *, parquet: bool
) -> str:
    """INSERT of the combinations of texts that are new in some rows of `typed`, cleaned and judged once for each.

    `files` are the numbers of the first and the last file that the rows are of.
    """
    got = _Columns(layout, types)
    raw = [f"{got.raw(k)} AS {k}" for k in _KEYS]
    if provider and not got.has("provider"):
        raw[0] = f"{_quoted(provider)} AS provider"
    found = "provider" if provider is None else f"coalesce(nullif(provider, ''), {_quoted(provider)})"
    clean = "unguarded(clean({0}))" if layout.ours and not parquet else "clean({0})"
    cleaned = ", ".join(f"{clean.format(k)} AS {k}" for k in _KEYS if k != "billing_period")
    told = ", ".join(f"coalesce(CAST({k} AS VARCHAR), chr(2))" for k in ("file", "month", *_KEYS))
    texts = ", ".join(_category() if t == "charge_category" else t for t in TEXTS)
    return (
        f"INSERT INTO {TEXTS_TABLE} SELECT key, file, digest, {_provider_name()}, billing_account_id, "
        "CAST(date_trunc('month', coalesce(billing_start, month)) AS DATE), "
        f"upper(currency), {texts}, contains(billing_period_text, '/') AND day(billing_start) <> 1, {_bad_text(layout)} "
        f"FROM (SELECT * REPLACE ({found} AS provider) FROM (SELECT * EXCLUDE (billing_period) REPLACE ({cleaned}), "
        f"{got.moment_of('billing_period', 'billing_period')} AS billing_start, "
        "clean(CAST(billing_period AS VARCHAR)) AS billing_period_text FROM ("
        f"SELECT *, md5_number(concat_ws(chr(1), {told})) AS digest FROM ("
        f"SELECT DISTINCT key, file, month, {', '.join(raw)} FROM ({rows}))) found "
        # A key says of which file it is: those of all files together would not fit into memory.
        f"WHERE NOT EXISTS (FROM {TEXTS_TABLE} t WHERE t.key = found.key AND t.digest = found.digest "
        f"AND t.file BETWEEN {files[0]} AND {files[1]})))"
    )


def insert_figures(rows: str, layout: Layout, types: list[str]) -> str:
    """INSERT of the figures of some rows of `typed`: judged row by row, then added up by their texts and day."""
    sums = ", ".join(f"sum({a})" for a in (*AMOUNTS, "quantity"))
    mark = "hash(charge_start, charge_end, billed, effective)"
    return (
        f"INSERT INTO {FIGURES_TABLE} SELECT any_value(file), min(row), key, day, {sums}, count(*), "
        "count(*) - count(list), count(*) - count(contracted), count(*) FILTER (price_off AND bad IS NULL), "
        f"bit_xor({mark}), any_value(bad) FROM ("
        "SELECT *, CAST(charge_start AS DATE) AS day, CASE WHEN bad IS NOT NULL THEN row END AS alone FROM ("
        f"SELECT *, {_bad_figure(_Columns(layout, types))} AS bad FROM ({rows}))) GROUP BY key, day, alone"
    )


_KEYS = ("provider", "billing_account_id", "billing_period", "currency", *TEXTS)


def _month(got: _Columns) -> str:
    """The month of a charge, where the row does not say to which billing period it belongs."""
    return f"CASE WHEN {got.moment('billing_period')} IS NULL THEN date_trunc('month', charge_start) END"


def _price_off(got: _Columns) -> str:
    """List cost that is not list unit price times quantity, where all three are stated."""
    if not (got.has("list_unit_price") and got.has("pricing_quantity") and got.has("list")):
        return "false"
    price, units = (f"CAST({got.amount(a)} AS DOUBLE)" for a in ("list_unit_price", "pricing_quantity"))
    listed = f"CAST({got.amount('list')} AS DOUBLE)"
    return (
        f"coalesce(lower({got.text('charge_class')}) <> 'correction' AND "
        f"abs({listed} - {price} * {units}) > 0.01 + 0.001 * abs({listed}), false)"
    )


class _Columns:
    """Expressions for what we keep, by the types that the file has."""

    def __init__(self, layout: Layout, types: list[str]) -> None:
        self._layout = layout
        self._names = [f"c{n}" for n in range(len(types))]
        self._types = types

    def has(self, thing: str) -> bool:
        return thing in self._layout.positions

    def is_text(self, thing: str) -> bool:
        return self._types[self._layout.positions[thing][0]] == "VARCHAR"

    def raw(self, thing: str) -> str:
        """The column as the file has it, where that is enough to tell rows apart; cleaning comes later."""
        found = self._layout.positions.get(thing, ())
        if len(found) == 1 and (self._types[found[0]] == "VARCHAR" or thing == "billing_period"):
            return self._names[found[0]]
        return self.text(thing, _DEFAULTS.get(thing, ""))

    def text(self, thing: str, default: str = "") -> str:
        found = [self._text(p) for p in self._layout.positions.get(thing, ())]
        if not found:
            return _quoted(default)
        if len(found) == 1:
            return found[0]
        return f"coalesce({', '.join(f'nullif({f}, {_EMPTY})' for f in found)}, '')"

    def _text(self, position: int) -> str:
        kind, name = self._types[position], self._names[position]
        if kind == "VARCHAR":
            return f"clean({name})"
        if kind.startswith(("MAP", "STRUCT")) or kind.endswith("[]"):
            return f"coalesce(CAST(to_json({name}) AS VARCHAR), '')"
        return f"clean(CAST({name} AS VARCHAR))"

    def amount(self, thing: str, decimals: int = 18) -> str:
        found = self._layout.positions.get(thing, ())
        wanted = f"DECIMAL(38,{decimals})"
        if not found:
            return f"CAST(NULL AS {wanted})"
        kind, name = self._types[found[0]], self._names[found[0]]
        if kind.startswith("DECIMAL") or kind.endswith("INT") or kind in {"INTEGER", "UINTEGER"}:
            return f"TRY_CAST({name} AS {wanted})"
        # A provider's floating-point column: its shortest decimal text is the figure that was meant.
        text = f"amount({self._text(found[0])})"
        return text if decimals == 18 else f"TRY_CAST({text} AS {wanted})"

    def moment(self, thing: str) -> str:
        found = self._layout.positions.get(thing, ())
        return self.moment_of(thing, self._names[found[0]]) if found else "CAST(NULL AS TIMESTAMP)"

    def moment_of(self, thing: str, name: str) -> str:
        """The same from a column of another name."""
        found = self._layout.positions.get(thing, ())
        if not found:
            return "CAST(NULL AS TIMESTAMP)"
        kind = self._types[found[0]]
        if kind == "TIMESTAMP WITH TIME ZONE":
            return f"({name} AT TIME ZONE 'UTC')"
        if kind.startswith("TIMESTAMP") or kind == "DATE":
            return f"TRY_CAST({name} AS TIMESTAMP)"
        return f"moment(clean(CAST({name} AS VARCHAR)))"


_DEFAULTS = {"provider": UNKNOWN, "billing_account_id": UNKNOWN, "currency": NO_CURRENCY}
_EMPTY = "''"


def _shape(width: int) -> str:
    """NULL for a row of the right length, else "short" or "long"; "open" for one that swallowed the lines after it."""
    everything = ", ".join(f"c{n}" for n in range(width))
    swallowed = f"CASE WHEN contains(concat({everything}), chr(10)) THEN 'open' ELSE 'short' END"
    return f"CASE WHEN c{width - 1} IS NULL THEN {swallowed} WHEN c{width} <> '' THEN 'long' END"


def _provider_name() -> str:
    cases = " ".join(
        f"WHEN lower(provider) IN ({', '.join(_quoted(n) for n in names)}) THEN {_quoted(name)}"
        for name, names in _PROVIDER_NAMES.items()
    )
    return f"CASE {cases} ELSE provider END"


def provider_name(name: str) -> str:
    """The one name of a provider, as `insert` writes it."""
    folded = name.strip().lower()
    return next((known for known, names in _PROVIDER_NAMES.items() if folded in names), name.strip())


def _category() -> str:
    cases = " ".join(f"WHEN '{c.lower()}' THEN '{c}'" for c in ChargeCategory)
    return f"CASE lower(charge_category) {cases} ELSE charge_category END"


def _bad_figure(got: _Columns) -> str:
    """The first thing wrong with a row's shape, amounts or times as "Column<separator>value", or NULL."""
    rules = [("shape IS NOT NULL", "", "shape")]
    rules += [(f"{a} IS NULL", _COLUMN[a], got.text(a)) for a in ("billed", "effective")]
    rules += [
        (f"{a} IS NULL AND {got.text(a)} <> ''", _COLUMN[a], got.text(a)) for a in ("list", "contracted") if got.has(a)
    ]
    rules += [(f"abs({a}) >= 1000000000000", _COLUMN[a], got.text(a)) for a in AMOUNTS if got.has(a)]
    rules += [("coalesce(NOT sane(charge_start), true)", "ChargePeriodStart", got.text("charge_start"))]
    if got.has("charge_end"):
        wrong = "coalesce(NOT sane(charge_end) OR charge_end < charge_start, true)"
        rules += [(f"{wrong} AND {got.text('charge_end')} <> ''", "ChargePeriodEnd", got.text("charge_end"))]
    if got.has("billing_period") and got.has("billing_end"):
        rules += [(_ends_first(got), "BillingPeriodEnd", got.text("billing_end"))]
    if got.has("quantity"):
        rules += [(_paid_for_less(got), "ConsumedQuantity", got.text("quantity"))]
    return _first(rules)


def _ends_first(got: _Columns) -> str:
    """A billing period that does not end after its start; texts are parsed only where they may tell so."""
    wrong = f"{got.moment('billing_end')} <= {got.moment('billing_period')}"
    if not got.is_text("billing_end") or not got.is_text("billing_period"):
        return wrong
    start, end = got.raw("billing_period"), got.raw("billing_end")
    parsed = f"clean({end}) <> '' AND coalesce({wrong}, true)"
    return f"CASE WHEN {end} <= {start} OR contains({end}, '/') THEN {parsed} ELSE false END"


def _paid_for_less(got: _Columns) -> str:
    """Usage below zero that costs money. (What is given back has a negative quantity and a negative cost.)"""
    usage = f"lower({got.text('charge_category')}) = 'usage' AND lower({got.text('charge_class')}) <> 'correction'"
    return f"CASE WHEN quantity < 0 AND (billed > 0 OR effective > 0) THEN {usage} ELSE false END"


def _bad_text(layout: Layout) -> str:
    """The same for texts, judged once per group. Columns that are absent are not judged."""
    rules = []
    if "billing_period" in layout.positions:
        rules += [("coalesce(NOT sane(billing_start), true)", "BillingPeriodStart", "billing_period_text")]
    known = ", ".join(f"'{c.lower()}'" for c in ChargeCategory)
    rules += [(f"lower(charge_category) NOT IN ({known})", "ChargeCategory", "charge_category")]
    rules += [(r"NOT regexp_full_match(upper(currency), '[A-Z]{3}')", "BillingCurrency", "currency")]
    rules += [("provider = '' OR length(provider) > 120 OR unseen(provider)", "ProviderName", "provider")]
    wrong_id = "{0} = '' OR length({0}) > 500 OR damaged({0}) OR unseen({0})"
    rules += [(wrong_id.format("billing_account_id"), "BillingAccountId", "billing_account_id")]
    rules += [("damaged(sub_account_id) OR unseen(sub_account_id)", "SubAccountId", "sub_account_id")]
    return _first(rules)


def _first(rules: Sequence[tuple[str, str, str]]) -> str:
    cases = " ".join(
        f"WHEN {condition} THEN '{column}{SEPARATOR}' || left({value}, 80)" for condition, column, value in rules
    )
    return f"CASE {cases} END"


_COLUMN = {"billed": "BilledCost", "effective": "EffectiveCost", "list": "ListCost", "contracted": "ContractedCost"}


def why(bad: str) -> tuple[str, str]:
    """(column, sentence) of a row's mark."""
    column, _, value = bad.partition(SEPARATOR)
    shown = f'"{value}"'
    if column == "":
        return "", f"the row has too {'few' if value == 'short' else 'many'} columns"
    if value == "":
        return column, "the value is missing"
    if column.endswith("Cost"):
        return column, f"{shown} is not an amount of money"
    if column == "BillingPeriodEnd":
        return column, f"{shown} is not a time after the billing period's start"
    if column == "ConsumedQuantity":
        return column, f"{shown} was used and still paid for: less than nothing costs nothing"
    if any(not c.isprintable() for c in value):
        return column, f"{value!a} holds characters that cannot be seen"
    if column == "ChargePeriodEnd":
        return column, f"{shown} is not a time after the charge period's start"
    if column.endswith("Start"):
        return column, f"{shown} is not a time"
    if column == "ChargeCategory":
        return column, f"{shown} is not one of {', '.join(ChargeCategory)}"
    if column == "BillingCurrency":
        return column, f"{shown} is not a currency code of three letters"
    if column.endswith("AccountId"):
        return column, f"{shown} is not an account id (a spreadsheet turned it into a number?)"
    return column, f"{shown} cannot be used"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
