"""Socket Mode: envelopes to the app's open connections, and the acknowledgements that come back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import uuid
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox import organisation
from sandbox.slack.workspace import Json

MAX_CONNECTIONS = 10
REFRESH_GRACE = 2.0


@dataclass(slots=True)
class Ack:
    """The app's answer to one delivery, with the payload it carried (empty for a plain ack)."""

    payload: Json


@dataclass(slots=True)
class SocketHub:
    """The app's connections and the envelopes that wait for an ack."""

    tickets: set[str] = field(default_factory=set)
    connections: list[WebSocket] = field(default_factory=list)
    waiting: dict[str, asyncio.Future[Ack]] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: itertools.count[int] = field(default_factory=itertools.count)

    def ticket(self) -> str:
        """A one-time right to connect, as apps.connections.open gives it."""
        ticket = secrets.token_urlsafe(12)
        self.tickets.add(ticket)
        return ticket

    async def serve(self, socket: WebSocket) -> None:
        """One connection from hello to its end."""
        ticket = socket.query_params.get("ticket", "")
        if ticket not in self.tickets or len(self.connections) >= MAX_CONNECTIONS:
            await socket.close(code=4001)
            return
        self.tickets.discard(ticket)
        await socket.accept()
        await socket.send_text(json.dumps(self._hello()))
        self.connections.append(socket)
        self.arrived.set()
        try:
            while True:
                self._receive(await socket.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            self._forget(socket)

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.connections) + 1,
            "connection_info": {"app_id": organisation.APP_ID},
            "debug_info": {"host": "sandbox", "approximate_connection_time": 18060},
        }

    def _receive(self, text: str) -> None:
        try:
            answer = json.loads(text)
        except json.JSONDecodeError:
            return  # pings of some clients are plain text
        future = self.waiting.get(answer.get("envelope_id", "")) if isinstance(answer, dict) else None
        if future is not None and not future.done():
            payload = answer.get("payload")
            future.set_result(Ack(payload if isinstance(payload, dict) else {}))

    def _forget(self, socket: WebSocket) -> None:
        if socket in self.connections:
            self.connections.remove(socket)
        if not self.connections:
            self.arrived.clear()

    async def send(self, envelope: Json, *, wait_for_app: float, ack_within: float) -> Ack | None:
        """Sends one envelope to one connection; None when nobody was connected or nobody acknowledged in time."""
        try:
            await asyncio.wait_for(self.arrived.wait(), wait_for_app)
        except TimeoutError:
            return None
        envelope_id = str(uuid.uuid4())
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self.waiting[envelope_id] = future
        try:
            await self._write({"envelope_id": envelope_id, **envelope})
            return await asyncio.wait_for(future, ack_within)
        except TimeoutError:
            return None
        finally:
            del self.waiting[envelope_id]

    async def _write(self, envelope: Json) -> None:
        if not self.connections:
            return
        socket = self.connections[next(self._turn) % len(self.connections)]
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_text(json.dumps(envelope))

    async def refresh(self) -> None:
        """Asks every connection to come back through a new one, as Slack does every few hours.

        The old ones get nothing new, but may still acknowledge for a moment before they are closed.
        """
        word = {"type": "disconnect", "reason": "refresh_requested", "debug_info": {"host": "sandbox"}}
        leaving = [*self.connections]
        for socket in leaving:
            self._forget(socket)
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.send_text(json.dumps(word))
        await asyncio.sleep(REFRESH_GRACE)
        await self._close(leaving, 1000)

    async def disconnect(self) -> None:
        """Cuts every connection without a word."""
        leaving = [*self.connections]
        for socket in leaving:
            self._forget(socket)
        await self._close(leaving, 1011)

    async def _close(self, sockets: list[WebSocket], code: int) -> None:
        for socket in sockets:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(code=code)
