"""Driver: one exact part of why a cost changed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import Receipt


@dataclass(frozen=True, slots=True)
class Driver:
    """A slice (dimension -> value) and what it contributed. `kind` is usage, price, new, gone, commitment, credit, fx or mixed."""

    conditions: tuple[tuple[str, str], ...]
    kind: str
    before: Decimal
    after: Decimal

    @property
    def contribution(self) -> Decimal:
        return EXACT.subtract(self.after, self.before)


@dataclass(frozen=True, slots=True)
class DriverTree:
    """Why cost changed between two periods: contributions + other = change, exactly."""

    period: Period
    against: Period
    before: Decimal
    after: Decimal
    currency: str
    drivers: tuple[Driver, ...]
    other: Decimal
    receipt: Receipt

    @property
    def change(self) -> Decimal:
        return EXACT.subtract(self.after, self.before)
