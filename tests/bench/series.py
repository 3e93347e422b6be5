"""Series: makes labelled daily cost series of the usual kinds, for benchmarks and tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

START = date(2025, 3, 3)
FIRST_EVENT = 120


@dataclass(frozen=True, slots=True)
class Event:
    """Days `first` to `last` (included) of series `row` carry `kind`."""

    row: int
    first: int
    last: int
    kind: str


@dataclass(frozen=True, slots=True)
class World:
    """Series x days of money, and what was done to them."""

    start: date
    values: NDArray[np.float64]
    events: tuple[Event, ...]


def world(seed: int, series: int = 100, days: int = 330, *, events: bool = True) -> World:
    """The same seed gives the same world."""
    dice = np.random.default_rng([seed, 2])
    weekend = np.array([(START + timedelta(days=n)).weekday() >= 5 for n in range(days)])
    first = np.array([(START + timedelta(days=n)).day == 1 for n in range(days)])
    rows, done = [], []
    for row in range(series):
        kind = dice.choice(["server", "office", "users", "disk", "job"], p=[0.3, 0.25, 0.2, 0.15, 0.1])
        values = _plain(dice, str(kind), days, weekend)
        if dice.random() < 0.1:
            values = values + first * values.mean() * dice.uniform(1, 3)
        if events and dice.random() < 0.6:
            values, event = _disturbed(dice, values, row, str(kind), weekend)
            done.append(event)
        rows.append(values)
    return World(START, np.round(np.array(rows), 4), tuple(done))


def _plain(dice: np.random.Generator, kind: str, days: int, weekend: NDArray[np.bool_]) -> NDArray[np.float64]:
    level = float(dice.lognormal(4, 1))
    drift = np.exp(np.cumsum(dice.normal(0.0005, 0.004, days)))
    noise = {"server": 0.02, "office": 0.05, "users": 0.09, "disk": 0.004, "job": 0.3}[kind]
    values = level * drift * np.exp(dice.standard_t(5, days) * noise * 0.77)
    if kind == "office":
        values = values * np.where(weekend, dice.uniform(0.3, 0.7), 1.0)
    if kind == "users":
        values = values * np.where(weekend, dice.uniform(0.8, 1.25), 1.0)
    if kind == "job":
        values = values * np.where(dice.random(days) < 0.6, 1.0, 0.02)
    return np.asarray(values)


def _disturbed(
    dice: np.random.Generator, values: NDArray[np.float64], row: int, kind: str, weekend: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], Event]:
    days = len(values)
    first = int(dice.integers(FIRST_EVENT, days - 45))
    sort = str(dice.choice(["spike", "shift", "climb", *(["weekend"] if kind == "office" else [])]))
    out, usual = values.copy(), float(np.median(values[first - 28 : first]))
    size = float(dice.uniform(0.6, 2.5)) * (4 if kind == "job" else 1)
    if sort == "spike":
        last = first
        out[first] += size * usual
    elif sort == "shift":
        last = first + int(dice.integers(7, 40))
        out[first : last + 1] += size * usual
    elif sort == "climb":
        last = first + 40
        out[first : last + 1] *= 1 + size * np.minimum(np.arange(1, last - first + 2) / 20, 1.0)
    else:
        last = first + 40
        lost = np.zeros(days, dtype=bool)
        lost[first : last + 1] = weekend[first : last + 1]
        out[lost] = np.median(values[first - 28 : first][~weekend[first - 28 : first]])
        first += int(np.argmax(lost[first:]))
    return out, Event(row, first, last, sort)
