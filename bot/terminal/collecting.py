"""`optiinfra collect`: reads the configured cost exports and clouds, and tells what could not be read."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

from bot.app import App, open_app
from bot.terminal.output import Progress, print_json, table
from tools.model.errors import SettingsError
from tools.model.load import Load, LoadStatus
from tools.providers.base import Access

COMPLETE, PARTIAL, FAILED = "complete", "partial", "failed"


def collect(args: argparse.Namespace) -> int:
    """Collect everything that is configured; 1 only when nothing at all could be read."""
    app = open_app()
    loads, accesses = _run(app, args.provider or None)
    accounts = [*_of_loads(app, loads), *_of_accesses(app, accesses)]
    if args.json:
        print_json({"providers": _by_provider(accounts)})
    else:
        _print(accounts)
    return 1 if accounts and all(a["status"] == FAILED for a in accounts) else 0


def _run(app: App, provider: str | None) -> tuple[tuple[Load, ...], tuple[Access, ...]]:
    from tools.collection.charges import ingest
    from tools.collection.resources import collect as look
    from tools.providers import registry

    inventories = registry.inventories(app.settings)
    if not inventories and not app.settings.focus_paths:
        raise SettingsError(
            "Nothing is configured to collect from.",
            fix="Set OPTIINFRA_FOCUS_PATHS to your FOCUS exports, OPTIINFRA_AWS_REGIONS for AWS (docs/settings.md).",
        )
    loads: tuple[Load, ...] = ()
    with Progress() as progress:
        if app.settings.focus_paths:
            loads = ingest(
                app.database,
                app.tenant,
                [Path(path) for path in app.settings.focus_paths],
                tag_keys=app.settings.tag_keys,
                detail_months=app.settings.detail_months,
                provider=provider,
                now=app.now,
                progress=progress,
            )
        accesses = look(app.database, app.tenant, inventories, provider=provider, now=app.now, progress=progress)
    return loads, accesses


def _of_loads(app: App, loads: tuple[Load, ...]) -> list[dict[str, object]]:
    """One line per billing account: how its periods went, and the first day that its costs do not cover."""
    from tools.store.loads import ledger

    with app.database.read() as tx:
        standing = ledger(tx, app.tenant)
    last = {
        (line.partition.provider, line.partition.billing_account_id): line.last_day
        for line in sorted(standing, key=lambda line: line.last_day)
    }
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
            "complete_to": last[provider, account_id] + timedelta(days=1) if (provider, account_id) in last else None,
            "missing_permissions": (),
            "problem": "; ".join(sorted({load.reason for load in of_account if load.reason})),
        }
        for (provider, account_id), of_account in sorted(accounts.items())
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
