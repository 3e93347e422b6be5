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
from tools.model.errors import InputError, OptiInfraError
from tools.providers.focus import columns, files, reading, tags
from tools.providers.focus.files import FocusFile
from tools.providers.focus.reading import FIGURES_TABLE, STAGE, TEXTS_TABLE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "125MB"
# Bytes of files from which the stage is a database on disk.
_LARGE = 50_000_000
_TAG_BATCH = 10_000
_MOST_BROKEN = 50
# Small files of one layout are read by one statement: planning it takes longer than reading them. Large ones are read
# in pieces, so that what is added up fits into memory.
_ROWS = 250_000
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
    """The staged rows of some files, in memory and (past the cap) in `folder`; `db` is for who rolls them up.

    `size` are the bytes of the files.
    """

    def __init__(self, folder: Path, tag_keys: tuple[str, ...], provider: str | None, size: int) -> None:
        import duckdb

        self.folder = folder
        self.tag_keys = tag_keys
        self.provider = reading.provider_name(provider) if provider else None
        self.notes = Notes()
        self.files: list[FocusFile] = []
        self.versions: dict[int, str] = {}
        self._first_rows: dict[int, int] = {}
        self._errors = duckdb.Error
        # What an engine in memory notes of tables that lie on disk stays in memory, and outgrows the cap in the end.
        self.db: DuckDBPyConnection = duckdb.connect(str(folder / "stage.duckdb") if size > _LARGE else ":memory:")
        for setting in (
            f"memory_limit = '{MEMORY}'",
            "threads = 1",
            "TimeZone = 'UTC'",
            f"temp_directory = '{folder}'",
            "enable_progress_bar = false",
            "autoinstall_known_extensions = false",
            "partitioned_write_flush_threshold = 100000",
            f"block_allocator_memory = '{MEMORY}'",
        ):
            self.db.execute(f"SET {setting}")
        for statement in (*reading.MACROS, *reading.CREATE, levels.CREATE_PART):
            self.db.execute(statement)

    def stage(self, files: Sequence[FocusFile]) -> Iterator[FocusFile]:
        """Read files whole, each after it was given out; raise InputError when one cannot be read."""
        for group in list(self._groups(files)):
            yield group.files[0]
            try:
                self._read(group)
            except self._errors as error:
                # Which of them it is shows when each is read alone.
                for number, file in zip(group.numbers, group.files, strict=True):
                    self._alone(replace(group, numbers=(number,), files=(file,)))
                raise _sentence(group.files[0], str(error)) from error
        if self.db.execute(reading.MET).fetchone() is not None:
            raise OptiInfraError(
                "Two combinations of texts in these files cannot be told apart, so nothing was stored.",
                fix="Read the files in two halves.",
            )

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
        columns.check_types(file.name, layout, types)
        if file.kind == "parquet" and not rows:
            raise files.no_rows(file)
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
        kind, types = group.files[0].kind, list(group.types)
        paths = [str(self._alias(number)) for number in group.numbers]
        if kind != "parquet":
            # Taking lines apart costs more than all that follows: it is done once.
            rows = reading.typed(kind, paths, group.layout, types)
            self.db.execute(f"CREATE OR REPLACE TEMP TABLE lines AS {rows}")
        for piece in self._pieces(group):
            if kind == "parquet":
                rows = reading.typed(kind, paths, group.layout, types, piece)
            else:
                rows = f"FROM lines WHERE row > {piece[0]} AND row <= {piece[1]}" if piece else "FROM lines"
            span = (group.numbers[0], group.numbers[-1])
            self.db.execute(
                reading.insert_texts(rows, group.layout, types, self.provider, span, parquet=kind == "parquet")
            )
            self.db.execute(reading.insert_figures(rows, group.layout, types))
        if kind != "parquet":
            self.db.execute("DROP TABLE lines")
            self._check_lines(group)
        if len(group.files) > 1:
            # Rows of several csv files read together are counted on from file to file.
            query = f"SELECT file, min(row) FROM {FIGURES_TABLE} WHERE file BETWEEN ? AND ? GROUP BY file"
            self._first_rows.update(self.db.execute(query, [group.numbers[0], group.numbers[-1]]).fetchall())
        self._check_rows(group)

    def _pieces(self, group: _Group) -> Iterator[tuple[int, int] | None]:
        """The parts of a large group: of parquet by its own row groups, as nothing is decoded of others."""
        if group.files[0].kind == "parquet":
            sizes = self._row_groups(group) if group.rows > _ROWS else []
        else:
            rows = self.number_of("SELECT count(*) FROM lines")
            sizes = [min(_ROWS, rows - done) for done in range(0, rows, _ROWS)] if rows > _ROWS else []
        if not sizes:
            yield None
            return
        first = last = 0
        for size in sizes:
            if last > first and last + size - first > _ROWS:
                yield first, last
                first = last
            last += size
        yield first, last

    def _row_groups(self, group: _Group) -> list[int]:
        found = self.db.execute(
            f"SELECT row_group_num_rows FROM parquet_metadata('{self._alias(group.numbers[0])}') WHERE column_id = 0 "
            "ORDER BY row_group_id"
        ).fetchall()
        return [int(size) for (size,) in found]

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
            unreadable = sorted({int(line) - 1 for _, line, _ in lines})
            staged = self.number_of(
                f"SELECT coalesce(sum(n), 0) FROM {FIGURES_TABLE} WHERE file = ?", [int(path.rpartition("-")[2])]
            )
            if len(unreadable) > staged:
                raise files.not_utf8(by_path[path])
            self.notes.unreadable(by_path[path].name, unreadable)

    def _check_rows(self, group: _Group) -> None:
        span = [group.numbers[0], group.numbers[-1]]
        (opened,) = self.db.execute(reading.OPEN_QUOTE, span).fetchone() or (None,)
        if opened is not None:
            raise InputError(
                f"{self.files[opened].name} has a quote that is never closed.", fix="Export the file again."
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
        of_others = f"FROM {TEXTS_TABLE} WHERE provider <> ? AND provider <> ''"
        self.db.execute(f"DELETE FROM {FIGURES_TABLE} WHERE key IN (SELECT key {of_others})", [self.provider])
        self.db.execute(f"DELETE {of_others}", [self.provider])
        for name, rows in others:
            self.notes.left_out(str(name), int(rows))
        if not self.number_of(f"SELECT count(*) FROM {TEXTS_TABLE}"):
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
            cursor = self.db.execute(f"SELECT DISTINCT tags FROM {TEXTS_TABLE} WHERE tags <> ''")
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
        self.db.execute(_COUNTED)
        broken = f"SELECT provider, billing_account_id, billing_period {_COUNTS} GROUP BY ALL HAVING sum(good) = 0"
        if self.number_of(f"SELECT count(*) FROM ({broken})") > _MOST_BROKEN:
            # A column of damaged ids would make a partition of each row.
            self.db.execute(
                f"UPDATE {TEXTS_TABLE} SET provider = NULL, billing_account_id = NULL, billing_period = NULL "
                f"WHERE (provider, billing_account_id, coalesce(billing_period, DATE '1900-01-01')) IN "
                f"(SELECT provider, billing_account_id, coalesce(billing_period, DATE '1900-01-01') FROM ({broken}))"
            )
        found = self.db.execute(
            "SELECT provider, billing_account_id, billing_period, sum(good), sum(rejected), sum(staged), "
            f"list(DISTINCT file ORDER BY file) {_COUNTS} GROUP BY ALL ORDER BY 1, 2, 3"
        ).fetchall()
        return [
            {
                "provider": provider,
                "billing_account_id": account,
                "billing_period": None if period is None else period.isoformat(),
                "rows": int(good),
                "rejected": int(bad),
                "problems": int(bad),
                "staged": int(groups),
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


# How many rows of each combination of texts are good and how many are not, and how many rows of figures those are.
_COUNTED = (
    f"CREATE OR REPLACE TEMP TABLE counted AS SELECT t.key, sum(n) FILTER (f.bad IS NULL AND t.bad IS NULL) AS good, "
    f"sum(n) AS n, count(*) AS staged FROM {FIGURES_TABLE} f JOIN {TEXTS_TABLE} t ON t.key = f.key GROUP BY t.key"
)
_COUNTS = (
    "FROM (SELECT t.*, coalesce(good, 0) AS good, n - coalesce(good, 0) AS rejected, staged "
    f"FROM counted c JOIN {TEXTS_TABLE} t ON t.key = c.key)"
)
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


def _sentence(file: FocusFile, detail: str) -> InputError:
    """What is wrong with a file, from what DuckDB says of it: its own words name things that nobody gave."""
    if "memory" in detail.lower() and "out of" in detail.lower():
        return InputError(f"{file.name} needs more memory than the roll-up may use.", fix="Split the file.")
    if file.kind == "csv.gz" and "gzip" in detail.lower():
        return files.broken_gzip(file)
    if file.kind == "parquet" and "encrypted" in detail.lower():
        return InputError(f"{file.name} is an encrypted parquet file.", fix="Export it again without encryption.")
    if file.kind == "parquet":
        return InputError(f"{file.name} is a damaged or cut-off parquet file.", fix="Copy or export it again.")
    return InputError(f"{file.name} cannot be read as csv.", fix="Export it again as UTF-8 csv.")
