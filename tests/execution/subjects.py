"""Subjects: the thing at the sandbox's clouds that each change is tried on, by the change's name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import Any

import pytest

from sandbox.pytest_plugin import STORY_TODAY, SandboxAws
from tests.execution import subjects_aws, subjects_azure, subjects_gcp, subjects_vultr
from tests.execution.conformance import Subject
from tests.providers.conftest import served

REST: dict[str, tuple[Any, dict[str, Any]]] = {
    "gcp": (subjects_gcp.GcpSide, dict(subjects_gcp.SUBJECTS)),
    "azure": (subjects_azure.AzureSide, dict(subjects_azure.SUBJECTS)),
    "vultr": (subjects_vultr.VultrSide, dict(subjects_vultr.SUBJECTS)),
}


def rest_clouds_of() -> Iterator[dict[str, tuple[str, Any]]]:
    """The sandbox's clouds that speak REST, each on a loopback port: (address, the application itself)."""
    with ExitStack() as stack:
        made = {name: import_module(f"sandbox.clouds.{name}").build(today=STORY_TODAY, months=1) for name in REST}
        yield {name: (stack.enter_context(served(cloud)), cloud) for name, cloud in made.items()}


def subject_of(wanted: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    """The thing that a change is tried on; `rest_clouds` is the fixture of the requesting module."""
    subject = _made(wanted, request, monkeypatch)
    yield subject
    subject.heal()


def _made(wanted: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Subject:
    clouds, cloud = request.getfixturevalue("rest_clouds"), wanted.partition(".")[0]
    if cloud in REST:
        # Pages are small to be read in earnest elsewhere; here they only cost time.
        monkeypatch.setattr(import_module(f"sandbox.clouds.{cloud}"), "MOST", 100)
        side, subjects = REST[cloud]
        subject: Subject = subjects[wanted](side(*clouds[cloud]), wanted)
        return subject
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    aws: SandboxAws = request.getfixturevalue("sandbox_aws_process")
    return subjects_aws.SUBJECTS[wanted](subjects_aws.AwsSide(aws), wanted)
