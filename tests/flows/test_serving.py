"""The running product: it starts in its roles, answers, ends when told, and says why when it cannot start."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.flows.product import BOT_USER, environment, optiinfra, serve, slack_settings

BILL = Path(__file__).parent / "bill.csv"


def test_a_question_and_its_follow_up_in_slack(workspace: SlackWorkspace, tmp_path: Path) -> None:
    """Dan asks in a channel, the running bot answers in the thread, and the follow-up is understood from there."""
    env = environment(tmp_path / "home", **slack_settings(workspace.api_url))
    assert optiinfra(env, "ingest", str(BILL)).returncode == 0
    served = serve(env, tmp_path, "bot")
    try:
        ts = workspace.say("dan", "cloud-costs", f"<@{BOT_USER}> what did we spend in October 2026 by service?")
        first = workspace.until(lambda: _answer(workspace, ts, ts), 30)
        assert "$30.30" in first["rendered"]
        follow = workspace.say("dan", "cloud-costs", f"<@{BOT_USER}> and only on GCP?", ts)
        second = workspace.until(lambda: _answer(workspace, ts, follow), 30)
        assert "$10.20" in second["rendered"]
        with urllib.request.urlopen(f"{served.address}/metrics", timeout=10) as reply:
            assert b'optiinfra_slack_events_total{outcome="taken"' in reply.read()
    finally:
        assert served.stop() == 0
    assert "finishing the work in hand" in served.said
    assert "Traceback" not in served.said


def _answer(workspace: SlackWorkspace, thread: str, after: str) -> dict[str, str] | None:
    messages = workspace.transcript("cloud-costs", thread)
    return next((m for m in messages if m["user"] == BOT_USER and m["ts"] > after and "$" in m["rendered"]), None)


def test_worker_and_executor_run_without_slack(tmp_path: Path) -> None:
    """The worker does the morning's work even with nothing to read; the executor looks after rollouts."""
    env = environment(tmp_path / "home", OPTIINFRA_DIGEST_HOUR="0")
    for role in ("worker", "executor"):
        served = serve(env, tmp_path, role)
        with urllib.request.urlopen(f"{served.address}/readyz", timeout=10) as reply:
            assert reply.status == 200
        assert served.stop() == 0


def test_without_a_slack_token_it_runs_and_says_so(tmp_path: Path) -> None:
    """Health and metrics are there; what is missing is told."""
    served = serve(environment(tmp_path / "home"), tmp_path, "all")
    assert "Slack is not connected: SLACK_BOT_TOKEN is not set." in served.said
    assert served.stop() == 0


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    """One sentence on stderr and exit code 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = optiinfra(environment(tmp_path, OPTIINFRA_HTTP_PORT=str(port)), "serve", "--role", "worker")
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
