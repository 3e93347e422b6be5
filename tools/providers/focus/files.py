"""Files: finds FOCUS files from what a person typed and looks at each before it is read: kind, header, size."""

from __future__ import annotations

import csv
import glob
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.model.errors import InputError

SUFFIXES = (".csv", ".csv.gz", ".parquet")
HEADER_LIMIT = 1 << 20
# Real exports shrink 10 to 60 times; a file made to fill a disk shrinks about 1,000 times.
_PROBE = 1 << 18
_BOMB = 300


@dataclass(frozen=True, slots=True)
class FocusFile:
    """A file to read. `kind` is "csv", "csv.gz" or "parquet", told by its first bytes and not by its name."""

    path: Path
    kind: str
    size: int

    @property
    def name(self) -> str:
        return self.path.name


def find(paths: Sequence[str | Path]) -> tuple[FocusFile, ...]:
    """Every file behind the given files, folders and patterns, each once, in order of name.

    Raises InputError for a path that is not there, a folder without FOCUS files, or a file that cannot be one.
    """
    found: dict[Path, Path] = {}
    for given in paths:
        for path in _expand(str(given)):
            # The same file through two links is one file; its costs must not count twice.
            found.setdefault(path.resolve(), path)
    return tuple(_look(path) for path in sorted(found.values()))


def _expand(given: str) -> list[Path]:
    if "://" in given:
        raise InputError(
            f"{given} is an address, and only files of this machine can be read here.",
            fix="Copy the export to a folder first and give the folder.",
        )
    path = Path(given).expanduser()
    if path.is_dir():
        return _walk(path)
    if path.exists():
        return [path]
    matches = [Path(m) for m in sorted(glob.glob(str(path), recursive=True))]
    if not matches:
        raise InputError(f"There is no file or folder {given}.", fix="Check the path.")
    files = [m for m in matches if m.is_file()]
    return files + [file for m in matches if m.is_dir() for file in _walk(m)]


def _walk(folder: Path) -> list[Path]:
    files = [path for path in _files_below(folder) if path.name.lower().endswith(SUFFIXES)]
    if not files:
        raise InputError(
            f"The folder {folder} holds no {', '.join(SUFFIXES)} file.", fix="Give the folder that holds the export."
        )
    return files


def _files_below(folder: Path) -> Iterator[Path]:
    seen: set[Path] = set()

    def stop(error: OSError) -> None:
        raise InputError(f"The folder {error.filename} cannot be read ({error.strerror}).") from error

    for here, folders, names in os.walk(folder, followlinks=True, onerror=stop):
        real = Path(here).resolve()
        if real in seen:
            folders.clear()  # a link that leads back
            continue
        seen.add(real)
        # Names that begin with a dot or "_" are other programs' leftovers ("_temporary", "_SUCCESS").
        folders[:] = sorted(f for f in folders if not f.startswith((".", "_")))
        yield from (Path(here) / name for name in sorted(names) if not name.startswith((".", "_")))


def _look(path: Path) -> FocusFile:
    try:
        with path.open("rb") as file:
            start = file.read(4)
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error
    if size == 0:
        raise InputError(f"{path.name} is empty.", fix="Export it again; an export without costs still has a header.")
    if start == b"PAR1":
        return FocusFile(path, "parquet", size)
    if start[:2] == b"\x1f\x8b":
        return FocusFile(path, "csv.gz", size)
    if start[:2] == b"PK":
        raise InputError(f"{path.name} is a zip archive or a spreadsheet.", fix="Give the csv or parquet file itself.")
    return FocusFile(path, "csv", size)


def digest(file: FocusFile) -> str:
    """What is in a file, as 48 hexadecimal digits."""
    try:
        with file.path.open("rb") as content:
            return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=24)).hexdigest()
    except OSError as error:
        raise InputError(f"{file.path} cannot be read ({error.strerror}).") from error


def header(file: FocusFile) -> tuple[list[str], str]:
    """The column names of a csv file and its line end; raises InputError when it is no readable csv text."""
    raw = _beginning(file)
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in raw[:4096]:
        raise InputError(f"{file.name} is not UTF-8 text.", fix="Save it as UTF-8 and try again.")
    line, end, _ = raw.partition(b"\n")
    if not end and len(raw) >= HEADER_LIMIT:
        raise InputError(f"The first line of {file.name} is longer than {HEADER_LIMIT >> 20} MB; it is not a header.")
    if not end or not raw[len(line) + 1 :].strip():
        raise InputError(
            f"{file.name} has no rows below its first line.", fix="Check the export: an empty one is not read as zero."
        )
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file.name} is not UTF-8 text.", fix="Save it as UTF-8 and try again.") from None
    try:
        names = next(csv.reader(io.StringIO(text.rstrip("\r"))), [])
    except csv.Error as error:
        raise InputError(f"The header of {file.name} cannot be read ({error}).") from None
    return names, "\\r\\n" if line.endswith(b"\r") else "\\n"


def _beginning(file: FocusFile) -> bytes:
    if file.kind == "csv":
        with file.path.open("rb") as plain:
            return plain.read(HEADER_LIMIT)
    _refuse_bomb(file)
    try:
        with gzip.open(file.path) as packed:
            return packed.read(HEADER_LIMIT)
    except (OSError, EOFError, zlib.error):
        raise broken_gzip(file) from None


def broken_gzip(file: FocusFile) -> InputError:
    return InputError(
        f"{file.name} ends in the middle or is damaged: it cannot be unpacked.", fix="Copy or export it again."
    )


def _refuse_bomb(file: FocusFile) -> None:
    with file.path.open("rb") as packed:
        start = packed.read(_PROBE)
    try:
        unpacked = zlib.decompressobj(31).decompress(start, len(start) * _BOMB + 1)
    except zlib.error:
        raise broken_gzip(file) from None
    if len(unpacked) > len(start) * _BOMB:
        raise InputError(
            f"{file.name} unpacks to more than {_BOMB} times its size, as no export does; it was not read.",
            fix="Check where it comes from.",
        )
