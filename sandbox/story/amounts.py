"""From lines to rows: how much each line used on each day and what it cost, in exact integers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from sandbox.story import noise
from sandbox.story.events import Event
from sandbox.story.lines import QUANTITY_DIGITS, Kind, Line, Shape, price_units

if TYPE_CHECKING:
    from numpy.typing import NDArray

MONTHS = 13
# Bills arrive late: of the last days, this share of the lines is missing, and the rest tells part of the day.
LATE = {-1: (0.40, 0.64), -2: (0.12, 0.93)}
LATE_DAYS = len(LATE)
_WEEK = {
    Shape.SHOP: (0.95, 0.92, 0.93, 0.97, 1.06, 1.14, 1.03),
    Shape.OFFICE: (1.05, 1.08, 1.06, 1.05, 0.98, 0.36, 0.33),
    Shape.WEEKDAYS: (1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
    Shape.WEEKLY: (2.6, 0.8, 0.8, 0.8, 0.8, 0.6, 0.6),
}
_EXACT = frozenset({Shape.CONSTANT, Shape.WEEKDAYS, Shape.MONTHLY, Shape.DAILY_LESS})


@dataclass(frozen=True)
class Calendar:
    """The days of the story: whole months up to yesterday. `anchor` is the day the planted events refer to."""

    today: date
    anchor: date
    length: int = MONTHS
    first: date = field(init=False)
    ordinals: NDArray[np.int64] = field(init=False)
    relative: NDArray[np.int64] = field(init=False)
    weekday: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        last = self.anchor - timedelta(days=1)
        months = last.year * 12 + last.month - 1 - (self.length - 1)
        object.__setattr__(self, "first", date(months // 12, months % 12 + 1, 1))
        ordinals = np.arange(self.first.toordinal(), self.today.toordinal(), dtype=np.int64)
        object.__setattr__(self, "ordinals", ordinals)
        object.__setattr__(self, "relative", ordinals - self.anchor.toordinal())
        object.__setattr__(self, "weekday", (ordinals - 1) % 7)

    @property
    def month_starts(self) -> NDArray[np.bool_]:
        """Which days are the first of a month."""
        return np.array([date.fromordinal(int(day)).day == 1 for day in self.ordinals])

    @property
    def months(self) -> tuple[date, ...]:
        """The first day of each billing period, in order."""
        return tuple(date.fromordinal(int(day)) for day in self.ordinals[self.month_starts])


@dataclass(frozen=True)
class Rows:
    """Charges of many lines as columns: `line` is an index, `day` an ordinal, the rest exact integers."""

    line: NDArray[np.int32]
    day: NDArray[np.int64]
    quantity: NDArray[np.int64]
    billed: NDArray[np.int64]
    effective: NDArray[np.int64]
    list_cost: NDArray[np.int64]
    contracted: NDArray[np.int64]


def quantities(
    line: Line, calendar: Calendar, seed: int, planted: tuple[Event, ...], *, ordinary: bool = False
) -> NDArray[np.int64]:
    """How much a line uses on each day, in thousandths; `ordinary`: as if no event had touched it."""
    share = _share(line, calendar, seed)
    for event in planted:
        if event.matches(line):
            if not ordinary:
                share = event.change(share, calendar.relative, calendar.weekday)
            elif event.new:
                share = np.zeros_like(share)
    if line.growth:
        share = share * (1 + float(line.growth)) ** (calendar.relative / 365.0)
    if line.shape not in _EXACT:
        swing = float(line.noise)
        share = share * (1 + swing * noise.bell(seed, line.key, calendar.ordinals))
        share = share * (1 + swing * noise.wander(seed, line.key, calendar.ordinals))
    units = np.rint(share * float(line.quantity) * 10**QUANTITY_DIGITS).astype(np.int64)
    return np.where(_exists(line, calendar), np.maximum(units, 0), 0)


def _share(line: Line, calendar: Calendar, seed: int) -> NDArray[np.float64]:
    if line.shape is Shape.MONTHLY:
        return calendar.month_starts.astype(np.float64)
    if line.shape is Shape.DAILY_LESS:
        return 0.45 + 0.4 * noise.uniform(seed, line.key, calendar.ordinals)
    week = _WEEK.get(line.shape)
    return np.ones(len(calendar.ordinals)) if week is None else np.array(week)[calendar.weekday]


def _exists(line: Line, calendar: Calendar) -> NDArray[np.bool_]:
    after = calendar.relative >= (line.first if line.first is not None else -(10**6))
    before = calendar.relative <= (line.last if line.last is not None else 10**6)
    return np.asarray(after & before)


def late(line: Line, calendar: Calendar, units: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """What of `units` has arrived by today. What belongs to a commitment comes whole, at once."""
    if line.kind is not Kind.USAGE:
        return units
    chance = noise.uniform(seed, f"late/{line.key}", calendar.ordinals)
    known = units
    for offset, (missing, part) in LATE.items():
        at = calendar.ordinals == calendar.today.toordinal() + offset
        arrived = np.rint(units * part).astype(np.int64)
        known = np.where(at, np.where(chance < missing, 0, arrived), known)
    return known


def charges(index: int, line: Line, calendar: Calendar, units: NDArray[np.int64]) -> Rows:
    """The charges of one line; an UNUSED line gets its amounts in `unused`."""
    kept = np.flatnonzero(units)
    quantity = units[kept]
    full = quantity * price_units(line.price)
    contracted = quantity * price_units(line.contracted_price)
    nothing = np.zeros_like(full)
    billed, effective, list_cost = contracted, contracted, full
    if line.kind is Kind.COVERED:
        billed, effective = nothing, quantity * price_units(line.rate)
        if line.provider == "azure":  # Microsoft leaves both at zero for usage that a reservation covers
            list_cost = contracted = nothing
    elif line.kind is Kind.COMMITMENT:
        effective = nothing
    elif line.kind is Kind.CREDIT:
        list_cost = contracted = nothing
    return Rows(
        np.full(len(kept), index, dtype=np.int32), calendar.ordinals[kept], quantity, billed, effective, list_cost, contracted
    )  # fmt: skip


def unused(index: int, line: Line, calendar: Calendar, used: NDArray[np.int64]) -> Rows:
    """What of a commitment nobody used: the commitment of each day less the `used` effective cost."""
    quantity = np.full(len(calendar.ordinals), int(line.quantity * 10**QUANTITY_DIGITS), dtype=np.int64)
    rest = quantity * price_units(line.price) - used
    kept = np.flatnonzero(rest > 0)
    nothing = np.zeros(len(kept), dtype=np.int64)
    return Rows(
        np.full(len(kept), index, dtype=np.int32), calendar.ordinals[kept], nothing, nothing, rest[kept], nothing, nothing
    )  # fmt: skip


def all_rows(
    lines: tuple[Line, ...], calendar: Calendar, seed: int, planted: tuple[Event, ...], *, arrived_only: bool = True
) -> Rows:
    """Every charge of the story; without `arrived_only`, the late ones too."""
    used: dict[str, NDArray[np.int64]] = {}
    parts = list(_parts(lines, calendar, seed, planted, used, arrived_only))
    for index, line in enumerate(lines):
        if line.kind is Kind.UNUSED:
            parts.append(unused(index, line, calendar, used[line.commitment]))
    return Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in Rows.__dataclass_fields__))


def _parts(
    lines: tuple[Line, ...], calendar: Calendar, seed: int, planted: tuple[Event, ...],
    used: dict[str, NDArray[np.int64]], arrived_only: bool,
) -> Iterator[Rows]:  # fmt: skip
    for index, line in enumerate(lines):
        if line.kind is Kind.UNUSED:
            continue
        units = quantities(line, calendar, seed, planted)
        if line.kind is Kind.COVERED:
            used[line.commitment] = used.get(line.commitment, 0) + units * price_units(line.rate)
        yield charges(index, line, calendar, late(line, calendar, units, seed) if arrived_only else units)
