"""Anomaly: days on which a cost left its usual path."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tools.model.driver import Driver
from tools.model.money import EXACT


@dataclass(frozen=True, slots=True)
class Anomaly:
    """`started` is its first day, `days` how many so far; `excess` = actual - expected over those days.

    `direction` is "up" or "down"; `status` is open, resolved or expected; `severity` is low, medium or high. `named` is
    its series in words for people, with the account's name in place of its number.
    """

    id: str
    keys: tuple[tuple[str, str], ...]
    direction: str
    started: date
    days: int
    actual: Decimal
    expected: Decimal
    currency: str
    score: Decimal
    severity: str
    status: str
    why: str
    drivers: tuple[Driver, ...] = ()
    named: str = ""

    @property
    def title(self) -> str:
        """The series for people: its name in words, or what it is made of."""
        return self.named or self.series

    @property
    def excess(self) -> Decimal:
        return EXACT.subtract(self.actual, self.expected)

    @property
    def series(self) -> str:
        return " / ".join(value for _, value in self.keys if value)
