"""Rollouts on the sandbox's AWS and Prometheus: real client libraries, counted instances, real kills."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sandbox.pytest_plugin import SandboxAws, SandboxPrometheus
from tests.execution.conftest import recommendation_of
from tools.execution import requests
from tools.execution.engine import Engine
from tools.execution.gates import Gates
from tools.execution.limits import JudgePolicy, Limits
from tools.execution.panel import Panel
from tools.model.access import Principal, Role
from tools.model.identifiers import random_id
from tools.model.rollout import TERMINAL, Rollout, State
from tools.providers import registry
from tools.settings import Settings
from tools.store import audit, people, recommendations, resources, rollout_history, rollout_intents, rollouts
from tools.store.database import Database, open_database

T = "default"
FLEET = "checkout-workers"
_QUICK = Limits(
    bake=timedelta(seconds=1),
    poll=timedelta(seconds=0.2),
    final_guard=timedelta(seconds=1),
    rollback_guard=timedelta(seconds=1),
    lease=timedelta(seconds=2),
    recent=timedelta(seconds=10),
    judge=JudgePolicy(minimum_requests=50),
)
_PROCESSES = multiprocessing.get_context("forkserver")


def _now() -> datetime:
    return datetime.now(UTC)


def _settings(aws: SandboxAws, prometheus: SandboxPrometheus) -> Settings:
    return Settings(
        _env_file=None,
        aws_endpoint_url=aws.url,
        aws_regions=("eu-west-1",),
        prometheus_url=prometheus.url,
    )


def _engine(database: Database, settings: Settings, crash: Callable[[str], None] = lambda point: None) -> Engine:
    return Engine(
        database,
        T,
        owner=f"worker-{os.getpid()}",
        now=_now,
        change=lambda plan: registry.change(settings, plan),
        health=registry.health(settings),
        limits=_QUICK,
        crash=crash,
    )


def _person(handle: str) -> Principal:
    return Principal(f"{handle}@lumen.example", T, handle, Role.APPROVER)


class Stage:
    """One proposed rollout of the fleet, and the people around it."""

    def __init__(self, database: Database, url: str, aws: SandboxAws, prometheus: SandboxPrometheus) -> None:
        self.database, self.url, self.aws, self.prometheus = database, url, aws, prometheus
        self.settings = _settings(aws, prometheus)
        self.gates = Gates(database, T, now=_now, new_id=random_id, limits=_QUICK)
        self.id = self._propose().id

    def _propose(self) -> Rollout:
        inventory = registry.inventories(self.settings)[0]
        (account,) = {access.account_id for access in inventory.check_access()}
        seen = tuple(r for r in inventory.resources(account) if r.kind == "instance_group")
        group = next(r for r in seen if r.id == FLEET)
        found = replace(
            recommendation_of("rec-1", FLEET, T, "R1"),
            provider=group.provider,
            account_id=group.account_id,
            region=group.region,
            saving_expected=Decimal(1000),
            parameters={"change": "aws.asg_spot", "resource_kind": "instance_group", "resource_id": FLEET},
        )
        with self.database.begin() as tx:
            for handle in ("priya", "ben"):
                people.save(tx, T, f"{handle}@lumen.example", Role.APPROVER, now=_now())
            resources.replace(tx, T, group.provider, group.account_id, seen, now=_now())
            recommendations.save(tx, T, [found], now=_now())
        return requests.propose(
            self.database,
            T,
            "rec-1",
            _person("priya"),
            change=lambda name: registry.change(self.settings, name),
            now=_now,
            new_id=random_id,
            expires_in=timedelta(hours=1),
            panel=Panel.of(self.settings, _now),
        )

    def get(self) -> Rollout:
        with self.database.read() as tx:
            return rollouts.get(tx, T, self.id)

    def approve(self) -> None:
        self.gates.approve(self.get().seen, _person("ben"))

    def count(self) -> dict[str, int]:
        """Counted at the sandbox itself, past the product; its Prometheus is told who serves."""
        fleet = self.aws.fleet(FLEET)
        self.prometheus.instances("checkout", on_demand=fleet["on_demand"], spot=fleet["spot"])
        return {"spot": fleet["spot"], "on_demand": fleet["on_demand"]}

    def run(self, *until: State, seconds: float = 40) -> Rollout:
        engine = _engine(self.database, self.settings)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.count()
            engine.step_all()
            rollout = self.get()
            if rollout.state in until:
                return rollout
            time.sleep(0.1)
        raise AssertionError(f"{rollout.state}: {rollout.reason}")


@pytest.fixture
def stage(
    database: Database,
    database_url: str,
    sandbox_aws: SandboxAws,
    sandbox_prometheus: SandboxPrometheus,
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    return Stage(database, database_url, sandbox_aws, sandbox_prometheus)


def _worker(url: str, settings: dict[str, object], point: str) -> None:
    """A real executor process that dies at a named point."""

    def crash(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    # A server of processes that another test started does not know what this one put into the environment.
    os.environ |= {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}
    database = open_database(url, migrate=False)
    engine = _engine(database, Settings(_env_file=None, **settings), crash)  # type: ignore[arg-type]  # as dumped
    end = time.monotonic() + 50
    while time.monotonic() < end:
        engine.step_all()
        time.sleep(0.1)
    raise SystemExit(3)


def _killed_at(stage: Stage, point: str) -> None:
    """A worker of its own goes on until it is killed -9 at this point."""
    settings = stage.settings.model_dump(exclude_defaults=True)
    worker = _PROCESSES.Process(target=_worker, args=(stage.url, settings, point))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL


def test_to_the_end_with_a_death_and_an_outage(stage: Stage) -> None:
    """2, 10, 20 spot instances, counted one by one at AWS, whatever happens to the worker and to the calls.

    The first step's worker dies between AWS's yes and writing it down; the second step's call is done and its
    answer lost, and AWS throttles for a while.
    """
    for step, spot in enumerate((2, 10, 20)):
        stage.approve()
        if step == 0:
            _killed_at(stage, "EXECUTING/applied")
        if step == 1:
            fault = {"kind": "timeout_after_success", "times": 1, "seconds": 0}
            stage.aws.control.post("fault", action="UpdateAutoScalingGroup", **fault)
            stage.aws.control.post("fault", action="DescribeAutoScalingGroups", kind="throttle", times=6)
        rollout = stage.run(State.AWAITING_APPROVAL, *TERMINAL)
        assert stage.count() == {"spot": spot, "on_demand": 20 - spot}, rollout.reason
        assert rollout.observed["spot"] == spot
    assert rollout.state is State.SUCCEEDED
    with stage.database.read() as tx:
        first, *_ = rollout_intents.listing(tx, T, rollout.id)
        assert first.attempts == 1
        assert audit.verify(tx, T).problems == ()


def test_errors_roll_it_back_by_itself_over_a_death(stage: Stage) -> None:
    """At half the fleet the spot instances begin to fail; the worker that takes it back is killed in mid-call.

    The next one finishes: everything is on demand again, and set as it was before.
    """
    for _ in range(2):
        stage.approve()
        stage.run(State.AWAITING_APPROVAL)
    assert stage.count() == {"spot": 10, "on_demand": 10}
    stage.prometheus.health("checkout", lifecycle="spot", error_rate=0.25)
    _killed_at(stage, "ROLLING_BACK/applied")
    rollout = stage.run(State.ROLLED_BACK)
    assert stage.count() == {"spot": 0, "on_demand": 20}
    with stage.database.read() as tx:
        story = [event.what for event in rollout_history.events(tx, T, rollout.id)]
    assert any("health got worse" in line for line in story)
    assert registry.change(stage.settings, rollout.plan).observe(rollout.plan).setting == rollout.plan.before
