"""The manifest asks for exactly what the app listens to and calls."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml

from bot.slack import manifest
from bot.slack.cards import anomaly, answer, home, recommendation, rollout
from bot.slack.listeners import ACTION, EVENT, LISTENERS, SLASH, VIEW, pattern
from sandbox.slack import workspace as sandbox_workspace

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "deploy" / "slack" / "manifest.yaml"


def test_the_shipped_file_is_what_the_code_says() -> None:
    """`python -m bot.slack.manifest` was run after the last change of a listener; the YAML is YAML."""
    text = FILE.read_text(encoding="utf-8")
    assert text == manifest.as_yaml(manifest.manifest())
    assert yaml.safe_load(text) == manifest.manifest()


def test_events_and_commands_have_their_listener_and_the_other_way_round() -> None:
    """A subscription nobody answers, or a listener nobody calls, would be a lie."""
    shipped = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    subscribed = {name.partition(".")[0] for name in shipped["settings"]["event_subscriptions"]["bot_events"]}
    assert subscribed == {listener.name for listener in LISTENERS if listener.kind == EVENT}
    commands = {command["command"] for command in shipped["features"]["slash_commands"]}
    assert commands == {listener.name for listener in LISTENERS if listener.kind == SLASH}
    assert "agent_view" in shipped["features"]
    assert "assistant_view" not in shipped["features"]


def test_every_call_has_its_scopes() -> None:
    """The methods that the code calls are the methods whose scopes are asked for."""
    called = {"apps.connections.open"}
    for path in [*(ROOT / "bot" / "slack").rglob("*.py"), ROOT / "bot" / "shared" / "posting.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and re.fullmatch(r"(chat|conversations)\.[a-zA-Z]+", str(node.value)):
                called.add(str(node.value))
            on_client = (
                isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "client"
            )
            if on_client and re.fullmatch(r"[a-z]+(_[a-zA-Z]+)+", node.attr) and not node.attr.startswith("send_"):
                called.add(node.attr.replace("_", "."))
    assert called == set(manifest.METHODS)
    assert set(manifest.scopes()) <= set(sandbox_workspace.BOT_SCOPES)


def test_every_button_that_is_drawn_is_heard() -> None:
    """Each action id and callback id of the cards has a listener of its own before the one that hears the rest."""
    drawn = {
        *(rollout.APPROVE, rollout.REJECT, rollout.STOP, rollout.ROLLBACK, rollout.RETRY),
        *(rollout.HAPPENED, rollout.NOT_HAPPENED, answer.SHOW_QUERY, f"{answer.CHOOSE}.0", f"{answer.CHOOSE}.menu"),
        *(recommendation.PROPOSE, anomaly.EXPECTED, anomaly.INVESTIGATE, anomaly.USEFUL, anomaly.MUTE),
        *(anomaly.UNMUTE, anomaly.REOPEN),
    }
    heard = [listener.name for listener in LISTENERS if listener.kind == ACTION]
    assert heard[-1] == "*"
    for action in drawn:
        assert any(re.fullmatch(pattern(name), action) for name in heard[:-1]), action
    forms = {rollout.REJECT, rollout.STOP, rollout.ROLLBACK, anomaly.EXPECTED, anomaly.MUTE}
    assert forms == {listener.name for listener in LISTENERS if listener.kind == VIEW} - {"*"}
    assert home.EXAMPLES
