"""Counterfactual: what the time after a change would have cost without it; pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

HOURS = Decimal(730)


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What a number of unit hours cost."""

    cost: Decimal
    hours: Decimal

    @property
    def hourly(self) -> Decimal | None:
        """Cost per unit hour; None without hours."""
        return self.cost / self.hours if self.hours > 0 else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Cost per unit hour before the change, after it, and after it had it not been made."""

    before: Decimal
    after: Decimal
    without: Decimal

    def monthly_saving(self, units: int) -> Decimal:
        """What `units` that run all the time save a month; negative when it became dearer."""
        return (self.without - self.after) * HOURS * units


def compare(before: UnitCost, after: UnitCost, control_before: UnitCost, control_after: UnitCost) -> Comparison | None:
    """Compare per unit hour, so that more or less use is no saving; None when a side has no hours.

    The control is the same kind of unit that was not changed: where its price moved (a new contract, say), the
    changed ones would have moved with it. Without a control the price before stands.
    """
    if before.hourly is None or after.hourly is None:
        return None
    moved = Decimal(1)
    if control_before.hourly and control_after.hourly is not None:
        moved = control_after.hourly / control_before.hourly
    return Comparison(before.hourly, after.hourly, before.hourly * moved)
