"""Costs: what was spent - in total, per something, over time - with a fact for every number that is shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from agent import words
from agent.planner.aliases import shown
from agent.toolset import desk as at
from agent.toolset.arguments import QueryCosts
from agent.toolset.desk import Desk, Facts
from agent.toolset.drawing import bars, lines, total_of
from tools.analysis import rates
from tools.model.fact import Chart, Table, ToolResult
from tools.model.money import EXACT
from tools.model.query import CostQuery, CostRow, CostTable, Granularity, Metric

SHOWN = 40
_FINE = Decimal("1E-10")


def query_costs(args: QueryCosts, desk: Desk) -> ToolResult:
    """Cost of a period, per dimension and per day or month where asked."""
    where = at.filters(desk, args.where, args.exclude)
    by = at.dimensions(desk, args.by)
    query = CostQuery(args.period, by, where, Metric(args.metric), Granularity(args.granularity))
    table = rates.reported(desk.costs, with_names(query), desk.settings, args.currency)
    facts = Facts(table.receipt, args.period, args.metric)
    scope = at.scope(where)
    echo = at.echo("query_costs", args.model_dump(mode="json", exclude_defaults=True), args.period, args.metric, where)
    if at.empty(table):
        headline = f"There is no cost data{f' for {scope}' if scope else ''} {words.span(args.period)}."
        return ToolResult(
            echo, (), headline, notes=at.coverage_notes(table.coverage, args.period), coverage=table.coverage
        )
    for currency, total in table.totals:
        facts.add("total cost", scope or "everything", total, currency=currency)
    headline = _headline(table, query, scope, facts)
    if args.share and where:
        headline += _share(table, query, desk, facts, args.currency)
    tables, notes = _tables(table, query, args.limit or SHOWN, facts)
    return ToolResult(
        echo,
        facts.all,
        headline,
        tables,
        _charts(tables, query),
        (*notes, *at.coverage_notes(table.coverage, args.period)),
        table.coverage,
    )


def with_names(query: CostQuery) -> CostQuery:
    """Account ids are shown with the names people know them by."""
    if "sub_account_id" not in query.by or "sub_account_name" in query.by:
        return query
    at_id = query.by.index("sub_account_id") + 1
    return replace(query, by=(*query.by[:at_id], "sub_account_name", *query.by[at_id:]))


def label(row: CostRow, table: CostTable) -> str:
    """The row's keys as one name; an account is its name with its id."""
    keys = dict(zip(table.query.by, row.keys, strict=True))
    account, account_name = keys.get("sub_account_id"), keys.pop("sub_account_name", None)
    parts = []
    for dimension, value in keys.items():
        if dimension == "sub_account_id" and account_name and account_name != account:
            parts.append(f"{words.name(account_name)} ({words.name(value)})")
        elif not value:
            parts.append(f"(no {shown(dimension)})")
        else:
            parts.append(words.name(value))
    return " / ".join(parts)


_HAPPENED = {
    Metric.NEGOTIATED_SAVINGS: "was saved by negotiated prices",
    Metric.COMMITMENT_SAVINGS: "was saved by commitments",
    Metric.SAVINGS: "was saved by negotiated prices and commitments",
}


def _kind(metric: Metric) -> str:
    if metric is Metric.BILLED or metric in _HAPPENED:
        return ""
    cost = " cost" if metric in {Metric.EFFECTIVE, Metric.LIST, Metric.CONTRACTED, Metric.GROSS, Metric.NET} else ""
    return f" ({metric.replace('_', ' ')}{cost})"


def _headline(table: CostTable, query: CostQuery, scope: str, facts: Facts) -> str:
    amounts = words.listed((words.money(total, currency) for currency, total in table.totals), 4)
    what = at.on(scope)
    first = (
        f"{amounts} {_HAPPENED.get(query.metric, 'was spent')}{what} {words.span(query.period)}{_kind(query.metric)}"
    )
    if query.granularity is not Granularity.TOTAL and not query.by and len(table.totals) == 1:
        return first + _over_time(table, query, facts)
    if not query.by or query.granularity is not Granularity.TOTAL or len(table.totals) != 1:
        return first + "."
    top = max((r for r in table.rows if r.cost is not None), key=lambda r: r.cost or Decimal(0), default=None)
    whole = table.totals[0][1]
    if top is None or top.cost is None or whole is None:
        return first + "."
    part = words.share(top.cost, whole)
    name = label(top, table)
    tail = ""
    # Beside credits, a part can be more than the whole: as a share that says nothing.
    if part is not None and 0 <= part <= 100 and len(table.rows) > 1:
        facts.add("share of the total", name, part, "percent")
        tail = f" ({words.percent(part)})"
    return f"{first}; the most on {name}: {words.money(top.cost, top.currency)}{tail}."


def _over_time(table: CostTable, query: CostQuery, facts: Facts) -> str:
    """'; $12.00 a day on average, the most on 12 Oct 2026: $20.00.' - of the days (months) that have costs."""
    whole = table.totals[0][1]
    known = [r for r in table.rows if r.cost is not None]
    if whole is None or len(known) < 2:
        return "."
    unit = _period_word(query)
    currency = table.totals[0][0]
    average = EXACT.divide(whole, Decimal(len(known))).quantize(_FINE)
    facts.add(f"average per {unit}", "everything", average, currency=currency)
    top = max(known, key=lambda r: r.cost or Decimal(0))
    moment = f"on {words.day(top.start)}" if query.granularity is Granularity.DAY else f"in {top.start:%b %Y}"
    most = words.money(top.cost, currency)
    return f"; {words.money(average, currency)} a {unit} on average, the most {moment}: {most}."


def _share(table: CostTable, query: CostQuery, desk: Desk, facts: Facts, currency: str) -> str:
    """' That is 20.0 % of $100.00 in all.' - the same time without the filters."""
    whole_query = replace(query, by=(), where=(), granularity=Granularity.TOTAL)
    everything = dict(rates.reported(desk.costs, whole_query, desk.settings, currency).totals)
    said = []
    for currency, part in table.totals:
        whole = everything.get(currency)
        ratio = words.share(part, whole) if part is not None and whole is not None else None
        if ratio is not None:
            facts.add("share of all cost", "the part asked for", ratio, "percent")
            facts.add("total cost", "everything", whole, currency=currency)
            said.append(f"{words.percent(ratio)} of {words.money(whole, currency)} in all")
    return f" That is {' and '.join(said)}." if said else ""


def _tables(table: CostTable, query: CostQuery, limit: int, facts: Facts) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """One table per currency; what does not fit is summed in a last line, so that the lines add up to the total."""
    if not query.by and query.granularity is Granularity.TOTAL:
        return (), ()
    made, notes = [], []
    timed = query.granularity is not Granularity.TOTAL
    for currency, _ in table.totals:
        rows = [r for r in table.rows if r.currency == currency]
        rows.sort(key=lambda r: (r.start, -(r.cost or 0)) if timed else (date.min, -(r.cost or 0)))
        room = 400 if timed else limit
        cells: list[tuple[str | Decimal | None, ...]] = []
        for row in rows[:room]:
            what = label(row, table) if query.by else ""
            moment = _moment(row.start, query.granularity)
            facts.add("cost", " ".join(filter(None, (what, moment))), row.cost, currency=currency)
            cells.append((*(c for c in (moment, what) if c), row.cost))
        rest = rows[room:]
        if rest:
            known = [r.cost for r in rest if r.cost is not None]
            others = total_of(known) if len(known) == len(rest) else None
            facts.add("cost of all others", f"{len(rest)} others", others, currency=currency)
            cells.append(((f"{len(rest)} others"), others) if not timed else ("", f"{len(rest)} more lines", others))
            notes.append(f"The {room} largest of {len(rows)} are listed; the others are summed in the last line.")
        columns = ([_period_word(query)] if timed else []) + (
            [" / ".join(shown(d) for d in query.by)] if query.by else []
        )
        made.append(
            Table(
                f"Cost {words.span(query.period)}",
                (*columns, query.metric.replace("_", " ") if query.metric in _HAPPENED else f"{query.metric} cost"),
                (*("text" for _ in columns), "money"),
                tuple(cells),
                currency,
            )
        )
    return tuple(made), tuple(dict.fromkeys(notes))


def _moment(start: date, granularity: Granularity) -> str:
    if granularity is Granularity.TOTAL:
        return ""
    return f"{start:%Y-%m}" if granularity is Granularity.MONTH else start.isoformat()


def _period_word(query: CostQuery) -> str:
    return "month" if query.granularity is Granularity.MONTH else "day"


def _charts(tables: tuple[Table, ...], query: CostQuery) -> tuple[Chart, ...]:
    if len(tables) != 1:
        return ()
    if query.granularity is Granularity.TOTAL:
        return bars(tables[0])
    return lines(tables[0], split=bool(query.by))
