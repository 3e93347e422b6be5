"""Laws: what must change nothing changes nothing, sums are exact, and broken input gives a sentence or a verdict."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from tests.analysis.world import MONDAY
from tests.bench.series import world
from tools.analysis import daily_file, detector, drivers, forecast, outlook, replay
from tools.analysis.drivers import Leaf
from tools.analysis.numbers import total
from tools.model.errors import InputError
from tools.model.money import EXACT

NAMES = ("provider", "service_name", "region_id", "tag:team")
MADE = world(5, series=40, days=200)


def table(dice: random.Random, rows: int = 60) -> list[Leaf]:
    """A leaf table with a slice that doubled, an end, a beginning, and noise."""
    leaves = []
    for n in range(rows):
        values = (f"p{n % 2}", f"s{n % 5}", f"r{n % 3}", f"t{n % 7}")
        before = Decimal(dice.randint(100, 100_000)) / 100
        factor = Decimal(2) if values[1] == "s2" else Decimal(dice.randint(97, 103)) / 100
        leaves.append(Leaf(values, before, EXACT.multiply(before, factor)))
    return leaves


def test_moving_all_series_by_whole_weeks_moves_forecasts_with_them() -> None:
    """The same weekdays a year later (no month-day charge is in these series): the same money."""
    values = world(6, series=20, days=160, events=False).values[:, :150]
    here = outlook.project(values, MADE.start, 28)
    later = outlook.project(values, MADE.start + timedelta(days=7 * 52), 28)
    steady = np.abs(later.days.sum(axis=1) / here.days.sum(axis=1) - 1)
    assert np.median(steady) < 0.005


def test_another_currency_scales_forecasts_and_drivers() -> None:
    """A hundred and fifty times the money, the same story."""
    here, there = (outlook.project(MADE.values * unit, MADE.start, 30) for unit in (1.0, 150.0))
    assert np.allclose(here.days * 150, there.days, rtol=1e-6, atol=1e-3)
    assert np.allclose(here.low, there.low)
    assert np.allclose(here.high, there.high)
    leaves = table(random.Random(1))
    dear = [Leaf(x.values, x.before * 150, x.after * 150) for x in leaves]
    found, dear_found = drivers.attribute(NAMES, leaves)[0], drivers.attribute(NAMES, dear)[0]
    assert [d.conditions for d in found] == [d.conditions for d in dear_found]
    assert [d.contribution * 150 for d in found] == [d.contribution for d in dear_found]


def test_the_order_of_rows_changes_no_forecast_and_no_driver() -> None:
    """Rows are a set."""
    order = np.random.default_rng(1).permutation(len(MADE.values))
    here, mixed = outlook.project(MADE.values, MADE.start, 30), outlook.project(MADE.values[order], MADE.start, 30)
    assert np.allclose(here.days[order], mixed.days)
    assert np.allclose(here.high[order], mixed.high)
    leaves = table(random.Random(2))
    shuffled = random.Random(3).sample(leaves, len(leaves))
    assert drivers.attribute(NAMES, leaves) == drivers.attribute(NAMES, shuffled)


def test_a_series_or_a_leaf_of_nothing_changes_no_other() -> None:
    """Zeros carry no information."""
    zeros = np.zeros((1, MADE.values.shape[1]))
    with_zero = np.vstack([MADE.values, zeros])
    here, beside = outlook.project(MADE.values, MADE.start, 30), outlook.project(with_zero, MADE.start, 30)
    assert np.allclose(here.days, beside.days[:-1])
    assert not beside.days[-1].any()
    assert np.allclose(here.high, beside.high[:-1])
    leaves = table(random.Random(4))
    nothing = Leaf(("p0", "s9", "r9", "t9"), Decimal(0), Decimal(0))
    told, more = drivers.attribute(NAMES, leaves), drivers.attribute(NAMES, [*leaves, nothing])
    assert [d.conditions for d in told[0]] == [d.conditions for d in more[0]]
    assert told[1] == more[1]


def _exact(dice: random.Random) -> None:
    rows = []
    for _ in range(dice.randint(0, 40)):
        pair = (dice.choice([0, dice.randint(-(10**30), 10**30), dice.randint(0, 10**6)]) for _ in range(2))
        before, after = (Decimal(v).scaleb(-18) for v in pair)
        rows.append(Leaf(tuple(f"{dice.randint(0, 3)}" for _ in NAMES), before, after))
    found, other = drivers.attribute(NAMES, rows)
    change = EXACT.subtract(total(x.after for x in rows), total(x.before for x in rows))
    assert total([*(d.contribution for d in found), other]) == change


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(10))
def test_drivers_sum_exactly_in_ten_thousand_random_cases(seed: int) -> None:
    """Contributions and the rest are the change, to the last of eighteen decimals."""
    dice = random.Random(1000 + seed)
    for _ in range(1000):
        _exact(dice)


def _csv(rows: list[tuple[object, object]]) -> str:
    return "date,x_SeriesId,cost\n" + "".join(f"{day},a,{cost}\n" for day, cost in rows)


def _days(count: int, cost: Callable[[int], object] = lambda n: 100 + n % 5) -> list[tuple[object, object]]:
    return [(MONDAY + timedelta(days=n), cost(n)) for n in range(count)]


SPIKE = _days(100, lambda n: 1000 if n == 99 else 100 + n % 5)
# What is wrong with the file, the file, and the days on which alerts may be (None: it is refused).
BROKEN: list[tuple[str, str, set[date] | None]] = [
    ("gaps", _csv([row for n, row in enumerate(SPIKE) if n % 17 != 3]), {MONDAY + timedelta(days=99)}),
    ("every row twice", _csv([row for row in SPIKE for _ in range(2)]), {MONDAY + timedelta(days=99)}),
    ("some costs are NaN", _csv(_days(100, lambda n: "NaN" if n % 20 == 5 else 100)), set()),
    ("negative days", _csv(_days(100, lambda n: -50 if n % 30 == 7 else 100 + n % 5)), set()),
    ("one day", _csv(_days(1)), set()),
    ("ten years", _csv(_days(3650)), set()),
    ("all zeros", _csv(_days(100, lambda _: 0)), set()),
    ("1e12 a day", _csv(_days(100, lambda n: 10**12 if n < 99 else 5 * 10**12)), {MONDAY + timedelta(days=99)}),
    ("a century", _csv([(date(1926, 1, 1), 1), (date(2026, 1, 1), 1)]), None),
    ("nothing usable", _csv([("yesterday", "much")]), None),
    ("no rows", _csv([]), None),
]


@pytest.mark.parametrize(
    ("what", "text", "odd"),
    [pytest.param(*b, id=b[0], marks=[pytest.mark.prove] if b[0] == "ten years" else []) for b in BROKEN],
)
def test_broken_input_gives_a_message_or_a_verdict(tmp_path: Path, what: str, text: str, odd: set[date] | None) -> None:
    """Never a crash: a file is refused in words, or judged and forecast sensibly."""
    path = tmp_path / "daily.csv"
    path.write_text(text, encoding="utf-8")
    if odd is None:
        with pytest.raises(InputError) as refused:
            daily_file.read(path)
        assert str(refused.value).endswith(".")
        return
    found = daily_file.read(path)
    assert {alert.day for alert in replay.alerts(found) if alert.direction == "up"} == odd, what
    if len(found.usage[0].values) < outlook.FEWEST_DAYS:
        with pytest.raises(InputError, match="A forecast needs 14 days"):
            forecast.of_series(found.usage, days=30)
        return
    (made,) = forecast.of_series(found.usage, days=30)
    assert made.p10 <= made.p50 <= made.p90
    assert made.p50.is_finite()


def test_scores_are_the_same_for_the_same_past() -> None:
    """A score depends on its day and the days before, never on how many days follow."""
    whole = detector.judge(MADE.values, MADE.start).score
    part = detector.judge(MADE.values[:, :150], MADE.start).score
    assert np.array_equal(whole[:, :150], part)
