"""The server's manners: loopback only, no foreign origins, no real tokens, a strict content policy, live events."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from sandbox.slack.app import PAGE, build, file_content
from sandbox.slack.manifest import permissions
from sandbox.slack.pytest_plugin import SlackWorkspace
from sandbox.slack.server import Background
from tests.sandbox.slack.gallery import CARD


def ask(workspace: SlackWorkspace, method: str, path: str, body: str | None = None, **headers: str) -> Any:
    """A raw request with the headers that a browser (or an attacker) would send."""
    connection = http.client.HTTPConnection(workspace.url.removeprefix("http://"), timeout=5)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def test_real_looking_tokens_do_not_start(workspace: SlackWorkspace) -> None:
    """A token of a real workspace has no business here."""
    with pytest.raises(ValueError, match="looks real"):
        build(base_url="http://127.0.0.1:1", bot_token="xoxb-" + "1234567890123-1234567890123-abc")


def test_other_hosts_and_origins_are_refused(workspace: SlackWorkspace) -> None:
    """A page elsewhere can neither read the transcript nor click; a rebound name does not help."""
    own = {"Origin": workspace.url}
    say = json.dumps({"user": "ben", "channel": "cloud-costs", "text": "x"})
    kind = {"Content_Type": "application/json"}
    assert ask(workspace, "POST", "/sandbox/say", say, **kind, **own)[0] == 200
    assert ask(workspace, "POST", "/sandbox/say", say, **kind, Origin="https://evil.example")[0] == 403
    assert ask(workspace, "GET", "/sandbox/transcript", Origin="null")[0] == 403
    assert ask(workspace, "GET", "/", Host="evil.example")[0] == 403
    assert ask(workspace, "GET", "/api/auth.test", Host="evil.example:80")[0] == 403
    assert ask(workspace, "POST", "/sandbox/say", say, Content_Type="text/plain")[0] == 415


def test_nonsense_is_answered(workspace: SlackWorkspace) -> None:
    """Broken JSON, lists, unknown paths and people."""
    kind = {"Content_Type": "application/json"}
    assert json.loads(ask(workspace, "POST", "/sandbox/say", "{", **kind)[2])["error"] == "invalid_json"
    assert json.loads(ask(workspace, "POST", "/sandbox/say", "[]", **kind)[2])["error"] == "json_not_object"
    assert json.loads(ask(workspace, "GET", "/sandbox/events?user=nobody")[2])["error"] == "user_not_found"
    assert json.loads(ask(workspace, "GET", "/sandbox/home")[2])["error"] == "invalid_arguments"
    assert ask(workspace, "GET", "/sandbox/nothing")[0] == 404
    assert json.loads(ask(workspace, "POST", "/api/auth.test", "{", **kind)[2])["error"] == "invalid_json"
    assert json.loads(ask(workspace, "POST", "/api/auth.test", "[]", **kind)[2])["error"] == "json_not_object"
    assert (
        json.loads(ask(workspace, "POST", "/api/auth.test", "x", Content_Type="text/xml")[2])["error"]
        == "invalid_post_type"
    )


def test_the_page_is_locked_down(workspace: SlackWorkspace) -> None:
    """No inline scripts or styles, nothing from elsewhere, no framing."""
    status, headers, body = ask(workspace, "GET", "/")
    policy = headers["content-security-policy"]
    assert status == 200
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert b"<script>" not in body
    assert b"style=" not in body
    assert ask(workspace, "GET", "/archives/C0COSTS/p1795453200000001")[2] == body
    assert ask(workspace, "GET", "/page/main.js")[0] == 200
    assert ask(workspace, "GET", "/page/../app.py")[0] == 404


@pytest.mark.parametrize("path", sorted(PAGE.glob("*.js")), ids=lambda path: path.name)
def test_scripts_never_write_markup(path: Path) -> None:
    """Text from messages becomes text nodes; and each module says its job in its first line."""
    source = path.read_text()
    assert source.startswith("/** ")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", source)
    assert not re.search(r"(?:src|href)\s*[:=]\s*[\"']https?:", source)


def test_changes_are_told_as_they_happen(workspace: SlackWorkspace, web: Any) -> None:
    """Ben's stream shows what Ben sees, and nothing else."""
    with urllib.request.urlopen(f"{workspace.url}/sandbox/events?user=ben", timeout=5) as stream:
        assert stream.readline() == b": connected\n"
        web.chat_postEphemeral(channel="C0COSTS", user="U0DAN", text="not for Ben")
        workspace.open_home("ben")
        asked = workspace.say("priya", "cloud-costs", "for all")
        web.assistant_threads_setStatus(channel_id="C0COSTS", thread_ts=asked, status="thinks")
        web.chat_postMessage(channel="D0PRIYA", text="not for Ben either")
        web.views_publish(user_id="U0DAN", view={"type": "home", "blocks": CARD})
        web.views_publish(user_id="U0BEN", view={"type": "home", "blocks": CARD})
        seen = [next_event(stream) for _ in range(3)]
    assert [kind for kind, _ in seen] == ["message", "status", "home"]
    assert (seen[0][1]["message"]["text"], seen[1][1]["session"]["saying"]) == ("for all", "thinks")


def next_event(stream: Any) -> tuple[str, Any]:
    kind = ""
    while True:
        line = stream.readline().decode().strip()
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            return kind, json.loads(line.removeprefix("data: "))


def test_files_come_back_as_downloads(workspace: SlackWorkspace, web: Any) -> None:
    """Never shown in the page's origin; an upload must be as long as announced and happens once."""
    wanted = web.files_getUploadURLExternal(filename="a b.csv", length=4)
    path = f"/upload/{wanted['file_id']}"
    assert ask(workspace, "POST", path, "12345")[0] == 400
    assert ask(workspace, "POST", path, "1234")[0] == 200
    assert ask(workspace, "POST", path, "1234")[0] == 404
    assert ask(workspace, "GET", f"/files/{wanted['file_id']}")[0] == 404
    web.files_completeUploadExternal(files=[{"id": wanted["file_id"], "title": "A"}], channel_id="C0COSTS")
    status, headers, content = ask(workspace, "GET", f"/files/{wanted['file_id']}")
    assert (status, content, headers["content-type"]) == (200, b"1234", "application/octet-stream")
    assert headers["content-disposition"].startswith("attachment")


def test_multipart_uploads_are_read() -> None:
    """Older clients send forms."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhello\r\n--b--\r\n'
    assert file_content("multipart/form-data; boundary=b", body) == b"hello"
    assert file_content("text/plain", b"hello") == b"hello"


def test_it_runs_alone() -> None:
    """python -m sandbox.slack serves on a free port and says where."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.slack", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = process.stdout.readline()
    url = re.findall(r"http://127\.0\.0\.1:\d+", told)[0]
    with urllib.request.urlopen(f"{url}/sandbox/status", timeout=5) as answer:
        assert json.load(answer)["connections"] == 0
    process.terminate()
    process.wait(10)
    process.stdout.close()


def test_a_port_can_be_chosen_once() -> None:
    """Two workspaces side by side do not meet; a taken port is an error of the system."""
    first = Background().start()
    with pytest.raises(OSError, match="in use"):
        Background(int(first.url.rpartition(":")[2]))
    first.stop()


def test_the_app_is_installed_from_its_manifest(tmp_path: Path) -> None:
    """Scopes, events, commands and shortcuts are those that it declares, and no others."""
    path = tmp_path / "manifest.yaml"
    path.write_text(
        """
features:
  slash_commands: [{command: /spend}]
  shortcuts: [{callback_id: ask, type: global}, {callback_id: explain, type: message}]
oauth_config: {scopes: {bot: ["chat:write"]}}
settings: {event_subscriptions: {bot_events: [app_mention]}}
"""
    )
    made = build(base_url="http://127.0.0.1:1", manifest=path).workspace
    assert (made.scopes, made.events) == ({"chat:write"}, {"app_mention"})
    assert (made.commands, made.shortcuts, made.message_shortcuts) == (("/spend",), ("ask",), ("explain",))
    assert permissions(None) == {}
