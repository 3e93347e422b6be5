"""Roll-up: the child process that rolls staged FOCUS rows up with DuckDB, one partition at a time."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, TextIO

from tools.collection import conservation, levels
from tools.collection.staging import Staging
from tools.collection.written import Written
from tools.model.errors import InputError, OptiInfraError
from tools.model.load import Check
from tools.providers.focus.files import FocusFile

PREFIX = "optiinfra-rollup-"
_STALE_SECONDS = 86400
_AT_ONCE = 50_000


def roll(staging: Staging, batch: int, members: list[dict[str, Any]], tag_values: int) -> dict[int, dict[str, object]]:
    """Roll one batch of partitions up into files; gives, per partition, their paths, fingerprints, days, control
    totals and checks. Of each tag key the `tag_values` dearest values of a partition are kept. `members` are what
    `Staging.partitions` told of them.
    """
    ask = _asking(staging)
    numbers = [n for m in members for n in m["files"]]
    files = (min(numbers), max(numbers))
    staging.db.execute(levels.SUMMED, (*files, *files, batch))
    folds, crowds = _crowds(staging, tag_values)
    staging.db.execute(levels.name(len(staging.tag_keys), folds))
    if staging.number_of(levels.WIDEST) >= levels.PER_LEVEL:
        raise InputError(
            "One billing period has more than 5 million combinations of dimensions.",
            fix="Configure fewer tag keys (OPTIINFRA_TAG_KEYS).",
        )
    written = Written(staging, folds)
    # Days do not touch each other: what is added up at once stays small however large a partition is.
    for number, days in enumerate(_spans(ask(levels.STAGED_DAYS, files))):
        staging.db.execute(levels.roll(3, more=number > 0), (*files, *days))
        staging.db.execute(levels.roll(2), days)
        staging.db.execute(levels.roll(1), days)
        written.add(days)
    staging.db.execute(levels.CREATE_FINE)
    checks = conservation.check(ask, dict(ask(levels.PRICES)))
    totals, invoices = _of_parts(ask(levels.CONTROL)), _of_parts(ask(levels.INVOICES))
    return {
        part: {
            **written.of(part),
            "first_day": first.isoformat(),
            "last_day": last.isoformat(),
            "totals": totals[part],
            "invoices": invoices[part],
            "checks": [asdict(c) for c in (*checks.get(part, ()), *crowds.get(part, ()))],
        }
        for part, first, last in ask(levels.DAYS)
    }


def _of_parts(rows: list[tuple[Any, ...]]) -> dict[int, list[list[object]]]:
    found: dict[int, list[list[object]]] = {}
    for part, *row in rows:
        found.setdefault(part, []).append(row)
    return found


def _crowds(staging: Staging, tag_values: int) -> tuple[frozenset[str], dict[int, list[Check]]]:
    """Tag columns with more values than are kept, and what to say of them, by partition."""
    count, ask = len(staging.tag_keys), _asking(staging)
    if not count:
        return frozenset(), {}
    (found,) = ask(levels.tag_values(count))
    folds = {
        t: key for t, key, n in zip(levels.tag_columns(count), staging.tag_keys, found, strict=True) if n > tag_values
    }
    told: dict[int, list[Check]] = {}
    for tag, key in folds.items():
        staging.db.execute(levels.keep(tag), (tag_values,))
        for part, values, kept in ask(levels.crowded(tag)):
            told.setdefault(part, []).append(conservation.crowded(key, values, kept))
    return frozenset(folds), told


def _spans(days: list[tuple[Any, ...]]) -> Iterator[tuple[date, date]]:
    """Neighbouring days, up to a number of staged rows together; each as first and last."""
    first, last, rows = days[0][0], days[0][0], 0
    for day, staged in days:
        if rows and rows + staged > _AT_ONCE:
            yield first, last
            first, rows = day, 0
        last, rows = day, rows + staged
    yield first, last


def _asking(staging: Staging) -> Callable[..., list[tuple[Any, ...]]]:
    return lambda query, parameters=None: staging.db.execute(query, parameters).fetchall()


def main(asked: TextIO, told: TextIO) -> int:
    """Serve one parent: read its request, tell what was found, then roll up what it wants. Ends when it goes away."""
    # A parent that was killed cannot clean up: its folder is swept by a later run.
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        try:
            _serve(Path(folder), asked, told)
        except OptiInfraError as error:
            _tell(told, event="error", what=error.what, fix=error.fix)
            return 1
        except (BrokenPipeError, EOFError):
            return 1
    return 0


def _serve(folder: Path, asked: TextIO, told: TextIO) -> None:
    request = _hear(asked)
    size = sum(f["size"] for f in request["files"])
    staging = Staging(folder, tuple(request["tag_keys"]), request["provider"], size)
    found: list[dict[str, Any]] = []
    while "roll" not in request:
        found = _read(staging, request["files"], told)
        request = _hear(asked)
    staging.db.execute("SET VARIABLE tenant = ?", [request["tenant"]])
    rolled = {one["number"] for one in request["roll"]}
    for number, partition in enumerate(found):
        if number not in rolled:
            _tell(told, event="left", number=number, problems=staging.problems(partition))
            _hear(asked)
    for batch, members in enumerate(staging.prepare(found, request["roll"])):
        done = roll(staging, batch, [found[number] for number in members], request["tag_values"])
        for number in members:
            _tell(told, event="rolled", number=number, problems=staging.problems(found[number]), **done[number])
            # The parent has read the files when it asks for the next one.
            _hear(asked)


def _read(staging: Staging, listed: list[dict[str, Any]], told: TextIO) -> list[dict[str, Any]]:
    """Stage files, and tell what all staged files hold together."""
    given = [FocusFile(Path(f["path"]), f["kind"], f["size"]) for f in listed]
    total, done = sum(f.size for f in given), 0
    sizes = {file.path: sum(f.size for f in given[:n]) for n, file in enumerate(given)}
    for file in staging.stage(given):
        done = sizes[file.path]
        _tell(told, event="progress", what=f"reading {file.name}", done=done, total=total)
    staging.leave_out_others()
    staging.read_tags()
    found = staging.partitions()
    staging.refuse_overlaps(found)
    staging.count_tagless(found)
    _tell(told, event="found", partitions=found, notes=staging.notes.whole())
    return found


def _tell(told: TextIO, **message: object) -> None:
    told.write(json.dumps(message) + "\n")
    told.flush()


def _hear(asked: TextIO) -> dict[str, Any]:
    line = asked.readline()
    if not line:
        raise EOFError
    heard: dict[str, Any] = json.loads(line)
    return heard


def _sweep(folder: Path) -> None:
    for left in folder.glob(f"{PREFIX}*"):
        # Another load may end, and take its folder away, while this one looks.
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


if __name__ == "__main__":
    # What a library prints must not end up between our messages.
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.exit(main(sys.stdin, told))
