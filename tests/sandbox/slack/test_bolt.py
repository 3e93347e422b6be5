"""A real Bolt app, unmodified, works in the sandbox's workspace over Socket Mode."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox import organisation
from sandbox.slack.pytest_plugin import SlackWorkspace

CARD = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "Move checkout-workers?"}},
    {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "text": {"type": "plain_text", "text": "Approve"},
                "value": "r-1",
            }
        ],
    },
]
FORM = {
    "type": "modal",
    "callback_id": "reason",
    "title": {"type": "plain_text", "text": "Why?"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": {"type": "plain_text", "text": "Reason"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}


def small_app(client: AsyncWebClient) -> AsyncApp:
    """A bot that answers mentions with a card, opens a form on a click, and has a command and a Home tab."""
    app = AsyncApp(client=client)

    @app.event("app_mention")
    async def mentioned(event: dict[str, Any], say: Any) -> None:
        await say(text="A card", blocks=CARD, thread_ts=event["ts"])

    @app.event("message")
    async def written(event: dict[str, Any], say: Any) -> None:
        if event["channel_type"] == "im":
            await say(f"You wrote: {event['text']}")

    @app.action("approve")
    async def approved(ack: Any, body: dict[str, Any], client: AsyncWebClient, respond: Any) -> None:
        await ack()
        await client.views_open(
            trigger_id=body["trigger_id"], view={**FORM, "private_metadata": body["container"]["message_ts"]}
        )
        await respond("Only you see this", response_type="ephemeral")

    @app.view("reason")
    async def submitted(ack: Any, body: dict[str, Any], view: dict[str, Any], client: AsyncWebClient) -> None:
        reason = view["state"]["values"]["why"]["text"]["value"]
        if len(reason) < 10:
            await ack(response_action="errors", errors={"why": "Say a little more."})
            return
        await ack()
        await client.chat_update(channel="C0COSTS", ts=view["private_metadata"], text=f"Approved: {reason}")

    @app.command("/cost")
    async def cost(ack: Any, command: dict[str, Any]) -> None:
        await ack(f"Costs of {command['text']}")

    @app.event("app_home_opened")
    async def home(event: dict[str, Any], client: AsyncWebClient) -> None:
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": CARD})

    return app


@pytest_asyncio.fixture
async def bot(workspace: SlackWorkspace) -> AsyncIterator[AsyncApp]:
    """The small app, connected."""
    logging.getLogger("slack_bolt").setLevel(logging.ERROR)
    app = small_app(AsyncWebClient(token=organisation.BOT_TOKEN, base_url=workspace.api_url))
    web = AsyncWebClient(token=organisation.APP_TOKEN, base_url=workspace.api_url)
    handler = AsyncSocketModeHandler(app, organisation.APP_TOKEN, web_client=web)
    await handler.connect_async()
    yield app
    await handler.close_async()


async def test_a_mention_a_click_a_form_and_an_edit(workspace: SlackWorkspace, bot: AsyncApp) -> None:
    """Priya mentions the bot, clicks its button, is told to say more, says more, and the card changes in place."""
    asked = workspace.say("priya", "cloud-costs", "@optiinfra propose something")
    card = await workspace.aio.wait_for(lambda m: m["bot"] and m["thread_ts"] == asked)
    assert card["rendered"] == "Move checkout-workers?\n[Approve]"

    await workspace.aio.press("priya", card, "approve")
    form = await workspace.aio.wait_for_view("priya")
    whisper = await workspace.aio.wait_for(lambda m: m["ephemeral_to"] == "U0PRIYA")
    assert whisper["text"] == "Only you see this"

    assert (await workspace.aio.submit("priya", form["id"], {"text": "because"}))["errors"] == {
        "why": "Say a little more."
    }
    assert (await workspace.aio.submit("priya", form["id"], {"text": "because it saves money"}))["ok"]
    changed = await workspace.aio.wait_for(lambda m: m["ts"] == card["ts"] and m["edited"])
    assert changed["text"] == "Approved: because it saves money"
    assert workspace.views("priya") == []


async def test_a_direct_message_a_command_and_home(workspace: SlackWorkspace, bot: AsyncApp) -> None:
    """Ben writes to the bot, sends /cost, and opens its Home tab."""
    workspace.say("ben", "dm:ben", "hello <there>")
    answer = await workspace.aio.wait_for(lambda m: m["bot"], channel="dm:ben")
    assert answer["text"] == "You wrote: hello &lt;there&gt;"

    workspace.command("ben", "cloud-costs", "/cost", "last week")
    told = await workspace.aio.wait_for(lambda m: m["text"] == "Costs of last week", user="ben")
    assert told["ephemeral_to"] == "U0BEN"

    workspace.open_home("ben")
    view = await workspace.aio.wait_for_home("ben")
    assert view["rendered"] == "Move checkout-workers?\n[Approve]"
