"""Sources: brings cost files that lie in buckets to this machine for as long as they are read."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.model.errors import InputError
from tools.settings import Settings

Fetch = Callable[[Settings, str, Path], tuple[Path, ...]]
# Each cloud's room is loaded only when something of it is read.
_ROOMS = {
    "s3": "tools.providers.aws.exports",
    "gs": "tools.providers.gcp.buckets",
    "az": "tools.providers.azure.blobs",
    "abfss": "tools.providers.azure.blobs",
}
_OTHERS = {"https": "the web", "http": "the web"}


@contextmanager
def local(paths: Sequence[str | Path], settings: Settings) -> Iterator[list[str]]:
    """The same paths, with s3://, gs:// and az:// addresses replaced by folders that hold what is behind them.

    Raises InputError for other addresses and for an address behind which nothing lies.
    """
    given = [str(path) for path in paths]
    if not any("://" in path for path in given):
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="optiinfra-source-") as folder:
        yield [_here(path, settings, Path(folder) / str(n)) for n, path in enumerate(given)]


def _here(path: str, settings: Settings, folder: Path) -> str:
    scheme, mark, rest = path.partition("://")
    if not mark:
        return path
    room = _ROOMS.get(scheme.lower())
    if room is None:
        raise InputError(
            f"{path} cannot be read: {_OTHERS.get(scheme.lower(), scheme)} is no source of cost files here.",
            fix="Give a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://ACCOUNT/CONTAINER/PREFIX.",
        )
    fetch: Fetch = importlib.import_module(room).fetch
    folder.mkdir()
    fetch(settings, f"{scheme.lower()}{mark}{rest}", folder)
    return str(folder)
