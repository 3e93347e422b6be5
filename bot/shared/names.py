"""Names: what an executor calls itself - the same after a crash, so that it need not wait for its own lease to run out."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

MOST = 64


@dataclass(slots=True)
class HeldName:
    """A name that no other living process on this machine has; `close` (or the process's end, however) lets go of it."""

    name: str
    lock: int | None = None

    def close(self) -> None:
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None


def hold(folder: Path) -> HeldName:
    """The first name of this machine and folder that nobody holds; a new one where names cannot be kept.

    The operating system takes the lock away when the process is gone, so whoever comes next has proof that the
    one before is dead. Other machines never get the name: it begins with the host's.
    """
    host = socket.gethostname()[:40]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(MOST):
            if (held := _held(folder / f"executor-{number}.lock", host)) is not None:
                return held
    except (ImportError, OSError):
        pass  # no such locks here, or nowhere to keep them: a lease then runs out by itself
    return HeldName(f"{host}-{uuid.uuid4().hex[:8]}")


def _held(path: Path, host: str) -> HeldName | None:
    import fcntl

    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    known = os.read(lock, 64).decode()
    if not known:
        known = uuid.uuid4().hex[:8]
        os.write(lock, known.encode())
    return HeldName(f"{host}-{known}", lock)
