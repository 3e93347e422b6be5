"""Explaining: the exact reasons of a change between two periods, on the terminal."""

from __future__ import annotations

from argparse import Namespace
from decimal import Decimal

from bot.app import open_app
from bot.terminal.costs import filters
from bot.terminal.output import money, print_json, table
from tools.analysis import drivers
from tools.model.period import Period
from tools.model.query import Metric


def explain(args: Namespace) -> int:
    """Print the driver tree: contributions and the rest add up to the change exactly."""
    app = open_app()
    tree = drivers.explain(
        app.costs,
        Period(args.start, args.end),
        Period(*args.against),
        where=tuple(app.costs.spelled(f) for f in filters(args.where, app.settings.tag_keys)),
        metric=Metric(args.metric),
    )
    if args.json:
        print_json(drivers.as_document(tree))
        return 0
    change = signed(tree.change, tree.currency)
    print(f"{tree.period} against {tree.against}: {money(tree.before, tree.currency)} -> ", end="")
    print(f"{money(tree.after, tree.currency)} ({change}), {args.metric} cost")
    rows = [
        (", ".join(f"{n}={v or '(none)'}" for n, v in d.conditions), d.kind, signed(d.contribution, tree.currency))
        for d in tree.drivers
    ]
    print(
        table(("driver", "kind", "contribution"), [*rows, ("other", "", signed(tree.other, tree.currency))], right=(2,))
    )
    return 0


def signed(amount: Decimal, currency: str) -> str:
    """An amount with its sign: '+$12.00', '-$3.10'."""
    return ("+" if amount > 0 else "") + money(amount, currency)
