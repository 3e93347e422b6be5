"""Blobs: brings FOCUS files from Azure Storage, each as it was when it was listed."""

from __future__ import annotations

import base64
import re
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

from tools.model.errors import InputError, ProviderError
from tools.providers.azure.connection import AT_ONCE, PER_SECOND, Connection, refuse, told_wait
from tools.providers.azure.identity import SCOPE_STORAGE, require_proof
from tools.providers.focus.manifests import LIMIT, Found, chosen
from tools.providers.focus.whole import Landing
from tools.providers.rest import MOST_BYTES, Asking, Pace, Rest, not_as_described
from tools.settings import Settings

SCHEME = "az://"
SETTING = "OPTIINFRA_AZURE_STORAGE_ENDPOINT"
_ABFSS = re.compile(r"abfss://([^@/]+)@([^./]+)\.dfs\.core\.windows\.net(?:/(.*))?", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"[a-z0-9$][a-z0-9-]{2,62}")
_VERSION = {"x-ms-version": "2021-12-02"}
_READ = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"


@dataclass(frozen=True, slots=True)
class Place:
    """Where blobs lie: az://ACCOUNT/CONTAINER/PREFIX."""

    account: str
    container: str
    prefix: str

    @property
    def home(self) -> str:
        return f"{SCHEME}{self.account}/{self.container}/"


def place_of(address: str) -> Place:
    """Read az://ACCOUNT/CONTAINER/PREFIX, or Hadoop's abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX."""
    hadoop = _ABFSS.fullmatch(address)
    if hadoop:
        found = Place(hadoop[2].lower(), hadoop[1].lower(), hadoop[3] or "")
    else:
        account, _, rest = address.partition("://")[2].partition("/")
        container, _, prefix = rest.partition("/")
        found = Place(account, container, prefix)
    if not _NAME.fullmatch(found.account) or not _CONTAINER.fullmatch(found.container):
        raise InputError(
            f"{address} names no storage account and container.", fix="Write it as az://ACCOUNT/CONTAINER/PREFIX."
        )
    return found


def fetch(settings: Settings, address: str, folder: Path) -> tuple[Path, ...]:
    """Download the FOCUS files behind az://ACCOUNT/CONTAINER/PREFIX into a folder; of a Cost Management export only
    what its newest manifests name.

    Raises InputError when nothing is there or a file is not whole, SettingsError when nothing proves who we are, and
    ProviderError when Azure refuses.
    """
    place = place_of(address)
    require_proof(settings)
    blobs = _Blobs(_door(settings, place), place)
    objects = blobs.listed()
    found = [one for one, _ in objects]
    sums = {one.key: md5 for one, md5 in objects}
    files = chosen(found, blobs.text, home=place.home, prefix=place.prefix, address=address)
    return tuple(blobs.download(one, folder, sums[one.key]) for one in files)


def _door(settings: Settings, place: Place) -> Rest:
    identity = Connection.of(settings).identity.to(SCOPE_STORAGE)
    own = settings.azure_storage_endpoint
    base = f"{own.rstrip('/')}/{place.account}" if own else f"https://{place.account}.blob.core.windows.net"
    pace = Pace(PER_SECOND, AT_ONCE)
    return Rest("Azure Storage", base, SETTING, identity.header, refuse, told_wait, pace, renew=identity.renew)


class _Blobs:
    def __init__(self, door: Rest, place: Place) -> None:
        self._door, self._place = door, place

    def listed(self) -> list[tuple[Found, bytes]]:
        """Every blob, all pages, with its checksum."""
        asking = Asking(f"listing {self._place.home}", _READ)

        def ask(marker: str) -> tuple[list[tuple[Found, bytes]], str]:
            parameters = {"restype": "container", "comp": "list", "prefix": self._place.prefix}
            text = self._whole(
                self._place.container, asking, {**parameters, **({"marker": marker} if marker else {})}, MOST_BYTES
            )
            return _page(text, asking)

        return [one for page in self._door.pages(ask, asking) for one in page]

    def text(self, found: Found) -> bytes:
        """The beginning of a small file."""
        asking = Asking(f"reading {self._place.home}", _READ)
        return self._whole(self._path(found), asking, {}, LIMIT, {"If-Match": found.mark})

    def download(self, found: Found, folder: Path, md5: bytes) -> Path:
        asking = Asking(f"reading {self._place.home}", _READ)
        with Landing(folder, f"{self._place.home}{found.key}", found.size, md5) as landing:
            # A blob that was written anew in between is not what was listed: Azure refuses it.
            headers = {**_VERSION, "If-Match": found.mark}
            with self._door.content(self._path(found), asking, parameters={}, headers=headers) as blocks:
                for block in blocks:
                    landing.write(block)
        return landing.path

    def _path(self, found: Found) -> str:
        return f"{self._place.container}/{quote(found.key)}"

    def _whole(
        self, path: str, asking: Asking, parameters: Mapping[str, str], most: int, headers: Mapping[str, str] = {}
    ) -> bytes:
        read = b""
        with self._door.content(path, asking, parameters=parameters, headers={**_VERSION, **headers}) as blocks:
            for block in blocks:
                read += block
                if len(read) > most:
                    raise ProviderError(f"Azure Storage answered with more than {most >> 20} MB while {asking.doing}.")
        return read


def _page(text: bytes, asking: Asking) -> tuple[list[tuple[Found, bytes]], str]:
    """One page of a listing, and the marker of the next one."""
    try:
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise ValueError("a listing declares nothing")
        root = ET.fromstring(text)  # noqa: S314 - without declarations there is nothing to expand
        if root.tag != "EnumerationResults":
            raise ValueError(root.tag)
        return [_blob(blob) for blob in root.iterfind("Blobs/Blob")], (root.findtext("NextMarker") or "").strip()
    except (ET.ParseError, ValueError, TypeError, NotBase64):
        raise not_as_described("Azure Storage", asking.doing) from None


def _blob(blob: ET.Element) -> tuple[Found, bytes]:
    told = {name: blob.findtext(f"Properties/{name}") or "" for name in ("Content-Length", "Last-Modified", "Etag")}
    key = blob.findtext("Name")
    if not key or not told["Etag"]:
        raise ValueError("a blob has a name and an etag")
    etag = told["Etag"] if told["Etag"].startswith('"') else f'"{told["Etag"]}"'
    found = Found(key, int(told["Content-Length"]), parsedate_to_datetime(told["Last-Modified"]), etag)
    return found, base64.b64decode(blob.findtext("Properties/Content-MD5") or "", validate=True)
