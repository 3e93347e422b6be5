"""Pytest fixtures: the story's bills, an AWS and a Prometheus of the sandbox, each a real thing of its own."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sandbox.processes import READY_SECONDS, Child, end_all, ready_ones, start_service
from sandbox.serving import listen, url_of

STORY_TODAY = date(2026, 11, 23)
STORY_SEED = 7
SPEED = 400.0


class Control:
    """Speaks JSON to the control paths of a sandbox service. Raises urllib's HTTPError on a refusal."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> Any:
        return self._send("GET", path, None)

    def post(self, path: str, **document: object) -> Any:
        return self._send("POST", path, document)

    def delete(self, path: str) -> Any:
        return self._send("DELETE", path, None)

    def _send(self, method: str, path: str, document: dict[str, object] | None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.url}/sandbox/{path}", body, method=method)  # noqa: S310 - our own http URL
        with self._opener.open(request, timeout=30) as answer:
            return json.loads(answer.read())


@dataclass
class SandboxAws:
    """The sandbox's AWS in its own process. `url` is the endpoint; any access key is production's."""

    url: str
    child: Child
    control: Control = field(init=False)

    def __post_init__(self) -> None:
        self.control = Control(self.url)

    def fleet(self, name: str) -> dict[str, Any]:
        """A fleet as it is now: desired, on_demand, spot, pending, terminating, wanted_on_demand, wanted_spot."""
        found: dict[str, Any] = self.control.get("fleets")[name]
        return found

    def wait_until_settled(self, name: str, seconds: float = 30.0) -> dict[str, Any]:
        """Wait until a fleet is what its policy asks for and nothing is on its way; AssertionError when it takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            fleet = self.fleet(name)
            ended = not fleet["pending"] and not fleet["terminating"]
            if ended and (fleet["on_demand"], fleet["spot"]) == (fleet["wanted_on_demand"], fleet["wanted_spot"]):
                return fleet
            time.sleep(0.02)
        raise AssertionError(f"{name} did not settle within {seconds:g} s: {self.fleet(name)}")

    def reset(self) -> None:
        """Everything as at the start."""
        self.control.post("reset")
        self.control.post("speed", speed=SPEED)


@dataclass
class SandboxPrometheus:
    """The sandbox's Prometheus in its own process."""

    url: str
    child: Child
    control: Control = field(init=False)

    def __post_init__(self) -> None:
        self.control = Control(self.url)

    def health(self, service: str, **happens: object) -> Any:
        """From now on: error_rate (of one lifecycle= or both), requests_per_second, dark."""
        return self.control.post("health", service=service, **happens)

    def instances(self, service: str, *, on_demand: int, spot: int) -> Any:
        """So many instances serve from now on."""
        return self.control.post("lifecycle", service=service, on_demand=on_demand, spot=spot)


@pytest.fixture(scope="session")
def story_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the story of STORY_TODAY: `focus/` and `truth.json`. Shared: do not change it."""
    from sandbox import story

    home = tmp_path_factory.mktemp("story")
    story.write(home, seed=STORY_SEED, today=STORY_TODAY)
    return home


@pytest.fixture(scope="session")
def story_truth(story_dir: Path) -> dict[str, Any]:
    """What is true of `story_dir`."""
    from sandbox import story

    return story.read_truth(story_dir)


@pytest.fixture(scope="session")
def sandbox_aws_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxAws]:
    """One AWS for all tests of a worker; take `sandbox_aws` to have it fresh."""
    listener = listen()
    url = url_of(listener)
    child = _started("aws", tmp_path_factory.mktemp("aws"), listener, speed=SPEED, today=STORY_TODAY.isoformat())
    yield SandboxAws(url, child)
    end_all([child])


@pytest.fixture
def sandbox_aws(sandbox_aws_process: SandboxAws) -> SandboxAws:
    """The sandbox's AWS with the organisation's things, as at the start, and AWS's own pace 400 times faster."""
    sandbox_aws_process.reset()
    return sandbox_aws_process


@pytest.fixture(scope="session")
def sandbox_prometheus_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxPrometheus]:
    """One Prometheus for all tests of a worker; take `sandbox_prometheus` to have it fresh."""
    listener = listen()
    url = url_of(listener)
    child = _started("health", tmp_path_factory.mktemp("prometheus"), listener, aws_url="")
    yield SandboxPrometheus(url, child)
    end_all([child])


@pytest.fixture
def sandbox_prometheus(sandbox_prometheus_process: SandboxPrometheus) -> SandboxPrometheus:
    """A Prometheus that knows the organisation's services, as at the start; tell it with `health` and `instances`."""
    sandbox_prometheus_process.control.post("reset")
    return sandbox_prometheus_process


@pytest.fixture(scope="session")
def sandbox_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a ClickHouse that is the real engine in a process of its own; needs chdb."""
    listener = listen()
    url = url_of(listener)
    home = tmp_path_factory.mktemp("clickhouse")
    child = _started("clickhouse", home, listener, data=str(home / "data"))
    yield url
    end_all([child])


def _started(name: str, folder: Path, listener: Any, **options: object) -> Child:
    child = start_service(name, folder, listener, **options)
    list(ready_ones([child], time.monotonic() + READY_SECONDS))
    return child
