"""Envelopes: what Slack (or somebody in its name) sent, checked before Bolt or we read anything out of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_bolt.request.internals import parse_body

Body = Mapping[str, Any]
# Where Bolt looks for ids: a text, an object with an id, or nothing.
_ID_OR_OBJECT = ("team", "user", "channel", "enterprise")
_TEXTS = (
    "type",
    "team_id",
    "user_id",
    "channel_id",
    "enterprise_id",
    "thread_ts",
    "event_id",
    "response_url",
    "trigger_id",
    "callback_id",
    "command",
    "subtype",
    "ts",
    "bot_id",
    "user_team",
    "app_installed_team_id",
    "tab",
)
_OBJECTS = ("event", "view", "message", "previous_message", "item", "assistant_thread", "function_data", "container")
_LISTS = ("authorizations", "actions", "response_urls")
DEEPEST = 40
_LONE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a payload goes no further."""

    why: str


def read(raw: bytes, content_type: str) -> dict[str, Any] | Malformed:
    """The payload of an HTTP request, read exactly as Bolt will read it."""
    try:
        return check(parse_body(raw.decode("utf-8"), content_type.split(";")[0].strip()))
    except (ValueError, RecursionError):
        return Malformed("not JSON or a form")


def check(body: object) -> dict[str, Any] | Malformed:
    """The body itself when everything that will be looked at has the shape it must have."""
    if not isinstance(body, dict):
        return Malformed("not an object")
    why = "" if _is_text(body) else "text that is no text"
    why = why or _shape(body, 0) or _incomplete(body)
    return Malformed(why) if why else body


def _is_text(body: object) -> bool:
    """Whether every text in it can be written as UTF-8 and kept by any database."""
    waiting = [body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if "\0" in value or (not value.isascii() and _LONE.search(value)):
                return False
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
    return True


# What a payload of each kind must bring along, and what that must have.
_REQUIRED = {"event_callback": "event", "view_submission": "view", "view_closed": "view"}


def _incomplete(body: Mapping[str, Any]) -> str:
    kind = str(body.get("type"))
    part = body.get(_REQUIRED.get(kind, ""))
    if kind in _REQUIRED and not (isinstance(part, dict) and part.get("type")):
        return f"{_REQUIRED[kind]} without a type"
    if None in (body.get("event", kind), body.get("view", kind)):
        return "an event or view that is nothing"
    return "nothing was done" if kind == "block_actions" and not body.get("actions") else ""


def _shape(body: Mapping[str, Any], depth: int) -> str:
    """What is wrong, or an empty text."""
    if depth > DEEPEST:
        return "nested too deep"
    for name in _TEXTS:
        if not isinstance(body.get(name), str | None):
            return f"{name} is no text"
    inner: list[Mapping[str, Any]] = []
    for name in _ID_OR_OBJECT:
        value = body.get(name)
        if isinstance(value, dict):
            if not isinstance(value.get("id"), str):
                return f"{name} has no id"
            inner.append(value)
        elif not isinstance(value, str | None):
            return f"{name} is no id"
    for name in _OBJECTS:
        value = body.get(name)
        if not isinstance(value, dict | None):
            return f"{name} is no object"
        inner += [value] if value is not None else []
    for name in _LISTS:
        values = body.get(name)
        if not isinstance(values, list | None) or not all(isinstance(item, dict) for item in values or ()):
            return f"{name} is no list of objects"
        inner += values or ()
    if not all(isinstance(action.get("action_id"), str) for action in body.get("actions") or ()):
        return "an action has no id"
    return next((why for part in inner if (why := _shape(part, depth + 1))), "")


def text(body: Body, *path: str) -> str:
    """The text at the end of a path of objects, or an empty text."""
    value: Any = body
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def event_key(body: Body) -> str:
    """What makes this delivery the same as another one of it; empty when nothing does."""
    event = body.get("event")
    if isinstance(event, Mapping):
        return short(f"event:{text(body, 'event_id')}") if text(body, "event_id") else ""
    actions = body.get("actions") or ()
    if actions:
        moment = text(actions[0], "action_ts")
        user, ts = text(body, "user", "id"), text(body, "container", "message_ts")
        where = ts or text(body, "container", "view_id")
        return short(f"action:{user}:{where}:{text(actions[0], 'action_id')}:{moment}") if moment else ""
    if text(body, "command"):
        return short(f"command:{text(body, 'trigger_id')}") if text(body, "trigger_id") else ""
    return ""


def message_key(channel: str, ts: str) -> str:
    """One message, however many events tell of it (a mention comes as two)."""
    return short(f"message:{channel}:{ts}")


def short(key: str) -> str:
    """A key that fits its column."""
    return key if len(key) <= 100 else key[:20] + hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def payload(body: object) -> dict[str, Any] | None:
    """What goes back with an acknowledgement: the JSON object that Bolt wrote, or nothing."""
    if not isinstance(body, str) or not body.startswith("{"):
        return None
    found = json.loads(body)
    return found if isinstance(found, dict) else None
