"""Findings: anomalies, forecasts and the digest on the terminal."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from bot.app import App, open_app
from bot.jobs import Jobs
from bot.slack.cards import digest as card
from bot.terminal.costs import filters
from bot.terminal.output import covered, jsonable, money, print_json, table
from tools.analysis import alerting, daily_file, drivers, verdicts
from tools.analysis import anomalies as detection
from tools.analysis import forecast as outlooks
from tools.model.anomaly import Anomaly
from tools.model.digest import Digest
from tools.model.errors import InputError
from tools.model.fact import Table
from tools.model.forecast import Forecast
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import Metric, dimension
from tools.store import findings

_EVER = Period(date(1, 1, 2), date(9999, 12, 31))


def anomalies(args: Namespace) -> int:
    """Judge what is stored, keep what was found, and print what touches the asked days."""
    app = open_app()
    if args.feedback or args.per_week is not None:
        return give_feedback(app, args)
    _look(app, app.now().date())
    asked = Period(args.start or _EVER.start, args.end or _EVER.end)
    with app.database.read() as tx:
        found = findings.anomalies(tx, app.tenant, asked)
    board = alerting.board(app.costs, app.now().date(), otherwise=app.settings.alerts_per_week, found=found)
    chosen = board.alerts
    if args.held:
        found = chosen.held
    coverage = app.costs.coverage(asked if args.start and args.end else None)
    if args.json:
        names = ("new", "again", "held", "quiet", "muted")
        sorted_out: dict[str, object] = {name: [one.id for one in getattr(chosen, name)] for name in names}
        sorted_out |= {"per_week": board.per_week, "told_this_week": board.told_this_week}
        print_json({"anomalies": [_anomaly(one) for one in found], "alerts": sorted_out, "coverage": coverage})
        return 0
    if not found:
        print(f"No anomalies{_during(args)}.")
    for one in found:
        print(f"{one.id}  {one.started}  {one.severity}, {one.status}: {one.why}")
    if chosen.held and not args.held:
        print(f"{len(chosen.held)} of them are held back from the digest: this week's alerts are used up (--held).")
    for one in chosen.muted:
        mute = alerting.standing_mute(one, board.feedback, board.day)
        if mute is not None:
            print(
                f"{one.id} is muted until {mute.until} by {mute.name or mute.actor}: {mute.reason} "
                f"(--say unmute {one.id} ends it)"
            )
    print(covered(coverage))
    return 0


def give_feedback(app: App, args: Namespace) -> int:
    """Keep what a person says of an anomaly, or how many alerts a week are wanted."""
    person = app.person(args.user)
    if args.per_week is not None:
        verdicts.want(app.database, app.tenant, args.per_week, person, now=app.now())
        told = f"At most {args.per_week} alerts a week from now on."
    else:
        verdict, about = args.feedback
        said = verdicts.say(
            app.database, app.tenant, about, verdict, person, reason=args.reason, until=args.until, now=app.now()
        )
        until = f" until {args.until}" if args.until and verdict == "mute" else ""
        told = f"{about}: {verdict}{until}, said by {person.name}."
        if not said.changed:
            told = f"{about}: nothing was changed; it stands like that already."
    if args.json:
        print_json({"said": told})
    else:
        print(told)
    return 0


def _look(app: App, upto: date) -> None:
    found = detection.find(app.costs, upto)
    with app.database.begin() as tx:
        findings.save_anomalies(tx, app.tenant, found, now=app.now())


def _during(args: Namespace) -> str:
    since = f" from {args.start}" if args.start else ""
    return since + (f" to {args.end - timedelta(days=1)}" if args.end else "")


def _anomaly(one: Anomaly) -> dict[str, object]:
    return {
        "id": one.id,
        "series": one.series,
        "named": one.title,
        "keys": dict(one.keys),
        "direction": one.direction,
        "started": one.started,
        "days": one.days,
        "actual": one.actual,
        "expected": one.expected,
        "excess": one.excess,
        "currency": one.currency,
        "severity": one.severity,
        "score": one.score,
        "drivers": [drivers.driver_document(d) for d in one.drivers],
        "status": one.status,
        "why": one.why,
    }


def forecast(args: Namespace) -> int:
    """Forecast stored costs, or the series of a file."""
    coverage = None
    if args.file:
        made = _of_file(args)
    else:
        app = open_app()
        coverage = app.costs.coverage()
        words = [w.strip() for w in args.by.split(",") if w.strip()]
        made = outlooks.forecast(
            app.costs,
            by=tuple(dimension(w, app.settings.tag_keys) for w in words),
            days=args.days,
            today=app.now().date(),
            where=tuple(app.costs.spelled(f) for f in filters(args.where, app.settings.tag_keys)),
            metric=Metric(args.metric),
        )
    if args.json:
        print_json({"series": [_forecast(one) for one in made], "coverage": coverage})
        return 0
    print(f"{args.days} days from {made[0].points[0].day} on, 80 % band; from the {made[0].basis}.")
    rows = [(_named(f), money(f.p10, f.currency), money(f.p50, f.currency), money(f.p90, f.currency)) for f in made]
    print(table(("cost of", "low (P10)", "middle (P50)", "high (P90)"), rows, right=(1, 2, 3)))
    if coverage is not None:
        print(covered(coverage))
    return 0


def _of_file(args: Namespace) -> tuple[Forecast, ...]:
    """Each series of a file by itself; purchases and other charges count in."""
    if args.by or args.where:
        raise InputError("--by and --where ask the database.", fix="Leave them out with --file.")
    found = daily_file.read(Path(args.file))
    return outlooks.of_series(daily_file.whole(found), days=args.days)


def _named(one: Forecast) -> str:
    return " / ".join(value or "(none)" for _, value in one.keys) or "everything"


def _forecast(one: Forecast) -> dict[str, object]:
    keys = dict(one.keys)
    return {
        "key": keys.get(daily_file.SERIES_ID, " / ".join(value for _, value in one.keys)),
        "keys": keys,
        "currency": one.currency,
        "total": {"p10": one.p10, "p50": one.p50, "p90": one.p90},
        "points": [{"date": p.day, "p10": p.p10, "p50": p.p50, "p90": p.p90} for p in one.points],
        "basis": one.basis,
    }


def digest(args: Namespace) -> int:
    """Compose the digest of a morning without posting it."""
    app = open_app()
    morning = args.date or app.now().date()
    _look(app, morning)
    jobs = Jobs(app.settings, app.database, app.costs, app.now)
    made = jobs.compose_digest(morning)
    if args.json:
        channel = args.channel or app.settings.digest_channel
        # Blocks are Slack's own JSON: their charts hold plain numbers, which our documents never do.
        document = {**_as_json(_digest(made) | {"channel": channel}), "blocks": list(card.message(made).blocks)}
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    _print_digest(made)
    return 0


def _as_json(document: dict[str, object]) -> dict[str, object]:
    return {name: jsonable(value) for name, value in document.items()}


def _digest(made: Digest) -> dict[str, object]:
    return {
        "day": made.day,
        "headline": made.headline,
        "why": made.why,
        "spend": made.spend,
        "usual": made.usual,
        "change": None if made.usual is None else EXACT.subtract(made.spend, made.usual),
        "currency": made.currency,
        "anomalies": [_anomaly(one) for one in made.anomalies],
        "drivers": drivers.as_document(made.drivers) if made.drivers else None,
        "forecast": _forecast(made.month_end) if made.month_end else None,
        "movers": [dict(zip(made.movers.columns, row, strict=True)) for row in made.movers.rows],
        "waiting": made.waiting,
        "held": made.held,
        "held_excess": made.held_excess,
        "reminded": made.reminded,
        "saved": made.saved,
        "coverage": made.coverage,
        "receipt": made.receipt,
    }


def _print_digest(made: Digest) -> None:
    print(made.headline)
    print(made.why)
    if made.month_end is not None:
        end = made.month_end
        low, high = money(end.p10, end.currency), money(end.p90, end.currency)
        print(f"Month end: {money(end.p50, end.currency)} (between {low} and {high}). {end.basis}. ", end="")
    print(covered(made.coverage))
    if made.calm:
        return
    for one in made.anomalies:
        if one.why not in made.why:
            print(f"- {'Reminder: ' if one.id in made.reminded else ''}{one.why}")
    if made.held:
        what = "anomaly is" if made.held == 1 else "anomalies are"
        so_far = money(made.held_excess, made.currency)
        print(f"{made.held} {what} held back, {so_far} so far (optiinfra anomalies --held).")
    if made.saved:
        print(made.saved)
    if made.anomalies and made.movers.rows:
        print(f"\n{made.movers.title}")
        print(_moved(made.movers))
    if made.waiting:
        print("\nWaiting for a decision:\n" + "\n".join(f"- {line}" for line in made.waiting))


def _moved(moved: Table) -> str:
    cells: list[Sequence[object]] = [
        [money(c, moved.currency) if isinstance(c, Decimal) else c for c in row] for row in moved.rows
    ]
    return table(moved.columns, cells, right=(1, 2, 3))
