"""Conformance: every executable change, on its cloud of the sandbox, keeps the same promises."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from tests.execution import subjects_aws
from tests.execution.conformance import Subject
from tests.execution.subjects import REST, rest_clouds_of, subject_of
from tools.execution.decisions import same
from tools.model.errors import (
    CapacityUnavailableError,
    DeniedError,
    DriftError,
    ProtectedError,
    ProviderError,
    QuotaExceededError,
    ResourceMissingError,
    UnderWayError,
)
from tools.model.rollout import Plan
from tools.providers import catalog, registry
from tools.providers.changing import Acting

ALL = [*subjects_aws.SUBJECTS, *(wanted for _, subjects in REST.values() for wanted in subjects)]


@pytest.fixture(scope="module")
def rest_clouds() -> Iterator[dict[str, tuple[str, Any]]]:
    """The sandbox's clouds that speak REST, each on a loopback port."""
    yield from rest_clouds_of()
    subjects_aws.leave()


@pytest.fixture
def subject(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    """The thing that the change `request.param` is tried on, as it was."""
    yield from subject_of(str(request.param), request, monkeypatch)


# What does not come back; what is deleted after a snapshot; what needs capacity or quota.
LOST = {"azure.ip_release", "vultr.block_delete", "vultr.ip_release", "vultr.snapshot_delete"}
COPIED = ["aws.volume_delete", "azure.disk_delete", "gcp.disk_delete", "vultr.instance_snapshot_destroy"]
SHORT = [
    wanted
    for wanted in ALL
    if wanted.startswith(
        ("aws.instance_resize", "aws.rds_class", "azure.sql", "azure.vm", "gcp.m", "gcp.sql", "vultr.plan")
    )
]


def on(wanted: Sequence[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("subject", wanted, indirect=True)


every = on(ALL)


@every
def test_each_stage_is_seen_at_the_cloud_and_twice_is_once_and_back_is_exactly_as_before(subject: Subject) -> None:
    """Forward stage by stage, each repeated; then back, and back again - or it is said what does not come back."""
    plan, before = subject.plan(), copy.deepcopy(subject.facts())
    first = subject.change.observe(plan)
    assert (first.fingerprint, first.changed, first.settled) == (plan.fingerprint, 0, True)
    assert same(first.setting, plan.before)
    for stage in plan.stages:
        seen = subject.walk(plan, stage.desired)
        assert (seen.changed, seen.total) == (stage.units, plan.units)
        once = copy.deepcopy(subject.facts())
        assert once != before
        subject.send(plan, stage.desired, "token")
        assert subject.facts() == once
    if subject.lost:
        nothing_comes_back(subject, plan)
        return
    for _ in range(2):
        seen = subject.walk(plan, plan.before, "back")
        assert (seen.changed, seen.fingerprint) == (0, plan.fingerprint)
        assert subject.facts() == before


@every
def test_lost_answers_and_refusals_to_hurry_do_nothing_twice(subject: Subject) -> None:
    """Every effect's answer is lost once, forward and back: the outcome is that of a quiet day."""
    plan, before = subject.plan(), copy.deepcopy(subject.facts())
    for effect in subject.effects:
        subject.fail("timeout_after_success", effect, times=1)
    subject.walk(plan, plan.stages[-1].desired)
    assert subject.facts() != before
    if subject.lost:
        nothing_comes_back(subject, plan)
        return
    subject.walk(plan, plan.before, "back")
    assert subject.facts() == before


def nothing_comes_back(subject: Subject, plan: Plan) -> None:
    """The way back says precisely what is lost, and changes nothing."""
    gone = copy.deepcopy(subject.facts())
    with pytest.raises(ResourceMissingError, match="cannot come back"):
        subject.walk(plan, plan.before, "back")
    assert subject.facts() == gone
    assert subject.about.risk == "R3"


@on([wanted for wanted in ALL if wanted not in LOST])
def test_from_every_stage_there_is_a_way_back(subject: Subject) -> None:
    """Also from a stage that was only begun."""
    plan, before = subject.plan(), copy.deepcopy(subject.facts())
    for stage in plan.stages:
        with suppress(UnderWayError):
            subject.send(plan, stage.desired, f"begun-{stage.index}")
        subject.walk(plan, plan.before, f"back-{stage.index}")
        assert subject.facts() == before


@on(COPIED)
def test_an_earlier_try_s_snapshot_is_not_taken_for_this_one_s(subject: Subject) -> None:
    """Between two tries things are written: the second one takes a snapshot of its own before it deletes."""
    assert subject.copies is not None
    plan, others = subject.plan(), subject.copies()
    with pytest.raises(UnderWayError):
        subject.send(plan, plan.stages[0].desired, "first try")
    subject.walk(plan, plan.before, "first way back")
    assert subject.copies() == others + 1
    subject.walk(plan, plan.stages[0].desired, "second try")
    assert subject.copies() == others + 2
    subject.walk(plan, plan.before, "second way back")


@every
def test_what_somebody_changed_since_is_left_alone(subject: Subject) -> None:
    """Between plan and effect the owner did something: nothing is sent."""
    plan = subject.plan()
    subject.drift()
    before = copy.deepcopy(subject.facts())
    with pytest.raises((DriftError, ProtectedError)):
        subject.send(plan, plan.stages[0].desired, "token")
    assert subject.facts() == before


@on(SHORT)
def test_without_capacity_nothing_is_begun(subject: Subject) -> None:
    """A change that needs capacity or quota asks for it first."""
    assert subject.short is not None
    plan, before = subject.plan(), copy.deepcopy(subject.facts())
    subject.short()
    with pytest.raises((CapacityUnavailableError, QuotaExceededError)):
        subject.send(plan, plan.stages[0].desired, "token")
    assert subject.facts() == before


@every
def test_a_missing_permission_is_named_and_nothing_is_half_done_for_long(subject: Subject) -> None:
    """Each permission that the change says it needs is missed by name, forward or on the way back."""
    change = subject.change
    assert isinstance(change, Acting)
    plan, before = subject.plan(), copy.deepcopy(subject.facts())
    for permission in sorted(set(change.needs) - subject.silent):
        subject.fail("deny", permission)
        with pytest.raises(DeniedError) as denied:  # noqa: PT012 - on which of both ways is the change's matter
            subject.walk(plan, plan.stages[-1].desired)
            subject.walk(plan, plan.before, "back")
        assert denied.value.permission == permission
        subject.heal()
        subject.walk(plan, plan.before, f"back-{permission}")
        assert subject.facts() == before


@every
def test_the_plan_tells_what_happens_and_what_does_not_come_back(subject: Subject) -> None:
    """Words for the card, and a change with two people where it destroys."""
    about, plan = subject.about, subject.plan()
    assert len(plan.undo) > 60
    assert len(about.does) > 40
    assert about.lasting
    assert about.kind == subject.resource.kind
    assert registry.obstacles(subject.wanted, subject.resource) == ()


def test_every_change_of_the_catalog_is_tried_here() -> None:
    """A change that is not proven is not offered; the group's move to spot has a test of its own."""
    assert {catalog.split(wanted)[0] for wanted in ALL} | {"aws.asg_spot"} == set(catalog.BY_NAME)


def test_refusals_are_errors_of_a_provider() -> None:
    """The engine knows what to do with them."""
    assert issubclass(DriftError, ProviderError)
    assert issubclass(ProtectedError, DeniedError)
