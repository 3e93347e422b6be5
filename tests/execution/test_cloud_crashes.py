"""kill -9 on four clouds: an executor process dies at each named point, and a new one finishes without doing anything twice."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.execution import mortal_clouds, subjects_aws
from tests.execution.conformance import Facts, Subject
from tests.execution.conftest import World, make_world, recommendation_of
from tests.execution.mortal_clouds import QUICK, Life
from tests.execution.subjects import rest_clouds_of, subject_of
from tools.execution import requests
from tools.model.resource import Resource
from tools.model.rollout import IntentStatus, Rollout, State
from tools.providers import registry
from tools.store import audit, recommendations, resources, rollout_intents, rollouts
from tools.store.database import Database

pytestmark = [pytest.mark.prove, pytest.mark.stores, pytest.mark.timeout(1800)]

ASG, MIG, VMSS, PLAN = "aws.asg_spot", "gcp.mig_spot", "azure.vmss_spot", "vultr.plan_change:voc-m-2c-16gb-400s"
FLEET, SIZE = "search-indexers", 4
STEPS = (10, 100)
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    [
        "tests.execution.mortal_clouds",
        "boto3",
        *(f"tools.providers.{place}" for place in ("aws.changes.spot", "gcp.changes.groups", "azure.changes.groups")),
    ]
)
# What recovery may take from the start of the next process to its first step written down, in seconds of CPU.
SLOWEST, USUAL = 5.0, 2.0


@dataclass(frozen=True)
class Place:
    """A thing at one cloud, and the cloud's own record: what it counts now, and how often each thing was ever done."""

    subject: Subject
    done: Callable[[], Mapping[str, int]]


@pytest.fixture(scope="module")
def rest_clouds() -> Iterator[dict[str, tuple[str, Any]]]:
    """The sandbox's clouds that speak REST, each on a loopback port."""
    yield from rest_clouds_of()
    subjects_aws.leave()


@pytest.fixture
def places(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Place]:
    """Makes the thing that is changed, as at the start of everything."""

    def made(wanted: str) -> Place:
        if wanted == ASG:
            return _group(request.getfixturevalue("sandbox_aws_process"), monkeypatch)
        subject = next(subject_of(wanted, request, monkeypatch))
        cloud = subject.side.cloud
        cloud.calls.clear()
        subject.side.world.line.speed = mortal_clouds.SPEED
        return Place(subject, lambda: {name: n for name, n in cloud.calls.items() if name in _MADE})

    return made


# Calls after each of which there is one more or one fewer of something: to do one twice is to do harm.
_MADE = {
    "provisioning",
    "compute.instanceTemplates.create",
    "Microsoft.Compute/virtualMachineScaleSets/delete/action",
}


_GROUPS: dict[str, tuple[subjects_aws.AwsSide, Resource, dict[str, Any]]] = {}


def _group(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    if aws.url not in _GROUPS:
        _GROUPS[aws.url] = _small_group(aws)
    side, seen, policy = _GROUPS[aws.url]
    scaling = side.client("autoscaling")
    scaling.update_auto_scaling_group(AutoScalingGroupName=FLEET, MixedInstancesPolicy=policy)
    aws.wait_until_settled(FLEET)

    def launched() -> set[str]:
        pages = scaling.get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=FLEET)
        told = [a for p in pages for a in p["Activities"]]
        return {a["ActivityId"] for a in told if a["Description"].startswith("Launching")}

    def facts() -> Facts:
        aws.wait_until_settled(FLEET)
        return {k: v for k, v in aws.fleet(FLEET).items() if k in {"on_demand", "spot", "desired", "pending"}}

    before = launched()
    subject = side.subject(ASG, seen, facts, ("autoscaling:UpdateAutoScalingGroup",))
    return Place(subject, lambda: {"launched": len(launched() - before)})


def _small_group(aws: Any) -> tuple[subjects_aws.AwsSide, Resource, dict[str, Any]]:
    """A group of few, how inventory sees it, and its policy."""
    aws.reset()
    side = subjects_aws.AwsSide(aws)
    scaling = side.client("autoscaling")
    few = {"MinSize": 0, "MaxSize": 2 * SIZE, "DesiredCapacity": SIZE}
    scaling.update_auto_scaling_group(AutoScalingGroupName=FLEET, **few)
    aws.wait_until_settled(FLEET)
    inventory = registry.inventories(side.settings)[0]
    (account,) = {access.account_id for access in inventory.check_access()}
    seen = next(r for r in inventory.resources(account) if r.id == FLEET)
    told = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[FLEET])["AutoScalingGroups"][0]
    policy = told["MixedInstancesPolicy"]
    # AWS tells both and takes one.
    policy["LaunchTemplate"]["LaunchTemplateSpecification"].pop("LaunchTemplateName", None)
    return side, seen, policy


@dataclass
class Proof:
    """One change forward or back on one store, again and again from the start."""

    database: Database
    url: str
    folder: Path
    place: Callable[[str], Place]
    wanted: str
    back: bool

    def run(self, name: str, only: str = "") -> tuple[Facts, Mapping[str, int], list[str]]:
        """One rollout from its proposal to its end, over one death: what the cloud then counts, did, and the points."""
        folder = self.folder / name
        folder.mkdir()
        place = self.place(self.wanted)
        _empty(self.database)
        world = make_world(self.database, folder)
        self._propose(world, place.subject)
        before = copy.deepcopy(place.subject.facts())
        life = Life(
            self.url,
            str(folder),
            self.wanted,
            mortal_clouds.plain(place.subject.settings),
            world.clock().isoformat(),
            self.back,
            only,
            0.0,
        )
        code = _live(life)
        if only:
            assert code == -signal.SIGKILL
            (folder / "seconds").unlink(missing_ok=True)
            code = _live_anew(replace(life, only=""))
        assert code == 0, self._rollout().reason
        after, done = copy.deepcopy(place.subject.facts()), dict(place.done())
        assert (after == before) is self.back
        self._check()
        return after, done, (folder / "points").read_text().split()

    def _rollout(self) -> Rollout:
        with self.database.read() as tx:
            return rollouts.listing(tx, "default")[0]

    def _check(self) -> None:
        with self.database.read() as tx:
            (rollout,) = rollouts.listing(tx, "default")
            assert audit.verify(tx, "default").problems == ()
            intents = rollout_intents.listing(tx, "default", rollout.id)
        assert rollout.state is (State.ROLLED_BACK if self.back else State.SUCCEEDED), rollout.reason
        assert {intent.status for intent in intents} == {IntentStatus.DONE}

    def _propose(self, world: World, subject: Subject) -> None:
        seen: Resource = subject.resource
        found = replace(
            recommendation_of("rec-1", seen.name, world.tenant, subject.about.risk),
            provider=seen.provider,
            account_id=seen.account_id,
            region=seen.region,
            parameters={"change": subject.wanted, "resource_kind": seen.kind, "resource_id": seen.id},
        )
        world.limits = QUICK
        with self.database.begin() as tx:
            resources.replace(tx, world.tenant, seen.provider, seen.account_id, [seen], now=world.clock())
            recommendations.save(tx, world.tenant, [found], now=world.clock())
        requests.propose(
            self.database,
            world.tenant,
            "rec-1",
            world.person("priya"),
            change=lambda name: registry.change(subject.settings, name),
            now=world.clock,
            new_id=world.new_id,
            expires_in=timedelta(hours=24),
            percents=STEPS,
            panel=None,
        )

    def seconds(self, which: int = 0) -> list[float]:
        """From the start of each process that came after a death to the first step it wrote down: 0 on the clock, 1 of CPU."""
        found = [folder / "seconds" for folder in self.folder.iterdir() if (folder / "died").exists()]
        # Who died at the very last point left nothing to write down.
        return sorted(float(file.read_text().split()[which]) for file in found if file.exists())


def _live(life: Life) -> int | None:
    """A process that was there already, so that dying costs little."""
    process = _PROCESSES.Process(target=mortal_clouds.begin, args=(life,))
    process.start()
    process.join(240)
    return process.exitcode


def _live_anew(life: Life) -> int | None:
    """A process from nothing, as after a crash: an interpreter that reads all its modules."""
    command = [sys.executable, "-m", "tests.execution.mortal_clouds", replace(life, born=time.time()).written()]
    return subprocess.run(command, timeout=240, check=False).returncode


def _empty(database: Database) -> None:
    from tools.store.rollout_tables import approvals, events, intents, people, rollout_claims, verdicts
    from tools.store.rollout_tables import rollouts as table

    with database.begin() as tx:
        for one in (table, approvals, events, intents, people, rollout_claims, verdicts):
            tx.execute(one.delete())


@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
@pytest.mark.parametrize("wanted", [ASG, MIG, VMSS, PLAN])
def test_killed_at_every_point(
    database: Database,
    database_url: str,
    tmp_path: Path,
    places: Callable[[str], Place],
    wanted: str,
    back: bool,
) -> None:
    """A quiet run tells the points; then one rollout per point, whose executor is killed there and started anew.

    Each ends as the quiet one did: the same things counted at the cloud, and nothing made or ended once more.
    """
    proof = Proof(database, database_url, tmp_path, places, wanted, back)
    facts, done, points = proof.run("quiet")
    for number, point in enumerate(sorted(set(points))):
        ended = proof.run(f"{number}", point)
        assert ended[:2] == (facts, done), point
    seconds, cpu = proof.seconds(), proof.seconds(1)
    deaths = len(set(points))
    assert deaths >= 15
    assert len(seconds) >= deaths - 1
    told = {
        "change": wanted.partition(":")[0],
        "way": "back" if back else "forward",
        "store": database.dialect,
        "deaths": deaths,
        "median": seconds[len(seconds) // 2],
        "slowest": seconds[-1],
        "cpu_slowest": cpu[-1],
    }
    print(f"\n{json.dumps(told)}")  # noqa: T201
    if into := os.environ.get("OPTIINFRA_PROOF_FILE"):
        with Path(into).open("a") as file:
            file.write(json.dumps(told | {"seconds": seconds, "cpu": cpu}) + "\n")
    # What a busy machine adds is not the process's.
    assert cpu[-1] < SLOWEST
    assert cpu[len(cpu) // 2] < USUAL
