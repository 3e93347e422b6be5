"""Google Cloud as the conformance suite meets it: three projects, a billing export, throttled by 403 and by 429."""

from __future__ import annotations

import pytest

from sandbox.clouds import gcp as fake
from sandbox.clouds.gcp_things import PROJECTS
from sandbox.organisation import GCP_BILLING_ACCOUNT
from tests.providers.flats import Flat, World, rest_world
from tools.settings import Settings

_ACCOUNTS = ("lumen-web-eu", *(project for project in PROJECTS if project != "lumen-web-eu"))


def start(request: pytest.FixtureRequest) -> World:
    side = request.getfixturevalue("gcp_server")
    settings = Settings(
        _env_file=None,
        gcp_endpoint=side.url,
        gcp_projects=_ACCOUNTS,
        gcp_token=fake.TOKEN,
        gcp_billing_table=fake.BILLING_TABLE,
        gcp_metadata_host=side.url.removeprefix("http://"),
    )
    return rest_world(side.cloud, settings, lambda: side.cloud.cloud.bigquery.bills)


FLAT = Flat(
    name="gcp",
    provider="Google Cloud",
    accounts=_ACCOUNTS,
    payer=GCP_BILLING_ACCOUNT,
    secret=fake.TOKEN,
    listing="compute.disks.list",
    costs="bigquery.jobs.get",
    refused=f"* */projects/{_ACCOUNTS[-1]}*",
    permissions=(
        "cloudsql.instances.list",
        "compute.snapshots.list",
        "monitoring.timeSeries.list",
        "storage.buckets.list",
    ),
    throttles=({}, {"header": "Retry-After"}, {"header": "retry-after", "dated": True}),
    start=start,
    many=("volume", 12),
    throttled=("compute.disks.list", "cloudsql.instances.list", "storage.buckets.list", "recommender.*"),
)
