"""Buckets: brings FOCUS files from Google Cloud Storage, each as it was when it was listed."""

from __future__ import annotations

import base64
from binascii import Error as NotBase64
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from tools.model.errors import InputError
from tools.providers.focus.manifests import LIMIT, Found, chosen
from tools.providers.focus.whole import Landing
from tools.providers.gcp.connection import PROVIDER, Connection
from tools.providers.rest import Asking, Document, not_as_described
from tools.settings import Settings

SCHEME = "gs://"
_LIST, _GET = "storage.objects.list", "storage.objects.get"


def fetch(settings: Settings, address: str, folder: Path) -> tuple[Path, ...]:
    """Download the FOCUS files behind gs://BUCKET/PREFIX into a folder.

    Raises InputError when nothing is there or a file is not whole, and ProviderError when Google refuses.
    """
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise InputError(f"{address} names no bucket.", fix="Write it as gs://BUCKET/PREFIX.")
    place = _Bucket(Connection.of(settings), bucket)
    sums: dict[str, bytes] = {}
    objects = list(place.objects(prefix, sums))
    home = f"{SCHEME}{bucket}/"
    files = chosen(objects, place.text, home=home, prefix=prefix, address=address)
    return tuple(place.download(found, folder, sums[found.key]) for found in files)


class _Bucket:
    def __init__(self, connection: Connection, name: str) -> None:
        self._connection, self._name = connection, name
        self._path = f"storage/v1/b/{quote(name, safe='')}/o"

    def objects(self, prefix: str, sums: dict[str, bytes]) -> Iterator[Found]:
        """Every object, all pages; their checksums go into `sums`."""
        asking = Asking(f"listing {SCHEME}{self._name}", _LIST)
        for item in self._connection.listing("storage", self._path, "items", asking, prefix=prefix):
            found = _found(item, asking)
            sums[found.key] = _md5(item, asking)
            yield found

    def text(self, found: Found) -> bytes:
        """The beginning of a small file."""
        read = b""
        with self._content(found) as blocks:
            for block in blocks:
                read += block
                if len(read) > LIMIT:
                    break
        return read[:LIMIT]

    def download(self, found: Found, folder: Path, md5: bytes) -> Path:
        name = f"{SCHEME}{self._name}/{found.key}"
        with Landing(folder, name, found.size, md5) as landing, self._content(found) as blocks:
            for block in blocks:
                landing.write(block)
        return landing.path

    def _content(self, found: Found) -> AbstractContextManager[Iterator[bytes]]:
        # Of this generation: an object that was written anew in between is not what was listed.
        return self._connection.services["storage"].content(
            f"{self._path}/{quote(found.key, safe='')}",
            Asking(f"reading {SCHEME}{self._name}", _GET),
            parameters={"alt": "media", "generation": found.mark},
            headers={"Accept-Encoding": "gzip"},
        )


def _found(item: Document, asking: Asking) -> Found:
    try:
        return Found(
            str(item["name"]), int(item["size"]), datetime.fromisoformat(str(item["updated"])), str(item["generation"])
        )
    except (KeyError, ValueError):
        raise not_as_described(PROVIDER, asking.doing) from None


def _md5(item: Document, asking: Asking) -> bytes:
    """The checksum; objects that were composed of several have none."""
    try:
        return base64.b64decode(str(item.get("md5Hash", "")), validate=True)
    except NotBase64:
        raise not_as_described(PROVIDER, asking.doing) from None
