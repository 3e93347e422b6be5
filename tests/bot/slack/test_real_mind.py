"""The door with the real mind behind it: real bills, real numbers, in Slack."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from slack_bolt.async_app import AsyncApp

from agent.ask import build_mind
from bot.slack.app import build_slack, socket_mode
from bot.slack.home import Look
from bot.threads import Threads
from sandbox import organisation
from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.agent import world as small
from tests.bot.slack.world import START, TENANT, World
from tools.analysis.costs import Costs
from tools.collection import charges
from tools.model.access import Principal, Role
from tools.model.identifiers import random_id
from tools.settings import Settings
from tools.store.database import Database, open_database

TAGS = ("team", "env", "service")


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A database with the small organisation's bills."""
    folder = tmp_path_factory.mktemp("bills")
    path = folder / "bills.db"
    shutil.copy(sqlite_template, path)
    database = open_database(f"sqlite:///{path}", migrate=False)
    source = small.write(folder / "focus.csv")
    charges.ingest(database, TENANT, [source], tag_keys=TAGS, detail_months=4, now=lambda: START)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture
def database(bills: Path, tmp_path: Path) -> Iterator[Database]:
    """A copy of the bills for one test."""
    path = tmp_path / "state.db"
    shutil.copy(bills, path)
    opened = open_database(f"sqlite:///{path}", migrate=False)
    yield opened
    opened.dispose()


@pytest.fixture
def costs(database: Database) -> Costs:
    return Costs(database, TENANT, TAGS, 2)


@pytest_asyncio.fixture
async def bot(
    workspace: SlackWorkspace, world: World, costs: Costs, threads: Threads, tmp_path: Path
) -> AsyncIterator[AsyncApp]:
    """The app with the mind of the product, offline."""
    logging.getLogger("slack_sdk.optiinfra").setLevel(logging.CRITICAL)
    settings = Settings(_env_file=None, home=tmp_path, state_url=str(world.database.engine.url))  # type: ignore[call-arg]
    mind = build_mind(settings, world.database, costs, now=world.clock, new_id=random_id)
    services = world.services(threads, ask=mind.ask, look=Look(world.database, TENANT, costs, world.clock))
    app = build_slack(services, token=organisation.BOT_TOKEN, api_url=workspace.api_url)
    handler = socket_mode(app, organisation.APP_TOKEN, workspace.api_url, world.metrics)
    await handler.connect_async()
    yield app
    await handler.close_async()


async def test_a_real_question_and_its_follow_up(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """What was spent per service last month, then the month before, without saying it all again."""
    asked = workspace.say("priya", "cloud-costs", "@optiinfra what did we spend per service last month?")
    answer = await workspace.aio.wait_for(lambda m: m["bot"] and m["thread_ts"] == asked, timeout=15)
    kinds = {b["type"] for b in answer["blocks"]}
    assert {"section", "data_table", "data_visualization", "context", "actions"} <= kinds
    assert "1-31 Oct 2026" in answer["rendered"]
    assert "$" in answer["text"]
    await workspace.aio.press("priya", answer, "answer.receipt")
    shown = await workspace.aio.wait_for_view("priya")
    assert "SELECT" in shown["rendered"]

    follow = workspace.say("priya", "cloud-costs", "and in September?", thread_ts=asked)
    again = await workspace.aio.wait_for(lambda m: m["bot"] and m["ts"] > follow, timeout=15)
    assert "1-30 Sep 2026" in again["rendered"]


async def test_home_shows_real_figures(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Spend of the last day, of the month, and where the month ends."""
    workspace.open_home("priya")
    home = await workspace.aio.wait_for_home("priya")
    for part in ("Spent on", "This month", "Nothing waits for a decision", "complete before"):
        assert part in home["rendered"]


def test_home_without_data_says_so(tmp_path: Path, sqlite_template: Path) -> None:
    """A fresh installation shows no invented zero."""
    path = tmp_path / "fresh.db"
    shutil.copy(sqlite_template, path)
    database = open_database(f"sqlite:///{path}", migrate=False)
    look = Look(database, TENANT, Costs(database, TENANT, TAGS, 2), lambda: START)
    assert look(Principal("a@b", TENANT, "A", Role.VIEWER)).figures == ()
    database.dispose()
