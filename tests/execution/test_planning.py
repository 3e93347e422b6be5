"""Planning: whole units at every boundary, and plans that are refused before anybody can approve them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import NOW
from tests.execution.conftest import recommendation_of, resource_of
from tests.execution.fleet import Fleet
from tools.execution import planning
from tools.model.errors import InputError, RefusedError
from tools.model.rollout import Plan, Stage, whole_units
from tools.providers.base import ChangePlan
from tools.store.rollout_rows import plan_of

_PERCENTS = (10, 50, 100)


def _planned(units: int = 20, percents: tuple[int, ...] = _PERCENTS) -> ChangePlan:
    return Fleet(Path("unused"), lambda: NOW).plan(resource_of(units, NOW), percents)


def _build(planned: ChangePlan, risk: str = "R1") -> Plan:
    recommendation = recommendation_of("rec-1", "checkout-workers", "default", risk)
    return planning.build(recommendation, resource_of(planned.units, NOW), "test.fleet", planned, _PERCENTS)


@pytest.mark.parametrize(
    ("units", "stages"),
    [
        (1, [(100, 1)]),
        (2, [(10, 1), (100, 2)]),
        (3, [(10, 1), (50, 2), (100, 3)]),
        (4, [(10, 1), (50, 2), (100, 4)]),
        (9, [(10, 1), (50, 5), (100, 9)]),
        (10, [(10, 1), (50, 5), (100, 10)]),
        (11, [(10, 2), (50, 6), (100, 11)]),
        (19, [(10, 2), (50, 10), (100, 19)]),
        (20, [(10, 2), (50, 10), (100, 20)]),
        (21, [(10, 3), (50, 11), (100, 21)]),
        (1000, [(10, 100), (50, 500), (100, 1000)]),
    ],
)
def test_whole_units(units: int, stages: list[tuple[int, int]]) -> None:
    """Ten percent of nine is one, of eleven is two; what adds nothing is dropped; the last step is everything."""
    assert list(whole_units(units, _PERCENTS)) == stages


@given(
    units=st.integers(1, 5000),
    percents=st.lists(st.integers(1, 99), unique=True, max_size=6).map(lambda found: (*sorted(found), 100)),
)
def test_whole_units_always(units: int, percents: tuple[int, ...]) -> None:
    """Strictly rising, at least one, the least whole number that is not below the share, ending at all."""
    stages = whole_units(units, percents)
    counts = [count for _, count in stages]
    assert counts == sorted(set(counts))
    assert counts[0] >= 1
    assert stages[-1] == (100, units)
    for percent, count in stages:
        assert count * 100 >= units * percent or percent == 100
        assert (count - 1) * 100 < units * percent


@pytest.mark.parametrize("percents", [(), (10, 50), (50, 10, 100), (10, 10, 100), (0, 100), (-5, 100), (100, 150)])
def test_percentages_that_make_no_sense(percents: tuple[int, ...]) -> None:
    """Told with an example of what does."""
    with pytest.raises(InputError, match="percent cannot be planned"):
        whole_units(10, percents)


def test_nothing_to_change() -> None:
    """An empty group has no stages."""
    with pytest.raises(InputError, match="nothing to change"):
        whole_units(0, _PERCENTS)


def test_a_plan_is_pure_data_and_its_hash_binds_everything() -> None:
    """Stored and read it is the same; any field changed is another plan."""
    plan = _build(_planned())
    assert plan_of(plan.canonical()) == plan
    assert plan.saving_monthly == "1234.5"
    others = [
        replace(plan, units=21),
        replace(plan, resource_id="other"),
        replace(plan, before={"units": 1}),
        replace(plan, fingerprint="other"),
        replace(plan, stages=(replace(plan.stages[0], units=3), *plan.stages[1:])),
        replace(plan, stages=(replace(plan.stages[0], desired={"units": 3}), *plan.stages[1:])),
        replace(plan, risk="R0"),
        replace(plan, repeatable=False),
    ]
    assert len({plan.hash, *(other.hash for other in others)}) == len(others) + 1


@pytest.mark.parametrize(
    "broken",
    [
        {"stages": ()},
        {"stages": (Stage(0, 10, 2, {"units": 2}),)},
        {"stages": (Stage(0, 10, 3, {"units": 3}), Stage(1, 100, 20, {"units": 20}))},
        {"stages": (Stage(0, 10, 2, {"units": 2}), Stage(1, 50, 2, {"units": 3}), Stage(2, 100, 20, {"units": 20}))},
        {"stages": (Stage(0, 10, 2, {"units": 2}), Stage(1, 100, 20, {"units": 2}))},
        {"stages": (Stage(0, 10, 2, {}), Stage(1, 100, 20, {"units": 20}))},
        {"stages": (Stage(0, 33, 1, {"units": 1}), Stage(1, 100, 20, {"units": 20}))},
    ],
)
def test_stages_that_are_not_what_was_asked_for(broken: dict[str, tuple[Stage, ...]]) -> None:
    """More units than the share, a step that changes nothing, an end that is not all: never a plan."""
    with pytest.raises(InputError):
        _build(replace(_planned(), **broken))


def test_a_cloud_may_stay_below_its_share() -> None:
    """Whole percents cannot meet every number of a large group; less is allowed, the end is all."""
    stages = (Stage(0, 10, 1, {"units": 1}), Stage(1, 100, 20, {"units": 20}))
    assert _build(replace(_planned(), stages=stages)).stages == stages


@pytest.mark.parametrize("missing", [{"before": {}}, {"undo": " "}, {"fingerprint": ""}])
def test_no_way_back_no_plan(missing: dict[str, object]) -> None:
    """Without a proven way back there is nothing to approve."""
    with pytest.raises(RefusedError) as refusal:
        _build(replace(_planned(), **missing))  # type: ignore[arg-type]  # fields of ChangePlan
    assert refusal.value.reason == "no_undo"


def test_steps_in_words() -> None:
    """A person reads units; one unit is called what it is."""
    assert planning.steps_in_words(_build(_planned())) == (
        "2 of 20 instances (10 %)",
        "10 of 20 instances (50 %)",
        "20 of 20 instances (100 %)",
    )
    (only,) = planning.steps_in_words(_build(_planned(1)))
    assert only == "1 instance: no gradual stage is possible, it changes in one step"
    assert planning.resource_key(_build(_planned())) == "AWS/1/eu-west-1/checkout-workers"
