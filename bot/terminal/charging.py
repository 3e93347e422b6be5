"""Charging: `optiinfra allocation report` and `untagged` - who pays for what, and which cost says of nobody."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from decimal import Decimal

from bot.app import open_app
from bot.terminal.allocating import NOBODY, version_document
from bot.terminal.costs import asked_period, currency_rates, filters, receipt_document
from bot.terminal.output import covered, money, one_line, print_json, table
from tools.analysis.calendar import unfinished
from tools.model.allocation import Report
from tools.model.money import plain
from tools.model.query import ALLOCATION, Metric


def report(args: Namespace) -> int:
    """Who pays for what: own cost, part of shared cost, and what nobody pays."""
    from tools.analysis import allocation

    app = open_app()
    period = asked_period(args, app.settings.fiscal_year_start)
    currency = args.currency.strip().upper()
    rates = currency_rates(app, currency)
    where = tuple(app.costs.spelled(f) for f in filters(args.where, app.settings.tag_keys))
    made = allocation.report(
        app.costs,
        period,
        dimension=f"{ALLOCATION}:{args.dimension}" if args.dimension else ALLOCATION,
        metric=Metric(args.metric),
        where=where,
        version=args.version,
        rates=rates,
        currency=currency or app.settings.currency.upper(),
    )
    told = unfinished(period, made.coverage, app.now().date())
    if args.json:
        print_json(_report_document(made) | {"unfinished": told})
    else:
        _print_report(made, [told] if told else [])
    return 0


def _report_document(made: Report) -> dict[str, object]:
    return {
        "dimension": made.rules.dimension,
        "rules": version_document(made.rules),
        "period": made.period,
        "metric": made.metric,
        "lines": [
            {
                "payer": x.payer,
                "currency": x.currency,
                "direct": x.direct,
                "shared": x.shared,
                "total": x.total,
                "share": x.share,
            }
            for x in made.lines
        ],
        "totals": [{"currency": c, "cost": cost} for c, cost in made.totals],
        "unallocated": [
            {"currency": c, "cost": line.total if line else Decimal(0), "share": line.share if line else Decimal(0)}
            for c, line in ((c, made.unallocated(c)) for c, _ in made.totals)
        ],
        "receipt": receipt_document(made.receipt),
        "coverage": made.coverage,
    }


def _print_report(made: Report, notes: Sequence[str]) -> None:
    version = made.rules
    print(f"{made.period}, {made.metric.meaning}")
    print(f"by {ALLOCATION}:{version.dimension}, version {version.version} ({version.content_hash[:12]})")
    rows = [
        (
            x.payer or NOBODY,
            money(x.direct, x.currency),
            money(x.shared, x.currency),
            money(x.total, x.currency),
            "-" if x.share is None else f"{x.share:.1%}",
        )
        for x in made.lines
    ]
    if rows:
        print(table(("who pays", "direct", "shared", "total", "share"), rows, right=(1, 2, 3, 4)))
    else:
        print("There is no cost in this period that fits.")
    for currency, cost in made.totals:
        exact = f" (exactly {plain(cost)})" if cost is not None else ": a price is missing in the bill"
        print(f"total: {money(cost, currency)}{exact}")
        line = made.unallocated(currency)
        if line and line.share is not None:
            print(f"unallocated: {money(line.total, currency)} ({line.share:.1%})")
    for note in notes:
        print(one_line(note))
    print(covered(made.coverage))


def untagged(args: Namespace) -> int:
    """Untagged cost per tag key: its share month by month, and its trend."""
    from tools.analysis.untagged import untagged as look

    app = open_app()
    keys = (args.tag.removeprefix("tag:").lower(),) if args.tag else app.settings.tag_keys
    period = asked_period(args, app.settings.fiscal_year_start)
    where = tuple(app.costs.spelled(f) for f in filters(args.where, app.settings.tag_keys))
    found = look(app.costs, period, keys, metric=Metric(args.metric), where=where)
    if args.json:
        keyed = [
            {
                "tag": x.key,
                "currency": x.currency,
                "untagged": x.untagged,
                "total": x.total,
                "share": x.share,
                "direction": x.direction,
                "trend": x.trend,
                "months": [
                    {"month": f"{m.start:%Y-%m}", "untagged": m.untagged, "total": m.total, "share": m.share}
                    for m in x.months
                ],
                "receipt": receipt_document(x.receipt),
                "coverage": x.coverage,
            }
            for x in found
        ]
        print_json({"period": period, "metric": Metric(args.metric), "tags": keyed})
        return 0
    print(f"{period}, {Metric(args.metric).meaning}")
    if not found:
        print("There is no cost in this period that fits.")
    covers: list[str] = []
    for x in found:
        whole = "-" if x.share is None else f"{x.share:.1%}"
        print(
            f"\nwithout a {x.key} tag: {money(x.untagged, x.currency)} of {money(x.total, x.currency)} ({whole}); {x.trend}"
        )
        rows = [
            (
                f"{m.start:%Y-%m}",
                money(m.untagged, x.currency),
                money(m.total, x.currency),
                "-" if m.share is None else f"{m.share:.1%}",
            )
            for m in x.months
        ]
        print(table(("month", "untagged", "of", "share"), rows, right=(1, 2, 3)))
        covers.append(covered(x.coverage))
    for line in dict.fromkeys(covers):
        print(line)
    return 0
