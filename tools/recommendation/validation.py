"""Validation: what a recommendation must be before anybody sees it; a rule's mistake is dropped, never shown."""

from __future__ import annotations

import json
from decimal import Decimal

from tools.model.recommendation import Recommendation
from tools.recommendation.evidence import affected_monthly

KINDS = frozenset({"spot_migration", "idle", "rightsizing", "storage_class", "cleanup", "commitment"})
RISKS = frozenset({"R0", "R1", "R2", "R3"})


def problems(found: Recommendation) -> tuple[str, ...]:
    """Everything that is wrong with a recommendation, in words for the log; empty when it may be shown."""
    sound = _amounts_hold(found)
    checks = (
        (found.kind in KINDS, f"unknown kind {found.kind}"),
        (found.risk in RISKS, f"unknown risk {found.risk}"),
        (found.resource_ids != (), "names no resource"),
        (len(found.currency) == 3 and found.currency.isupper(), f"currency {found.currency!r}"),
        (sound, "its saving is not a rising band of real amounts"),
        (not sound or found.saving_expected > 0, "it would save nothing"),
        (not sound or found.saving_high <= affected_monthly(found), "it would save more than is spent"),
        (Decimal(0) < found.confidence <= 1, f"confidence {found.confidence}"),
        (any(e.receipt is not None and e.receipt.rows > 0 for e in found.evidence), "no evidence has a receipt"),
        (found.price_source != "", "no price source"),
        (found.risk != "R3" or not found.reversible, "R3 is what cannot be undone"),
        (found.reversible or found.risk in {"R2", "R3"}, "what cannot be undone needs two people"),
        (_json_ready(found.parameters), "its parameters are no JSON"),
        (found.parameters.get("change") != "" or found.blocked_by != (), "not executable, but nothing says so"),
    )
    return tuple(problem for holds, problem in checks if not holds)


def _amounts_hold(found: Recommendation) -> bool:
    amounts = (found.saving_low, found.saving_expected, found.saving_high)
    return all(amount.is_finite() for amount in amounts) and 0 <= amounts[0] <= amounts[1] <= amounts[2]


def _json_ready(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
