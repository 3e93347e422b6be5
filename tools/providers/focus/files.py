"""Files: finds FOCUS files from what a person typed and looks at each before it is read: kind, header, size."""

from __future__ import annotations

import csv
import glob
import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.model.errors import InputError
from tools.providers.focus.folders import shown, walk

HEADER_LIMIT = 1 << 20
# Real exports shrink 10 to 60 times; a file made to fill a disk shrinks about 1,000 times.
_PROBE = 1 << 18
_BOMB = 300
# How a file begins that is something else, and what it then is.
_SIGNS = (
    (b"PK", "a zip archive or a spreadsheet"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\xfd7zXZ", "packed with xz; only gzip can be read"),
    (b"BZh", "packed with bzip2; only gzip can be read"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd; only gzip can be read"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"ARROW1", "an Arrow file"),
    (b"PARE", "an encrypted parquet file"),
    (b"<!DOCTYPE", "a web page"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
    (b"<", "an XML document"),
    (b"{", "a JSON document"),
    (b"[", "a JSON document"),
)
_SIGN = 16
_PROBED = 4096


@dataclass(frozen=True, slots=True)
class FocusFile:
    """A file to read. `kind` is "csv", "csv.gz" or "parquet", told by its first bytes and not by its name."""

    path: Path
    kind: str
    size: int

    @property
    def name(self) -> str:
        return shown(self.path.name)


def find(paths: Sequence[str | Path]) -> tuple[FocusFile, ...]:
    """Every file behind the given files, folders and patterns, each once, in order of name.

    Raises InputError for a path that is not there, a folder without FOCUS files, or a file that cannot be one.
    """
    found: dict[Path, Path] = {}
    for given in paths:
        for path in _expand(str(given)):
            # The same file through two links is one file; its costs must not count twice.
            found.setdefault(Path(os.path.realpath(path)), path)
    return tuple(_look(path) for path in sorted(found.values()))


def _expand(given: str) -> list[Path]:
    if "://" in given:
        raise InputError(
            f"{given} is an address, and only files of this machine can be read here.",
            fix="Copy the export to a folder first and give the folder.",
        )
    path = Path(os.path.expanduser(given))
    # Unlike pathlib these say "no" to whatever the system refuses to look at.
    if os.path.isdir(path):
        return walk(path)
    if os.path.lexists(path):
        return [path]
    matches = [Path(m) for m in sorted(glob.glob(str(path), recursive=True))]
    if not matches:
        raise InputError(f"There is no file or folder {shown(given)}.", fix="Check the path.")
    files = [m for m in matches if m.is_file()]
    return files + [file for m in matches if m.is_dir() for file in walk(m)]


def _look(path: Path) -> FocusFile:
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            # A pipe or a device would be waited for, or read, for ever.
            raise InputError(f"{shown(path)} is no ordinary file.", fix="Give the csv or parquet file itself.")
        with path.open("rb") as file:
            start = file.read(_SIGN)
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read ({error.strerror}).") from error
    if about.st_size == 0:
        raise InputError(
            f"{shown(path.name)} is empty.", fix="Export it again; an export without costs still has a header."
        )
    if start[:4] == b"PAR1":
        return FocusFile(path, "parquet", about.st_size)
    if start[:2] == b"\x1f\x8b":
        return FocusFile(path, "csv.gz", about.st_size)
    _refuse_others(path.name, start)
    return FocusFile(path, "csv", about.st_size)


def _refuse_others(name: str, start: bytes) -> None:
    what = next((what for sign, what in _SIGNS if start.removeprefix(b"\xef\xbb\xbf").startswith(sign)), "")
    if what:
        raise InputError(f"{shown(name)} is {what}.", fix="Give the csv or parquet file itself.")


def digest(file: FocusFile) -> str:
    """What is in a file, as 48 hexadecimal digits."""
    try:
        with file.path.open("rb") as content:
            return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=24)).hexdigest()
    except OSError as error:
        raise InputError(f"{shown(file.path)} cannot be read ({error.strerror}).") from error


def header(file: FocusFile) -> tuple[list[str], str]:
    """The column names of a csv file and its line end; raises InputError when it is no readable csv text."""
    raw = _beginning(file)
    if raw[:2] == b"\x1f\x8b":
        raise InputError(f"{file.name} is packed twice.", fix="Unpack it once.")
    _refuse_others(file.name, raw[:_SIGN])
    # Text of two or four bytes a character is a quarter or more of zeros; a stray one is judged with its row.
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} or raw[:_PROBED].count(0) * 8 > len(raw[:_PROBED]):
        raise not_utf8(file)
    line, end, _ = raw.partition(b"\n")
    if not end and len(raw) >= HEADER_LIMIT:
        raise InputError(f"The first line of {file.name} is longer than {HEADER_LIMIT >> 20} MB; it is not a header.")
    if not end or not raw[len(line) + 1 :].strip():
        raise no_rows(file)
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise not_utf8(file) from None
    try:
        names = next(csv.reader(io.StringIO(text.rstrip("\r"))), [])
    except csv.Error as error:
        raise InputError(f"The header of {file.name} cannot be read ({error}).") from None
    return names, "\\r\\n" if line.endswith(b"\r") else "\\n"


def not_utf8(file: FocusFile) -> InputError:
    return InputError(f"{file.name} is not UTF-8 text.", fix="Save it as UTF-8 and try again.")


def no_rows(file: FocusFile) -> InputError:
    below = " below its first line" if file.kind != "parquet" else ""
    return InputError(f"{file.name} has no rows{below}.", fix="Check the export: an empty one is not read as zero.")


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
        packed.seek(max(file.size - 4, 0))
        told = int.from_bytes(packed.read(4), "little")
    try:
        unpacked = len(zlib.decompressobj(31).decompress(start, len(start) * _BOMB + 1))
        bomb = unpacked > len(start) * _BOMB
        # A file ends with the size that it unpacks to: one may begin like an export and go on like a bomb.
        if not bomb and told > file.size * _BOMB:
            bomb = _unpacks_beyond(file.path, file.size * _BOMB)
    except (OSError, EOFError, zlib.error):
        raise broken_gzip(file) from None
    if bomb:
        raise InputError(
            f"{file.name} unpacks to more than {_BOMB} times its size, as no export does; it was not read.",
            fix="Check where it comes from.",
        )


def _unpacks_beyond(path: Path, limit: int) -> bool:
    size = 0
    with gzip.open(path) as packed:
        while size <= limit and (block := packed.read(1 << 20)):
            size += len(block)
    return size > limit
