"""`optiinfra savings`: what finished rollouts were expected to save, what bills say they did, and what that teaches."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from decimal import Decimal

from bot.app import App, open_app
from bot.terminal.output import money, print_json, table
from tools.model.errors import NotFoundError
from tools.model.money import EXACT
from tools.model.outcome import VERDICTS, Calibration, Outcome
from tools.model.recommendation import Recommendation


def savings(args: Namespace) -> int:
    """Measure what can be measured on the bills that are there, and print the ledger with its calibration."""
    from tools.learning.outcomes import measure
    from tools.store import outcomes

    app = open_app()
    measure(app.database, app.tenant, app.costs, now=app.now)
    with app.database.read() as tx:
        found = outcomes.listing(tx, app.tenant)
        learnt = tuple(outcomes.all_calibrations(tx, app.tenant).values())
    if args.json:
        print_json({"ledger": [_document(app, one) for one in found], "calibration": learnt})
    else:
        _print(found, learnt)
    return 0


def _document(app: App, outcome: Outcome) -> dict[str, object]:
    """One line of the ledger; the band is None when the recommendation is no longer stored."""
    expected = _recommendation(app, outcome)
    return {
        "rollout": outcome.rollout_id,
        "kind": outcome.kind,
        "estimated_monthly": {
            "low": expected.saving_low if expected else None,
            "expected": outcome.estimated_monthly,
            "high": expected.saving_high if expected else None,
        },
        "realised_monthly": outcome.realised_monthly,
        "currency": outcome.currency,
        "measured": {"start": outcome.measured_from, "end": outcome.measured_to},
        "verdict": outcome.verdict,
        "why": outcome.why,
    }


def _recommendation(app: App, outcome: Outcome) -> Recommendation | None:
    from tools.store import recommendations, rollouts

    with app.database.read() as tx:
        plan = rollouts.get(tx, app.tenant, outcome.rollout_id).plan
        try:
            return recommendations.one(tx, app.tenant, plan.recommendation_id)
        except NotFoundError:
            return None


def _print(found: Sequence[Outcome], learnt: Sequence[Calibration]) -> None:
    if not found:
        print("No rollout has finished yet, so nothing is saved so far. What could be saved: optiinfra recommend")
        return
    rows = [
        (
            o.rollout_id,
            o.kind,
            money(o.estimated_monthly, o.currency),
            "not known yet" if o.realised_monthly is None else money(o.realised_monthly, o.currency),
            VERDICTS.get(o.verdict, o.verdict),
            o.why,
        )
        for o in found
    ]
    print(table(("rollout", "kind", "expected a month", "realised", "verdict", "why"), rows, right=(2, 3)))
    for currency in dict.fromkeys(o.currency for o in found):
        print(_together([o for o in found if o.currency == currency], currency))
    for one in learnt:
        print(
            f"{one.kind}: {_share(one.usual)} of what was expected comes true "
            f"({_share(one.low)} to {_share(one.high)}, {one.outcomes} measured)."
        )


def _together(found: Sequence[Outcome], currency: str) -> str:
    measured = [(o.realised_monthly, o.estimated_monthly) for o in found if o.realised_monthly is not None]
    realised = expected = Decimal(0)
    for real, estimate in measured:
        realised, expected = EXACT.add(realised, real), EXACT.add(expected, estimate)
    waiting = len(found) - len(measured)
    said = f"Together {money(realised, currency)} a month realised of {money(expected, currency)} expected"
    return f"{said}; {waiting} not measured yet." if waiting else f"{said}."


def _share(ratio: Decimal) -> str:
    return f"{ratio * 100:.0f} %"
