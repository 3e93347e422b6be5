"""What the app may do, read from its Slack manifest: scopes, events, commands and shortcuts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parents[2] / "deploy" / "slack" / "manifest.yaml"


def shipped() -> Path | None:
    """The manifest that lies in the repository, when the sandbox runs from one."""
    return SHIPPED if SHIPPED.is_file() else None


def permissions(path: Path | None) -> dict[str, Any]:
    """Arguments for Workspace(): what this manifest grants; without one the workspace's own defaults hold."""
    if path is None:
        return {}
    import yaml

    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    features = document.get("features", {})
    shortcuts = features.get("shortcuts", [])
    return {
        "scopes": document["oauth_config"]["scopes"]["bot"],
        "events": document["settings"].get("event_subscriptions", {}).get("bot_events", []),
        "commands": [entry["command"] for entry in features.get("slash_commands", [])],
        "shortcuts": [entry["callback_id"] for entry in shortcuts if entry["type"] == "global"],
        "message_shortcuts": [entry["callback_id"] for entry in shortcuts if entry["type"] == "message"],
    }
