"""ClickHouse: cost facts in a store of their own - its tables, how rows come in and go out, and who answers there."""

# ruff: noqa: S608 - this is the place where ClickHouse's own text is made; names are ours, numbers are numbers
from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    URL,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    Double,
    Engine,
    Row,
    Select,
    SmallInteger,
    Table,
    create_engine,
    delete,
    func,
    literal_column,
    text,
)
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, OperationalError

from tools.model.errors import SettingsError, StoreUnavailableError
from tools.store.fact_tables import ID_BITS, facts, series

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

NAME = "clickhousedb"
# How the tables look; a table of another layout is not guessed at.
LAYOUT = 1
_MADE_BY = re.compile(r"optiinfra facts layout (\d+) id ([0-9a-f]{32})")
_REASON = re.compile(r"\(([A-Z][A-Z_]{5,60})\)")
_NOT_LET_IN = frozenset(
    {"AUTHENTICATION_FAILED", "UNKNOWN_DATABASE", "REQUIRED_PASSWORD", "WRONG_PASSWORD", "UNKNOWN_USER"}
)
# Texts that are nearly as many as there are series: a dictionary of them would help nobody.
_SCATTERED = frozenset({"resource_id", "resource_name", "charge_description"})
_ORDER = {"cost_series": "(tenant, level, load_id, id)", "cost_facts": "(tenant, level, day, series_id)"}
_PARTITION = {"cost_series": "tuple()", "cost_facts": "toYYYYMM(day)"}
# Rows come as DuckDB writes them: nothing in a text may be taken for a header, a NULL or a quote of another kind.
_READING = {
    "input_format_csv_detect_header": 0,
    "input_format_csv_trim_whitespaces": 0,
    "input_format_null_as_default": 0,
    "format_csv_allow_single_quotes": 0,
    "max_partitions_per_insert_block": 0,
}
# The numbers of all loads behind an answer travel in its text; and what was just written must be seen on every replica.
_ASKING = {"max_query_size": 64 << 20, "max_execution_time": 300, "select_sequential_consistency": 1}
_BLOCK = 1 << 18
_SECONDS = 10


class ClickHouse:
    """One database of a ClickHouse server. Nothing is asked of it before the first use.

    Every method raises StoreUnavailableError when it does not answer, with nothing changed that a reader could see.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._lock = threading.RLock()
        self._made: Engine | None = None
        self._id = ""

    def __str__(self) -> str:
        return f"ClickHouse at {self._url.host}, database {self._url.database or 'default'}"

    @property
    def id(self) -> str:
        """Tells this set of tables from any other, so that no ledger speaks of facts that lie elsewhere or are gone."""
        with self._lock:
            if not self._id:
                self._id = self._prepared()
            return self._id

    def rows(self, statement: Select[Any], load_ids: Sequence[int] | None = None) -> Sequence[Row[Any]]:
        """Run a statement over the fact tables; with `load_ids` it sees the series of these loads alone."""
        with self._connected() as connection:
            return connection.execute(statement if load_ids is None else _only(statement, _listed(load_ids))).all()

    def text_of(self, statement: Select[Any], load_ids: Sequence[int]) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The statement as a person can run it, and its parameters; the loads behind it are the parameter `loads`."""
        make: Any = type(self._engine().dialect)
        dialect = make(paramstyle="named")
        compiled = _only(statement, ":loads").compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        parameters = tuple((name, str(value)) for name, value in compiled.params.items())
        return str(compiled), (*parameters, ("loads", _listed(load_ids)))

    def insert(self, table: Table, names: Sequence[str], paths: Sequence[Path], *, load_id: int, facts_id: int) -> None:
        """Put in the rows of csv files that were numbered for `load_id`, renumbered for `facts_id`."""
        shift = (facts_id - load_id) << ID_BITS
        moved = {"load_id": str(facts_id), "id": f"id + {shift}", "series_id": f"series_id + {shift}"}
        picked = ", ".join(moved.get(name, name) for name in names)
        told = ", ".join(f"{name} {_plain_type(table.c[name])}" for name in names)
        self._put(
            f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {picked} FROM input('{told}') FORMAT CSV\n", paths
        )

    def insert_figures(self, tenant: str, level: int, path: Path, *, load_id: int, facts_id: int) -> None:
        """Put in the day rows of a file of `tools.store.charge_writing.Figures`, renumbered in the same way."""
        shift = (facts_id - load_id) << ID_BITS
        names = [c.name for c in facts.columns if c.name not in {"tenant", "level"}]
        moved = {"day": "addDays(toDate('1970-01-01'), day)", "series_id": f"series_id + {shift}"}
        picked = ", ".join(moved.get(name, name) for name in names)
        told = ", ".join(f"{name} {'Float64' if name == 'quantity' else 'Int64'}" for name in names)
        named = tenant.replace("\\", "\\\\").replace("'", "\\'")
        self._put(
            f"INSERT INTO {facts.name} (tenant, level, {', '.join(names)}) "
            f"SELECT '{named}', {level}, {picked} FROM input('{told}') FORMAT RowBinary\n",
            [path],
        )

    def _put(self, head: str, paths: Sequence[Path]) -> None:
        with self._connected() as connection:
            from clickhouse_connect.driver.exceptions import Error
            from clickhouse_connect.driver.exceptions import OperationalError as Unreachable

            try:
                _client(connection).raw_insert("", insert_block=_body(head, paths), settings=_READING)
            except Error as error:
                raise self._sentence(error, answered=not isinstance(error, Unreachable)) from error

    def delete(self, facts_ids: Sequence[int], level: int | None) -> None:
        """Take out everything of some loads, or one level of them."""
        levels = [] if level is None else [level]
        of_fact = func.bitShiftRight(facts.c.series_id, ID_BITS)
        with self._connected() as connection:
            for table, owner in ((facts, of_fact), (series, series.c.load_id)):
                which = [owner.in_(facts_ids), *(table.c.level == one for one in levels)]
                connection.execute(delete(table).where(*which))

    def dispose(self) -> None:
        """Close every connection."""
        if self._made is not None:
            self._made.dispose()

    def _engine(self) -> Engine:
        with self._lock:
            if self._made is None:
                self._made = self._opened()
            return self._made

    def _opened(self) -> Engine:
        try:
            return create_engine(
                self._url.update_query_dict({"connect_timeout": str(_SECONDS)}),
                pool_size=5,
                max_overflow=10,
                execution_options={"settings": _ASKING},
            )
        except (NoSuchModuleError, ImportError):
            raise SettingsError(
                "OPTIINFRA_FACTS_URL names ClickHouse, and its client library is not installed.",
                fix="Say: pip install 'optiinfra-cost-agent[clickhouse]'",
            ) from None

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._engine().connect() as connection:
                yield connection
        except DBAPIError as error:
            raise self._sentence(error.orig, answered=not isinstance(error, OperationalError)) from error

    def _sentence(self, error: BaseException | None, *, answered: bool) -> StoreUnavailableError:
        where, reason = f"ClickHouse at {self._url.host}:{self._url.port or 8123}", _word(error)
        if not answered or not reason:
            return StoreUnavailableError(
                f"{where} did not answer.", fix="Check OPTIINFRA_FACTS_URL and that the server runs, then try again."
            )
        fix = "Check the rights of its user, the server's memory and disk, and its log."
        if reason in _NOT_LET_IN:
            fix = "Check the user, the password and the database in OPTIINFRA_FACTS_URL."
        return StoreUnavailableError(f"{where} did not do what was asked ({reason}).", fix=fix)

    def _prepared(self) -> str:
        """Make the tables where there are none, and read who they are."""
        mark = f"optiinfra facts layout {LAYOUT} id {uuid.uuid4().hex}"
        with self._connected() as connection:
            for table in (series, facts):
                # Of two that make them at once, one comes first: its mark stays.
                connection.execute(text(create(table, mark)))
            found = connection.execute(
                text("SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'cost_facts'")
            ).scalar_one()
        told = _MADE_BY.fullmatch(str(found))
        if told is None or int(told[1]) != LAYOUT:
            raise SettingsError(
                f"{self} has a table cost_facts that this version did not make.",
                fix="Name an empty database in OPTIINFRA_FACTS_URL.",
            )
        return told[2]


def _word(error: BaseException | None) -> str:
    """ClickHouse's own word for what went wrong, AUTHENTICATION_FAILED; nothing else of its text, or of a library's."""
    found = _REASON.findall(str(error))
    return found[-1] if found else ""


def create(table: Table, mark: str) -> str:
    """CREATE TABLE of a fact table in ClickHouse's words: the same columns in the same order, and no NULLs."""
    columns = ", ".join(f"{c.name} {_type(c)}" for c in table.columns)
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name} ({columns}) ENGINE = MergeTree "
        f"PARTITION BY {_PARTITION[table.name]} ORDER BY {_ORDER[table.name]} COMMENT '{mark}'"
    )


def _type(column: Column[Any]) -> str:
    plain = _plain_type(column)
    return f"LowCardinality({plain})" if plain == "String" and column.name not in _SCATTERED else plain


def _plain_type(column: Column[Any]) -> str:
    if column.name.endswith(("_micros", "_rest")):
        # Sums of Int64 would turn round silently where there are many; sums of these have 38 digits.
        return "Decimal(38, 0)"
    for kind, name in ((SmallInteger, "Int16"), (BigInteger, "Int64"), (Date, "Date"), (Double, "Float64")):
        if isinstance(column.type, kind):
            return name
    return "String"


def _only(statement: Select[Any], listed: str) -> Select[Any]:
    return statement.where(literal_column(f"{series.name}.load_id IN ({listed})", Boolean()))


def _listed(load_ids: Sequence[int]) -> str:
    # There is no load 0: of no loads nothing is seen.
    return ", ".join(str(int(one)) for one in sorted(load_ids)) or "0"


def _body(head: str, paths: Sequence[Path]) -> Generator[bytes, None, None]:
    yield head.encode()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block


def _client(connection: Connection) -> Client:
    driver = connection.connection.driver_connection
    assert driver is not None
    client: Client = driver.client
    return client
