"""The server: Web API, Socket Mode, response URLs, files, control API and the page, on one loopback port."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import organisation
from sandbox.slack.control import Control, refusal
from sandbox.slack.delivery import ACK_SECONDS, Courier
from sandbox.slack.faults import Faults
from sandbox.slack.http_mode import RequestUrl
from sandbox.slack.manifest import permissions, shipped
from sandbox.slack.pace import Pace
from sandbox.slack.people_do import People
from sandbox.slack.socket_mode import SocketHub
from sandbox.slack.web_api import REAL_TOKEN, WebApi
from sandbox.slack.workspace import SlackError, Workspace

PAGE = Path(__file__).parent / "page"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
OPEN_PATHS = ("/api/", "/response/", "/upload/", "/link")


@dataclass(slots=True)
class SlackSandbox:
    """A workspace with everything that serves it; `asgi` is the application."""

    workspace: Workspace
    courier: Courier
    people: People
    control: Control
    web_api: WebApi
    asgi: ASGIApp


def build(
    *,
    base_url: str,
    workspace: Workspace | None = None,
    manifest: Path | None = None,
    speed: float = 1.0,
    ack_seconds: float = ACK_SECONDS,
    rate_limits: bool = True,
    bot_token: str = organisation.BOT_TOKEN,
    app_token: str = organisation.APP_TOKEN,
    events_url: str | None = None,
    signing_secret: str = organisation.SIGNING_SECRET,
) -> SlackSandbox:
    """Puts the parts together. `base_url` is where it will answer, for example http://127.0.0.1:8065.

    Without a `workspace` a new one is made in which the app is installed from its `manifest` (default: the repository's).
    `speed` makes Slack's slow clocks (rate limits, event retries) run that much faster. With `events_url` deliveries
    go there, signed, instead of to Socket Mode. Raises ValueError on a token that looks real.
    """
    for token in (bot_token, app_token):
        if REAL_TOKEN.match(token):
            raise ValueError(
                "That token looks real. The sandbox starts only with made-up tokens such as xoxb-sandbox-bot."
            )
    workspace = workspace or Workspace(**permissions(manifest or shipped()))
    workspace.base_url = base_url.rstrip("/")
    hub, faults, pace = SocketHub(), Faults(), Pace(workspace.now, speed, enabled=rate_limits)
    request_url = RequestUrl(events_url, signing_secret) if events_url else None
    courier = Courier(workspace, hub, faults, speed=speed, ack_seconds=ack_seconds, request_url=request_url)
    people = People(workspace, courier)
    control = Control(workspace, people, courier, pace)

    def open_socket() -> str:
        return f"{workspace.base_url.replace('http', 'ws', 1)}/link?ticket={hub.ticket()}&app_id={organisation.APP_ID}"

    web_api = WebApi(
        workspace, pace, faults, people.announce, people.announce_change, open_socket, bot_token, app_token, calls=[]
    )
    files = Files(workspace)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await hub.disconnect()
        await courier.stop()

    async def respond(request: Request) -> Response:
        return await _respond(people, request)

    routes = [
        Route("/api/{method}", web_api.serve, methods=["GET", "POST"]),
        WebSocketRoute("/link", hub.serve),
        Route("/response/{token}", respond, methods=["POST"]),
        Route("/upload/{file_id}", files.upload, methods=["POST"]),
        Route("/files/{file_id}", files.download, methods=["GET"]),
        *control.routes(),
        Route("/archives/{channel}/{message}", _page, methods=["GET"]),
        Route("/", _page, methods=["GET"]),
        Mount("/page", StaticFiles(directory=PAGE)),
    ]
    asgi = LoopbackOnly(Starlette(routes=routes, lifespan=lifespan))
    return SlackSandbox(workspace, courier, people, control, web_api, asgi)


async def _page(_request: Request) -> Response:
    return FileResponse(PAGE / "index.html", media_type="text/html")


async def _respond(people: People, request: Request) -> Response:
    try:
        people.responder.use(request.path_params["token"], await request.json())
    except SlackError as error:
        status = 404 if error.code in ("expired_url", "used_url") else 400
        return JSONResponse(refusal(error), status_code=status)
    except ValueError:
        return JSONResponse({"ok": False, "error": "invalid_payload"}, status_code=400)
    return PlainTextResponse("ok")


class Files:
    """Uploads (raw body or multipart) and downloads."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    async def upload(self, request: Request) -> Response:
        stored = self.workspace.files.get(request.path_params["file_id"])
        if stored is None or stored.content is not None:
            return PlainTextResponse("Not found", status_code=404)
        content = file_content(request.headers.get("content-type", ""), await request.body())
        if len(content) != stored.length:
            return PlainTextResponse("Length differs from what was announced", status_code=400)
        stored.content = content
        return PlainTextResponse(f"OK - {stored.length}")

    async def download(self, request: Request) -> Response:
        stored = self.workspace.files.get(request.path_params["file_id"])
        if stored is None or stored.content is None or not stored.shared:
            return PlainTextResponse("Not found", status_code=404)
        headers = {
            "Content-Disposition": f"attachment; filename={secrets.token_hex(4)}.{stored.name.rpartition('.')[2]}"
        }
        if stored.name.replace(".", "").replace("-", "").replace("_", "").isascii():
            headers["Content-Disposition"] = f'attachment; filename="{stored.name.replace(chr(34), "")}"'
        return Response(stored.content, media_type="application/octet-stream", headers=headers)


def file_content(content_type: str, body: bytes) -> bytes:
    """The file in an upload's body: the body itself, or the first part of a multipart form."""
    if not content_type.startswith("multipart/form-data"):
        return body
    parsed = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts = [part for part in parsed.walk() if not part.is_multipart()]
    payload: Any = parts[0].get_payload(decode=True) if parts else b""
    return payload if isinstance(payload, bytes) else b""


class LoopbackOnly:
    """Refuses other hosts and other origins on control and page routes, and adds the page's security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host.rpartition(":")[0] not in LOOPBACK and host not in LOOPBACK:
            await _forbidden("This server answers on loopback only.")(scope, receive, send)
            return
        guarded = not scope["path"].startswith(OPEN_PATHS)
        if guarded and not _same_origin(headers.get("origin"), host):
            await _forbidden("Other origins may not use this page or its control API.")(scope, receive, send)
            return
        await self.app(scope, receive, _secured(send) if guarded else send)


def _same_origin(origin: str | None, host: str) -> bool:
    return origin is None or origin == f"http://{host}"


def _forbidden(sentence: str) -> Response:
    return JSONResponse({"ok": False, "error": "forbidden", "message": sentence}, status_code=403)


def _secured(send: Send) -> Send:
    async def secured(message: Any) -> None:
        if message["type"] == "http.response.start":
            extra = {
                "content-security-policy": CONTENT_SECURITY,
                "x-content-type-options": "nosniff",
                "referrer-policy": "no-referrer",
                "cache-control": "no-store",
            }
            message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in extra.items())]
        await send(message)

    return secured
