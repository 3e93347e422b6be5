"""HTTP mode: the same payloads as signed requests to the app's request URL."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlencode

from sandbox.slack.socket_mode import Ack
from sandbox.slack.workspace import Json


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Slack's v0 signature of one request."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def encode(kind: str, payload: Json) -> tuple[str, bytes]:
    """Content type and body: events as JSON, commands as a form, interactions as a form with JSON inside."""
    if kind == "events_api":
        return "application/json", json.dumps(payload).encode()
    fields = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return "application/x-www-form-urlencoded", urlencode(fields).encode()


@dataclass(frozen=True, slots=True)
class RequestUrl:
    """The app's request URL and the secret that both sides know."""

    url: str
    signing_secret: str

    async def send(self, envelope: Json, *, ack_within: float) -> Ack | None:
        """Posts one delivery; None when it was not answered with a 2xx in time."""
        return await asyncio.to_thread(self._post, envelope, ack_within)

    async def verify(self) -> bool:
        """Slack's url_verification: the app must answer with the challenge."""
        challenge = hashlib.sha256(self.url.encode()).hexdigest()
        body = {"type": "url_verification", "challenge": challenge, "token": "sandbox"}
        answer = await self.send({"type": "events_api", "payload": body}, ack_within=3.0)
        return answer is not None and challenge in (answer.payload.get("challenge"), answer.payload.get("text"))

    def _post(self, envelope: Json, ack_within: float) -> Ack | None:
        content_type, body = encode(envelope["type"], envelope["payload"])
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": sign(self.signing_secret, timestamp, body),
        }
        if envelope.get("retry_attempt"):
            headers["X-Slack-Retry-Num"] = str(envelope["retry_attempt"])
            headers["X-Slack-Retry-Reason"] = envelope["retry_reason"]
        request = urllib.request.Request(self.url, data=body, headers=headers)  # noqa: S310 - loopback, checked on entry
        try:
            with urllib.request.urlopen(request, timeout=ack_within) as answer:  # noqa: S310 - same
                return Ack(_payload(answer.read()))
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return None


def _payload(body: bytes) -> Json:
    if not body:
        return {}
    try:
        answer = json.loads(body)
    except json.JSONDecodeError:
        return {"text": body.decode(errors="replace")}
    return answer if isinstance(answer, dict) else {"text": str(answer)}
