"""Replay: runs the detector over a daily file as if each day were today, and gives the alert days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tools.analysis import detector
from tools.analysis.daily_file import DailyFile, series_id
from tools.analysis.numbers import matrix
from tools.model.series import DailySeries

# False alerts per 1000 series-days -> score. Measured on generated series that were used for nothing else.
THRESHOLDS = ((0.25, 10.5), (0.5, 8.5), (1.0, detector.Tuning().alert), (2.0, 5.0), (5.0, 3.6))


BLOCK = 500


@dataclass(frozen=True, slots=True)
class Alert:
    """One series on one day. `score` counts usual errors; `direction` is "up", or "down" for cost that stopped."""

    series_id: str
    day: date
    score: float
    expected: float
    actual: Decimal
    direction: str


def threshold(false_alerts: float) -> float:
    """The score that gives about so many false alerts per 1000 series-days (between the measured ones: a line)."""
    budgets = [budget for budget, _ in THRESHOLDS]
    scores = [score for _, score in THRESHOLDS]
    if false_alerts <= budgets[0]:
        return scores[0]
    for n in range(1, len(budgets)):
        if false_alerts <= budgets[n]:
            share = (false_alerts - budgets[n - 1]) / (budgets[n] - budgets[n - 1])
            return scores[n - 1] + share * (scores[n] - scores[n - 1])
    return scores[-1]


def alerts(found: DailyFile, *, false_alerts: float = 1.0) -> tuple[Alert, ...]:
    """Alert days of all usage series, by day and series. Day d is judged with the file's days up to d only."""
    level = threshold(false_alerts)
    # Series are judged by themselves, so a block at a time needs less memory and finds the same.
    blocks = (found.usage[n : n + BLOCK] for n in range(0, len(found.usage), BLOCK))
    made = [alert for block in blocks for alert in _alerts(block, level)]
    return tuple(sorted(made, key=lambda a: (a.day, a.series_id)))


def _alerts(series: Sequence[DailySeries], level: float) -> Iterator[Alert]:
    import numpy as np

    values, start = matrix(series)
    if not values.size:
        return
    verdicts = detector.judge(values, start)
    up = verdicts.score >= level
    down = (verdicts.kind == int(detector.Kind.GONE)) & ~up
    for row, column in zip(*np.nonzero(up | down), strict=True):
        one = series[row]
        yield Alert(
            series_id(one),
            start + timedelta(days=int(column)),
            float(verdicts.score[row, column]) if up[row, column] else 10.0,
            float(verdicts.expected[row, column]),
            one.values[int(column)],
            "up" if up[row, column] else "down",
        )
