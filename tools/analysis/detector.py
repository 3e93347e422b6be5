"""Detector: judges each day of many cost series with what was known on that day only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import TYPE_CHECKING

from tools.analysis import baseline, surprise
from tools.analysis.memory import Memory

if TYPE_CHECKING:
    from tools.analysis.numbers import Floats


class Kind(IntEnum):
    """What sort of departure a day is."""

    NONE = 0
    JUMP = 1  # this day alone stands out
    SUSTAINED = 2  # several days together stand out
    DRIFT = 3  # a slow climb
    NEW = 4  # cost where there was none
    BURST = 5  # beyond the busiest days of a series that is always uneven
    GONE = 6  # cost that stopped
    WEEKEND = 7  # a weekend that costs like weekdays


@dataclass(frozen=True, slots=True)
class Tuning:
    """The detector's numbers, measured on generated cost series (`make bench` prints what they reach)."""

    alert: float = 7.0  # score from which a day is an anomaly
    floor: float = 0.012  # nobody is surprised by less than 1.2 %
    cents: float = 0.05
    history: int = 84  # days from which the usual error is learned
    error_tail: tuple[float, float] = (0.93, 2.0)
    error_far_tail: tuple[float, float] = (0.975, 3.0)
    level_power: float = 1.5
    level_memory: float = 0.1
    clip: float = 3.0
    hold: int = 7  # days after which a new level is the usual one
    month_spread: float = 0.12
    most: float = 14.0  # beyond it one surprise is as sure as another
    damp: float = 0.5  # money: a surprise of this size counts half
    new_service: float = 5.0
    new_score: float = 10.0
    uneven: float = 0.10  # share of odd days from which a series is judged as an uneven one
    uneven_spread: float = 0.45
    burst: float = 2.1
    sustained: float = 1.0
    drift: float = 2.0
    weekend: float = 1.3
    drift_floor: float = 0.06
    youngest: int = 14  # days of history needed to judge at all


@dataclass(frozen=True, slots=True)
class Verdicts:
    """One row per series, one column per judged day, from `start`. `band` is one usual error, in money.

    `score` is for rises; `kind` says which sort of departure it is, and marks days on which cost has stopped.
    `expected` is what the finding is measured against; `level` is it without weekday and month-day charges.
    """

    start: date
    score: Floats
    expected: Floats
    band: Floats
    level: Floats
    kind: Floats
    memory: Memory


def judge(
    values: Floats,
    start: date,
    *,
    memory: Memory | None = None,
    tuning: Tuning | None = None,
    accepted: Floats | None = None,
) -> Verdicts:
    """Replay the days of `values` (series x days, money) in order; go on from `memory` when given.

    The verdict of a day depends on that day and earlier ones only. `accepted` marks days that somebody expected: they
    are judged as ever, and become usual at once.
    """
    import numpy as np

    tuning = tuning or Tuning()
    series, days = values.shape
    memory = memory.extended(days) if memory else Memory.blank(series, start, days)
    offset = memory.width - days
    memory.days["raw"][:, offset:] = values
    out = {name: np.zeros((series, days)) for name in ("score", "expected", "band", "level")}
    kind = np.zeros((series, days), dtype=np.int8)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for day in range(days):
            verdict = _judge_day(memory, offset + day, tuning)
            if accepted is not None and accepted[:, day].any():
                baseline.accept(memory, offset + day, accepted[:, max(0, day - baseline.LOOKED_BACK) : day + 1])
            out["score"][:, day], kind[:, day] = verdict.score, verdict.kind
            out["band"][:, day], out["level"][:, day] = verdict.band, verdict.level
            out["expected"][:, day] = verdict.expected
    return Verdicts(start, out["score"], out["expected"], out["band"], out["level"], kind, memory)


@dataclass(slots=True)
class _Day:
    score: Floats
    kind: Floats
    expected: Floats
    band: Floats
    level: Floats


def _judge_day(memory: Memory, now: int, tuning: Tuning) -> _Day:
    import numpy as np

    raw = memory.days["raw"][:, now]
    usual = baseline.expect(memory, now, tuning)
    bill = surprise.caught_up(memory, now, usual)
    uneven = surprise.uneven(memory, now, usual, tuning)
    jump, over = surprise.jump(bill, usual, tuning)
    burst, burst_over = surprise.burst(memory, now, bill, uneven, tuning)
    jump, over = np.where(uneven, burst, jump), np.where(uneven, burst_over, over)
    baseline.note_seen(memory, now, bill, usual)
    sustained = np.where(uneven, 0.0, surprise.sustained(memory, now, usual, tuning))
    weekend = np.where(uneven, 0.0, surprise.lost_weekend(memory, now, bill, usual, tuning))
    drift, drift_over = surprise.drift(memory, now, usual, tuning)
    drift, sustained = np.where(uneven, 0.0, drift), np.nan_to_num(sustained)
    tests = np.stack([jump, sustained, drift, weekend])
    best = tests.argmax(axis=0)
    money = np.where(best == 2, drift_over, over)
    judged = (usual.age >= tuning.youngest) & (raw >= 0)
    strength = np.minimum(np.nan_to_num(tests.max(axis=0)), tuning.most)
    score = np.where(judged, strength * money / (money + tuning.damp), 0.0)
    kind = np.where(uneven & (best == 0), int(Kind.BURST), np.where(best == 3, int(Kind.WEEKEND), best + 1))
    score, kind = surprise.returned(memory, bill, usual, score, kind)
    is_new = baseline.start_new(memory, now)
    big = is_new & (raw >= tuning.new_service) & (now >= 28)
    score = np.where(big, tuning.new_score * raw / (raw + tuning.damp), np.where(is_new, 0.0, score))
    kind = np.where(big, int(Kind.NEW), kind)
    stopped = surprise.stopped(memory, now, usual, uneven)
    baseline.learn(memory, now, bill, usual, jump, tuning)
    kind = np.where(score >= tuning.alert, kind, np.where(stopped, int(Kind.GONE), np.where(score > 0, kind, 0)))
    # A burst is measured against a usual busy day, a climb against the weeks before it began.
    told = (score > 0) & ((best == 2) | uneven) & (money > 0)
    expected = np.where(told, np.maximum(raw - money, 0), np.where(is_new, 0.0, usual.expected))
    return _Day(score, kind, expected, usual.band, usual.level)
