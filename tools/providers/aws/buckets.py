"""Buckets: what lies in S3 by storage class, which lifecycle rules there are, and uploads that nobody finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tools.model.errors import DeniedError, ResourceMissingError
from tools.model.resource import Resource
from tools.providers.aws import metrics
from tools.providers.aws.connection import HOME_REGION
from tools.providers.aws.describing import BUCKET
from tools.providers.aws.metrics import Wanted
from tools.providers.aws.refusals import our_words
from tools.providers.aws.sections import Place, Section

# CloudWatch's word for a storage class, and S3's own.
CLASSES = {
    "StandardStorage": "STANDARD",
    "IntelligentTieringFAStorage": "INTELLIGENT_TIERING",
    "StandardIAStorage": "STANDARD_IA",
    "OneZoneIAStorage": "ONEZONE_IA",
    "ReducedRedundancyStorage": "REDUCED_REDUNDANCY",
    "GlacierInstantRetrievalStorage": "GLACIER_IR",
    "GlacierStorage": "GLACIER",
    "DeepArchiveStorage": "DEEP_ARCHIVE",
}
GIB = 1 << 30


def _buckets(place: Place) -> Iterator[Resource]:
    """Buckets of all regions: S3 lists them per account."""
    with our_words(f"listing buckets of {place.account_id}"):
        # With a page size S3 also says in which region each bucket lies.
        pages = place.client("s3").get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 1000})
        listed = [bucket for page in pages for bucket in page["Buckets"]]
    by_region: dict[str, list[Mapping[str, Any]]] = {}
    for bucket in listed:
        by_region.setdefault(bucket.get("BucketRegion") or _region(place, bucket["Name"]), []).append(bucket)
    for region, buckets in sorted(by_region.items()):
        # A place of its own: metrics and tags of a bucket are told in its region only.
        there = replace(place, region=region, _tags=[])
        sizes = _sizes(there, [bucket["Name"] for bucket in buckets])
        for bucket in buckets:
            name = bucket["Name"]
            attributes: dict[str, object] = {
                **sizes[name],
                "lifecycle": _known(_lifecycle, there, name),
                "incomplete_uploads": _known(_uploads, there, name),
                "created_at": bucket["CreationDate"].isoformat() if bucket.get("CreationDate") else "",
            }
            yield there.see.bucket(name, there.tags(f"arn:aws:s3:::{name}"), attributes)


def _region(place: Place, name: str) -> str:
    with our_words(f"asking where buckets of {place.account_id} lie"):
        told = place.client("s3").get_bucket_location(Bucket=name).get("LocationConstraint")
    return {None: HOME_REGION, "": HOME_REGION, "EU": "eu-west-1"}.get(told, str(told))


def _known(read: Callable[[Place, str], object], place: Place, name: str) -> object:
    """What a bucket tells of itself; None, and the permission noted, when it does not: a bucket may refuse alone."""
    try:
        return read(place, name)
    except DeniedError as error:
        place.denied.append(error)
        return None


def _lifecycle(place: Place, name: str) -> list[dict[str, object]]:
    """The rules that are switched on: after how many days to which class, and when things are deleted."""
    try:
        with our_words(f"reading lifecycle rules of buckets of {place.account_id}"):
            told = place.client("s3").get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    except ResourceMissingError:
        return []
    return [_rule(rule) for rule in told if rule.get("Status") == "Enabled"]


def _rule(rule: Mapping[str, Any]) -> dict[str, object]:
    where = rule.get("Filter") or {}
    return {
        "id": rule.get("ID", ""),
        "prefix": rule.get("Prefix") or where.get("Prefix") or where.get("And", {}).get("Prefix") or "",
        "moves": {t["StorageClass"]: t.get("Days", 0) for t in rule.get("Transitions", ())},
        "deletes_after_days": rule.get("Expiration", {}).get("Days"),
        "ends_uploads_after_days": rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
    }


def _uploads(place: Place, name: str) -> dict[str, object]:
    """Uploads that were begun and never finished: their parts are stored and billed, and no listing shows them."""
    found = list(place.pages("s3", "list_multipart_uploads", "Uploads", "unfinished uploads", Bucket=name))
    begun = [upload["Initiated"] for upload in found if upload.get("Initiated")]
    return {"count": len(found), "oldest": min(begun).isoformat() if begun else ""}


def _sizes(place: Place, names: Sequence[str]) -> dict[str, dict[str, object]]:
    """Name -> {"classes": GiB by storage class, "objects"}; both None where CloudWatch tells nothing."""
    wanted = []
    for name in names:
        of = (("BucketName", name),)
        wanted += [Wanted("AWS/S3", "BucketSizeBytes", (*of, ("StorageType", kind)), "Average") for kind in CLASSES]
        wanted.append(Wanted("AWS/S3", "NumberOfObjects", (*of, ("StorageType", "AllStorageTypes")), "Average"))
    try:
        told = metrics.latest(place.watch, wanted, place.at)
    except DeniedError as error:
        place.denied.append(error)
        told = [None] * len(wanted)
    each = len(CLASSES) + 1
    return {name: _size(told[n * each : (n + 1) * each]) for n, name in enumerate(names)}


def _size(told: Sequence[float | None]) -> dict[str, object]:
    *sizes, objects = told
    classes = {
        word: round(size / GIB, 3) for word, size in zip(CLASSES.values(), sizes, strict=True) if size is not None
    }
    return {"classes": classes or None, "objects": None if objects is None else round(objects)}


SECTIONS = (Section((BUCKET,), "buckets", _buckets),)
