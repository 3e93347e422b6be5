"""DailySeries: cost per day of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class DailySeries:
    """Values of consecutive days from `start`; `keys` are (dimension, value) pairs that name the series."""

    keys: tuple[tuple[str, str], ...]
    start: date
    values: tuple[Decimal, ...]
    currency: str

    @property
    def name(self) -> str:
        return " / ".join(value for _, value in self.keys if value)
