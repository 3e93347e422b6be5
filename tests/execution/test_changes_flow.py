"""Changes of four clouds through gates and engine: to the end by stages, back by itself, back by hand, over an outage."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.execution import subjects_aws
from tests.execution.conformance import Subject
from tests.execution.conftest import BAD, World, make_world, recommendation_of
from tests.execution.subjects import rest_clouds_of, subject_of
from tools.execution import requests
from tools.execution.panel import Panel
from tools.model.rollout import TERMINAL, Rollout, State
from tools.providers import registry
from tools.store import recommendations, resources
from tools.store.database import Database

MIG, VMSS = "gcp.mig_spot", "azure.vmss_spot"
LAMBDA, PLAN = "aws.lambda_memory:512@live", "vultr.plan_change:voc-m-2c-16gb-400s"
DISK = "gcp.disk_delete"


@pytest.fixture(scope="module")
def rest_clouds() -> Iterator[dict[str, tuple[str, Any]]]:
    """The sandbox's clouds that speak REST, each on a loopback port."""
    yield from rest_clouds_of()
    subjects_aws.leave()


@dataclass
class Flow:
    """One proposed rollout of a subject, the people and the engine around it, and two clocks that go together."""

    world: World
    subject: Subject
    rollout: Rollout

    def run(self, *until: State, limit: int = 300) -> Rollout:
        engine = self.world.engine()
        for _ in range(limit):
            engine.step_all()
            now = self.world.get(self.rollout)
            if now.state in until:
                return now
            self.world.clock.pass_(seconds=121)
            self.subject.wait()
        raise AssertionError(f"{now.state} ({now.reason}) instead of {until}")

    def approve(self, *people: str) -> None:
        for who in people or ("ben",):
            self.world.approve(self.rollout, who)

    def stage(self) -> Rollout:
        """Approve the stage that waits, and go on until the next one waits or all is done."""
        self.approve()
        return self.run(State.AWAITING_APPROVAL, *TERMINAL)


@pytest.fixture
def flow(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, database: Database, tmp_path: Path
) -> Iterator[Flow]:
    """The change `request.param`, proposed by Priya."""
    for subject in subject_of(str(request.param), request, monkeypatch):
        yield _proposed(subject, database, tmp_path)


def _proposed(subject: Subject, database: Database, tmp_path: Path) -> Flow:
    world = make_world(database, tmp_path)
    world.limits = replace(world.limits, bake=timedelta(minutes=10), stage_timeout=timedelta(hours=2))
    world.fleet = subject.change  # type: ignore[assignment]  # whatever is changed, the engine sees a Change
    found = replace(
        recommendation_of("rec-1", subject.resource.name, world.tenant, subject.about.risk),
        provider=subject.resource.provider,
        account_id=subject.resource.account_id,
        region=subject.resource.region,
        parameters={
            "change": subject.wanted,
            "resource_kind": subject.resource.kind,
            "resource_id": subject.resource.id,
        },
    )
    seen = subject.resource
    with database.begin() as tx:
        resources.replace(tx, world.tenant, seen.provider, seen.account_id, [seen], now=world.clock())
        recommendations.save(tx, world.tenant, [found], now=world.clock())
    rollout = requests.propose(
        database,
        world.tenant,
        "rec-1",
        world.person("priya"),
        change=lambda name: registry.change(subject.settings, name),
        now=world.clock,
        new_id=world.new_id,
        expires_in=timedelta(hours=24),
        panel=Panel(world.clock, world.health),
    )
    return Flow(world, subject, rollout)


def of(*changes: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("flow", changes, indirect=True)


@of(MIG, VMSS, LAMBDA, PLAN)
def test_stage_by_stage_to_the_end(flow: Flow) -> None:
    """Each approved stage is counted at the cloud; after the last one it is done."""
    before = copy.deepcopy(flow.subject.facts())
    for stage in flow.rollout.plan.stages:
        now = flow.stage()
        seen = flow.subject.change.observe(now.plan)
        assert (seen.changed, seen.settled) == (stage.units, True), now.reason
    assert now.state is State.SUCCEEDED, now.reason
    assert flow.subject.facts() != before


@of(MIG, VMSS, LAMBDA)
def test_it_goes_back_by_itself_when_the_service_gets_worse(flow: Flow) -> None:
    """At the second stage errors rise: nobody is asked, and everything is as before."""
    before = copy.deepcopy(flow.subject.facts())
    flow.stage()
    flow.approve()
    flow.run(State.BAKING)
    flow.world.health.set(**BAD)
    assert flow.run(State.ROLLED_BACK, State.NEEDS_HUMAN).state is State.ROLLED_BACK
    assert flow.subject.facts() == before
    assert any("health got worse" in line for line in flow.world.story(flow.rollout))


@of(MIG, VMSS, LAMBDA, PLAN, DISK)
def test_a_person_takes_it_back(flow: Flow) -> None:
    """After the first stage (of one step: while it is watched) somebody says no."""
    before = copy.deepcopy(flow.subject.facts())
    flow.approve("ben", "carla") if flow.rollout.approvals_needed == 2 else flow.approve()
    now = flow.run(State.BAKING)
    assert flow.subject.facts() != before
    flow.world.gates.rollback(now.seen, flow.world.person("olaf"))
    assert flow.run(State.ROLLED_BACK, State.NEEDS_HUMAN).state is State.ROLLED_BACK
    assert flow.subject.facts() == before


@of(MIG, VMSS, PLAN)
def test_an_outage_in_the_middle_costs_time_only(flow: Flow) -> None:
    """For ten minutes the cloud answers nothing, while a stage is under way; then it is finished as if nothing was."""
    flow.approve()
    flow.run(State.EXECUTING)
    flow.subject.fail("cut", "*")
    engine = flow.world.engine()
    for _ in range(10):
        engine.step_all()
        flow.world.clock.pass_(minutes=1)
    now = flow.world.get(flow.rollout)
    assert now.state in {State.EXECUTING, State.HELD}
    flow.subject.heal()
    if now.state is State.HELD:
        flow.world.gates.retry(now.seen, flow.world.person("ben"))
    now = flow.run(State.AWAITING_APPROVAL, State.FINALISING, *TERMINAL)
    assert now.state in {State.AWAITING_APPROVAL, State.FINALISING}, now.reason
    assert flow.subject.change.observe(now.plan).changed == flow.rollout.plan.stages[0].units


@of(DISK)
def test_what_destroys_needs_two_people(flow: Flow) -> None:
    """One yes changes nothing; two do, and the snapshot is there before the disk is gone."""
    before = copy.deepcopy(flow.subject.facts())
    flow.approve("ben")
    flow.world.engine().step_all()
    assert flow.world.get(flow.rollout).state is State.PROPOSED
    assert flow.subject.facts() == before
    flow.approve("carla")
    assert flow.run(*TERMINAL).state is State.SUCCEEDED
    assert flow.subject.facts() == {"disk": None}
