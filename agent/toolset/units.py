"""Units: what one of people's own units (an order, a user) costs."""

from __future__ import annotations

from decimal import Decimal

from agent import words
from agent.toolset import desk as at
from agent.toolset.arguments import UnitCosts
from agent.toolset.desk import Desk, Facts
from agent.toolset.drawing import lines
from tools.model.fact import Table, ToolResult
from tools.model.query import Granularity, Metric
from tools.model.unit import UnitLine, UnitReport


def unit_costs(args: UnitCosts, desk: Desk) -> ToolResult:
    """Cost per unit over the days that count; the days that do not are named."""
    from tools.analysis import unit_costs as analysis

    where = at.filters(desk, args.where, {})
    made = analysis.report(
        desk.costs,
        args.unit,
        args.period,
        desk.today,
        where=where,
        metric=Metric(args.metric),
        granularity=Granularity(args.granularity),
    )
    scope = at.scope(where)
    facts = Facts(made.receipt, args.period, args.metric)
    for whole in made.wholes:
        _line_facts(whole, f"one of {made.unit}", scope or "everything", facts)
    fine = made.granularity is not Granularity.TOTAL
    if fine:
        for line in made.lines:
            moment = _moment(line, made)
            facts.add("cost", moment, line.cost, currency=line.currency)
            facts.add(made.unit, moment, line.units, "count")
            facts.add(f"cost per one of {made.unit}", moment, line.per_unit, currency=line.currency)
    tables = _tables(made) if fine else ()
    notes = [*(f"{note[0].upper()}{note[1:]}." for note in made.notes)]
    for label, days in ((f"Days without {made.unit}", made.gaps), ("Days without complete costs", made.partial)):
        if days:
            facts.add(f"{label.lower()}, not counted", scope or "everything", len(days), "days")
            notes.append(f"{label} are not counted: {words.listed((str(p) for p in analysis.spans(days)), 5)}.")
    return ToolResult(
        at.echo("unit_costs", args.model_dump(mode="json", exclude_defaults=True), args.period, args.metric, where),
        facts.all,
        _headline(made, scope),
        tables,
        lines(tables[0], split=False) if len(tables) == 1 else (),
        (*notes, *at.coverage_notes(made.coverage, args.period)),
        made.coverage,
    )


def _line_facts(line: UnitLine, unit: str, scope: str, facts: Facts) -> None:
    facts.add(f"cost per {unit}", scope, line.per_unit, currency=line.currency)
    facts.add("cost of the counted days", scope, line.cost, currency=line.currency)
    facts.add("units of the counted days", scope, line.units, "count")
    facts.add("counted days", scope, line.days, "days")


def _headline(made: UnitReport, scope: str) -> str:
    if not made.wholes:
        return f"0 days {words.span(made.period)} have both complete costs and {made.unit}."
    parts = []
    for x in made.wholes:
        cost, units = words.money(x.cost, x.currency), f"{x.units:,f}"
        if x.per_unit is None:
            parts.append(f"{cost} for {units} {made.unit}: {x.note}")
        else:
            parts.append(f"{words.money(x.per_unit, x.currency)} per one of {made.unit} ({cost} for {units})")
    days = made.wholes[0].days
    counted = "" if days == made.period.days else f", over {days} of {made.period.days} days"
    return f"{' and '.join(parts)}{at.on(scope)} {words.span(made.period)}{counted}."


def _moment(line: UnitLine, made: UnitReport) -> str:
    return f"{line.start:%Y-%m}" if made.granularity is Granularity.MONTH else line.start.isoformat()


def _tables(made: UnitReport) -> tuple[Table, ...]:
    tables = []
    unit = "month" if made.granularity is Granularity.MONTH else "day"
    for currency in dict.fromkeys(x.currency for x in made.lines):
        rows: list[tuple[str | Decimal | None, ...]] = [
            (_moment(x, made), x.cost, x.units, x.per_unit) for x in made.lines if x.currency == currency
        ]
        tables.append(
            Table(
                f"Cost per one of {made.unit}, {made.period}",
                (unit, "cost", made.unit, "cost per unit"),
                ("text", "money", "count", "money"),
                tuple(rows),
                currency,
            )
        )
    return tuple(tables)
