"""Calibration: realised savings as a share of estimated ones, per kind; it moves the bands of what comes next."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from tools.model.outcome import Calibration, Outcome

# One imagined rollout that saved exactly what was expected: a single surprise does not turn everything over.
PRIOR = 1
MOST = Decimal(2)
_PLACES = Decimal("0.0001")


def calibrate(outcomes: Iterable[Outcome]) -> tuple[Calibration, ...]:
    """One Calibration per kind that has finished and measured rollouts, in the order of the kinds."""
    ratios: dict[str, list[Decimal]] = {}
    for outcome in outcomes:
        if outcome.verdict != "too_early" and outcome.realised_monthly is not None and outcome.estimated_monthly > 0:
            ratio = outcome.realised_monthly / outcome.estimated_monthly
            ratios.setdefault(outcome.kind, []).append(min(MOST, max(Decimal(0), ratio)))
    return tuple(_of(kind, ratios[kind]) for kind in sorted(ratios))


def _of(kind: str, ratios: list[Decimal]) -> Calibration:
    usual = (sum(ratios, Decimal(0)) + PRIOR) / (len(ratios) + PRIOR)
    spread = sum((abs(ratio - usual) for ratio in ratios), Decimal(0)) / len(ratios)
    low, high = max(Decimal(0), usual - spread), usual + spread
    return Calibration(kind, low.quantize(_PLACES), usual.quantize(_PLACES), high.quantize(_PLACES), len(ratios))
