"""Exports: brings FOCUS files from a bucket, of an AWS Data Export only what its newest manifests name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tools.model.errors import InputError
from tools.providers.aws.connection import Connection
from tools.providers.aws.refusals import our_words
from tools.providers.focus.manifests import LIMIT, Found, chosen
from tools.providers.focus.whole import Landing
from tools.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEME = "s3://"
_HOME_REGION = "us-east-1"
_BLOCK = 1 << 20


def fetch(settings: Settings, address: str, folder: Path) -> tuple[Path, ...]:
    """Download the FOCUS files behind s3://BUCKET/PREFIX into a folder.

    AWS writes a manifest after all files of a delivery; see tools/providers/focus/manifests.py for what it decides.
    Raises InputError when nothing is there or a file is not whole, and ProviderError when AWS refuses.
    """
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise InputError(f"{address} names no bucket.", fix="Write it as s3://BUCKET/PREFIX.")
    # The credentials themselves read the export; the accounts' roles are for their inventories.
    connection = Connection(regions=settings.aws_regions or (_HOME_REGION,), endpoint=settings.aws_endpoint_url)
    client = connection.client("s3", "", connection.regions[0])
    with our_words(f"reading s3://{bucket}"):

        def read(manifest: Found) -> bytes:
            with closing(client.get_object(Bucket=bucket, Key=manifest.key)["Body"]) as body:
                return body.read(LIMIT)

        home = f"{SCHEME}{bucket}/"
        files = chosen(list(_objects(client, bucket, prefix)), read, home=home, prefix=prefix, address=address)
        return tuple(_download(client, bucket, found, folder) for found in files)


def _objects(client: S3Client, bucket: str, prefix: str) -> Iterator[Found]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            yield Found(entry["Key"], entry["Size"], entry["LastModified"], entry.get("ETag", ""))


def _download(client: S3Client, bucket: str, found: Found, folder: Path) -> Path:
    """As it was when it was listed: S3 refuses an object that was written anew in between."""
    body = client.get_object(Bucket=bucket, Key=found.key, IfMatch=found.mark)["Body"]
    with closing(body), Landing(folder, f"{SCHEME}{bucket}/{found.key}", found.size) as landing:
        for block in body.iter_chunks(_BLOCK):
            landing.write(block)
    return landing.path
