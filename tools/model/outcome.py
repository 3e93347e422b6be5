"""Outcome: what a rollout really saved, as later bills tell it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

# Each verdict as a person reads it.
VERDICTS = {
    "verified": "verified",
    "not_verified": "not verified",
    "negative": "costs more than before",
    "too_early": "too early to tell",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`verdict` is one of VERDICTS; `realised` is None until bills tell."""

    rollout_id: str
    kind: str
    estimated_monthly: Decimal
    realised_monthly: Decimal | None
    currency: str
    measured_from: date | None
    measured_to: date | None
    verdict: str
    why: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """How savings of a kind turned out: realised as a share of estimated (1 = as promised), as a band.

    `outcomes` is how many finished rollouts stand behind it.
    """

    kind: str
    low: Decimal
    usual: Decimal
    high: Decimal
    outcomes: int


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said of a recommendation. `word` is useful, wrong or not_now."""

    recommendation_id: str
    kind: str
    actor: str
    word: str
    at: datetime
