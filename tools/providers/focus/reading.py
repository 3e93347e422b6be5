"""Reading: the DuckDB text that turns one FOCUS file into staged rows: typed, cleaned, and each bad row marked."""

# ruff: noqa: S608 - this is the place where SQL text is made; names are quoted, and nothing of it reaches our database
from __future__ import annotations

from collections.abc import Sequence

from tools.model.charge import ChargeCategory
from tools.providers.focus.columns import NO_CURRENCY, UNKNOWN, Layout

STAGE = "stage"
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
    # ISO 8601 with any offset, or the specification's month/day/year examples (checked per file, see AMBIGUOUS).
    """CREATE MACRO moment(x) AS CASE WHEN contains(x, '/')
        THEN try_strptime(x, ['%m/%d/%y', '%m/%d/%Y', '%m/%d/%y %H:%M', '%m/%d/%Y %H:%M'])
        ELSE TRY_CAST(x AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END""",
    "CREATE MACRO sane(t) AS t >= TIMESTAMP '2000-01-01' AND t < TIMESTAMP '2100-01-01'",
    # What a spreadsheet makes of a long number.
    r"CREATE MACRO damaged(x) AS regexp_full_match(x, '\d(\.\d+)?[eE]\+?\d+|\d{5,}\.0+')",
)
# A staged row stands for `n` rows of one file that agree in everything but the hour and the amounts; `row` is the
# first of them. A row whose amounts or times are bad stands alone. `mark` tells groups of other hours apart.
CREATE_STAGE = (
    f"CREATE TABLE {STAGE} (file INTEGER, row BIGINT, provider VARCHAR, billing_account_id VARCHAR, "
    "billing_period DATE, day DATE, currency VARCHAR, "
    + ", ".join(f"{t} VARCHAR" for t in TEXTS)
    + ", "
    + ", ".join(f"{a} DECIMAL(38,18)" for a in AMOUNTS)
    + ", quantity DECIMAL(38,12), n BIGINT, list_unknown BIGINT, contracted_unknown BIGINT, price_off BIGINT, "
    "mark UBIGINT, slashed BOOLEAN, bad VARCHAR)"
)
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
    f"SELECT file FROM {STAGE} WHERE file BETWEEN ? AND ? AND (bad = '{SEPARATOR}open' OR contains(bad, chr(10))) "
    "ORDER BY 1 LIMIT 1"
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
        "store_rejects = true, rejects_limit = 0, filename = true))"
    )


def insert(
    kind: str,
    paths: Sequence[str],
    layout: Layout,
    types: list[str],
    provider: str | None,
    piece: tuple[int, int] | None = None,
    *,
    add_up: bool = True,
) -> str:
    """INSERT of all rows of files of one layout into the stage; `types` are DuckDB's ("VARCHAR" for csv).

    From the inside: read; give amounts and times their types; judge them row by row; add up what agrees in
    everything else; clean texts and judge them, once per group instead of once per row. Without `add_up` each row
    is its own group, which takes no memory.
    """
    got = _Columns(layout, types)
    shape = "CAST(NULL AS VARCHAR)" if kind == "parquet" else _shape(len(types))
    typed = ", ".join(
        [
            "*",
            f"{shape} AS shape",
            f"{got.moment('charge_start')} AS charge_start",
            f"{got.moment('charge_end')} AS charge_end",
            *(f"{got.amount(a)} AS {a}" for a in AMOUNTS),
            f"TRY_CAST({got.amount('quantity')} AS DECIMAL(38,12)) AS quantity",
            f"{_price_off(got)} AS price_off",
        ]
    )
    keys = ("provider", "billing_account_id", "billing_period", "currency", *TEXTS)
    judged = ", ".join(f"{got.raw(k)} AS {k}" for k in keys[1:])
    named = _quoted(provider) if provider and not got.has("provider") else got.raw("provider")
    figures = _ADDED_UP if add_up else _ONE_BY_ONE
    provider_found = "provider" if provider is None else f"coalesce(nullif(provider, ''), {_quoted(provider)})"
    texts = ", ".join(_category() if t == "charge_category" else t for t in TEXTS)
    return (
        f"INSERT INTO {STAGE} SELECT file, row, {_provider_name()}, billing_account_id, "
        "CAST(date_trunc('month', coalesce(billing_start, CAST(day AS TIMESTAMP))) AS DATE), day, "
        f"upper(currency), {texts}, {', '.join(AMOUNTS)}, quantity, n, list_unknown, contracted_unknown, "
        "price_off, mark, contains(billing_period_text, '/') AND day(billing_start) <> 1, "
        f"coalesce(bad, {_bad_text(layout)}) FROM (SELECT * REPLACE ({provider_found} AS provider) FROM ("
        f"SELECT * EXCLUDE (billing_period) REPLACE ({', '.join(f'clean({k}) AS {k}' for k in keys if k != 'billing_period')}), "
        f"{got.moment_of('billing_period', 'billing_period')} AS billing_start, "
        "clean(CAST(billing_period AS VARCHAR)) AS billing_period_text FROM ("
        f"SELECT file, {', '.join(keys)}, day, bad, {figures} FROM ("
        f"SELECT row, file, {named} AS provider, {judged}, charge_start, charge_end, CAST(charge_start AS DATE) AS day, "
        f"{', '.join(AMOUNTS)}, quantity, price_off, {_bad_figure(got)} AS bad "
        f"FROM (SELECT {typed} FROM {source(kind, paths, layout.names, piece)})){' GROUP BY ALL' if add_up else ''})))"
    )


_MARK = "hash(charge_start, charge_end, billed, effective)"
_ADDED_UP = (
    "CASE WHEN bad IS NOT NULL THEN row END AS alone, min(row) AS row, "
    + ", ".join(f"sum({a}) AS {a}" for a in AMOUNTS)
    + ", sum(quantity) AS quantity, count(*) AS n, count(*) - count(list) AS list_unknown, "
    "count(*) - count(contracted) AS contracted_unknown, count(*) FILTER (price_off AND bad IS NULL) AS price_off, "
    f"bit_xor({_MARK}) AS mark"
)
_ONE_BY_ONE = (
    f"row, {', '.join(AMOUNTS)}, quantity, 1 AS n, CAST(list IS NULL AS INTEGER) AS list_unknown, "
    "CAST(contracted IS NULL AS INTEGER) AS contracted_unknown, CAST(price_off AND bad IS NULL AS INTEGER) AS price_off, "
    f"{_MARK} AS mark"
)


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

    def amount(self, thing: str) -> str:
        found = self._layout.positions.get(thing, ())
        if not found:
            return "NULL"
        kind, name = self._types[found[0]], self._names[found[0]]
        if kind.startswith("DECIMAL") or kind.endswith("INT") or kind in {"INTEGER", "UINTEGER"}:
            return f"TRY_CAST({name} AS DECIMAL(38,18))"
        # A provider's floating-point column: its shortest decimal text is the figure that was meant.
        return f"amount({self._text(found[0])})"

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
    return _first(rules)


def _bad_text(layout: Layout) -> str:
    """The same for texts, judged once per group. Columns that are absent are not judged."""
    rules = []
    if "billing_period" in layout.positions:
        rules += [("coalesce(NOT sane(billing_start), true)", "BillingPeriodStart", "billing_period_text")]
    known = ", ".join(f"'{c.lower()}'" for c in ChargeCategory)
    rules += [(f"lower(charge_category) NOT IN ({known})", "ChargeCategory", "charge_category")]
    rules += [(r"NOT regexp_full_match(upper(currency), '[A-Z]{3}')", "BillingCurrency", "currency")]
    rules += [("provider = '' OR length(provider) > 120", "ProviderName", "provider")]
    wrong_id = "{0} = '' OR length({0}) > 500 OR damaged({0})"
    rules += [(wrong_id.format("billing_account_id"), "BillingAccountId", "billing_account_id")]
    rules += [("damaged(sub_account_id)", "SubAccountId", "sub_account_id")]
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
