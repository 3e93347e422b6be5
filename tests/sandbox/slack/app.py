"""A Bolt app that writes down what it hears, run on a thread of its own so that tests can block."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox import organisation

Json = dict[str, Any]
logging.getLogger("slack_bolt").setLevel(logging.ERROR)
logging.getLogger("slack_sdk").setLevel(logging.CRITICAL)


class Heard:
    """Everything that reached the app."""

    def __init__(self) -> None:
        self.bodies: list[Json] = []
        self.headers: list[Any] = []
        self.actions: list[Json] = []
        self.commands: list[Json] = []
        self.shortcuts: list[Json] = []
        self.submissions: list[Json] = []
        self.closed: list[Json] = []
        self.answer_to_submissions: Json = {}
        self.answer_to_commands: Json | None = None
        self.handler: AsyncSocketModeHandler | None = None

    def events(self, kind: str) -> list[Json]:
        return [body["event"] for body in self.bodies if body["event"]["type"] == kind]

    def texts(self, kind: str) -> list[str]:
        return [event["text"] for event in self.events(kind)]


def listening_app(api_url: str, heard: Heard, **options: Any) -> AsyncApp:
    """The app: it acknowledges everything and remembers it."""
    client = AsyncWebClient(organisation.BOT_TOKEN, base_url=api_url)
    app = AsyncApp(client=client, logger=logging.getLogger("slack_bolt"), **options)

    async def event(body: Json, request: Any) -> None:
        heard.bodies.append(body)
        heard.headers.append(request.headers)

    for kind in ("app_mention", "app_home_opened", "agent_session_stopped"):
        app.event(kind)(event)
    for subtype in (None, "message_changed", "message_deleted"):
        app.event({"type": "message", "subtype": subtype})(event)

    @app.action(any_id())
    async def action(ack: Any, body: Json) -> None:
        await ack()
        heard.actions.append(body)

    @app.command("/cost")
    async def command(ack: Any, body: Json) -> None:
        heard.commands.append(body)
        await ack(**(heard.answer_to_commands or {"text": f"heard /cost {body['text']}"}))

    @app.shortcut(any_id())
    async def shortcut(ack: Any, body: Json) -> None:
        await ack()
        heard.shortcuts.append(body)

    @app.view(any_id())
    async def submitted(ack: Any, body: Json) -> None:
        heard.submissions.append(body)
        await ack(**heard.answer_to_submissions)

    @app.view_closed(any_id())
    async def closed(ack: Any, body: Json) -> None:
        await ack()
        heard.closed.append(body)

    return app


def any_id() -> Any:
    import re

    return re.compile(".*")


class OwnLoop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def close(self) -> None:
        self.run(_cancel_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def connect(api_url: str, heard: Heard) -> AsyncSocketModeHandler:
    app = listening_app(api_url, heard)
    web = AsyncWebClient(organisation.APP_TOKEN, base_url=api_url)
    handler = AsyncSocketModeHandler(app, organisation.APP_TOKEN, web_client=web, logger=logging.getLogger("slack_sdk"))
    await handler.connect_async()
    return handler
