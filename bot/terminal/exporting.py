"""Exporting: `optiinfra export focus` - what is stored, as a FOCUS file."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from bot.app import open_app
from bot.terminal.output import money, print_json


def focus(args: Namespace) -> int:
    """Write every stored charge into one file and say what is in it."""
    from tools.collection.export import export

    app = open_app()
    done = export(app.database, app.tenant, Path(args.path), args.version)
    single = done.billed_cost[0] if len(done.billed_cost) == 1 else None
    if args.json:
        print_json(
            {
                "files": done.files,
                "rows": done.rows,
                "billed_cost": single[1] if single else None,
                "currency": single[0] if single else "",
                "billed_costs": [{"currency": c, "billed_cost": cost} for c, cost in done.billed_cost],
            }
        )
        return 0
    sums = ", ".join(money(cost, currency) for currency, cost in done.billed_cost)
    print(f"{done.files[0]}: {done.rows:,} rows, billed {sums} (FOCUS {args.version}).")
    return 0
