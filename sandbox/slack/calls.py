"""One call of a Web API method: its arguments, from forms or JSON, and what it may reach."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from sandbox.slack.workspace import Json, Message, SlackError, Workspace


@dataclass(slots=True)
class Call:
    """The arguments of one call; form values are strings, JSON values keep their types."""

    workspace: Workspace
    args: Json
    announce: Callable[[Message], None]
    announce_change: Callable[[Message], None]
    open_socket: Callable[[], str]

    def text(self, name: str) -> str:
        value = self.args.get(name)
        if value is None:
            return ""
        if isinstance(value, dict | list):
            raise SlackError("invalid_arguments", messages=[f"[ERROR] must be a string [json-pointer:/{name}]"])
        return str(value)

    def with_args(self, **args: Any) -> Call:
        """The same call with some arguments replaced."""
        return replace(self, args={**self.args, **args})

    def need(self, name: str, code: str) -> str:
        """A required argument; its absence is this error."""
        value = self.text(name)
        if not value:
            raise SlackError(code, messages=[f"[ERROR] missing required field: {name}"])
        return value


def arguments(content_type: str, body: bytes, query: Json) -> Json:
    """All arguments of a request; the body wins over the query string."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            parsed = json.loads(body or b"{}")
        except json.JSONDecodeError:
            raise SlackError("invalid_json") from None
        if not isinstance(parsed, dict):
            raise SlackError("json_not_object")
        return query | parsed
    if kind in ("application/x-www-form-urlencoded", ""):
        return query | dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    raise SlackError("invalid_post_type")


def _parsed(call: Call, name: str, code: str) -> Any:
    value = call.args.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise SlackError(code, messages=[f"[ERROR] must be valid JSON [json-pointer:/{name}]"]) from None


def json_list(call: Call, name: str, *, code: str = "invalid_arguments") -> list[Any] | None:
    """A list argument, sent as JSON or as a JSON string inside a form."""
    value = _parsed(call, name, code)
    if value is not None and not isinstance(value, list):
        raise SlackError(code, messages=[f"[ERROR] must be an array [json-pointer:/{name}]"])
    return value


def json_object(call: Call, name: str, *, code: str = "invalid_arguments") -> Json | None:
    value = _parsed(call, name, code)
    if value is not None and not isinstance(value, dict):
        raise SlackError(code, messages=[f"[ERROR] must be an object [json-pointer:/{name}]"])
    return value


def flag(call: Call, name: str) -> bool:
    return str(call.args.get(name, "")).lower() in ("true", "1")


def number(call: Call, name: str, default: int) -> int:
    value = call.text(name)
    if not value:
        return default
    if not value.isdigit():
        raise SlackError("invalid_arguments", messages=[f"[ERROR] must be an integer [json-pointer:/{name}]"])
    return int(value)


def page(call: Call, items: list[Any], default: int) -> tuple[list[Any], Json]:
    """One page of a listing, and the metadata with the cursor of the next."""
    limit = min(number(call, "limit", default) or default, 1000)
    cursor = call.text("cursor")
    if cursor and not cursor.removeprefix("next:").isdigit():
        raise SlackError("invalid_cursor")
    start = int(cursor.removeprefix("next:")) if cursor else 0
    following = f"next:{start + limit}" if start + limit < len(items) else ""
    return items[start : start + limit], {"next_cursor": following}
