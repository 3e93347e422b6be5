"""The command that starts the whole world: what it writes, how it ends, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sandbox import cli
from sandbox.processes import SandboxError, end_all, ready_ones, resident_megabytes, start_service
from sandbox.serving import listen
from sandbox.up import Sandbox

TODAY = "2026-11-23"
SECONDS = 60.0
KEYS = {
    "slack_bot_token", "slack_app_token", "slack_bot_user", "digest_channel", "approvals_channel", "aws_regions",
    "llm_control_url", "slack_api_url", "slack_page_url", "slack_control_url", "aws_endpoint_url", "aws_control_url", "prometheus_url",
    "prometheus_control_url", "groq_api_base", "gcp_endpoint", "azure_endpoint", "vultr_endpoint", "focus_dir",
    "gcp_control_url", "gcp_projects", "gcp_token", "gcp_billing_table", "azure_control_url", "azure_subscriptions",
    "aws_accounts", "aws_payer", "aws_reader_role", "azure_token", "vultr_control_url", "vultr_api_key",
    "truth_file", "today", "gcp_executor_token", "azure_executor_token", "vultr_executor_api_key",
}  # fmt: skip


def up(home: Path, *more: str) -> subprocess.Popen[bytes]:
    """`python -m sandbox up` with a short story."""
    arguments = ["up", "--home", str(home), "--today", TODAY, "--months", "4", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path.cwd()
    )


def wait_for(endpoints: Path, process: subprocess.Popen[bytes]) -> dict[str, str]:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if endpoints.exists():
            found: dict[str, str] = json.loads(endpoints.read_text())
            return found
        time.sleep(0.02)
    raise AssertionError(
        process.stderr.read().decode() if process.stderr and process.poll() is not None else "too slow"
    )


def children_of(pid: int) -> list[int]:
    """The running processes whose parent is `pid`."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() and resident_megabytes(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


World = tuple[subprocess.Popen[bytes], Path, dict[str, str]]


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A whole sandbox that runs."""
    home = tmp_path_factory.mktemp("world")
    process = up(home)
    endpoints = wait_for(home / "endpoints.json", process)
    yield process, home, endpoints
    if process.poll() is None:
        process.kill()
        process.communicate(timeout=20)


def fetch(url: str, document: dict[str, object] | None = None) -> Any:
    body = None if document is None else json.dumps(document).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=20) as answer:
        return json.loads(answer.read())


def everything_answers(world: World) -> None:
    """Slack, AWS and Prometheus answer; the story lies where it is said to lie."""
    _, home, endpoints = world
    assert set(endpoints) == KEYS
    assert endpoints["today"] == TODAY
    with urllib.request.urlopen(endpoints["slack_page_url"], timeout=20) as page:
        assert page.status == 200
    assert fetch(endpoints["slack_control_url"] + "status") is not None
    assert fetch(endpoints["aws_control_url"] + "fleets")["checkout-workers"]["on_demand"] == 20
    assert fetch(endpoints["prometheus_url"] + "/api/v1/status/buildinfo")["status"] == "success"
    assert fetch(endpoints["groq_api_base"] + "/openai/v1/models")["data"]
    for cloud in ("gcp", "azure", "vultr"):
        assert fetch(endpoints[f"{cloud}_control_url"] + "ready") == {"ready": True}
    truth = json.loads(Path(endpoints["truth_file"]).read_text())
    assert Path(endpoints["focus_dir"]) == (home / "focus").resolve()
    assert all((home / file["path"]).exists() for file in truth["files"])


def prometheus_learns_from_aws(world: World) -> None:
    """A fleet that already runs on spot shows its split without anybody telling."""
    _, _, endpoints = world
    deadline = time.monotonic() + 20
    counts: dict[str, int] = {}
    while time.monotonic() < deadline and counts.get("spot") != 8:
        counts = fetch(endpoints["prometheus_control_url"] + "health")["services"]["media"]["counts"]
    assert counts == {"on_demand": 2, "spot": 8}


def test_a_sandbox_from_its_start_to_its_end(world: World) -> None:
    """Everything answers; when the program that started it closes the pipe, everything ends, with exit code 0."""
    everything_answers(world)
    prometheus_learns_from_aws(world)
    process, home, _ = world
    services = children_of(process.pid)
    assert len(services) == 4
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert gone(services)
    assert not (home / "endpoints.json").exists()
    for words in ("AWS answers", "Slack answers", "bills from four clouds", "Ready in", "ended."):
        assert words in said.decode()


def test_a_killed_parent_leaves_no_process_behind(tmp_path: Path) -> None:
    """kill -9 of the process that started a service: the service sees its input end and goes."""
    program = (
        "import sys, time; from pathlib import Path; from sandbox.processes import start_service, ready_ones\n"
        "from sandbox.serving import listen\n"
        "child = start_service('health', Path(sys.argv[1]), listen(), aws_url='')\n"
        "list(ready_ones([child], time.monotonic() + 60)); print(child.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    service = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert gone([service])


def test_a_service_that_dies_is_told_and_ends_the_others(tmp_path: Path) -> None:
    """When one process is gone the world is not whole: a sentence says which, and the others are ended."""
    services = [start_service("health", tmp_path, listen(), aws_url="") for _ in range(2)]
    list(ready_ones(services, time.monotonic() + SECONDS))
    sandbox = Sandbox(tmp_path, date.fromisoformat(TODAY), seed=7, speed=1, children=list(services))
    services[0].process.kill()
    with pytest.raises(SandboxError, match="health ended unexpectedly"):
        sandbox.watch(threading.Event())
    sandbox.end()
    assert gone([service.process.pid for service in services])


def test_sigterm_ends_it_even_while_it_starts(tmp_path: Path) -> None:
    """A signal before everything answers is obeyed as well."""
    process = up(tmp_path)
    deadline = time.monotonic() + SECONDS
    while len(children_of(process.pid)) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    services = children_of(process.pid)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=90)
    assert process.returncode == 0
    assert gone(services)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it exits with 1."""
    assert cli.main(arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_taken_port_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody else's port: one sentence, and what to do."""
    with listen() as taken:
        port = taken.getsockname()[1]
        said = refused(capsys, "up", "--home", str(tmp_path), "--slack-port", str(port))
        assert f"Port {port} on 127.0.0.1 is already in use. Choose another one with --slack-port." in said
        assert f"Port {port}" in refused(capsys, "serve", "slack", "--port", str(port))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder should be: one sentence."""
    (tmp_path / "file").touch()
    for command in ("up", "story"):
        assert "Cannot write to" in refused(capsys, command, "--home", str(tmp_path / "file" / "x"))


def test_missing_libraries_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the sandbox extra the command says which libraries it lacks and how to get them."""
    monkeypatch.setattr(cli, "_NEEDED", ("json", "surely_not_installed"))
    said = refused(capsys, "story", "--home", str(tmp_path))
    assert "surely_not_installed" in said
    assert "[sandbox]" in said


def test_the_story_can_be_written_and_restated_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files without services; a restatement names the month and both totals."""
    assert "There is no story" in refused(capsys, "restate", "--home", str(tmp_path))
    assert cli.main(["story", "--home", str(tmp_path), "--today", TODAY, "--months", "4"]) == 0
    assert "charges in 16 files" in capsys.readouterr().err
    assert cli.main(["restate", "--home", str(tmp_path)]) == 0
    assert "aws 2026-08" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["story"],
        ["story", "--home", "x", "--today", "tomorrow"],
        ["story", "--home", "x", "--months", "3"],
        ["up", "--home", "x", "--speed", "0"],
        ["up", "--home", "x", "--speed", "fast"],
        ["up", "--home", "x", "--slack-port", "70000"],
        ["serve", "moon"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A usage line, no trace."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_service_that_cannot_start_tells_its_last_words(tmp_path: Path) -> None:
    """A process that ends instead of answering: the sentence carries what it said, and where the rest is."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    child = start_service("aws", tmp_path, listener)  # without its speed
    with pytest.raises(SandboxError, match=r"aws did not start: .*speed"):
        list(ready_ones([child], time.monotonic() + SECONDS))
    child.end()


def test_a_service_that_never_answers_is_given_up(tmp_path: Path) -> None:
    """No answer in time is a sentence too, and the process is ended."""
    child = start_service("health", tmp_path, listen(), aws_url="")
    os.kill(child.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(SandboxError, match="health did not answer in time"):
            list(ready_ones([child], time.monotonic()))
    finally:
        os.kill(child.process.pid, signal.SIGCONT)
        end_all([child])
    assert child.process.returncode is not None
