"""Charges: the one SQL statement behind every cost question, at the coarsest level that can answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    String,
    Subquery,
    and_,
    cast,
    func,
    literal_column,
    not_,
    or_,
    select,
)

from tools.model.errors import UnknownDimensionError
from tools.model.metric import Definition
from tools.model.period import Period
from tools.model.query import TAG, Dimension, Filter, Granularity, Metric, is_allocation
from tools.store.dialects import Ordered, Total, bytewise
from tools.store.fact_tables import ACCOUNTS, DETAIL, TAGS, facts, series

if TYPE_CHECKING:
    from sqlalchemy.sql.expression import Join

_OF_ACCOUNTS = frozenset(
    {
        Dimension.PROVIDER,
        Dimension.BILLING_ACCOUNT,
        Dimension.SUB_ACCOUNT,
        Dimension.SUB_ACCOUNT_NAME,
        Dimension.SERVICE,
        Dimension.SERVICE_CATEGORY,
        Dimension.CHARGE_CATEGORY,
        Dimension.CHARGE_CLASS,
        Dimension.CURRENCY,
    }
)
_OF_DETAIL = frozenset({Dimension.RESOURCE, Dimension.SKU})
_NOTHING: ColumnElement[Any] = literal_column("''")


@dataclass(frozen=True, slots=True)
class Classes:
    """What each series belongs to (`table`: id, met), and the dimensions that this hangs on."""

    table: FromClause
    dimensions: tuple[str, ...]

    @property
    def key(self) -> ColumnElement[Any]:
        found: ColumnElement[Any] = self.table.c.met
        return found


def level_for(dimensions: Sequence[str]) -> int:
    """The coarsest level that knows all of these dimensions."""
    if any(d in _OF_DETAIL for d in dimensions):
        return DETAIL
    return ACCOUNTS if all(d in _OF_ACCOUNTS for d in dimensions) else TAGS


def column(dimension: str, slots: Mapping[str, str]) -> ColumnElement[Any]:
    """The series column of a dimension; a tag key that was never kept has no values."""
    if is_allocation(dimension):
        raise UnknownDimensionError(
            "Who pays by the allocation rules cannot be asked here.",
            fix="Ask `optiinfra costs` or `optiinfra allocation report`.",
        )
    if not dimension.startswith(TAG):
        found: ColumnElement[Any] = series.c[dimension]
        return found
    slot = slots.get(dimension.removeprefix(TAG))
    return series.c[slot] if slot else _NOTHING


def question(
    tenant: str,
    *,
    period: Period,
    by: Sequence[str],
    where: Sequence[Filter],
    metric: Metric,
    granularity: Granularity,
    slots: Mapping[str, str],
    without_detail: Sequence[int] = (),
    classes: Classes | None = None,
    quantities: bool = False,
) -> Select[Any]:
    """SELECT bucket, by..., currency, micros, rest, unknown, rows. Costs of two currencies stay apart.

    `without_detail` are loads whose cost per resource was given up: they answer from the level above, with no
    resource, so that the sum stays whole. `classes` add one further key. With `quantities`, units stay apart as well
    and each row ends with quantity and unit.
    """
    level = level_for((*by, *(f.dimension for f in where), *(classes.dimensions if classes else ())))
    bucket = _bucket(granularity)
    keys = [*(column(d, slots) for d in by), *([classes.key] if classes else [])]
    counted = metric.definition
    whose = [
        series.c.tenant == tenant,
        _at(level, without_detail),
        *(_condition(f, slots) for f in where),
        *_categories(counted),
    ]
    levels = (TAGS, DETAIL) if level == DETAIL and without_detail else (level,)
    days = [
        facts.c.tenant == tenant,
        facts.c.level.in_(levels) if len(levels) > 1 else facts.c.level == level,
        facts.c.day >= period.start,
        facts.c.day < period.end,
    ]
    amounts = _amounts(counted, quantities)
    source: FromClause = facts
    if granularity is Granularity.TOTAL and not where and not counted.categories:
        # The days of a series are added up before it is looked up: one search for each series instead of each fact.
        # Not where few series are asked for: there those of others need not be added up.
        source = _per_series(amounts, days)
        amounts, days = {name: source.c[name] for name in amounts}, []
    joined: Join = Ordered(source, series, series.c.id == source.c.series_id)
    if classes:
        joined = Ordered(joined, classes.table, classes.table.c.id == series.c.id)
    units = (series.c.consumed_unit,) if quantities else ()
    groups = [c for c in (bucket, *keys, series.c.currency, *units) if c is not _NOTHING]
    return (
        select(
            bucket.label("bucket"),
            *(key.label(f"key_{n}") for n, key in enumerate(keys)),
            series.c.currency.label("currency"),
            *(_sum(name, amount) for name, amount in amounts.items()),
            *(unit.label("unit") for unit in units),
        )
        .select_from(joined)
        .where(*days, *whose)
        .group_by(*groups)
    )


def _amounts(counted: Definition, quantities: bool) -> dict[str, ColumnElement[Any]]:
    """What is added up, by its name in the result; the difference of sums is the sum of differences."""
    found: dict[str, ColumnElement[Any]] = {}
    for part in ("micros", "rest"):
        plus = facts.c[f"{counted.plus}_{part}"]
        found[part] = plus - facts.c[f"{counted.minus}_{part}"] if counted.minus else plus
    unknown: ColumnElement[Any] = literal_column("0")
    for cost in counted.may_be_unknown:
        missing = facts.c[f"{cost}_unknown"]
        unknown = missing if cost == counted.may_be_unknown[0] else unknown + missing
    found["unknown"] = unknown
    found["raw_rows"] = facts.c.rows
    if quantities:
        found["quantity"] = facts.c.quantity
    return found


def _sum(name: str, amount: ColumnElement[Any]) -> ColumnElement[Any]:
    # Quantities are no whole numbers.
    return (func.sum(amount) if name == "quantity" else Total(amount)).label(name)


def _per_series(amounts: Mapping[str, ColumnElement[Any]], days: Sequence[ColumnElement[bool]]) -> Subquery:
    every = (func.sum(amount).label(name) for name, amount in amounts.items())
    return select(facts.c.series_id, *every).where(*days).group_by(facts.c.series_id).subquery("per_series")


def _categories(counted: Definition) -> list[ColumnElement[bool]]:
    if not counted.categories:
        return []
    names = [str(c) for c in counted.categories]
    of = series.c.charge_category
    return [of.not_in(names) if counted.exclude else of.in_(names)]


def _bucket(granularity: Granularity) -> ColumnElement[Any]:
    if granularity is Granularity.DAY:
        return facts.c.day
    if granularity is Granularity.MONTH:
        # Literal positions: a bound one would make two different expressions of SELECT and GROUP BY.
        return func.substr(cast(facts.c.day, String), literal_column("1"), literal_column("7"))
    return _NOTHING


def _at(level: int, without_detail: Sequence[int]) -> ColumnElement[bool]:
    if level != DETAIL or not without_detail:
        return series.c.level == level
    of_these = series.c.load_id.in_(sorted(without_detail))
    return or_(and_(series.c.level == DETAIL, not_(of_these)), and_(series.c.level == TAGS, of_these))


def _condition(wanted: Filter, slots: Mapping[str, str]) -> ColumnElement[bool]:
    found = column(wanted.dimension, slots)
    return found.not_in(wanted.values) if wanted.exclude else found.in_(wanted.values)


def known_values(tenant: str, dimension: str, slots: Mapping[str, str], limit: int) -> Select[Any]:
    """SELECT every value that a dimension ever had, in order of text."""
    found = column(dimension, slots)
    return (
        select(found.label("value"))
        .where(series.c.tenant == tenant, series.c.level == level_for((dimension,)), found != "")
        .group_by(found)
        .order_by(bytewise(found))
        .limit(limit)
    )


def stored(tenant: str, days: Period, load_ids: Sequence[int], with_detail: Sequence[int]) -> Select[Any]:
    """SELECT every fact of some loads once, with its series, at the finest level that the load keeps.

    `days` hold all of theirs; `with_detail` are the loads that keep cost per resource.
    """
    of_these = series.c.load_id.in_(sorted(with_detail))
    finest = or_(and_(facts.c.level == DETAIL, of_these), and_(facts.c.level == TAGS, not_(of_these)))
    columns = [c for c in facts.c if c.name not in {"tenant", "level", "series_id"}]
    named = [c for c in series.c if c.name not in {"id", "tenant", "level"}]
    return (
        select(*columns, *named)
        .select_from(facts.join(series, series.c.id == facts.c.series_id))
        .where(
            facts.c.tenant == tenant,
            facts.c.level.in_((TAGS, DETAIL)),
            facts.c.day >= days.start,
            facts.c.day < days.end,
            series.c.tenant == tenant,
            series.c.load_id.in_(sorted(load_ids)),
            finest,
        )
        .order_by(series.c.load_id, facts.c.day, facts.c.series_id)
    )
