"""Folders: the cost files below a folder - all of them, or what the newest manifests of a copied export name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tools.model.errors import InputError
from tools.providers.focus import manifests
from tools.providers.focus.manifests import Found, Named

SUFFIXES = (".csv", ".csv.gz", ".parquet")
# Exports are a few folders deep; a tree that goes on and on is a mistake or a trap.
_DEEPEST = 40
_LONGEST = 300


def walk(folder: Path) -> list[Path]:
    """The cost files below a folder; raises InputError when there are none."""
    every = {path.relative_to(folder).as_posix(): path for path in _files_below(folder)}
    if not any(manifests.is_data(key) for key in every):
        raise InputError(
            f"The folder {shown(folder)} holds no {', '.join(SUFFIXES)} file.",
            fix="Give the folder that holds the export.",
        )
    if not any(manifests.is_manifest(key) for key in every):
        return [path for key, path in every.items() if manifests.is_data(key)]
    chosen = manifests.chosen(
        [_found(key, path) for key, path in every.items()],
        lambda manifest: _read(every[manifest.key]),
        home="",
        prefix="",
        address=shown(folder),
        above=f"{folder.absolute().as_posix()}/",
        here=lambda named, manifest: _here(named, manifest, every),
    )
    return [every[one.key] for one in chosen]


def shown(path: str | Path) -> str:
    """A path as it may be told: one line of text, whatever its bytes are."""
    text = os.fsencode(path).decode("utf-8", "replace")
    told = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return told if len(told) <= _LONGEST else told[:_LONGEST] + " ..."


def _files_below(folder: Path) -> Iterator[Path]:
    seen: set[Path] = set()

    def stop(error: OSError) -> None:
        raise InputError(f"The folder {shown(error.filename)} cannot be read ({error.strerror}).") from error

    for here, folders, names in os.walk(folder, followlinks=True, onerror=stop):
        real = Path(os.path.realpath(here))
        if real in seen:
            folders.clear()  # a link that leads back
            continue
        if len(Path(here).parts) - len(folder.parts) > _DEEPEST:
            raise InputError(
                f"The folders below {shown(folder)} are more than {_DEEPEST} deep, as no export is.",
                fix="Give the folder that holds the export.",
            )
        seen.add(real)
        # Names that begin with a dot or "_" are other programs' leftovers ("_temporary", "_SUCCESS").
        folders[:] = sorted(f for f in folders if not f.startswith((".", "_")))
        yield from (Path(here) / name for name in sorted(names) if not name.startswith("."))


def _here(named: Named, manifest: Found, every: dict[str, Path]) -> Named:
    """The file under its path below this folder, wherever in the bucket the copy began.

    That is the longest end of its path in the bucket that is found in a folder above the manifest, the nearest first.
    """
    steps, above = named.key.split("/"), manifest.key.split("/")[:-1]
    for first in range(len(steps)):
        for depth in range(len(above), -1, -1):
            key = "/".join([*above[:depth], *steps[first:]])
            if key in every:
                return Named(key, named.size)
    return named


def _found(key: str, path: Path) -> Found:
    try:
        about = path.stat()
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read ({error.strerror}).") from error
    return Found(key, about.st_size, datetime.fromtimestamp(about.st_mtime, UTC))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(manifests.LIMIT)
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read ({error.strerror}).") from error
