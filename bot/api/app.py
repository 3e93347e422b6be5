"""The HTTP door: health, metrics, and Slack's HTTP mode behind its guard."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from bot.api import guard
from bot.api.health import Check
from tools.telemetry.metrics import Metrics

SLACK_PATH = "/slack/events"


@dataclass(frozen=True, slots=True)
class SlackDoor:
    """Slack's HTTP mode: the secret that requests are signed with, and who handles those that are."""

    signing_secret: str
    handle: Callable[[Request], Awaitable[Response]]


def build_api(
    ready: Callable[[], Awaitable[tuple[Check, ...]]],
    metrics: Metrics,
    slack: SlackDoor | None = None,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """The application. Without a SlackDoor there is no Slack path at all."""
    api = FastAPI(title="OptiInfra Cost Agent", docs_url=None, redoc_url=None, openapi_url=None)

    @api.middleware("http")
    async def measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.perf_counter()
        response = await call_next(request)
        # The route's template, not the path that was asked: unknown paths must not become labels.
        route = getattr(request.scope.get("route"), "path", "other")
        metrics.http_requests.labels(request.method, route, str(response.status_code)).inc()
        metrics.http_seconds.labels(route).observe(time.perf_counter() - began)
        return response

    @api.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @api.get("/readyz")
    async def readyz() -> JSONResponse:
        checks = await ready()
        body = {"checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks]}
        return JSONResponse(body, status_code=200 if all(c.ok for c in checks) else 503)

    @api.get("/metrics")
    async def exposed() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    if slack is not None:
        door = slack

        @api.post(SLACK_PATH)
        async def slack_events(request: Request) -> Response:
            body = await _body(request)
            refusal = guard.check(request.headers, body, door.signing_secret, clock())
            if refusal is not None:
                metrics.slack_events.labels("http", "refused").inc()
                return JSONResponse({"error": refusal.why}, status_code=refusal.status)
            return await door.handle(request)

    return api


async def _body(request: Request) -> bytes:
    """Read the body, but never much more than the guard allows."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > guard.LARGEST_BODY:
            break
    body = b"".join(chunks)
    # Starlette's own place for a body that was read: the handler behind the guard reads it again from here.
    request._body = body
    return body
