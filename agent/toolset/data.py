"""Data: which names exist in the cost data, and how fresh and complete it is."""

from __future__ import annotations

from agent import words
from agent.planner.aliases import shown
from agent.toolset import desk as at
from agent.toolset.arguments import DataStatus, ListValues
from agent.toolset.desk import Desk, Facts
from tools.model.fact import Table, ToolResult
from tools.model.period import Period
from tools.model.query import CostQuery, dimension

SHOWN = 100


def list_values(args: ListValues, desk: Desk) -> ToolResult:
    """The values of one dimension with what they cost in the last days of the data, most expensive first."""
    name = dimension(args.dimension, desk.settings.tag_keys)
    values = [v for v in desk.costs.values(name) if v]
    span = desk.costs.span()
    echo = at.echo("list_values", {"dimension": name}, None, "", ())
    word = shown(name)
    if not values or span is None:
        return ToolResult(
            echo, (), f"0 values of {word} are known: no cost data has one.", coverage=desk.costs.coverage()
        )
    recent = Period(max(span.start, span.end - (span.end - span.start)), span.end)
    receipt = desk.costs.table(CostQuery(recent, (name,))).receipt
    facts = Facts(receipt, recent)
    facts.add(f"known values of {word}", "everything", len(values), "count")
    names = _account_names(desk) if name == "sub_account_id" else {}
    rows = tuple((words.name(v), words.name(names[v]) if v in names else "") for v in values[:SHOWN])
    table = (
        Table(f"Values of {word}", (word, "name"), ("text", "text"), rows)
        if names
        else Table(f"Values of {word}", (word,), ("text",), tuple((first,) for first, _ in rows))
    )
    notes = (f"The {SHOWN} most expensive of {len(values)} are listed.",) if len(values) > SHOWN else ()
    first = [names.get(v, v) for v in values]
    headline = (
        f"{len(values)} {'value' if len(values) == 1 else 'values'} of {word} in the data: {words.listed(first, 12)}."
    )
    return ToolResult(echo, facts.all, headline, (table,), (), notes, desk.costs.coverage())


def _account_names(desk: Desk) -> dict[str, str]:
    span = desk.costs.span()
    if span is None:
        return {}
    rows = desk.costs.table(CostQuery(span, ("sub_account_id", "sub_account_name"))).rows
    return {row.keys[0]: row.keys[1] for row in rows if row.keys[1] and row.keys[1] != row.keys[0]}


def data_status(args: DataStatus, desk: Desk) -> ToolResult:
    """How far the cost data reaches, what of it may still change, and what is missing."""
    span, coverage = desk.costs.span(), desk.costs.coverage()
    echo = at.echo("data_status", {}, span, "", ())
    if span is None:
        return ToolResult(
            echo,
            (),
            "0 days of cost data are loaded.",
            notes=("Load some with `optiinfra ingest PATH` or connect a cloud and run `optiinfra collect`.",),
            coverage=coverage,
        )
    receipt = desk.costs.table(CostQuery(span)).receipt
    facts = Facts(receipt, span)
    facts.add("days with cost data", "everything", span.days, "days")
    share = coverage.provisional_share * 100
    facts.add("share of days that may still change", "everything", share, "percent")
    until = words.last_day(coverage.complete_to) if coverage.complete_to else words.last_day(span.end)
    missing = (
        f" Missing: {words.listed(coverage.missing, 10)}." if coverage.missing else " Nothing is known to be missing."
    )
    headline = (
        f"{span.days} days of cost data, {span}; every account is complete up to {until}.{missing}"
        if coverage.complete_to
        else f"{span.days} days of cost data, {span}.{missing}"
    )
    late = (desk.today - (coverage.complete_to or span.end)).days
    notes = []
    if late > 3:
        facts.add("days without complete data until today", "everything", late, "days")
        notes.append(f"The data ends {late} days before today.")
    rows = tuple((words.name(p),) for p in desk.costs.values("provider") if p)
    return ToolResult(
        echo,
        facts.all,
        headline,
        (Table("Clouds with data", ("provider",), ("text",), rows),),
        (),
        tuple(notes),
        coverage,
    )
