"""Runs a workspace on a loopback port: in the foreground, or in a thread beside a test."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

import uvicorn

from sandbox.slack.app import SlackSandbox, build

HOST = "127.0.0.1"
START_SECONDS = 10.0


def listen(port: int = 0) -> socket.socket:
    """A bound loopback socket; port 0 takes a free one."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
        bound.listen(128)  # who connects before the server runs waits a moment instead of being refused
    except OSError:
        bound.close()
        raise
    return bound


def _worth_telling(record: logging.LogRecord) -> bool:
    # An open page holds its event stream until the server ends; that is how it should be, not an error.
    return "timeout graceful shutdown exceeded" not in record.getMessage()


def config(sandbox: SlackSandbox) -> uvicorn.Config:
    """How the workspace is served."""
    logging.getLogger("uvicorn.error").addFilter(_worth_telling)
    return uvicorn.Config(
        sandbox.asgi,
        log_level="warning",
        lifespan="on",
        access_log=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )


def run(port: int, **options: Any) -> None:
    """Serves until interrupted."""
    bound = listen(port)
    address = f"http://{HOST}:{bound.getsockname()[1]}"
    sandbox = build(base_url=address, **options)
    print(f"Slack workspace: {address}/  (Web API {address}/api/)", flush=True)
    uvicorn.Server(config(sandbox)).run(sockets=[bound])


class Background:
    """A workspace served by a thread of this process."""

    def __init__(self, port: int = 0, **options: Any) -> None:
        self._socket = listen(port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self.sandbox = build(base_url=self.url, **options)
        self._server = uvicorn.Server(config(self.sandbox))
        self._thread = threading.Thread(target=self._serve, name="slack-sandbox", daemon=True)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> Background:
        self._thread.start()
        until = time.monotonic() + START_SECONDS
        while not self._server.started:
            if time.monotonic() > until or not self._thread.is_alive():
                raise RuntimeError("The sandbox's Slack workspace did not start.")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        self.leave()
        self.join()

    def leave(self) -> None:
        """Asks the server to end, without waiting for it."""
        self._server.should_exit = True

    def join(self) -> None:
        self._thread.join(START_SECONDS)
        self._socket.close()
