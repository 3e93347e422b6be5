"""Usage: what given resources cost and how much of them was used, by how it was priced; from the detailed facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, false, func, literal, or_, select

from tools.model.charge import ChargeCategory
from tools.model.money import join
from tools.model.period import Period
from tools.model.query import Receipt
from tools.store import facts as places
from tools.store import loads
from tools.store.dialects import Total, bytewise, ends, holds
from tools.store.fact_tables import DETAIL, facts, series
from tools.store.fact_tables import loads as ledger

# Databases limit how many parameters a statement takes.
_IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Usage:
    """One resource's usage charges of one SKU under one price kind, over a period.

    `pricing` is FOCUS's PricingCategory ("Standard", "Dynamic" for spot, "Committed"); `cost` is effective cost;
    `quantity` is a measure in `unit` (0 when the bill gives none); `days` is on how many days it was charged.
    """

    resource_id: str
    resource_name: str
    sku_id: str
    provider: str
    sub_account_id: str
    service_name: str
    region_id: str
    charge_description: str
    pricing: str
    unit: str
    currency: str
    cost: Decimal
    quantity: Decimal
    days: int
    rows: int


@dataclass(frozen=True, slots=True)
class UsageTable:
    """Usage lines and the statement that gave them."""

    lines: tuple[Usage, ...]
    receipt: Receipt


def of_resources(tx: Connection, tenant: str, period: Period, resource_ids: Sequence[str]) -> UsageTable:
    """Usage of the named resources within the period; resources that the bill does not name are absent."""
    some = [list(resource_ids[n : n + _IDS_PER_QUERY]) for n in range(0, len(resource_ids), _IDS_PER_QUERY)]
    statements = [_statement(tenant, period, series.c.resource_id.in_(ids)) for ids in some or [[]]]
    ids = _loads(tx, tenant, period)
    lines = [line for statement in statements for line in _read(tx, statement, ids)]
    return UsageTable(tuple(lines), _receipt(tx, tenant, statements[-1], ids, lines))


def of_services(tx: Connection, tenant: str, period: Period, words: Sequence[str]) -> UsageTable:
    """Usage of every service whose name holds one of the words (lower case), by resource and SKU."""
    named = [holds(func.lower(series.c.service_name), word) for word in words]
    return _table(tx, tenant, period, _statement(tenant, period, or_(*named)))


def of_types(
    tx: Connection, tenant: str, period: Period, types: Sequence[str], *, tag: tuple[str, str] | None = None
) -> UsageTable:
    """Usage of instance types over all resources: what one hour of each costs under each pricing, per region.

    With `tag` (key, value) only what carries it; a key that is not kept as a dimension matches nothing.
    """
    named = [
        condition
        for word in types
        for condition in (
            ends(series.c.sku_id, f":{word}"),
            holds(series.c.charge_description, f" {word} "),
        )
    ]
    condition = or_(false(), *named) if tag is None else and_(or_(false(), *named), _tagged(tx, tenant, *tag))
    return _table(tx, tenant, period, _statement(tenant, period, condition, by_resource=False))


def _table(tx: Connection, tenant: str, period: Period, statement: Select[Any]) -> UsageTable:
    ids = _loads(tx, tenant, period)
    lines = _read(tx, statement, ids)
    return UsageTable(tuple(lines), _receipt(tx, tenant, statement, ids, lines))


def _loads(tx: Connection, tenant: str, period: Period) -> tuple[int, ...]:
    return loads.of_days(loads.ledger(tx, tenant), period)


def _tagged(tx: Connection, tenant: str, key: str, value: str) -> ColumnElement[bool]:
    column = loads.slots(tx, tenant).get(key)
    return false() if column is None else series.c[column] == value


def _statement(tenant: str, period: Period, condition: ColumnElement[bool], *, by_resource: bool = True) -> Select[Any]:
    keys = (
        (series.c.resource_id if by_resource else literal("")).label("resource_id"),
        (series.c.resource_name if by_resource else literal("")).label("resource_name"),
        series.c.sku_id,
        series.c.provider,
        series.c.sub_account_id,
        series.c.service_name,
        series.c.region_id,
        series.c.charge_description,
        series.c.pricing_category,
        series.c.consumed_unit,
        series.c.currency,
    )
    return (
        select(
            *keys,
            Total(facts.c.effective_micros).label("micros"),
            Total(facts.c.effective_rest).label("rest"),
            func.sum(facts.c.quantity).label("quantity"),
            func.count(func.distinct(facts.c.day)).label("days"),
            func.sum(facts.c.rows).label("raw_rows"),
        )
        .join(series, (series.c.id == facts.c.series_id) & (series.c.tenant == facts.c.tenant))
        .where(
            facts.c.tenant == tenant,
            facts.c.level == DETAIL,
            facts.c.day >= period.start,
            facts.c.day < period.end,
            series.c.charge_category == ChargeCategory.USAGE.value,
            condition,
        )
        .group_by(*(keys if by_resource else keys[2:]))
        .order_by(*(bytewise(key) for key in (keys if by_resource else keys[2:])))
    )


def _read(tx: Connection, statement: Select[Any], load_ids: Sequence[int]) -> list[Usage]:
    return [
        Usage(
            row.resource_id,
            row.resource_name,
            row.sku_id,
            row.provider,
            row.sub_account_id,
            row.service_name,
            row.region_id,
            row.charge_description,
            row.pricing_category,
            row.consumed_unit,
            row.currency,
            join(row.micros, row.rest),
            # A measure, not money: a float with more digits than anybody billed.
            Decimal(repr(round(float(row.quantity), 6))),
            int(row.days),
            int(row.raw_rows),
        )
        for row in places.sums(tx, statement, load_ids)[0]
    ]


def _receipt(
    tx: Connection, tenant: str, statement: Select[Any], load_ids: Sequence[int], lines: list[Usage]
) -> Receipt:
    as_of = tx.execute(select(func.max(ledger.c.loaded_at)).where(ledger.c.tenant == tenant)).scalar()
    sql, parameters = places.text_of(tx, statement, load_ids)
    return Receipt(sql, parameters, sum(line.rows for line in lines), as_of)
