"""`optiinfra recommend`: runs the savings rules and prints what they found."""

from __future__ import annotations

import argparse

from bot.app import open_app
from bot.terminal.output import money, print_json, table
from tools.model.errors import InputError
from tools.model.recommendation import Recommendation


def recommend(args: argparse.Namespace) -> int:
    """Print every recommendation (of one kind with --kind), the greatest saving first."""
    from tools.recommendation.engine import recommend as run
    from tools.recommendation.validation import KINDS

    if args.kind and args.kind not in KINDS:
        raise InputError(f'There is no kind "{args.kind}".', fix=f"Use one of: {', '.join(sorted(KINDS))}.")
    app = open_app()
    found = run(app.database, app.tenant, app.costs, now=app.now)
    shown = tuple(r for r in found if not args.kind or r.kind == args.kind)
    if args.json:
        print_json({"recommendations": [document(r) for r in shown]})
    else:
        _print(shown)
    return 0


def document(found: Recommendation) -> dict[str, object]:
    """The JSON of one recommendation."""
    return {
        "id": found.id,
        "kind": found.kind,
        "provider": found.provider,
        "account_id": found.account_id,
        "region": found.region,
        "service": found.service,
        "resource_ids": found.resource_ids,
        "title": found.title,
        "monthly_saving": {
            "low": found.saving_low,
            "expected": found.saving_expected,
            "high": found.saving_high,
        },
        "currency": found.currency,
        "confidence": found.confidence,
        "risk": found.risk,
        "reversible": found.reversible,
        "evidence": found.evidence,
        "price_source": found.price_source,
        "parameters": found.parameters,
        "blocked_by": found.blocked_by,
    }


def _print(found: tuple[Recommendation, ...]) -> None:
    from tools.recommendation.scoring import total

    if not found:
        print("No savings found. Is there cost data and an inventory? Say: optiinfra collect")
        return
    rows = [
        (
            r.id,
            r.kind,
            money(r.saving_expected, r.currency),
            f"{money(r.saving_low, r.currency)} to {money(r.saving_high, r.currency)}",
            r.risk,
            "advice" if r.blocked_by else "can be proposed",
            r.title,
        )
        for r in found
    ]
    print(table(("id", "kind", "per month", "between", "risk", "state", "what"), rows, right=(2,)))
    for currency, (low, expected, high) in sorted(total(found).items()):
        print(
            f"Together about {money(expected, currency)} a month "
            f"({money(low, currency)} to {money(high, currency)}), nothing counted twice."
        )
