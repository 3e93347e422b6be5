"""The response_url endpoint: answers to an interaction, ephemeral or visible, new or in place of the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import organisation
from sandbox.slack import strict
from sandbox.slack.workspace import (
    RESPONSE_URL_SECONDS,
    RESPONSE_URL_USES,
    Json,
    Message,
    ResponseUrl,
    SlackError,
    Workspace,
    with_block_ids,
)

KNOWN = {
    "text", "blocks", "response_type", "replace_original", "delete_original", "thread_ts", "metadata", "attachments",
    "unfurl_links", "unfurl_media",
}  # fmt: skip


class Responder:
    """Posts what an app sends to a response_url or in the ack of a command."""

    def __init__(self, workspace: Workspace, announce: Callable[[Message], None]) -> None:
        self.workspace = workspace
        self.announce = announce

    def use(self, token: str, body: Any) -> None:
        """One use of a response_url."""
        url = self.workspace.response_urls.get(token)
        if url is None or self.workspace.now() - url.born > RESPONSE_URL_SECONDS:
            raise SlackError("expired_url")
        if url.uses >= RESPONSE_URL_USES:
            raise SlackError("used_url")
        if not isinstance(body, dict) or not body.keys() <= KNOWN:
            raise SlackError("invalid_payload")
        url.uses += 1
        original = self._original(url)
        if body.get("delete_original"):
            if original is not None:
                self.workspace.remove(original)
        elif body.get("replace_original") and original is not None:
            text, blocks = self._content(body)
            self.workspace.edit(original, text=text, blocks=blocks)
        else:
            self.post(url.channel, url.user, body, thread_ts=body.get("thread_ts") or url.thread_ts)

    def _original(self, url: ResponseUrl) -> Message | None:
        try:
            return self.workspace.find(url.channel, url.ts or "", ephemeral=True)
        except SlackError:
            return None

    def post(self, channel_id: str, user_id: str, body: Json, thread_ts: str | None = None) -> Message:
        """A new message from the app: for one person unless it says in_channel."""
        kind = body.get("response_type", "ephemeral")
        if kind not in ("ephemeral", "in_channel"):
            raise SlackError("invalid_payload")
        text, blocks = self._content(body)
        message = Message(
            channel_id,
            self.workspace.next_ts(),
            organisation.BOT_USER_ID,
            text,
            blocks=blocks,
            bot_id=organisation.BOT_ID,
            ephemeral_to=user_id if kind == "ephemeral" else None,
            thread_ts=thread_ts,
        )
        self.workspace.add(message)
        self.announce(message)
        return message

    def _content(self, body: Json) -> tuple[str, list[Json]]:
        text, blocks = str(body.get("text") or ""), body.get("blocks") or []
        if not text and not blocks:
            raise SlackError("no_text")
        if len(text) > strict.MESSAGE_TEXT:
            raise SlackError("msg_too_long")
        problems = strict.check_blocks(blocks, strict.MESSAGE)
        if problems:
            raise SlackError("invalid_blocks", messages=[problem.line() for problem in problems])
        if strict.blocks_too_long(blocks):
            raise SlackError("msg_blocks_too_long")
        return text, with_block_ids(blocks, self.workspace.new_id)
