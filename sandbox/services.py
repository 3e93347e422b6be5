"""The sandbox's processes: each function is one process, from its start until its parent or a signal ends it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from sandbox import serving


def aws(listener: socket.socket, options: dict[str, Any]) -> None:
    """The clouds' AWS. Options: speed."""
    stop = threading.Event()
    serving.stop_on_signal(stop.set)
    serving.stop_with_parent(stop.set)
    from sandbox.clouds.aws import build, serve

    cloud = build(options["speed"])
    serving.announce(url=serving.url_of(listener))
    serve(listener, cloud, stop)


def slack(listener: socket.socket, options: dict[str, Any]) -> None:
    """The Slack workspace. Options: speed."""
    from sandbox.slack.app import build
    from sandbox.slack.server import config

    sandbox = build(base_url=serving.url_of(listener), speed=options["speed"])
    _serve(listener, config(sandbox))


def health(listener: socket.socket, options: dict[str, Any]) -> None:
    """Prometheus, and beside it the language model's endpoint. Options: aws_url, or nothing."""
    import uvicorn

    from sandbox.prometheus import build, follow_aws
    from sandbox.traffic import Traffic

    traffic = Traffic(time.time).start()
    stop = threading.Event()
    if options.get("aws_url"):
        arguments = (traffic, options["aws_url"], stop)
        threading.Thread(target=follow_aws, args=arguments, name="follow-aws", daemon=True).start()
    _serve(listener, uvicorn.Config(build(traffic), log_level="warning", access_log=False, timeout_graceful_shutdown=1))
    stop.set()


def _serve(listener: socket.socket, config: Any) -> None:
    """Run a uvicorn server that says when it answers, and ends with its parent."""
    import uvicorn

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            serving.announce(url=serving.url_of(listener))

    server = Announcing(config)

    def stop() -> None:
        server.should_exit = True

    serving.stop_with_parent(stop)
    server.run(sockets=[listener])


SERVICES: dict[str, Callable[[socket.socket, dict[str, Any]], None]] = {"aws": aws, "slack": slack, "health": health}
