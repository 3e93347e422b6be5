"""Roles: which parts run in this process, how they start, and how they end together."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn

from bot.api.app import SlackDoor, build_api
from bot.api.health import Check, readiness
from bot.app import App
from bot.clock import Loop
from tools.model.errors import OptiInfraError, SettingsError
from tools.model.rollout import State
from tools.store import rollouts
from tools.telemetry.logs import get_logger

if TYPE_CHECKING:
    from fastapi import FastAPI

SLACK, OUTBOX, CLOCK, EXECUTOR = "slack", "outbox", "clock", "executor"
ROLES: dict[str, frozenset[str]] = {
    "all": frozenset({SLACK, OUTBOX, CLOCK, EXECUTOR}),
    "bot": frozenset({SLACK, OUTBOX}),
    "worker": frozenset({CLOCK}),
    "executor": frozenset({EXECUTOR}),
}
OUTBOX_SECONDS = 2.0
WATCH_SECONDS = 0.5
Tell = Callable[[str], None]
_log = get_logger(__name__)


class PartEndedError(OptiInfraError):
    """A part that should run for ever has ended; the process ends too, so that it is started again whole."""

    code = "part_ended"


async def run(app: App, role: str, *, tell: Tell) -> None:
    """Run every part of a role until SIGTERM or SIGINT; then finish the work in hand and return.

    Raises SettingsError when a part cannot start, PartEndedError when one ends by itself.
    """
    parts = ROLES[role]
    stop = asyncio.Event()
    loops: list[Loop] = []
    async with AsyncExitStack() as stack:
        stack.enter_context(_signals(stop))
        await stack.enter_async_context(_http(app, parts, tell))
        if SLACK in parts:
            await stack.enter_async_context(_slack(app, tell))
        for loop in _loops(app, parts):
            loop.start()
            loops.append(loop)
            stack.push_async_callback(asyncio.to_thread, loop.stop)
        if CLOCK in parts:
            scheduler = app.clock.start()
            stack.callback(scheduler.shutdown)
        tell(f"Running as {role}: {', '.join(sorted(parts))}.")
        await _watch(stop, loops)
        tell("Stopping: finishing the work in hand.")
    app.close()


async def _watch(stop: asyncio.Event, loops: list[Loop]) -> None:
    while not stop.is_set():
        ended = [loop.name for loop in loops if not loop.alive]
        if ended:
            raise PartEndedError(
                f"The {', '.join(ended)} ended unexpectedly; the log says why.", fix="Start the product again."
            )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), WATCH_SECONDS)


@contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(wanted, stop.set)
    try:
        yield
    finally:
        for wanted in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(wanted)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: this process ends all its parts itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _http(app: App, parts: frozenset[str], tell: Tell) -> AsyncIterator[None]:
    listener = _listen(app.settings.http_host, app.settings.http_port)
    config = uvicorn.Config(
        _api(app, parts), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    host, port = listener.getsockname()[:2]
    tell(f"Listening on http://{host}:{port}")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Cannot listen on {host}:{port} ({error.strerror}).",
            fix="Set OPTIINFRA_HTTP_HOST and OPTIINFRA_HTTP_PORT.",
        ) from error
    return listener


def _api(app: App, parts: frozenset[str]) -> FastAPI:
    async def ready() -> tuple[Check, ...]:
        return await app.threads.in_thread(readiness, app.database)

    settings = app.settings
    door = None
    secret = settings.slack_signing_secret.get_secret_value()
    if SLACK in parts and secret and settings.slack_bot_token.get_secret_value():
        from bot.slack.app import http_handler

        door = SlackDoor(secret, http_handler(app.slack, app.metrics))
    return build_api(ready, app.metrics, door)


@asynccontextmanager
async def _slack(app: App, tell: Tell) -> AsyncIterator[None]:
    settings = app.settings
    token = settings.slack_app_token.get_secret_value()
    if not settings.slack_bot_token.get_secret_value():
        tell("Slack is not connected: SLACK_BOT_TOKEN is not set.")
        yield
        return
    if not token:
        tell("Slack reaches this process over HTTP at /slack/events.")
        yield
        return
    from bot.slack.app import socket_mode

    handler = socket_mode(app.slack, token, settings.slack_api_url, app.metrics)
    await handler.connect_async()  # type: ignore[no-untyped-call]  # untyped upstream
    tell("Connected to Slack (Socket Mode).")
    try:
        yield
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]  # untyped upstream


def _loops(app: App, parts: frozenset[str]) -> Iterator[Loop]:
    executor_bell, outbox_bell = app.bells
    if EXECUTOR in parts:
        yield Loop("executor", lambda: _execute(app), executor_bell, app.settings.poll_seconds)
    if OUTBOX in parts and app.settings.slack_bot_token.get_secret_value():
        yield Loop("outbox", app.outbox.deliver, outbox_bell, OUTBOX_SECONDS)


def _execute(app: App) -> None:
    """One round of the executor; what changed is told at once."""
    changed = app.engine.step_all()
    with app.database.read() as tx:
        standing = rollouts.standing(tx, app.tenant)
    for state in State:
        app.metrics.rollouts.labels(state).set(standing.get(state, 0))
    if changed:
        _log.info("rollouts_moved", rollouts=[r.id for r in changed], states=[str(r.state) for r in changed])
        app.bells[1].ring()
