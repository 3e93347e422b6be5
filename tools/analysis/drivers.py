"""Drivers: says exactly why cost changed between two periods - a few slices that, with the rest, add up to the change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis import slices
from tools.analysis.naming import NO_NAMES, Names, conditions
from tools.analysis.numbers import total
from tools.analysis.words import money
from tools.model.charge import ChargeCategory
from tools.model.driver import Driver, DriverTree
from tools.model.errors import CurrencyMismatchError, InputError
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import CostQuery, CostTable, Dimension, Filter, Granularity, Metric, Receipt

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.numbers import Floats

# By what a change is taken apart when nobody says otherwise; tags come on top.
DIMENSIONS = (
    str(Dimension.PROVIDER),
    str(Dimension.SUB_ACCOUNT),
    str(Dimension.SERVICE),
    str(Dimension.REGION),
    str(Dimension.CHARGE_CATEGORY),
    str(Dimension.PRICING_CATEGORY),
)
DETAILS = (str(Dimension.SKU), str(Dimension.RESOURCE))
MOST_LEAVES = 20_000
TAG = "tag:"
_CATEGORY = str(Dimension.CHARGE_CATEGORY)
_PRICING = str(Dimension.PRICING_CATEGORY)
_RESOURCE = str(Dimension.RESOURCE)
_COMMITMENTS = (str(Dimension.COMMITMENT), str(Dimension.COMMITMENT_STATUS))


@dataclass(frozen=True, slots=True)
class Leaf:
    """The finest thing that is compared: one value per dimension, and its cost in both periods."""

    values: tuple[str, ...]
    before: Decimal
    after: Decimal


def attribute(
    dimensions: Sequence[str], leaves: Sequence[Leaf], rules: slices.Rules | None = None
) -> tuple[tuple[Driver, ...], Decimal]:
    """The drivers of a leaf table and the change that is left: contributions + other = change, to the last digit.

    A leaf counts for the first driver that it belongs to, so drivers never overlap. Pure.
    """
    found = slices.search(_codes(dimensions, leaves), _floats(leaves, "before"), _floats(leaves, "after"), rules)
    drivers = []
    for one in found:
        mine = [leaves[row] for row in one.rows.tolist()]
        example = mine[0].values
        conditions = tuple((dimensions[column], example[column]) for column in one.columns)
        conditions = _by_resource(dimensions, conditions, mine, leaves)
        before = total(leaf.before for leaf in mine)
        after = total(leaf.after for leaf in mine)
        drivers.append(Driver(conditions, _kind(dimensions, conditions, mine, before, after), before, after))
    change = EXACT.subtract(total(leaf.after for leaf in leaves), total(leaf.before for leaf in leaves))
    drivers.sort(key=lambda d: (-abs(d.contribution), d.conditions))
    return tuple(drivers), EXACT.subtract(change, total(d.contribution for d in drivers))


def _by_resource(
    dimensions: Sequence[str], conditions: tuple[tuple[str, str], ...], mine: Sequence[Leaf], leaves: Sequence[Leaf]
) -> tuple[tuple[str, str], ...]:
    """The same slice named by its one resource in place of tags, which say less of where to look; else unchanged."""
    if _RESOURCE not in dimensions or any(name == _RESOURCE for name, _ in conditions):
        return conditions
    resources = {_value(dimensions, leaf, _RESOURCE) for leaf in mine}
    if len(resources) != 1 or "" in resources:
        return conditions
    named = ((_RESOURCE, resources.pop()), *(c for c in conditions if not c[0].startswith(TAG)))
    selected = [leaf for leaf in leaves if all(_value(dimensions, leaf, name) == value for name, value in named)]
    same = len(named) <= slices.MOST_CONDITIONS and len(selected) == len(mine)
    return named if same else conditions


def _codes(dimensions: Sequence[str], leaves: Sequence[Leaf]) -> Floats:
    import numpy as np

    codes = np.zeros((len(leaves), len(dimensions)), dtype=np.int64)
    for column in range(len(dimensions)):
        numbers: dict[str, int] = {}
        codes[:, column] = [numbers.setdefault(leaf.values[column], len(numbers)) for leaf in leaves]
    return codes


def _floats(leaves: Sequence[Leaf], which: str) -> Floats:
    import numpy as np

    return np.array([float(getattr(leaf, which)) for leaf in leaves], dtype=float)


def _kind(
    dimensions: Sequence[str],
    conditions: Sequence[tuple[str, str]],
    leaves: Sequence[Leaf],
    before: Decimal,
    after: Decimal,
) -> str:
    """What sort of change it is, as far as the leaves tell."""
    categories = {_value(dimensions, leaf, _CATEGORY) for leaf in leaves if leaf.after != leaf.before}
    named = {name for name, _ in conditions}
    on_commitment = any(name == _PRICING and _committed(value) for name, value in conditions)
    if categories and categories <= {str(ChargeCategory.CREDIT), str(ChargeCategory.ADJUSTMENT)}:
        return "credit"
    if (
        categories == {str(ChargeCategory.PURCHASE)}
        or on_commitment
        or named & set(_COMMITMENTS)
        or _moved_commitment(dimensions, leaves)
    ):
        return "commitment"
    change = after - before
    appeared = total(leaf.after for leaf in leaves if leaf.before == 0)
    ended = total(leaf.before for leaf in leaves if leaf.after == 0)
    if before == 0 or (change > 0 and appeared >= change * Decimal("0.7")):
        return "new"
    if after == 0 or (change < 0 and ended >= -change * Decimal("0.7")):
        return "gone"
    return "usage"


def _moved_commitment(dimensions: Sequence[str], leaves: Sequence[Leaf]) -> bool:
    """Cost that moved between committed and on-demand pricing inside the slice."""
    if _PRICING not in dimensions:
        return False
    moves: dict[bool, Decimal] = {True: Decimal(0), False: Decimal(0)}
    for leaf in leaves:
        committed = _committed(_value(dimensions, leaf, _PRICING))
        moves[committed] += leaf.after - leaf.before
    smaller = min(abs(moves[True]), abs(moves[False]))
    return moves[True] * moves[False] < 0 and smaller * 3 > max(abs(moves[True]), abs(moves[False]))


def _committed(pricing: str) -> bool:
    return pricing.lower() in {"committed", "commitment"}


def _value(dimensions: Sequence[str], leaf: Leaf, name: str) -> str:
    return leaf.values[list(dimensions).index(name)] if name in dimensions else ""


def explain(
    costs: Costs,
    period: Period,
    against: Period,
    *,
    where: tuple[Filter, ...] = (),
    metric: Metric = Metric.BILLED,
    by: tuple[str, ...] | None = None,
    currency: str | None = None,
) -> DriverTree:
    """Why `period` cost what it did compared with `against`; exact in every digit that is stored.

    Raises InputError when nothing is stored for both periods, CurrencyMismatchError when costs are in several
    currencies and none is chosen.
    """
    # The quantities need the database's library, which a leaf table in a file does not.
    from tools.analysis import quantities

    names, after, before = _asked(costs, period, against, where, metric, by)
    chosen = currency or _one_currency([*after.totals, *before.totals], period, against)
    sums: dict[tuple[str, ...], list[Decimal]] = {}
    for side, table in ((0, before), (1, after)):
        for row in table.rows:
            if row.currency == chosen:
                if row.cost is None:
                    raise InputError(
                        f"The {metric} cost of these days is not known for every charge.",
                        fix="Ask for billed or effective cost.",
                    )
                pair = sums.setdefault(row.keys, [Decimal(0), Decimal(0)])
                pair[side] = EXACT.add(pair[side], row.cost)
    leaves = [Leaf(keys, pair[0], pair[1]) for keys, pair in sorted(sums.items())]
    found, other = attribute(names, leaves)
    found = tuple(quantities.sharpened(costs, d, period, against, where, metric, chosen) for d in found)
    return DriverTree(
        period,
        against,
        before=total(leaf.before for leaf in leaves),
        after=total(leaf.after for leaf in leaves),
        currency=chosen,
        drivers=found,
        other=other,
        receipt=both_receipts(after.receipt, before.receipt),
    )


def _asked(
    costs: Costs,
    period: Period,
    against: Period,
    where: tuple[Filter, ...],
    metric: Metric,
    by: tuple[str, ...] | None,
) -> tuple[tuple[str, ...], CostTable, CostTable]:
    """The leaves of both periods; down to SKU and resource where the question is narrow and both are kept."""
    coarse = by or DIMENSIONS + tuple(TAG + key for key in costs.tag_keys)
    narrow = by is None and any(str(f.dimension) == str(Dimension.SERVICE) and not f.exclude for f in where)
    for names in (coarse + DETAILS, coarse) if narrow else (coarse,):
        after, before = (
            costs.table(CostQuery(days, by=names, where=where, metric=metric, granularity=Granularity.TOTAL))
            for days in (period, against)
        )
        if names == coarse or (_has_details(names, after) and _has_details(names, before)):
            break
    return names, after, before


def _has_details(names: Sequence[str], table: CostTable) -> bool:
    """Every usage of a detailed answer names its SKU or resource: nothing of it was given up."""
    places = [list(names).index(name) for name in DETAILS]
    return len(table.rows) <= MOST_LEAVES and all(any(row.keys[p] for p in places) for row in table.rows if row.cost)


def _one_currency(totals: Iterable[tuple[str, Decimal | None]], period: Period, against: Period) -> str:
    currencies = sorted({currency for currency, _ in totals})
    if not currencies:
        raise InputError(
            f"No costs are stored for {period} or {against}.", fix="Choose other days, or load them first."
        )
    if len(currencies) > 1:
        raise CurrencyMismatchError(
            f"These costs are in {', '.join(currencies)}, which do not add up.",
            fix="Choose one: --where currency=" + currencies[0],
        )
    return currencies[0]


def both_receipts(after: Receipt, before: Receipt) -> Receipt:
    """One receipt for two questions."""
    moments = [moment for moment in (after.as_of, before.as_of) if moment is not None]
    parameters = tuple((f"after {n}", v) for n, v in after.parameters) + tuple(
        (f"before {n}", v) for n, v in before.parameters
    )
    return Receipt(
        f"{after.sql};\n{before.sql}", parameters, after.rows + before.rows, max(moments) if moments else None
    )


_STORY = {
    "new": "new {what}",
    "gone": "{what} that ended",
    "usage": "{what}",
    "price": "the price of {what}",
    "commitment": "commitments of {what}",
    "credit": "credits for {what}",
    "fx": "the exchange rate of {what}",
    "mixed": "{what}",
}


def in_words(driver: Driver, currency: str, *, skip: Iterable[str] = (), names: Names = NO_NAMES) -> str:
    """'new usage in us-east-1, team web (+$221)'; '' when nothing is left to say beyond `skip`."""
    hidden = set(skip)
    if any(name == _RESOURCE for name, _ in driver.conditions):
        hidden.add(str(Dimension.SKU))  # a code that tells people less than the resource's own name
    what = conditions(((name, value) for name, value in driver.conditions if name not in hidden), names)
    if not what:
        return ""
    return f"{_STORY[driver.kind].format(what=what)} ({money(driver.contribution, currency, sign=True)})"


def together(found: Sequence[Driver]) -> tuple[Driver, ...]:
    """Drivers of one resource and kind as one: people know the resource, and not its SKUs. Pure."""
    sums: dict[tuple[tuple[tuple[str, str], ...], str], Driver] = {}
    for one in found:
        by_resource = any(name == _RESOURCE for name, _ in one.conditions)
        kept = tuple(c for c in one.conditions if not by_resource or c[0] != str(Dimension.SKU))
        before = sums.get((kept, one.kind), Driver(kept, one.kind, Decimal(0), Decimal(0)))
        sums[kept, one.kind] = Driver(
            kept, one.kind, EXACT.add(before.before, one.before), EXACT.add(before.after, one.after)
        )
    return tuple(sums.values())


def driver_document(driver: Driver) -> dict[str, object]:
    """One driver in the shape that commands print."""
    return {
        "conditions": dict(driver.conditions),
        "kind": driver.kind,
        "before": driver.before,
        "after": driver.after,
        "contribution": driver.contribution,
    }


def as_document(tree: DriverTree) -> Mapping[str, object]:
    """The tree in the shape of `optiinfra explain --json`."""
    return {
        "period": {"start": tree.period.start, "end": tree.period.end},
        "against": {"start": tree.against.start, "end": tree.against.end},
        "before": tree.before,
        "after": tree.after,
        "change": tree.change,
        "currency": tree.currency,
        "drivers": [driver_document(d) for d in tree.drivers],
        "other": tree.other,
        "receipt": tree.receipt,
    }
