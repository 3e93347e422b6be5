"""A running product for the flows: `optiinfra serve` in a process of its own, pointed at the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60.0
BOT_USER = "U0OPTIINFRA"
# The product is measured as it runs: with its compiled files kept, whatever the machine under test prefers.
CLEARED = ("OPTIINFRA_", "SLACK_", "AWS_", "GROQ_", "VULTR_", "AZURE_", "PYTHONDONTWRITEBYTECODE")


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of a product whose state lives in `home` and which knows nothing else of this machine."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(CLEARED)}
    return kept | {"OPTIINFRA_HOME": str(home), "OPTIINFRA_HTTP_PORT": "0"} | settings


def slack_settings(api_url: str) -> dict[str, str]:
    """What connects the product to a sandbox workspace."""
    return {
        "SLACK_API_URL": api_url,
        "SLACK_BOT_TOKEN": "xoxb-sandbox-bot",
        "SLACK_APP_TOKEN": "xapp-sandbox-app",
        "OPTIINFRA_DIGEST_CHANNEL": "C0COSTS",
        "OPTIINFRA_APPROVALS_CHANNEL": "C0APPROVE",
    }


def optiinfra(env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    line = [sys.executable, "-m", "bot.cli", *arguments]
    return subprocess.run(line, env=dict(env), capture_output=True, text=True, check=False, timeout=120)


@dataclass
class Served:
    """`optiinfra serve` at work; its output is in a file."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def address(self) -> str:
        return next(line.split()[-1] for line in self.said.splitlines() if line.startswith("Listening on"))

    def wait_for(self, words: str) -> None:
        end = time.monotonic() + START_SECONDS
        while words not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.05)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)


def serve(env: Mapping[str, str], folder: Path, role: str) -> Served:
    """Start a role and wait until all of it runs."""
    log = folder / f"serve-{role}.log"
    with log.open("wb") as out:
        line = [sys.executable, "-m", "bot.cli", "serve", "--role", role]
        process = subprocess.Popen(line, env=dict(env), stdout=out, stderr=subprocess.STDOUT)
    served = Served(process, log)
    served.wait_for("Running as")
    return served
