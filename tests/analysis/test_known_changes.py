"""Known changes: forecasts take in what the past cannot tell - a commitment that ends, a saving that was approved."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.analysis.world import MONDAY
from tools.analysis import forecast, known_changes
from tools.analysis.costs import Costs
from tools.analysis.known_changes import Known, applied, expiries, savings
from tools.model.forecast import Forecast, ForecastPoint
from tools.model.query import Filter
from tools.model.resource import Resource
from tools.model.rollout import Plan, Rollout, Stage, State

NOW = datetime(2026, 4, 15, 8, tzinfo=UTC)
TODAY = NOW.date()


def told(keys: tuple[tuple[str, str], ...] = (), a_day: int = 100, days: int = 10) -> Forecast:
    point = (Decimal(a_day) * share / 100 for share in (90, 100, 110))
    low, middle, high = point
    points = tuple(ForecastPoint(TODAY + timedelta(days=n), low, middle, high) for n in range(days))
    return Forecast(keys, "USD", points, low * days, middle * days, high * days, "weekday pattern")


def known(a_day: int, *, first: int = 5, provider: str = "aws", account: str = "") -> Known:
    return Known(TODAY + timedelta(days=first), Decimal(a_day), "USD", provider, account, "commitment sp-1 ends")


def test_a_change_moves_the_days_after_it_and_the_total_with_its_band() -> None:
    """Five of ten days cost 20 more."""
    (made,) = applied([told()], [known(20)])
    assert [p.p50 for p in made.points] == [Decimal(100)] * 5 + [Decimal(120)] * 5
    assert (made.p10, made.p50, made.p90) == (Decimal(1000), Decimal(1100), Decimal(1200))
    assert made.basis == "weekday pattern; known: commitment sp-1 ends (+$100)"
    (twice,) = applied([made], [known(-1)])
    assert twice.basis.endswith("(+$100), commitment sp-1 ends (-$5.00)")


def test_a_saving_never_makes_cost_negative() -> None:
    """More saved than spent leaves nothing."""
    (made,) = applied([told()], [known(-500, first=0)])
    assert made.p50 == 0
    assert made.p10 <= made.p50 <= made.p90


def test_parts_share_a_change_by_their_size_and_only_where_it_belongs() -> None:
    """Of two AWS services the larger takes three quarters; Google's is left alone, and so is another question."""
    parts = [
        told((("provider", "aws"), ("service_name", "A")), 300),
        told((("provider", "aws"), ("service_name", "B")), 100),
        told((("provider", "gcp"), ("service_name", "C")), 100),
    ]
    made = applied(parts, [known(40)])
    assert [m.p50 - p.p50 for m, p in zip(made, parts, strict=True)] == [Decimal(150), Decimal(50), Decimal(0)]
    only_gcp = (Filter("provider", ("gcp",)),)
    assert applied([told()], [known(40)], only_gcp) == (told(),)
    assert not known_changes.fits((Filter("service_name", ("A",)),))


def test_a_commitment_that_ends_costs_what_it_saved() -> None:
    """Not one that renews, nor one that ends after the days that are asked about."""
    plan = Resource(
        "aws", "1", "eu", "commitment", "sp-1", "three years", (), {"ends_at": "2026-04-20T00:00:00+00:00"}, "", NOW
    )
    saved = {("arn:aws:savingsplans::1:savingsplan/sp-1", "USD"): Decimal(12)}
    until = TODAY + timedelta(days=30)
    (one,) = expiries([plan], saved, TODAY, until)
    assert (one.day, one.a_day, one.what) == (
        date(2026, 4, 20), Decimal(12), "commitment three years ends on 20 Apr 2026",
    )  # fmt: skip
    renews = replace(plan, attributes={**plan.attributes, "renews": True})
    later = replace(plan, attributes={"ends_at": "2027-04-20T00:00:00+00:00"})
    unknown = replace(plan, attributes={"ends_at": "some day"})
    assert expiries([renews, later, unknown], saved, TODAY, until) == ()


def rollout(stage: int) -> Rollout:
    stages = tuple(Stage(n, percent, n + 1, {}) for n, percent in enumerate((10, 50, 100)))
    plan = Plan(
        "aws.asg_spot", "aws", "1", "eu", "web", "web", "Move web to spot", "instance", 10, stages, {}, "f", "R1",
        "304", "USD", "back",
    )  # fmt: skip
    return Rollout("ro-1", "default", 1, State.BAKING, stage, plan, "ana", "Ana", NOW, NOW, NOW, NOW)


@pytest.mark.parametrize(("stage", "rest"), [(0, "-10.0000"), (1, "-9.0000"), (2, "-5.0000")])
def test_an_approved_rollout_saves_what_its_stages_have_not_reached(stage: int, rest: str) -> None:
    """Before the first stage all of it, later the rest; from tomorrow on."""
    (one,) = savings([rollout(stage)], TODAY)
    assert (one.a_day, one.day) == (Decimal(rest), TODAY + timedelta(days=1))
    assert "Move web to spot" in one.what


def test_a_forecast_without_known_changes_is_what_the_past_says(costs: Costs) -> None:
    """Nothing is approved and nothing ends: no word of it."""
    (made,) = forecast.forecast(costs, days=10, today=MONDAY + timedelta(days=100))
    assert "known" not in made.basis.split(";")[-1].split("months")[-1]
    assert known_changes.of(costs, TODAY, TODAY + timedelta(days=30)) == ()
