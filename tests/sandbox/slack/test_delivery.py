"""Deliveries: retries, duplicates, lost acks, refreshed connections, and HTTP mode with real signatures."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from slack_bolt.adapter.asgi.async_handler import AsyncSlackRequestHandler
from slack_sdk.signature import SignatureVerifier

from sandbox import organisation
from sandbox.slack.client import SandboxRefusedError
from sandbox.slack.faults import Faults
from sandbox.slack.http_mode import RequestUrl, encode, sign
from sandbox.slack.pytest_plugin import SlackWorkspace
from sandbox.slack.server import HOST, listen
from sandbox.slack.workspace import Workspace
from tests.sandbox.slack.app import Heard, OwnLoop, connect, listening_app
from tests.sandbox.slack.gallery import CARD

MENTION = "@optiinfra hello"


def mentions(heard: Heard) -> list[dict[str, Any]]:
    return [body for body in heard.bodies if body["event"]["type"] == "app_mention"]


class TestFaults:
    """What tests can ask to go wrong."""

    @pytest.fixture
    def workspace_options(self) -> dict[str, Any]:
        return {"workspace": Workspace(), "speed": 20_000.0, "rate_limits": False}

    def test_a_lost_ack_brings_the_event_again(self, workspace: SlackWorkspace, heard: Heard) -> None:
        """Same event id, with the number and reason of the retry; and no more once it is acknowledged."""
        workspace.fault("drop_acks", method="events_api", times=2)
        workspace.say("ben", "dm:ben", "hello")
        workspace.until(lambda: len(heard.bodies) == 3)
        assert len({body["event_id"] for body in heard.bodies}) == 1
        retries = [headers.get("x-slack-retry-num", ["0"])[0] for headers in heard.headers]
        assert [int(number) for number in retries] == [0, 1, 2]
        workspace.until(lambda: len(workspace.status()["deliveries"]) == 3)
        assert workspace.status()["deliveries"][-1]["acknowledged"]

    def test_slack_gives_up_after_three_retries(self, workspace: SlackWorkspace, heard: Heard) -> None:
        """Four deliveries in all; people see a warning."""
        workspace.fault("drop_acks", times=9)
        workspace.say("ben", "dm:ben", "hello")
        workspace.until(lambda: len(workspace.status()["deliveries"]) == 4)
        time.sleep(0.05)
        assert len(heard.bodies) == 4

    def test_an_event_can_arrive_twice(self, workspace: SlackWorkspace, heard: Heard) -> None:
        """Once for events, once for clicks; the second is the same event or the same trigger."""
        workspace.fault("duplicate", method="events_api")
        workspace.say("ben", "dm:ben", "hello")
        workspace.until(lambda: len(heard.bodies) == 2)
        assert len({body["event_id"] for body in heard.bodies}) == 1

    def test_a_click_can_arrive_twice(self, workspace: SlackWorkspace, heard: Heard, web: Any) -> None:
        """As when a person double-clicks on a slow line."""
        ts = web.chat_postMessage(channel="C0COSTS", text="x", blocks=CARD)["ts"]
        workspace.fault("duplicate", method="interactive")
        workspace.click("ben", "cloud-costs", ts, "rollout.approve")
        workspace.until(lambda: len(heard.actions) == 2)

    def test_an_event_can_be_late(self, workspace: SlackWorkspace, heard: Heard) -> None:
        """A later one overtakes it."""
        workspace.fault("late", seconds=0.15)
        workspace.say("ben", "dm:ben", "first")
        workspace.say("ben", "dm:ben", "second")
        workspace.until(lambda: len(heard.bodies) == 2)
        assert heard.texts("message") == ["second", "first"]

    def test_a_refreshed_connection_loses_nothing(self, workspace: SlackWorkspace, heard: Heard) -> None:
        """Slack asks the app to reconnect; what is said meanwhile arrives."""
        workspace.fault("refresh")
        workspace.say("ben", "dm:ben", "meanwhile")
        assert workspace.until(lambda: heard.texts("message"), timeout=20) == ["meanwhile"]

    def test_a_command_that_is_not_acknowledged(self, workspace: SlackWorkspace, heard: Heard) -> None:
        """The person reads that it failed; a script that waits is told as well."""
        workspace.fault("drop_acks", method="slash_commands", times=2)
        with pytest.raises(SandboxRefusedError, match="operation_timeout"):
            workspace.post("command", user="ben", channel="cloud-costs", command="/cost", wait=True)
        workspace.command("ben", "cloud-costs", "/cost")
        told = workspace.until(lambda: [m for m in workspace.transcript(user="ben") if m["name"] == "slackbot"])
        assert "operation_timeout" in told[0]["text"]

    def test_a_form_that_is_not_acknowledged(self, workspace: SlackWorkspace, heard: Heard, web: Any) -> None:
        """It stays open, with an error."""
        from tests.sandbox.slack.gallery import FORM

        web.views_open(trigger_id=workspace.sandbox.workspace.new_trigger("U0BEN"), view=FORM)
        workspace.fault("drop_acks", method="interactive")
        view = workspace.views("ben")[0]
        answer = workspace.submit("ben", view["id"], {"reason": "because it failed", "scope": "all"})
        assert answer == {"ok": False, "error": "operation_timeout"}
        assert workspace.views("ben")

    def test_unknown_faults_are_refused(self, workspace: SlackWorkspace) -> None:
        """A typing error in a test is not silently ignored; `limits` and `clear` are no faults."""
        with pytest.raises(SandboxRefusedError, match="unknown_fault"):
            workspace.fault("earthquake")
        workspace.fault("limits", enabled=False)
        workspace.fault("late", times=5)
        assert workspace.status()["faults"][0]["kind"] == "late"
        workspace.fault("clear")
        assert workspace.status()["faults"] == []


def test_faults_fit_their_method() -> None:
    """A fault for one method leaves the others alone and is used up."""
    from sandbox.slack.faults import Fault

    faults = Faults()
    faults.plan(Fault("error", "chat.update"))
    assert faults.take("error", "chat.postMessage") is None
    assert faults.take("slow", "chat.update") is None
    assert faults.take("error", "chat.update") is not None
    assert faults.take("error", "chat.update") is None


class TestWithoutAnApp:
    """Nobody is connected."""

    @pytest.fixture
    def workspace_options(self) -> dict[str, Any]:
        return {"workspace": Workspace(), "ack_seconds": 0.05, "speed": 20_000.0}

    def test_events_wait_for_the_app(self, workspace: SlackWorkspace) -> None:
        """What is said before the app comes up reaches it then; so the demo may start in any order."""
        workspace.say("ben", "dm:ben", "early bird")
        own, heard = OwnLoop(), Heard()
        handler = own.run(connect(workspace.api_url, heard))
        workspace.until(lambda: heard.texts("message"))
        assert heard.texts("message")[0] == "early bird"
        own.run(handler.close_async())
        own.close()

    def test_a_click_does_not_wait(self, workspace: SlackWorkspace, web: Any) -> None:
        """The person sees at once that nobody answered."""
        ts = web.chat_postMessage(channel="C0COSTS", text="x", blocks=CARD)["ts"]
        workspace.post("click", user="ben", channel="C0COSTS", ts=ts, action_id="rollout.approve", wait=True)
        assert workspace.status()["deliveries"][-1]["acknowledged"] is False

    def test_a_ticket_opens_one_connection(self, workspace: SlackWorkspace, web: Any) -> None:
        """The same WebSocket address works once."""
        from slack_sdk import WebClient
        from websockets.exceptions import InvalidStatus
        from websockets.sync.client import connect as dial

        url = WebClient(base_url=workspace.api_url).apps_connections_open(app_token=organisation.APP_TOKEN)["url"]
        with dial(url, proxy=None) as socket:
            assert '"hello"' in str(socket.recv(timeout=5))
            socket.send("ping pong")
            with pytest.raises(InvalidStatus), dial(url, proxy=None):
                raise AssertionError("A used ticket opened a second connection.")


class HttpApp:
    """The listening Bolt app behind a request URL, checking signatures."""

    def __init__(self, api_url: str, secret: str) -> None:
        self.heard = Heard()
        self._socket = listen()
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}/slack/events"
        app = listening_app(api_url, self.heard, signing_secret=secret)
        config = uvicorn.Config(AsyncSlackRequestHandler(app), log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def start(self) -> HttpApp:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()


@pytest.fixture
def over_http(workspace: SlackWorkspace) -> Iterator[HttpApp]:
    app = HttpApp(workspace.api_url, organisation.SIGNING_SECRET).start()
    workspace.post("http", url=app.url)
    yield app
    app.stop()


def test_http_mode_delivers_the_same(workspace: SlackWorkspace, web: Any, over_http: HttpApp) -> None:
    """Events, clicks and commands as signed requests; the command's answer is the response body."""
    heard = over_http.heard
    workspace.say("ben", "cloud-costs", MENTION)
    workspace.until(lambda: mentions(heard))
    ts = web.chat_postMessage(channel="C0COSTS", text="x", blocks=CARD)["ts"]
    workspace.click("ben", "cloud-costs", ts, "rollout.approve")
    assert workspace.until(lambda: heard.actions)[0]["actions"][0]["value"] == "r-142:v7:10"
    workspace.command("ben", "cloud-costs", "/cost", "now")
    assert workspace.wait_for(lambda m: m["text"] == "heard /cost now")["ephemeral_to"] == "U0BEN"
    assert workspace.status()["request_url"] == over_http.url
    workspace.post("http", url="")
    assert workspace.status()["request_url"] is None


def test_http_mode_wants_a_verified_loopback_url(workspace: SlackWorkspace) -> None:
    """Other hosts are refused, and so is a URL that does not know the secret."""
    with pytest.raises(SandboxRefusedError, match="url_not_on_loopback"):
        workspace.post("http", url="https://example.com/slack/events")
    stranger = HttpApp(workspace.api_url, "another secret").start()
    with pytest.raises(SandboxRefusedError, match="url_verification_failed"):
        workspace.post("http", url=stranger.url)
    stranger.stop()


def test_signatures_are_slacks() -> None:
    """The SDK's own verifier computes the same; each kind of delivery has its encoding."""
    now_text = "1795453200"
    body = encode("interactive", {"type": "block_actions"})[1]
    verifier = SignatureVerifier("s3cret")
    assert verifier.generate_signature(timestamp=now_text, body=body) == sign("s3cret", now_text, body)
    assert encode("events_api", {"a": 1}) == ("application/json", b'{"a": 1}')
    assert encode("slash_commands", {"text": "a b"})[1] == b"text=a+b"


def test_a_dead_request_url_is_no_ack() -> None:
    """Nobody listens there."""
    bound = listen()
    url = RequestUrl(f"http://{HOST}:{bound.getsockname()[1]}/x", "s")
    bound.close()
    envelope = {"type": "events_api", "payload": {}, "retry_attempt": 1, "retry_reason": "timeout"}
    assert asyncio.run(url.send(envelope, ack_within=0.5)) is None
    assert hashlib.sha256(url.url.encode()).hexdigest()
