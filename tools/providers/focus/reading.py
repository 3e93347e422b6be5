"""Reading: the DuckDB text that turns one FOCUS file into staged rows: typed, cleaned, and each bad row marked."""

# ruff: noqa: S608 - this is the place where SQL text is made; names are quoted, and nothing of it reaches our database
from __future__ import annotations

from tools.model.charge import ChargeCategory
from tools.providers.focus.columns import NO_CURRENCY, UNKNOWN, Layout
from tools.providers.focus.files import FocusFile

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
    "CREATE MACRO clean(x) AS CASE WHEN x IS NULL OR lower(trim(x)) = 'null' THEN '' ELSE trim(x) END",
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
CREATE_STAGE = (
    f"CREATE TABLE {STAGE} (file INTEGER, row BIGINT, provider VARCHAR, billing_account_id VARCHAR, "
    "billing_period DATE, day DATE, currency VARCHAR, "
    + ", ".join(f"{t} VARCHAR" for t in TEXTS)
    + ", "
    + ", ".join(f"{a} DECIMAL(38,18)" for a in AMOUNTS)
    + ", quantity DECIMAL(38,12), price_off BOOLEAN, slashed BOOLEAN, bad VARCHAR)"
)
# A file whose dates are month/day/year only by our guess: a billing period that would not begin a month.
AMBIGUOUS = f"SELECT count(*) FROM {STAGE} WHERE file = ? AND slashed AND bad IS NULL"
SEPARATOR = "\x1f"


def source(file: FocusFile, columns: int) -> str:
    """The table function that reads a file. A csv row too short ends in NULL, one too long fills the extra column."""
    path = _quoted(str(file.path))
    if file.kind == "parquet":
        return f"(SELECT file_row_number + 1 AS row, * FROM read_parquet({path}, file_row_number = true))"
    names = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(columns + 1))
    compression = "gzip" if file.kind == "csv.gz" else "none"
    return (
        f"(SELECT row_number() OVER () AS row, * FROM read_csv({path}, columns = {{{names}}}, header = true, "
        "delim = ',', quote = '\"', escape = '\"', comment = '', nullstr = '\x01', null_padding = true, "
        f"parallel = false, strict_mode = false, auto_detect = false, compression = '{compression}', "
        "store_rejects = true, rejects_limit = 0))"
    )


def insert(number: int, file: FocusFile, layout: Layout, types: list[str], provider: str | None) -> str:
    """INSERT of all rows of one file into the stage; `types` are DuckDB's column types ("VARCHAR" for csv)."""
    names = _names(file, types)
    got = _Columns(layout, names, types)
    width = len(types)
    shape = "NULL" if file.kind == "parquet" else _shape(width)
    inner = ", ".join(
        [
            "row",
            f"{shape} AS shape",
            f"{_provider(got, provider)} AS provider",
            f"{got.text('billing_account_id', UNKNOWN)} AS billing_account_id",
            f"{got.text('currency', NO_CURRENCY)} AS currency",
            f"{got.text('charge_start')} AS charge_start_text",
            f"{got.text('charge_end')} AS charge_end_text",
            f"{got.text('billing_period')} AS billing_period_text",
            f"{got.moment('charge_start')} AS charge_start",
            f"{got.moment('charge_end')} AS charge_end",
            f"{got.moment('billing_period')} AS billing_start",
            *(f"{got.text(a)} AS {a}_text" for a in AMOUNTS),
            *(f"{got.amount(a)} AS {a}" for a in AMOUNTS),
            f"TRY_CAST({got.amount('quantity')} AS DECIMAL(38,12)) AS quantity",
            f"CAST({got.amount('list_unit_price')} AS DOUBLE) AS unit_price",
            f"CAST({got.amount('pricing_quantity')} AS DOUBLE) AS units",
            *(f"{got.text(t)} AS {t}" for t in TEXTS),
        ]
    )
    texts = ", ".join(_category() if t == "charge_category" else t for t in TEXTS)
    return (
        f"INSERT INTO {STAGE} SELECT {number}, row, {_provider_name()}, billing_account_id, "
        "CAST(date_trunc('month', coalesce(billing_start, charge_start)) AS DATE), CAST(charge_start AS DATE), "
        f"upper(currency), {texts}, {', '.join(AMOUNTS)}, quantity, "
        "unit_price IS NOT NULL AND units IS NOT NULL AND list IS NOT NULL AND lower(charge_class) <> 'correction' AND "
        "abs(CAST(list AS DOUBLE) - unit_price * units) > 0.01 + 0.001 * abs(CAST(list AS DOUBLE)), "
        "contains(billing_period_text, '/') AND day(billing_start) <> 1, "
        f"{_bad(layout)} FROM (SELECT {inner} FROM {source(file, width)})"
    )


def _names(file: FocusFile, types: list[str]) -> list[str]:
    return [f"c{n}" for n in range(len(types))] if file.kind != "parquet" else []


class _Columns:
    """Expressions for what we keep, by the types that the file has."""

    def __init__(self, layout: Layout, names: list[str], types: list[str]) -> None:
        self._layout = layout
        self._names = names or [_identifier(n) for n in layout.names]
        self._types = types

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
        if not found:
            return "CAST(NULL AS TIMESTAMP)"
        kind, name = self._types[found[0]], self._names[found[0]]
        if kind == "TIMESTAMP WITH TIME ZONE":
            return f"({name} AT TIME ZONE 'UTC')"
        if kind.startswith("TIMESTAMP") or kind == "DATE":
            return f"TRY_CAST({name} AS TIMESTAMP)"
        return f"moment({self._text(found[0])})"


_EMPTY = "''"


def _shape(width: int) -> str:
    return f"CASE WHEN c{width - 1} IS NULL THEN 'short' WHEN c{width} <> '' THEN 'long' END"


def _provider(got: _Columns, given: str | None) -> str:
    found = got.text("provider", given or UNKNOWN)
    return f"coalesce(nullif({found}, ''), {_quoted(given)})" if given else found


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


def _bad(layout: Layout) -> str:
    """The first thing wrong with a row as "Column<separator>value", or NULL. Columns that are absent are not judged."""
    rules = [("shape IS NOT NULL", "", "shape")]
    rules += [(f"{a} IS NULL", _COLUMN[a], f"{a}_text") for a in ("billed", "effective")]
    rules += [(f"{a} IS NULL AND {a}_text <> ''", _COLUMN[a], f"{a}_text") for a in ("list", "contracted")]
    rules += [(f"abs({a}) >= 1000000000000", _COLUMN[a], f"{a}_text") for a in AMOUNTS]
    rules += [("coalesce(NOT sane(charge_start), true)", "ChargePeriodStart", "charge_start_text")]
    if "charge_end" in layout.positions:
        ends_wrong = "charge_end_text <> '' AND coalesce(NOT sane(charge_end) OR charge_end < charge_start, true)"
        rules += [(ends_wrong, "ChargePeriodEnd", "charge_end_text")]
    if "billing_period" in layout.positions:
        rules += [("coalesce(NOT sane(billing_start), true)", "BillingPeriodStart", "billing_period_text")]
    known = ", ".join(f"'{c.lower()}'" for c in ChargeCategory)
    rules += [(f"lower(charge_category) NOT IN ({known})", "ChargeCategory", "charge_category")]
    rules += [(r"NOT regexp_full_match(upper(currency), '[A-Z]{3}')", "BillingCurrency", "currency")]
    rules += [("provider = '' OR length(provider) > 120", "ProviderName", "provider")]
    wrong_id = "{0} = '' OR length({0}) > 500 OR damaged({0})"
    rules += [(wrong_id.format("billing_account_id"), "BillingAccountId", "billing_account_id")]
    rules += [("damaged(sub_account_id)", "SubAccountId", "sub_account_id")]
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
