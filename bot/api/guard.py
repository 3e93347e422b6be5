"""The guard before Slack's HTTP mode: size, age and signature are checked before anything is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

LARGEST_BODY = 1_000_000
OLDEST_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further, as an HTTP status and a sentence."""

    status: int
    why: str


class _At(SignatureClock):
    def __init__(self, moment: float) -> None:
        self._moment = moment

    def now(self) -> float:
        return self._moment


def check(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> Refusal | None:
    """None when the request was signed with our secret within the last five minutes; header names are lower case."""
    if len(body) > LARGEST_BODY:
        return Refusal(413, "The request is too large.")
    stamp = headers.get("x-slack-request-timestamp", "")
    signature = headers.get("x-slack-signature", "")
    if not stamp.isascii() or not stamp.isdigit() or not signature:
        return Refusal(401, "The request is not signed.")
    if len(stamp) > 12 or abs(now - int(stamp)) > OLDEST_SECONDS:
        return Refusal(401, "The request is too old.")
    if not _is_text(body):
        return Refusal(400, "The request is not UTF-8 text.")
    if not SignatureVerifier(secret, _At(now)).is_valid(body=body, timestamp=stamp, signature=signature):
        return Refusal(401, "The signature does not fit.")
    return None


def _is_text(body: bytes) -> bool:
    # Slack sends UTF-8 only, and the verifier cannot read anything else.
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
