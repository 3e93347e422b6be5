"""Worker: starts the roll-up process and talks with it, one JSON message a line; this process never imports DuckDB."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from tools.model.errors import InputError, OptiInfraError
from tools.providers.focus.files import FocusFile

_ROOT = Path(__file__).resolve().parents[2]
_SAID = re.compile(r"[\w.]+(Error|Exception)\b")
Message = dict[str, Any]
Progress = Callable[[str, int, int], None]


class Worker(Protocol):
    """The other end of the conversation."""

    def tell(self, **message: object) -> None: ...

    def hear(self, event: str) -> Message: ...


class _Process:
    def __init__(self, process: subprocess.Popen[str], progress: Progress | None, log: Any) -> None:
        self._process = process
        self._progress = progress
        self._log = log

    def tell(self, **message: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def hear(self, event: str) -> Message:
        """Wait for a message of that kind; progress is passed on, an error of the child is raised here."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message: Message = json.loads(line)
            if message["event"] == event:
                return message
            if message["event"] == "error":
                raise InputError(message["what"], fix=message["fix"])
            if message["event"] == "progress" and self._progress is not None:
                self._progress(message["what"], message["done"], message["total"])
        raise self._ended()

    def _ended(self) -> OptiInfraError:
        self._process.wait()
        self._log.seek(0)
        lines = [line for line in self._log.read().splitlines() if line.strip()]
        # A library's message may go on for lines after the one that says what it is.
        said = [line for line in lines if _SAID.match(line)] or lines
        reason = f": {said[-1][:200]}" if said else ""
        return OptiInfraError(
            f"The roll-up process ended before it was done (exit {self._process.returncode}){reason}.",
            fix="Check free memory and disk space in the temporary folder, then try again.",
        )


def listed(files: Sequence[FocusFile]) -> list[dict[str, object]]:
    """Files as the child is told of them."""
    return [{"path": str(f.path.absolute()), "kind": f.kind, "size": f.size} for f in files]


@contextmanager
def rollup(
    files: Sequence[FocusFile], tag_keys: Sequence[str], provider: str | None, progress: Progress | None
) -> Iterator[Worker]:
    """A running roll-up of these files; ends with the block, also when the block fails."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            # -P: a folder named "tools" where the person stands must not be taken for ours.
            [sys.executable, "-P", "-m", "tools.collection.rollup"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
        )
        try:
            worker = _Process(process, progress, log)
            worker.tell(files=listed(files), tag_keys=list(tag_keys), provider=provider)
            yield worker
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Closing its input tells the child to clean up and go; one that is deep in a query is ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
    process.stdout.close()
