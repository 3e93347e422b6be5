"""Text as people type it: mentions, channels and links become Slack's control sequences and rich text."""

from __future__ import annotations

import re
from collections.abc import Callable

from sandbox.slack.workspace import Json

_CONTROL = re.compile(r"<(?:[@#!][^<>\s]+|https?://[^<>\s]+)>")
_MENTION = re.compile(r"(?<![\w<@])@([a-z][a-z0-9._-]*)")
_CHANNEL = re.compile(r"(?<![\w<&#])#([a-z][a-z0-9_-]*)")
_LINK = re.compile(r"(?<![<|])\bhttps?://[^\s<>|]+")
_PIECE = re.compile(r"<(@|#|!|https?://)([^<>|]*)(?:\|([^<>]*))?>")


def escape(text: str) -> str:
    """The three characters that Slack escapes in what people write."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def typed_text(text: str, user_id: Callable[[str], str | None], channel_id: Callable[[str], str | None]) -> str:
    """What Slack stores when a person types this: escaped, with @names, #channels and links encoded."""
    pieces: list[str] = []
    position = 0
    for found in _CONTROL.finditer(text):
        pieces += [_encode(text[position : found.start()], user_id, channel_id), found.group()]
        position = found.end()
    return "".join([*pieces, _encode(text[position:], user_id, channel_id)])


def _encode(text: str, user_id: Callable[[str], str | None], channel_id: Callable[[str], str | None]) -> str:
    def mention(found: re.Match[str]) -> str:
        known = user_id(found.group(1))
        return f"<@{known}>" if known else found.group()

    def channel(found: re.Match[str]) -> str:
        known = channel_id(found.group(1))
        return f"<#{known}|{found.group(1)}>" if known else found.group()

    linked = _LINK.sub(lambda found: f"<{found.group()}>", escape(text))
    return _CHANNEL.sub(channel, _MENTION.sub(mention, linked))


def rich_text(text: str) -> Json:
    """The rich_text block that Slack's composer sends beside a text with control sequences."""
    elements: list[Json] = []
    position = 0
    for found in _PIECE.finditer(text):
        _add_text(elements, text[position : found.start()])
        elements.append(_inline(*found.groups()))
        position = found.end()
    _add_text(elements, text[position:])
    inside = elements or [{"type": "text", "text": " "}]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": inside}]}


def _add_text(elements: list[Json], text: str) -> None:
    if text:
        elements.append({"type": "text", "text": unescape(text)})


def _inline(kind: str, target: str, label: str | None) -> Json:
    if kind == "@":
        return {"type": "user", "user_id": target}
    if kind == "#":
        return {"type": "channel", "channel_id": target}
    if kind == "!":
        return {"type": "broadcast", "range": target if target in ("here", "channel", "everyone") else "here"}
    link: Json = {"type": "link", "url": unescape(kind + target)}
    return link | ({"text": unescape(label)} if label else {})
