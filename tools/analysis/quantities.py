"""Quantities: tells whether a driver is more usage or a higher price, from the consumed quantities per SKU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.model.charge import ChargeCategory
from tools.model.driver import Driver
from tools.model.money import join
from tools.model.period import Period
from tools.model.query import Dimension, Filter, Granularity, Metric
from tools.store import charges, loads
from tools.store import facts as places

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

# Share of a change from which one cause is named alone.
MOSTLY = 0.7
_CATEGORY = str(Dimension.CHARGE_CATEGORY)
Use = Mapping[tuple[str, str], tuple[float, Decimal]]


def sharpened(
    costs: Costs,
    driver: Driver,
    period: Period,
    against: Period,
    where: tuple[Filter, ...],
    metric: Metric,
    currency: str,
) -> Driver:
    """A "usage" driver, called "price" or "mixed" when its quantities say so. Without quantities it stays as it is."""
    if driver.kind != "usage":
        return driver
    inside = (*where, *(Filter(name, (value,)) for name, value in driver.conditions))
    inside += (Filter(_CATEGORY, (str(ChargeCategory.USAGE),)),)
    after, before = (_use(costs, days, inside, metric, currency) for days in (period, against))
    return replace(driver, kind=told_by(before, after, driver.contribution))


def told_by(before: Use, after: Use, change: Decimal) -> str:
    """ "price", "usage" or "mixed": what the SKUs that are known on both sides say about a change. Pure."""
    price = usage = 0.0
    for sku, (quantity, cost) in after.items():
        old_quantity, old_cost = before.get(sku, (0.0, Decimal(0)))
        if quantity <= 0 or old_quantity <= 0:
            usage += float(cost - old_cost)
            continue
        was = float(old_cost) / old_quantity
        price += (float(cost) / quantity - was) * quantity
        usage += was * (quantity - old_quantity)
    usage -= sum(float(cost) for sku, (_, cost) in before.items() if sku not in after)
    moved = abs(price) + abs(usage)
    if not moved or not change or abs(price) < (1 - MOSTLY) * moved:
        return "usage"
    return "price" if abs(price) >= MOSTLY * moved else "mixed"


def _use(costs: Costs, days: Period, where: Iterable[Filter], metric: Metric, currency: str) -> Use:
    """(SKU, unit) -> consumed quantity and cost."""
    with costs.database.read() as tx:
        ids = loads.of_days(loads.ledger(tx, costs.tenant), days)
        statement = charges.question(
            costs.tenant,
            period=days,
            by=(str(Dimension.SKU),),
            where=tuple(where),
            metric=metric,
            granularity=Granularity.TOTAL,
            slots=loads.slots(tx, costs.tenant),
            quantities=True,
        )
        found, _ = places.sums(tx, statement, ids)
    rows = [row for row in found if row.currency == currency and row.key_0]
    return {(row.key_0, row.unit): (float(row.quantity), join(row.micros, row.rest)) for row in rows}
