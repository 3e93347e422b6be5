"""Unit costs: a person's own daily numbers (orders, users), and what one of them costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tools.model.metric import Metric
from tools.model.period import Period
from tools.model.query import Coverage, Granularity, Receipt

Scope = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class UnitValue:
    """How many of something there were on a day; `scope` are (dimension, value) pairs that say of what."""

    metric: str
    day: date
    value: Decimal
    scope: Scope = ()


@dataclass(frozen=True, slots=True)
class UnitLine:
    """Cost and units of the counted days of a bucket. `per_unit` is None where nothing can be divided: `note` says why."""

    start: date
    currency: str
    days: int
    cost: Decimal | None
    units: Decimal
    per_unit: Decimal | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class UnitReport:
    """What one unit costs. A day counts when its cost is complete and its units are known.

    `gaps` are days without units, `partial` days whose cost is not complete; neither is part of any ratio.
    `wholes` are the whole period, one line per currency.
    """

    unit: str
    period: Period
    metric: Metric
    granularity: Granularity
    lines: tuple[UnitLine, ...]
    wholes: tuple[UnitLine, ...]
    gaps: tuple[date, ...]
    partial: tuple[date, ...]
    notes: tuple[str, ...]
    receipt: Receipt
    coverage: Coverage
