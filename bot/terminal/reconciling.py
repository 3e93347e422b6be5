"""`optiinfra reconcile` and `optiinfra coverage`: bills beside their invoices, and what each account's data covers."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from bot.app import App, open_app
from bot.terminal.output import covered, money, one_line, print_json, table
from tools.collection import coverage as coverages
from tools.collection import invoice_file, reconcile
from tools.collection.coverage import AccountCoverage
from tools.model.errors import InputError
from tools.model.invoice import Reconciled
from tools.model.period import Period
from tools.store import coverage, loads


def reconcile_bills(args: Namespace) -> int:
    """Keep the invoices of a file, if one is given, and set every bill beside its invoice."""
    app = open_app()
    if args.invoices:
        given = invoice_file.read(Path(args.invoices), app.now())
        with app.database.begin() as tx:
            coverage.save_invoices(tx, app.tenant, given)
    with app.database.read() as tx:
        lines = loads.ledger(tx, app.tenant)
        found = reconcile.reconcile(
            lines,
            coverage.billed(tx, app.tenant),
            coverage.all_invoices(tx, app.tenant),
            app.now().date(),
            _months(args),
        )
    if args.json:
        print_json({"bills": [_document(one) for one in found], "summary": _summary(found)})
    else:
        _print(found)
    return 0


def _months(args: Namespace) -> Period | None:
    """Billing periods that the asked days touch."""
    if args.start is None and args.end is None:
        return None
    if args.start is None or args.end is None:
        raise InputError("One end of the period is missing.", fix="Give both --from and --to, or neither.")
    asked = Period(args.start, args.end)
    return Period(asked.start.replace(day=1), asked.end)


def _document(one: Reconciled) -> dict[str, object]:
    return {
        "provider": one.provider,
        "billing_account_id": one.billing_account_id,
        "period": f"{one.billing_period:%Y-%m}",
        "invoice_id": one.invoice_id,
        "currency": one.currency,
        "ours": one.ours,
        "theirs": one.theirs,
        "difference": one.difference,
        "explanation": one.explanation,
        "detail": one.detail,
    }


def _summary(found: Sequence[Reconciled]) -> dict[str, int]:
    return dict(sorted(Counter(str(one.explanation) for one in found).items()))


def _print(found: Sequence[Reconciled]) -> None:
    if not found:
        print("There is nothing to compare: no bill of a closed month and no invoice is known.")
        return
    columns = ("bill", "invoice", "ours", "theirs", "difference", "explanation")
    rows = [
        (
            one.name,
            one.invoice_id or "-",
            *("-" if a is None else money(a, one.currency) for a in (one.ours, one.theirs, one.difference)),
            f"{one.explanation}: {one.detail}",
        )
        for one in found
    ]
    print(table(columns, rows, right=(2, 3, 4)))
    told = reconcile.in_words(found)
    print(one_line(f"{told}." if told else "No invoice is known: give them with --invoices FILE.csv."))


def show_coverage(args: Namespace) -> int:
    """What stands loaded of each account, up to when, what may still change and what could not be read."""
    app = open_app()
    accounts = _accounts(app)
    whole = app.costs.coverage()
    if args.json:
        print_json({"accounts": accounts, "coverage": whole})
        return 0
    print(_table(accounts))
    print(covered(whole))
    return 0


def _accounts(app: App) -> tuple[AccountCoverage, ...]:
    with app.database.read() as tx:
        lines = loads.ledger(tx, app.tenant)
        days = app.settings.provisional_days
        return coverages.accounts(tx, app.tenant, lines, days, app.now().date())


def _table(accounts: Sequence[AccountCoverage]) -> str:
    columns = ("account", "complete to", "may change", "months", "rows", "left out", "against invoices", "told")
    return table(columns, [_line(one) for one in accounts], right=(3, 4, 5))


def _line(one: AccountCoverage) -> tuple[object, ...]:
    lacks = f"lacks {', '.join(one.missing)}" if one.missing else ""
    return (
        f"{one.provider} {one.account_id}",
        one.complete_to - timedelta(days=1) if one.complete_to else "no data",
        f"{one.provisional_share:.0%} of its month" if one.complete_to else "-",
        one.periods,
        one.rows,
        one.rejected,
        ", ".join(money(amount, currency) for currency, amount in one.differences) or "-",
        "; ".join(part for part in (one.problem, lacks) if part) or "-",
    )
