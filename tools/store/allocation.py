"""Allocation: stored versions of the rules, and the rules as SQL - which series belongs to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    String,
    and_,
    case,
    column,
    false,
    func,
    insert,
    literal_column,
    select,
    table,
    text,
    true,
)
from sqlalchemy.exc import IntegrityError

from tools.model.allocation import Condition, Rule, Ruleset, RulesVersion
from tools.model.errors import ConflictError, InputError
from tools.store import charges, facts
from tools.store.allocation_tables import allocation_versions as versions
from tools.store.charges import Classes
from tools.store.fact_tables import DETAIL, TAGS, series

# What one statement can carry on every engine, with room for the filters of the question.
MOST_VALUES = 20_000
# It ends with the transaction that looks, and is nobody else's.
_HELD = table("allocated_series", column("id"), column("met"))


def save(
    tx: Connection,
    tenant: str,
    dimension: str,
    *,
    source: str,
    content_hash: str,
    actor: str,
    now: datetime,
    removed: bool = False,
) -> RulesVersion:
    """Keep a further version of a dimension's rules. Raises ConflictError when somebody else just did."""
    mine = (versions.c.tenant == tenant) & (versions.c.dimension == dimension)
    number = int(tx.execute(select(func.coalesce(func.max(versions.c.version), 0)).where(mine)).scalar_one()) + 1
    saved = RulesVersion(dimension, number, source, content_hash, actor, now, removed)
    values = {
        "tenant": tenant,
        "dimension": dimension,
        "version": number,
        "source": source,
        "content_hash": content_hash,
        "removed": removed,
        "actor": actor,
        "at": now,
    }
    try:
        with tx.begin_nested():
            tx.execute(insert(versions).values(values))
    except IntegrityError:
        raise ConflictError(
            "Somebody else changed these rules at the same moment.", fix="Look at them again, then decide anew."
        ) from None
    return saved


def history(tx: Connection, tenant: str, dimension: str = "") -> tuple[RulesVersion, ...]:
    """Every version, of one dimension when named, the newest first."""
    query = select(versions).where(versions.c.tenant == tenant)
    if dimension:
        query = query.where(versions.c.dimension == dimension)
    rows = tx.execute(query.order_by(versions.c.at.desc(), versions.c.dimension, versions.c.version.desc()))
    return tuple(_version(row) for row in rows)


def active(tx: Connection, tenant: str) -> tuple[RulesVersion, ...]:
    """The version of each dimension that counts now, by dimension; removed ones are left out."""
    newest = (
        select(versions.c.dimension, func.max(versions.c.version).label("version"))
        .where(versions.c.tenant == tenant)
        .group_by(versions.c.dimension)
        .subquery()
    )
    rows = tx.execute(
        select(versions)
        .join(newest, and_(newest.c.dimension == versions.c.dimension, newest.c.version == versions.c.version))
        .where(versions.c.tenant == tenant)
        .order_by(versions.c.dimension)
    )
    return tuple(version for version in (_version(row) for row in rows) if not version.removed)


def count(tx: Connection, tenant: str) -> int:
    """How many versions there are: it grows with every change of any rules."""
    return int(tx.execute(select(func.count()).select_from(versions).where(versions.c.tenant == tenant)).scalar_one())


def _version(row: Row[Any]) -> RulesVersion:
    return RulesVersion(row.dimension, row.version, row.source, row.content_hash, row.actor, row.at, bool(row.removed))


def classes(
    tx: Connection,
    tenant: str,
    rules: Ruleset,
    slots: Mapping[str, str],
    *,
    load_ids: Sequence[int],
    asked: Sequence[str] = (),
) -> Classes:
    """Which rule each series of these loads meets first, and whom its value names, as one key: see `met`.

    `asked` are the other dimensions of the question: they decide on the level of detail. Raises InputError when the
    rules name more values than a statement can carry.
    """
    level = charges.level_for((*rules.dimensions, *asked))
    levels = (TAGS, DETAIL) if level == DETAIL else (level,)
    here = and_(series.c.tenant == tenant, series.c.level.in_(levels), series.c.load_id.in_(sorted(load_ids)))
    columns = {d: charges.column(d, slots) for d in rules.dimensions}
    known = {
        d: tuple(row[0] for row in facts.rows(tx, select(column.label("value")).where(here).distinct(), load_ids))
        for d, column in columns.items()
    }
    wanted = _Values(columns, known)
    tests = [
        (wanted.of_rule(rule), _met(n, columns[rule.value_of] if rule.value_of else None))
        for n, rule in enumerate(rules.rules, 1)
    ]
    if wanted.used > MOST_VALUES:
        raise InputError(
            f"The rules meet {wanted.used} values one by one, more than a question can carry ({MOST_VALUES}).",
            fix="Take the name from the tag with value_of, or match fewer values.",
        )
    found = select(series.c.id.label("id"), case(*tests, else_=_met(0)).label("met")).where(here).cte("allocated")
    # Once per series where tables are joined by hashing; SQLite would walk all of it for every fact.
    found = found.prefix_with("MATERIALIZED", dialect="postgresql").prefix_with("NOT MATERIALIZED", dialect="sqlite")
    return Classes(found, rules.dimensions)


def held(tx: Connection, classes: Classes) -> Classes:
    """The same for running: SQLite would decide on the rule again for every fact, so it writes down once per series."""
    if tx.dialect.name != "sqlite" or facts.store(tx) is not None:
        return classes
    tx.execute(text(f"DROP TABLE IF EXISTS temp.{_HELD.name}"))
    tx.execute(text(f"CREATE TEMP TABLE {_HELD.name} (id INTEGER PRIMARY KEY, met TEXT NOT NULL)"))
    tx.execute(insert(_HELD).from_select(["id", "met"], select(classes.table.c.id, classes.table.c.met)))
    return replace(classes, table=_HELD)


def met(key: object) -> tuple[int, str]:
    """What `Classes` say of a series: the number of the rule that it meets first (0: none), and whom its value names."""
    number, _, named = str(key).partition(":")
    return int(number), named


def _met(n: int, value: ColumnElement[Any] | None = None) -> ColumnElement[str]:
    told = literal_column(f"'{n}:'", String)
    return told if value is None else told.concat(value)


class _Values:
    """Rules as conditions on the values that exist; counts how many it had to name."""

    def __init__(self, columns: Mapping[str, ColumnElement[Any]], known: Mapping[str, Sequence[str]]) -> None:
        self.columns = columns
        self.known = known
        self.used = 0

    def of_rule(self, rule: Rule) -> ColumnElement[bool]:
        parts = [self._of(condition) for condition in rule.conditions]
        if rule.value_of:
            # Who is not named cannot pay.
            parts.append(self.columns[rule.value_of] != literal_column("''"))
        return and_(true(), *parts)

    def _of(self, condition: Condition) -> ColumnElement[bool]:
        known = self.known[condition.dimension]
        fitting = [value for value in known if condition.fits(value)]
        others = [value for value in known if not condition.fits(value)]
        if not fitting:
            return false()
        if not others:
            return true()
        column = self.columns[condition.dimension]
        self.used += min(len(fitting), len(others))
        return column.in_(fitting) if len(fitting) <= len(others) else column.not_in(others)
