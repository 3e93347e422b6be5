"""The sandbox's Google Cloud, asked as Google's own clients ask: pages, warnings, errors, and a BigQuery that thinks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sandbox.clouds.gcp import BILLING_PROJECT, BILLING_TABLE, TOKEN, GcpCloud, build
from sandbox.clouds.gcp_export import VIEW
from sandbox.clouds.gcp_things import WEB

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "gcp"
QUERIES = f"/bigquery/v2/projects/{BILLING_PROJECT}/queries"


@pytest.fixture(scope="module")
def cloud() -> GcpCloud:
    return build(today=date(2026, 11, 23), months=4)


def ask(
    cloud: GcpCloud, path: str, body: Mapping[str, Any] | None = None, token: str = TOKEN, **query: str
) -> tuple[int, dict[str, Any]]:
    """One request through the application's own door; status and document."""
    sent: list[Any] = []
    content = json.dumps(body).encode() if body is not None else b""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET" if body is None else "POST",
        "path": path,
        "query_string": urlencode(query).encode(),
        "headers": [(b"authorization", f"Bearer {token}".encode()), (b"host", b"localhost")],
    }
    asyncio.run(cloud(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"] or b"{}")


def query(sql: str, **more: Any) -> dict[str, Any]:
    return {"query": sql, "useLegacySql": False, "parameterMode": "NAMED"} | more


def test_aggregated_lists_come_in_scopes_with_their_warnings(cloud: GcpCloud) -> None:
    """Two scopes a page; an empty one says that it has no results, as Google's do."""
    path = f"/compute/v1/projects/{WEB}/aggregated/instances"
    status, first = ask(cloud, path)
    assert (status, len(first["items"])) == (200, 2)
    assert first["items"]["regions/europe-west1"]["warning"]["code"] == "NO_RESULTS_ON_PAGE"
    _, second = ask(cloud, path, pageToken=first["nextPageToken"])
    assert set(second["items"]) == {"zones/europe-west1-c", "zones/europe-west1-d"}
    assert "nextPageToken" not in second


def test_an_unreachable_zone_is_a_warning_until_reset(cloud: GcpCloud) -> None:
    """It can be switched on and off from outside."""
    path = f"/compute/v1/projects/{WEB}/aggregated/disks"
    assert ask(cloud, "/sandbox/unreachable", {"places": ["europe-west1-b"]})[0] == 200
    assert ask(cloud, path)[1]["items"]["zones/europe-west1-b"]["warning"]["code"] == "UNREACHABLE"
    ask(cloud, "/sandbox/reset", {})
    assert "disks" in ask(cloud, path)[1]["items"]["zones/europe-west1-b"]


def test_a_disk_has_the_fields_of_a_recorded_one(cloud: GcpCloud) -> None:
    """Whatever our inventory reads of a disk has the name and the type that the real API gives it."""
    file = VECTORS / "compute_disks_aggregated_list.json"
    if not file.exists():
        pytest.skip(f"{file} is not here: shared test vectors are not part of the repository")
    recorded = [d for part in json.loads(file.read_text())["body"]["items"].values() for d in part["disks"]]
    types = {name: type(value) for disk in recorded for name, value in disk.items()} | {"labels": dict}
    _, told = ask(cloud, f"/compute/v1/projects/{WEB}/aggregated/disks")
    for disk in told["items"]["zones/europe-west1-b"]["disks"]:
        assert {name: type(value) for name, value in disk.items()}.items() <= types.items()


def test_nobody_is_let_in_without_the_token_or_into_other_projects(cloud: GcpCloud) -> None:
    """In Google's words: 401 UNAUTHENTICATED, 404 for a project of nobody."""
    status, told = ask(cloud, f"/v1/projects/{WEB}/instances", token="wrong")
    assert (status, told["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert ask(cloud, "/v1/projects/other/instances")[0] == 404
    assert ask(cloud, "/nowhere")[0] == 404
    assert ask(cloud, "/computeMetadata/v1/instance/service-accounts/default/token")[0] == 403


def test_old_services_throttle_with_403_and_new_ones_with_429(cloud: GcpCloud) -> None:
    """Each names the permission that it denies in its own generation's words."""
    disks, metrics = f"/compute/v1/projects/{WEB}/aggregated/disks", f"/v3/projects/{WEB}/timeSeries"
    ask(cloud, "/sandbox/fault", {"kind": "throttle"})
    assert (ask(cloud, disks)[0], ask(cloud, metrics)[0]) == (403, 429)
    cloud.faults.clear()
    ask(cloud, "/sandbox/fault", {"kind": "deny"})
    assert "'compute.disks.list'" in ask(cloud, disks)[1]["error"]["message"]
    (detail,) = ask(cloud, metrics)[1]["error"]["details"]
    assert detail["metadata"]["permission"] == "monitoring.timeSeries.list"
    cloud.faults.clear()


def test_bigquery_runs_what_it_is_sent(cloud: GcpCloud) -> None:
    """A first answer that is not ready yet, then pages whose rows add up to what was announced."""
    sql = f"SELECT CAST(usage_start_time AS DATE) AS day, SUM(CAST(cost AS NUMERIC)) AS cost FROM `{BILLING_TABLE}` "
    sql += "WHERE _PARTITIONTIME >= @since GROUP BY ALL ORDER BY 1"
    since = {
        "name": "since",
        "parameterType": {"type": "TIMESTAMP"},
        "parameterValue": {"value": "2026-08-01T00:00:00Z"},
    }
    status, told = ask(cloud, QUERIES, query(sql, queryParameters=[since], requestId="r", maxResults=50))
    assert (status, told["jobComplete"]) == (200, False)
    job = f"{QUERIES}/{told['jobReference']['jobId']}"
    _, first = ask(cloud, job, maxResults="50", location="EU")
    assert [f["type"] for f in first["schema"]["fields"]] == ["DATE", "NUMERIC"]
    _, rest = ask(cloud, job, maxResults="500", pageToken=first["pageToken"])
    assert len(first["rows"]) + len(rest["rows"]) == int(first["totalRows"]) == 114
    assert first["rows"][0]["f"][0] == {"v": "2026-08-01"}
    again = ask(cloud, QUERIES, query(sql, queryParameters=[since], requestId="r"))[1]
    assert again["jobReference"] == told["jobReference"], "the same request is the same job"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (query(f"SELECT 1 AS one FROM `{BILLING_TABLE}`"), 400, "without a filter"),
        (query("SELECT 1 AS one FROM `a.b.c`"), 404, "Not found: Table"),
        (query("SELECT 1"), 404, "Not found: Table"),
        (query(f"SELEC x FROM `{BILLING_TABLE}` WHERE _PARTITIONTIME > @a"), 400, "parameter 'a' not found"),
        (query(f"SELEC x FROM `{BILLING_TABLE}` WHERE _PARTITIONTIME IS NULL"), 400, "Syntax error"),
        (
            query(f"SELECT sku FROM `{BILLING_TABLE}` WHERE _PARTITIONTIME IS NULL", maximumBytesBilled="10"),
            400,
            "limit for bytes billed",
        ),
        (query("SELECT 1", useLegacySql=True), 400, "Only standard SQL"),
        (query("SELECT 1", location="US"), 404, "in that location"),
        (
            query(
                f"SELECT 1 FROM `{BILLING_TABLE}`",
                queryParameters=[{"name": "a", "parameterType": {"type": "BOOL"}, "parameterValue": {"value": "x"}}],
            ),
            400,
            "type BOOL",
        ),
    ],
)
def test_bigquery_refuses_as_the_real_one_does(cloud: GcpCloud, body: dict[str, Any], status: int, says: str) -> None:
    """Without a partition filter, beyond the cap, on a table of nobody, in the wrong place: no rows."""
    got, told = ask(cloud, QUERIES, body)
    assert (got, says in told["error"]["message"]) == (status, True), told


def test_a_dry_run_tells_the_price_and_runs_nothing(cloud: GcpCloud) -> None:
    """The bytes are told before anything is paid."""
    before = len(cloud.cloud.bigquery.jobs)
    sql = f"SELECT sku FROM `{BILLING_TABLE}` WHERE _PARTITIONTIME IS NULL"
    _, told = ask(cloud, QUERIES, query(sql, dryRun=True))
    assert int(told["totalBytesProcessed"]) > 100_000
    assert len(cloud.cloud.bigquery.jobs) == before
    assert ask(cloud, f"{QUERIES}/job_nobody")[0] == 404


def test_tables_describe_themselves(cloud: GcpCloud) -> None:
    """The export is cut by day of loading; the view is not and hides nothing else."""
    tables = f"/bigquery/v2/projects/{BILLING_PROJECT}/datasets/billing_export/tables"
    _, table = ask(cloud, f"{tables}/{BILLING_TABLE.rpartition('.')[2]}")
    _, view = ask(cloud, f"{tables}/{VIEW}")
    assert (table["timePartitioning"], "timePartitioning" in view) == ({"type": "DAY"}, False)
    assert table["schema"] == view["schema"]
    kinds = {f["name"]: (f["type"], f["mode"]) for f in table["schema"]["fields"]}
    assert kinds["credits"] == ("RECORD", "REPEATED")
    assert kinds["service"] == ("RECORD", "NULLABLE")


def test_a_machine_type_of_nobody_is_not_found(cloud: GcpCloud) -> None:
    """Types have their cores and memory; others do not exist."""
    root = f"/compute/v1/projects/{WEB}/zones/europe-west1-b/machineTypes"
    assert ask(cloud, f"{root}/n2-standard-4")[1]["guestCpus"] == 4
    assert ask(cloud, f"{root}/x9-huge")[0] == 404
