"""Costs: `optiinfra ingest` and `optiinfra costs` - cost data in, and cost questions without language."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from bot.app import App, open_app
from bot.terminal.output import Progress, covered, money, one_line, print_json, restated, table
from tools.analysis.calendar import named, unfinished
from tools.model.errors import InputError
from tools.model.load import Load, LoadStatus
from tools.model.money import plain
from tools.model.period import Period
from tools.model.query import CostQuery, CostRow, CostTable, Filter, Granularity, Metric, Receipt, dimension

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.rates import Rates

_SHOWN = 10
_NO_VALUE = "(none)"


def ingest(args: Namespace) -> int:
    """Read FOCUS files into the database; 1 when anything was refused."""
    from tools.collection.charges import ingest as read
    from tools.collection.sources import local

    app = open_app()
    with Progress() as progress, local(args.paths, app.settings) as paths:
        done = read(
            app.database,
            app.tenant,
            paths,
            tag_keys=app.settings.tag_keys,
            detail_months=app.settings.detail_months,
            tag_values=app.settings.tag_values,
            provider=args.provider,
            now=app.now,
            progress=progress,
        )
    if args.json:
        print_json({"loads": [entry for load in done for entry in _load_entries(load)]})
    else:
        _print_loads(done)
    refused = [load for load in done if load.status is LoadStatus.REFUSED]
    if refused:
        print(_refusals(refused, len(done)), file=sys.stderr)
    return 1 if refused else 0


def _load_entries(load: Load) -> list[dict[str, object]]:
    """One entry per currency, as two currencies have no common sum; the first one carries the problems."""
    partition = load.partition
    entries = []
    for number, total in enumerate(load.totals or (None,)):
        first = number == 0
        entries.append(
            {
                "provider": partition.provider if partition else "",
                "billing_account_id": partition.billing_account_id if partition else "",
                "period": f"{partition.billing_period:%Y-%m}" if partition else "",
                "rows": total.rows if total else load.rows,
                "rejected": load.rejected if first else 0,
                "billed_cost": total.billed_cost if total else None,
                "effective_cost": total.effective_cost if total else None,
                "currency": total.currency if total else "",
                "status": load.status,
                "reason": load.reason,
                "problems": load.problems if first else [],
                "problems_total": load.problems_total if first else 0,
                "differences": [d for d in load.differences if total and d.currency == total.currency],
                "checks": load.checks if first else [],
                "focus_versions": load.focus_versions,
            }
        )
    return entries


def _print_loads(done: Sequence[Load]) -> None:
    lines = [
        (
            load.partition or "(unknown)",
            total.rows if total else load.rows,
            load.rejected if number == 0 else 0,
            money(total.billed_cost, total.currency) if total else "-",
            money(total.effective_cost, total.currency) if total else "-",
            load.status,
        )
        for load in done
        for number, total in enumerate(load.totals or (None,))
    ]
    print(table(("account and period", "rows", "rejected", "billed", "effective", "status"), lines, right=(1, 2, 3, 4)))
    for load in done:
        for sentence in restated(load):
            print(sentence)
        for check in load.checks:
            print(one_line(f"{load.partition}: {check.law}? {check.detail}"))
        _print_problems(load)


def _print_problems(load: Load) -> None:
    for problem in load.problems[:_SHOWN]:
        place = f"row {problem.row}, " if problem.row else ""
        print(one_line(f"{problem.file}: {place}{problem.column or 'whole row'}: {problem.problem}"))
    if load.problems_total > _SHOWN:
        print(f"... and {load.problems_total - _SHOWN} more (--json lists up to 1,000).")


def _refusals(refused: Sequence[Load], of: int) -> str:
    """One sentence for stderr: what was refused, why, and the first problem of the first refused load."""
    first = min(refused, key=lambda load: load.partition is None)
    place = str(first.partition) if first.partition else "Some rows"
    others = f" ({len(refused) - 1} more of {of} were refused as well.)" if len(refused) > 1 else ""
    found = next((p for p in first.problems if p.row), None)
    column = f", {found.column}" if found and found.column else ""
    why = f" First problem: {found.file} row {found.row}{column}: {found.problem}." if found else ""
    return one_line(
        f"{place} refused, {first.rejected} rows: {first.reason}{why}{others} What was stored of it did not change."
    )


def costs(args: Namespace) -> int:
    """Ask the cost data without language."""
    app = open_app()
    words = [w.strip() for w in args.by.split(",") if w.strip()]
    where = filters(args.where, app.settings.tag_keys)
    query = CostQuery(
        period=asked_period(args, app.settings.fiscal_year_start),
        by=tuple(dimension(w, app.settings.tag_keys) for w in words),
        where=tuple(app.costs.spelled(f) for f in where),
        metric=Metric(args.metric),
        granularity=Granularity(args.granularity),
    )
    answer = _answered(app, query, args.currency.strip().upper())
    hints = [] if answer.rows else _hints(app.costs, query.where)
    beside = _beside(app.costs, query)
    told = unfinished(query.period, answer.coverage, app.now().date())
    if args.json:
        print_json({**_document(answer, words, hints), "parts": beside, "unfinished": told})
    else:
        _print_table(answer, words, [*hints, *_parts_in_words(beside), *([told] if told else [])])
    return 0


def asked_period(args: Namespace, fiscal_year_start: int) -> Period:
    """--period, or --from and --to."""
    if args.period and (args.start or args.end):
        raise InputError("--period and --from or --to say the same thing twice.", fix="Give one of them.")
    if args.period:
        return named(args.period, fiscal_year_start)
    if args.start is None or args.end is None:
        raise InputError("A question needs its days.", fix="Give --from and --to, or --period 2026-10.")
    return Period(args.start, args.end)


def _answered(app: App, query: CostQuery, currency: str) -> CostTable:
    """In the bills' own currencies, or in the one that was asked for (or is set)."""
    from tools.analysis import rates

    return rates.reported(app.costs, query, app.settings, currency)


def currency_rates(app: App, currency: str) -> Rates | None:
    """The exchange rates that an answer in this currency (or the one that is set) needs; None: the bills' own do."""
    from tools.analysis import rates

    found = rates.wanted(app.costs, app.settings, currency)
    return found[0] if found else None


def _beside(costs: Costs, query: CostQuery) -> list[dict[str, object]]:
    """Gross, credits and net of billed cost per currency, where credits hide what was spent."""
    if query.metric not in {Metric.BILLED, Metric.NET}:
        return []
    whole = replace(query, by=(), granularity=Granularity.TOTAL, limit=None)
    sums = {m: dict(costs.table(replace(whole, metric=m)).totals) for m in (Metric.CREDITS, Metric.GROSS, Metric.NET)}
    return [
        {"currency": currency, **{str(m): sums[m].get(currency, Decimal(0)) for m in sums}}
        for currency, credited in sums[Metric.CREDITS].items()
        if credited
    ]


def _parts_in_words(beside: Sequence[dict[str, object]]) -> list[str]:
    return [
        ", ".join(f"{m} {money(Decimal(str(part[m])), str(part['currency']))}" for m in ("gross", "credits", "net"))
        + "."
        for part in beside
    ]


def filters(given: Sequence[str], tag_keys: tuple[str, ...]) -> tuple[Filter, ...]:
    """DIM=VALUE keeps, DIM!=VALUE leaves out; the same dimension twice means either of both values."""
    found: dict[tuple[str, bool], list[str]] = {}
    for text in given:
        word, mark, value = text.partition("=")
        if not mark:
            raise InputError(f"{text} is not a filter.", fix="Write it as --where service=AmazonS3.")
        exclude = word.endswith("!")
        found.setdefault((dimension(word.removesuffix("!"), tag_keys), exclude), []).append(value.strip())
    return tuple(Filter(name, tuple(values), exclude) for (name, exclude), values in found.items())


def _hints(costs: Costs, where: Sequence[Filter]) -> list[str]:
    """For each filter value that the data does not have: which values it may mean."""
    told = []
    for wanted in where:
        known = frozenset(costs.values(wanted.dimension, 5000))
        for value in wanted.values:
            if wanted.exclude or value == "" or value in known:
                continue
            close = costs.close(wanted.dimension, value)
            meant = f"; did you mean {', '.join(close)}?" if close else "."
            told.append(f'No cost has {wanted.dimension} "{value}"{meant}')
    return told


def _document(answer: CostTable, words: Sequence[str], hints: Sequence[str]) -> dict[str, object]:
    query = answer.query
    single = answer.totals[0] if len(answer.totals) == 1 else None
    return {
        "rows": [_row_document(row, query, words) for row in answer.rows],
        "total": single[1] if single else (None if answer.totals else "0"),
        "currency": single[0] if single else "",
        "totals": [{"currency": c, "cost": cost} for c, cost in answer.totals],
        "query": {
            "period": query.period,
            "by": query.by,
            "where": query.where,
            "metric": query.metric,
            "granularity": query.granularity,
        },
        "receipt": receipt_document(answer.receipt),
        "coverage": answer.coverage,
        "hints": list(hints),
    }


def receipt_document(receipt: Receipt) -> dict[str, object]:
    """A receipt with its parameters by name."""
    return {
        "sql": receipt.sql,
        "parameters": dict(receipt.parameters),
        "rows": receipt.rows,
        "as_of": receipt.as_of,
    }


def _row_document(row: CostRow, query: CostQuery, words: Sequence[str]) -> dict[str, object]:
    bucket = _bucket(row.start, query)
    return {
        **dict(zip(words, row.keys, strict=True)),
        "period": {"start": bucket.start, "end": bucket.end},
        "cost": row.cost,
        "currency": row.currency,
        "rows": row.raw_rows,
    }


def _bucket(start: date, query: CostQuery) -> Period:
    if query.granularity is Granularity.DAY:
        return Period(start, start + timedelta(days=1))
    if query.granularity is Granularity.MONTH:
        following = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        return Period(start, min(following, query.period.end))
    return query.period


def _print_table(answer: CostTable, words: Sequence[str], hints: Sequence[str]) -> None:
    query = answer.query
    timed = query.granularity is not Granularity.TOTAL
    rows: list[tuple[object, ...]] = [
        (
            *((_bucket(row.start, query),) if timed else ()),
            *(key or _NO_VALUE for key in row.keys),
            money(row.cost, row.currency),
        )
        for row in answer.rows
    ]
    print(f"{query.period}, {query.metric.meaning}")
    if rows and (timed or words):
        print(table((*(("period",) if timed else ()), *words, "cost"), rows, right=(len(words) + timed,)))
    for currency, cost in answer.totals:
        exact = f" (exactly {plain(cost)})" if cost is not None else ": a price is missing in the bill"
        print(f"total: {money(cost, currency)}{exact}")
    if not answer.rows:
        print("There is no cost in this period that fits.")
    for line in hints:
        print(one_line(line))
    print(covered(answer.coverage))
