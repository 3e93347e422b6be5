"""Trends: direction and slope with its uncertainty, weekly shape, level changes, and what moved most."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis import outlook
from tools.analysis.naming import ACCOUNT, NO_NAMES, account_names, with_id
from tools.analysis.numbers import TINY, matrix
from tools.analysis.words import money
from tools.model.errors import InputError
from tools.model.fact import Table
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import TAG, CostQuery, Filter, Granularity, Metric
from tools.model.series import DailySeries

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.numbers import Floats

MONTH = 30
FEWEST_DAYS = 28
BLOCK = 7
LEVEL_CHANGE = 0.15


@dataclass(frozen=True, slots=True)
class Trend:
    """`per_month` is the slope with its 80 % band, as shares of the level (0.05 = 5 % a month).

    `direction` is rising, falling or flat (flat: the band holds 0, or less than 1 % a month). `weekly` is how far the
    cheapest weekday lies below the dearest (share of the dearest). `changes` are (first day, factor) of new levels.
    """

    direction: str
    level: Decimal
    per_month: Decimal
    low: Decimal
    high: Decimal
    weekly: Decimal
    changes: tuple[tuple[date, Decimal], ...]
    sentence: str


def trend(series: DailySeries) -> Trend:
    """The trend of one series; raises InputError with less than four weeks of it."""
    import numpy as np

    if len(series.values) < FEWEST_DAYS:
        raise InputError(
            f"A trend needs {FEWEST_DAYS} days; {series.name or 'this cost'} has {len(series.values)}.",
            fix="Ask for a longer period.",
        )
    values, start = matrix([series])
    weekdays = np.array([(start.weekday() + n) % 7 for n in range(values.shape[1])])
    with np.errstate(divide="ignore", invalid="ignore"):
        profile = outlook.weekday_profile(values, weekdays)[0]
        flat = values[0] / profile[weekdays]
    level = float(np.median(flat[-28:]))
    slope, error = _slope(flat)
    scale = MONTH / max(level, TINY)
    share, band = slope * scale, 1.2816 * error * scale
    direction = "flat" if abs(share) < max(band, 0.01) else ("rising" if share > 0 else "falling")
    weekly = 1 - float(profile.min() / max(float(profile.max()), TINY))
    changes = tuple((start + timedelta(days=n), _share(factor)) for n, factor in _level_changes(flat))
    text = _sentence(series, direction, level, share, band, changes)
    return Trend(
        direction,
        Decimal(level).quantize(Decimal("0.0001")),
        _share(share),
        _share(share - band),
        _share(share + band),
        _share(weekly),
        changes,
        text,
    )


def _share(value: float) -> Decimal:
    return Decimal(min(max(value, -1e6), 1e6)).quantize(Decimal("0.0001"))


def _slope(flat: Floats) -> tuple[float, float]:
    """Theil-Sen slope over weekly medians, and its standard error from the spread of the pairwise slopes."""
    import numpy as np

    weeks = len(flat) // BLOCK
    medians = np.median(flat[len(flat) - weeks * BLOCK :].reshape(weeks, BLOCK), axis=1)
    first, second = np.triu_indices(weeks, 1)
    slopes = (medians[second] - medians[first]) / ((second - first) * BLOCK)
    middle = float(np.median(slopes))
    spread = 1.4826 * float(np.median(np.abs(slopes - middle)))
    return middle, spread / max(weeks / 2, 1.0) ** 0.5


def _level_changes(flat: Floats) -> list[tuple[int, float]]:
    """Days on which a new level began: the two weeks after differ from the two weeks before, beyond their noise."""
    import numpy as np

    out: list[tuple[int, float]] = []
    strongest: list[tuple[float, int, float]] = []
    for day in range(14, len(flat) - 13):
        before, after = flat[day - 14 : day], flat[day : day + 14]
        low, high = float(np.median(before)), float(np.median(after))
        noise = 1.4826 * float(np.median(np.abs(np.concatenate([before - low, after - high])))) + 0.01 * low
        size = abs(high - low)
        if low > TINY and size > LEVEL_CHANGE * low and size > 4 * noise:
            steep = abs(float(np.median(flat[day : day + 3])) - float(np.median(flat[day - 3 : day])))
            strongest.append((steep, day, high / low))
    for _, day, factor in sorted(strongest, reverse=True):
        if all(abs(day - other) >= 14 for other, _ in out):
            out.append((day, factor))
    return sorted(out)


def _sentence(
    series: DailySeries,
    direction: str,
    level: float,
    share: float,
    band: float,
    changes: tuple[tuple[date, Decimal], ...],
) -> str:
    name = series.name or "Total cost"
    a_day = money(Decimal(level).quantize(Decimal("0.01")), series.currency)
    if direction == "flat":
        text = f"{name} is flat at about {a_day} a day"
    else:
        text = f"{name} is {direction} by {abs(share):.0%} a month (±{band:.0%}), now about {a_day} a day"
    if changes:
        day, factor = changes[-1]
        text += f"; its level last changed on {day.day} {day:%b %Y}, to {factor:.2f} times the one before"
    return text + "."


@dataclass(frozen=True, slots=True)
class Trending:
    """One series with its trend. `moved` is money a month; `is_new`: it began in the second half of the period."""

    series: DailySeries
    trend: Trend
    moved: Decimal
    is_new: bool


def trending(
    costs: Costs,
    period: Period,
    *,
    by: tuple[str, ...],
    where: tuple[Filter, ...] = (),
    metric: Metric = Metric.EFFECTIVE,
    limit: int = 10,
) -> tuple[Trending, ...]:
    """The series of any combination of dimensions that move most money a month, the greatest first.

    Raises InputError when the period is shorter than four weeks, or nothing is stored for it.
    """
    if period.days < FEWEST_DAYS:
        raise InputError(f"A trend needs {FEWEST_DAYS} days; {period} has {period.days}.", fix="Ask for more days.")
    found = costs.series(CostQuery(period, by=by, where=where, metric=metric, granularity=Granularity.DAY))
    if not found:
        raise InputError(f"No costs are stored for {period} that fit the question.", fix="Ask for other days or costs.")
    made = [_trending(one) for one in found]
    made.sort(key=lambda one: (-abs(one.moved), one.series.keys))
    return tuple(made[:limit])


def _trending(series: DailySeries) -> Trending:
    one = trend(series)
    half = len(series.values) // 2
    is_new = any(series.values) and not any(series.values[:half])
    moved = EXACT.multiply(EXACT.multiply(one.level, Decimal(MONTH)), one.per_month).quantize(Decimal("0.01"))
    return Trending(series, one, one.level * MONTH if is_new else moved, is_new)


def movers(
    costs: Costs,
    period: Period,
    against: Period,
    *,
    by: str | tuple[str, ...],
    currency: str,
    metric: Metric = Metric.EFFECTIVE,
    where: tuple[Filter, ...] = (),
    limit: int = 10,
) -> Table:
    """What moved most between two periods: value, cost now, cost before, change; greatest change first."""
    dimensions = (by,) if isinstance(by, str) else by
    names = account_names(costs) if ACCOUNT in dimensions else NO_NAMES
    sums: dict[tuple[str, ...], list[Decimal]] = {}
    for side, days in ((0, period), (1, against)):
        table = costs.table(CostQuery(days, by=dimensions, where=where, metric=metric))
        for row in table.rows:
            if row.currency == currency and row.cost is not None:
                pair = sums.setdefault(row.keys, [Decimal(0), Decimal(0)])
                pair[side] = EXACT.add(pair[side], row.cost)
    moved = [(keys, now, before, EXACT.subtract(now, before)) for keys, (now, before) in sums.items()]
    moved.sort(key=lambda row: (-abs(row[3]), row[0]))
    title = f"Top movers, {period} against {against}"
    rows: tuple[tuple[str | Decimal | None, ...], ...] = tuple(
        (*(with_id(d, v, names) or "(none)" for d, v in zip(dimensions, keys, strict=True)), now, before, change)
        for keys, now, before, change in moved[:limit]
        if change
    )
    units = (*("" for _ in dimensions), "money", "money", "money")
    return Table(title, (*map(_head, dimensions), "Cost", "Before", "Change"), units, rows, currency)


def _head(dimension: str) -> str:
    return dimension.removeprefix(TAG).removesuffix("_name").removesuffix("_id").replace("_", " ").capitalize()
