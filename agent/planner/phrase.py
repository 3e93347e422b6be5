"""Phrase: writes a plan as the full question that the planner would read back as the same plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

from agent.planner import aliases, intents
from agent.planner.calendar import month_of, quarter_of, year_of
from agent.planner.plan import Plan
from tools.model.period import Period


def question(plan: Plan) -> str:
    """One question in words, with everything that was said or assumed spelled out."""
    return _WRITERS[plan.tool](plan.args)


def period_words(period: Period) -> str:
    """'in October 2026', 'on 2026-11-12', 'from 2026-11-01 to 2026-11-23'."""
    if period == month_of(period.start):
        return f"in {period.start:%B %Y}"
    if period == quarter_of(period.start):
        return f"in Q{(period.start.month + 2) // 3} {period.start.year}"
    if period == year_of(period.start):
        return f"in {period.start.year}"
    last = period.end - timedelta(days=1)
    return f"on {last}" if period.days == 1 else f"from {period.start} to {last}"


def period_of(args: Mapping[str, object], start: str = "start", end: str = "end") -> Period | None:
    """The period that arguments hold, if they hold one."""
    if not args.get(start) or not args.get(end):
        return None
    return Period(date.fromisoformat(str(args[start])), date.fromisoformat(str(args[end])))


def where_words(args: Mapping[str, object]) -> str:
    """' for team checkout', ' excluding Tax'."""
    parts = []
    for key, lead in (("where", "for"), ("exclude", "excluding")):
        for dimension, values in _pairs(args.get(key)):
            shown = aliases.shown(dimension)
            named = f"tag {shown}" if dimension.startswith("tag:") else shown
            if dimension == "charge_category":
                named = ""
            if values == [""]:
                parts.append(f"without a {shown} tag" if dimension.startswith("tag:") else f"without {shown}")
            else:
                parts.append(f"{lead} " + " and ".join(f"{named} {value}".strip() for value in values))
    return "".join(f" {part}" for part in parts)


def _pairs(where: object) -> list[tuple[str, list[str]]]:
    if not isinstance(where, Mapping):
        return []
    return [(str(d), [str(v) for v in values]) for d, values in where.items()]


def _time(args: Mapping[str, object]) -> str:
    period = period_of(args)
    return f" {period_words(period)}" if period else ""


def _by(args: Mapping[str, object]) -> str:
    by = args.get("by")
    return " by " + " and ".join(aliases.shown(str(d)) for d in by) if isinstance(by, list) and by else ""


def _metric(args: Mapping[str, object]) -> str:
    return f" at {args['metric']} cost" if args.get("metric", "billed") != "billed" else ""


def _query(args: Mapping[str, object]) -> str:
    fine = {"day": " per day", "month": " per month"}.get(str(args.get("granularity", "")), "")
    lead = "What share did we spend" if args.get("share") else "What did we spend"
    currency = f" in {args['currency']}" if args.get("currency") else ""
    return f"{lead}{where_words(args)}{_by(args)}{fine}{_metric(args)}{currency}{_time(args)}?"


def _compare(args: Mapping[str, object]) -> str:
    against = period_of(args, "against_start", "against_end")
    versus = (
        f" compared with {period_words(against).removeprefix('in ').removeprefix('on ').removeprefix('from ')}"
        if against
        else ""
    )
    return f"Why did cost change{where_words(args)}{_time(args)}{versus}?"


def _anomalies(args: Mapping[str, object]) -> str:
    return f"Any anomalies{where_words(args)}{_time(args)}?"


def _forecast(args: Mapping[str, object]) -> str:
    return f"What is the forecast{where_words(args)}{_time(args)}?"


def _recommend(args: Mapping[str, object]) -> str:
    return {
        "spot_migration": "Which spot migrations could save money?",
        "idle": "Which idle resources could we remove?",
        "cleanup": "Which unattached resources could we clean up?",
        "rightsizing": "What could we save by rightsizing?",
        "commitment": "Which commitments would save money?",
        "storage_class": "What could we save with other storage classes?",
    }.get(str(args.get("kind", "")), "Where can we save money?")


def _propose(args: Mapping[str, object]) -> str:
    if args.get("recommendation"):
        return f"Propose {args['recommendation']}"
    return f"Propose a rollout for {args.get('resource') or 'it'}"


def _status(args: Mapping[str, object]) -> str:
    name = args.get("rollout") or args.get("resource")
    return f"How is the rollout {name} doing?" if name else "How are the rollouts doing?"


def _values(args: Mapping[str, object]) -> str:
    word = aliases.shown(str(args.get("dimension", "service_name")))
    return f"Which {word[:-1] + 'ies' if word.endswith('y') else word + 's'} do we have?"


def _allocated(args: Mapping[str, object]) -> str:
    if args.get("payer"):
        return (
            f"How much did {args['payer']} spend{where_words(args)} including shared costs{_metric(args)}{_time(args)}?"
        )
    return f"Who pays for what{where_words(args)}{_metric(args)}{_time(args)}?"


def _budgets(args: Mapping[str, object]) -> str:
    return f"Show the budget for {args['budget']}" if args.get("budget") else "How are our budgets doing?"


def _units(args: Mapping[str, object]) -> str:
    fine = {"day": " per day", "month": " per month"}.get(str(args.get("granularity", "")), "")
    return f"What is the cost per {args.get('unit') or 'unit'}{where_words(args)}{fine}{_metric(args)}{_time(args)}?"


_WRITERS: dict[str, Callable[[Mapping[str, object]], str]] = {
    intents.QUERY: _query,
    intents.COMPARE: _compare,
    intents.ANOMALIES: _anomalies,
    intents.FORECAST: _forecast,
    intents.RECOMMEND: _recommend,
    intents.PROPOSE: _propose,
    intents.STATUS: _status,
    intents.VALUES: _values,
    intents.SAVED: lambda args: "How much have we really saved?",
    intents.ALLOCATED: _allocated,
    intents.BUDGETS: _budgets,
    intents.UNITS: _units,
    intents.DATA: lambda args: "How fresh is the data?",
}
