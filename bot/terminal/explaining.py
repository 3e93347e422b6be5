"""Explaining: the exact reasons of a change between two periods, on the terminal."""

from __future__ import annotations

from argparse import Namespace
from decimal import Decimal

from bot.app import open_app
from bot.terminal.costs import currency_rates, filters
from bot.terminal.output import covered, money, print_json, table
from tools.analysis import drivers, fx
from tools.analysis.naming import account_names, with_id
from tools.model.period import Period
from tools.model.query import Metric


def explain(args: Namespace) -> int:
    """Print the driver tree: contributions and the rest add up to the change exactly."""
    app = open_app()
    period, against = Period(args.start, args.end), Period(*args.against)
    where = tuple(app.costs.spelled(f) for f in filters(args.where, app.settings.tag_keys))
    metric = Metric(args.metric)
    rates = currency_rates(app, args.currency)
    if rates is None:
        tree = drivers.explain(app.costs, period, against, where=where, metric=metric)
    else:
        target = args.currency or app.settings.currency
        tree = fx.explain(app.costs, period, against, rates=rates, currency=target, where=where, metric=metric)
    coverage = app.costs.coverage(Period(args.start, args.end))
    if args.json:
        print_json({**drivers.as_document(tree), "coverage": coverage})
        return 0
    change = signed(tree.change, tree.currency)
    print(f"{tree.period} against {tree.against}: {money(tree.before, tree.currency)} -> ", end="")
    print(f"{money(tree.after, tree.currency)} ({change}), {args.metric} cost")
    names = account_names(app.costs)
    rows = [
        (
            ", ".join(f"{n}={with_id(n, v, names) or '(none)'}" for n, v in d.conditions),
            d.kind,
            signed(d.contribution, tree.currency),
        )
        for d in tree.drivers
    ]
    print(
        table(("driver", "kind", "contribution"), [*rows, ("other", "", signed(tree.other, tree.currency))], right=(2,))
    )
    print(covered(coverage))
    return 0


def signed(amount: Decimal, currency: str) -> str:
    """An amount with its sign: '+$12.00', '-$3.10'."""
    return ("+" if amount > 0 else "") + money(amount, currency)
