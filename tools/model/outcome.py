"""Outcome: what a rollout really saved, as later bills tell it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Outcome:
    """`verdict` is verified, not_verified, negative or too_early; `realised` is None until bills tell."""

    rollout_id: str
    kind: str
    estimated_monthly: Decimal
    realised_monthly: Decimal | None
    currency: str
    measured_from: date | None
    measured_to: date | None
    verdict: str
    why: str
