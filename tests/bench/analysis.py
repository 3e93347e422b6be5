"""Analysis: how well the detector, the driver search and the forecast do on generated cases, and how fast."""

from __future__ import annotations

import importlib.util
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tests.bench.series import FIRST_EVENT, world
from tools.analysis import detector, outlook, slices
from tools.analysis.replay import threshold

# Labelled cases of others, where they lie beside the project; our own generator otherwise.
SHARED = Path(__file__).resolve().parents[3] / "shared" / "benchmarks"
TUNED_ON = (1, 2, 3)
FRESH = (811, 812, 813, 814)
ALERT = detector.Tuning().alert
Matrix = Any


def tables() -> Iterator[str]:
    """Each table as text."""
    cases = _module("cost_series"), _module("score_alerts")
    if all(cases):
        yield _anomalies(*cases)
        yield _late(*cases)
        yield _forecasts(cases[0])
    yield _own_world()
    drivers = _module("driver_cases")
    if drivers:
        yield _drivers(drivers)
    yield _speed()


def _module(name: str) -> Any:
    path = SHARED / f"{name}.py"
    if not path.is_file():
        return None
    found = importlib.util.spec_from_file_location(f"shared_{name}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [list(head), *([f"{c:.3f}" if isinstance(c, float) else str(c) for c in row] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([title, "-" * len(title), *lines])


def _usage(values: Matrix, labels: dict[str, Any]) -> Matrix:
    """The series that are usage: fees are billed as purchases and live on another track."""
    return np.array([s["archetype"] != "fee" for s in labels["series"]])


def ours(values: Matrix, start: date) -> Matrix:
    return detector.judge(values, start).score


def seven_days(values: Matrix, start: date) -> Matrix:
    """A common rule: today against 1.3 times the mean of the seven days before."""
    out = np.zeros_like(values)
    for day in range(7, values.shape[1]):
        mean = values[:, day - 7 : day].mean(axis=1)
        out[:, day] = np.where(mean > 0, values[:, day] / np.maximum(mean, 1e-9) - 0.3, 0)
    return out


def two_sigma(values: Matrix, start: date) -> Matrix:
    """Another: two standard deviations and 20 % above the mean of 28 days."""
    out = np.zeros_like(values)
    for day in range(28, values.shape[1]):
        past = values[:, day - 28 : day]
        mean, spread = past.mean(axis=1), past.std(axis=1)
        out[:, day] = np.where(values[:, day] > 1.2 * mean, (values[:, day] - mean) / np.maximum(spread, 1e-9), 0)
    return out


def _anomalies(series: ModuleType, scorer: ModuleType) -> str:
    rules: list[tuple[str, Callable[[Matrix, date], Matrix], float]] = [
        ("ours, as shipped", ours, ALERT),
        ("ours, at two false alerts", ours, threshold(2.0)),
        ("1.3 x mean of 7 days", seven_days, 1.0),
        ("z > 2 and > 20 % (28 days)", two_sigma, 2.0),
    ]
    rows: list[list[object]] = []
    for name, rule, bar in rules:
        for label, seeds in (("tuned on", TUNED_ON), ("fresh", FRESH)):
            found = [_scored(series, scorer, seed, rule, bar) for seed in seeds]
            mean = {k: float(np.mean([f[k] for f in found])) for k in ("F1", "P", "R3", "Rany", "false_1k")}
            ever = {k: [sum(f["ever"].get(k, (0, 0))[n] for f in found) for n in (0, 1)] for k in _SLOW}
            rows.append([name, label, *mean.values(), *(a / max(b, 1) for a, b in ever.values())])
    head = ("rule", "seeds", "F1", "precision", "in 3 days", "ever", "false/1000", "ramp ever", "weekend ever")
    return _table("Anomalies (200 series x 400 days a seed)", head, rows)


_SLOW = ("ramp", "seasonality_change")


def _scored(
    series: ModuleType, scorer: ModuleType, seed: int, rule: Callable[[Matrix, date], Matrix], bar: float
) -> dict[str, Any]:
    dates, values, labels = series.generate(seed)
    alerts = rule(values, dates[0]) >= bar
    alerts &= _usage(values, labels)[:, None]
    bench = scorer.Bench(labels)
    found: dict[str, Any] = bench.score(alerts)
    found["ever"] = {}
    for row, first, last, event in bench.events:
        seen, of = found["ever"].get(event["kind"], (0, 0))
        found["ever"][event["kind"]] = (seen + bool(alerts[row, first : last + 1].any()), of + 1)
    return found


def _late(series: ModuleType, scorer: ModuleType) -> str:
    """Each day judged two days later, when 97 % of it is in; against complete data."""
    rows = []
    for seed in FRESH[:2]:
        dates, values, labels = series.generate(seed)
        dice = np.random.default_rng(seed)
        usage = _usage(values, labels)[:, None]
        bench = scorer.Bench(labels)
        whole = bench.score((ours(values, dates[0]) >= ALERT) & usage)
        settled = values * np.clip(dice.normal(1.0, 0.003, values.shape), 0.97, 1.0)
        late = bench.score((ours(settled, dates[0]) >= ALERT) & usage)
        rows.append([seed, whole["P"], late["P"], whole["P"] - late["P"]])
    return _table("Late data: precision", ("seed", "complete", "late", "loss"), rows)


def _forecasts(series: ModuleType) -> str:
    rows: list[list[object]] = []
    for horizon in (30, 90):
        errors, naive, inside = [], [], []
        for seed in FRESH[:3]:
            dates, values, labels = series.generate(seed)
            for cut in (400 - horizon, 360 - horizon):
                kept = _steady(labels, dates, cut, horizon)
                past, came = np.maximum(values[kept, :cut], 0), np.maximum(values[kept, cut : cut + horizon], 0)
                shape = outlook.project(past, dates[0], horizon)
                told, real = shape.days.sum(axis=1), came.sum(axis=1)
                week = np.tile(past[:, -7:], (1, horizon // 7 + 1))[:, :horizon].sum(axis=1)
                fine = real > 0
                errors += list(np.minimum(np.abs(told - real)[fine] / real[fine], 1))
                naive += list(np.minimum(np.abs(week - real)[fine] / real[fine], 1))
                inside += list(((real >= told * shape.low) & (real <= told * shape.high))[fine])
        rows.append(
            [horizon, len(errors), *(float(np.mean(v)) for v in (errors, naive, inside)), float(np.median(errors))]
        )
    head = ("days", "forecasts", "error of the total", "seasonal naive", "80 % band holds", "median error")
    return _table("Forecast (usage series without events around the origin)", head, rows)


def _steady(labels: dict[str, Any], dates: Sequence[date], cut: int, horizon: int) -> list[int]:
    busy = set()
    for event in labels["events"]:
        first, last = (dates.index(date.fromisoformat(event[k])) for k in ("start", "end"))
        if first < cut + horizon and last >= cut - 28:
            busy.update(event["series"])
    return [
        n
        for n, s in enumerate(labels["series"])
        if s["id"] not in busy and s["archetype"] not in {"fee", "batch"}
        and dates.index(date.fromisoformat(s["begin"])) < cut - 120
    ]  # fmt: skip


def _own_world() -> str:
    """Our own generator: small, with other shapes."""
    found, false, days, of = 0, 0, 0, 0
    for seed in (21, 22, 23):
        made = world(seed)
        alerts = detector.judge(made.values, made.start).score >= ALERT
        clean = np.ones_like(alerts)
        clean[:, :FIRST_EVENT] = False
        for event in made.events:
            found += bool(alerts[event.row, event.first : event.last + 1].any())
            of += 1
            clean[event.row, event.first : event.last + 15] = False
        false += int((alerts & clean).sum())
        days += int(clean.sum())
    rows = [[of, found / of, 1000 * false / days]]
    return _table("Anomalies (own generator)", ("events", "found", "false days/1000"), rows)


def _drivers(cases: ModuleType) -> str:
    rows = []
    for seed in (1, 901, 902):
        dice = np.random.default_rng([seed, 5])
        scores, spent, leaves = [], 0.0, 0
        for _ in range(100):
            values, before, after, truth = cases.case(dice)
            if not truth:
                continue
            columns = [np.unique(values[:, n], return_inverse=True) for n in range(values.shape[1])]
            began = time.process_time()
            found = slices.search(np.stack([c[1] for c in columns], axis=1), before, after)
            spent += time.process_time() - began
            leaves += len(before)
            told = [
                {cases.DIMS[c]: str(columns[c][0][v]) for c, v in zip(s.columns, s.codes, strict=True)} for s in found
            ]
            scores.append(cases.score(values, before, after, truth, told))
        mean = [float(np.mean([s[k] for s in scores])) for k in ("f1", "exact", "extra")]
        rows.append(
            ["tuned on" if seed == 1 else "fresh", seed, *mean, 1000 * spent / len(scores), leaves // len(scores)]
        )
    return _table("Drivers", ("seeds", "seed", "dollar F1", "exact", "extra", "ms", "leaves"), rows)


def _speed() -> str:
    made = world(7, series=1000, days=400)
    began = time.process_time()
    verdicts = detector.judge(made.values[:, :399], made.start)
    whole = time.process_time() - began
    block = verdicts.memory.to_bytes()
    began = time.process_time()
    memory = verdicts.memory.from_bytes(block)
    detector.judge(made.values[:, 399:], made.start, memory=memory)
    one = time.process_time() - began
    dice = np.random.default_rng(1)
    codes = dice.integers(0, 8, (5000, 7))
    before = dice.lognormal(2, 1, 5000)
    began = time.process_time()
    slices.search(codes, before, before * np.where(codes[:, 0] == 3, 2, 1))
    search = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    rows = [["1000 series x 400 days replayed, CPU s", whole], ["one new day of 1000 series from memory, CPU s", one],
            ["drivers of 5000 leaves, CPU ms", 1000 * search], ["peak memory of this run, MB", peak]]  # fmt: skip
    return _table("Speed", ("what", "measured"), rows)
