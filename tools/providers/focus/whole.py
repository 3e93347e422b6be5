"""Whole: a file that comes over the network lands here whole - as long as it was listed, and with its checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from tools.model.errors import InputError


class Landing:
    """A file being written below `folder`; leaving the block refuses it when it is not what was listed.

    `address` names it for people and keeps equal names of different folders apart. `md5` is its checksum in bytes,
    where the place tells one.
    """

    def __init__(self, folder: Path, address: str, size: int, md5: bytes = b"") -> None:
        place = folder / hashlib.blake2b(address.encode(), digest_size=8).hexdigest()
        place.mkdir(exist_ok=True)
        self.path = place / address.rpartition("/")[2]
        self._address, self._size, self._md5 = address, size, md5
        self._length = 0
        self._sum = hashlib.md5(usedforsecurity=False)
        self._file: BinaryIO

    def __enter__(self) -> Landing:
        self._file = self.path.open("wb")
        return self

    def write(self, block: bytes) -> None:
        """The next bytes. Raises InputError when there are more than were listed."""
        self._length += len(block)
        if self._length > self._size:
            raise self._refusal()
        if self._md5:
            self._sum.update(block)
        self._file.write(block)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if kind is None and (self._length != self._size or (self._md5 and self._sum.digest() != self._md5)):
            raise self._refusal()

    def _refusal(self) -> InputError:
        return InputError(
            f"{self._address} did not come whole: {self._length} of {self._size} bytes, or other ones than were "
            "listed; nothing of this reading is used.",
            fix="Try again; if an export is being written there, wait until it is done.",
        )
