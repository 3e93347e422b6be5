"""Budgets: how the budgets that people set stand today."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from agent import words
from agent.toolset import desk as at
from agent.toolset.arguments import BudgetStatus
from agent.toolset.desk import Desk, Facts
from tools.model.budget import Budget, Standing
from tools.model.errors import InputError
from tools.model.fact import Table, ToolResult
from tools.model.money import EXACT
from tools.model.query import TAG, Filter, Receipt, is_allocation


def budget_status(args: BudgetStatus, desk: Desk) -> ToolResult:
    """How one budget, or all of them, stand in their periods."""
    found = stored(desk)
    chosen = _called(found, args.budget.strip().casefold())
    echo = at.echo("budget_status", args.model_dump(mode="json", exclude_defaults=True), None, "", ())
    if args.budget and not chosen:
        raise InputError(
            f'There is no budget called "{words.name(args.budget)}".',
            fix=f"Budgets are: {words.listed((b.name for b in found), 12)}.",
        )
    standings = [standing(desk, budget) for budget in chosen]
    made = Facts(_receipt(desk, len(found)))
    made.add("budgets", "everything", len(found), "count")
    for one in standings:
        facts_of(one, made)
    return ToolResult(
        echo,
        made.all,
        " ".join(sentence(s) for s in standings) if len(standings) == 1 else _headline(standings),
        _tables(standings) if len(standings) > 1 else (),
        (),
        tuple(dict.fromkeys(note for s in standings for note in _notes(s))),
        desk.costs.coverage(),
    )


def _called(found: Sequence[Budget], name: str) -> list[Budget]:
    """All without a name; those of that name, or else those of what is called so."""
    own = [b for b in found if not name or b.name.casefold() == name]
    return own or [b for b in found if any(name in {v.casefold() for v in f.values} for f in b.where if not f.exclude)]


def stored(desk: Desk) -> tuple[Budget, ...]:
    """Every budget that is in use."""
    from tools.store import budgets

    with desk.database.read() as tx:
        return budgets.listing(tx, desk.tenant)


def standing(desk: Desk, budget: Budget) -> Standing:
    """How a budget stands on the day of the question."""
    from tools.analysis import budgets, rates

    known, why = None, ""
    if desk.settings.rates_file is not None:
        try:
            known = rates.load(desk.settings.rates_file)
        except InputError as error:
            why = error.what
    return budgets.standing(
        desk.costs, budget, desk.today, starts_in=desk.settings.fiscal_year_start, rates=known, no_rates=why
    )


def fitting(found: Sequence[Budget], where: tuple[Filter, ...]) -> Budget | None:
    """The budget whose scope has the same names as a question's filters: a team may be a tag, or pay by the rules."""
    asked = _names(where)
    return next((b for b in found if b.where and _names(b.where) == asked), None)


def _names(where: tuple[Filter, ...]) -> frozenset[tuple[str, frozenset[str], bool]]:
    def kind(dimension: str) -> str:
        return "who" if is_allocation(dimension) or dimension.startswith(TAG) else dimension

    return frozenset((kind(f.dimension), frozenset(v.casefold() for v in f.values), f.exclude) for f in where)


def sentence(s: Standing) -> str:
    """'Budget checkout: $3,176.20 of $3,000.00 is spent (105.9 %) in 1-30 Nov 2026; ...'."""
    budget, currency = s.budget, s.budget.currency
    name = f"Budget {words.name(budget.name)}"
    limit = words.money(budget.amount, currency)
    if s.actual is None or s.used is None:
        return f"{name} ({limit} {words.span(s.period)}) cannot be judged: {s.problem}"
    said = f"{name}: {words.money(s.actual, currency)} of {limit} is spent ({words.percent(s.used * 100)}) {words.span(s.period)}"
    if s.actual > budget.amount:
        said += f", {words.money(s.actual - budget.amount, currency)} over it"
    if s.forecast is not None and s.chance is not None:
        said += f"; {words.money(s.forecast.p50, currency)} is expected in the end"
        if s.actual <= budget.amount:
            said += f", and the chance of passing it is {words.percent(s.chance * 100)}"
    return said + "."


def facts_of(s: Standing, made: Facts) -> None:
    """The figures of one budget, each with its receipt."""
    from tools.analysis import budgets

    name, currency = words.name(s.budget.name), s.budget.currency
    receipt = s.receipt if s.receipt.sql else made.receipt
    made.add("budget", name, s.budget.amount, currency=currency, period=s.period)
    made.add(
        f"cost so far of {budgets.scope(s.budget.where)}",
        name,
        s.actual,
        currency=currency,
        period=s.period,
        receipt=receipt,
    )
    if s.actual is not None and s.actual > s.budget.amount:
        over = EXACT.subtract(s.actual, s.budget.amount)
        made.add("cost over the budget", name, over, currency=currency, period=s.period, receipt=receipt)
    if s.used is not None:
        made.add("share of the budget", name, _percent(s.used), "percent", period=s.period, receipt=receipt)
    if s.forecast is not None:
        made.add("forecast", name, s.forecast.p50, currency=currency, period=s.period, receipt=receipt)
    if s.chance is not None:
        made.add("chance of passing the budget", name, _percent(s.chance), "percent", period=s.period, receipt=receipt)


def _receipt(desk: Desk, rows: int) -> Receipt:
    from sqlalchemy import select

    from tools.store.allocation_tables import budgets as table

    return at.stored(desk, select(table).where(table.c.tenant == desk.tenant, table.c.removed.is_(False)), rows)


def _headline(standings: Sequence[Standing]) -> str:
    if not standings:
        return "0 budgets are set."
    over = [s for s in standings if s.actual is not None and s.actual > s.budget.amount]
    likely = [s for s in standings if s not in over and s.chance is not None and s.chance >= Decimal("0.5")]
    unknown = [s for s in standings if s.actual is None]
    parts = [f"{len(standings)} budgets are set"]
    parts.append(f"{len(over)} passed" + (f" ({words.listed(s.budget.name for s in over)})" if over else ""))
    if likely:
        parts.append(f"{len(likely)} will probably be ({words.listed(s.budget.name for s in likely)})")
    if unknown:
        parts.append(f"{len(unknown)} cannot be judged ({words.listed(s.budget.name for s in unknown)})")
    return f"{parts[0]}: {', '.join(parts[1:])}."


def _notes(s: Standing) -> list[str]:
    name = words.name(s.budget.name)
    return [f"{name}: {note}" for note in dict.fromkeys((s.problem, s.no_forecast)) if note]


def _percent(share: Decimal | None) -> Decimal | None:
    return None if share is None else EXACT.quantize(share * 100, Decimal("0.1"))


def _tables(standings: Sequence[Standing]) -> tuple[Table, ...]:
    made = []
    for currency in dict.fromkeys(s.budget.currency for s in standings):
        rows: list[tuple[str | Decimal | None, ...]] = [
            (
                words.name(s.budget.name),
                str(s.period),
                s.budget.amount,
                s.actual,
                _percent(s.used),
                s.forecast.p50 if s.forecast else None,
                _percent(s.chance),
            )
            for s in standings
            if s.budget.currency == currency
        ]
        made.append(
            Table(
                "Budgets",
                ("budget", "period", "amount", "so far", "used", "expected", "chance of passing"),
                ("text", "text", "money", "money", "percent", "money", "percent"),
                tuple(rows),
                currency,
            )
        )
    return tuple(made)
