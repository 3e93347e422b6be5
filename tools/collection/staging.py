"""Staging: reads FOCUS files into DuckDB, marks bad rows, and says what the files hold."""

# ruff: noqa: S608 - table names are ours
from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.collection import levels
from tools.collection.problems import LISTED, Notes
from tools.model.errors import InputError
from tools.providers.focus import columns, files, reading, tags
from tools.providers.focus.files import FocusFile
from tools.providers.focus.reading import STAGE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "130MB"
_TAG_BATCH = 10_000
_MOST_BROKEN = 50
# Small files of one layout are read by one statement: planning it takes longer than reading them. Large parquet files
# are read in pieces, so that what is added up fits into memory; of a large csv file rows are not added up.
_ROWS = 125_000
_ROW_BYTES = 500
_PACKED = 10
# Files of one billing period that share fewer rows than this are pieces of one export with some equal rows.
_FEW_SHARED = 10
# Staged rows that are rolled up together.
_BATCH = 100_000


@dataclass(frozen=True, slots=True)
class _Group:
    """Files that one statement reads: numbers and files, their layout and column types, (about) how many rows."""

    numbers: tuple[int, ...]
    files: tuple[FocusFile, ...]
    layout: columns.Layout
    types: tuple[str, ...]
    rows: int


class Staging:
    """The staged rows of some files, in memory and (past the cap) in `folder`; `db` is for who rolls them up."""

    def __init__(self, folder: Path, tag_keys: tuple[str, ...], provider: str | None) -> None:
        import duckdb

        self.folder = folder
        self.tag_keys = tag_keys
        self.provider = reading.provider_name(provider) if provider else None
        self.notes = Notes()
        self.files: list[FocusFile] = []
        self.versions: dict[int, str] = {}
        self._first_rows: dict[int, int] = {}
        self._errors = duckdb.Error
        self.db: DuckDBPyConnection = duckdb.connect()
        for setting in (
            f"memory_limit = '{MEMORY}'",
            "threads = 1",
            "TimeZone = 'UTC'",
            f"temp_directory = '{folder}'",
            "enable_progress_bar = false",
            "autoinstall_known_extensions = false",
            "partitioned_write_flush_threshold = 100000",
        ):
            self.db.execute(f"SET {setting}")
        for statement in (*reading.MACROS, reading.CREATE_STAGE, *levels.MACROS, levels.CREATE_PART):
            self.db.execute(statement)

    def stage(self, files: Sequence[FocusFile]) -> Iterator[FocusFile]:
        """Read files whole, each after it was given out; raise InputError when one cannot be read."""
        groups = list(self._groups(files))
        # In one transaction: rows of small ones would be copied once more at the end of each.
        self.db.execute("BEGIN")
        for group in groups:
            yield group.files[0]
            try:
                self._read(group)
            except self._errors as error:
                self.db.execute("ROLLBACK")
                # Which of them it is shows when each is read alone.
                for number, file in zip(group.numbers, group.files, strict=True):
                    self._alone(replace(group, numbers=(number,), files=(file,)))
                raise _sentence(group.files[0], str(error)) from error
        self.db.execute("COMMIT")

    def _alone(self, group: _Group) -> None:
        try:
            self._read(group)
        except self._errors as error:
            raise _sentence(group.files[0], str(error)) from error

    def _groups(self, files: Sequence[FocusFile]) -> Iterator[_Group]:
        """Neighbours of the same layout, up to a size."""
        looked = [self._look(file) for file in files]
        for _, same in groupby(looked, key=lambda one: (one.files[0].kind, one.layout.names, one.types)):
            waiting: list[_Group] = []
            for one in same:
                if waiting and sum(w.rows for w in waiting) + one.rows > _ROWS:
                    yield _joined(waiting)
                    waiting = []
                waiting.append(one)
            yield _joined(waiting)

    def _look(self, file: FocusFile) -> _Group:
        """Number the file and recognise its columns."""
        number = len(self.files)
        self.files.append(file)
        self.notes.name(number, file.name)
        # The link has a name without glob characters, which DuckDB would expand.
        self._alias(number).symlink_to(file.path.resolve())
        try:
            names, types = self._columns(number, file)
            rows = self._rows(number, file)
        except self._errors as error:
            raise _sentence(file, str(error)) from error
        layout = columns.recognise(file.name, names)
        _check_types(file, layout, types)
        self.versions[number] = layout.version
        self.notes.file(file.name, layout)
        return _Group((number,), (file,), layout, tuple(types), rows)

    def _alias(self, number: int) -> Path:
        return self.folder / f"file-{number}"

    def _columns(self, number: int, file: FocusFile) -> tuple[list[str], list[str]]:
        if file.kind != "parquet":
            names, _ = files.header(file)
            return names, ["VARCHAR"] * len(names)
        found = self.db.execute(f"DESCRIBE SELECT * FROM read_parquet('{self._alias(number)}')").fetchall()
        return [str(f[0]) for f in found], [str(f[1]) for f in found]

    def _rows(self, number: int, file: FocusFile) -> int:
        if file.kind == "parquet":
            return self.number_of(f"SELECT num_rows FROM parquet_file_metadata('{self._alias(number)}')")
        return file.size * (_PACKED if file.kind == "csv.gz" else 1) // _ROW_BYTES

    def _read(self, group: _Group) -> None:
        kind = group.files[0].kind
        paths = [str(self._alias(number)) for number in group.numbers]
        for piece in self._pieces(group):
            statement = reading.insert(
                kind,
                paths,
                group.layout,
                list(group.types),
                self.provider,
                piece,
                add_up=piece is not None or group.rows <= _ROWS,
            )
            self.db.execute(statement)
        if kind != "parquet":
            self._check_lines(group)
        if len(group.files) > 1:
            # Rows of several csv files read together are counted on from file to file.
            span = [group.numbers[0], group.numbers[-1]]
            query = f"SELECT file, min(row) FROM {STAGE} WHERE file BETWEEN ? AND ? GROUP BY file"
            self._first_rows.update(self.db.execute(query, span).fetchall())
        self._check_rows(group)

    def _pieces(self, group: _Group) -> list[tuple[int, int] | None]:
        """The parts of a large parquet file, by its own row groups: of others nothing is decoded."""
        if group.files[0].kind != "parquet" or group.rows <= _ROWS:
            return [None]
        sizes = self.db.execute(
            f"SELECT row_group_num_rows FROM parquet_metadata('{self._alias(group.numbers[0])}') WHERE column_id = 0 "
            "ORDER BY row_group_id"
        ).fetchall()
        pieces: list[tuple[int, int] | None] = []
        first = last = 0
        for (size,) in sizes:
            if last > first and last + size - first > _ROWS:
                pieces.append((first, last))
                first = last
            last += size
        return [*pieces, (first, last)]

    def _check_lines(self, group: _Group) -> None:
        """Lines that DuckDB could not take apart: those of other encodings are counted, others make the file unusable."""
        broken = self.db.execute(
            "SELECT file_path, line, error_type FROM reject_errors JOIN reject_scans USING (scan_id, file_id) "
            "ORDER BY file_path, error_type = 'INVALID ENCODING', line"
        ).fetchall()
        self.db.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
        by_path = {str(self._alias(n)): file for n, file in zip(group.numbers, group.files, strict=True)}
        for path, found in groupby(broken, key=lambda row: row[0]):
            lines = list(found)
            if lines[0][2] != "INVALID ENCODING":
                raise InputError(
                    f"Line {lines[0][1]} of {by_path[path].name} has a quote that is never closed, or is longer than 2 MB.",
                    fix="Export the file again.",
                )
            self.notes.unreadable(by_path[path].name, sorted({int(line) - 1 for _, line, _ in lines}))

    def _check_rows(self, group: _Group) -> None:
        span = [group.numbers[0], group.numbers[-1]]
        opened = self.db.execute(reading.OPEN_QUOTE, span).fetchone()
        if opened is not None:
            raise InputError(
                f"{self.files[opened[0]].name} has a quote that is never closed.", fix="Export the file again."
            )
        guessed = self.db.execute(reading.AMBIGUOUS, span).fetchone()
        if guessed is not None:
            raise InputError(
                f"The dates of {self.files[guessed[0]].name} can be read in two ways: as month/day/year, rows of "
                f"{guessed[1]} charges would be of billing periods that do not begin on the first of a month.",
                fix="Export it again with dates such as 2026-11-01.",
            )

    def refuse_overlaps(self, partitions: Sequence[dict[str, Any]]) -> None:
        """One export given twice, or two snapshots of one billing period, must not count twice."""
        together = sorted({f for p in partitions if len(p["files"]) > 1 for f in p["files"]})
        if not together:
            return
        self.db.execute(reading.CONTENT, [together])
        sizes = dict(self.db.execute("SELECT file, sum(n) FROM content GROUP BY file").fetchall())
        for first, second, shared in self.db.execute(reading.SHARED).fetchall():
            one, other = self.files[first].name, self.files[second].name
            if shared == sizes[first] == sizes[second]:
                raise InputError(
                    f"{other} holds exactly the rows of {one}, so its costs would count twice.",
                    fix="Give only one of them.",
                )
            if shared >= _FEW_SHARED and shared * 2 > min(sizes[first], sizes[second]):
                raise InputError(
                    f"{one} and {other} have {shared} rows in common, as two snapshots of one billing period have: "
                    "these costs would count twice.",
                    fix="Give only the newest snapshot of each period.",
                )
        self.db.execute("DROP TABLE content")

    def leave_out_others(self) -> None:
        """Drop rows of other providers than the one that was asked for."""
        if self.provider is None:
            return
        others = self.db.execute(
            f"SELECT provider, sum(n) FROM {STAGE} WHERE provider <> ? AND provider <> '' GROUP BY 1 ORDER BY 1",
            [self.provider],
        ).fetchall()
        self.db.execute(f"DELETE FROM {STAGE} WHERE provider <> ? AND provider <> ''", [self.provider])
        for name, rows in others:
            self.notes.left_out(str(name), int(rows))
        if not self.number_of(f"SELECT count(*) FROM {STAGE}"):
            known = ", ".join(str(name) for name, _ in others)
            raise InputError(f"There are no rows of {self.provider}; the files hold {known}.", fix="Check --provider.")

    def read_tags(self) -> None:
        """Make the map from tag text to the values of the configured keys; each text is parsed once."""
        self.db.execute("DROP TABLE IF EXISTS tag_map")
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

    def partitions(self) -> list[dict[str, Any]]:
        """What the files hold: one entry per (provider, billing account, billing period).

        Each with its good and rejected rows, how many problems it has, and the numbers of its files.
        """
        broken = f"SELECT provider, billing_account_id, billing_period FROM {STAGE} GROUP BY ALL HAVING bool_and(bad IS NOT NULL)"
        if self.number_of(f"SELECT count(*) FROM ({broken})") > _MOST_BROKEN:
            # A column of damaged ids would make a partition of each row.
            self.db.execute(
                f"UPDATE {STAGE} SET provider = NULL, billing_account_id = NULL, billing_period = NULL "
                f"WHERE (provider, billing_account_id, coalesce(billing_period, DATE '1900-01-01')) IN "
                f"(SELECT provider, billing_account_id, coalesce(billing_period, DATE '1900-01-01') FROM ({broken}))"
            )
        found = self.db.execute(
            "SELECT provider, billing_account_id, billing_period, coalesce(sum(n) FILTER (bad IS NULL), 0), "
            "coalesce(sum(n) FILTER (bad IS NOT NULL), 0), count(*), list(DISTINCT file ORDER BY file) "
            f"FROM {STAGE} GROUP BY ALL ORDER BY 1, 2, 3"
        ).fetchall()
        return [
            {
                "provider": provider,
                "billing_account_id": account,
                "billing_period": None if period is None else period.isoformat(),
                "rows": int(good),
                "rejected": int(bad),
                "problems": int(bad),
                "staged": groups,
                "files": numbers,
                "versions": sorted({self.versions[n] for n in numbers}),
            }
            for provider, account, period, good, bad, groups, numbers in found
        ]

    def count_tagless(self, partitions: Sequence[dict[str, Any]]) -> None:
        """Add rows whose tags cannot be read to the problems of their partitions."""
        if not self.number_of("SELECT count(*) FROM tag_map WHERE NOT readable"):
            return
        for partition in partitions:
            partition["problems"] += self.number_of(f"SELECT coalesce(sum(n), 0) {_TAGLESS}", key_of(partition))

    def prepare(self, partitions: Sequence[dict[str, Any]], asked: Sequence[dict[str, Any]]) -> list[list[int]]:
        """Write down what is to be rolled up ({number, load_id, detail} each), and put it into batches."""
        batches: list[list[int]] = []
        size = _BATCH
        for one in asked:
            partition = partitions[one["number"]]
            if size + partition["staged"] > _BATCH:
                batches.append([])
                size = 0
            size += partition["staged"]
            batches[-1].append(one["number"])
            self.db.execute(
                "INSERT INTO part VALUES (?, ?, ?, ?, ?, ?, ?)",
                (one["number"], *key_of(partition), len(batches) - 1, one["load_id"], bool(one["detail"])),
            )
        return batches

    def problems(self, partition: dict[str, Any]) -> list[dict[str, object]]:
        """Rejected rows of a partition (the first of them), then tag texts that cannot be read."""
        if not partition["problems"]:
            return []
        key = key_of(partition)
        rejected = self.db.execute(
            f"SELECT file, row, bad, n FROM {STAGE} WHERE bad IS NOT NULL AND {_WHOSE} ORDER BY 1, 2 LIMIT {LISTED}",
            key,
        ).fetchall()
        tagless = self.db.execute(
            f"SELECT file, row, left(tags, 60), n {_TAGLESS} ORDER BY 1, 2 LIMIT {LISTED}", key
        ).fetchall()
        return self.notes.rows(self._placed(rejected), self._placed(tagless))

    def _placed(self, found: Sequence[tuple[int, int, str, int]]) -> list[tuple[int, int, str, int]]:
        return [(file, row - self._first_rows.get(file, 1) + 1, text, n) for file, row, text, n in found]

    def number_of(self, query: str, parameters: object = None) -> int:
        """The one number that a query gives; 0 when it gives none."""
        row = self.db.execute(query, parameters).fetchone()
        return int(row[0]) if row else 0


_WHOSE = (
    "provider IS NOT DISTINCT FROM ? AND billing_account_id IS NOT DISTINCT FROM ? "
    "AND billing_period IS NOT DISTINCT FROM ?"
)
_TAGLESS = f"FROM {STAGE} JOIN tag_map ON tag_map.text = tags WHERE NOT readable AND bad IS NULL AND {_WHOSE}"


def key_of(partition: dict[str, Any]) -> tuple[str | None, str | None, date | None]:
    """What identifies a partition in the stage."""
    period = partition["billing_period"]
    return (
        partition["provider"],
        partition["billing_account_id"],
        None if period is None else date.fromisoformat(str(period)),
    )


def _joined(groups: Sequence[_Group]) -> _Group:
    numbers = tuple(n for g in groups for n in g.numbers)
    files_of = tuple(f for g in groups for f in g.files)
    return replace(groups[0], numbers=numbers, files=files_of, rows=sum(g.rows for g in groups))


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
