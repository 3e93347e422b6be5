"""Sources: brings cost files that lie in buckets to this machine for as long as they are read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.model.errors import InputError
from tools.settings import Settings

_OTHERS = {"gs": "Google Cloud Storage", "az": "Azure Storage", "abfss": "Azure Storage", "https": "the web"}


@contextmanager
def local(paths: Sequence[str | Path], settings: Settings) -> Iterator[list[str]]:
    """The same paths, with s3:// addresses replaced by folders that hold what is behind them.

    Raises InputError for other addresses and for an address behind which nothing lies.
    """
    given = [str(path) for path in paths]
    if not any("://" in path for path in given):
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="optiinfra-source-") as folder:
        yield [_here(path, settings, Path(folder) / str(n)) for n, path in enumerate(given)]


def _here(path: str, settings: Settings, folder: Path) -> str:
    scheme, mark, _ = path.partition("://")
    if not mark:
        return path
    if scheme.lower() != "s3":
        raise InputError(
            f"{path} cannot be read: {_OTHERS.get(scheme.lower(), scheme)} is no source of cost files here.",
            fix="Copy the export to a folder or an S3 bucket and give that.",
        )
    from tools.providers.aws.exports import fetch

    folder.mkdir()
    fetch(settings, path, folder)
    return str(folder)
