"""The manifest: what Slack must be told about the app, written from the listeners and calls that exist."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from bot.slack.cards.home import EXAMPLES
from bot.slack.commands import COMMAND
from bot.slack.listeners import ACTION, EVENT, LISTENERS, VIEW

NAME = "optiinfra"
# Every Web API method that is called, and what Slack asks for it; a test compares the list with the calls in the code.
METHODS: dict[str, tuple[str, ...]] = {
    "apps.connections.open": (),
    "assistant.threads.setStatus": ("assistant:write",),
    "auth.test": (),
    "chat.getPermalink": (),
    "chat.postEphemeral": ("chat:write",),
    "chat.postMessage": ("chat:write",),
    "chat.update": ("chat:write",),
    "conversations.history": ("channels:history", "groups:history", "im:history"),
    "conversations.info": ("channels:read", "groups:read", "im:read"),
    "conversations.replies": ("channels:history", "groups:history", "im:history"),
    "users.info": ("users:read", "users:read.email"),
    "views.open": (),
    "views.publish": (),
}


def scopes() -> list[str]:
    """The bot scopes: what listeners and calls need, and nothing else."""
    asked = {scope for listener in LISTENERS for scope in listener.scopes}
    return sorted(asked | {scope for needed in METHODS.values() for scope in needed})


def events() -> list[str]:
    """The events to subscribe to."""
    return sorted({name for listener in LISTENERS if listener.kind == EVENT for name in listener.subscriptions})


def manifest() -> dict[str, Any]:
    """The whole manifest, for Socket Mode."""
    return {
        "display_information": {
            "name": NAME,
            "description": "Ask about cloud cost, check every number, and approve savings step by step.",
            "background_color": "#1f2d3d",
        },
        "features": {
            "agent_view": {
                "agent_description": "Answers questions about cloud cost and shows where every number comes from.",
                "suggested_prompts": [{"title": text, "message": text} for text in EXAMPLES],
            },
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": NAME, "always_online": True},
            "slash_commands": [
                {
                    "command": COMMAND,
                    "description": "Ask about cost, list savings and rollouts, roll back",
                    "usage_hint": "what did we spend last month? | recs | rollouts | rollback ID REASON | help",
                    "should_escape": False,
                }
            ],
        },
        "oauth_config": {"scopes": {"bot": scopes()}},
        "settings": {
            "event_subscriptions": {"bot_events": events()},
            "interactivity": {"is_enabled": any(listener.kind in {ACTION, VIEW} for listener in LISTENERS)},
            "org_deploy_enabled": False,
            "socket_mode_enabled": True,
            "token_rotation_enabled": False,
        },
    }


def as_yaml(document: dict[str, Any]) -> str:
    """The document as YAML: maps and lists in blocks, everything else as JSON writes it."""
    head = "# Written by `python -m bot.slack.manifest`; a test keeps it equal to what the app listens to.\n"
    return head + "\n".join(_lines(document, 0)) + "\n"


def _lines(value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, (dict, list)) and inner:
                yield f"{indent}{name}:"
                yield from _lines(inner, depth + 1)
            else:
                yield f"{indent}{name}: {json.dumps(inner, ensure_ascii=False)}"
        return
    for item in value:
        if isinstance(item, dict):
            first, *rest = _lines(item, depth + 1)
            yield f"{indent}- {first.strip()}"
            yield from rest
        else:
            yield f"{indent}- {json.dumps(item, ensure_ascii=False)}"


if __name__ == "__main__":
    sys.stdout.write(as_yaml(manifest()))
