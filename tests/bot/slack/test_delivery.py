"""Saying things to people when Slack does not make it easy: every way out is tried, and nothing is said twice."""

from __future__ import annotations

from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.shared.message import Message
from bot.shared.posting import NotDeliveredError
from bot.slack.anomalies import Anomalies
from bot.slack.app import slack_client
from bot.slack.buttons import Buttons
from bot.slack.cards import anomaly as anomaly_card
from bot.slack.cards import rollout as rollout_card
from bot.slack.delivery import Place, Voice, place
from bot.slack.people import Directory
from bot.slack.questions import Questions, words
from bot.threads import Threads
from sandbox import organisation
from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.bot.slack.world import World, proposal
from tools.model.errors import StoreUnavailableError
from tools.model.rollout import State

PRIYA = Place("C0COSTS", "", "U0PRIYA")


@pytest.fixture
def client(workspace: SlackWorkspace) -> AsyncWebClient:
    return slack_client(organisation.BOT_TOKEN, workspace.api_url)


@pytest.fixture
def voice(world: World, threads: Threads) -> Voice:
    return Voice(world.services(threads))


@pytest.fixture
def buttons(world: World, threads: Threads, voice: Voice) -> Buttons:
    services = world.services(threads)
    return Buttons(services, Directory(services), voice)


@pytest.fixture
def anomalies(world: World, threads: Threads, voice: Voice) -> Anomalies:
    services = world.services(threads)
    return Anomalies(services, Directory(services), voice)


@pytest.fixture
def questions(world: World, threads: Threads, voice: Voice) -> Questions:
    services = world.services(threads)
    return Questions(services, Directory(services), voice)


def click(carried: str = "", channel: str = "C0COSTS", **more: Any) -> dict[str, Any]:
    """A click of Priya's somewhere."""
    person = {"id": "U0PRIYA", "team_id": organisation.TEAM_ID}
    return {
        "user": person,
        "channel": {"id": channel},
        "trigger_id": "1.2.old",
        "actions": [{"value": carried}],
        **more,
    }


def told(workspace: SlackWorkspace, user: str = "priya") -> list[str]:
    """What this person saw of the bot, privately or in a direct message."""
    return [m["text"] for m in workspace.transcript(user=user) if m["bot"]]


async def test_a_whisper_finds_its_way(workspace: SlackWorkspace, client: AsyncWebClient, voice: Voice) -> None:
    """A dead response URL, then a channel without the bot: the person hears it in a direct message."""
    await voice.whisper(client, Place("C0COSTS", "", "U0PRIYA", f"{workspace.url}/response/none"), Message("one"))
    await voice.whisper(client, Place("C0COSTS", "", "U0PRIYA", "http://127.0.0.1:9/x"), Message("two"))
    await voice.whisper(client, Place("C0RANDOM", "", "U0PRIYA"), Message("three"))
    await voice.whisper(client, Place("", "", "U0PRIYA"), Message("four"))
    assert told(workspace) == ["one", "two", "three", "four"]


async def test_a_whisper_to_nobody_is_counted(client: AsyncWebClient, voice: Voice, world: World) -> None:
    """What could not be said at all is a number that somebody can watch."""
    await voice.whisper(client, Place("", "", "U0NOBODY"), Message("lost"))
    assert b'optiinfra_slack_events_total{outcome="lost",type="whisper"} 1.0' in world.metrics.text()


async def test_refused_blocks_become_text(
    workspace: SlackWorkspace, client: AsyncWebClient, voice: Voice, world: World
) -> None:
    """When Slack refuses what our own rules allowed, the words still arrive."""
    workspace.fault("error", method="chat.postMessage", error="invalid_blocks")
    await voice.say(client, PRIYA, Message("the words", ({"type": "divider"},)))
    (message,) = workspace.transcript("cloud-costs")
    assert (message["text"], message["blocks"]) == ("the words", [])
    assert b'outcome="text_only",type="message"} 1.0' in world.metrics.text()
    await voice.say(client, PRIYA, Message("cut", ({"type": "nonsense"},)))
    assert b'outcome="without_broken_blocks",type="message"} 1.0' in world.metrics.text()


async def test_a_rate_limit_is_waited_for(workspace: SlackWorkspace, client: AsyncWebClient, voice: Voice) -> None:
    """Slack says when; the answer comes then, once."""
    workspace.fault("rate_limit", method="chat.postMessage", retry_after=1)
    await voice.say(client, PRIYA, Message("patience"))
    assert [m["text"] for m in workspace.transcript("cloud-costs")] == ["patience"]


async def test_an_unreachable_slack_is_a_reason(voice: Voice) -> None:
    """No stack trace from the network either."""
    gone = slack_client(organisation.BOT_TOKEN, "http://127.0.0.1:9/api/")
    with pytest.raises(NotDeliveredError, match="Slack could not be reached"):
        await voice.say(gone, PRIYA, Message("hello"))
    await voice.status(gone, PRIYA, "is looking")


async def test_an_answer_whose_thread_is_gone_is_told_privately(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """The person deleted their question before the answer came; they still get it."""
    workspace.fault("error", method="chat.postMessage", error="thread_not_found")
    workspace.say("priya", "cloud-costs", "@optiinfra what did we spend?")
    await workspace.aio.wait_for(lambda m: m["ephemeral_to"] == "U0PRIYA" and "Answer to" in m["text"])


async def test_a_database_that_is_away_is_said(
    workspace: SlackWorkspace, bot: AsyncApp, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even taking the question in works: the person hears what happened and what to do."""

    def away(*args: object, **kwargs: object) -> bool:
        raise StoreUnavailableError("The database did not answer (locked).", fix="Try again in a minute.")

    monkeypatch.setattr("bot.slack.delivery.outbox.take_in", away)
    workspace.say("priya", "cloud-costs", "@optiinfra what did we spend?")
    message = await workspace.aio.wait_for(lambda m: m["ephemeral_to"] == "U0PRIYA")
    assert message["text"].startswith(
        "The database did not answer (locked). Nothing was changed. Try again in a minute."
    )


async def test_forms_that_open_too_late(
    workspace: SlackWorkspace, client: AsyncWebClient, buttons: Buttons, world: World
) -> None:
    """Slack closed the moment in which a form may open: the person is told to press again."""
    world.add(proposal())
    carried = rollout_card.value(world.rollout().seen)
    await buttons.ask_reason(client, click(carried), rollout_card.REJECT, carried)
    assert told(workspace) == ["Slack closed the form before it was open. Nothing was changed. Press it again."]


async def test_buttons_of_things_that_are_gone(
    workspace: SlackWorkspace,
    client: AsyncWebClient,
    buttons: Buttons,
    anomalies: Anomalies,
    questions: Questions,
    world: World,
) -> None:
    """Forged, unknown or forgotten: each click has its sentence, and nothing moves."""
    unknown = rollout_card.value(proposal("ro-unknown").seen)
    await buttons.ask_reason(client, click(), rollout_card.REJECT, "forged")
    await buttons.ask_reason(client, click(), rollout_card.REJECT, unknown)
    await buttons.decide(client, click(), rollout_card.APPROVE, unknown)
    await anomalies.investigate(client, click(), "an-gone")
    await questions.receipt(client, click(), "ans-gone")
    await questions.chosen(client, click(), "ans-gone:0")
    await questions.chosen(client, click(), "no number")
    sentences = told(workspace)
    assert len(sentences) == 7
    for part in ("I do not know this button", "There is no rollout ro-unknown", "no anomaly an-gone", "too old"):
        assert any(part in sentence for sentence in sentences)


async def test_everything_is_closed_to_strangers(
    workspace: SlackWorkspace,
    client: AsyncWebClient,
    buttons: Buttons,
    anomalies: Anomalies,
    questions: Questions,
    world: World,
) -> None:
    """A guest presses every button there is and is turned away by each, with an audit row."""
    world.add(proposal())
    carried = rollout_card.value(world.rollout().seen)
    gus = {"user": {"id": "U0GUS", "team_id": organisation.TEAM_ID}}
    note = {"view": {"private_metadata": '{"about": "an-1", "channel": "C0COSTS"}'}}
    await buttons.ask_reason(client, click(carried) | gus, rollout_card.REJECT, carried)
    await buttons.decide_now(client, click() | gus, "ro-000000000001", rollout_card.ROLLBACK, "because I want it")
    await anomalies.ask(client, click() | gus, anomaly_card.EXPECTED, "an-1")
    await anomalies.submitted(client, click() | gus | note, anomaly_card.EXPECTED)
    await anomalies.press(client, click() | gus, anomaly_card.USEFUL, "an-1")
    await anomalies.investigate(client, click() | gus, "an-1")
    await anomalies.wanted(client, {"user_id": "U0GUS", "team_id": organisation.TEAM_ID, "channel_id": "C0COSTS"}, "0")
    await buttons.propose(client, click() | gus, "rec-1")
    await questions.receipt(client, click() | gus, "ans-1")
    sentences = told(workspace, "gus")
    assert len(sentences) == 9
    assert all("Guests of this workspace" in sentence for sentence in sentences)
    assert world.rollout().state is State.PROPOSED
    assert world.metrics.text().count(b'optiinfra_authz_denied_total{reason="guest"} 9.0') == 1


async def test_an_anomaly_that_is_gone_cannot_be_expected(
    workspace: SlackWorkspace, client: AsyncWebClient, anomalies: Anomalies
) -> None:
    """Forms come back late, and notes may be anything."""
    values = {"state": {"values": {"reason": {"value": {"value": "a planned load test"}}}}}
    for note in ('{"about": "an-gone", "channel": "C0COSTS"}', "no json", "[]"):
        view = {"view": {"callback_id": anomaly_card.EXPECTED, "private_metadata": note, **values}}
        await anomalies.submitted(client, click(channel="") | view, anomaly_card.EXPECTED)
    assert any("There is no anomaly an-gone" in sentence for sentence in told(workspace))


async def test_a_reply_that_cannot_stand_in_its_thread(
    workspace: SlackWorkspace, client: AsyncWebClient, buttons: Buttons
) -> None:
    """What was meant for a thread that is gone is told to the person who asked for it."""
    await buttons._say(client, Place("C0COSTS", "999.999", "U0PRIYA"), Message("investigated"))
    assert told(workspace) == ["investigated"]


def test_words_without_markup() -> None:
    """What people type reaches the mind as they meant it."""
    said = "<@U0OPTIINFRA> what did <@U1|ben> &amp; <#C1|costs> spend on <https://x.example|this>? &lt;b&gt; <!here>"
    assert words(said, "U0OPTIINFRA") == "what did @U1 & costs spend on this? <b> here"


def test_where_people_are_answered() -> None:
    """In the thread of an event, beneath a pressed message, by the URL of a command."""
    assert place({"event": {"channel": "C1", "ts": "1.0", "user": "U1"}}) == Place("C1", "1.0", "U1")
    pressed = {"user": {"id": "U1"}, "container": {"channel_id": "C1", "thread_ts": "2.0"}, "response_url": "u"}
    assert place(pressed) == Place("C1", "2.0", "U1", "u")
    assert place({"channel_id": "C1", "user_id": "U1"}) == Place("C1", "", "U1", "")
