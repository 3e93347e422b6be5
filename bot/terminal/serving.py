"""`optiinfra serve`: runs the product in this process until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import sys

from bot.app import open_app


def serve(args: argparse.Namespace) -> int:
    """Run a role; ends with 0 on SIGTERM or Ctrl-C, after the work in hand is finished."""
    from bot.roles import run

    app = open_app()
    asyncio.run(run(app, args.role, tell=lambda line: print(line, file=sys.stderr, flush=True)))
    return 0
