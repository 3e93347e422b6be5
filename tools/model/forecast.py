"""Forecast: what a period will cost, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ForecastPoint:
    day: date
    p10: Decimal
    p50: Decimal
    p90: Decimal


@dataclass(frozen=True, slots=True)
class Forecast:
    """`total` is the forecast of the sum (its band is not the sum of the daily bands). `basis` says how in words."""

    keys: tuple[tuple[str, str], ...]
    currency: str
    points: tuple[ForecastPoint, ...]
    p10: Decimal
    p50: Decimal
    p90: Decimal
    basis: str
