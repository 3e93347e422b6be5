"""The detector finds what a person would call odd, stays silent on what is usual, and never looks ahead."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from tests.analysis.world import MONDAY, rhythm
from tools.analysis import detector
from tools.analysis.detector import Kind
from tools.analysis.memory import Memory

ALERT = detector.Tuning().alert


def judged(*rows: list[float], start: date = MONDAY) -> detector.Verdicts:
    return detector.judge(np.array(rows, dtype=float), start)


def alert_days(*rows: list[float], start: date = MONDAY) -> list[tuple[int, int]]:
    return [(int(r), int(c)) for r, c in zip(*np.nonzero(judged(*rows, start=start).score >= ALERT), strict=True)]


def test_a_weekly_rhythm_is_no_news() -> None:
    """Cheap weekends, noise and slow growth alert nobody in half a year."""
    growing = [v * (1 + n / 400) for n, v in enumerate(rhythm(180, weekend=0.4, noise=0.05))]
    assert alert_days(rhythm(180, weekend=0.4, noise=0.05, seed=5), growing) == []


def test_a_spike_is_found_on_its_day_with_its_money() -> None:
    """A day that costs half as much again stands out at once, measured against its own weekday."""
    values = rhythm(120, weekend=0.5)
    values[110] += 60  # a Saturday
    verdicts = judged(values)
    assert list(np.flatnonzero(verdicts.score[0] >= ALERT)) == [110]
    assert verdicts.expected[0, 110] == pytest.approx(50 if (MONDAY + timedelta(110)).weekday() >= 5 else 100, rel=0.1)
    assert verdicts.kind[0, 110] == Kind.JUMP


def test_a_new_level_is_told_for_a_week_and_then_usual() -> None:
    """What stays becomes usual; the day after is judged against the new level."""
    values = [v * (1.5 if n >= 100 else 1.0) for n, v in enumerate(rhythm(140))]
    days = [day for _, day in alert_days(values)]
    assert days[0] == 100
    assert days[-1] <= 107


def test_a_charge_of_the_month_is_expected_from_the_second_time_on() -> None:
    """A fee on the third of each month surprises once."""
    values = rhythm(200)
    fees = [n for n in range(200) if (MONDAY + timedelta(days=n)).day == 3 and n > 60]
    for day in fees:
        values[day] += 150
    assert [day for _, day in alert_days(values)] == fees[:1]


def test_a_lost_weekend_shutdown_is_found_on_its_first_weekend() -> None:
    """A weekend that costs like a weekday is a change even though the day itself is no record."""
    values = rhythm(126, weekend=0.4, noise=0.03)
    lost = [v / 0.4 if n >= 112 and (MONDAY + timedelta(days=n)).weekday() >= 5 else v for n, v in enumerate(values)]
    days = [day for _, day in alert_days(lost)]
    assert days
    assert (MONDAY + timedelta(days=days[0])).weekday() == 5
    assert days[0] < 119


def test_a_slow_leak_is_found_before_it_has_doubled() -> None:
    """Two percent a day never makes a day that stands out; the climb does."""
    values = [v * (1.02 ** max(0, n - 120)) for n, v in enumerate(rhythm(160, noise=0.03))]
    days = [day for _, day in alert_days(values)]
    assert days
    assert days[0] < 120 + 35


def test_a_new_cost_and_one_that_stopped() -> None:
    """Money where there was none is told that day; cost that ends is told after three days."""
    new = [0.0] * 90 + rhythm(20, level=40)
    ended = rhythm(90, level=80) + [0.0] * 20
    verdicts = judged(new, ended)
    assert verdicts.kind[0, 90] == Kind.NEW
    assert verdicts.score[0, 90] >= ALERT
    gone = np.flatnonzero(verdicts.kind[1] == Kind.GONE)
    assert gone[0] == 92


def test_cost_that_comes_back_to_its_old_level_is_no_alarm() -> None:
    """After an outage of two weeks the old level is no news."""
    values = rhythm(90, level=80) + [0.5] * 14 + rhythm(40, level=80, seed=9)
    assert alert_days(values) == []


def test_a_gap_and_its_catch_up_are_one_delivery() -> None:
    """An export that skips a day and bills it with the next is no jump."""
    values = rhythm(120)
    values[101] += values[100]
    values[100] = 0.0
    assert alert_days(values) == []


def test_an_uneven_job_is_judged_by_its_own_busiest_days() -> None:
    """Runs now and then, up to three times as big, are its nature; ten times is not."""
    dice = np.random.default_rng(4)
    values = [float(v) for v in np.where(dice.random(160) < 0.5, dice.uniform(80, 240, 160), 2.0)]
    assert alert_days(values) == []
    values[150] = 1500.0
    verdicts = judged(values)
    assert verdicts.kind[0, 150] == Kind.BURST
    assert verdicts.score[0, 150] >= ALERT


def test_a_refund_is_no_anomaly_and_breaks_nothing() -> None:
    """A negative day alerts neither then nor after."""
    values = rhythm(120)
    values[100] = -500.0
    assert alert_days(values) == []


def test_small_change_is_left_alone() -> None:
    """Cents that triple are nobody's worry; a new service of two dollars neither."""
    values = rhythm(120, level=0.2)
    values[110] = 0.6
    assert alert_days(values, [0.0] * 60 + [2.0] * 60) == []


def test_nothing_is_judged_before_two_weeks_are_known() -> None:
    """Without history there is no usual."""
    values = rhythm(40)
    values[9] *= 3
    values[30] *= 3
    assert [day for _, day in alert_days(values)] == [30]


def _mixed(seed: int, series: int = 12, days: int = 150) -> np.ndarray:
    dice = np.random.default_rng(seed)
    base = dice.lognormal(4, 1, (series, 1)) * (1 + dice.normal(0, 0.05, (series, days)))
    weekend = np.array([0.5 if (MONDAY + timedelta(days=n)).weekday() >= 5 else 1.0 for n in range(days)])
    base[::2] *= weekend
    for _ in range(series):
        base[dice.integers(series), dice.integers(60, days)] *= dice.uniform(1.5, 4)
    base[1, :70] = 0
    base[3, 100:110] = 0
    return np.maximum(base, 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_future_changes_no_earlier_score(seed: int) -> None:
    """Day d is judged with data up to day d only: whatever comes later, its verdict stands, to the last bit."""
    values = _mixed(seed)
    whole = detector.judge(values, MONDAY)
    for cut in (77, 120):
        other = values.copy()
        other[:, cut:] = np.random.default_rng(9).uniform(0, 1e5, other[:, cut:].shape)
        for again in (detector.judge(values[:, :cut], MONDAY), detector.judge(other, MONDAY)):
            for name in ("score", "expected", "band", "kind"):
                assert np.array_equal(getattr(again, name)[:, :cut], getattr(whole, name)[:, :cut])


def test_going_on_from_memory_is_the_same_as_replaying_everything() -> None:
    """What is kept of the past is enough, also after it was stored as bytes."""
    values = _mixed(5, days=300)
    whole = detector.judge(values, MONDAY)
    first = detector.judge(values[:, :290], MONDAY)
    kept = Memory.from_bytes(first.memory.to_bytes())
    later = detector.judge(values[:, 290:], MONDAY + timedelta(days=290), memory=kept)
    assert np.allclose(later.score, whole.score[:, 290:], rtol=0.01, atol=0.01)


def test_the_order_of_series_and_a_series_of_zeros_change_nothing() -> None:
    """Each series is judged by itself."""
    values = _mixed(6)
    whole = detector.judge(values, MONDAY).score
    order = np.random.default_rng(1).permutation(len(values))
    assert np.array_equal(detector.judge(values[order], MONDAY).score, whole[order])
    with_zeros = np.vstack([values, np.zeros((1, values.shape[1]))])
    again = detector.judge(with_zeros, MONDAY).score
    assert np.array_equal(again[:-1], whole)
    assert not again[-1].any()


def test_moving_everything_by_whole_weeks_moves_the_alerts_with_it() -> None:
    """The verdict hangs on the weekday, not on the date (as long as no charge of the month is near)."""
    values = _mixed(7)
    early = detector.judge(values, MONDAY).score >= ALERT
    late = detector.judge(values, MONDAY + timedelta(days=364)).score >= ALERT
    assert np.array_equal(early, late)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((3, 200)),
        np.full((1, 1), 5.0),
        np.full((2, 90), -3.0),
        np.full((1, 120), 1e12),
        np.zeros((0, 0)),
        np.array([[0.0, 1e12] * 60]),
        np.where(np.arange(900) % 97 == 0, 1e9, 1e-9)[None, :],
    ],
    ids=["zeros", "one day", "negative", "huge", "nothing", "huge now and then", "billions and nothing"],
)
def test_odd_input_gives_a_sensible_verdict(values: np.ndarray) -> None:
    """No crash, no NaN, no endless score."""
    verdicts = detector.judge(values, date(2016, 1, 1))
    for found in (verdicts.score, verdicts.expected, verdicts.band):
        assert found.shape == values.shape
        assert np.isfinite(found).all()


@pytest.mark.prove
def test_ten_years_are_replayed() -> None:
    """A decade of days gives finite verdicts."""
    verdicts = judged(rhythm(3650, weekend=0.5))
    assert np.isfinite(verdicts.score).all()
    assert (verdicts.score >= ALERT).sum() < 10
