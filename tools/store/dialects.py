"""Dialects: the few things that SQLite, PostgreSQL and ClickHouse say differently, each said once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import Join
from sqlalchemy.sql.functions import FunctionElement


class Ordered(Join):
    """A join that is done from left to right. SQLite's planner would walk the series and search the days of each."""

    inherit_cache = True


@compiles(Ordered, "sqlite")
def _left_to_right(element: Ordered, compiler: SQLCompiler, **options: Any) -> str:
    text: str = compiler.visit_join(element, **options)  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types
    left, _, right = text.rpartition(" JOIN ")
    return f"{left} CROSS JOIN {right}"


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
