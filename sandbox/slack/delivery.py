"""Brings events, interactions and commands to the app, with Slack's retries and the faults that tests ask for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from sandbox import organisation
from sandbox.slack.faults import Faults
from sandbox.slack.http_mode import RequestUrl
from sandbox.slack.socket_mode import Ack, SocketHub
from sandbox.slack.workspace import Json, Workspace

ACK_SECONDS = 3.0
RETRY_AFTER = (0.0, 60.0, 300.0)
WAIT_FOR_APP = 30.0


class Courier:
    """One app's deliveries, over Socket Mode or to its request URL."""

    def __init__(
        self,
        workspace: Workspace,
        hub: SocketHub,
        faults: Faults,
        *,
        speed: float = 1.0,
        ack_seconds: float = ACK_SECONDS,
        request_url: RequestUrl | None = None,
    ) -> None:
        self.workspace = workspace
        self.hub = hub
        self.faults = faults
        self.speed = speed
        self.ack_seconds = ack_seconds
        self.request_url = request_url
        self.log: list[Json] = []
        self._running: set[asyncio.Task[Any]] = set()

    def event(self, event: Json, *, channel: str | None = None, user: str | None = None) -> None:
        """Delivers one event in the background, retried while nobody acknowledges it."""
        name = subscription(event, channel)
        if name in self.workspace.events:
            self._background(self._deliver_event(self._callback(event, channel, user)))

    async def interaction(self, payload: Json, *, kind: str = "interactive") -> Ack | None:
        """Delivers something a person did; None when the app did not acknowledge within three seconds."""
        await self._late()
        if self.faults.take("duplicate", kind):
            self._background(self._send(kind, payload, wait_for_app=self.ack_seconds))
        ack = await self._send(kind, payload, wait_for_app=self.ack_seconds)
        if ack is None:
            self.workspace.publish("unacknowledged", delivery=kind, user=_who(payload))
        return ack

    async def settle(self) -> None:
        """Waits until nothing is on its way any more."""
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)

    async def stop(self) -> None:
        for task in [*self._running]:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def background(self, work: Coroutine[Any, Any, Any]) -> None:
        self._background(work)

    def _background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _callback(self, event: Json, channel: str | None, user: str | None) -> Json:
        shared = channel in self.workspace.channels and self.workspace.channels[channel].is_ext_shared
        payload: Json = {
            "token": "sandbox-verification",
            "team_id": organisation.TEAM_ID,
            "api_app_id": organisation.APP_ID,
            "event": event,
            "type": "event_callback",
            "event_id": self.workspace.new_id("Ev"),
            "event_time": int(self.workspace.now()),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": organisation.TEAM_ID,
                    "user_id": organisation.BOT_USER_ID,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": shared,
            "event_context": self.workspace.new_id("EC"),
        }
        if shared:
            payload["context_team_id"] = organisation.TEAM_ID
        return payload

    async def _deliver_event(self, payload: Json) -> None:
        await self._late()
        if self.faults.take("duplicate", "events_api"):
            self._background(self._attempts(payload))
        await self._attempts(payload)

    async def _attempts(self, payload: Json) -> None:
        """First delivery, then up to three retries: at once, after a minute, after five."""
        extra: Json = {"accepts_response_payload": False, "retry_attempt": 0, "retry_reason": ""}
        for attempt, pause in enumerate((*RETRY_AFTER, None)):
            ack = await self._send("events_api", payload, wait_for_app=WAIT_FOR_APP, **extra)
            if ack is not None:
                return
            extra |= {"retry_attempt": attempt + 1, "retry_reason": "timeout"}
            if pause is None:
                self.workspace.publish("unacknowledged", delivery="events_api", user=None)
                return
            await asyncio.sleep(pause / self.speed)

    async def _send(self, kind: str, payload: Json, *, wait_for_app: float, **extra: Any) -> Ack | None:
        envelope = {"type": kind, "payload": payload, "accepts_response_payload": True, **extra}
        drop = self.faults.take("drop_acks", kind)
        started = time.monotonic()
        if self.request_url is not None:
            ack = await self.request_url.send(envelope, ack_within=self.ack_seconds)
        else:
            ack = await self.hub.send(envelope, wait_for_app=wait_for_app, ack_within=self.ack_seconds)
        elapsed = round((time.monotonic() - started) * 1000, 1)
        self.log.append({"type": kind, "acknowledged": ack is not None and not drop, "elapsed_ms": elapsed, **extra})
        return None if drop else ack

    async def _late(self) -> None:
        if fault := self.faults.take("late"):
            await asyncio.sleep(fault.seconds)


def subscription(event: Json, channel: str | None) -> str:
    """The name under which an app subscribes to this event."""
    if event["type"] != "message":
        return str(event["type"])
    return "message.im" if channel is not None and channel.startswith("D") else "message.channels"


def _who(payload: Json) -> str | None:
    user = payload.get("user")
    return str(user["id"]) if isinstance(user, dict) else payload.get("user_id")
