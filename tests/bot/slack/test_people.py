"""Who a Slack user is: team and user id decide, users.info confirms, and what is not certain is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.app import slack_client
from bot.slack.people import Actor, Directory, actor, judge
from bot.threads import Threads
from sandbox import organisation
from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.bot.slack.world import START, TENANT, World
from tools.model.access import Role
from tools.model.errors import RefusedError
from tools.store import people

TEAM = organisation.TEAM_ID


class Seconds:
    """A monotonic clock moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client(workspace: SlackWorkspace) -> AsyncWebClient:
    return slack_client(organisation.BOT_TOKEN, workspace.api_url)


async def refusal(directory: Directory, client: AsyncWebClient, acting: Actor) -> str:
    with pytest.raises(RefusedError) as caught:
        await directory.who(client, acting)
    return caught.value.reason


async def test_first_contact_binds_by_e_mail(world: World, threads: Threads, client: AsyncWebClient) -> None:
    """Priya was added by e-mail; the first message says which Slack user she is. Her day is where she lives."""
    directory = Directory(world.services(threads))
    known = await directory.who(client, Actor(TEAM, "U0PRIYA", "C0COSTS", False))
    assert (known.principal.id, known.principal.role) == ("priya@lumen.example", Role.APPROVER)
    assert known.today(START) - START in {timedelta(hours=1), timedelta(hours=2)}
    with world.database.read() as tx:
        bound = people.by_slack(tx, TENANT, TEAM, "U0PRIYA")
    assert bound is not None
    assert bound.id == "priya@lumen.example"


async def test_a_member_nobody_added_may_look(world: World, threads: Threads, client: AsyncWebClient) -> None:
    """A new colleague asks before anybody gave them a role: a viewer."""
    with world.database.begin() as tx:
        people.save(tx, TENANT, "dan@lumen.example", Role.ADMIN, slack_team=TEAM, slack_user="U0OLD", now=START)
    directory = Directory(world.services(threads))
    known = await directory.who(client, Actor(TEAM, "U0DAN", "", False))
    # The e-mail belongs to another Slack user: no rights come with it, nor the name in the audit record.
    assert (known.principal.id, known.principal.role) == ("slack:T0LUMEN:U0DAN", Role.VIEWER)


async def test_an_inactive_person_is_refused(world: World, threads: Threads, client: AsyncWebClient) -> None:
    """Bound or not, who was deactivated here does nothing."""
    with world.database.begin() as tx:
        people.save(tx, TENANT, "dan@lumen.example", Role.ADMIN, active=False, now=START)
        people.save(
            tx, TENANT, "ben@lumen.example", Role.ADMIN, active=False, slack_team=TEAM, slack_user="U0BEN", now=START
        )
    directory = Directory(world.services(threads))
    assert await refusal(directory, client, Actor(TEAM, "U0DAN", "", False)) == "inactive"
    assert await refusal(directory, client, Actor(TEAM, "U0BEN", "", False)) == "inactive"


@pytest.mark.parametrize(
    ("acting", "reason"),
    [
        (Actor(TEAM, "", "", False), "unknown_user"),
        (Actor("", "U0DAN", "", False), "unknown_user"),
        (Actor("T0PARTNER", "U0DAN", "", False), "foreign_team"),
        (Actor(TEAM, "U0OLGA", "", False), "foreign_team"),
        (Actor(TEAM, "U0GUS", "", False), "guest"),
        (Actor(TEAM, "U0NOBODY", "", False), "unknown_user"),
        (Actor(TEAM, organisation.BOT_USER_ID, "", False), "bot"),
        (Actor(TEAM, "U0PRIYA", "C0COSTS", True), "shared_channel"),
        (Actor(TEAM, "U0PRIYA", "C0PARTNER", False), "shared_channel"),
    ],
)
async def test_who_is_refused(
    world: World, threads: Threads, client: AsyncWebClient, acting: Actor, reason: str
) -> None:
    """Every way of not being one of ours, by its own reason."""
    assert await refusal(Directory(world.services(threads)), client, acting) == reason


async def test_while_slack_does_not_answer_nobody_is_let_in(
    workspace: SlackWorkspace, world: World, threads: Threads, client: AsyncWebClient
) -> None:
    """Failing closed: no auth.test, no users.info, no conversations.info - no decision; what is known lasts a minute."""
    seconds = Seconds()
    directory = Directory(world.services(threads), seconds)
    priya = Actor(TEAM, "U0PRIYA", "C0COSTS", False)
    for method in ("auth.test", "users.info", "conversations.info"):
        workspace.fault("server_error", method=method)
        assert await refusal(directory, client, priya) == "not_confirmed"
    assert (await directory.who(client, priya)).principal.name == "Priya Raman"
    before = len(workspace.calls)
    await directory.who(client, priya)
    assert len(workspace.calls) == before
    seconds.now = 61.0
    workspace.fault("error", method="users.info", error="fatal_error")
    assert await refusal(directory, client, priya) == "not_confirmed"
    gone = slack_client(organisation.BOT_TOKEN, "http://127.0.0.1:9/api/")
    assert await refusal(Directory(world.services(threads)), gone, priya) == "not_confirmed"


def test_the_directory_forgets(world: World, threads: Threads) -> None:
    """Memory follows the people who are active."""
    seconds = Seconds()
    directory = Directory(world.services(threads), seconds)
    directory._profiles = {(TEAM, f"U{n}"): (1.0, judge({}, TEAM)) for n in range(5001)}
    seconds.now = 2.0
    directory._forget()
    assert directory._profiles == {}


@pytest.mark.parametrize(
    ("info", "refusal"),
    [
        ({"team_id": TEAM}, ""),
        ({"team_id": TEAM, "deleted": True}, "deleted"),
        ({"team_id": TEAM, "is_bot": True}, "bot"),
        ({"team_id": TEAM, "id": "USLACKBOT"}, "bot"),
        ({"team_id": TEAM, "is_stranger": True}, "foreign_team"),
        ({"team_id": "T9"}, "foreign_team"),
        ({}, "foreign_team"),
        ({"team_id": TEAM, "is_restricted": True}, "guest"),
        ({"team_id": TEAM, "is_ultra_restricted": True}, "guest"),
    ],
)
def test_what_users_info_means(info: dict[str, Any], refusal: str) -> None:
    """Each flag by itself."""
    assert judge(info, TEAM).refusal == refusal


def test_who_acts_in_each_kind_of_envelope() -> None:
    """The user's own team counts, never the one in which the message stands."""
    event = {
        "event": {"user": "U1", "user_team": "T2", "channel": "C1"},
        "team_id": TEAM,
        "is_ext_shared_channel": True,
    }
    assert actor(event) == Actor("T2", "U1", "C1", True)
    click = {"user": {"id": "U1", "team_id": "T2"}, "team": {"id": TEAM}, "channel": {"id": "C1"}}
    assert actor(click) == Actor("T2", "U1", "C1", False)
    assert actor({"user": {"id": "U1"}, "team": {"id": TEAM}}).team == ""
    assert actor({"user_id": "U1", "team_id": TEAM, "channel_id": "C1"}) == Actor(TEAM, "U1", "C1", False)
    assert actor({"event": {"user": "U1", "channel": {"id": "C2"}}, "team_id": TEAM}).channel == "C2"
