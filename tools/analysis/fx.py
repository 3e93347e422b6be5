"""Exchange rates as drivers: why cost in one reporting currency changed, with what the rates did told by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis.drivers import DIMENSIONS, TAG, Leaf, attribute, both_receipts
from tools.analysis.numbers import total
from tools.model.driver import Driver, DriverTree
from tools.model.errors import InputError
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import CostQuery, CostTable, Dimension, Filter, Granularity, Metric

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.rates import Rates

_CURRENCY = str(Dimension.CURRENCY)
_Key = tuple[tuple[str, ...], str]


@dataclass(slots=True)
class _Side:
    """One period's cost per leaf and bill currency: as billed, and in the reporting currency at each day's rate."""

    billed: dict[_Key, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    told: dict[_Key, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def of(self, currency: str) -> tuple[Decimal, Decimal]:
        """Everything in one bill currency: as billed, and as told."""
        return (
            total(amount for key, amount in self.billed.items() if key[1] == currency),
            total(amount for key, amount in self.told.items() if key[1] == currency),
        )


def explain(
    costs: Costs,
    period: Period,
    against: Period,
    *,
    rates: Rates,
    currency: str,
    where: tuple[Filter, ...] = (),
    metric: Metric = Metric.BILLED,
) -> DriverTree:
    """As `drivers.explain`, over bills in all currencies: each bill currency's rate is a driver of kind "fx".

    The bills' own change is taken at the average rate of `against`; what the rates did is the rest, so that all parts
    add up to the change exactly. Raises InputError when a rate or a price is missing, or nothing is stored.
    """
    names = DIMENSIONS + tuple(TAG + key for key in costs.tag_keys)
    tables = [
        costs.table(CostQuery(days, by=names, where=where, metric=metric, granularity=Granularity.DAY))
        for days in (period, against)
    ]
    if not any(table.rows for table in tables):
        raise InputError(
            f"No costs are stored for {period} or {against}.", fix="Choose other days, or load them first."
        )
    after, before = (_side(table, rates, currency) for table in tables)
    old = {code: _old_rate(before, code, against, rates, currency) for code in _codes(before, after)}
    leaves = _leaves(before, after, old)
    # Which currency a leaf was billed in is told by its rate alone.
    found, _ = attribute(names, leaves)
    moved = [driver for code in sorted(old) if (driver := _moved(after, code, old[code])).contribution]
    every = sorted((*found, *moved), key=lambda d: (-abs(d.contribution), d.conditions))
    was, came = (total(side.told.values()) for side in (before, after))
    other = EXACT.subtract(EXACT.subtract(came, was), total(d.contribution for d in every))
    receipt = both_receipts(tables[0].receipt, tables[1].receipt)
    return DriverTree(period, against, was, came, currency, tuple(every), other, receipt)


def _side(table: CostTable, rates: Rates, currency: str) -> _Side:
    side = _Side()
    for row in table.rows:
        if row.cost is None:
            raise InputError(
                "The cost of these days is not known for every charge.", fix="Ask for billed or effective cost."
            )
        key = (row.keys, row.currency)
        side.billed[key] = EXACT.add(side.billed[key], row.cost)
        told = EXACT.multiply(row.cost, rates.on(row.start, row.currency, currency))
        side.told[key] = EXACT.add(side.told[key], told)
    return side


def _codes(before: _Side, after: _Side) -> set[str]:
    return {code for side in (before, after) for _, code in side.billed}


def _old_rate(before: _Side, code: str, against: Period, rates: Rates, currency: str) -> Decimal:
    """The average rate of the first period, as its bills weigh the days; that of its last day without bills."""
    billed, told = before.of(code)
    if billed and told:
        return EXACT.divide(told, billed)
    return rates.on(list(against)[-1], code, currency)


def _leaves(before: _Side, after: _Side, old: Mapping[str, Decimal]) -> list[Leaf]:
    """Both sides in the reporting currency, the second at the first one's rates."""
    sums: dict[tuple[str, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for (keys, _), amount in before.told.items():
        sums[keys][0] = EXACT.add(sums[keys][0], amount)
    for (keys, code), amount in after.billed.items():
        sums[keys][1] = EXACT.add(sums[keys][1], EXACT.multiply(amount, old[code]))
    return [Leaf(keys, pair[0], pair[1]) for keys, pair in sorted(sums.items())]


def _moved(after: _Side, code: str, old: Decimal) -> Driver:
    """What the rate of one bill currency did to the second period."""
    billed, told = after.of(code)
    return Driver(((_CURRENCY, code),), "fx", before=EXACT.multiply(billed, old), after=told)
