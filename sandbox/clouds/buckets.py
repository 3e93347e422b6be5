"""Bucket: files that lie in a cloud's storage - the story's exports, or what somebody puts there."""

from __future__ import annotations

import base64
import hashlib
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import format_datetime
from pathlib import Path
from xml.sax.saxutils import escape

from sandbox.clouds.rest import Answer, RefusalError, page

# Clouds hand out 1,000 and more; few, so that there is always more than one page.
MOST = 5


@dataclass(frozen=True, slots=True)
class Blob:
    """One file as it was written: its bytes, when, and which writing it is."""

    key: str
    content: bytes
    written: datetime
    generation: int

    @property
    def md5(self) -> str:
        return base64.b64encode(hashlib.md5(self.content, usedforsecurity=False).digest()).decode()

    @property
    def etag(self) -> str:
        return f"0x8D{self.generation:012X}"


@dataclass
class Bucket:
    """Files by key; `make` gives the first ones when the bucket is looked into."""

    make: Callable[[], Mapping[str, bytes]]
    now: Callable[[], datetime]
    _blobs: dict[str, Blob] | None = None
    _count: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, key: str, content: bytes) -> None:
        """Write a file, or write it anew."""
        with self._lock:
            self._count += 1
            self._here()[key] = Blob(key, content, self.now().astimezone(UTC), 1_700_000_000_000_000 + self._count)

    def clear(self) -> None:
        """Take every file away."""
        with self._lock:
            self._blobs = {}

    def listed(self, prefix: str, token: str) -> tuple[list[Blob], str]:
        """One page of the files whose key begins like that, and the token of the next page."""
        with self._lock:
            found = [blob for key, blob in sorted(self._here().items()) if key.startswith(prefix)]
        shown, more = page(found, token, MOST)
        return shown, more

    def get(self, key: str) -> Blob:
        """A file. Raises RefusalError."""
        with self._lock:
            found = self._here().get(key)
        if found is None:
            raise RefusalError(404, "notFound", f"No such object: {key}")
        return found

    def _here(self) -> dict[str, Blob]:
        if self._blobs is None:
            self._blobs = {}
            for key, content in self.make().items():
                self.put(key, content)
        return self._blobs


def of_story(provider: str, *, seed: int, today: date, months: int) -> dict[str, bytes]:
    """The story's bills of one provider as it delivers them: path within its bucket -> content."""
    from sandbox.story import amounts, events, files, other_lines

    calendar = amounts.Calendar(today, today, months)
    every = (*other_lines.gcp_lines(), *other_lines.azure_lines(), *events.new_lines())
    lines = tuple(line for line in every if line.provider == provider)
    rows = amounts.all_rows(lines, calendar, seed, events.events(calendar.anchor.weekday()))
    with tempfile.TemporaryDirectory(prefix="optiinfra-sandbox-") as folder:
        root = Path(folder)
        with files.load(lines, rows) as database:
            list(files.write(database, root, calendar.months, (provider,)))
        home = root / provider
        return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def google_item(bucket: str, blob: Blob) -> dict[str, str]:
    """A file as Google's JSON API lists it."""
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{blob.key}/{blob.generation}",
        "name": blob.key,
        "bucket": bucket,
        "generation": str(blob.generation),
        "size": str(len(blob.content)),
        "md5Hash": blob.md5,
        "updated": blob.written.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def azure_listing(account: str, container: str, blobs: list[Blob], marker: str) -> bytes:
    """A page of files as Azure's Blob service lists them."""
    items = "".join(
        f"<Blob><Name>{escape(blob.key)}</Name><Properties>"
        f"<Last-Modified>{format_datetime(blob.written, usegmt=True)}</Last-Modified><Etag>{blob.etag}</Etag>"
        f"<Content-Length>{len(blob.content)}</Content-Length><Content-Type>application/octet-stream</Content-Type>"
        f"<Content-MD5>{blob.md5}</Content-MD5><BlobType>BlockBlob</BlobType></Properties></Blob>"
        for blob in blobs
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<EnumerationResults ServiceEndpoint="https://{account}.blob.core.windows.net/" ContainerName="{container}">'
        f"<Blobs>{items}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    ).encode()


def azure_answer(blob: Blob, wanted: str) -> Answer:
    """A file's bytes, or Azure's refusal of a file that was written anew since."""
    if wanted and wanted.strip('"') != blob.etag:
        raise RefusalError(
            412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."
        )
    return Answer(200, blob.content, {"etag": f'"{blob.etag}"', "content-type": "application/octet-stream"})
