"""Manifests: what a delivery of cost files says of itself - which files belong to it, and how long each one is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any
from urllib.parse import unquote

from tools.model.errors import InputError

SUFFIXES = (".csv", ".csv.gz", ".csv.gzip", ".parquet")
LIMIT = 1 << 20
_NAME = "manifest.json"
# AWS writes a folder per billing period, Azure one per range of days.
_PERIOD = re.compile(r"BILLING_PERIOD=\d{4}-\d{2}|(?<=/)\d{8}-\d{8}(?=/)", re.IGNORECASE)
_FOCUS = "focuscost"
_S3 = "s3://"


@dataclass(frozen=True, slots=True)
class Found:
    """A file where an export lies: its path there with "/", its length, when it was written, and the mark of this
    writing (an etag or a generation; empty where the place has none).
    """

    key: str
    size: int
    modified: datetime
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """A file that a manifest names, and its length where the manifest says it."""

    key: str
    size: int | None = None


def chosen(
    objects: Sequence[Found],
    read: Callable[[Found], bytes],
    *,
    home: str,
    prefix: str,
    address: str,
    above: str = "",
    here: Callable[[Named, Found], Named] = lambda named, _: named,
) -> list[Found]:
    """The cost files to read among what lies behind an address.

    Where an export has manifests, only files that the newest one of each billing period names are read: others are
    older deliveries, or one that is not finished. Of exports without manifests every file is read. `home` is how the
    place calls itself in addresses ("s3://BUCKET/"), `prefix` what was asked for below it. Where paths are not those
    of the manifest, `above` is what stands before them and `here` finds a named file. Raises InputError for manifests that cannot be followed exactly, and
    when nothing is left.
    """
    named: list[Named] = []
    areas: list[str] = []
    for manifest in newest((o for o in objects if is_manifest(o.key)), above):
        own = [here(one, manifest) for one in names(read(manifest), home, prefix, manifest.key)]
        areas.append(_area(manifest, own, above))
        named += own
    files = there(named, {o.key: o for o in objects}, address)
    files += [o for o in objects if is_data(o.key) and not o.key.startswith(tuple(areas))]
    if not files:
        raise InputError(f"There is no FOCUS file behind {address}.", fix="Check the bucket and the prefix.")
    return files


def _area(manifest: Found, named: Sequence[Named], above: str) -> str:
    """The folder of a manifest's whole export, "" or with "/" at its end: what it does not name there is not read."""
    period = _PERIOD.search(above + manifest.key)
    folder = manifest.key[: max(period.start() - len(above), 0)] if period else manifest.key
    steps = [path.split("/")[:-1] for path in (folder, *(one.key for one in named))]
    common = [one[0] for one in takewhile(lambda several: len(set(several)) == 1, zip(*steps, strict=False))]
    return "".join(f"{step}/" for step in common)


def is_manifest(key: str) -> bool:
    return key.lower().endswith(_NAME)


def is_data(key: str) -> bool:
    """A cost file by its name; what begins with "." or "_" are other programs' leftovers."""
    parts = key.split("/")
    return key.lower().endswith(SUFFIXES) and not any(p.startswith(("_", ".")) for p in parts)


def newest(manifests: Iterable[Found], above: str = "") -> list[Found]:
    """The newest manifest of each export and billing period; of exports without periods, of each folder."""
    found: dict[str, Found] = {}
    for manifest in sorted(manifests, key=lambda m: (m.modified, m.key)):
        key = above + manifest.key
        period = _PERIOD.search(key)
        # Below the period stands one folder per delivery, where an export keeps them all.
        place = key[: period.end()] if period else key.rpartition("/")[0]
        found[place] = manifest
    return [found[place] for place in sorted(found)]


def names(raw: bytes, home: str, prefix: str, manifest: str) -> list[Named]:
    """The files that a manifest names; raises InputError for one that is none, or that points elsewhere.

    Without a `home` (a copy on this machine) any bucket's address counts from the bucket on.
    """
    named = [_inside(n, home, prefix, manifest) for n in _named(raw, manifest)]
    twice = [key for key, count in Counter(n.key for n in named).items() if count > 1]
    if twice:
        raise InputError(
            f"The manifest {manifest} names {twice[0]} more than once, so its costs would count twice.", fix=_WHO
        )
    return named


def there(named: Sequence[Named], found: dict[str, Found], address: str) -> list[Found]:
    """The named files where they lie. Raises InputError when one is missing or not as long as its manifest says."""
    gone = [n.key for n in named if n.key not in found]
    if gone:
        raise InputError(
            f"{len(gone)} files that the manifests behind {address} name are not there, the first is {gone[0]}.",
            fix="Wait for the delivery to finish, then try again.",
        )
    for one in named:
        if one.size is not None and one.size != found[one.key].size:
            raise InputError(
                f"{one.key} behind {address} has {found[one.key].size} bytes and not {one.size} as its manifest says.",
                fix="Wait for the delivery to finish, then try again.",
            )
    return [found[n.key] for n in {n.key: n for n in named}.values()]


_WHO = "Check what writes to this place."


def _named(raw: bytes, manifest: str) -> list[Named]:
    """What a manifest of AWS (data exports, reports) or Azure (exports) lists."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InputError(f"The manifest {manifest} cannot be read: it is no JSON object.", fix=_WHO)
    kind = _export_type(document)
    if kind and kind.lower() != _FOCUS:
        raise InputError(
            f"The manifest {manifest} is of an export of type {kind[:40]}, not of a FOCUS export.",
            fix="Give the folder of an export of cost and usage in the FOCUS format.",
        )
    listed = next((document[k] for k in ("dataFiles", "reportKeys", "blobs") if k in document), None)
    if not isinstance(listed, list):
        raise InputError(f"The manifest {manifest} has a form that is not known; it lists no files.", fix=_WHO)
    found = [_one(item, manifest) for item in listed]
    if not found:
        raise InputError(f"The manifest {manifest} lists no files.", fix="Wait for the delivery, then try again.")
    return found


def _export_type(document: dict[str, Any]) -> str:
    config = document.get("exportConfig")
    return str(config.get("type") or "") if isinstance(config, dict) else ""


def _one(item: object, manifest: str) -> Named:
    if isinstance(item, str):
        return Named(item)
    if isinstance(item, dict) and isinstance(item.get("blobName"), str):
        size = item.get("byteCount")
        return Named(item["blobName"], size if isinstance(size, int) else None)
    raise InputError(f"The manifest {manifest} has a form that is not known; it lists no files.", fix=_WHO)


def _inside(named: Named, home: str, prefix: str, manifest: str) -> Named:
    """The same with its key below `home`; raises InputError for what lies outside of what was asked for."""
    key = unquote(named.key.removeprefix(home))
    if not home and key.startswith(_S3):
        key = key.removeprefix(_S3).partition("/")[2]
    steps = key.split("/")
    below = prefix[: prefix.rfind("/") + 1]
    leads_out = "://" in key or key.startswith(("/", "\\")) or bool({"..", ".", ""} & set(steps)) or "\\" in key
    if leads_out or not key.startswith(below) or not key.isprintable():
        raise InputError(f"The manifest {manifest} points to {named.key!r}, outside of the export.", fix=_WHO)
    return Named(key, named.size)
