"""The Web API: tokens, scopes, rate limits and faults around the methods; answers are 200 with `ok`, as Slack's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox import organisation
from sandbox.slack import api_chat, api_other
from sandbox.slack.calls import Call, arguments
from sandbox.slack.faults import Faults
from sandbox.slack.pace import Pace
from sandbox.slack.workspace import Json, Message, SlackError, Workspace

Method = Callable[[Call], Json]
REAL_TOKEN = re.compile(r"^xox[abeoprs]-\d{8,}|^xapp-\d-[A-Z0-9]{9,}")

# Method -> (what it does, the scope that its token needs).
METHODS: dict[str, tuple[Method, str | None]] = {
    "api.test": (lambda call: {"args": call.args}, None),
    "auth.test": (api_other.auth_test, None),
    "apps.connections.open": (api_other.connections_open, "connections:write"),
    "blocks.validate": (api_other.validate, None),
    "bots.info": (api_chat.bots_info, "users:read"),
    "team.info": (api_other.team_info, "team:read"),
    "users.info": (api_other.users_info, "users:read"),
    "users.list": (api_other.users_list, "users:read"),
    "users.lookupByEmail": (api_other.lookup_by_email, "users:read.email"),
    "chat.postMessage": (api_chat.post_message, "chat:write"),
    "chat.update": (api_chat.update, "chat:write"),
    "chat.delete": (api_chat.delete, "chat:write"),
    "chat.postEphemeral": (api_chat.post_ephemeral, "chat:write"),
    "chat.getPermalink": (api_chat.get_permalink, None),
    "chat.unfurl": (api_chat.unfurl, "links:write"),
    "chat.startStream": (api_chat.start_stream, "chat:write"),
    "chat.appendStream": (api_chat.append_stream, "chat:write"),
    "chat.stopStream": (api_chat.stop_stream, "chat:write"),
    "assistant.threads.setStatus": (api_chat.set_status, "assistant:write"),
    "assistant.threads.setTitle": (api_chat.set_title, "assistant:write"),
    "assistant.threads.setSuggestedPrompts": (api_chat.set_suggested_prompts, "assistant:write"),
    "agents.sessions.setStatus": (api_chat.set_session_status, "chat:write"),
    "agents.sessions.rename": (api_chat.rename_session, "chat:write"),
    "reactions.add": (api_chat.add_reaction, "reactions:write"),
    "reactions.remove": (api_chat.remove_reaction, "reactions:write"),
    "views.open": (api_other.views_open, None),
    "views.push": (api_other.views_push, None),
    "views.update": (api_other.views_update, None),
    "views.publish": (api_other.views_publish, None),
    "conversations.list": (api_other.conversations_list, "channels:read"),
    "conversations.info": (api_other.conversations_info, "channels:read"),
    "conversations.members": (api_other.conversations_members, "channels:read"),
    "conversations.history": (api_other.conversations_history, "channels:history"),
    "conversations.replies": (api_other.conversations_replies, "channels:history"),
    "conversations.open": (api_other.conversations_open, "im:write"),
    "files.getUploadURLExternal": (api_other.get_upload_url, "files:write"),
    "files.completeUploadExternal": (api_other.complete_upload, "files:write"),
    "files.info": (api_other.files_info, "files:read"),
}
APP_METHODS = ("apps.connections.open",)


@dataclass(slots=True)
class WebApi:
    """Serves /api/METHOD for one workspace."""

    workspace: Workspace
    pace: Pace
    faults: Faults
    announce: Callable[[Message], None]
    announce_change: Callable[[Message], None]
    open_socket: Callable[[], str]
    bot_token: str = organisation.BOT_TOKEN
    app_token: str = organisation.APP_TOKEN
    calls: list[Json] | None = None

    async def serve(self, request: Request) -> Response:
        method = request.path_params["method"]
        if failed := await self._fault(method):
            return failed
        try:
            args = arguments(request.headers.get("content-type", ""), await request.body(), dict(request.query_params))
            answer = {"ok": True, **self._answer(method, args, request.headers.get("authorization", ""))}
        except SlackError as error:
            answer = {"ok": False, "error": error.code, **error.extra}
            if error.messages:
                answer["response_metadata"] = {"messages": list(error.messages)}
        self._note(method, answer)
        if answer.get("error") == "ratelimited":
            return limited(answer.pop("retry_after"))
        return JSONResponse(answer)

    def _answer(self, method: str, args: Json, authorization: str) -> Json:
        if method not in METHODS:
            raise SlackError("unknown_method", req_method=method)
        act, scope = METHODS[method]
        token = str(args.pop("token", "") or authorization.partition(" ")[2])
        self._authorise(method, token, scope)
        wait = self.pace.wait(method, self._channel(args))
        if wait is not None:
            raise SlackError("ratelimited", retry_after=wait)
        call = Call(self.workspace, args, self.announce, self.announce_change, self.open_socket)
        return act(call)

    def _authorise(self, method: str, token: str, scope: str | None) -> None:
        if not token:
            raise SlackError("not_authed")
        if REAL_TOKEN.match(token):
            raise SlackError("invalid_auth", messages=["[ERROR] This is a sandbox: never send it a real token."])
        if token not in (self.bot_token, self.app_token):
            raise SlackError("invalid_auth")
        if (token == self.app_token) != (method in APP_METHODS) and method not in ("auth.test", "api.test"):
            raise SlackError("not_allowed_token_type")
        granted = {"connections:write"} if token == self.app_token else self.workspace.scopes
        if scope is not None and scope not in granted:
            raise SlackError("missing_scope", needed=scope, provided=",".join(sorted(granted)))

    def _channel(self, args: Json) -> str | None:
        try:
            return self.workspace.channel_id(str(args.get("channel", "")))
        except SlackError:
            return None

    async def _fault(self, method: str) -> Response | None:
        if slow := self.faults.take("slow", method):
            await asyncio.sleep(slow.seconds)
        if fault := self.faults.take("rate_limit", method):
            self._note(method, {"ok": False, "error": "ratelimited"})
            return limited(fault.retry_after)
        if self.faults.take("server_error", method):
            self._note(method, {"ok": False, "error": "http_500"})
            return Response("Internal Server Error", status_code=500)
        if fault := self.faults.take("error", method):
            self._note(method, {"ok": False, "error": fault.error})
            return JSONResponse({"ok": False, "error": fault.error})
        return None

    def _note(self, method: str, answer: Json) -> None:
        if self.calls is not None:
            self.calls.append({"method": method, "ok": answer["ok"], "error": answer.get("error")})


def limited(retry_after: float) -> Response:
    """Slack's 429."""
    seconds: Any = int(retry_after) if float(retry_after).is_integer() else retry_after
    return JSONResponse({"ok": False, "error": "ratelimited"}, status_code=429, headers={"Retry-After": str(seconds)})
