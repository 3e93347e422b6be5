"""Changes: why cost changed between two periods, as the exact driver tree."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from agent import words
from agent.planner.aliases import shown
from agent.toolset import desk as at
from agent.toolset.arguments import CompareCosts
from agent.toolset.costs import label, with_names
from agent.toolset.desk import Desk, Facts
from agent.toolset.drawing import bars, total_of
from tools.model.driver import Driver, DriverTree
from tools.model.errors import CurrencyMismatchError
from tools.model.fact import Table, ToolResult
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import CostQuery, Coverage, Metric

SHOWN = 20
_KINDS = {
    "usage": "usage",
    "price": "price",
    "new": "new",
    "gone": "gone",
    "commitment": "commitment coverage",
    "credit": "credits",
    "fx": "exchange rate",
    "mixed": "usage and price",
}


def compare_costs(args: CompareCosts, desk: Desk) -> ToolResult:
    """What a period cost against another one, and which parts of it made the difference."""
    from tools.analysis import drivers

    where = at.filters(desk, args.where, args.exclude)
    coverage = desk.costs.coverage(args.period)
    period, against, notes = _comparable(args.period, args.against, coverage)
    by = at.dimensions(desk, args.by)
    metric = Metric(args.metric)
    try:
        tree = drivers.explain(desk.costs, period, against, where=where, metric=metric, by=by or None)
    except CurrencyMismatchError:
        used = desk.costs.currencies()[0]
        tree = drivers.explain(desk.costs, period, against, where=where, metric=metric, by=by or None, currency=used)
        others = words.listed(c for c in desk.costs.currencies() if c != used)
        notes = (*notes, f"Compared in {used}; costs in {others} are not part of it.")
    facts = Facts(tree.receipt, period, args.metric, tree.currency)
    scope = at.scope(where)
    entity = scope or "everything"
    echo = at.echo("compare_costs", args.model_dump(mode="json", exclude_defaults=True), period, args.metric, where)
    echo["against"] = {"start": against.start.isoformat(), "end": against.end.isoformat()}
    facts.add("change of cost", entity, tree.change)
    facts.add("cost", entity, tree.after)
    facts.add("cost", entity, tree.before, period=against)
    if tree.before > 0:
        facts.add("change of cost", entity, EXACT.divide(tree.change, tree.before) * 100, "percent")
    for driver in tree.drivers:
        facts.add(f"part of the change by {_KINDS.get(driver.kind, driver.kind)}", _who(driver), driver.contribution)
    facts.add("part of the change by all else", "everything else", tree.other)
    table = _split(tree, desk, CostQuery(period, by[:1], where, metric), facts) if by else _table(tree, scope)
    return ToolResult(
        echo,
        facts.all,
        _headline(tree, scope),
        (table,) if tree.drivers or by else (),
        bars(table) if len(table.rows) > 1 else (),
        (*notes, *at.coverage_notes(coverage, period)),
        coverage,
    )


def _comparable(period: Period, against: Period, coverage: Coverage) -> tuple[Period, Period, tuple[str, ...]]:
    """Only whole days with data on both sides: an unfinished day would look like a fall in cost."""
    end = coverage.complete_to
    if end is None or not period.start < end < period.end:
        return period, against, ()
    cut = Period(period.start, end)
    same = Period(against.start, min(against.end, against.start + (end - period.start)))
    if same.days != cut.days:
        return cut, against, (f"Counted {cut}: later days are not complete yet.",)
    return cut, same, (f"Like for like: {cut} against {same}, because later days are not complete yet.",)


def _headline(tree: DriverTree, scope: str) -> str:
    what = at.on(scope)
    both = (
        f"{words.money(tree.after, tree.currency)}{what} {words.span(tree.period)} against "
        f"{words.money(tree.before, tree.currency)} {words.span(tree.against)}"
    )
    if tree.change == 0:
        return f"Cost did not change: {both}."
    direction = "more" if tree.change > 0 else "less"
    part = f" ({words.percent(EXACT.divide(tree.change, tree.before) * 100, sign=True)})" if tree.before > 0 else ""
    first = f"{words.money(abs(tree.change), tree.currency)} {direction}{part}: {both}."
    if not tree.drivers:
        return first
    top = max(tree.drivers, key=lambda d: abs(d.contribution))
    return f"{first} The largest part is {_who(top)} ({_KINDS.get(top.kind, top.kind)}): {words.signed(top.contribution, tree.currency)}."


def who(conditions: tuple[tuple[str, str], ...]) -> str:
    """The slice that a driver is about: 'account 123 / team web'. A resource's SKU is left out: a code says less."""
    named = (
        [c for c in conditions if c[0] != "sku_id"] if any(d == "resource_id" for d, _ in conditions) else conditions
    )
    return " / ".join(_part(d, value) for d, value in named) or "all"


def _who(driver: Driver) -> str:
    return who(driver.conditions)


def _part(dimension: str, value: str) -> str:
    if not value:
        return f"(no {shown(dimension)})"
    plain = dimension in {"provider", "service_name"}
    return words.name(value) if plain else f"{shown(dimension)} {words.name(value)}"


def _split(tree: DriverTree, desk: Desk, query: CostQuery, facts: Facts) -> Table:
    """Every value of the dimension that was asked for with its two costs, the greatest change first."""
    sides: dict[str, list[Decimal]] = {}
    for side, period in ((0, tree.against), (1, tree.period)):
        table = desk.costs.table(with_names(replace(query, period=period)))
        for row in table.rows:
            if row.currency == tree.currency and row.cost is not None:
                pair = sides.setdefault(label(row, table), [Decimal(0), Decimal(0)])
                pair[side] = EXACT.add(pair[side], row.cost)
    lines = [(name, before, after, EXACT.subtract(after, before)) for name, (before, after) in sides.items()]
    lines.sort(key=lambda line: (-abs(line[3]), line[0]))
    for name, _, _, change in lines[:SHOWN]:
        facts.add("change of cost", name, change)
    rows: list[tuple[str | Decimal | None, ...]] = list(lines[:SHOWN])
    if rest := lines[SHOWN:]:
        before, after = total_of(line[1] for line in rest), total_of(line[2] for line in rest)
        rows.append((f"{len(rest)} others", before, after, EXACT.subtract(after, before)))
    what = f"What changed by {shown(query.by[0])}{at.on(at.scope(query.where))}, {tree.period} against {tree.against}"
    columns = (shown(query.by[0]), "before", "after", "change")
    return Table(what, columns, ("text", "money", "money", "money"), tuple(rows), tree.currency)


def _table(tree: DriverTree, scope: str) -> Table:
    rows: list[tuple[str | Decimal | None, ...]] = [
        (_who(d), _KINDS.get(d.kind, d.kind), d.before, d.after, d.contribution) for d in tree.drivers
    ]
    if tree.other:
        before = EXACT.subtract(tree.before, total_of(d.before for d in tree.drivers))
        rows.append(("everything else", "", before, EXACT.add(before, tree.other), tree.other))
    return Table(
        f"What changed{at.on(scope)}, {tree.period} against {tree.against}",
        ("part", "by", "before", "after", "change"),
        ("text", "text", "money", "money", "money"),
        tuple(rows),
        tree.currency,
    )
