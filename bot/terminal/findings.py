"""Findings: anomalies, forecasts and the digest on the terminal."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from bot.app import App, open_app
from bot.jobs import Jobs
from bot.slack.cards import digest as card
from bot.terminal.costs import filters
from bot.terminal.output import covered, jsonable, money, print_json, table
from tools.analysis import alerting, daily_file, drivers
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
from tools.store import alerts, findings

if TYPE_CHECKING:
    from sqlalchemy import Connection

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
        chosen = _chosen(app, tx, found)
    if args.held:
        found = chosen.held
    coverage = app.costs.coverage(asked if args.start and args.end else None)
    if args.json:
        names = ("new", "again", "held", "quiet", "muted")
        sorted_out = {name: [one.id for one in getattr(chosen, name)] for name in names}
        print_json({"anomalies": [_anomaly(one) for one in found], "alerts": sorted_out, "coverage": coverage})
        return 0
    if not found:
        print(f"No anomalies{_during(args)}.")
    for one in found:
        print(f"{one.id}  {one.started}  {one.severity}, {one.status}: {one.why}")
    if chosen.held and not args.held:
        print(f"{len(chosen.held)} of them are held back from the digest: this week's alerts are used up (--held).")
    if chosen.muted:
        print(f"{len(chosen.muted)} of them are muted.")
    print(covered(coverage))
    return 0


def _chosen(app: App, tx: Connection, found: Sequence[Anomaly]) -> alerting.Alerts:
    """What the next digest would tell of these, and what it would hold back."""
    settled = detection.judged_period(app.costs, app.now().date())
    day = settled.end - timedelta(days=1) if settled else app.now().date()
    return alerting.choose(
        found,
        day,
        told=alerts.told(tx, app.tenant),
        feedback=findings.feedback(tx, app.tenant),
        per_week=alerts.per_week(tx, app.tenant, app.settings.alerts_per_week),
    )


def give_feedback(app: App, args: Namespace) -> int:
    """Keep what a person says of an anomaly, or how many alerts a week are wanted."""
    person = app.person(args.user)
    with app.database.begin() as tx:
        if args.per_week is not None:
            alerts.set_per_week(tx, app.tenant, args.per_week, actor=person.id, now=app.now())
            said = f"At most {args.per_week} alerts a week from now on."
        else:
            verdict, about = args.feedback
            findings.give_feedback(
                tx,
                app.tenant,
                about,
                verdict,
                actor=person.id,
                reason=args.reason,
                now=app.now(),
                until=args.until,
            )
            until = f" until {args.until}" if args.until else ""
            said = f"{about}: {verdict}{until}, said by {person.name}."
    if args.json:
        print_json({"said": said})
    else:
        print(said)
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
    for one in made.anomalies[1:]:
        print(f"- {one.why}")
    if made.held:
        print(f"{made.held} smaller anomalies are held back (optiinfra anomalies --held).")
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
