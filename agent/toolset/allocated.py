"""Allocated: what those who pay have of a period's cost - their own, and their part of what is shared."""

from __future__ import annotations

from decimal import Decimal

from agent import words
from agent.toolset import desk as at
from agent.toolset.arguments import AllocatedCosts
from agent.toolset.desk import Desk, Facts
from agent.toolset.drawing import bars
from tools.model.allocation import UNALLOCATED, Line, Report
from tools.model.errors import InputError
from tools.model.fact import Table, ToolResult
from tools.model.query import ALLOCATION, Metric

NOBODY = "nobody (unallocated)"


def allocated_costs(args: AllocatedCosts, desk: Desk) -> ToolResult:
    """Own, shared and total cost of one payer, or of everybody, by the stored rules."""
    from tools.analysis import allocation

    dimension = f"{ALLOCATION}:{args.dimension}" if args.dimension else ALLOCATION
    where = at.filters(desk, args.where, {})
    payer = _spelt(desk, dimension, args.payer) if args.payer else ""
    made = allocation.report(desk.costs, args.period, dimension=dimension, metric=Metric(args.metric), where=where)
    facts = Facts(made.receipt, args.period, args.metric)
    echo = at.echo(
        "allocated_costs", args.model_dump(mode="json", exclude_defaults=True), args.period, args.metric, where
    )
    notes = (
        f"By the allocation rules {made.rules.dimension}, version {made.rules.version}.",
        *at.coverage_notes(made.coverage, args.period),
    )
    chosen = [x for x in made.lines if not args.payer or x.payer == payer]
    for line in chosen:
        _line_facts(line, facts)
    for currency, total in made.totals:
        facts.add("total cost", "everything", total, currency=currency)
    if not made.lines:
        headline = f"There is no cost data {words.span(args.period)}."
    elif args.payer:
        headline = _of_one(words.name(payer), chosen, made)
    else:
        headline = _of_all(made)
    tables = () if args.payer else _tables(made)
    return ToolResult(
        echo, facts.all, headline, tables, bars(tables[0]) if len(tables) == 1 else (), notes, made.coverage
    )


def _spelt(desk: Desk, dimension: str, said: str) -> str:
    """Who is meant, in the rules' spelling; raises InputError with those who pay."""
    known = desk.costs.values(dimension, 5000)
    same = [name for name in known if name.casefold() == said.strip().casefold()]
    if same:
        return same[0]
    if said.strip().casefold() in {"unallocated", "nobody"}:
        return UNALLOCATED
    raise InputError(
        f'By the allocation rules nobody called "{words.name(said)}" pays for anything.',
        fix=f"Those who pay are: {words.listed(known, 12)}.",
    )


def _line_facts(line: Line, facts: Facts) -> None:
    name = words.name(line.payer) if line.payer else NOBODY
    for label, value in (("cost", line.total), ("own cost", line.direct), ("part of shared cost", line.shared)):
        facts.add(label, name, value, currency=line.currency)
    if line.share is not None:
        facts.add("share of everything", name, line.share * 100, "percent")


def _of_one(name: str, lines: list[Line], made: Report) -> str:
    name = name if lines and lines[0].payer else NOBODY
    if not lines:
        return f"By the rules, {name} has no cost {words.span(made.period)}."
    parts = []
    for x in lines:
        share = f" ({words.percent(x.share * 100)} of everything)" if x.share is not None else ""
        own, shared = words.money(x.direct, x.currency), words.money(x.shared, x.currency)
        parts.append(f"{words.money(x.total, x.currency)}{share}: {own} of its own and {shared} of shared cost")
    kind = "" if made.metric is Metric.BILLED else f" ({made.metric} cost)"
    return f"{name} comes to {' and '.join(parts)}, {words.span(made.period)}{kind}."


def _of_all(made: Report) -> str:
    parts = []
    for currency, total in made.totals:
        line = made.unallocated(currency)
        bare = "all of it has somebody who pays"
        if line is not None and line.total:
            share = f" ({words.percent(line.share * 100)})" if line.share is not None else ""
            bare = f"{words.money(line.total, currency)}{share} of it is nobody's"
        parts.append(f"{words.money(total, currency)} was spent {words.span(made.period)}; {bare}")
    top = next((x for x in made.lines if x.payer), None)
    most = f"; the most is {words.name(top.payer)}'s: {words.money(top.total, top.currency)}" if top else ""
    return f"{', and '.join(parts)}{most}."


def _tables(made: Report) -> tuple[Table, ...]:
    tables = []
    for currency, _ in made.totals:
        rows: list[tuple[str | Decimal | None, ...]] = [
            (words.name(x.payer) if x.payer else NOBODY, x.direct, x.shared, x.total)
            for x in made.lines
            if x.currency == currency
        ]
        tables.append(
            Table(
                f"Who pays, {made.period}",
                ("who pays", "own", "shared", "total"),
                ("text", "money", "money", "money"),
                tuple(rows),
                currency,
            )
        )
    return tuple(tables)
