"""Clients of the app for the workspace's tests: the real slack_sdk, pointed at the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from sandbox import organisation
from sandbox.slack.pytest_plugin import SlackWorkspace
from sandbox.slack.workspace import Workspace
from tests.sandbox.slack.app import Heard, OwnLoop, connect


@pytest.fixture
def workspace_options() -> dict[str, Any]:
    """Most tests here are about other things than pace."""
    return {"workspace": Workspace(), "speed": 20.0, "rate_limits": False}


@pytest.fixture
def web(workspace: SlackWorkspace) -> WebClient:
    """The app's Web API client."""
    return WebClient(organisation.BOT_TOKEN, base_url=workspace.api_url)


@pytest.fixture
def refused() -> Callable[..., Any]:
    """Calls something that Slack refuses; gives Slack's answer."""

    def call(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with pytest.raises(SlackApiError) as caught:
            method(*args, **kwargs)
        return caught.value.response

    return call


@pytest.fixture
def heard(workspace: SlackWorkspace) -> Iterator[Heard]:
    """What a connected Bolt app hears."""
    own, told = OwnLoop(), Heard()
    told.handler = own.run(connect(workspace.api_url, told))
    yield told
    own.run(told.handler.close_async())
    own.close()
