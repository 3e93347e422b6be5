"""Forest: an isolation forest on seasonal residuals, as a rival to the detector; runs in an interpreter with scikit-learn.

`PYTHON tests/bench/forest.py IN.npy OUT.npy`: IN is series x days, OUT the score of each day (higher: odder, rises only).
It imports nothing of the product, so that scikit-learn is no dependency of it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Matrix = Any

REFIT = 30
FIRST = 60
WEEKS = 8
MOST = 40_000


def residuals(values: Matrix) -> Matrix:
    """Log of each day against the median of the same weekday, moved to the level of the last two weeks."""
    out = np.full(values.shape, np.nan)
    for day in range(7 * 4, values.shape[1]):
        same = values[:, [day - 7 * n for n in range(1, WEEKS + 1) if day >= 7 * n]]
        usual = np.median(same, axis=1)
        level = np.median(values[:, day - 14 : day], axis=1) / np.maximum(
            np.median(values[:, max(0, day - 56) : day], axis=1), 1e-9
        )
        expected = usual * np.clip(level, 0.2, 5)
        known = expected > 0.05
        ratio = np.log(np.maximum(values[:, day], 0.01) / np.maximum(expected, 0.05))
        out[:, day] = np.where(known, np.clip(ratio, -3, 3), 0.0)
    return out


def features(left: Matrix) -> Matrix:
    """Per day: its residual in units of the series' own 95th percentile, which served this rival best."""
    out = np.zeros((*left.shape, 1))
    for day in range(FIRST - 1, left.shape[1]):
        past = left[:, max(28, day - 84) : day]
        tail = np.nanquantile(past, 0.95, axis=1) - np.nanmedian(past, axis=1)
        out[:, day, 0] = np.nan_to_num(np.clip(left[:, day] / np.maximum(tail, 0.02), -15, 15))
    return out


def scores(values: Matrix) -> Matrix:
    """A forest is grown every month on all series' days so far; each day is judged by the forest before it."""
    from sklearn.ensemble import IsolationForest  # type: ignore[import-not-found]  # not a dependency of ours

    found = features(residuals(values))
    out = np.zeros(values.shape)
    forest = None
    dice = np.random.default_rng(0)
    for day in range(FIRST, values.shape[1]):
        if forest is None or (day - FIRST) % REFIT == 0:
            past = found[:, 42:day].reshape(-1, 1)
            some = past[dice.permutation(len(past))[:MOST]]
            forest = IsolationForest(n_estimators=100, max_samples=min(8192, len(some)), random_state=0).fit(some)
        out[:, day] = np.where(found[:, day, 0] > 0.8, -forest.score_samples(found[:, day]), 0.0)
    return out


if __name__ == "__main__":
    np.save(sys.argv[2], scores(np.load(sys.argv[1])))
