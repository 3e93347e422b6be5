"""The organisation's story: 13 months of bills from four clouds with planted truth, the same for the same seed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from sandbox.disk import write_json

FOCUS = "focus"
TRUTH = "truth.json"


def write(
    home: Path, *, seed: int = 7, today: date, anchor: date | None = None, months: int = 13, restated: bool = False
) -> dict[str, Any]:
    """Write all bills beneath `home`/focus and what is true of them to `home`/truth.json; return the truth.

    `anchor` is the day the planted events refer to (today unless told): the same story a day later is
    `today=D+1, anchor=D`. `months` (from 4) counts the billing periods. `restated`: one earlier month as Amazon corrected it. Files that an earlier story
    left here and this one does not have are removed.
    """
    from sandbox.story import amounts, aws_lines, events, files, other_lines, truth

    calendar = amounts.Calendar(today, anchor or today, months)
    lines = (
        *aws_lines.lines(),
        *other_lines.gcp_lines(),
        *other_lines.azure_lines(),
        *other_lines.vultr_lines(),
        *events.new_lines(),
    )
    planted = events.events(calendar.anchor.weekday())
    revision = (events.restatement(calendar.months[-4], calendar.anchor),) if restated else ()
    with files.load(lines, amounts.all_rows(lines, calendar, seed, planted + revision)) as database:
        told = truth.tell(truth.Story(seed, calendar, lines, planted), database)
        written = tuple(files.write(database, home / FOCUS, calendar.months))
    old = read_truth(home) if (home / TRUTH).exists() else {}
    told["restatement"] = _difference(old, told, revision[0].cause) if revision else None
    told["files"] = [
        {"provider": f.provider, "period": f"{f.period:%Y-%m}", "path": f.path.relative_to(home).as_posix()}
        for f in written
    ]
    _remove_others(home, old, told)
    write_json(home / TRUTH, told)
    return told


def restate(home: Path) -> dict[str, Any]:
    """Rewrite the story in `home` with one earlier AWS month as corrected; return the truth with its `restatement`."""
    told = read_truth(home)
    return write(
        home,
        seed=told["seed"],
        today=date.fromisoformat(told["today"]),
        anchor=date.fromisoformat(told["anchor"]),
        months=told["months"],
        restated=True,
    )


def read_truth(home: Path) -> dict[str, Any]:
    """What an earlier `write` told; FileNotFoundError when there was none."""
    told: dict[str, Any] = json.loads((home / TRUTH).read_text())
    return told


def _difference(old: dict[str, Any], new: dict[str, Any], cause: str) -> dict[str, str] | None:
    """The one total that a restatement changed, before and after."""
    if old.get("restatement") is not None:
        earlier: dict[str, str] = old["restatement"]
        return earlier
    totals = {(t["provider"], t["period"]): t["billed_cost"] for t in old.get("totals", ())}
    for total in new["totals"]:
        before = totals.get((total["provider"], total["period"]))
        if before is not None and before != total["billed_cost"]:
            return {
                "provider": total["provider"],
                "period": total["period"],
                "billed_before": before,
                "billed_after": total["billed_cost"],
                "cause": cause,
            }
    return None


def _remove_others(home: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    kept = {file["path"] for file in new["files"]}
    for file in old.get("files", ()):
        if file["path"] not in kept:
            (home / file["path"]).unlink(missing_ok=True)
