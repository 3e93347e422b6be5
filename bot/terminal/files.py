"""Files: the detector and the driver search on plain csv files, without a database."""

from __future__ import annotations

import csv
from argparse import Namespace
from pathlib import Path

from bot.terminal.output import print_json, table
from tools.analysis import daily_file, replay
from tools.analysis import drivers as driving
from tools.model.errors import InputError

COLUMNS = ("series_id", "date", "score", "expected", "actual", "direction")


def detect(args: Namespace) -> int:
    """Replay the detector over a file, day by day without peeking, and write the alerts."""
    found = daily_file.read(Path(args.file))
    alerts = replay.alerts(found, false_alerts=args.false_alerts)
    try:
        with Path(args.out).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            writer.writerows(
                [a.series_id, a.day.isoformat(), f"{a.score:.3f}", f"{a.expected:.4f}", f"{a.actual:f}", a.direction]
                for a in alerts
            )
    except OSError as error:
        raise InputError(f"{args.out} cannot be written: {error.strerror or error}.", fix="Check the path.") from error
    days = len(found.usage[0].values) if found.usage else 0
    if args.json:
        document = {"file": args.file, "out": args.out, "series": len(found.usage), "days": days}
        print_json(document | {"alerts": len(alerts), "problems": list(found.problems)})
        return 0
    series = len({a.series_id for a in alerts})
    print(f"{len(alerts)} alert days in {series} of {len(found.usage)} series over {days} days, written to {args.out}.")
    if found.problems:
        print(f"{len(found.problems)} rows could not be used; the first: {found.problems[0]}.")
    return 0


def drivers(args: Namespace) -> int:
    """Find the slices that drive the difference between `expected` and `actual` of a leaf table."""
    dimensions, rows = daily_file.read_leaves(Path(args.file))
    found, other = driving.attribute(dimensions, [driving.Leaf(*row) for row in rows])
    if args.json:
        print_json([dict(driver.conditions) for driver in found])
        return 0
    if not found:
        print("No slice stands out.")
        return 0
    lines = [
        (", ".join(f"{n}={v}" for n, v in d.conditions), d.kind, f"{d.before:,.2f}", f"{d.after:,.2f}",
         f"{d.contribution:+,.2f}")
        for d in found
    ]  # fmt: skip
    print(table(("slice", "kind", "expected", "actual", "change"), lines, right=(2, 3, 4)))
    print(f"other: {other:+,.2f}")
    return 0
