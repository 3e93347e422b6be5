"""Dialects: the few things that SQLite, PostgreSQL and ClickHouse say differently, each said once."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import BigInteger, ColumnElement, Dialect, Integer, Label, Select, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import Join
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import replacement_traverse

# What SQLite says of a sum that outgrows 64 bits; sums of the others have more digits than any amount.
OUTGROWN = "integer overflow"
_LOW_BITS = 20


class Ordered(Join):
    """A join that is done from left to right. SQLite's planner would walk the series and search the days of each."""

    inherit_cache = True


@compiles(Ordered, "sqlite")
def _left_to_right(element: Ordered, compiler: SQLCompiler, **options: Any) -> str:
    text: str = compiler.visit_join(element, **options)  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types
    left, _, right = text.rpartition(" JOIN ")
    return f"{left} CROSS JOIN {right}"


class Total(FunctionElement[int]):
    """The sum of whole numbers (or of quantities) over the rows of a group."""

    inherit_cache = True
    type = BigInteger()


def in_parts(statement: Select[Any]) -> Select[Any]:
    """The statement with each labelled `Total` added up in two halves, which no number of rows outgrows on SQLite."""
    swapped: Any = replacement_traverse(statement, {}, _halved)
    return cast(Select[Any], swapped)


def _halved(element: Any, **_: Any) -> Any:
    # A label has the type of what it was made of, so it is made again.
    if isinstance(element, Label) and isinstance(element.element, Total):
        return _Halves(*element.element.clauses).label(element.name)
    return None


class _Joined(TypeDecorator[int]):
    """The halves of a sum, as one number."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        high, low = map(int, value.split())
        return (high << _LOW_BITS) + low


class _Halves(FunctionElement[int]):
    inherit_cache = True
    type = _Joined()


def holds(text: ColumnElement[str], word: str) -> ColumnElement[bool]:
    """Whether a text has a word in it, letter for letter: LIKE folds case on SQLite, and ClickHouse has no ESCAPE."""
    found: ColumnElement[bool] = _Place(text, word) > 0
    return found


def ends(text: ColumnElement[str], word: str) -> ColumnElement[bool]:
    """Whether a text ends in a word, letter for letter."""
    return _End(text, len(word)) == word


def bytewise(text: ColumnElement[str]) -> ColumnElement[str]:
    """A text to be ordered by its bytes, as SQLite and ClickHouse do, whatever the database's language."""
    return _Bytewise(text)


class _Place(FunctionElement[int]):
    """Where a word begins in a text, counted from 1; 0 where it is not."""

    inherit_cache = True
    type = Integer()


class _End(FunctionElement[str]):
    """The last so many characters of a text."""

    inherit_cache = True
    type = Text()


class _Bytewise(FunctionElement[str]):
    inherit_cache = True
    type = Text()


@compiles(Total)
def _total(element: Total, compiler: SQLCompiler, **options: Any) -> str:
    return f"sum({_inside(element, compiler, options)})"


@compiles(_Halves, "sqlite")
def _halves(element: _Halves, compiler: SQLCompiler, **options: Any) -> str:
    text = _inside(element, compiler, options)
    return f"sum(({text}) >> {_LOW_BITS}) || ' ' || sum(({text}) & {(1 << _LOW_BITS) - 1})"


@compiles(_Place)
def _place(element: _Place, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({_inside(element, compiler, options)})"


@compiles(_Place, "postgresql")
def _place_postgresql(element: _Place, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({_inside(element, compiler, options)})"


@compiles(_Place, "clickhousedb")
def _place_clickhouse(element: _Place, compiler: SQLCompiler, **options: Any) -> str:
    # In characters, as the others count.
    return f"positionUTF8({_inside(element, compiler, options)})"


@compiles(_End)
def _end(element: _End, compiler: SQLCompiler, **options: Any) -> str:
    text, length = element.clauses
    return f"substr({compiler.process(text, **options)}, -{compiler.process(length, **options)})"


@compiles(_End, "postgresql")
def _end_postgresql(element: _End, compiler: SQLCompiler, **options: Any) -> str:
    return f"right({_inside(element, compiler, options)})"


@compiles(_End, "clickhousedb")
def _end_clickhouse(element: _End, compiler: SQLCompiler, **options: Any) -> str:
    return f"rightUTF8({_inside(element, compiler, options)})"


@compiles(_Bytewise)
def _bytewise(element: _Bytewise, compiler: SQLCompiler, **options: Any) -> str:
    return _inside(element, compiler, options)


@compiles(_Bytewise, "postgresql")
def _bytewise_postgresql(element: _Bytewise, compiler: SQLCompiler, **options: Any) -> str:
    return f'{_inside(element, compiler, options)} COLLATE "C"'


def _inside(element: FunctionElement[Any], compiler: SQLCompiler, options: dict[str, Any]) -> str:
    return ", ".join(compiler.process(one, **options) for one in element.clauses)
