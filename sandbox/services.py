"""The sandbox's processes: each function is one process, from its start until its parent or a signal ends it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from sandbox import serving


def aws(listener: socket.socket, options: dict[str, Any]) -> None:
    """The clouds' AWS. Options: speed; of its bills: today, seed, months."""
    stop, serving_now = threading.Event(), threading.Event()

    def end() -> None:
        # Before it serves there is nothing to end in order, and building takes seconds.
        if serving_now.is_set():
            stop.set()
        else:
            os._exit(0)

    serving.stop_on_signal(end)
    serving.stop_with_parent(end)
    from sandbox.clouds.aws import build, serve

    today = date.fromisoformat(options["today"]) if "today" in options else None
    cloud = build(options["speed"], today=today, seed=options.get("seed", 7), months=options.get("months", 13))
    serving_now.set()
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

    from sandbox import llm
    from sandbox.prometheus import build, follow_aws
    from sandbox.traffic import Traffic

    traffic = Traffic(time.time).start()
    stop = threading.Event()
    if options.get("aws_url"):
        arguments = (traffic, options["aws_url"], stop)
        threading.Thread(target=follow_aws, args=arguments, name="follow-aws", daemon=True).start()
    application = build(traffic)
    application.router.routes.extend(llm.build().routes)
    _serve(listener, uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=1))
    stop.set()


def clouds(listener: socket.socket, options: dict[str, Any]) -> None:
    """Google Cloud, Azure and Vultr, beneath /gcp, /azure and /vultr. Options: today, seed, months, and health_url or nothing."""
    import uvicorn

    from sandbox.clouds import azure, gcp, vultr
    from sandbox.clouds.balancers import Counted
    from sandbox.clouds.rest import Side

    story = {
        "today": date.fromisoformat(options["today"]),
        "seed": options.get("seed", 7),
        "months": options.get("months", 13),
    }
    google, microsoft = gcp.build(**story), azure.build(**story)
    if options.get("health_url"):
        google.cloud.counted = microsoft.cloud.counted = Counted(options["health_url"])
    side = Side({"gcp": google, "azure": microsoft, "vultr": vultr.build(**story)})
    # Each answer is dated by its cloud, whose clock can be told to be wrong.
    how = uvicorn.Config(side, log_level="critical", access_log=False, date_header=False, timeout_graceful_shutdown=1)
    _serve(listener, how)


def clickhouse(listener: socket.socket, options: dict[str, Any]) -> None:
    """ClickHouse's HTTP interface over its engine. Options: data (a folder), and a password or nothing."""
    import uvicorn

    from sandbox.clickhouse import build

    application, engine = build(Path(options["data"]), options.get("password", ""))
    _serve(listener, uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=1))
    engine.close()


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


SERVICES: dict[str, Callable[[socket.socket, dict[str, Any]], None]] = {
    "aws": aws,
    "slack": slack,
    "health": health,
    "clouds": clouds,
    "clickhouse": clickhouse,
}
