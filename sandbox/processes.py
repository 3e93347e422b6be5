"""Starting the sandbox's processes, waiting until each answers, and ending them all."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

READY_SECONDS = 60.0
END_SECONDS = 5.0
LOOK_SECONDS = 0.2


class SandboxError(Exception):
    """The sandbox cannot do it; the text is a sentence for a person."""


@dataclass
class Child:
    """One process of the sandbox. It ends when its standard input is closed."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def announced(self) -> dict[str, str]:
        """What the process says once it answers. Raises SandboxError when it ended instead. Blocks until either."""
        line = self.output.readline()
        if not line:
            self.process.wait(END_SECONDS)
            raise SandboxError(f"The sandbox's {self.name} did not start: {self.last_words()}")
        told: dict[str, str] = json.loads(line)
        return told

    def last_words(self) -> str:
        """The end of what the process wrote to its log."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return f"{lines[-1].strip()} (see {self.log})" if lines else f"it said nothing (see {self.log})"

    def end(self) -> None:
        """Ask it to end; kill it when it does not."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()


def ready_ones(children: list[Child], deadline: float, stop: threading.Event | None = None) -> Iterator[Child]:
    """The processes in the order in which they answer, until `stop`. Raises SandboxError for one that does not."""
    waiting = {child.output: child for child in children}
    while waiting and not (stop and stop.is_set()):
        ready, _, _ = select.select(list(waiting), [], [], LOOK_SECONDS)
        if not ready and time.monotonic() >= deadline:
            late = ", ".join(child.name for child in waiting.values())
            raise SandboxError(
                f"The sandbox's {late} did not answer in time; see the logs in {children[0].log.parent}."
            )
        for output in ready:
            child = waiting.pop(output)
            child.announced()
            yield child


def start(name: str, log_folder: Path, arguments: list[str], *, keep: tuple[int, ...] = ()) -> Child:
    """Start `python -m sandbox ARGUMENTS` in a session of its own, so that only its parent ends it."""
    log_folder.mkdir(parents=True, exist_ok=True)
    log = log_folder / f"{name}.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=written,
            pass_fds=keep,
            start_new_session=True,
            env=_environment(os.environ),
        )
    return Child(name, process, log)


def start_service(name: str, log_folder: Path, listener: socket.socket, **options: object) -> Child:
    """Start one service on a socket that already listens; callers are served as soon as it is ready."""
    arguments = ["serve", name, "--fd", str(listener.fileno()), "--options", json.dumps(options)]
    child = start(name, log_folder, arguments, keep=(listener.fileno(),))
    listener.close()
    return child


def _environment(present: Mapping[str, str]) -> dict[str, str]:
    """The sandbox speaks to itself only: no proxies, no credentials or endpoints of the outside."""
    kept = {k: v for k, v in present.items() if not k.startswith(("AWS_", "OPTIINFRA_", "SLACK_", "GROQ_"))}
    return kept | {"PYTHONUNBUFFERED": "1", "no_proxy": "127.0.0.1,localhost"}


def resident_megabytes(pid: int) -> float:
    """Memory of a process that is in use now, or 0 where the system does not tell."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def end_all(children: list[Child]) -> None:
    """End every process, last started first."""
    for child in reversed(children):
        if child.process.stdin is not None and not child.process.stdin.closed:
            child.process.stdin.close()
    for child in reversed(children):
        child.end()
