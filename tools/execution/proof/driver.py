"""Driver: runs the store's own statements on SQLite in memory, as compiled by SQLAlchemy and with nothing else between.

SQLAlchemy's way from a statement to the database costs several times what SQLite needs for it, and a proof is a
hundred statements per run. The statements, their conditions and constraints are the production ones; that this
driver answers as SQLAlchemy does is tested by playing the same seeds on both.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, cast

from sqlalchemy import Dialect, Executable, StaticPool, create_engine
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, NoResultFound
from sqlalchemy.types import TypeEngine

from tools.store.database import Database

_Processor = Callable[[Any], Any] | None
_UNKNOWN = object()
_MOST_KNOWN = 20_000


class Rows:
    """What a statement gave: rows with named columns, or how many rows it changed."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows, self.rowcount = rows, rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> list[Any]:
        return self._rows

    def first(self) -> Any:
        return self._rows[0] if self._rows else None

    def one_or_none(self) -> Any:
        if len(self._rows) > 1:
            raise MultipleResultsFound("More than one row.")
        return self.first()

    def one(self) -> Any:
        if not self._rows:
            raise NoResultFound("No row.")
        return self.one_or_none()

    def scalar_one_or_none(self) -> Any:
        row = self.one_or_none()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:
        return self.one()[0]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as text, where each of its parameters comes from, and how its rows are read."""

    statement: Executable
    text: str
    inputs: tuple[tuple[str, Any, _Processor], ...]
    row: Callable[[list[Any]], Any] | None
    outputs: tuple[tuple[int, Callable[[Any], Any]], ...]


class Line:
    """The one connection; stands in for SQLAlchemy's in the store's functions."""

    def __init__(self, raw: sqlite3.Connection, dialect: Dialect) -> None:
        self.raw, self._dialect = raw, dialect
        self._prepared: dict[int, _Prepared] = {}
        # Rows repeat the same moments and numbers; nobody changes what was read.
        self._known: dict[tuple[object, object], Any] = {}

    def execute(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Run a statement that the store keeps as a constant: one that is built anew each time is too slow."""
        given = parameters or {}
        prepared = self._prepared.get(id(statement))
        if prepared is None:
            prepared = self._prepared[id(statement)] = _prepare(statement, self._dialect, list(given))
        values = [
            (given[name] if process is None else process(given[name])) if known is None else known
            for name, known, process in prepared.inputs
        ]
        try:
            cursor = self.raw.execute(prepared.text, values)
        except sqlite3.IntegrityError as error:
            raise IntegrityError(prepared.text, None, error) from error
        if prepared.row is None:
            return Rows([], cursor.rowcount)
        return Rows([self._row(prepared, raw) for raw in cursor.fetchall()], -1)

    def _row(self, prepared: _Prepared, raw: tuple[Any, ...]) -> Any:
        row, known = list(raw), self._known
        for place, reader in prepared.outputs:
            text = row[place]
            if text is not None:
                value = known.get((reader, text), _UNKNOWN)
                if value is _UNKNOWN:
                    if len(known) > _MOST_KNOWN:
                        known.clear()
                    value = known[reader, text] = reader(text)
                row[place] = value
        return prepared.row(row) if prepared.row else row

    def begin_nested(self) -> _Block:
        """A savepoint."""
        return _Block(self, "SAVEPOINT inner", "RELEASE inner", "ROLLBACK TO inner")

    @property
    def statements(self) -> int:
        """How many different statements were run; grows without end when the store builds one each time."""
        return len(self._prepared)


class _Block:
    """Work that is kept when it ends well and undone when it does not."""

    __slots__ = ("_good", "_line", "_start", "_undo")

    def __init__(self, line: Line, start: str, good: str, undo: str) -> None:
        self._line, self._start, self._good, self._undo = line, start, good, undo

    def __enter__(self) -> Line:
        self._line.raw.execute(self._start)
        return self._line

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._line.raw.execute(self._good)
            return
        self._line.raw.execute(self._undo)


class _Look:
    """Reading needs no transaction: nobody else writes while somebody reads."""

    __slots__ = ("_line",)

    def __init__(self, line: Line) -> None:
        self._line = line

    def __enter__(self) -> Line:
        return self._line

    def __exit__(self, *raised: object) -> None:
        return None


class MemoryDatabase:
    """A database of the production schema, with the two methods that the engine, the gates and the store use."""

    dialect = "sqlite"

    def __init__(self, line: Line) -> None:
        self.line = line

    def begin(self) -> _Block:
        return _Block(self.line, "BEGIN", "COMMIT", "ROLLBACK")

    def read(self) -> _Look:
        return _Look(self.line)


@contextmanager
def memory(prepare: Callable[[Database], None]) -> Iterator[tuple[Database, sqlite3.Connection]]:
    """An empty database that lives as long as this block, after `prepare` filled it by way of SQLAlchemy."""
    import tools.store.tables  # noqa: F401 - fills the metadata
    from tools.store.metadata import metadata

    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"cached_statements": 512})
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.isolation_level = None  # as in production: we begin transactions ourselves
    metadata.create_all(engine)
    try:
        prepare(Database(engine, "sqlite"))
        yield cast(Database, MemoryDatabase(Line(raw, engine.dialect))), raw
    finally:
        engine.dispose()


def _prepare(statement: Executable, dialect: Dialect, given: list[str]) -> _Prepared:
    built: Any = statement
    compiled = built.compile(dialect=dialect, column_keys=None if built.is_select else given)
    inputs = tuple(_input(compiled, name, dialect, given) for name in compiled.positiontup or ())
    columns = list(built.exported_columns)
    if not columns:
        return _Prepared(statement, str(compiled), inputs, None, ())
    readers = [_impl(column.type, dialect).result_processor(dialect, None) for column in columns]
    made: Any = namedtuple("made", [column.key for column in columns])  # type: ignore[misc]  # known only now
    outputs = tuple((place, reader) for place, reader in enumerate(readers) if reader is not None)
    return _Prepared(statement, str(compiled), inputs, made._make, outputs)


def _input(compiled: Any, name: str, dialect: Dialect, given: list[str]) -> tuple[str, Any, _Processor]:
    """Name, value where the statement itself holds it (else None), and how the value is written."""
    process = _impl(compiled.binds[name].type, dialect).bind_processor(dialect)
    if name in given:
        return name, None, process
    known = compiled.params[name]
    return name, process(known) if process else known, None


def _impl(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)
