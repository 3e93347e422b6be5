"""`optiinfra collect`: reads the configured cost exports and clouds, and tells what could not be read."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from bot.app import App, open_app
from bot.terminal.output import Progress, print_json, restated, table
from tools.model.errors import SettingsError
from tools.model.load import Load, LoadStatus
from tools.providers.base import Access

if TYPE_CHECKING:
    from tools.collection.billing import Bill

Covered = Mapping[tuple[str, str], date]
COMPLETE, PARTIAL, FAILED = "complete", "partial", "failed"


def collect(args: argparse.Namespace) -> int:
    """Collect everything that is configured; 1 only when nothing at all could be read."""
    app = open_app()
    loads, bills, accesses = _run(app, args.provider or None)
    covered = _covered(app)
    accounts = [*_of_loads(covered, loads), *_of_bills(covered, bills), *_of_accesses(app, accesses)]
    if args.json:
        print_json({"providers": _by_provider(accounts)})
    else:
        _print(accounts)
    return 1 if accounts and all(a["status"] == FAILED for a in accounts) else 0


def _run(app: App, provider: str | None) -> tuple[tuple[Load, ...], tuple[Bill, ...], tuple[Access, ...]]:
    from tools.collection import billing
    from tools.collection.charges import ingest
    from tools.collection.resources import collect as look
    from tools.collection.sources import local
    from tools.providers import registry
    from tools.store.paid_requests import StoredPaidRequests

    inventories = registry.inventories(app.settings, now=app.now)
    billings = registry.billings(app.settings, now=app.now, paid=StoredPaidRequests(app.database, app.tenant))
    if not inventories and not billings and not app.settings.focus_paths:
        raise SettingsError(
            "Nothing is configured to collect from.",
            fix="Set OPTIINFRA_FOCUS_PATHS to your FOCUS exports, or connect a cloud: OPTIINFRA_AWS_REGIONS, "
            "OPTIINFRA_GCP_PROJECTS, OPTIINFRA_AZURE_SUBSCRIPTIONS or VULTR_API_KEY (docs/settings.md).",
        )
    loads: tuple[Load, ...] = ()
    with Progress() as progress:
        if app.settings.focus_paths:
            with local(app.settings.focus_paths, app.settings) as paths:
                loads = ingest(
                    app.database,
                    app.tenant,
                    paths,
                    tag_keys=app.settings.tag_keys,
                    detail_months=app.settings.detail_months,
                    tag_values=app.settings.tag_values,
                    provider=provider,
                    now=app.now,
                    progress=progress,
                )
        bills = billing.collect(
            app.database,
            app.tenant,
            billings,
            in_files=loads,
            tag_keys=app.settings.tag_keys,
            detail_months=app.settings.detail_months,
            tag_values=app.settings.tag_values,
            provider=provider,
            now=app.now,
            progress=progress,
        )
        accesses = look(app.database, app.tenant, inventories, provider=provider, now=app.now, progress=progress)
    return loads, bills, accesses


def _covered(app: App) -> Covered:
    """The first day that the costs of each billing account do not cover."""
    from tools.store.loads import ledger

    with app.database.read() as tx:
        standing = ledger(tx, app.tenant)
    return {
        (line.partition.provider, line.partition.billing_account_id): line.last_day + timedelta(days=1)
        for line in sorted(standing, key=lambda line: line.last_day)
    }


def _of_loads(covered: Covered, loads: tuple[Load, ...]) -> list[dict[str, object]]:
    """One line per billing account in files: how its periods went."""
    accounts: dict[tuple[str, str], list[Load]] = {}
    for load in loads:
        if load.partition is not None:
            accounts.setdefault((load.partition.provider, load.partition.billing_account_id), []).append(load)
    return [
        {
            "provider": provider,
            "id": account_id,
            "what": "costs",
            "status": _status(of_account),
            "complete_to": covered.get((provider, account_id)),
            "missing_permissions": (),
            "problem": "; ".join(sorted({load.reason for load in of_account if load.reason})),
            "replaced": _replaced(of_account),
        }
        for (provider, account_id), of_account in sorted(accounts.items())
    ]


def _of_bills(covered: Covered, bills: tuple[Bill, ...]) -> list[dict[str, object]]:
    """One line per billing account that a cloud's own API told."""
    return [_of_bill(covered, bill) for bill in bills]


def _of_bill(covered: Covered, bill: Bill) -> dict[str, object]:
    access, loads = bill.access, list(bill.loads)
    status = _status(loads) if loads else COMPLETE if access.ok else FAILED
    told = [access.problem, *sorted({load.reason for load in loads if load.reason})]
    if bill.skipped:
        told.append("left to the FOCUS files that hold this account")
    elif access.ok and not loads:
        told.append("nothing was charged")
    return {
        "provider": access.provider,
        "id": access.account_id,
        "what": "costs (API)",
        "status": PARTIAL if status == COMPLETE and not access.ok else status,
        "complete_to": covered.get((access.provider, access.account_id)),
        "missing_permissions": access.missing,
        "problem": "; ".join(part for part in told if part),
        "replaced": _replaced(loads),
    }


def _replaced(loads: list[Load]) -> list[dict[str, object]]:
    """The periods that the provider has restated since they were read, with their difference and a sentence for it."""
    return [
        {
            "period": f"{load.partition.billing_period:%Y-%m}",
            "differences": load.differences,
            "told": " ".join(restated(load)),
        }
        for load in loads
        if load.partition is not None and load.differences
    ]


def _status(loads: list[Load]) -> str:
    refused = [load for load in loads if load.status is LoadStatus.REFUSED]
    if len(refused) == len(loads):
        return FAILED
    return PARTIAL if refused or any(load.rejected for load in loads) else COMPLETE


def _of_accesses(app: App, accesses: tuple[Access, ...]) -> list[dict[str, object]]:
    """One line per account: whether its inventory was read, and as of when the kept one is whole."""
    from tools.store import resources

    with app.database.read() as tx:
        looks = {(look.provider, look.account_id): look for look in resources.last_looks(tx, app.tenant)}
    lines: list[dict[str, object]] = []
    for access in accesses:
        look = looks.get((access.provider, access.account_id))
        whole = look is not None and look.ok
        lines.append(
            {
                "provider": access.provider,
                "id": access.account_id,
                "what": "inventory",
                "status": COMPLETE if access.ok else PARTIAL if whole else FAILED,
                "complete_to": look.complete_at if look else None,
                "missing_permissions": access.missing,
                "problem": access.problem,
                "replaced": [],
            }
        )
    return lines


def _by_provider(accounts: list[dict[str, object]]) -> list[dict[str, object]]:
    providers: dict[object, list[dict[str, object]]] = {}
    for account in accounts:
        rest = {key: value for key, value in account.items() if key != "provider"}
        providers.setdefault(account["provider"], []).append(rest)
    return [{"provider": provider, "accounts": lines} for provider, lines in providers.items()]


def _print(accounts: list[dict[str, object]]) -> None:
    columns = ("provider", "account", "what", "status", "complete to", "told")
    rows = []
    for account in accounts:
        missing = account["missing_permissions"]
        lacks = f"missing: {', '.join(missing)}" if isinstance(missing, tuple) and missing else ""
        told = "; ".join(part for part in (str(account["problem"]), lacks) if part)
        rows.append(
            (account["provider"], account["id"], account["what"], account["status"], account["complete_to"], told)
        )
    print(table(columns, rows))
    for account in accounts:
        months = account["replaced"]
        for month in months if isinstance(months, list) else ():
            print(month["told"])
