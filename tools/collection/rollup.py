"""Roll-up: the child process that reads FOCUS files with DuckDB and rolls them up, one partition at a time."""

# ruff: noqa: S608 - table names are ours
from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tools.collection import conservation, levels
from tools.collection.problems import LISTED, Notes
from tools.model.errors import InputError, OptiInfraError
from tools.providers.focus import columns, files, reading, tags
from tools.providers.focus.files import FocusFile
from tools.providers.focus.reading import STAGE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PREFIX = "optiinfra-rollup-"
MEMORY = "150MB"
_STALE_SECONDS = 86400
_TAG_BATCH = 10_000
_PER_LEVEL = 5_000_000
_MOST_BROKEN = 50


class Rollup:
    """Stages files, then rolls partitions up into csv files in `folder`."""

    def __init__(self, folder: Path, tag_keys: tuple[str, ...], provider: str | None) -> None:
        import duckdb

        self.folder = folder
        self.tag_keys = tag_keys
        self.provider = reading.provider_name(provider) if provider else None
        self.notes = Notes()
        self.versions: set[str] = set()
        self._errors = duckdb.Error
        self.db: DuckDBPyConnection = duckdb.connect(str(folder / "stage.duckdb"))
        for setting in (
            f"memory_limit = '{MEMORY}'",
            "threads = 1",
            "TimeZone = 'UTC'",
            f"temp_directory = '{folder}'",
            "enable_progress_bar = false",
            "autoinstall_known_extensions = false",
        ):
            self.db.execute(f"SET {setting}")
        for statement in (*reading.MACROS, reading.CREATE_STAGE):
            self.db.execute(statement)

    def stage(self, number: int, file: FocusFile) -> None:
        """Read one file whole; raise InputError when it cannot be read."""
        # The link has a name without glob characters, which DuckDB would expand.
        alias = self.folder / f"file-{number}"
        alias.symlink_to(file.path.resolve())
        linked = replace(file, path=alias)
        with self._told(file):
            names, types = self._columns(file, linked)
            layout = columns.recognise(file.name, names)
            _check_types(file, layout, types)
            self.db.execute(reading.insert(number, linked, layout, types, self.provider))
            self._check_lines(file)
        self.versions.add(layout.version)
        self.notes.file(file.name, layout)
        self._check_dates(number, file)

    def _columns(self, file: FocusFile, linked: FocusFile) -> tuple[list[str], list[str]]:
        if file.kind != "parquet":
            names, _ = files.header(file)
            return names, ["VARCHAR"] * len(names)
        found = self.db.execute(f"DESCRIBE SELECT * FROM read_parquet('{linked.path}')").fetchall()
        return [str(f[0]) for f in found], [str(f[1]) for f in found]

    def _check_lines(self, file: FocusFile) -> None:
        """Lines that DuckDB could not take apart: those of other encodings are counted, others make the file unusable."""
        if file.kind == "parquet":
            return
        broken = self.db.execute(
            "SELECT line, error_type FROM reject_errors WHERE error_type <> 'INVALID ENCODING' ORDER BY line LIMIT 1"
        ).fetchone()
        if broken is not None:
            raise InputError(
                f"Line {broken[0]} of {file.name} has a quote that is never closed, or is longer than 2 MB.",
                fix="Export the file again.",
            )
        lines = self.db.execute("SELECT DISTINCT line FROM reject_errors ORDER BY line").fetchall()
        self.notes.unreadable(file.name, [int(line[0]) - 1 for line in lines])
        self.db.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")

    def _check_dates(self, number: int, file: FocusFile) -> None:
        # A quote that stays open swallows the lines after it: a row too short, with line ends inside a value.
        everything = ", ".join(("provider", "billing_account_id", "currency", *reading.TEXTS))
        broken = self.db.execute(
            f"SELECT 1 FROM {STAGE} WHERE file = ? AND bad LIKE '{reading.SEPARATOR}short' "
            f"AND contains(concat({everything}), chr(10)) LIMIT 1",
            [number],
        ).fetchone()
        if broken is not None:
            raise InputError(f"{file.name} has a quote that is never closed.", fix="Export the file again.")
        guessed = self.db.execute(reading.AMBIGUOUS, [number]).fetchone()
        if guessed is not None and guessed[0]:
            raise InputError(
                f"The dates of {file.name} can be read in two ways: as month/day/year, {guessed[0]} billing periods "
                "would not begin on the first of a month.",
                fix="Export it again with dates such as 2026-11-01.",
            )

    @contextmanager
    def _told(self, file: FocusFile) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise _sentence(file, str(error)) from error

    def leave_out_others(self) -> None:
        """Drop rows of other providers than the one that was asked for."""
        if self.provider is None:
            return
        others = self.db.execute(
            f"SELECT provider, count(*) FROM {STAGE} WHERE provider <> ? AND provider <> '' GROUP BY 1 ORDER BY 1",
            [self.provider],
        ).fetchall()
        self.db.execute(f"DELETE FROM {STAGE} WHERE provider <> ? AND provider <> ''", [self.provider])
        for name, rows in others:
            self.notes.left_out(str(name), int(rows))
        if not self._one(f"SELECT count(*) FROM {STAGE}"):
            known = ", ".join(str(name) for name, _ in others)
            raise InputError(f"There are no rows of {self.provider}; the files hold {known}.", fix="Check --provider.")

    def read_tags(self) -> None:
        """Make the map from tag text to the values of the configured keys; each text is parsed once."""
        slots = levels.tag_columns(len(self.tag_keys))
        spelled = "".join(f", {t} VARCHAR" for t in slots)
        self.db.execute(f"CREATE TABLE tag_map (text VARCHAR, readable BOOLEAN{spelled})")
        path = self.folder / "tags.csv"
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            cursor = self.db.execute(f"SELECT DISTINCT tags FROM {STAGE} WHERE tags <> ''")
            while batch := cursor.fetchmany(_TAG_BATCH):
                for (text,) in batch:
                    pairs = tags.read(text)
                    writer.writerow([text, pairs is not None, *tags.pick(pairs or {}, self.tag_keys)])
        self.db.execute(f"COPY tag_map FROM '{path}' (FORMAT csv, HEADER false, NULLSTR '\x01', AUTO_DETECT false)")
        path.unlink()

    def partitions(self) -> list[dict[str, object]]:
        """What the files hold: one entry per (provider, billing account, billing period), rejected rows counted."""
        broken = f"SELECT provider, billing_account_id, billing_period FROM {STAGE} GROUP BY ALL HAVING bool_and(bad IS NOT NULL)"
        if self._one(f"SELECT count(*) FROM ({broken})") > _MOST_BROKEN:
            # A column of damaged ids would make a partition of each row.
            self.db.execute(
                f"UPDATE {STAGE} SET provider = NULL, billing_account_id = NULL, billing_period = NULL "
                f"WHERE (provider, billing_account_id, coalesce(billing_period, DATE '1900-01-01')) IN "
                f"(SELECT provider, billing_account_id, coalesce(billing_period, DATE '1900-01-01') FROM ({broken}))"
            )
        found = self.db.execute(
            "SELECT provider, billing_account_id, billing_period, count(*) FILTER (bad IS NULL), "
            f"count(*) FILTER (bad IS NOT NULL) FROM {STAGE} GROUP BY ALL ORDER BY 1, 2, 3"
        ).fetchall()
        return [
            {
                "provider": provider,
                "billing_account_id": account,
                "billing_period": None if period is None else period.isoformat(),
                "rows": good,
                "rejected": bad,
            }
            for provider, account, period, good, bad in found
        ]

    def problems(self, key: tuple[object, ...]) -> tuple[list[dict[str, object]], int]:
        """Rejected rows of a partition (the first of them) and tag texts that cannot be read; and how many in all."""
        where = "provider IS NOT DISTINCT FROM ? AND billing_account_id IS NOT DISTINCT FROM ? AND billing_period IS NOT DISTINCT FROM ?"
        rejected = self.db.execute(
            f"SELECT file, row, bad FROM {STAGE} WHERE bad IS NOT NULL AND {where} ORDER BY file, row LIMIT {LISTED}",
            key,
        ).fetchall()
        untagged = f"FROM {STAGE} JOIN tag_map ON tag_map.text = tags WHERE NOT readable AND bad IS NULL AND {where}"
        tagless = self.db.execute(
            f"SELECT file, row, left(tags, 60) {untagged} ORDER BY 1, 2 LIMIT {LISTED}", key
        ).fetchall()
        total = self._one(f"SELECT count(*) FROM {STAGE} WHERE bad IS NOT NULL AND {where}", key)
        total += self._one(f"SELECT count(*) {untagged}", key)
        return self.notes.rows(rejected, tagless), total

    def roll(self, key: tuple[object, ...], *, detail: bool) -> dict[str, object]:
        """Roll one partition up into two csv files; gives their paths, fingerprints, control totals and checks."""
        count = len(self.tag_keys)
        self.db.execute(levels.finest(count, detail=detail), key)
        tables = {3: "fine", 2: "level_2", 1: "level_1"} if detail else {2: "fine", 1: "level_1"}
        if detail:
            self.db.execute(levels.roll("fine", "level_2", levels.dims_of(2, count)))
        self.db.execute(levels.roll(tables[2], "level_1", levels.dims_of(1, count)))
        written = {level: self._write(level, table, count) for level, table in sorted(tables.items())}
        first, last = self.db.execute("SELECT min(day), max(day) FROM fine").fetchall()[0]
        prices = self._one(conservation.PRICES, key)
        checks = conservation.check(lambda query: self.db.execute(query).fetchall(), prices)
        totals = self.db.execute(levels.CONTROL, key).fetchall()
        return {
            "series": [str(folder / "series.csv") for folder, _ in written.values()],
            "facts": [str(folder / "facts.csv") for folder, _ in written.values()],
            "fingerprint": written[2][1],
            "detail_fingerprint": written[3][1] if detail else "",
            "first_day": first.isoformat(),
            "last_day": last.isoformat(),
            "totals": totals,
            "checks": [asdict(c) for c in checks],
        }

    def _write(self, level: int, table: str, count: int) -> tuple[Path, str]:
        dims, every = levels.dims_of(level, count), levels.dims_of(3, count)
        folder = self.folder / f"level-{level}"
        folder.mkdir(exist_ok=True)
        # A load's ids have 24 bits (tools/store/fact_tables.py): room for three levels.
        self.db.execute(levels.number(table, dims, (level - 1) * _PER_LEVEL))
        if self._one("SELECT count(*) FROM numbered") >= _PER_LEVEL:
            raise InputError(
                "One billing period has more than 5 million combinations of dimensions.",
                fix="Configure fewer tag keys (OPTIINFRA_TAG_KEYS).",
            )
        self.db.execute(levels.write_series(level, dims, every, str(folder / "series.csv")))
        self.db.execute(levels.write_facts(level, table, dims, str(folder / "facts.csv")))
        return folder, "" if level == 1 else self._fingerprint(table, dims)

    def _fingerprint(self, table: str, dims: tuple[str, ...]) -> str:
        rows, lower, upper = self.db.execute(levels.fingerprint(table, dims)).fetchall()[0]
        return f"{rows}:{int(lower) % 2**96:x}:{int(upper) % 2**96:x}"

    def _one(self, query: str, parameters: object = None) -> int:
        row = self.db.execute(query, parameters).fetchone()
        return int(row[0]) if row else 0


def _check_types(file: FocusFile, layout: columns.Layout, types: list[str]) -> None:
    for thing, column in (("billing_account_id", "BillingAccountId"), ("sub_account_id", "SubAccountId")):
        if any(types[p] in {"DOUBLE", "FLOAT"} for p in layout.positions.get(thing, ())):
            raise InputError(
                f"{column} of {file.name} is stored as floating-point numbers, which damages account ids.",
                fix="Export it again with ids as text.",
            )


def _sentence(file: FocusFile, detail: str) -> InputError:
    first = detail.strip().splitlines()[0][:200]
    if "memory" in detail.lower() and "out of" in detail.lower():
        return InputError(f"{file.name} needs more memory than the roll-up may use ({first}).", fix="Split the file.")
    if file.kind == "csv.gz" and "gzip" in detail.lower():
        return files.broken_gzip(file)
    if file.kind == "parquet":
        return InputError(f"{file.name} is a damaged or cut-off parquet file.", fix="Copy or export it again.")
    return InputError(f"{file.name} cannot be read as csv ({first}).", fix="Export it again as UTF-8 csv.")


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
    given = [FocusFile(Path(f["path"]), f["kind"], f["size"]) for f in request["files"]]
    rollup = Rollup(folder, tuple(request["tag_keys"]), request["provider"])
    total, done = sum(f.size for f in given), 0
    for number, file in enumerate(given):
        _tell(told, event="progress", what=f"reading {file.name}", done=done, total=total)
        rollup.notes.name(number, file.name)
        rollup.stage(number, file)
        done += file.size
    rollup.leave_out_others()
    rollup.read_tags()
    found = rollup.partitions()
    _tell(told, event="found", partitions=found, versions=sorted(rollup.versions), notes=rollup.notes.whole())
    for partition in found:
        _one_partition(rollup, partition, asked, told)


def _one_partition(rollup: Rollup, partition: dict[str, object], asked: TextIO, told: TextIO) -> None:
    period = partition["billing_period"]
    key = (
        partition["provider"],
        partition["billing_account_id"],
        None if period is None else date.fromisoformat(str(period)),
    )
    problems, total = rollup.problems(key)
    _tell(told, event="problems", problems=problems, total=total)
    wish = _hear(asked)
    if wish["roll"]:
        _tell(told, event="rolled", **rollup.roll(key, detail=bool(wish["detail"])))
        # The parent has read the files when it asks for the next one.
        _hear(asked)


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
        if time.time() - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


if __name__ == "__main__":
    # What a library prints must not end up between our messages.
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.exit(main(sys.stdin, told))
