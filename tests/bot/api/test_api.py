"""The HTTP door tells its health, and only Slack gets through to Slack's path."""

from __future__ import annotations

import hashlib
import hmac
import time

import httpx
import pytest
from fastapi import Request, Response

from bot.api.app import SLACK_PATH, SlackDoor, build_api
from bot.api.guard import LARGEST_BODY
from bot.api.health import Check, readiness
from tools.store.database import Database, newest_revision, open_database
from tools.telemetry.metrics import Metrics

SECRET = "signing-secret"
NOW = 1_790_000_000.0


def door(database: Database, metrics: Metrics | None = None, *, slack: bool = True) -> httpx.AsyncClient:
    """A client of the door, without a network in between."""

    async def ready() -> tuple[Check, ...]:
        return readiness(database)

    async def handle(request: Request) -> Response:
        return Response(b"handled " + await request.body())

    api = build_api(ready, metrics or Metrics(), SlackDoor(SECRET, handle) if slack else None, clock=lambda: NOW)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=api), base_url="http://door")


def signed(body: bytes, *, at: float = NOW, secret: str = SECRET) -> dict[str, str]:
    """The headers with which Slack would send this body."""
    digest = hmac.new(secret.encode(), f"v0:{int(at)}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(int(at)), "X-Slack-Signature": f"v0={digest}"}


async def test_it_is_alive_and_ready(database: Database) -> None:
    """A running process with its database says so."""
    async with door(database) as client:
        assert (await client.get("/livez")).json() == {"status": "alive"}
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == [{"name": "database", "ok": True, "detail": f"schema {newest_revision()}"}]


async def test_without_its_database_it_is_alive_but_not_ready(tmp_path: object) -> None:
    """A load balancer stops sending work; nobody restarts the process for it."""
    database = open_database(f"sqlite:///{tmp_path}/new.db", migrate=False)
    async with door(database) as client:
        assert (await client.get("/livez")).status_code == 200
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "did not answer" in answer.json()["checks"][0]["detail"]
    database.dispose()


async def test_metrics_count_routes_and_not_paths(database: Database) -> None:
    """A scan for secrets leaves one label behind, not thousands."""
    metrics = Metrics()
    async with door(database, metrics) as client:
        for path in ("/livez", "/wp-login.php", "/.env", "/../etc/passwd"):
            await client.get(path)
        text = (await client.get("/metrics")).text
    assert 'http_requests_total{code="404",method="GET",route="other"} 3.0' in text
    assert 'route="/livez"' in text


async def test_what_slack_signed_gets_through(database: Database) -> None:
    """The handler behind the guard sees the body that was signed."""
    body = b'{"type":"url_verification"}'
    async with door(database) as client:
        answer = await client.post(SLACK_PATH, content=body, headers=signed(body))
    assert answer.text == "handled " + body.decode()


@pytest.mark.parametrize(
    ("headers", "body", "status", "why"),
    [
        ({}, b"{}", 401, "not signed"),
        ({"X-Slack-Request-Timestamp": "soon", "X-Slack-Signature": "v0=1"}, b"{}", 401, "not signed"),
        ({"X-Slack-Request-Timestamp": "9" * 40, "X-Slack-Signature": "v0=1"}, b"{}", 401, "too old"),
        (signed(b"{}", at=NOW - 301), b"{}", 401, "too old"),
        (signed(b"{}", secret="another"), b"{}", 401, "does not fit"),
        (signed(b"{}"), b'{"changed":1}', 401, "does not fit"),
        (signed(b"x"), b"x" * (LARGEST_BODY + 1), 413, "too large"),
    ],
)
async def test_what_slack_did_not_sign_is_refused(
    database: Database, headers: dict[str, str], body: bytes, status: int, why: str
) -> None:
    """Unsigned, old, forged, altered or oversized requests never reach the handler."""
    async with door(database) as client:
        answer = await client.post(SLACK_PATH, content=body, headers=headers)
    assert answer.status_code == status
    assert why in answer.json()["error"]


async def test_without_a_secret_there_is_no_slack_path(database: Database) -> None:
    """An installation on Socket Mode opens no public path."""
    async with door(database, slack=False) as client:
        assert (await client.post(SLACK_PATH, content=b"{}", headers=signed(b"{}", at=time.time()))).status_code == 404
