"""The pytest fixture `workspace`: a Slack workspace of its own for each test, on a free loopback port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.slack.app import SlackSandbox
from sandbox.slack.client import People
from sandbox.slack.server import Background

SPEED = 20.0


class SlackWorkspace(People):
    """The people of a workspace that runs in this process; `sandbox` reaches its parts."""

    def __init__(self, server: Background) -> None:
        super().__init__(server.url)
        self.sandbox: SlackSandbox = server.sandbox

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Web API calls so far: method, ok, error."""
        return self.sandbox.web_api.calls or []


@pytest.fixture
def workspace_options() -> dict[str, Any]:
    """Options of sandbox.slack.app.build() for the `workspace` of a test; override the fixture to change them."""
    return {"speed": SPEED}


@pytest.fixture(scope="session")
def leaving_workspaces() -> Iterator[list[Background]]:
    """Servers of finished tests: they end by themselves, so that no test waits for another's."""
    servers: list[Background] = []
    yield servers
    for server in servers:
        server.join()


@pytest.fixture
def workspace(workspace_options: dict[str, Any], leaving_workspaces: list[Background]) -> Iterator[SlackWorkspace]:
    """A fresh workspace: say, click, command, submit, home, views, transcript, wait_for, fault, url, api_url."""
    server = Background(**workspace_options).start()
    yield SlackWorkspace(server)
    server.leave()
    leaving_workspaces.append(server)
