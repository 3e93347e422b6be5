"""`optiinfra units ...`: daily numbers of your own come in, and what one of them costs comes out."""

from __future__ import annotations

from argparse import Namespace
from datetime import date
from decimal import Decimal
from pathlib import Path

from bot.app import open_app
from bot.terminal.costs import asked_period, currency_rates, filters, receipt_document
from bot.terminal.output import covered, money, one_line, print_json, table
from tools.analysis import unit_costs
from tools.model.money import plain
from tools.model.query import Granularity, Metric
from tools.model.unit import UnitLine, UnitReport
from tools.store import unit_values

_SPANS = 6


def read(args: Namespace) -> int:
    """Read a csv file; its days replace what was imported of them before."""
    app = open_app()
    values = unit_costs.read(Path(args.file), app.settings.tag_keys)
    with app.database.begin() as tx:
        replaced = unit_values.replace(tx, app.tenant, values, now=app.now())
        known = unit_values.listing(tx, app.tenant)
    names = sorted({value.metric for value in values})
    if args.json:
        print_json({"values": len(values), "replaced": replaced, "metrics": [k for k in known if k.metric in names]})
        return 0
    print(
        f"{len(values)} values of {', '.join(names)} were read" + (f"; {replaced} were replaced." if replaced else ".")
    )
    rows = [(k.metric, k.first, k.last, k.values) for k in known if k.metric in names]
    print(table(("metric", "first day", "last day", "values"), rows, right=(3,)))
    return 0


def report(args: Namespace) -> int:
    """Cost per unit, of the days whose cost is complete and whose units are known; the others are named."""
    app = open_app()
    currency = args.currency.strip().upper()
    made = unit_costs.report(
        app.costs,
        args.metric,
        asked_period(args, app.settings.fiscal_year_start),
        app.now().date(),
        where=tuple(app.costs.spelled(f) for f in filters(args.where, app.settings.tag_keys)),
        metric=Metric(args.cost),
        granularity=Granularity(args.granularity),
        rates=currency_rates(app, currency),
        currency=currency or app.settings.currency.upper(),
    )
    if args.json:
        print_json(_document(made))
    else:
        _print(made)
    return 0


def _document(made: UnitReport) -> dict[str, object]:
    return {
        "unit": made.unit,
        "period": made.period,
        "metric": made.metric,
        "granularity": made.granularity,
        "lines": [_line_document(x) for x in made.lines],
        "wholes": [_line_document(x) for x in made.wholes],
        "gaps": made.gaps,
        "partial": made.partial,
        "notes": made.notes,
        "receipt": receipt_document(made.receipt),
        "coverage": made.coverage,
    }


def _line_document(x: UnitLine) -> dict[str, object]:
    return {
        "start": x.start,
        "currency": x.currency,
        "days": x.days,
        "cost": x.cost,
        "units": x.units,
        "per_unit": x.per_unit,
        "note": x.note,
    }


def _print(made: UnitReport) -> None:
    print(f"{made.period}, {made.metric.meaning}, per one of {made.unit}")
    named = [(_bucket(x, made.granularity), x) for x in made.lines]
    if len(made.lines) > len(made.wholes):
        named += [("all counted days", x) for x in made.wholes]
    rows = [(name, x.days, money(x.cost, x.currency), plain(x.units), _per_unit(x)) for name, x in named]
    if rows:
        print(table(("from", "days", "cost", made.unit, "per unit"), rows, right=(1, 2, 3, 4)))
    else:
        print("No day of this period has both complete costs and units.")
    for label, days in ((f"Without {made.unit}", made.gaps), ("Cost not complete, not counted", made.partial)):
        if days:
            print(f"{label}: {_listed(days)} ({len(days)} of {made.period.days} days).")
    for note in made.notes:
        print(one_line(note))
    print(covered(made.coverage))


def _bucket(x: UnitLine, granularity: Granularity) -> str:
    if granularity is Granularity.TOTAL:
        return "all counted days"
    return f"{x.start:%Y-%m}" if granularity is Granularity.MONTH else x.start.isoformat()


def _per_unit(x: UnitLine) -> str:
    if x.per_unit is None:
        return x.note or "-"
    # Units are often cheap: four figures say more than two decimals.
    fine = (
        x.per_unit.quantize(Decimal(1).scaleb(max(x.per_unit.adjusted() - 3, -12))) if 0 < abs(x.per_unit) < 1 else None
    )
    return f"{fine:f} {x.currency}" if fine is not None else money(x.per_unit, x.currency)


def _listed(days: tuple[date, ...]) -> str:
    found = unit_costs.spans(days)
    more = f" and {len(found) - _SPANS} more stretches" if len(found) > _SPANS else ""
    return ", ".join(str(period) for period in found[:_SPANS]) + more
