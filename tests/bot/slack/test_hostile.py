"""Whatever arrives - forged, malformed, huge, repeated - is answered or refused, changes nothing and stalls nothing."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import hmac
import json
import random
import time
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from slack_bolt.async_app import AsyncApp

from bot.api.app import SLACK_PATH, SlackDoor, build_api
from bot.slack import envelope
from bot.slack.app import build_slack, http_handler
from bot.threads import Threads
from sandbox import organisation
from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.bot.slack.world import TENANT, World, proposal
from tests.bot.stalls import longest_stall
from tools.model.rollout import State
from tools.store import audit

VALUES: tuple[Any, ...] = (
    None, 0, -1, 2**70, True, "", "x", "<!channel>", "\x00", "\ud83d", "x" * 3000, [], {}, [None], [[]], {"id": None},
    {"id": "U0PRIYA"}, {"id": 5}, [{"id": "a"}], {"type": 5}, float("inf"), "rollout.approve",
)  # fmt: skip


def templates() -> list[dict[str, Any]]:
    """One well-formed payload of every kind; the value of its button is a real card's."""
    value = proposal().seen
    carried = f"{value.rollout_id}:{value.version}:{value.stage}:{value.plan_hash}"
    person = {"id": "U0DAN", "team_id": organisation.TEAM_ID, "username": "dan"}
    team = {"id": organisation.TEAM_ID, "domain": "lumen"}
    event = {
        "type": "app_mention", "user": "U0DAN", "text": "<@U0OPTIINFRA> costs?", "ts": "1.1", "channel": "C0COSTS",
        "channel_type": "channel", "thread_ts": "1.0",
    }  # fmt: skip
    action = {"type": "button", "action_id": "rollout.approve", "block_id": "b", "value": carried, "action_ts": "1.2"}
    container = {"type": "message", "message_ts": "1.0", "channel_id": "C0APPROVE"}
    view = {
        "id": "V1", "type": "modal", "callback_id": "rollout.reject", "hash": "h", "private_metadata": json.dumps({"about": carried}),
        "state": {"values": {"reason": {"value": {"type": "plain_text_input", "value": "because I said so"}}}},
    }  # fmt: skip
    return [
        {"type": "event_callback", "team_id": organisation.TEAM_ID, "event_id": "Ev1", "event": event, "authorizations": [{"team_id": "T0LUMEN"}]},
        {"type": "event_callback", "team_id": organisation.TEAM_ID, "event_id": "Ev2", "event": {**event, "type": "message"}},
        {"type": "event_callback", "team_id": organisation.TEAM_ID, "event_id": "Ev3", "event": {"type": "app_home_opened", "user": "U0DAN", "tab": "home"}},
        {"type": "block_actions", "user": person, "team": team, "trigger_id": "1.2.3", "container": container, "channel": {"id": "C0APPROVE"}, "message": {"ts": "1.0"}, "actions": [action]},
        {"type": "view_submission", "user": person, "team": team, "view": view},
        {"command": "/cost", "text": "help", "user_id": "U0DAN", "team_id": organisation.TEAM_ID, "channel_id": "C0COSTS", "trigger_id": "1.2"},
    ]  # fmt: skip


def spoiled(chance: random.Random) -> Any:
    """A payload with one to four things wrong: a value replaced, a key gone, a branch repeated, or no object at all."""
    if chance.random() < 0.05:
        return chance.choice(VALUES)
    body = json.loads(json.dumps(chance.choice(templates())))
    for _ in range(chance.randint(1, 4)):
        here: Any = body
        while isinstance(here, (dict, list)) and here:
            key = chance.choice(list(here) if isinstance(here, dict) else range(len(here)))
            if chance.random() < 0.5 or not isinstance(here[key], (dict, list)):
                if isinstance(here, dict) and chance.random() < 0.2:
                    del here[key]
                else:
                    here[key] = copy.deepcopy(chance.choice(VALUES))
                break
            here = here[key]
    return body


class Door:
    """Slack's HTTP mode of a bot, with the guard in front of it."""

    def __init__(self, app: AsyncApp, world: World) -> None:
        async def ready() -> tuple[Any, ...]:
            return ()

        door = SlackDoor(organisation.SIGNING_SECRET, http_handler(app, world.metrics))
        api = build_api(ready, world.metrics, door)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=api), base_url="http://door")

    async def send(self, body: bytes, kind: str = "application/json") -> httpx.Response:
        moment = str(int(time.time()))
        signed = hmac.new(organisation.SIGNING_SECRET.encode(), f"v0:{moment}:".encode() + body, hashlib.sha256)
        headers = {
            "content-type": kind,
            "x-slack-request-timestamp": moment,
            "x-slack-signature": f"v0={signed.hexdigest()}",
        }
        return await self.client.post(SLACK_PATH, content=body, headers=headers)


def encoded(body: Any) -> tuple[bytes, str]:
    """As Slack would send it: events as JSON, interactions and commands as forms."""
    if isinstance(body, dict) and "command" in body:
        return urlencode(body, errors="surrogatepass").encode(), "application/x-www-form-urlencoded"
    if isinstance(body, dict) and body.get("type") in ("block_actions", "view_submission"):
        return urlencode({"payload": json.dumps(body)}).encode(), "application/x-www-form-urlencoded"
    return json.dumps(body).encode(), "application/json"


@pytest.fixture
def http_bot(workspace: SlackWorkspace, world: World, threads: Threads) -> Door:
    """The bot in HTTP mode."""
    import logging

    logging.getLogger("slack_bolt.optiinfra").setLevel(logging.CRITICAL)
    app = build_slack(
        world.services(threads),
        token=organisation.BOT_TOKEN,
        api_url=workspace.api_url,
        signing_secret=organisation.SIGNING_SECRET,
    )
    return Door(app, world)


@pytest.mark.parametrize("count", [600, pytest.param(20_000, marks=pytest.mark.prove)])
async def test_hostile_payloads(workspace: SlackWorkspace, http_bot: Door, world: World, count: int) -> None:
    """Signed but spoiled: no 5xx, no state change, no listener that fell over."""
    workspace.fault("limits", enabled=False)
    world.add(proposal())
    chance = random.Random(20261123)
    statuses: dict[int, int] = {}
    for n in range(count):
        body, kind = encoded(spoiled(chance))
        answer = await http_bot.send(body, kind)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        if n % 100 == 0:
            await asyncio.sleep(0)
    await _settled()
    assert set(statuses) <= {200, 400, 401}, statuses
    assert min(statuses[200], statuses[400]) > count / 8
    assert world.rollout().version == 1
    with world.database.read() as tx:
        assert not [x for x in audit.entries(tx, TENANT, subject=world.rollout().id) if x.outcome == "done"]
    assert b'outcome="failed",type="listener"' not in world.metrics.text()


async def _settled(seconds: float = 0.5) -> None:
    """Let what runs in the background end."""
    mine = asyncio.current_task()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and len(asyncio.all_tasks() - {mine}) > 0:
        await asyncio.sleep(seconds / 10)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b"payload={", "application/x-www-form-urlencoded"),
        (b"payload=null", "application/x-www-form-urlencoded"),
        (b"payload=[]", "application/x-www-form-urlencoded"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"[" * 100_000, "application/json"),
        (b'{"a":' * 50_000, "application/json"),
        (b'{"type":"event_callback"}', "application/json"),
        (b'{"type":"event_callback","event":null}', "application/json"),
        (b'{"type":"event_callback","event":{"type":"message"},"team":7}', "application/json"),
        (b'{"type":"block_actions","actions":[{}]}', "application/json"),
        (b'{"response_urls":[5]}', "application/json"),
    ],
)
async def test_what_cannot_be_read_is_refused(http_bot: Door, body: bytes, kind: str) -> None:
    """A signature does not make sense of nonsense: 400, with a reason."""
    answer = await http_bot.send(body, kind)
    assert answer.status_code == 400
    assert "malformed" in answer.json()["error"] or "not UTF-8" in answer.json()["error"]


async def test_unknown_kinds_are_acknowledged(http_bot: Door, world: World) -> None:
    """What Slack may send one day and nobody listens to is no error."""
    answer = await http_bot.send(b'{"type":"event_callback","event":{"type":"team_join"},"team_id":"T0LUMEN"}')
    assert answer.status_code == 200
    assert b'outcome="unheard"' in world.metrics.text()
    challenge = await http_bot.send(b'{"type":"url_verification","challenge":"abc"}')
    assert challenge.json() == {"challenge": "abc"}


async def test_the_same_signed_bytes_count_once(workspace: SlackWorkspace, http_bot: Door, world: World) -> None:
    """A recorded request that is played again asks nothing a second time."""
    body = {
        "type": "event_callback",
        "team_id": organisation.TEAM_ID,
        "event_id": "Ev77",
        "event": {
            "type": "message", "channel_type": "im", "user": "U0DAN", "text": "what did we spend?", "ts": "5.0",
            "channel": "D0DAN",
        },
    }  # fmt: skip
    for _ in range(3):
        assert (await http_bot.send(json.dumps(body).encode())).status_code == 200
    await _settled()
    assert len(world.mind.asked) == 1
    assert b'outcome="duplicate",type="event_callback"} 2.0' in world.metrics.text()


async def test_malformed_payloads_on_the_socket(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Over Socket Mode they are acknowledged and dropped; the connection lives on."""
    world.add(proposal())
    chance = random.Random(7)
    assert world.socket is not None
    for n in range(200):
        kind = chance.choice(("events_api", "interactive", "slash_commands"))
        message = {"type": kind, "envelope_id": f"e{n}", "payload": spoiled(chance), "accepts_response_payload": True}
        # Where the client puts what it received from the wire.
        await world.socket.client.enqueue_message(json.dumps(message))
    await workspace.aio.until(lambda: world.socket is None or world.socket.client.message_queue.empty())
    assert workspace.status()["connections"] == 1
    assert world.rollout().state is State.PROPOSED
    assert b'outcome="malformed",type="socket"' in world.metrics.text()
    asked = workspace.say("priya", "cloud-costs", "@optiinfra still there?")
    await workspace.aio.wait_for(lambda m: m["bot"] and m["thread_ts"] == asked)


async def test_blocking_work_does_not_stall_the_loop(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """While a mind thinks for 200 ms in each of eight questions, no tick of the loop is 50 ms late."""
    workspace.fault("limits", enabled=False)
    world.mind.thinks = 0.2

    async def ask_eight() -> None:
        wanted = len(world.mind.asked) + 8
        for n in range(8):
            await workspace.aio.say("priya", "cloud-costs", f"@optiinfra slow question {n}")
        while len(world.mind.asked) < wanted:
            await asyncio.sleep(0.01)

    assert await longest_stall(ask_eight) < 0.05


async def test_clicks_are_acknowledged_at_once(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Slack waits three seconds for an acknowledgement; the slowest of fifty clicks has it in less than half of that."""
    workspace.fault("limits", enabled=False)
    world.add(proposal())
    await asyncio.to_thread(world.outbox(workspace.api_url).deliver)
    card = await workspace.aio.wait_for(lambda m: m["metadata"] and not m["thread_ts"])
    for _ in range(50):
        await workspace.aio.press("dan", card, "rollout.approve")
    took = sorted(d["elapsed_ms"] for d in workspace.status()["deliveries"] if d["type"] == "interactive")
    assert took[-1] < 1400
    print(f"ack p50 {took[25]} ms, p99 {took[-1]} ms")  # noqa: T201 - the measured figure


def test_keys_of_the_inbox() -> None:
    """The same delivery has the same key; what cannot be told apart has none."""
    events, _, _, click, submission, command = templates()
    assert envelope.event_key(events) == "event:Ev1"
    assert envelope.event_key(click) == "action:U0DAN:1.0:rollout.approve:1.2"
    assert envelope.event_key(command) == "command:1.2"
    assert envelope.event_key(submission) == ""
    assert envelope.event_key({"actions": [{"action_id": "a"}]}) == ""
    assert envelope.event_key({"command": "/cost"}) == ""
    assert len(envelope.short("x" * 5000)) < 128
    assert envelope.payload("plain") is None
    assert envelope.payload('{"response_action": "errors"}') == {"response_action": "errors"}
