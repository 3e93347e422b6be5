"""Acting: an executor process stops and resizes many instances of the sandbox's AWS, each verified, with a way back.

`OPTIINFRA_BENCH_INSTANCES=200,1000` says how many; beside it `/livez` of that process is asked all the time.
`OPTIINFRA_BENCH_CUSTODIAN` names a `custodian` program (of a virtual environment of its own) that does the bare action.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bot.terminal.output import table
from sandbox.inventory import REGION
from sandbox.processes import READY_SECONDS, end_all, ready_ones, start_service
from sandbox.serving import listen, url_of
from tools.execution import requests
from tools.execution.gates import Gates
from tools.execution.limits import Caps
from tools.model.access import Principal, Role
from tools.model.identifiers import random_id
from tools.model.recommendation import Recommendation
from tools.model.resource import Resource
from tools.model.rollout import IntentStatus
from tools.providers import registry
from tools.settings import Settings
from tools.store import people, recommendations, resources
from tools.store.database import Database, open_database
from tools.store.rollout_tables import intents

COUNTS = tuple(int(n) for n in os.environ.get("OPTIINFRA_BENCH_INSTANCES", "200").split(","))
CHANGES = ("aws.instance_stop", "aws.instance_resize:m5.large")
CUSTODIAN = os.environ.get("OPTIINFRA_BENCH_CUSTODIAN", "")
_POLICY = """
policies:
  - name: bench
    resource: aws.ec2
    filters: [{type: value, key: InstanceType, value: m5.xlarge}, {"State.Name": running}]
    actions: [stop]
"""
TENANT, KIND, ACCOUNT = "default", "m5.xlarge", "100000000002"
MOST_SECONDS, PROBE_SECONDS = 1800.0, 0.05
ROOT = Path(__file__).resolve().parents[2]


def tables() -> Iterator[str]:
    """One row per change and number of instances."""
    rows = [_acted(change, count) for count in COUNTS for change in CHANGES]
    columns = ("change", "instances", "seconds", "per second", "executor CPU s", "AWS CPU s", "/livez p50 ms", "p99 ms")
    if CUSTODIAN:
        rows += [_custodian(count) for count in COUNTS]
    yield table(columns, rows, right=range(1, 8))


def _custodian(count: int) -> tuple[str, ...]:
    """Cloud Custodian stops as many: no check before, no look after, no way back kept."""
    with tempfile.TemporaryDirectory() as folder, _world(Path(folder)) as (url, health, aws):
        _settings(Path(folder), url, health)
        _instances(url, count)
        file = Path(folder) / "policy.yml"
        file.write_text(_POLICY)
        command = [CUSTODIAN, "run", "--region", REGION, "-s", folder, str(file)]
        before, began = _cpu(aws), time.monotonic()
        subprocess.run(command, env=os.environ | {"AWS_ENDPOINT_URL": url}, check=True, capture_output=True)
        seconds, used = time.monotonic() - began, _cpu(aws) - before
        stopped = _stopped(url)
    assert stopped >= count, f"Custodian stopped {stopped} of {count}"
    return ("Custodian: stop", f"{count}", f"{seconds:.1f}", f"{count / seconds:.1f}", "-", f"{used:.1f}", "-", "-")


def _stopped(url: str) -> int:
    import boto3

    client: Any = boto3.client("ec2", region_name=REGION, endpoint_url=url)
    wanted = [{"Name": "instance-state-name", "Values": ["stopping", "stopped"]}]
    pages = client.get_paginator("describe_instances").paginate(Filters=wanted)
    found = sum(len(r["Instances"]) for page in pages for r in page["Reservations"])
    client.close()
    return found


def _acted(change: str, count: int) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder, _world(Path(folder)) as (url, health, aws):
        settings = _settings(Path(folder), url, health)
        database = open_database(settings.database_url)
        _approved(database, settings, change, _instances(url, count))
        with _executor(settings) as (door, executor):
            before = _cpu(executor), _cpu(aws)
            probe, began = Probe(door).start(), time.monotonic()
            while _shown(database) < count:
                if time.monotonic() - began > MOST_SECONDS:
                    raise TimeoutError(f"{_shown(database)} of {count} in {MOST_SECONDS:.0f} s")
                time.sleep(0.1)
            seconds = time.monotonic() - began
            probe.stop()
            used = _cpu(executor) - before[0], _cpu(aws) - before[1]
        database.dispose()
    half, most = probe.at(0.5), probe.at(0.99)
    numbers = (
        f"{seconds:.1f}",
        f"{count / seconds:.1f}",
        *(f"{cpu:.1f}" for cpu in used),
        f"{half:.1f}",
        f"{most:.1f}",
    )
    return (change, f"{count}", *numbers)


@contextmanager
def _world(folder: Path) -> Iterator[tuple[str, str, int]]:
    """AWS, the Prometheus that tells how its services do, and AWS's process."""
    aws, health = listen(), listen()
    url, told = url_of(aws), url_of(health)
    logs = folder / "logs"
    children = [
        start_service("aws", logs, aws, speed=4000.0),
        start_service("health", logs, health, aws_url=""),
    ]
    list(ready_ones(list(children), time.monotonic() + READY_SECONDS))
    try:
        yield url, told, children[0].process.pid
    finally:
        end_all(children)


def _settings(folder: Path, url: str, health: str) -> Settings:
    keys = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox", "AWS_EC2_METADATA_DISABLED": "true"}
    os.environ |= keys
    return Settings(_env_file=None, home=folder, aws_endpoint_url=url, aws_regions=(REGION,), prometheus_url=health)


def _instances(url: str, count: int) -> list[str]:
    """New machines of their own, running."""
    import boto3

    client: Any = boto3.client("ec2", region_name=REGION, endpoint_url=url)
    image = client.register_image(Name="bench", RootDeviceName="/dev/sda1")["ImageId"]
    made = client.run_instances(ImageId=image, InstanceType=KIND, MinCount=count, MaxCount=count)["Instances"]
    client.close()
    return [instance["InstanceId"] for instance in made]


def _approved(database: Database, settings: Settings, change: str, ids: list[str]) -> None:
    """A rollout for each, proposed by one person and approved by another."""
    now, made = _now(), {}
    seen = [_resource(id_, now) for id_ in ids]
    with database.begin() as tx:
        for handle in ("priya", "ben", "carla"):
            people.save(tx, TENANT, _person(handle).id, Role.APPROVER, name=handle, now=now)
        resources.replace(tx, TENANT, "AWS", ACCOUNT, seen, now=now)
        recommendations.save(tx, TENANT, [_recommendation(id_, change) for id_ in ids], now=now)
    gates = Gates(database, TENANT, now=_now, new_id=random_id, caps=Caps(50, len(ids), 10))
    for id_ in ids:
        made[id_] = requests.propose(
            database,
            TENANT,
            f"rec-{id_}",
            _person("priya"),
            change=lambda name: registry.change(settings, name),
            now=_now,
            new_id=random_id,
            expires_in=timedelta(days=1),
            panel=None,
        )
        gates.approve(made[id_].seen, _person("ben"))


def _now() -> datetime:
    return datetime.now(UTC)


def _person(handle: str) -> Principal:
    return Principal(f"{handle}@bench.example", TENANT, handle, Role.APPROVER)


def _resource(id_: str, at: datetime) -> Resource:
    known: dict[str, object] = {"instance_type": KIND, "state": "running", "group": "", "lifecycle": "on_demand"}
    return Resource("AWS", ACCOUNT, REGION, "instance", id_, id_, (), known, "", at)


def _recommendation(id_: str, change: str) -> Recommendation:
    return Recommendation(
        id=f"rec-{id_}",
        tenant=TENANT,
        kind="idle",
        provider="AWS",
        account_id=ACCOUNT,
        region=REGION,
        resource_ids=(id_,),
        title=f"{change} of {id_}",
        saving_low=Decimal(50),
        saving_expected=Decimal(100),
        saving_high=Decimal(150),
        currency="USD",
        confidence=Decimal("0.8"),
        risk="R1",
        reversible=True,
        evidence=(),
        price_source="bill",
        parameters={"change": change, "resource_kind": "instance", "resource_id": id_},
        # What is idle serves nobody; what gets another size is watched.
        service="" if change == CHANGES[0] else "checkout",
    )


@contextmanager
def _executor(settings: Settings) -> Iterator[tuple[str, int]]:
    """The product's own process in the executor's role; ends with the block."""
    listener = listen()
    door = url_of(listener)
    listener.close()
    told = {
        "OPTIINFRA_HOME": str(settings.home),
        "OPTIINFRA_HTTP_PORT": door.rpartition(":")[2],
        "OPTIINFRA_AWS_REGIONS": REGION,
        "OPTIINFRA_PROMETHEUS_URL": settings.prometheus_url,
        "AWS_ENDPOINT_URL": settings.aws_endpoint_url,
        "OPTIINFRA_POLL_SECONDS": "0.5",
        "OPTIINFRA_BAKE_SECONDS": "3600",
    }
    command = [sys.executable, "-m", "bot.cli", "serve", "--role", "executor"]
    log = (settings.home / "executor.log").open("wb")
    process = subprocess.Popen(command, env=os.environ | told, cwd=ROOT, stdout=log, stderr=log)
    try:
        _until(lambda: _ask(door) is not None, "the executor")
        yield door, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _until(ready: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > ends:
            raise TimeoutError(f"{what} did not answer in {READY_SECONDS:.0f} s")
        time.sleep(0.05)


def _ask(door: str) -> float | None:
    """Milliseconds until `/livez` answered; None when it did not."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began = time.perf_counter()
    try:
        with opener.open(f"{door}/livez", timeout=10) as answer:
            answer.read()
    except OSError:
        return None
    return (time.perf_counter() - began) * 1000


@dataclass
class Probe:
    """Asks `/livez` again and again; an answer that never came counts as the time limit."""

    door: str
    took: list[float] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> Probe:
        self._thread = threading.Thread(target=self._go, name="livez", daemon=True)
        self._thread.start()
        return self

    def _go(self) -> None:
        while not self._ended.wait(PROBE_SECONDS):
            told = _ask(self.door)
            self.took.append(10_000.0 if told is None else told)

    def stop(self) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join()

    def at(self, share: float) -> float:
        ranked = sorted(self.took)
        return ranked[min(int(len(ranked) * share), len(ranked) - 1)]


def _shown(database: Database) -> int:
    """How many effects were seen at the cloud, each with its intent before and its plan's way back kept."""
    with database.read() as tx:
        wanted = select(func.count()).select_from(intents).where(intents.c.status == IntentStatus.DONE.value)
        return int(tx.execute(wanted).scalar_one())


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process used so far."""
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(int(ticks) for ticks in spent) / os.sysconf("SC_CLK_TCK")
