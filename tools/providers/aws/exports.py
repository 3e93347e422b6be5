"""Exports: brings FOCUS files from a bucket; of an AWS Data Export only what its newest manifests name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tools.model.errors import InputError
from tools.providers.aws.connection import Connection
from tools.providers.aws.refusals import our_words
from tools.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEME = "s3://"
_SUFFIXES = (".csv", ".csv.gz", ".csv.gzip", ".parquet")
_MANIFEST = "manifest.json"
_MANIFEST_LIMIT = 1 << 20
_PERIOD = re.compile(r"BILLING_PERIOD=\d{4}-\d{2}", re.IGNORECASE)
_HOME_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Found:
    """An object of the bucket."""

    key: str
    size: int
    modified: datetime


def fetch(settings: Settings, address: str, folder: Path) -> tuple[Path, ...]:
    """Download the FOCUS files behind s3://BUCKET/PREFIX into a folder.

    AWS writes a manifest after all files of a delivery. Where there are manifests, only files that the newest one
    of each billing period names are read: others are older deliveries, or one that is not finished.
    Raises InputError when nothing is there, and ProviderError when AWS refuses.
    """
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise InputError(f"{address} names no bucket.", fix="Write it as s3://BUCKET/PREFIX.")
    # The credentials themselves read the export; the accounts' roles are for their inventories.
    connection = Connection(regions=settings.aws_regions or (_HOME_REGION,), endpoint=settings.aws_endpoint_url)
    client = connection.client("s3", "", connection.regions[0])
    with our_words(f"reading s3://{bucket}"):
        objects = list(_objects(client, bucket, prefix))
        manifests = newest(o for o in objects if o.key.lower().endswith(_MANIFEST))
        if manifests:
            named = [key for m in manifests for key in _data_files(client, bucket, prefix, m)]
            keys = list(dict.fromkeys(named))
            _check(keys, objects, address)
        else:
            keys = [o.key for o in objects if o.size and _is_data(o.key)]
        if not keys:
            raise InputError(f"There is no FOCUS file behind {address}.", fix="Check the bucket and the prefix.")
        return tuple(_download(client, bucket, key, folder) for key in keys)


def newest(manifests: Iterable[Found]) -> list[Found]:
    """The newest manifest of each export and billing period; of exports without periods, of each folder."""
    found: dict[str, Found] = {}
    for manifest in sorted(manifests, key=lambda m: (m.modified, m.key)):
        period = _PERIOD.search(manifest.key)
        # Below the period stands one folder per delivery, where an export keeps them all.
        place = manifest.key[: period.end()] if period else manifest.key.rpartition("/")[0]
        found[place] = manifest
    return [found[place] for place in sorted(found)]


def _objects(client: S3Client, bucket: str, prefix: str) -> Iterator[Found]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            yield Found(entry["Key"], entry["Size"], entry["LastModified"])


def _is_data(key: str) -> bool:
    parts = key.split("/")
    return key.lower().endswith(_SUFFIXES) and not any(p.startswith(("_", ".")) for p in parts)


def _data_files(client: S3Client, bucket: str, prefix: str, manifest: Found) -> list[str]:
    raw = client.get_object(Bucket=bucket, Key=manifest.key)["Body"].read(_MANIFEST_LIMIT)
    return data_files(raw, bucket, prefix, manifest.key)


def data_files(raw: bytes, bucket: str, prefix: str, name: str) -> list[str]:
    """The keys that a manifest names; raises InputError for one that cannot be read or points elsewhere."""
    try:
        document = json.loads(raw)
        named = document.get("dataFiles") or document.get("reportKeys") or []
        if not isinstance(named, list) or not all(isinstance(n, str) for n in named):
            raise ValueError(name)
    except (ValueError, AttributeError):
        raise InputError(f"The manifest {name} cannot be read.", fix="Check what writes to this bucket.") from None
    keys = []
    for address in named:
        where, _, key = address.removeprefix(SCHEME).partition("/")
        if not address.startswith(SCHEME):
            where, key = bucket, address.lstrip("/")
        key = unquote(key)
        if where != bucket or ".." in key.split("/") or not key.startswith(prefix[: prefix.rfind("/") + 1]):
            raise InputError(
                f"The manifest {name} points to {address}, outside of the export.", fix="Check who wrote it."
            )
        keys.append(key)
    return keys


def _check(keys: Sequence[str], objects: Sequence[Found], address: str) -> None:
    there = {o.key for o in objects}
    gone = [key for key in keys if key not in there]
    if gone:
        raise InputError(
            f"{len(gone)} files that the manifests behind {address} name are not there, the first is {gone[0]}.",
            fix="Wait for the delivery to finish, then try again.",
        )


def _download(client: S3Client, bucket: str, key: str, folder: Path) -> Path:
    """Two folders of the bucket may hold the same name: the place keeps them apart."""
    place = folder / hashlib.blake2b(f"{bucket}/{key}".encode(), digest_size=8).hexdigest()
    place.mkdir(exist_ok=True)
    path = place / Path(key).name
    client.download_file(bucket, key, str(path))
    return path
