"""The control API under /sandbox/: what people do, what they see, and the faults that tests ask for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sandbox import organisation
from sandbox.slack.delivery import Courier
from sandbox.slack.faults import CONNECTION_FAULTS, KINDS, Fault
from sandbox.slack.hints import HINTS
from sandbox.slack.http_mode import RequestUrl
from sandbox.slack.pace import Pace
from sandbox.slack.people_do import People
from sandbox.slack.render import render
from sandbox.slack.workspace import Json, Message, Session, SlackError, Workspace

HEARTBEAT = 15.0
Act = Callable[[Json], Awaitable[Json]]


class Control:
    """Routes for tests, the demo and the page."""

    def __init__(self, workspace: Workspace, people: People, courier: Courier, pace: Pace) -> None:
        self.workspace = workspace
        self.people = people
        self.courier = courier
        self.pace = pace
        names = {person.user_id: person.handle for person in workspace.people.values()}
        names |= {channel.channel_id: channel.name for channel in workspace.channels.values()}
        self.names = names | {organisation.BOT_USER_ID: organisation.BOT_NAME}

    def routes(self) -> list[Route]:
        posts: dict[str, Act] = {
            "say": self.say,
            "edit": self.edit,
            "click": self.click,
            "command": self.command,
            "shortcut": self.shortcut,
            "submit": self.submit,
            "close": self.close,
            "open_home": self.open_home,
            "stop": self.stop,
            "fault": self.fault,
            "http": self.http,
        }
        gets: dict[str, Callable[[Json], Json]] = {
            "views": self.views,
            "home": self.home,
            "transcript": self.transcript,
            "directory": self.directory,
            "status": self.status,
        }
        routes = [Route(f"/sandbox/{name}", _post(act), methods=["POST"]) for name, act in posts.items()]
        routes += [Route(f"/sandbox/{name}", _get(look), methods=["GET"]) for name, look in gets.items()]
        return [*routes, Route("/sandbox/events", self.events, methods=["GET"])]

    # Doing -----------------------------------------------------------------------------------------------------

    async def say(self, body: Json) -> Json:
        message = self.people.say(
            _need(body, "user"), _need(body, "channel"), _need(body, "text"), body.get("thread_ts")
        )
        return {"ts": message.ts, "channel": message.channel, "thread_ts": message.thread_ts}

    async def edit(self, body: Json) -> Json:
        message = self.people.change(_need(body, "user"), _need(body, "channel"), _need(body, "ts"), body.get("text"))
        return {"ts": message.ts}

    async def click(self, body: Json) -> Json:
        user, action_id = _need(body, "user"), _need(body, "action_id")
        chosen = {name: body[name] for name in ("value", "block_id") if body.get(name) is not None}
        if body.get("view_id"):
            work = self.people.click_view(user, body["view_id"], action_id, wait=_wait(body), **chosen)
        else:
            where = (_need(body, "channel"), _need(body, "ts"))
            work = self.people.click(user, *where, action_id, wait=_wait(body), **chosen)
        return {"action": await work}

    async def command(self, body: Json) -> Json:
        user, channel, command = _need(body, "user"), _need(body, "channel"), _need(body, "command")
        acknowledged = await self.people.command(user, channel, command, body.get("text", ""), wait=_wait(body))
        return {} if acknowledged else {"ok": False, "error": "operation_timeout"}

    async def shortcut(self, body: Json) -> Json:
        where = (body.get("channel"), body.get("ts"))
        await self.people.shortcut(_need(body, "user"), _need(body, "callback_id"), *where, wait=_wait(body))
        return {}

    async def submit(self, body: Json) -> Json:
        return await self.people.submit(_need(body, "user"), _need(body, "view_id"), body.get("values") or {})

    async def close(self, body: Json) -> Json:
        await self.people.close(_need(body, "user"), _need(body, "view_id"))
        return {}

    async def open_home(self, body: Json) -> Json:
        self.people.open_home(_need(body, "user"), body.get("tab", "home"))
        return {}

    async def stop(self, body: Json) -> Json:
        stopped = self.people.stop(_need(body, "user"), _need(body, "channel"), _need(body, "thread_ts"))
        return {"streaming_message_ts": stopped}

    async def fault(self, body: Json) -> Json:
        """{kind, method?, times?, seconds?, retry_after?, error?}; kind "clear" ends all; "limits" {enabled}."""
        kind = _need(body, "kind")
        if kind == "clear":
            self.courier.faults.clear()
        elif kind == "limits":
            self.pace.enabled = bool(body.get("enabled", True))
        elif kind not in KINDS:
            raise SlackError("unknown_fault", messages=[f"[ERROR] kind must be one of {', '.join(KINDS)}"])
        elif kind in CONNECTION_FAULTS:
            hub = self.courier.hub
            self.courier.background(hub.refresh() if kind == "refresh" else hub.disconnect())
        else:
            details = {
                name: body[name] for name in ("method", "times", "seconds", "retry_after", "error") if name in body
            }
            self.courier.faults.plan(Fault(kind, **details))
        return {"planned": self.courier.faults.listing()}

    async def http(self, body: Json) -> Json:
        """{url}: deliver to this loopback request URL instead of Socket Mode; an empty url goes back."""
        url = body.get("url") or ""
        if not url:
            self.courier.request_url = None
            return {}
        if not url.startswith(("http://127.0.0.1:", "http://localhost:")):
            raise SlackError("url_not_on_loopback")
        request_url = RequestUrl(url, body.get("signing_secret") or organisation.SIGNING_SECRET)
        if not await request_url.verify():
            raise SlackError("url_verification_failed")
        self.courier.request_url = request_url
        return {}

    # Looking ---------------------------------------------------------------------------------------------------

    def views(self, query: Json) -> Json:
        """The modals that a person has open, bottom first."""
        user = self.workspace.person(_need(query, "user")).user_id
        return {"views": [self.seen_view(self.workspace.views[v]) for v in self.workspace.stacks.get(user, [])]}

    def home(self, query: Json) -> Json:
        """A person's Home tab as it was published last, or null."""
        view_id = self.workspace.homes.get(self.workspace.person(_need(query, "user")).user_id)
        return {"view": self.seen_view(self.workspace.views[view_id]) if view_id else None}

    def seen_view(self, view: Json) -> Json:
        return view | {"rendered": render(view["blocks"], "", self.names)}

    def transcript(self, query: Json) -> Json:
        """{messages}: of one conversation or all, of one thread or all; with `user`, only what that person sees."""
        channel = self.workspace.channel_id(query["channel"]) if query.get("channel") else None
        reader = self.workspace.person(query["user"]).user_id if query.get("user") else None
        found = self.workspace.conversation(channel, query.get("thread_ts") or None)
        seen = [m for m in found if reader is None or self.sees(reader, m)]
        return {"messages": [self.seen(message) for message in seen], "version": self.workspace.version}

    def sees(self, user_id: str, message: Message) -> bool:
        """Whether a person sees a message: a member, and not somebody else's ephemeral one."""
        return user_id in self.workspace.members(message.channel) and message.ephemeral_to in (None, user_id)

    def seen(self, message: Message) -> Json:
        """A message as the control API tells it."""
        slack = self.workspace.as_slack(message)
        return {
            "ts": message.ts,
            "thread_ts": message.thread_ts,
            "channel": message.channel,
            "user": message.user,
            "name": self.names.get(message.user, "slackbot"),
            "bot": message.bot_id is not None,
            "text": message.text,
            "blocks": message.blocks,
            "edited": message.edited,
            "ephemeral_to": message.ephemeral_to,
            "broadcast": message.broadcast,
            "streaming": bool(message.streaming),
            "files": message.files,
            "metadata": message.metadata,
            "attachments": message.attachments,
            "reactions": slack.get("reactions", []),
            "reply_count": slack.get("reply_count", 0),
            "rendered": render(message.blocks, message.text, self.names),
        }

    def directory(self, _query: Json) -> Json:
        """People, conversations and what the app offers: all that the page needs to begin."""
        members = self.workspace.members
        return {
            "team": {"id": organisation.TEAM_ID, "name": organisation.NAME},
            "bot": {"id": organisation.BOT_USER_ID, "name": organisation.BOT_NAME},
            "people": [
                {
                    "id": p.user_id,
                    "handle": p.handle,
                    "name": p.real_name,
                    "title": p.title,
                    "guest": p.is_guest,
                    "foreign": p.team_id != organisation.TEAM_ID,
                    "dm": next((dm for dm, owner in self.workspace.dms.items() if owner == p.user_id), None),
                }
                for p in self.workspace.people.values()
            ],
            "channels": [
                {"id": c.channel_id, "name": c.name, "topic": c.topic, "members": members(c.channel_id)}
                | {"shared": c.is_ext_shared}
                for c in self.workspace.channels.values()
            ],
            "hints": list(HINTS),
            "commands": list(self.workspace.commands),
            "shortcuts": list(self.workspace.shortcuts),
            "message_shortcuts": list(self.workspace.message_shortcuts),
            "sessions": [seen_session(session) for session in self.workspace.sessions.values()],
            "prompts": [
                {"channel": channel, "thread_ts": ts, **shown}
                for (channel, ts), shown in self.workspace.prompts.items()
            ],
        }

    def status(self, _query: Json) -> Json:
        """Connections, deliveries and planned faults."""
        return {
            "connections": len(self.courier.hub.connections),
            "request_url": self.courier.request_url.url if self.courier.request_url else None,
            "deliveries": self.courier.log[-200:],
            "faults": self.courier.faults.listing(),
            "version": self.workspace.version,
        }

    # Live ------------------------------------------------------------------------------------------------------

    async def events(self, request: Request) -> Response:
        """Server-sent events: everything that changes, or with ?user= what that person sees of it."""
        try:
            name = request.query_params.get("user")
            reader = self.workspace.person(name).user_id if name else None
        except SlackError as error:
            return JSONResponse({"ok": False, "error": error.code})
        return StreamingResponse(
            self._stream(reader), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def _stream(self, reader: str | None) -> AsyncIterator[str]:
        queue = self.workspace.subscribe()
        try:
            yield ": connected\n\n"
            while True:
                try:
                    notice = await asyncio.wait_for(queue.get(), HEARTBEAT)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if self._concerns(reader, notice):
                    yield f"event: {notice['kind']}\ndata: {json.dumps(self._told(notice))}\n\n"
        finally:
            self.workspace.unsubscribe(queue)

    def _concerns(self, reader: str | None, notice: Json) -> bool:
        if reader is None:
            return True
        message = notice.get("message")
        if isinstance(message, Message):
            return self.sees(reader, message)
        session = notice.get("session")
        if isinstance(session, Session):
            return reader in self.workspace.members(session.channel)
        if "channel" in notice:
            return reader in self.workspace.members(notice["channel"])
        return notice.get("user") in (None, reader)

    def _told(self, notice: Json) -> Json:
        told = dict(notice)
        if isinstance(notice.get("message"), Message):
            told["message"] = self.seen(notice["message"])
        if isinstance(notice.get("session"), Session):
            told["session"] = seen_session(notice["session"])
        return told


def seen_session(session: Session) -> Json:
    return {
        "channel": session.channel,
        "thread_ts": session.thread_ts,
        "status": session.status,
        "title": session.title,
        "saying": session.saying,
        "loading_messages": session.loading_messages,
    }


def _need(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise SlackError("invalid_arguments", messages=[f"[ERROR] missing required field: {name}"])
    return value


def _wait(body: Json) -> bool:
    """Interactions return at once; with {"wait": true} when the app has acknowledged (or the time is over)."""
    return body.get("wait") is True


def refusal(error: SlackError) -> Json:
    answer: Json = {"ok": False, "error": error.code}
    return answer | ({"response_metadata": {"messages": list(error.messages)}} if error.messages else {})


def _post(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        if not request.headers.get("content-type", "").startswith("application/json"):
            return JSONResponse({"ok": False, "error": "invalid_post_type"}, status_code=415)
        try:
            body: Any = await request.json()
            if not isinstance(body, dict):
                raise SlackError("json_not_object")
            return JSONResponse({"ok": True, **(await act(body))})
        except json.JSONDecodeError:
            return JSONResponse({"ok": False, "error": "invalid_json"})
        except SlackError as error:
            return JSONResponse(refusal(error))

    return serve


def _get(look: Callable[[Json], Json]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            return JSONResponse({"ok": True, **look(dict(request.query_params))})
        except SlackError as error:
            return JSONResponse(refusal(error))

    return serve
