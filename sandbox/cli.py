"""The sandbox's command line: the whole world, its files alone, or one of its processes."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from sandbox.processes import SandboxError

SPEED = 60.0
_NEEDED = ("moto", "flask", "flask_cors", "starlette", "websockets", "uvicorn", "duckdb", "numpy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 1 with a sentence on stderr when it cannot be done, 2 on wrong usage."""
    chosen = _parser().parse_args(arguments)
    try:
        _check_libraries()
        code: int = chosen.run(chosen)
    except SandboxError as problem:
        print(f"sandbox: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="The world outside, on loopback.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser(
        "up", help="start everything and serve until ended", epilog="example: python -m sandbox up --home ./var"
    )
    _story_options(up)
    up.add_argument("--speed", type=_above_zero, default=SPEED, help=f"how much faster time runs (default {SPEED:g})")
    up.add_argument("--slack-port", type=_port, default=0, help="port of the Slack page (default: a free one)")
    up.set_defaults(run=_up)

    story = commands.add_parser(
        "story", help="write the bills and their truth only", epilog="example: python -m sandbox story --home ./var"
    )
    _story_options(story)
    story.add_argument("--anchor", type=_day, help="day the planted events refer to (default: --today)")
    story.add_argument("--quiet", action="store_true", help=argparse.SUPPRESS)
    story.set_defaults(run=_story)

    restate = commands.add_parser(
        "restate",
        help="rewrite the story in a folder with one earlier month corrected",
        epilog="example: python -m sandbox restate --home ./var",
    )
    restate.add_argument("--home", type=Path, required=True, help="folder of a story")
    restate.set_defaults(run=_restate)

    serve = commands.add_parser("serve", help="one process of the sandbox (used by `up`)")
    serve.add_argument("service", choices=("aws", "slack", "health", "clouds", "clickhouse"))
    serve.add_argument("--fd", type=int, help="file descriptor of a listening socket")
    serve.add_argument("--port", type=_port, default=0, help="or the port to listen on (default: a free one)")
    serve.add_argument("--options", type=json.loads, default={}, help="JSON object of the service's options")
    serve.set_defaults(run=_serve)
    return parser


def _story_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, required=True, help="folder for what the sandbox writes")
    parser.add_argument("--seed", type=int, default=7, help="another seed, another story (default 7)")
    parser.add_argument("--months", type=_months, default=13, help="billing periods to tell, from 4 (default 13)")
    parser.add_argument("--today", type=_day, help="the story's today, YYYY-MM-DD (default: today, UTC)")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a day like 2026-11-25") from None


def _months(text: str) -> int:
    if not text.isdigit() or not 4 <= int(text) <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not a number of months between 4 and 60")
    return int(text)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port between 0 and 65535")
    return int(text)


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _check_libraries() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SandboxError(
            f"The sandbox needs {', '.join(missing)}, not installed here. Say: pip install 'optiinfra-cost-agent[sandbox]'"
        )


def _today(chosen: argparse.Namespace) -> date:
    day: date = chosen.today or datetime.now(UTC).date()
    return day


def _up(chosen: argparse.Namespace) -> int:
    from sandbox.up import Sandbox, run

    run(Sandbox(chosen.home, _today(chosen), chosen.seed, chosen.speed, chosen.slack_port, chosen.months))
    return 0


def _story(chosen: argparse.Namespace) -> int:
    from sandbox import story
    from sandbox.serving import stop_with_parent
    from sandbox.up import prepare, say

    if chosen.quiet:  # started by `up`: nobody needs the files when that is gone
        stop_with_parent(lambda: os._exit(0))
    prepare(chosen.home)
    told = story.write(chosen.home, seed=chosen.seed, today=_today(chosen), anchor=chosen.anchor, months=chosen.months)
    if chosen.quiet:
        print(json.dumps({"truth_file": str(chosen.home / story.TRUTH)}), flush=True)
    else:
        rows = sum(int(total["rows"]) for total in told["totals"])
        say(f"{rows:,} charges in {len(told['files'])} files under {chosen.home / story.FOCUS}")
    return 0


def _restate(chosen: argparse.Namespace) -> int:
    from sandbox import story
    from sandbox.up import say

    try:
        told = story.restate(chosen.home)
    except FileNotFoundError:
        raise SandboxError(
            f"There is no story in {chosen.home}. Say first: python -m sandbox story --home ..."
        ) from None
    changed = told["restatement"]
    say(
        f"{changed['provider']} {changed['period']}: {changed['billed_before']} USD was billed before, "
        f"{changed['billed_after']} USD now. {changed['cause']}"
    )
    return 0


def _serve(chosen: argparse.Namespace) -> int:
    from sandbox.services import SERVICES
    from sandbox.serving import PortTakenError, listen

    try:
        listener = listen(chosen.port) if chosen.fd is None else socket.socket(fileno=chosen.fd)
    except PortTakenError as taken:
        raise SandboxError(f"{taken} Choose another one with --port.") from None
    SERVICES[chosen.service](listener, chosen.options)
    return 0
