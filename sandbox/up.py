"""The whole sandbox: its story on disk, its services on loopback ports, until told to end."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sandbox import organisation
from sandbox.disk import write_json
from sandbox.processes import (
    READY_SECONDS,
    Child,
    SandboxError,
    end_all,
    ready_ones,
    resident_megabytes,
    start,
    start_service,
)
from sandbox.serving import PortTakenError, listen, url_of
from sandbox.story import FOCUS, TRUTH

ENDPOINTS = "endpoints.json"
LOGS = "sandbox-logs"
WATCH_SECONDS = 0.5


@dataclass
class Sandbox:
    """A running sandbox: its processes and where they answer."""

    home: Path
    today: date
    seed: int
    speed: float
    slack_port: int = 0
    months: int = 13
    children: list[Child] = field(default_factory=list)
    endpoints: dict[str, str] = field(default_factory=dict)
    _said: float = field(default_factory=time.monotonic)

    def start(self, stop: threading.Event) -> None:
        """Start everything at once, wait until all of it answers (or `stop`), then write endpoints.json."""
        began = time.monotonic()
        logs = self.home / LOGS
        prepare(self.home)
        try:
            slack, aws, health, clouds = listen(self.slack_port), listen(), listen(), listen()
        except PortTakenError as taken:
            raise SandboxError(f"{taken} Choose another one with --slack-port.") from None
        urls = {"slack": url_of(slack), "aws": url_of(aws), "health": url_of(health), "clouds": url_of(clouds)}
        story_of = {"today": str(self.today), "seed": self.seed, "months": self.months}
        self.children.append(start_service("aws", logs, aws, speed=self.speed, **story_of))
        self.children.append(start_service("slack", logs, slack, speed=self.speed))
        story = ["story", "--home", str(self.home), "--today", str(self.today), "--seed", str(self.seed)]
        story += ["--months", str(self.months), "--quiet"]
        told = start("story", logs, story)
        self.children.append(told)
        self.children.append(start_service("health", logs, health, aws_url=urls["aws"]))
        self.children.append(start_service("clouds", logs, clouds, health_url=urls["health"], **story_of))
        self._wait(began, stop)
        if stop.is_set():
            return
        self.children.remove(told)
        told.end()
        self.endpoints = endpoints(self.home, urls, self.today)
        write_json(self.home / ENDPOINTS, self.endpoints)
        say(f"Ready in {time.monotonic() - began:.1f} s, {self._memory():.0f} MB. The workspace: {urls['slack']}/")

    def _wait(self, began: float, stop: threading.Event) -> None:
        words = {
            "story": "13 months of bills from four clouds are written",
            "aws": "AWS answers",
            "slack": "Slack answers",
            "health": "Prometheus and the language model's endpoint answer",
            "clouds": "Google Cloud, Azure and Vultr answer",
        }
        for child in ready_ones(self.children, began + READY_SECONDS, stop):
            say(f"{time.monotonic() - began:4.1f} s  {words[child.name]}")

    def _memory(self) -> float:
        return sum(resident_megabytes(pid) for pid in (os.getpid(), *(child.process.pid for child in self.children)))

    def watch(self, stop: threading.Event) -> None:
        """Return when `stop` is set or the parent is gone. Raises SandboxError when a process ended by itself."""
        parent = os.getppid()
        while not stop.wait(WATCH_SECONDS):
            if os.getppid() != parent:
                return
            for child in self.children:
                if child.process.poll() is not None:
                    raise SandboxError(f"The sandbox's {child.name} ended unexpectedly: {child.last_words()}")

    def end(self) -> None:
        """End every process; what was written stays, but for endpoints.json, which would point nowhere."""
        with suppress(OSError):
            (self.home / ENDPOINTS).unlink(missing_ok=True)
        end_all(self.children)
        self.children.clear()


def say(text: str) -> None:
    """Progress, for people; standard output stays free."""
    print(f"sandbox: {text}", file=sys.stderr, flush=True)


def prepare(home: Path) -> None:
    """Make the folder, and make sure that we can write there. Raises SandboxError."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
        (home / ENDPOINTS).unlink(missing_ok=True)
    except OSError as problem:
        raise SandboxError(f"Cannot write to {home}: {problem.strerror}. Choose another folder with --home.") from None


def endpoints(home: Path, urls: dict[str, str], today: date) -> dict[str, str]:
    """What endpoints.json holds. An empty string: that cloud has no endpoint in this sandbox."""
    return {
        "slack_api_url": f"{urls['slack']}/api/",
        "slack_page_url": f"{urls['slack']}/",
        "slack_control_url": f"{urls['slack']}/sandbox/",
        "aws_endpoint_url": urls["aws"],
        "aws_control_url": f"{urls['aws']}/sandbox/",
        "prometheus_url": urls["health"],
        "prometheus_control_url": f"{urls['health']}/sandbox/",
        "groq_api_base": urls["health"],
        "llm_control_url": f"{urls['health']}/sandbox/llm/",
        **_clouds(urls["clouds"]),
        "focus_dir": str((home / FOCUS).resolve()),
        "truth_file": str((home / TRUTH).resolve()),
        "today": today.isoformat(),
        "slack_bot_token": organisation.BOT_TOKEN,
        "slack_app_token": organisation.APP_TOKEN,
        "slack_bot_user": organisation.BOT_USER_ID,
        "digest_channel": organisation.CHANNELS[0].channel_id,
        "approvals_channel": organisation.CHANNELS[1].channel_id,
        "aws_accounts": ",".join((organisation.AWS_PRODUCTION, organisation.AWS_DATA, organisation.AWS_STAGING)),
        "aws_payer": organisation.AWS_PAYER,
        "aws_reader_role": "optiinfra-reader",
        "aws_regions": ",".join(sorted({fleet.region for fleet in organisation.FLEETS})),
    }


def _clouds(url: str) -> dict[str, str]:
    """Where the clouds beside AWS answer, what is theirs, and what lets a reader and an executor in."""
    from sandbox.clouds import azure, azure_acting, gcp, gcp_acting, gcp_things, vultr, vultr_acting

    return {
        "gcp_endpoint": f"{url}/gcp",
        "gcp_control_url": f"{url}/gcp/sandbox/",
        "gcp_projects": ",".join(gcp_things.PROJECTS),
        "gcp_token": gcp.TOKEN,
        "gcp_executor_token": gcp_acting.EXECUTOR_TOKEN,
        "gcp_billing_table": gcp.BILLING_TABLE,
        "azure_endpoint": f"{url}/azure",
        "azure_control_url": f"{url}/azure/sandbox/",
        "azure_subscriptions": ",".join(azure.SUBSCRIPTIONS),
        "azure_token": azure.TOKEN,
        "azure_executor_token": azure_acting.EXECUTOR_TOKEN,
        "vultr_endpoint": f"{url}/vultr",
        "vultr_control_url": f"{url}/vultr/sandbox/",
        "vultr_api_key": vultr.API_KEY,
        "vultr_executor_api_key": vultr_acting.EXECUTOR_KEY,
    }


def run(sandbox: Sandbox) -> None:
    """Start, serve until a signal, a closed standard input or a vanished parent, and end everything."""
    stop = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stop.set())
    _stop_with_input(stop)
    try:
        sandbox.start(stop)
        sandbox.watch(stop)
    finally:
        sandbox.end()
    say("ended.")


def _stop_with_input(stop: threading.Event) -> None:
    """Stop when a pipe that is our standard input closes; a terminal or /dev/null says nothing about our parent."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        stop.set()

    threading.Thread(target=watch, name="input-watch", daemon=True).start()
