"""Reviewer: asks an outside reviewer over a signed webhook; a word that is not signed, fresh and about this plan is none."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from tools.model.errors import ProviderError, SettingsError, TransientError
from tools.model.review import Opinion, Review
from tools.model.rollout import Plan

STAMP, SIGNATURE = "X-OptiInfra-Timestamp", "X-OptiInfra-Signature"
# An answer that was signed longer ago than this may have been recorded and played again.
FRESH_SECONDS = 300
LARGEST = 64 * 1024
_HERE = {"localhost", "127.0.0.1", "::1"}


def signature(secret: str, stamp: str, body: bytes) -> str:
    """ "v0=" and the HMAC-SHA256 of "v0:STAMP:BODY": how both sides sign what they send."""
    base = b":".join((b"v0", stamp.encode(), body))
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class WebhookReviewer:
    """Posts {"nonce", "plan_hash", "plan"}; expects {"nonce", "plan_hash", "opinion", "why", "evidence"?}, signed alike.

    Raises SettingsError without a secret, or for an address to which the plan would go unencrypted.
    """

    url: str
    secret: str
    seconds: float

    def __post_init__(self) -> None:
        address = urlsplit(self.url)
        if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _HERE):
            raise SettingsError("The outside reviewer is asked over https only.", fix="Correct OPTIINFRA_REVIEWER_URL.")
        if not self.secret:
            raise SettingsError(
                "The outside reviewer's words could not be trusted without a secret.",
                fix="Set OPTIINFRA_REVIEWER_SECRET, and give it to the reviewer.",
            )

    def ask(self, plan: Plan, now: datetime) -> Review:
        """Its word on a plan; raises a ProviderError when it is late, broken, unsigned or about something else."""
        nonce = secrets.token_hex(16)
        asked = {"nonce": nonce, "plan_hash": plan.hash, "plan": asdict(plan)}
        body = json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()
        stamp = str(int(now.timestamp()))
        headers = {"Content-Type": "application/json", STAMP: stamp, SIGNATURE: signature(self.secret, stamp, body)}
        told, answer = self._post(body, headers)
        self._trust(told, answer, now)
        return _review(answer, nonce, plan, now)

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[Mapping[str, str], bytes]:
        ends = time.monotonic() + self.seconds
        try:
            with requests.post(
                self.url, data=body, headers=headers, timeout=self.seconds, allow_redirects=False, stream=True
            ) as reply:
                if reply.status_code != 200:
                    raise ProviderError(f"The outside reviewer answered with HTTP {reply.status_code}.")
                read = bytearray()
                for chunk in reply.iter_content(4096):
                    read += chunk
                    if len(read) > LARGEST:
                        raise ProviderError("The outside reviewer's answer is too long.")
                    self._within(ends)
                return reply.headers, bytes(read)
        except requests.RequestException:
            raise TransientError("The outside reviewer does not answer.") from None

    def _within(self, ends: float) -> None:
        # A time limit of a request holds for each of its reads; drops of an answer could go on for ever.
        if time.monotonic() > ends:
            raise TransientError("The outside reviewer is too slow.")

    def _trust(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        stamp = headers.get(STAMP, "")
        right = hmac.compare_digest(
            signature(self.secret, stamp, body).encode(), headers.get(SIGNATURE, "").encode("utf-8", "replace")
        )
        if not right:
            raise ProviderError("The outside reviewer's answer is not signed with the secret that it shares with us.")
        if not stamp.isascii() or not stamp.isdigit() or abs(now.timestamp() - int(stamp)) > FRESH_SECONDS:
            raise ProviderError("The outside reviewer's answer is not of this moment.")


def _review(answer: bytes, nonce: str, plan: Plan, now: datetime) -> Review:
    try:
        told: Any = json.loads(answer)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ProviderError("The outside reviewer's answer is no JSON object.")
    if (told.get("nonce"), told.get("plan_hash")) != (nonce, plan.hash):
        raise ProviderError("The outside reviewer's answer is about another plan.")
    opinion, why, evidence = told.get("opinion"), told.get("why"), told.get("evidence", [])
    if opinion not in set(Opinion) or not isinstance(why, str) or not why.strip():
        raise ProviderError("The outside reviewer said neither approve, concern nor block with a reason.")
    if not isinstance(evidence, list) or not all(isinstance(line, str) for line in evidence):
        raise ProviderError("The outside reviewer's evidence is not a list of sentences.")
    return Review("outside", Opinion(opinion), why.strip()[:1000], tuple(line[:300] for line in evidence[:10]), now)
