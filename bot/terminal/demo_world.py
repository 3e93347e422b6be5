"""The demo's world: starts the sandbox and the product as processes of their own, and acts as people in Slack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests

from tools.model.errors import OptiInfraError

START_SECONDS = 90.0
COMMAND_SECONDS = 300.0
POLL_SECONDS = 0.1
Found = TypeVar("Found")
Message = Mapping[str, Any]


class DemoError(OptiInfraError):
    """A part of the demo did not do what it should."""

    code = "demo"


def wait_until(look: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """Look until something is there; raise DemoError when `what` did not happen in time."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise DemoError(f"{what} did not happen within {seconds:.0f} seconds.")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Process:
    """A started process with its log; `stop` ends it and waits."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise DemoError with the end of its log when the process has ended by itself."""
        if self.popen.poll() is not None:
            last = self.log.read_text(errors="replace").strip().splitlines()[-3:]
            raise DemoError(
                f"The {self.name} ended with {self.popen.returncode}: {' / '.join(last)}", fix=f"See {self.log}."
            )

    def stop(self) -> None:
        if self.popen.stdin is not None:
            self.popen.stdin.close()
        self.popen.terminate()
        try:
            self.popen.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(timeout=5)


def start(name: str, module: str, *arguments: str, log: Path, env: Mapping[str, str], cwd: Path) -> Process:
    """Start `python -m module ...` with its output in a log file; it ends when we do (its stdin closes)."""
    with log.open("wb") as out:
        popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
        )
    return Process(name, popen, log)


def start_world(home: Path, port: int) -> tuple[Process, dict[str, str]]:
    """Start the sandbox; return it with its addresses once everything answers."""
    arguments = ["up", "--home", str(home), "--speed", "20"] + (["--slack-port", str(port)] if port else [])
    world = start("sandbox", "sandbox", *arguments, log=home.parent / "sandbox.log", env=os.environ, cwd=Path.cwd())
    file = home / "endpoints.json"

    def ready() -> dict[str, str] | None:
        world.check()
        return json.loads(file.read_text()) if file.exists() else None

    try:
        return world, wait_until(ready, START_SECONDS, "The start of the sandbox")
    except DemoError:
        world.stop()
        raise


def product_environment(home: Path, world: Mapping[str, str]) -> dict[str, str]:
    """The environment in which the product runs: its settings point at the sandbox, nothing else tells it."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("OPTIINFRA_", "SLACK_", "AWS_", "GROQ_", "AZURE_"))
    }
    return kept | {
        "OPTIINFRA_HOME": str(home),
        "OPTIINFRA_STATE_URL": "",
        "OPTIINFRA_HTTP_PORT": "0",
        "OPTIINFRA_FOCUS_PATHS": world["focus_dir"],
        "OPTIINFRA_PROMETHEUS_URL": world["prometheus_url"],
        "OPTIINFRA_DIGEST_HOUR": "0",
        "OPTIINFRA_DIGEST_CHANNEL": world["digest_channel"],
        "OPTIINFRA_APPROVALS_CHANNEL": world["approvals_channel"],
        "OPTIINFRA_BAKE_SECONDS": "3",
        "OPTIINFRA_POLL_SECONDS": "0.5",
        "OPTIINFRA_MINIMUM_REQUESTS": "50",
        "OPTIINFRA_FINAL_GUARD_SECONDS": "3",
        "OPTIINFRA_ROLLBACK_GUARD_SECONDS": "3",
        "OPTIINFRA_AWS_REGIONS": world["aws_regions"],
        "OPTIINFRA_AWS_ACCOUNTS": world["aws_accounts"],
        "OPTIINFRA_AWS_READER_ROLE": world["aws_reader_role"],
        "OPTIINFRA_BUDGET_MONTHLY": world.get("budget_monthly", ""),
        "SLACK_BOT_TOKEN": world["slack_bot_token"],
        "SLACK_APP_TOKEN": world["slack_app_token"],
        "SLACK_API_URL": world["slack_api_url"],
        "AWS_ENDPOINT_URL": world["aws_endpoint_url"],
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_DEFAULT_REGION": world["aws_regions"].split(",")[0],
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def command(env: Mapping[str, str], *arguments: str) -> Any:
    """Run one `optiinfra ... --json` command in the product's environment and return its document."""
    line = [sys.executable, "-m", "bot.cli", *arguments, "--json"]
    try:
        done = subprocess.run(line, env=dict(env), capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        raise DemoError(
            f"`optiinfra {' '.join(arguments)}` did not end within {COMMAND_SECONDS:.0f} seconds."
        ) from None
    if done.returncode != 0:
        raise DemoError(f"`optiinfra {' '.join(arguments)}` ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout)


@dataclass(frozen=True, slots=True)
class Workspace:
    """The sandbox's Slack as people use it."""

    url: str

    def _post(self, action: str, **body: object) -> dict[str, Any]:
        reply = requests.post(f"{self.url}/{action}", json={k: v for k, v in body.items() if v is not None}, timeout=10)
        answer: dict[str, Any] = reply.json()
        if not answer.get("ok"):
            raise DemoError(f"The workspace refused {action}: {answer.get('error', reply.status_code)}.")
        return answer

    def say(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> str:
        return str(self._post("say", user=user, channel=channel, text=text, thread_ts=thread_ts)["ts"])

    def click(self, user: str, message: Message, action_id: str) -> None:
        self._post("click", user=user, channel=message["channel"], ts=message["ts"], action_id=action_id)

    def messages(self, channel: str, thread_ts: str | None = None) -> list[dict[str, Any]]:
        parameters = {"channel": channel} | ({"thread_ts": thread_ts} if thread_ts else {})
        reply = requests.get(f"{self.url}/transcript", params=parameters, timeout=10)
        return [{"channel": channel, **m} for m in reply.json()["messages"]]
