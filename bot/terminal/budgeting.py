"""`optiinfra budget ...`: set budgets, and say how they stand."""

from __future__ import annotations

import re
from argparse import Namespace
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from bot.app import App, open_app
from bot.terminal.allocating import authorised
from bot.terminal.costs import filters, receipt_document
from bot.terminal.output import covered, money, one_line, print_json, table
from tools.analysis import budgets as analysis
from tools.model.access import Permission
from tools.model.audit import AuditEntry
from tools.model.budget import Budget, BudgetPeriod, Standing
from tools.model.errors import InputError
from tools.model.money import DECIMALS
from tools.model.query import ALLOCATION, Filter, Metric, is_allocation
from tools.store import audit, budgets

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,20}")
_LARGEST = Decimal(10) ** 15


def assign(args: Namespace) -> int:
    """Set a budget; the change stands in the audit record."""
    app = open_app()
    wanted = Budget(
        _name(args.name),
        _amount(args.amount),
        _currency(args.currency),
        BudgetPeriod(args.period),
        Metric(args.metric),
        _where(app, args.where),
        _levels(args.alert_at),
        _chance(args.chance),
        _channel(args.channel),
    )
    person = authorised(app, args.user, Permission.BUDGETS_CHANGE, "a budget")
    now = app.now()
    with app.database.begin() as tx:
        saved = budgets.save(tx, app.tenant, wanted, actor=person.id, now=now)
        audit.record(tx, AuditEntry(app.tenant, now, person.id, "budget.set", saved.name, "done", "", _audited(saved)))
    if args.json:
        print_json({"budget": _document(saved)})
    else:
        print(f"Budget {saved.name}: {_limit(saved)} for {analysis.scope(saved.where)}.")
    return 0


def _audited(budget: Budget) -> dict[str, object]:
    return {
        "amount": f"{budget.amount:f}",
        "currency": budget.currency,
        "period": str(budget.period),
        "scope": analysis.scope(budget.where),
        "revision": budget.revision,
    }


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise InputError(f'"{text[:80]}" is not a name for a budget.', fix="Use up to 64 letters, digits, - and _.")
    return text


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text) else text)
    except InvalidOperation:
        amount = Decimal(0)
    exponent = amount.as_tuple().exponent
    exact = isinstance(exponent, int) and exponent >= -DECIMALS
    if not amount.is_finite() or not 0 < amount < _LARGEST or not exact:
        raise InputError(f"{text[:40]} is not an amount above 0.", fix="Write it as 50000 or 50000.50.")
    return amount


def _currency(text: str) -> str:
    code = text.strip().upper()
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise InputError(f'"{text[:20]}" is not a currency.', fix="Write its three letters: USD, EUR ...")
    return code


def _levels(text: str) -> tuple[int, ...]:
    parts = [part.strip().removesuffix("%").strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= 1000 for part in parts) or len(parts) > 10:
        raise InputError(f'"{text[:60]}" are not percentages.', fix="Write up to ten of them as 50,80,100.")
    return tuple(sorted({int(part) for part in parts}))


def _chance(percent: int) -> int:
    if not 0 <= percent <= 99:
        raise InputError(f"{percent} is not a chance in percent.", fix="Use 1 to 99, or 0 for no alert by forecast.")
    return percent


def _channel(text: str) -> str:
    if text and not _CHANNEL.fullmatch(text):
        raise InputError(
            f'"{text[:40]}" is not a channel id.', fix="Slack shows it at the end of the channel's details."
        )
    return text


def _where(app: App, given: list[str]) -> tuple[Filter, ...]:
    """Filters whose values exist: a budget of a slip of the pen would always be kept."""
    found = tuple(app.costs.spelled(_named(app, f)) for f in filters(given, app.settings.tag_keys))
    for wanted in found:
        known = app.costs.values(wanted.dimension, 5000)
        strange = [value for value in wanted.values if value and value not in known]
        if strange and (known or is_allocation(wanted.dimension)):
            close = app.costs.close(wanted.dimension, strange[0])
            raise InputError(
                f'No cost has {wanted.dimension} "{strange[0]}".',
                fix=f"Did you mean {' or '.join(close)}?" if close else "`optiinfra costs --by` lists the values.",
            )
    return found


def _named(app: App, wanted: Filter) -> Filter:
    """With the allocation dimension's own name: there may be a second one some day."""
    if not is_allocation(wanted.dimension):
        return wanted
    from tools.analysis import allocation

    with app.database.read() as tx:
        version, _ = allocation.current(tx, app.costs, wanted.dimension)
    return replace(wanted, dimension=f"{ALLOCATION}:{version.dimension}")


def _limit(budget: Budget) -> str:
    return f"{money(budget.amount, budget.currency)} a {budget.period.words}"


def listing(args: Namespace) -> int:
    """Every budget as it is set."""
    app = open_app()
    with app.database.read() as tx:
        found = budgets.listing(tx, app.tenant)
    if args.json:
        print_json({"budgets": [_document(b) for b in found]})
    elif not found:
        print("There are no budgets. Set one with: optiinfra budget set NAME --amount N --currency C --as E-MAIL")
    else:
        rows = [
            (
                b.name,
                _limit(b),
                analysis.scope(b.where),
                b.metric,
                ", ".join(f"{level} %" for level in b.levels) or "-",
                f"{b.chance} %" if b.chance else "-",
                b.actor,
            )
            for b in found
        ]
        print(table(("name", "amount", "scope", "cost", "told at", "or with a chance of", "set by"), rows))
    return 0


def _document(budget: Budget) -> dict[str, object]:
    return {
        "name": budget.name,
        "amount": budget.amount,
        "currency": budget.currency,
        "period": budget.period,
        "metric": budget.metric,
        "where": budget.where,
        "levels": budget.levels,
        "chance": budget.chance,
        "channel": budget.channel,
        "revision": budget.revision,
        "set_by": budget.actor,
        "set_at": budget.set_at,
    }


def check(args: Namespace) -> int:
    """How every budget (or one) stands today; nobody is told, alerts go out by the clock."""
    app = open_app()
    with app.database.read() as tx:
        found = (budgets.one(tx, app.tenant, args.name),) if args.name else budgets.listing(tx, app.tenant)
    standings = app.jobs.standings(found, app.now().date())
    if args.json:
        print_json({"budgets": [_standing_document(s, app) for s in standings]})
        return 0
    if not standings:
        print("There are no budgets. Set one with: optiinfra budget set NAME --amount N --currency C --as E-MAIL")
        return 0
    rows = [_row(s, app) for s in standings]
    print(
        table(
            ("budget", "period", "amount", "so far", "used", "expected", "chance of passing"),
            rows,
            right=(2, 3, 4, 5, 6),
        )
    )
    notes = [f"{s.budget.name}: {note}" for s in standings for note in (s.problem or s.no_forecast,) if note]
    for note in dict.fromkeys(notes):
        print(one_line(note))
    for line in dict.fromkeys(covered(s.coverage) for s in standings):
        print(line)
    return 0


def _row(s: Standing, app: App) -> tuple[object, ...]:
    currency = s.budget.currency
    return (
        s.budget.name,
        analysis.period_name(s.budget.period, s.period, app.settings.fiscal_year_start),
        money(s.budget.amount, currency),
        money(s.actual, currency),
        "-" if s.used is None else f"{s.used:.0%}",
        money(s.forecast.p50, currency) if s.forecast else "-",
        "-" if s.chance is None else f"{s.chance:.0%}",
    )


def _standing_document(s: Standing, app: App) -> dict[str, object]:
    return {
        **_document(s.budget),
        "in_period": s.period,
        "period_name": analysis.period_name(s.budget.period, s.period, app.settings.fiscal_year_start),
        "actual": s.actual,
        "used": s.used,
        "forecast": {"p10": s.forecast.p10, "p50": s.forecast.p50, "p90": s.forecast.p90} if s.forecast else None,
        "chance_of_passing": s.chance,
        "problem": s.problem or s.no_forecast,
        "receipt": receipt_document(s.receipt),
        "coverage": s.coverage,
    }


def remove(args: Namespace) -> int:
    """Take a budget out of use."""
    app = open_app()
    person = authorised(app, args.user, Permission.BUDGETS_CHANGE, "a budget")
    now = app.now()
    with app.database.begin() as tx:
        gone = budgets.remove(tx, app.tenant, args.name)
        audit.record(tx, AuditEntry(app.tenant, now, person.id, "budget.remove", gone.name, "done", "", _audited(gone)))
    if args.json:
        print_json({"removed": _document(gone)})
    else:
        print(f"Budget {gone.name} is removed.")
    return 0
