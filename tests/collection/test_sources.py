"""Exports that lie in a bucket come in like files, and of an AWS Data Export only what its manifests name."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox.pytest_plugin import SandboxAws
from tests.collection.bills import bill, read
from tools.collection.sources import local
from tools.model.errors import InputError, OptiInfraError
from tools.providers.focus.folders import walk
from tools.providers.focus.manifests import Found, names, newest
from tools.settings import Settings
from tools.store.database import Database

pytestmark = pytest.mark.usefixtures("one_process")
AT = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def settings(sandbox_aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    return Settings(_env_file=None, aws_endpoint_url=sandbox_aws.url, aws_regions=("us-east-1",))  # type: ignore[call-arg]


def _bucket(settings: Settings, objects: dict[str, bytes]) -> None:
    import boto3

    client = boto3.client("s3", endpoint_url=settings.aws_endpoint_url, region_name="us-east-1")
    client.create_bucket(Bucket="cost-exports")
    for key, body in objects.items():
        client.put_object(Bucket="cost-exports", Key=key, Body=body)


def test_an_export_in_a_bucket_is_read_by_its_manifest(database: Database, settings: Settings, tmp_path: Path) -> None:
    """The finished delivery comes in; an older delivery of the month and one without a manifest do not."""
    new, old = bill(tmp_path / "new.csv", {"BilledCost": "5"}), bill(tmp_path / "old.csv", {"BilledCost": "3"})
    name = "x/focus/{}/BILLING_PERIOD=2026-10/{}/focus"
    manifests = {
        f"{name.format('metadata', n)}-Manifest.json": json.dumps(
            {"dataFiles": [f"s3://cost-exports/{name.format('data', n)}-00001.csv"]}
        ).encode()
        for n in (1, 2)
    }
    objects = {
        f"{name.format('data', 1)}-00001.csv": old.read_bytes(),
        f"{name.format('data', 2)}-00001.csv": new.read_bytes(),
        "x/focus/data/BILLING_PERIOD=2026-11/3/focus-00001.csv": new.read_bytes()[:-40],
        **manifests,
    }
    _bucket(settings, objects)
    with local(["s3://cost-exports/x/focus"], settings) as paths:
        (load,) = read(database, *paths)
    assert load.totals[0].billed_cost == Decimal(5)
    assert not Path(paths[0]).exists()


def test_a_bucket_without_manifests_is_read_whole(database: Database, settings: Settings, tmp_path: Path) -> None:
    """Two folders may hold the same name, and what is no cost file stays where it is."""
    first, second = bill(tmp_path / "a.csv", {}), bill(tmp_path / "b.csv", {"BilledCost": "4", "ResourceId": "b"})
    _bucket(
        settings,
        {"1/costs.csv": first.read_bytes(), "2/costs.csv": second.read_bytes(), "README.txt": b"", "_x/c.csv": b"?"},
    )
    with local(["s3://cost-exports", first], settings) as paths:
        assert [load.rows for load in read(database, paths[0])] == [2]
    for address, sentence in (("s3://cost-exports/none/", "no FOCUS file behind"), ("s3://", "names no bucket")):
        with pytest.raises(InputError, match=sentence), local([address], settings):
            raise AssertionError("nothing lies there")
    with pytest.raises(OptiInfraError, match="somebody-elses"), local(["s3://somebody-elses/x"], settings):
        raise AssertionError("there is no such bucket")


def test_other_addresses_are_refused_by_name() -> None:
    """Each says what it is and what to do instead."""
    for address, word in (("https://h/x", "the web"), ("hdfs://b", "hdfs"), ("ftp://h", "ftp")):
        with pytest.raises(InputError, match=word), local([address], Settings(_env_file=None)):  # type: ignore[call-arg]
            raise AssertionError("it cannot be read")


def test_the_newest_manifest_of_each_period_counts() -> None:
    """By time of writing, per export and period."""
    keys = {
        "e/metadata/BILLING_PERIOD=2026-09/1/e-Manifest.json": 1,
        "e/metadata/BILLING_PERIOD=2026-10/2/e-Manifest.json": 2,
        "e/metadata/BILLING_PERIOD=2026-10/1/e-Manifest.json": 3,
        "other/Manifest.json": 1,
    }
    found = newest(Found(key, 1, AT.replace(day=day)) for key, day in keys.items())
    assert [f.key for f in found] == [
        "e/metadata/BILLING_PERIOD=2026-09/1/e-Manifest.json",
        "e/metadata/BILLING_PERIOD=2026-10/1/e-Manifest.json",
        "other/Manifest.json",
    ]


def test_a_copied_story_of_several_clouds_is_read_export_by_export(story_dir: Path) -> None:
    """Exports with manifests are read as these say, those without are read whole, and none hides another."""
    found = [path.relative_to(story_dir / "focus").as_posix() for path in walk(story_dir / "focus")]
    assert {path.split("/")[0] for path in found} == {"aws", "gcp", "azure", "vultr"}
    months = {cloud: sum(path.startswith(cloud) for path in found) for cloud in ("aws", "azure", "gcp", "vultr")}
    assert set(months.values()) == {13}


def test_what_an_export_with_manifests_does_not_name_is_left_alone(tmp_path: Path) -> None:
    """A run of Azure that is not finished has no manifest yet; an older run of the month has one, but not the newest."""
    for run in ("20261001-20261031/1", "20261001-20261031/2", "20261101-20261130/3"):
        folder = tmp_path / "exports" / "daily" / run
        folder.mkdir(parents=True)
        (folder / "part_0.csv").write_text("x", encoding="utf-8")
        if not run.endswith("3"):
            document = {"blobs": [{"blobName": f"exports/daily/{run}/part_0.csv", "byteCount": 1}]}
            (folder / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
            os.utime(folder / "manifest.json", (int(run[-1]), int(run[-1])))
    assert [path.parent.name for path in walk(tmp_path)] == ["2"]
    assert [path.parent.name for path in walk(tmp_path / "exports" / "daily" / "20261001-20261031")] == ["2"]


@pytest.mark.parametrize(
    "document",
    [
        b"not json",
        b"[]",
        b'{"dataFiles": "x"}',
        b'{"dataFiles": ["s3://other/e/a.csv"]}',
        b'{"dataFiles": ["s3://b/e/../secrets/a.csv"]}',
        b'{"dataFiles": ["s3://b/elsewhere/a.csv"]}',
        b'{"dataFiles": ["s3://b/e/%2e%2e/a.csv"]}',
    ],
)
def test_a_manifest_that_leads_elsewhere_is_refused(document: bytes) -> None:
    """Other buckets, other folders, ways up, and what is no manifest."""
    with pytest.raises(InputError, match=r"manifest e/Manifest\.json"):
        names(document, "s3://b/", "e/", "e/Manifest.json")
