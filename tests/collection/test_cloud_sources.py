"""Exports in Google Cloud Storage and Azure Storage come in like files - page by page, and whole or not at all."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sandbox.clouds import azure as azure_side
from sandbox.clouds import gcp as gcp_side
from sandbox.clouds.buckets import Bucket
from sandbox.clouds.rest import Side
from sandbox.faults import fault_of
from tests.collection.bills import bill, read
from tools.collection.sources import local
from tools.model.errors import DeniedError, InputError, OptiInfraError, ProviderError, SettingsError
from tools.providers import rest
from tools.providers.azure.blobs import place_of
from tools.providers.focus.whole import Landing
from tools.settings import Settings
from tools.store.database import Database

pytestmark = pytest.mark.usefixtures("one_process")
TODAY = date(2026, 11, 23)


@dataclass
class Cloud:
    """One cloud's storage: its settings, its address, its bucket, and what can go wrong with it."""

    address: str
    settings: Settings
    bucket: Bucket
    cloud: Any
    home: str

    def fails(self, kind: str, action: str, times: int = 1, **more: object) -> None:
        self.cloud.faults.add(fault_of({"kind": kind, "action": action, "times": times, **more}, rest=True))


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Any, Any]]:
    """Both clouds on one loopback port, with two months of bills."""
    import uvicorn

    from sandbox.serving import listen, url_of

    moments = (datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(10_000))
    clock = lambda: next(moments)  # noqa: E731 - every writing a second after the one before
    gcp, azure = (m.build(today=TODAY, months=4, now=clock) for m in (gcp_side, azure_side))
    listener = listen()
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    how = uvicorn.Config(
        Side({"gcp": gcp, "azure": azure}), log_config=None, lifespan="off", date_header=False,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(how)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield url_of(listener), gcp, azure
    server.should_exit = True
    thread.join(10)


@pytest.fixture(params=["gs", "az"])
def cloud(
    served: tuple[str, Any, Any], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    """A cloud with an empty bucket."""
    url, gcp, azure = served
    monkeypatch.setattr(rest, "_backoff", lambda attempt: 0.0)
    settings = Settings(
        _env_file=None,
        gcp_endpoint=f"{url}/gcp",
        gcp_token=SecretStr(gcp_side.TOKEN),
        azure_endpoint=f"{url}/azure",
        azure_storage_endpoint=f"{url}/azure",
        azure_tenant_id=azure_side.TENANT,
        azure_client_id=azure_side.CLIENT,
        azure_client_secret=SecretStr(azure_side.SECRET),
    )  # type: ignore[call-arg]
    home = f"gs://{gcp_side.EXPORTS}/" if request.param == "gs" else f"az://{'/'.join(azure_side.EXPORTS)}/"
    side = gcp if request.param == "gs" else azure
    side.cloud.exports.clear()
    yield Cloud(f"{home}x", settings, side.cloud.exports, side, home)
    side.faults.clear()


def _fetched(cloud: Cloud, address: str = "") -> dict[str, bytes]:
    with local([address or cloud.address], cloud.settings) as (folder,):
        return {path.name: path.read_bytes() for path in Path(folder).rglob("*.*") if path.is_file()}


def test_every_page_comes_and_nothing_else(cloud: Cloud, database: Database, tmp_path: Path) -> None:
    """More files than one page holds, below the prefix only; leftovers of other programs stay where they are."""
    for n in range(12):
        cloud.bucket.put(f"x/{n:02}/a b&c.csv", bill(tmp_path / "a.csv", {"ResourceId": f"r{n}"}).read_bytes())
    for other in ("y/costs.csv", "x/_temporary/costs.csv", "x/README.txt"):
        cloud.bucket.put(other, b"not to be read")
    with local([cloud.address], cloud.settings) as paths:
        (load,) = read(database, *paths)
    assert (load.rows, load.totals[0].billed_cost) == (12, Decimal(18))
    assert not Path(paths[0]).exists()


def test_a_manifest_says_what_belongs_to_a_delivery(cloud: Cloud) -> None:
    """The newest one counts, its lengths are held to, and an unfinished delivery is left alone."""
    for run, text in ((1, b"old"), (2, b"new!")):
        cloud.bucket.put(f"x/20261001-20261031/{run}/part.csv", text)
        named = [{"blobName": f"x/20261001-20261031/{run}/part.csv", "byteCount": len(text)}]
        cloud.bucket.put(f"x/20261001-20261031/{run}/manifest.json", json.dumps({"blobs": named}).encode())
    cloud.bucket.put("x/20261101-20261130/3/part.csv", b"half a fi")
    assert _fetched(cloud) == {"part.csv": b"new!"}
    cloud.bucket.put("x/20261001-20261031/2/part.csv", b"cut")
    with pytest.raises(InputError, match="has 3 bytes and not 4 as its manifest says"):
        _fetched(cloud)
    away = {"dataFiles": [f"{cloud.home}elsewhere/part.csv"]}
    cloud.bucket.put("x/20261001-20261031/2/manifest.json", json.dumps(away).encode())
    with pytest.raises(InputError, match="outside of the export"):
        _fetched(cloud, f"{cloud.address}/")


def test_a_file_that_is_written_anew_while_it_is_read_is_refused(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was listed is what is read, or nothing is."""
    cloud.bucket.put("x/a.csv", b"one")
    listed = cloud.bucket.listed

    def then_written(prefix: str, token: str) -> Any:
        found = listed(prefix, token)
        cloud.bucket.put("x/a.csv", b"two")
        return found

    monkeypatch.setattr(cloud.bucket, "listed", then_written)
    with pytest.raises(ProviderError):
        _fetched(cloud)


def test_what_breaks_off_is_asked_for_again_or_refused(cloud: Cloud) -> None:
    """A listing that is throttled comes the second time; a file that never comes whole is no file."""
    get = "storage.objects.get" if cloud.address.startswith("gs") else f"GET /{'/'.join(azure_side.EXPORTS)}/x/a.csv"
    cloud.bucket.put("x/a.csv", b"x" * 5000)
    cloud.fails("throttle", "*")
    assert _fetched(cloud) == {"a.csv": b"x" * 5000}
    cloud.fails("cut", get, times=9)
    with pytest.raises(OptiInfraError, match="did not answer while reading"):
        _fetched(cloud)


def test_a_missing_permission_is_named(cloud: Cloud) -> None:
    """And nothing is read as if it were empty."""
    cloud.bucket.put("x/a.csv", b"x")
    needed = "storage.objects.list" if cloud.address.startswith("gs") else azure_side.BLOBS
    cloud.fails("deny", needed, times=9)
    with pytest.raises(DeniedError) as told:
        _fetched(cloud)
    assert told.value.permission == needed


def test_places_that_hold_nothing(cloud: Cloud) -> None:
    """An empty prefix, a bucket of nobody, and addresses that name none."""
    with pytest.raises(InputError, match="no FOCUS file behind"):
        _fetched(cloud)
    nobodys = cloud.home.replace("lumen", "nobodys")
    with pytest.raises(ProviderError, match="does not know"):
        _fetched(cloud, nobodys)


@pytest.mark.parametrize(
    "address", ["az://", "az://account", "az://account/", "az://UPPER_CASE/exports/x", "abfss://x"]
)
def test_an_azure_address_names_account_and_container(address: str) -> None:
    """The sentence shows the form."""
    with pytest.raises(InputError, match="az://ACCOUNT/CONTAINER/PREFIX"):
        place_of(address)


def test_hadoops_addresses_mean_the_same() -> None:
    """As Azure's own pages show them."""
    found = place_of("abfss://exports@lumenbilling.dfs.core.windows.net/daily/x")
    assert (found.account, found.container, found.prefix) == ("lumenbilling", "exports", "daily/x")


def test_azure_needs_somebody_to_ask_as() -> None:
    """Without an application or a token nothing is sent."""
    with pytest.raises(SettingsError, match="AZURE_TENANT_ID"), local(["az://lumenbilling/exports"], _bare()):
        raise AssertionError("it cannot be read")


def _bare() -> Settings:
    return Settings(_env_file=None)  # type: ignore[call-arg]


@pytest.mark.parametrize(("cloud", "provider"), [("gs", "Google Cloud"), ("az", "Microsoft")], indirect=["cloud"])
def test_the_storys_own_exports_come_in(cloud: Cloud, provider: str, database: Database) -> None:
    """Four months of bills, as that cloud delivers them."""
    cloud.bucket._blobs = None  # the bucket as it was before these tests emptied it
    with local([cloud.home], cloud.settings) as paths:
        done = read(database, *paths)
    assert {load.partition.provider for load in done if load.partition} == {provider}
    assert (len(done), {load.status for load in done}) == (4, {"loaded"})


@pytest.mark.parametrize("content", [b"four", b"t", b"two"])
def test_a_file_lands_whole_or_not_at_all(tmp_path: Path, content: bytes) -> None:
    """Longer, shorter, or with another checksum than was listed."""
    landing = Landing(tmp_path, "gs://b/x/a.csv", 3, b"another sum")

    def write() -> None:
        with landing:
            landing.write(content)

    with pytest.raises(InputError, match="did not come whole"):
        write()
