"""Outlook: forecasts many daily series at once - four simple models, weekday profile, month-day charges, honest bands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tools.analysis.numbers import TINY

if TYPE_CHECKING:
    from tools.analysis.numbers import Floats

LONGEST_MEMORY = 200
FEWEST_DAYS = 14
ORIGINS = 9
ORIGIN_STEP = 9
DAMPING = 0.97
SMOOTHING = (0.05, 0.1, 0.2, 0.35, 0.6)
TRENDS = (0.02, 0.08)


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

    values = values[:, -LONGEST_MEMORY - 60 :] if values.shape[1] > LONGEST_MEMORY + 60 else values
    first = start + timedelta(days=0)
    width = values.shape[1]
    days, noise = _point(values, first, horizon)
    ratios = []
    for back in range(1, ORIGINS + 1):
        cut = width - horizon - (back - 1) * ORIGIN_STEP
        if cut < max(FEWEST_DAYS * 3, 42):
            break
        guess, _ = _point(values[:, :cut], first, horizon)
        told, came = guess.sum(axis=1), values[:, cut : cut + horizon].sum(axis=1)
        known = (told > TINY) & (values[:, : cut - 28].sum(axis=1) > 0)
        ratios.append(np.where(known, np.clip(came / np.maximum(told, TINY), 0.2, 5), np.nan))
    low, high = _band(np.stack(ratios, axis=1) if ratios else np.full((len(values), 1), np.nan), noise, horizon)
    return Outlook(days, noise, low, high)


def _point(values: Floats, start: date, horizon: int) -> tuple[Floats, Floats]:
    """P50 per day, and the relative noise of a day."""
    import numpy as np

    width = values.shape[1]
    first = max(0, width - LONGEST_MEMORY)
    values, start, width = values[:, first:], start + timedelta(days=first), width - first
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        lumps = _lumps(values, start)
        plain = np.maximum(values - lumps, 0)
        weekdays = np.array([(start.weekday() + n) % 7 for n in range(width + horizon)])
        profile = weekday_profile(plain, weekdays[:width])
        flat = plain / profile[:, weekdays[:width]]
        flat, noise = _calmed(flat)
        path = _paths(flat, horizon)
        days = path * profile[:, weekdays[width:]]
        days += _due(lumps, values, flat, start, horizon)
    return np.maximum(np.nan_to_num(days), 0), noise


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
    uneven = usual[:, 0] > 0.6
    calm = np.clip(flat, np.maximum(local * (1 - 3 * usual), 0), local * (1 + 3 * usual))
    return np.where(uneven[:, None], flat, calm), np.minimum(usual[:, 0], 1.5)


def _paths(flat: Floats, horizon: int) -> Floats:
    """The mean of four models' levels over the horizon."""
    import numpy as np

    steps = np.arange(1, horizon + 1)
    recent = np.median(flat[:, -14:], axis=1)
    month = flat[:, -28:].mean(axis=1)
    uneven = np.median(flat[:, -56:], axis=1) < 0.7 * flat[:, -56:].mean(axis=1)
    recent = np.where(uneven, flat[:, -56:].mean(axis=1), recent)
    theta = _theta(flat, steps)
    holt = _holt(flat, steps)
    same = np.ones(horizon)[None, :]
    return np.asarray((theta + holt + recent[:, None] * same + month[:, None] * same) / 4)


def _theta(flat: Floats, steps: Floats) -> Floats:
    """Exponential smoothing at the speed that predicted best, plus half the slope of a straight line."""
    import numpy as np

    speeds = np.array(SMOOTHING)[:, None]
    level = np.repeat(flat[None, :, : min(7, flat.shape[1])].mean(axis=2), len(SMOOTHING), axis=0)
    wrong = np.zeros_like(level)
    for day in range(flat.shape[1]):
        error = flat[:, day] - level
        wrong = 0.985 * wrong + error**2
        level = level + speeds * error
    best = wrong.argmin(axis=0)
    last = level[best, np.arange(len(flat))]
    return np.asarray(np.maximum(last[:, None] + 0.5 * _slope(flat)[:, None] * steps[None, :], 0))


def _slope(flat: Floats) -> Floats:
    """Least-squares slope per day over the last four months, bounded to 1 % of the level."""
    import numpy as np

    recent = flat[:, -120:]
    days = np.arange(recent.shape[1]) - (recent.shape[1] - 1) / 2
    slope = (recent * days).sum(axis=1) / max(float((days**2).sum()), 1.0)
    bound = 0.01 * recent.mean(axis=1)
    return np.asarray(np.clip(slope, -bound, bound))


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


def _band(ratios: Floats, noise: Floats, horizon: int) -> tuple[Floats, Floats]:
    """Factors for P10 and P90 of the total: own past errors, leaned on those of all series, never narrower than noise."""
    import numpy as np

    logs = np.log(np.maximum(ratios, 0.05))
    known = np.isfinite(logs)
    count = known.sum(axis=1)
    filled = np.where(known, logs, 0.0)
    own = np.sqrt((filled**2).sum(axis=1) / np.maximum(count, 1))
    pool = float(np.sqrt(np.median(own[count > 0] ** 2))) if (count > 0).any() else 0.12
    blended = np.sqrt((count * own**2 + 2.5 * pool**2) / (count + 2.5))
    width = np.maximum(1.1 * blended, noise / np.sqrt(horizon))
    middle = np.clip(filled.sum(axis=1) / (count + 12.0), -0.05, 0.05)
    return np.exp(middle - width), np.exp(middle + width)
