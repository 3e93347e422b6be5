"""What every process of the sandbox does: listen on loopback, say where, and end with the one that started it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

HOST = "127.0.0.1"


class PortTakenError(OSError):
    """The port that was asked for belongs to somebody else."""


def listen(port: int = 0) -> socket.socket:
    """A listening loopback socket; port 0 takes a free one. Raises PortTakenError."""
    # Named as TCP, so that asyncio sends small answers at once (it looks at the protocol before it says so).
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError as problem:
        bound.close()
        raise PortTakenError(f"Port {port} on {HOST} is already in use.") from problem
    bound.listen(128)
    return bound


def url_of(bound: socket.socket) -> str:
    """The address of a listening socket."""
    return f"http://{HOST}:{bound.getsockname()[1]}"


def announce(**where: str) -> None:
    """Tell the parent, in one line, that this process answers and where."""
    print(json.dumps(where), flush=True)


def stop_on_signal(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM and SIGINT. Main thread only."""
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stop())


def stop_with_parent(stop: Callable[[], None]) -> None:
    """Call `stop` when standard input ends: the parent closed it, or died, however it died."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        stop()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
