"""Outlook: forecasts many daily series at once - five simple models, weekday profile, month-day charges, honest bands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tools.analysis.numbers import TINY

if TYPE_CHECKING:
    from tools.analysis.numbers import Floats

LONGEST_MEMORY = 200
LONGEST_HISTORY = 420
FEWEST_DAYS = 14
ORIGINS = 9
DAMPING = 0.97
SMOOTHING = (0.05, 0.1, 0.2, 0.35, 0.6)
TRENDS = (0.02, 0.08)
RECENT = (7, 14, 28)
# Growth: weeks that are looked at, the t-value whose slope counts half, and how much of it is left a day later.
GROWTH_WEEKS, GROWTH_DOUBT, GROWTH_DAMPING, FASTEST = 16, 3.0, 0.99, 0.006
# Uneven: this share of days costs less than a third of the mean, so that a usual day says little.
UNEVEN, UNEVEN_DAYS = 0.12, 42
# Bands: how many errors of all series lean on those of one, and the error of a month when nothing is known.
LEAN, FIRST_GUESS = 2.0, 0.12
Z80 = 1.2816


@dataclass(frozen=True, slots=True)
class Outlook:
    """`days` is series x horizon (P50 per day); `noise` the relative error of one day.

    `low` and `high` are the factors that take the P50 of the whole horizon to its P10 and P90.
    """

    days: Floats
    noise: Floats
    low: Floats
    high: Floats


def project(values: Floats, start: date, horizon: int) -> Outlook:
    """Forecast `horizon` days after the last column of `values` (series x days, money)."""
    import numpy as np

    unused = max(0, values.shape[1] - LONGEST_HISTORY)
    values, start = values[:, unused:], start + timedelta(days=unused)
    width = values.shape[1]
    made = _point(values, start, horizon)
    ratios = []
    # Windows that overlap tell the same thing again: the longer the horizon, the further apart.
    step = max(9, horizon // 4)
    for back in range(ORIGINS):
        cut = width - horizon - back * step
        if cut < max(FEWEST_DAYS * 3, 42):
            break
        told = _point(values[:, :cut], start, horizon).days.sum(axis=1)
        came = values[:, cut : cut + horizon].sum(axis=1)
        known = (told > TINY) & (values[:, : cut - 28].sum(axis=1) > 0)
        ratios.append(np.where(known, np.clip(came / np.maximum(told, TINY), 0.2, 5), np.nan))
    errors = np.log(np.stack(ratios, axis=1)) if ratios else np.full((len(values), 1), np.nan)
    low, high = _band(errors, made.floor, 1 + horizon / max(width, 1))
    return Outlook(made.days, made.noise, low, high)


@dataclass(frozen=True, slots=True)
class _Point:
    """`floor` is the least relative error that the total of the horizon can have, from the noise of its days."""

    days: Floats
    noise: Floats
    floor: Floats


def _point(values: Floats, start: date, horizon: int) -> _Point:
    """P50 per day, and how noisy days are."""
    import numpy as np

    width = values.shape[1]
    first = max(0, width - LONGEST_MEMORY)
    values, start, width = values[:, first:], start + timedelta(days=first), width - first
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        lumps = _lumps(values, start)
        plain = np.maximum(values - lumps, 0)
        weekdays = np.array([(start.weekday() + n) % 7 for n in range(width + horizon)])
        uneven = _uneven(plain)
        profile = weekday_profile(plain, weekdays[:width])
        profile = np.where(uneven[:, None], _mean_profile(plain, weekdays[:width]), profile)
        flat = plain / profile[:, weekdays[:width]]
        calm, noise = _calmed(flat)
        # Of a series that runs now and then, only the mean says what a month costs.
        mean = plain[:, -UNEVEN_DAYS:].mean(axis=1)
        rough = np.minimum(plain[:, -2 * UNEVEN_DAYS :].std(axis=1) / np.maximum(mean, TINY), 3.0)
        flat = np.where(uneven[:, None], flat, calm)
        path = np.where(uneven[:, None], mean[:, None], _paths(flat, horizon))
        days = path * profile[:, weekdays[width:]]
        days += _due(lumps, values, flat, start, horizon)
    days = np.maximum(np.nan_to_num(days), 0)
    noise = np.where(uneven, rough, noise)
    by_chance = np.where(uneven, rough * (1 / horizon + 1 / UNEVEN_DAYS) ** 0.5, 0.8 * noise / horizon**0.5)
    return _Point(days, noise, np.maximum(by_chance, 1e-3))


def _uneven(plain: Floats) -> Floats:
    """Series that run on some days and not on others."""
    import numpy as np

    recent = plain[:, -56:]
    return np.asarray((recent < 0.3 * recent.mean(axis=1, keepdims=True)).mean(axis=1) > UNEVEN)


def _mean_profile(plain: Floats, weekdays: Floats) -> Floats:
    """Each weekday's share of its week by means, drawn towards 1: for series whose medians are often nothing."""
    import numpy as np

    recent, days = plain[:, -84:], weekdays[-84:]
    mean = np.maximum(recent.mean(axis=1), TINY)
    profile = np.ones((len(plain), 7))
    for weekday in range(7):
        which = recent[:, days == weekday]
        if which.shape[1] >= 4:
            trust = which.shape[1] / (which.shape[1] + 4.0)
            profile[:, weekday] = np.maximum(trust * which.mean(axis=1) / mean + 1 - trust, 0.02)
    return np.asarray(profile / profile.mean(axis=1, keepdims=True))


def weekday_profile(plain: Floats, weekdays: Floats) -> Floats:
    """Each weekday's share of its week, median of the last nine, mean 1."""
    import numpy as np

    series, width = plain.shape
    profile = np.ones((series, 7))
    if width < 21:
        return profile
    sums = np.cumsum(np.pad(plain, ((0, 0), (1, 0))), axis=1)
    week = (sums[:, 7:] - sums[:, :-7]) / 7  # column k: days k .. k+6, centre k+3
    ratio = plain[:, 3 : width - 3] / np.maximum(week, TINY)
    ratio, days = ratio[:, -63:], weekdays[3 : width - 3][-63:]
    for weekday in range(7):
        which = ratio[:, days == weekday]
        if which.shape[1] >= 2:
            trust = which.shape[1] ** 2 / (which.shape[1] ** 2 + 2.0)
            profile[:, weekday] = trust * np.median(which, axis=1) + (1 - trust)
    profile = np.maximum(profile, 0.02)
    return np.asarray(profile / profile.mean(axis=1, keepdims=True))


def _calmed(flat: Floats) -> tuple[Floats, Floats]:
    """The flat series with lone outliers pulled in, and its relative noise."""
    import numpy as np

    if flat.shape[1] < 15:
        return flat, np.full(len(flat), 0.25)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(flat, ((0, 0), (3, 3)), mode="edge"), 7, axis=1)
    local = np.median(windows, axis=2)
    off = flat / np.maximum(local, TINY) - 1
    usual = np.maximum(1.4826 * np.median(np.abs(off[:, -90:]), axis=1), 0.01)[:, None]
    calm = np.clip(flat, np.maximum(local * (1 - 3 * usual), 0), local * (1 + 3 * usual))
    return np.where(usual > 0.6, flat, calm), np.minimum(usual[:, 0], 1.5)


def _paths(flat: Floats, horizon: int) -> Floats:
    """The median of five models' levels over the horizon: smoothing, damped trend, and three recent medians."""
    import numpy as np

    steps = np.arange(1, horizon + 1)
    growth = growing(flat)[:, None]
    reach = np.cumsum(GROWTH_DAMPING**steps)[None, :]
    # A median of n days is half of n days old.
    recent = [np.median(flat[:, -days:], axis=1)[:, None] + growth * (days / 2 + reach) for days in RECENT]
    smooth = _smoothed(flat)[:, None] + growth * reach
    return np.asarray(np.maximum(np.median(np.stack([smooth, _holt(flat, steps), *recent]), axis=0), 0))


def _smoothed(flat: Floats) -> Floats:
    """The level of exponential smoothing at the speed that predicted best."""
    import numpy as np

    speeds = np.array(SMOOTHING)[:, None]
    level = np.repeat(flat[None, :, : min(7, flat.shape[1])].mean(axis=2), len(SMOOTHING), axis=0)
    wrong = np.zeros_like(level)
    for day in range(flat.shape[1]):
        error = flat[:, day] - level
        wrong = 0.985 * wrong + error**2
        level = level + speeds * error
    return np.asarray(level[wrong.argmin(axis=0), np.arange(len(flat))])


def growing(flat: Floats) -> Floats:
    """Growth per day as far as it is sure: a robust slope over weeks, shrunk by how much weeks jump about."""
    import numpy as np

    weeks = min(flat.shape[1] // 7, GROWTH_WEEKS)
    if weeks < 4:
        return np.zeros(len(flat))
    medians = np.median(flat[:, -7 * weeks :].reshape(len(flat), weeks, 7), axis=2)
    first, second = np.triu_indices(weeks, max(2, weeks // 3))
    slope = np.median((medians[:, second] - medians[:, first]) / ((second - first) * 7.0), axis=1)
    jumps = 1.4826 * np.median(np.abs(np.diff(medians, axis=1) - 7 * slope[:, None]), axis=1)
    sure = (slope / np.maximum(jumps / 7 / weeks**0.5, TINY)) ** 2
    fastest = FASTEST * np.median(flat[:, -28:], axis=1)
    return np.asarray(np.clip(slope, -fastest, fastest) * sure / (sure + GROWTH_DOUBT**2))


def _holt(flat: Floats, steps: Floats) -> Floats:
    """Damped trend at the pair of speeds that predicted best."""
    import numpy as np

    pairs = [(a, b) for a in SMOOTHING[1:4] for b in TRENDS]
    alpha, beta = np.array([p[0] for p in pairs])[:, None], np.array([p[1] for p in pairs])[:, None]
    level = np.repeat(flat[None, :, : min(7, flat.shape[1])].mean(axis=2), len(pairs), axis=0)
    trend, wrong = np.zeros_like(level), np.zeros_like(level)
    for day in range(flat.shape[1]):
        expected = level + DAMPING * trend
        error = flat[:, day] - expected
        wrong = 0.985 * wrong + error**2
        level, trend = expected + alpha * error, DAMPING * trend + alpha * beta * error
    best, rows = wrong.argmin(axis=0), np.arange(len(flat))
    reach = np.cumsum(DAMPING**steps)
    return np.asarray(np.maximum(level[best, rows][:, None] + trend[best, rows][:, None] * reach[None, :], 0))


def _lumps(values: Floats, start: date) -> Floats:
    """The part of each day that is a charge of its day of the month: it stands out there in two months or more."""
    import numpy as np

    width = values.shape[1]
    lumps = np.zeros_like(values)
    if width < 45:
        return lumps
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, ((0, 0), (7, 7)), mode="edge"), 15, axis=1)
    local = np.median(windows, axis=2)
    over = values - local
    usual = 1.4826 * np.median(np.abs(over[:, -120:]), axis=1)[:, None]
    beside = np.maximum(np.pad(over, ((0, 0), (1, 0)))[:, :-1], np.pad(over, ((0, 0), (0, 1)))[:, 1:])
    stands_out = (over > 4 * usual) & (over > 0.15 * local) & (over > 2 * beside) & (over > 0.01)
    monthly: dict[int, list[int]] = {}
    for column in range(width):
        monthly.setdefault((start + timedelta(days=column)).day, []).append(column)
    for columns in monthly.values():
        seen = np.array(columns[-5:])
        often = stands_out[:, seen].sum(axis=1) >= max(2, round(0.6 * len(seen)))
        lumps[:, seen] = np.where(often[:, None] & stands_out[:, seen], over[:, seen], 0.0)
    return lumps


def _due(lumps: Floats, values: Floats, flat: Floats, start: date, horizon: int) -> Floats:
    """The month-day charges that fall into the horizon: the median of those seen, moved with the level."""
    import numpy as np

    width = values.shape[1]
    due = np.zeros((len(values), horizon))
    level = np.maximum(np.median(flat[:, -28:], axis=1), TINY)
    days = [(start + timedelta(days=n)).day for n in range(width + horizon)]
    for ahead in range(horizon):
        columns = [n for n in range(width) if days[n] == days[width + ahead] and lumps[:, n].any()][-3:]
        if not columns:
            continue
        sizes = np.where(lumps[:, columns] > 0, lumps[:, columns], np.nan)
        have = np.isfinite(sizes).any(axis=1)
        latest = np.nan_to_num(sizes).max(axis=1)
        amounts = np.sort(sizes, axis=1)
        count = np.isfinite(sizes).sum(axis=1)
        middle = amounts[np.arange(len(values)), np.maximum(count - 1, 0) // 2]
        due[:, ahead] = np.where(have, np.where(count > 1, middle, latest), 0.0)
    return np.asarray(np.nan_to_num(due) * (level > 0)[:, None])


def _band(errors: Floats, floor: Floats, doubt: float) -> tuple[Floats, Floats]:
    """Factors for P10 and P90 of the total, from past errors of such totals (series x origins, logs, NaN unknown).

    Each series has its own size of error, leaned on that of all. How many of these sizes P10 and P90 lie away is what
    the past of all series says, each error measured against the others of its series. `doubt` widens both when the
    history holds the horizon only a few times.
    """
    import numpy as np

    known = np.isfinite(errors)
    count, squares = known.sum(axis=1), np.where(known, errors, 0.0) ** 2
    seen = squares.sum(axis=1)
    usual = float(np.median(seen[count > 0] / count[count > 0])) if count.any() else FIRST_GUESS**2
    size = np.maximum(np.sqrt((seen + LEAN * usual) / (count + LEAN)), floor)
    others = (seen[:, None] - squares + LEAN * usual) / (np.maximum(count - 1, 0)[:, None] + LEAN)
    told = (errors / np.maximum(np.sqrt(others), floor[:, None]))[known]
    trust = len(told) / (len(told) + 40.0)
    low, high = (-Z80, Z80)
    if len(told):
        low, high = (trust * float(np.quantile(told, q)) + (1 - trust) * z for q, z in ((0.1, low), (0.9, high)))
    low, high = min(max(low, -4.0), -0.5), max(min(high, 4.0), 0.5)
    return np.exp(size * low * doubt), np.exp(size * high * doubt)
