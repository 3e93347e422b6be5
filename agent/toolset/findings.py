"""Findings: what looked unusual, and what a period will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from agent import words
from agent.planner.calendar import month_of
from agent.toolset import budgets, changes
from agent.toolset import desk as at
from agent.toolset.arguments import ForecastCosts, ListAnomalies
from agent.toolset.desk import Desk, Facts
from agent.toolset.drawing import total_of
from tools.model.anomaly import Anomaly
from tools.model.budget import Budget, BudgetPeriod
from tools.model.errors import InputError
from tools.model.fact import Chart, Table, ToolResult
from tools.model.forecast import Forecast
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import CostQuery, Filter, Granularity, Metric, Receipt

SHOWN = 10


def list_anomalies(args: ListAnomalies, desk: Desk) -> ToolResult:
    """Unusual costs that touch a period, the greatest difference first."""
    where = at.filters(desk, args.where, {})
    found = [a for a in desk.detected(desk.today) if _touches(a, args.period, desk.today) and _fits(a, where)]
    chosen = _with_status(found, desk)
    chosen.sort(key=lambda a: -abs(a.excess))
    shown = chosen[:SHOWN]
    coverage = desk.costs.coverage(args.period)
    facts = Facts(_judged_receipt(desk, args.period, where), args.period, "effective")
    scope = at.scope(where)
    facts.add("unusual costs", scope or "everything", len(chosen), "count")
    for anomaly in shown:
        _anomaly_facts(anomaly, facts, desk)
    notes = (f"{len(chosen) - len(shown)} smaller ones are not listed.",) if len(chosen) > len(shown) else ()
    return ToolResult(
        at.echo("list_anomalies", args.model_dump(mode="json", exclude_defaults=True), args.period, "effective", where),
        facts.all,
        _anomaly_headline(chosen, args.period, scope),
        _anomaly_tables(shown),
        (),
        (*notes, *_judged_notes(desk, args.period), *at.coverage_notes(coverage, args.period)),
        coverage,
    )


def _anomaly_facts(anomaly: Anomaly, facts: Facts, desk: Desk) -> None:
    own = Period(anomaly.started, anomaly.started + timedelta(days=anomaly.days))
    keys = tuple(Filter(name, (value,)) for name, value in anomaly.keys)
    receipt = _judged_receipt(desk, own, keys)
    name = words.name(anomaly.series)
    label = "cost above usual" if anomaly.excess >= 0 else "cost below usual"
    for what, value in ((label, anomaly.excess), ("cost", anomaly.actual), ("usual cost", anomaly.expected)):
        facts.add(what, name, value, currency=anomaly.currency, period=own, receipt=receipt)
    facts.add("length", name, anomaly.days, "days", period=own, receipt=receipt)
    if driver := _driver(anomaly):
        facts.add(
            f"part driven by {driver[0]}", name, driver[1], currency=anomaly.currency, period=own, receipt=receipt
        )


def _with_status(found: list[Anomaly], desk: Desk) -> list[Anomaly]:
    """What people said of an anomaly ("expected") stays with it."""
    from tools.store import findings

    with desk.database.read() as tx:
        said = {a.id: a.status for a in findings.anomalies(tx, desk.tenant)}
    return [replace(a, status=said.get(a.id, a.status)) for a in found]


def _touches(anomaly: Anomaly, period: Period, today: date) -> bool:
    """What is open goes on: the newest days are not judged yet, so nobody has seen it end."""
    end = anomaly.started + timedelta(days=anomaly.days)
    if anomaly.status == "open":
        end = max(end, today + timedelta(days=1))
    return anomaly.started < period.end and end > period.start


def _judged_notes(desk: Desk, period: Period) -> tuple[str, ...]:
    from tools.analysis.settled import settled

    known = settled(desk.costs, desk.today)
    if known is None:
        return ("Nothing was judged: there are no days of cost data that are complete.",)
    if min(period.end, desk.today) <= known.end:
        return ()
    return (f"Judged up to {words.last_day(known.end)}; the bills of later days are still coming in.",)


def _fits(anomaly: Anomaly, where: tuple[Filter, ...]) -> bool:
    keys = dict(anomaly.keys)
    return all(f.dimension not in keys or keys[f.dimension] in f.values for f in where)


def _judged_receipt(desk: Desk, period: Period, where: tuple[Filter, ...]) -> Receipt:
    """The statement behind the daily costs that were judged: usage only, in effective cost."""
    from tools.analysis.watch import BY, METRIC, USAGE_ONLY

    return desk.costs.table(CostQuery(period, BY, (*where, USAGE_ONLY), METRIC, Granularity.DAY)).receipt


def _anomaly_headline(found: list[Anomaly], period: Period, scope: str) -> str:
    what = at.on(scope)
    if not found:
        return f"0 unusual costs{what} {words.span(period)}."
    top = found[0]
    side = "above" if top.excess >= 0 else "below"
    count = f"{len(found)} unusual {'cost' if len(found) == 1 else 'costs'}{what} {words.span(period)}"
    length = "1 day" if top.days == 1 else f"{top.days} days"
    driver = _driver(top)
    driven = f"; driven by {driver[0]} ({words.signed(driver[1], top.currency)})" if driver else ""
    return (
        f"{count}. The largest is {words.name(top.series)}: {words.money(top.actual, top.currency)} in {length} since "
        f"{words.day(top.started)}, {words.money(abs(top.excess), top.currency)} {side} usual{driven}."
    )


def _driver(anomaly: Anomaly) -> tuple[str, Decimal] | None:
    """What drove it most, beyond what names it already."""
    named = {dimension for dimension, _ in anomaly.keys}
    for driver in anomaly.drivers:
        conditions = tuple(c for c in driver.conditions if c[0] not in named)
        if conditions:
            return changes.who(conditions), driver.contribution
    return None


def _anomaly_tables(found: list[Anomaly]) -> tuple[Table, ...]:
    made = []
    for currency in dict.fromkeys(a.currency for a in found):
        rows: list[tuple[str | Decimal | None, ...]] = [
            (
                words.name(a.series),
                a.started.isoformat(),
                Decimal(a.days),
                a.actual,
                a.expected,
                a.excess,
                a.severity,
                a.status,
            )
            for a in found
            if a.currency == currency
        ]
        made.append(
            Table(
                "Unusual costs",
                ("what", "since", "days", "cost", "usual", "difference", "severity", "status"),
                ("text", "text", "days", "money", "money", "money", "text", "text"),
                tuple(rows),
                currency,
            )
        )
    return tuple(made)


def forecast_costs(args: ForecastCosts, desk: Desk) -> ToolResult:
    """What a period will cost: what is settled of it plus the forecast of the days to come, with a band."""
    from tools.analysis import forecast
    from tools.analysis.settled import settled

    where = at.filters(desk, args.where, args.exclude)
    by = at.dimensions(desk, args.by)
    metric = Metric(args.metric)
    known = settled(desk.costs, desk.today)
    first = known.end if known else desk.today
    days = (args.period.end - first).days
    if days <= 0:
        raise InputError(
            f"{args.period} is over, so there is nothing to forecast.", fix="Ask what it cost, or name a time to come."
        )
    found = forecast.forecast(desk.costs, by=by, days=days, today=first, where=where, metric=metric)
    spent = (
        _spent(desk, CostQuery(Period(args.period.start, first), by, where, metric))
        if args.period.start < first
        else {}
    )
    history = Period(known.start if known else first - timedelta(days=1), first)
    receipt = desk.costs.table(CostQuery(history, by, where, metric, Granularity.DAY)).receipt
    scope = at.scope(where)
    facts = Facts(receipt, args.period, args.metric)
    lines = [_line(f, spent, args.period, first) for f in found]
    for line in lines:
        _line_facts(line, line.name or scope or "everything", facts)
    notes = [f"Forecast from the {f.basis}." for f in found if f.basis]
    head = _forecast_headline(lines, args.period, scope, first if args.period.start < first else None)
    if args.budget:
        head, budget_notes = _with_budget(head, lines, desk, facts, args.period, where)
        notes += budget_notes
    coverage = desk.costs.coverage()
    return ToolResult(
        at.echo("forecast_costs", args.model_dump(mode="json", exclude_defaults=True), args.period, args.metric, where),
        facts.all,
        head,
        _forecast_tables(lines, args.period) if by else (),
        _forecast_charts(found, args.period) if len(found) == 1 else (),
        tuple(dict.fromkeys(notes)),
        coverage,
    )


@dataclass(frozen=True, slots=True)
class Line:
    """What one part of a period will come to; `spent` is what of it is settled already."""

    name: str
    currency: str
    low: Decimal
    middle: Decimal
    high: Decimal
    spent: Decimal | None


Spent = dict[tuple[tuple[str, ...], str], Decimal]


def _spent(desk: Desk, query: CostQuery) -> Spent:
    rows = desk.costs.table(query).rows
    return {(row.keys, row.currency): row.cost for row in rows if row.cost is not None}


def _line(forecast: Forecast, spent: Spent, period: Period, first: date) -> Line:
    """A forecast added to what is settled; a period that begins later takes its own days only, and its band is that
    of the whole stretch in proportion."""
    keys = tuple(value for _, value in forecast.keys)
    name = " / ".join(words.name(k) for k in keys)
    if period.start <= first:
        known = spent.get((keys, forecast.currency))
        base = known or Decimal(0)
        low, middle, high = (EXACT.add(base, p) for p in (forecast.p10, forecast.p50, forecast.p90))
        return Line(name, forecast.currency, low, middle, high, known)
    middle = total_of(p.p50 for p in forecast.points if p.day in period)
    part = EXACT.divide(middle, forecast.p50) if forecast.p50 else Decimal(0)
    cents = Decimal("0.0001")
    low, high = ((p * part).quantize(cents) for p in (forecast.p10, forecast.p90))
    return Line(name, forecast.currency, low, middle, high, None)


def _line_facts(line: Line, entity: str, facts: Facts) -> None:
    facts.add("forecast", entity, line.middle, currency=line.currency)
    facts.add("forecast, low end of the band", entity, line.low, currency=line.currency)
    facts.add("forecast, high end of the band", entity, line.high, currency=line.currency)
    if line.spent is not None:
        facts.add("cost so far", entity, line.spent, currency=line.currency)


def _forecast_headline(lines: list[Line], period: Period, scope: str, known_to: date | None) -> str:
    parts = []
    for currency in dict.fromkeys(line.currency for line in lines):
        group = [line for line in lines if line.currency == currency]
        part = words.money(total_of(line.middle for line in group), currency)
        if len(group) == 1:
            low, high = words.money(group[0].low, currency), words.money(group[0].high, currency)
            part += f" (between {low} and {high} in 8 of 10 cases)"
        parts.append(part)
    so_far = ""
    if known_to and len(lines) == 1 and lines[0].spent is not None:
        spent = words.money(lines[0].spent, lines[0].currency)
        so_far = f"; {spent} of it is settled up to {words.last_day(known_to)}"
    return f"{' and '.join(parts)} is expected{at.on(scope)} {words.span(period)}{so_far}."


def _with_budget(
    head: str, lines: list[Line], desk: Desk, facts: Facts, period: Period, where: tuple[Filter, ...]
) -> tuple[str, list[str]]:
    from tools.analysis.budgets import chance_of_passing

    stored = budgets.stored(desk)
    own = budgets.fitting(stored, where)
    if own is not None:
        standing = budgets.standing(desk, own)
        budgets.facts_of(standing, facts)
        if own.where != where:
            # The rules give a team more (and less) than its tag: two figures side by side would only confuse.
            return budgets.sentence(standing), ["The budget counts cost by the allocation rules, shared cost included."]
        return f"{head} {budgets.sentence(standing)}", []
    budget, why_not = _limit(desk, stored, lines, period, bool(where))
    if budget is None:
        return head, [why_not]
    line = lines[0]
    over = EXACT.subtract(line.middle, budget)
    chance = chance_of_passing(Forecast((), line.currency, (), line.low, line.middle, line.high, ""), budget) * 100
    facts.add(
        "budget" if period != month_of(period.start) else "monthly budget", "everything", budget, currency=line.currency
    )
    facts.add("forecast against the budget", "everything", over, currency=line.currency)
    facts.add("chance of passing the budget", "everything", chance, "percent")
    gap, limit = words.money(abs(over), line.currency), words.money(budget, line.currency)
    side = "over" if over > 0 else "under"
    return (
        f"{head} That is {gap} {side} the budget of {limit}; the chance of passing it is {words.percent(chance)}.",
        [],
    )


def _limit(
    desk: Desk, stored: Sequence[Budget], lines: list[Line], period: Period, filtered: bool
) -> tuple[Decimal | None, str]:
    """The budget of everything in just this period - a stored one before the setting - or why there is none."""
    from tools.analysis.budgets import of_everything, period_of

    if not filtered and len(lines) == 1:
        starts_in = desk.settings.fiscal_year_start
        kinds = [kind for kind in BudgetPeriod if period_of(kind, period.start, starts_in) == period]
        found = [b for kind in kinds if (b := of_everything(stored, kind, lines[0].currency))]
        if found:
            return found[0].amount, ""
    text = desk.settings.budget_monthly
    if not text and stored:
        return None, "No budget is set for just that; ask how the budgets stand to see those that are."
    if not text:
        return None, (
            "No monthly budget is set (`optiinfra budget set`, or OPTIINFRA_BUDGET_MONTHLY), so there is nothing to "
            "compare with."
        )
    if filtered or len(lines) != 1 or period != month_of(period.start):
        return None, "The budget is for everything in one month, so it is not compared here."
    try:
        return Decimal(text), ""
    except InvalidOperation:
        raise InputError(
            f'The monthly budget "{text}" is not a number.', fix="Set OPTIINFRA_BUDGET_MONTHLY to one."
        ) from None


def _forecast_tables(lines: list[Line], period: Period) -> tuple[Table, ...]:
    made = []
    for currency in dict.fromkeys(line.currency for line in lines):
        rows = sorted((line for line in lines if line.currency == currency), key=lambda line: -line.middle)
        columns: tuple[str, ...] = ("what", "low", "expected", "high")
        cells: list[tuple[str | Decimal | None, ...]] = [(x.name or "(none)", x.low, x.middle, x.high) for x in rows]
        if any(line.spent is not None for line in rows):
            columns = (*columns, "so far")
            cells = [(*row, line.spent or Decimal(0)) for row, line in zip(cells, rows, strict=True)]
        units = ("text", *("money" for _ in columns[1:]))
        made.append(Table(f"Forecast {words.span(period)}", columns, units, tuple(cells), currency))
    return tuple(made)


def _forecast_charts(found: tuple[Forecast, ...], period: Period) -> tuple[Chart, ...]:
    points = [p for p in found[0].points if p.day in period][:20]
    if len(points) < 2:
        return ()
    series = (
        ("low", tuple(p.p10 for p in points)),
        ("expected", tuple(p.p50 for p in points)),
        ("high", tuple(p.p90 for p in points)),
    )
    labels = tuple(p.day.isoformat() for p in points)
    return (Chart("line", "Forecast per day", labels, series, "money", found[0].currency),)
