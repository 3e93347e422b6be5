"""Runs the workspace alone: python -m sandbox.slack --port 8065."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sandbox import organisation
from sandbox.slack.server import run


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.slack", description="A Slack workspace on loopback.")
    parser.add_argument("--port", type=int, default=8065, help="loopback port, 0 for a free one (default 8065)")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster Slack's slow clocks run (default 1)")
    parser.add_argument("--no-rate-limits", action="store_true", help="never answer 429")
    parser.add_argument("--events-url", help="deliver signed HTTP requests to this URL instead of Socket Mode")
    parser.add_argument("--signing-secret", default=organisation.SIGNING_SECRET, help="for --events-url")
    parser.add_argument("--manifest", type=Path, help="the app's Slack manifest (default: the repository's)")
    chosen = parser.parse_args(arguments)
    run(
        chosen.port,
        manifest=chosen.manifest,
        speed=chosen.speed,
        rate_limits=not chosen.no_rate_limits,
        events_url=chosen.events_url,
        signing_secret=chosen.signing_secret,
    )


if __name__ == "__main__":
    main()
