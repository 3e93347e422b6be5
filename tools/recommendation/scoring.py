"""Scoring: what earlier savings and people's words teach about a recommendation, and what can be had in total."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from tools.model.outcome import Calibration, Feedback
from tools.model.recommendation import Evidence, Recommendation
from tools.recommendation.evidence import CENT, affected_monthly

LEAST_CONFIDENCE = Decimal("0.05")
# One "wrong" on this very finding halves its confidence; on others of its kind each takes off a twentieth.
_THIS_ONE = Decimal("0.5")
_ITS_KIND = Decimal("0.95")
_MOST_COUNTED = 5
COMPETES = "Competes with"


def calibrated(found: Recommendation, known: Mapping[str, Calibration]) -> Recommendation:
    """The saving's band moved by how savings of its kind turned out; unchanged while none is finished."""
    past = known.get(found.kind)
    if past is None or past.outcomes == 0:
        return found
    ceiling = affected_monthly(found)
    low, expected, high = (
        min(ceiling, max(Decimal(0), amount * share)).quantize(CENT)
        for amount, share in (
            (found.saving_low, past.low),
            (found.saving_expected, past.usual),
            (found.saving_high, past.high),
        )
    )
    track = Evidence(
        "Track record",
        f"{past.outcomes} finished {'rollout' if past.outcomes == 1 else 'rollouts'} of this kind saved "
        f"{past.usual * 100:.0f} % of what was expected; the saving here is adjusted by that",
        "later bills",
    )
    return replace(
        found,
        saving_low=min(low, expected),
        saving_expected=expected,
        saving_high=max(high, expected),
        evidence=(*found.evidence, track),
    )


def heard(found: Recommendation, said: Iterable[Feedback]) -> Recommendation:
    """The confidence lowered where people called this finding, or others of its kind, wrong."""
    mine = others = 0
    for word in said:
        if word.kind != found.kind:
            continue
        step = {"wrong": 1, "useful": -1}.get(word.word, 0)
        if word.recommendation_id == found.id:
            mine += step
        else:
            others += step
    factor = _THIS_ONE ** max(0, min(mine, 2)) * _ITS_KIND ** max(0, min(others, _MOST_COUNTED))
    confidence = max(LEAST_CONFIDENCE, found.confidence * factor).quantize(CENT)
    return found if confidence == found.confidence else replace(found, confidence=confidence)


def without_conflicts(found: Iterable[Recommendation]) -> tuple[Recommendation, ...]:
    """Each resource counts for one recommendation: the one worth most; the others name it in `blocked_by`."""
    winners: dict[str, str] = {}
    settled = []
    for recommendation in sorted(found, key=_worth):
        rivals = sorted({winners[key] for key in _keys(recommendation) if key in winners})
        if rivals:
            sentence = f"{COMPETES} {', '.join(rivals)}, which saves more on the same resource: only one can be had."
            recommendation = replace(recommendation, blocked_by=(*recommendation.blocked_by, sentence))
        else:
            winners |= dict.fromkeys(_keys(recommendation), recommendation.id)
        settled.append(recommendation)
    return tuple(sorted(settled, key=lambda r: (-r.saving_expected, r.id)))


def total(found: Iterable[Recommendation]) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    """Currency -> (low, expected, high) per month of all that can be had together; rivals count once."""
    sums: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
    for recommendation in found:
        if any(reason.startswith(COMPETES) for reason in recommendation.blocked_by):
            continue
        low, expected, high = sums.get(recommendation.currency, (Decimal(0), Decimal(0), Decimal(0)))
        sums[recommendation.currency] = (
            low + recommendation.saving_low,
            expected + recommendation.saving_expected,
            high + recommendation.saving_high,
        )
    return sums


def _worth(recommendation: Recommendation) -> tuple[Decimal, str]:
    return -recommendation.saving_expected * recommendation.confidence, recommendation.id


def _keys(recommendation: Recommendation) -> tuple[str, ...]:
    where = f"{recommendation.provider}/{recommendation.account_id}/{recommendation.region}"
    return tuple(f"{where}/{resource_id}" for resource_id in recommendation.resource_ids)
