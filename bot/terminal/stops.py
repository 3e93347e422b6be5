"""`optiinfra rollout stop ...`: the kill switch and freezes from the command line, and what became of an unclear effect."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from bot.app import open_app
from bot.terminal.output import print_json, table
from bot.terminal.rollouts import document
from tools.execution import requests
from tools.model.errors import InputError
from tools.store import stops


def listing(args: argparse.Namespace) -> int:
    """What forbids changes now, and the freezes that are on or still to come."""
    app = open_app()
    now = app.now()
    with app.database.read() as tx:
        standing = stops.standing(tx, app.tenant, now=now)
        freezes = stops.planned(tx, app.tenant, now=now)
    if args.json:
        print_json({"standing": standing[1] if standing else None, "freezes": freezes})
        return 0
    print(standing[1] if standing else "Nothing forbids changes now.")
    if freezes:
        rows = [(f.id, f"{f.starts_at:%Y-%m-%d %H:%M}", f"{f.ends_at:%Y-%m-%d %H:%M}", f.reason) for f in freezes]
        print(table(("freeze", "from (UTC)", "until (UTC)", "why"), rows))
    return 0


def stop(args: argparse.Namespace) -> int:
    """The kill switch: no step begins or goes on from now; rollbacks do."""
    app = open_app()
    app.gates.stop(app.person(args.user), args.reason)
    return listing(args)


def resume(args: argparse.Namespace) -> int:
    """Lift the kill switch; what was held waits for `retry`."""
    app = open_app()
    app.gates.resume(app.person(args.user), args.reason)
    return listing(args)


def freeze(args: argparse.Namespace) -> int:
    """Plan a time in which nothing new is changed."""
    app = open_app()
    app.gates.freeze(app.person(args.user), _moment(args.start), _moment(args.end), args.reason)
    return listing(args)


def thaw(args: argparse.Namespace) -> int:
    """Lift a freeze before its end."""
    app = open_app()
    app.gates.thaw(app.person(args.user), args.id)
    return listing(args)


def resolve(args: argparse.Namespace) -> int:
    """Say, after a look at the cloud, whether an effect of unknown fate happened."""
    app = open_app()
    rollout = requests.status(app.database, app.tenant, args.id)
    after = app.gates.resolve(rollout.seen, app.person(args.user), args.happened == "yes", args.reason)
    if args.json:
        print_json({"rollout": document(app, after)})
    else:
        print(f"{after.id}  {after.state}: {after.reason}")
    return 0


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f'"{text}" is no moment.', fix="Write it as 2026-12-20T18:00 (UTC).") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
