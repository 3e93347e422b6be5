"""Posting: Slack as a place to post, edit and find messages, with every refusal in plain words."""

from __future__ import annotations

from http.client import HTTPException
from typing import Any, Protocol

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.shared.message import Message
from tools.model.errors import OptiInfraError

METADATA = "optiinfra_message"
LOOKED_THROUGH = 200
_REASONS = {
    "not_in_channel": "The bot is not in channel {channel}. Invite it there: /invite @optiinfra",
    "channel_not_found": "There is no channel {channel} that the bot can see. Check the channel's id and invite the bot.",
    "is_archived": "Channel {channel} is archived. Choose another channel.",
    "restricted_action": "A workspace setting forbids the bot to post in {channel}.",
    "missing_scope": "The Slack app lacks a permission. Update it with deploy/slack/manifest.yaml and install it again.",
    "invalid_auth": "Slack does not accept the bot's token. Install the app again and copy its Bot token.",
    "token_revoked": "The bot's token was revoked. Install the app again and copy its Bot token.",
    "account_inactive": "The bot was removed from the workspace. Install the app again.",
}


class NotDeliveredError(OptiInfraError):
    """Slack did not take a message. `retry_in` is the seconds that Slack asked to wait, if it did."""

    code = "not_delivered"

    def __init__(self, reason: str, what: str, retry_in: float | None = None) -> None:
        super().__init__(what)
        self.reason = reason
        self.retry_in = retry_in


class Transport(Protocol):
    """Where messages go. `key` names a message for good; every method raises NotDeliveredError."""

    def post(self, channel: str, message: Message, key: str, thread_ts: str = "", broadcast: bool = False) -> str:
        """Post it; return the ts under which it stands."""
        ...

    def edit(self, channel: str, ts: str, message: Message, key: str) -> None:
        """Put the message in place of the one that stands there."""
        ...

    def find(self, channel: str, key: str, thread_ts: str = "") -> str:
        """The ts of the message with that key among the newest ones, or an empty text."""
        ...

    def permalink(self, channel: str, ts: str) -> str:
        """The address of a message, or an empty text when Slack does not tell it."""
        ...


class SlackTransport:
    """The transport over Slack's blocking Web API client: the outbox has a thread of its own."""

    def __init__(self, token: str, api_url: str, timeout: int = 15) -> None:
        # No retries inside the client: after a cut connection it would post a second time.
        self._client = WebClient(token=token, base_url=api_url, timeout=timeout, retry_handlers=[])

    def post(self, channel: str, message: Message, key: str, thread_ts: str = "", broadcast: bool = False) -> str:
        arguments: dict[str, Any] = {"thread_ts": thread_ts, "reply_broadcast": broadcast} if thread_ts else {}
        sent = self._call("chat.postMessage", channel, **shown(message), **arguments, **_labelled(key))
        return str(sent["ts"])

    def edit(self, channel: str, ts: str, message: Message, key: str) -> None:
        self._call("chat.update", channel, ts=ts, **shown(message), **_labelled(key))

    def find(self, channel: str, key: str, thread_ts: str = "") -> str:
        method = "conversations.replies" if thread_ts else "conversations.history"
        where = {"ts": thread_ts} if thread_ts else {}
        page = self._call(method, channel, include_all_metadata=True, limit=LOOKED_THROUGH, **where)
        for message in page.get("messages") or ():
            metadata = message.get("metadata") or {}
            if metadata.get("event_type") == METADATA and metadata.get("event_payload", {}).get("key") == key:
                return str(message["ts"])
        return ""

    def permalink(self, channel: str, ts: str) -> str:
        try:
            return str(self._call("chat.getPermalink", channel, message_ts=ts).get("permalink") or "")
        except NotDeliveredError:
            return ""

    def _call(self, method: str, channel: str, **arguments: Any) -> dict[str, Any]:
        try:
            data = self._client.api_call(method, json={"channel": channel, **arguments}).data
        except SlackApiError as error:
            raise refusal(error, channel) from error
        except (OSError, HTTPException, SlackClientError) as error:
            raise NotDeliveredError("unreachable", f"Slack could not be reached ({type(error).__name__}).") from error
        return data if isinstance(data, dict) else {}


def shown(message: Message) -> dict[str, Any]:
    """The arguments that show a message; links in it are never unfurled."""
    return {"text": message.text, "blocks": list(message.blocks), "unfurl_links": False, "unfurl_media": False}


def _labelled(key: str) -> dict[str, Any]:
    return {"metadata": {"event_type": METADATA, "event_payload": {"key": key}}}


def refusal(error: SlackApiError, channel: str) -> NotDeliveredError:
    """Why Slack refused, for a person."""
    response = error.response
    data = response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error") or "http_error")
    if code == "ratelimited" or response.status_code == 429:
        wait = str(response.headers.get("Retry-After") or response.headers.get("retry-after") or 1)
        seconds = float(wait) if wait.replace(".", "", 1).isdigit() else 1.0
        return NotDeliveredError("ratelimited", f"Slack asks to send less for {seconds:.0f} seconds.", seconds)
    known = _REASONS.get(code, "Slack did not take the message ({code}).")
    return NotDeliveredError(code, known.format(channel=channel, code=code))
