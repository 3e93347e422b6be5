"""Fixtures of the Slack door: the real app, connected to a real workspace over Socket Mode."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

import pytest
import pytest_asyncio
from slack_bolt.async_app import AsyncApp

from bot.slack.app import build_slack, socket_mode
from bot.threads import Threads
from sandbox import organisation
from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.bot.slack.world import World
from tools.store.database import Database

T = TypeVar("T")


class Patient(SlackWorkspace):
    """A workspace whose people wait longer before they give up: this machine may be busy with other things."""

    def until(self, look: Callable[[], T], timeout: float = 5.0, what: str = "the expected state") -> T:
        return super().until(look, timeout * 6, what)


@pytest.fixture
def workspace(workspace: SlackWorkspace) -> SlackWorkspace:
    """The workspace with patient people."""
    workspace.__class__ = Patient
    return workspace


@pytest.fixture
def threads() -> Iterator[Threads]:
    """The way to blocking work."""
    made = Threads(4)
    yield made
    made.close()


@pytest.fixture
def world(database: Database) -> World:
    """An installation with people and an empty list of rollouts."""
    return World(database)


@pytest_asyncio.fixture
async def bot(workspace: SlackWorkspace, world: World, threads: Threads) -> AsyncIterator[AsyncApp]:
    """The app, connected."""
    for name in ("slack_bolt.optiinfra", "slack_sdk.optiinfra"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    app = build_slack(world.services(threads), token=organisation.BOT_TOKEN, api_url=workspace.api_url)
    handler = socket_mode(app, organisation.APP_TOKEN, workspace.api_url, world.metrics)
    await handler.connect_async()
    world.socket = handler
    yield app
    await handler.close_async()
