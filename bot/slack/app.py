"""The Slack app: a Bolt AsyncApp wired from the list of listeners, and its two ways in - Socket Mode and HTTP."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.slack import envelope
from bot.slack.anomalies import Anomalies
from bot.slack.buttons import Buttons
from bot.slack.cards import error as error_card
from bot.slack.commands import Commands
from bot.slack.delivery import SLACK_DOWN, Voice, place
from bot.slack.envelope import Malformed
from bot.slack.home import Home
from bot.slack.listeners import Door, inbox_key, register
from bot.slack.people import Directory
from bot.slack.questions import Questions
from bot.slack.services import Services
from tools.model.errors import OptiInfraError
from tools.telemetry.logs import get_logger
from tools.telemetry.metrics import Metrics

TIMEOUT_SECONDS = 15
RETRIES = 3
# What a payload that passed the check can still do to a library that reads it.
_UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, RecursionError)
_log = get_logger(__name__)


def slack_client(token: str, api_url: str) -> AsyncWebClient:
    """Slack's Web API. It waits when Slack asks to, but never repeats a call whose fate is unknown."""
    retry = AsyncRateLimitErrorRetryHandler(max_retry_count=RETRIES)
    return AsyncWebClient(token=token, base_url=api_url, timeout=TIMEOUT_SECONDS, retry_handlers=[retry])


def build_slack(services: Services, *, token: str, api_url: str, signing_secret: str = "") -> AsyncApp:
    """The app with every listener. It blocks nothing: whatever does is called through `services.threads`."""
    app = AsyncApp(
        client=slack_client(token, api_url),
        signing_secret=signing_secret or None,
        request_verification_enabled=bool(signing_secret),
        logger=logging.getLogger("slack_bolt.optiinfra"),
    )
    directory, voice = Directory(services), Voice(services)
    questions = Questions(services, directory, voice)
    buttons = Buttons(services, directory, voice)
    anomalies = Anomalies(services, directory, voice)
    commands = Commands(services, directory, voice, questions, buttons, anomalies)
    door = Door(questions, buttons, anomalies, commands, Home(services, directory))

    async def take_in(body: dict[str, Any], next: Callable[[], Awaitable[None]]) -> BoltResponse | None:  # noqa: A002
        """Each delivery once, however often Slack repeats it; committed before it is acknowledged."""
        kind = str(body.get("type") or body.get("command") or "other")
        if not await voice.new(inbox_key(body)):
            services.metrics.slack_events.labels(_known(kind), "duplicate").inc()
            return BoltResponse(status=200, body="")
        services.metrics.slack_events.labels(_known(kind), "taken").inc()
        await next()
        return None

    async def failed(error: Exception, body: dict[str, Any], client: AsyncWebClient) -> BoltResponse:
        """The one place where what nobody caught is told: to the person without its inside, to the log with it."""
        reference = services.new_id("err")
        _log.error("slack_listener_failed", reference=reference, exc_info=error)
        services.metrics.slack_events.labels("listener", "failed").inc()
        known = isinstance(error, OptiInfraError)
        told = error_card.message(error, reference) if known else error_card.unknown(reference)  # type: ignore[arg-type]
        where = place(body)
        if where.user:
            await voice.whisper(client, where, told)
        return BoltResponse(status=200, body="")

    app.use(take_in)
    app.error(failed)
    register(app, door)
    return app


_KINDS = frozenset({"event_callback", "block_actions", "view_submission", "view_closed", "/cost", "shortcut"})


def _known(kind: str) -> str:
    return kind if kind in _KINDS else "other"


async def dispatch(app: AsyncApp, metrics: Metrics, request: Callable[[], AsyncBoltRequest]) -> BoltResponse:
    """Hand one request to Bolt; what it cannot read is refused, what nobody listens to is acknowledged."""
    try:
        answer: BoltResponse = await app.async_dispatch(request())
    except _UNREADABLE as error:
        metrics.slack_events.labels("other", "malformed").inc()
        _log.warning("unreadable_payload", error=repr(error))
        return BoltResponse(status=400, body={"error": "The payload is malformed."})
    if answer.status == 404:
        metrics.slack_events.labels("other", "unheard").inc()
        return BoltResponse(status=200, body="")
    return answer


def http_handler(app: AsyncApp, metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    """Slack's HTTP mode: what stands behind the guard that has checked size, age and signature."""

    async def handle(request: Request) -> Response:
        raw = await request.body()
        read = envelope.read(raw, request.headers.get("content-type", ""))
        if isinstance(read, Malformed):
            metrics.slack_events.labels("http", "malformed").inc()
            return JSONResponse({"error": f"The payload is malformed: {read.why}."}, status_code=400)
        headers: dict[str, Any] = dict(request.headers)
        answer = await dispatch(
            app, metrics, lambda: AsyncBoltRequest(body=raw.decode("utf-8"), query={}, headers=headers)
        )
        return Response(answer.body, status_code=answer.status, headers=answer.first_headers_without_set_cookie())

    return handle


class _Guarded(AsyncSocketModeHandler):
    """Bolt's Socket Mode, behind the same check of shapes as HTTP."""

    metrics: Metrics

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]
        body = envelope.check(req.payload)
        if isinstance(body, Malformed):
            self.metrics.slack_events.labels("socket", "malformed").inc()
            _log.warning("malformed_payload", why=body.why)
            answer = BoltResponse(status=200, body="")
        else:
            answer = await dispatch(self.app, self.metrics, lambda: _from_socket(req))
        await _acknowledge(client, req, answer)


def _from_socket(req: SocketModeRequest) -> AsyncBoltRequest:
    headers: dict[str, Any] = {}
    if req.retry_attempt is not None:
        headers["x-slack-retry-num"] = [str(req.retry_attempt)]
    return AsyncBoltRequest(mode="socket_mode", body=req.payload, headers=headers)


async def _acknowledge(client: SocketModeClient, req: SocketModeRequest, answer: BoltResponse) -> None:
    """Everything is acknowledged: Slack repeating a payload that cannot be read would help nobody."""
    payload = envelope.payload(answer.body)
    try:
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=req.envelope_id, payload=payload))
    except SLACK_DOWN as error:
        # The connection went away meanwhile; Slack delivers again, and the inbox knows it.
        _log.info("acknowledgement_lost", error=str(error)[:200])


def socket_mode(app: AsyncApp, app_token: str, api_url: str, metrics: Metrics) -> AsyncSocketModeHandler:
    """The connection through which Slack reaches this app without a public address; await its `connect_async`."""
    web = AsyncWebClient(token=app_token, base_url=api_url, timeout=TIMEOUT_SECONDS)
    handler = _Guarded(app, app_token, web_client=web, logger=logging.getLogger("slack_sdk.optiinfra"))
    handler.metrics = metrics
    return handler
