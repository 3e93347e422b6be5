"""`optiinfra trends`: what is rising and falling, how surely, its weekly shape and level changes, and what is new."""

from __future__ import annotations

from argparse import Namespace
from datetime import timedelta
from decimal import Decimal

from bot.app import App, open_app
from bot.terminal.costs import filters
from bot.terminal.output import covered, money, print_json, table
from tools.analysis import trends as analysis
from tools.analysis.naming import NO_NAMES, Names, account_names, with_id
from tools.analysis.settled import settled
from tools.model.errors import InputError
from tools.model.period import Period
from tools.model.query import Metric, dimension


def trends(args: Namespace) -> int:
    """Print the trend of everything together, and of the parts that move most."""
    app = open_app()
    period = _period(app, args.days)
    by = tuple(dimension(word, app.settings.tag_keys) for word in args.by.split(",") if word.strip())
    where = tuple(app.costs.spelled(f) for f in filters(args.where, app.settings.tag_keys))
    metric = Metric(args.metric)
    whole = analysis.trending(app.costs, period, by=(), where=where, metric=metric)
    parts = analysis.trending(app.costs, period, by=by, where=where, metric=metric, limit=args.limit) if by else ()
    coverage = app.costs.coverage(period)
    if args.json:
        document = {"period": {"start": period.start, "end": period.end}, "total": [_document(one) for one in whole]}
        print_json(document | {"trends": [_document(one) for one in parts], "coverage": coverage})
        return 0
    for one in whole:
        print(one.trend.sentence)
    if parts:
        names = account_names(app.costs)
        rows = [_row(one, names) for one in parts]
        print(
            table((*by, "a day", "a month", "80 % band", "money a month", "weekend", "level changed"), rows, right=())
        )
    print(covered(coverage))
    return 0


def _period(app: App, days: int) -> Period:
    """The settled days before today."""
    known = settled(app.costs, app.now().date())
    if known is None:
        raise InputError("No costs are stored yet.", fix="Load some first: optiinfra ingest PATH")
    return Period(max(known.start, known.end - timedelta(days=max(days, 1))), known.end)


def _row(one: analysis.Trending, names: Names = NO_NAMES) -> tuple[str, ...]:
    trend = one.trend
    last = trend.changes[-1] if trend.changes else None
    return (
        *(with_id(name, value, names) or "(none)" for name, value in one.series.keys),
        money(trend.level, one.series.currency),
        "new" if one.is_new else trend.direction if trend.direction == "flat" else f"{trend.per_month:+.1%}",
        "" if one.is_new else f"{trend.low:+.1%} to {trend.high:+.1%}",
        money(one.moved, one.series.currency),
        f"-{trend.weekly:.0%}" if trend.weekly >= Decimal("0.05") else "",
        f"{last[0]} x {last[1]:.2f}" if last else "",
    )


def _document(one: analysis.Trending) -> dict[str, object]:
    trend = one.trend
    return {
        "keys": dict(one.series.keys),
        "currency": one.series.currency,
        "direction": "new" if one.is_new else trend.direction,
        "level": trend.level,
        "per_month": {"low": trend.low, "middle": trend.per_month, "high": trend.high},
        "money_per_month": one.moved,
        "weekly": trend.weekly,
        "changes": [{"date": day, "factor": factor} for day, factor in trend.changes],
        "sentence": trend.sentence,
    }
