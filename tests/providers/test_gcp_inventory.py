"""Google Cloud's things: all of them with their names, use and Google's advice - or told why not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.clouds.gcp import READER
from sandbox.clouds.gcp_things import ML, WEB
from tests.providers.conftest import Gcp
from tools.collection.resources import collect
from tools.model.errors import DeniedError, ProviderError, SettingsError, ThrottledError, TransientError
from tools.model.resource import Resource
from tools.providers import registry
from tools.providers.gcp import advice, describing, metrics, prices
from tools.providers.gcp.connection import Connection
from tools.providers.gcp.inventory import CHANGES, READS
from tools.providers.gcp.refusals import refuse
from tools.providers.rest import Asking, Reply
from tools.store import resources as store
from tools.store.database import Database

ROOT = Path(__file__).parents[2]
VECTORS = ROOT.parent / "shared" / "vectors" / "gcp"


def vector(name: str) -> Any:
    """The body of somebody else's recording of Google's answer."""
    file = VECTORS / f"{name}.json"
    if not file.exists():
        pytest.skip(f"{file} is not here: shared test vectors are not part of the repository")
    return json.loads(file.read_text(), parse_float=Decimal)["body"]


@pytest.fixture(scope="module")
def web(gcp_server: Gcp) -> dict[str, Resource]:
    """Everything in the web project, by kind and name."""
    return {f"{r.kind}/{r.name}": r for r in gcp_server.inventory().resources(WEB)}


def test_everything_of_a_project_is_found_over_all_pages(web: dict[str, Resource]) -> None:
    """Machines of three zones, disks, snapshots, addresses, databases; two scopes and three items a page."""
    assert Counter(r.kind for r in web.values()) == {
        "instance": 11, "volume": 12, "snapshot": 3, "address": 2, "database": 2, "instance_group": 1,
        "commitment": 1,
    }  # fmt: skip
    assert {r.provider for r in web.values()} == {"Google Cloud"}
    assert len({r.id for r in web.values()}) == len(web)


def test_a_machine_is_named_as_the_bill_names_it(web: dict[str, Resource]) -> None:
    """Its full resource name, with its type, state, labels and how busy it was."""
    machine = web["instance/web-1"]
    assert machine.id == "//compute.googleapis.com/projects/lumen-web-eu/zones/europe-west1-b/instances/web-1"
    assert (machine.region, machine.tag("team")) == ("europe-west1", "web")
    known = {"instance_type": "n2-standard-4", "state": "running", "lifecycle": "on_demand", "group": ""}
    assert machine.attributes.items() >= known.items()
    assert machine.attributes["utilisation"] == {"cpu_average": 24.8, "cpu_maximum": 74.0, "hours": 336, "days": 14}
    assert machine.attributes["volumes"] == [web["volume/web-1"].id]
    assert web["volume/web-1"].attributes["instances"] == [machine.id]


def test_a_groups_members_are_counted_one_by_one(web: dict[str, Resource]) -> None:
    """Two of three run on spot capacity; nothing is taken from the group's own setting."""
    group = web["instance_group/previews"].attributes
    assert group["counts"] == {"spot": 2, "on_demand": 1}
    assert (group["size"], group["moving"], group["stable"]) == (3, 0, True)
    assert group["instance_types"] == ["e2-standard-2"]


def test_what_nobody_uses_is_seen_as_such(web: dict[str, Resource]) -> None:
    """A disk without users, a reserved address, a snapshot that no image needs, a database switched off."""
    assert web["volume/old-web-data"].attributes["attached"] is False
    assert str(web["volume/old-web-data"].attributes["detached_at"]).endswith("+00:00")
    assert web["address/old-campaign"].attributes["attached"] is False
    assert web["address/web-front"].attributes["attached"] is True
    assert web["snapshot/golden-web"].attributes["images"] == ["web-2025"]
    assert web["snapshot/before-cms-upgrade"].attributes["images"] == []
    assert web["database/content-2023"].attributes["state"] == "stopped"
    assert web["database/content"].attributes["state"] == "running"


def advised(resource: Resource) -> dict[str, str]:
    """The one thing that Google advises."""
    told = resource.attributes["advice"]
    assert isinstance(told, list)
    assert len(told) == 1
    only: dict[str, str] = told[0]
    return only


def test_commitments_that_were_bought_are_seen(web: dict[str, Resource]) -> None:
    """How much of what, until when, and that it is over."""
    known = {
        "state": "expired", "plan": "twelve_month", "amounts": {"vcpu": 32, "memory": 131072}, "renews": False,
        "ends_at": "2024-09-01T07:00:00+00:00",
    }  # fmt: skip
    assert web["commitment/web-2023"].attributes.items() >= known.items()


def test_no_token_is_ever_shown(gcp: Gcp) -> None:
    """Whatever prints the connection, in a log or a traceback, prints no secret."""
    connection = gcp.connection(gcp_token="")
    connection.identity.header()
    shown = f"{gcp.connection()!r} {connection!r}"
    assert "sandbox-gcp" not in shown


def test_googles_own_advice_stands_at_the_thing_it_is_about(web: dict[str, Resource], gcp: Gcp) -> None:
    """With the saving that Google promises a month."""
    assert advised(web["volume/old-web-data"])["monthly_saving"] == "85"
    notebooks = {r.name: r for r in gcp.inventory().resources(ML) if r.kind == "instance"}
    told = advised(notebooks["notebook-1"])
    assert (told["subtype"], told["monthly_saving"], told["currency"]) == ("STOP_VM", "276.48", "USD")
    assert notebooks["notebook-old"].attributes["utilisation"] is None, "no points is unknown, not idle"
    stopped = datetime.fromisoformat(str(notebooks["notebook-old"].attributes["stopped_since"]))
    assert stopped.tzinfo == UTC


def test_prices_add_up_cores_and_memory(gcp: Gcp, web: dict[str, Resource]) -> None:
    """Four cores and 16 GiB of an N2, on demand and spot; custom and sole-tenant SKUs are not taken for it."""
    inventory = gcp.inventory()
    found = {(p.sku, p.purchase): p for p in inventory.prices(web.values())}
    assert found["n2-standard-4", "on_demand"].usual == 4 * Decimal("0.0347719") + 16 * Decimal("0.0046604")
    assert found["n2-standard-4", "spot"].usual == 4 * Decimal("0.0084115") + 16 * Decimal("0.0011274")
    assert (found["e2-standard-2", "spot"].region, found["e2-standard-2", "spot"].currency) == ("europe-west1", "USD")
    read = gcp.cloud.calls["cloudbilling.skus.list"]
    inventory.prices(web.values())
    assert gcp.cloud.calls["cloudbilling.skus.list"] == read, "the long price list is read once a day"
    assert inventory.prices(()) == ()


def test_a_price_that_is_not_told_whole_is_absent() -> None:
    """Cores without memory, another currency, a free first tier: no price rather than a wrong one."""
    machine = prices.Machine("n2-standard-4", 4, Decimal(16))
    core, ram = ("r", "N2", "spot", "Core"), ("r", "N2", "spot", "Ram")
    usd, eur = prices.Rate(Decimal(1), "USD"), prices.Rate(Decimal(1), "EUR")
    assert prices.hourly(machine, "r", "spot", {core: usd}) is None
    assert prices.hourly(machine, "r", "spot", {core: usd, ram: eur}) is None
    assert prices.unit_price({"pricingInfo": [{"pricingExpression": {"tieredRates": [{"unitPrice": {}}]}}]}) is None


def test_it_says_who_reads_and_that_it_only_reads(gcp: Gcp) -> None:
    """With the machine's own service account, from its metadata server."""
    accesses = gcp.inventory(gcp_token="").check_access()
    assert [a.account_id for a in accesses] == ["lumen-analytics", "lumen-ml", "lumen-web-eu"]
    assert {(a.ok, a.identity, a.missing) for a in accesses} == {(True, f"{READER} (reads only)", ())}


def test_a_refused_machine_token_is_renewed_once(gcp: Gcp) -> None:
    """An expired token is forgotten and asked for anew; a token that was given cannot be."""
    gcp.fails("expired", "storage.buckets.list", times=1)
    assert gcp.inventory(gcp_token="").resources("lumen-analytics")
    assert gcp.cloud.calls["metadata.token"] == 2
    gcp.fails("expired", "storage.buckets.list", times=1)
    with pytest.raises(DeniedError, match="wrong or expired"):
        gcp.inventory().resources("lumen-analytics")


def test_without_any_credentials_it_says_what_to_do(gcp: Gcp) -> None:
    """No token and no metadata server: told in a sentence, in bounded time."""
    (access, *_) = gcp.inventory(gcp_token="", gcp_metadata_host="127.0.0.1:9").check_access()
    assert (access.ok, access.identity) == (False, "")
    assert "no Google Cloud credentials" in access.problem
    gcp.fails("broken_answer", "metadata.account")
    (access, *_) = gcp.inventory(gcp_token="").check_access()
    assert not access.ok
    with pytest.raises(SettingsError, match="OPTIINFRA_GCP_ENDPOINT is no URL"):
        Connection.of(gcp.settings(gcp_endpoint="google"))


@pytest.mark.parametrize("permission", READS)
def test_the_one_missing_permission_is_named(gcp: Gcp, permission: str) -> None:
    """Each of the reading permissions, taken away, is named exactly - and nothing else."""
    gcp.fails("deny", permission)
    (access,) = gcp.inventory(gcp_projects=(WEB,)).check_access()
    assert (access.ok, access.missing) == (False, (permission,))


def test_the_shipped_roles_grant_what_the_code_asks_for_and_the_reader_changes_nothing() -> None:
    """Reader and executor are apart; the reader has nothing but lists and gets."""
    reader, executor = (
        yaml.safe_load((ROOT / f"deploy/gcp/{name}.yaml").read_text())["includedPermissions"]
        for name in ("reader", "executor")
    )
    assert reader == sorted(READS)
    assert {p.rpartition(".")[2] for p in reader} == {"list", "get"}
    assert not set(CHANGES) & set(reader)
    assert "compute.instanceGroupManagers.update" in executor
    assert not {p for p in executor if p.endswith("setIamPolicy")}


def test_without_metrics_and_advice_the_inventory_is_whole(gcp: Gcp, web: dict[str, Resource]) -> None:
    """These permissions hide no machine; use and advice are then unknown."""
    gcp.fails("deny", "monitoring.timeSeries.list")
    gcp.fails("deny", "recommender.*")
    found = {f"{r.kind}/{r.name}": r for r in gcp.inventory().resources(WEB)}
    assert set(found) == set(web)
    assert found["instance/web-1"].attributes["utilisation"] is None
    assert "advice" not in found["volume/old-web-data"].attributes


@pytest.mark.parametrize(
    ("place", "says"), [("europe-west1-c", "zones/europe-west1-c"), ("europe-west1", "regions/europe-west1")]
)
def test_a_place_that_cannot_be_reached_makes_the_list_partial_never_empty(gcp: Gcp, place: str, says: str) -> None:
    """Google says so by a warning beside the other places; what is there is not known, which is not "nothing"."""
    gcp.cloud.cloud.unreachable = {place}
    with pytest.raises(TransientError, match=f"could not look into {says}.*only partial"):
        gcp.inventory().resources(WEB)


def test_an_unreachable_database_region_is_told_too(gcp: Gcp) -> None:
    """Cloud SQL words it in its own way."""
    gcp.cloud.cloud.unreachable = {"europe-west1"}
    with pytest.raises(TransientError, match="europe-west1 while listing databases"):
        gcp.inventory()._databases(WEB)


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ({"unreachables": ["projects/p/zones/europe-west1-d"], "items": {}}, "zones/europe-west1-d"),
        ({"warning": {"code": "PARTIAL_SUCCESS"}, "items": {}}, "some of its places"),
    ],
)
def test_every_way_in_which_google_says_partial_is_heard(
    gcp: Gcp, monkeypatch: pytest.MonkeyPatch, page: dict[str, Any], says: str
) -> None:
    """For one place, for a list of places, or for the whole list."""
    inventory = gcp.inventory()
    monkeypatch.setattr(Connection, "pages", lambda *_, **__: iter([page]))
    with pytest.raises(TransientError, match=f"could not look into .*{says}"):
        list(inventory._everywhere(WEB, "disks", "disks"))


def test_a_failing_project_keeps_its_last_inventory_and_hides_no_other(gcp: Gcp, database: Database) -> None:
    """First all is well, then one place is gone: its project stays as it was and is told, the others are new."""
    first = collect(database, "default", [gcp.inventory()], now=gcp.now)
    assert [a.ok for a in first] == [True, True, True]
    gcp.cloud.cloud.unreachable = {"europe-west1-c"}
    second = {a.account_id: a for a in collect(database, "default", [gcp.inventory()], now=gcp.now)}
    assert not second[WEB].ok
    assert "only partial" in second[WEB].problem
    with database.read() as tx:
        kept = store.all_of(tx, "default", provider="Google Cloud")
    assert Counter(r.account_id for r in kept)[WEB] == 32


@pytest.mark.parametrize(
    "kind",
    ["throttle", "error", "cut", "broken_answer", "empty_page", "timeout", "clock_skew"],
)
def test_what_passes_by_itself_costs_nothing(gcp: Gcp, web: dict[str, Resource], kind: str) -> None:
    """Throttled with 403 as Google's older services do, failed, cut, late, an empty page: all disks all the same."""
    gcp.fails(kind, "compute.disks.list", times=1, seconds=0.5 if kind == "timeout" else 0)
    found = list(gcp.inventory()._everywhere(WEB, "disks", "disks"))
    assert len(found) == 12
    assert gcp.cloud.faults.as_json()[0]["hits"] == 1


@pytest.mark.parametrize(
    ("kind", "action", "error", "says"),
    [
        ("throttle", "compute.disks.list", ThrottledError, "called less often"),
        ("throttle", "monitoring.timeSeries.list", ThrottledError, "called less often"),
        ("error", "compute.snapshots.list", TransientError, "failure of its own"),
        ("cut", "storage.buckets.list", TransientError, "did not answer"),
        ("deny", "compute.addresses.list", DeniedError, "forbids compute.addresses.list"),
        ("deny", "cloudsql.instances.list", DeniedError, "forbids cloudsql.instances.list"),
        ("repeated_page", "compute.disks.list", ProviderError, "the same page again and again"),
        ("absent", "compute.images.list", ProviderError, "does not know what was asked for"),
    ],
)
def test_what_does_not_pass_is_told_and_nothing_of_it_is_used(
    gcp: Gcp, kind: str, action: str, error: type[ProviderError], says: str
) -> None:
    """Typed, in our words, naming the permission where one is missing."""
    gcp.fails(kind, action)
    with pytest.raises(error, match=says) as raised:
        gcp.inventory().resources(ML if action.startswith("monitoring") else "lumen-analytics")
    assert "Quota exceeded" not in str(raised.value)
    if isinstance(raised.value, DeniedError):
        assert raised.value.permission == action


def test_googles_wish_for_silence_is_kept(gcp: Gcp) -> None:
    """Retry-After says how long; it is waited for."""
    waits: list[float] = []
    inventory = gcp.inventory()
    inventory.connection.services["monitoring"].sleep = waits.append
    gcp.fails("throttle", "monitoring.timeSeries.list", times=1, seconds=17, header="Retry-After")
    assert metrics.utilisation(inventory.connection, WEB, gcp.now())
    assert max(waits) == 17


def test_a_clock_that_is_wrong_is_told(gcp: Gcp) -> None:
    """Days would be cut in the wrong place."""
    gcp.fails("clock_skew", "resourcemanager.test", seconds=1800)
    (access, *_) = gcp.inventory().check_access()
    assert "30 minutes off Google's" in access.problem


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (403, {"errors": [{"reason": "accessNotConfigured"}]}, "denied", "switched off in this project"),
        (403, {"details": [{"reason": "BILLING_DISABLED"}]}, "denied", "no active billing account"),
        (403, {"errors": [{"reason": "quotaExceeded"}]}, "quota_exceeded", "quota does not allow"),
        (403, {"message": "Required 'compute.disks.list' permission"}, "denied", "forbids compute.disks.list"),
        (403, {"message": "see compute.googleapis.com"}, "denied", "forbids this"),
        (400, {"errors": [{"reason": "bytesBilledLimitExceeded"}]}, "provider", "read more than allowed"),
        (400, {}, "provider", "HTTP 400"),
        (409, {}, "resource_conflict", "present state"),
        (503, None, "transient", "failure of its own"),
    ],
)
def test_every_refusal_has_its_type(status: int, body: object, code: str, says: str) -> None:
    """Old errors name reasons in `errors`, new ones in `details`; proxies answer without any body."""
    error = refuse(Reply(status, {}, {"error": body} if body is not None else None), Asking("testing"))
    assert (error.code, says in error.what) == (code, True), error.what


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("compute.disks.list", {"items": []}),
        ("compute.disks.list", {"items": {"zones/a": []}}),
        ("compute.disks.list", {"items": {"zones/a": {"disks": "none"}}}),
    ],
)
def test_an_answer_of_another_form_is_refused(
    gcp: Gcp, monkeypatch: pytest.MonkeyPatch, path: str, answer: dict[str, Any]
) -> None:
    """Nothing is read out of what is not understood."""
    connection = gcp.connection()
    monkeypatch.setattr(type(connection), "pages", lambda *_, **__: iter([answer]))
    from tools.providers.gcp.inventory import GcpInventory

    with pytest.raises(ProviderError, match="form that is not known"):
        list(GcpInventory.of(connection, gcp.now)._everywhere(WEB, "disks", "disks"))


def test_recorded_disks_are_understood() -> None:
    """A recording of the real API: one of its disks hangs on nothing, sizes are text, times have an offset."""
    see = describing.Describer("cloud-custodian", datetime(2026, 11, 23, tzinfo=UTC))
    parts = vector("compute_disks_aggregated_list")["items"].values()
    found = {r.name: r for part in parts for r in (see.disk(d) for d in part["disks"])}
    assert {name for name, r in found.items() if not r.attributes["attached"]} == {"drone-upgrade"}
    lost = found["drone-upgrade"]
    assert lost.id == "//compute.googleapis.com/projects/cloud-custodian/zones/us-east1-c/disks/drone-upgrade"
    assert (lost.attributes["gib"], lost.region) == (32, "us-east1")
    assert lost.attributes["created_at"] == "2017-06-06T17:38:28.664000+00:00"
    assert lost.attributes["detached_at"] == "2017-11-01T10:25:07.913000+00:00"


def test_recorded_metrics_are_percent() -> None:
    """The API tells a share of one, though its unit reads like percent."""
    (series,) = vector("monitoring_time_series_list")["timeSeries"]
    assert list(metrics.points(series, Asking("testing"))) == [pytest.approx(0.34935695658400334)]
    assert metrics.instance_of(series) == "iap-test-webapp"
    empty = {"points": [{"value": {}}, {"value": {"doubleValue": "x"}}]}
    with pytest.raises(ProviderError):
        list(metrics.points(empty, Asking("testing")))


def test_recorded_advice_keeps_every_digit() -> None:
    """Money is units and billionths, both negative for a saving, and units may be left out."""
    told = [advice.read(one, "disk") for one in vector("recommender_disk_idle_list")["recommendations"]]
    assert [one.saving for one in told if one] == [Decimal("1.548387097"), Decimal("0.483870968")]
    assert told[0] is not None
    assert told[0].resource == "//compute.googleapis.com/projects/cloud-custodian/zones/us-central1-a/disks/disk-1"


def test_advice_that_saves_nothing_or_is_done_is_no_advice() -> None:
    """Dismissed, about security, or costing more: passed over; over no time at all: refused."""
    cost = {"currencyCode": "USD", "units": "-30"}
    impact: dict[str, Any] = {"category": "COST", "costProjection": {"cost": cost, "duration": "86400s"}}
    operations = {"operationGroups": [{"operations": [{"resource": "//a"}, {"resource": "//b"}]}]}
    one = {"primaryImpact": impact, "content": operations}
    found = advice.read(one, "x")
    assert found is not None
    assert (found.resource, found.saving) == ("//b", Decimal(900))
    assert advice.read(one | {"stateInfo": {"state": "DISMISSED"}}, "x") is None
    assert advice.read(one | {"primaryImpact": impact | {"category": "SECURITY"}}, "x") is None
    assert advice.read(one | {"content": {}}, "x") is None
    impact["costProjection"]["duration"] = "0s"
    with pytest.raises(ProviderError, match="no time at all"):
        advice.read(one, "x")


def test_the_registry_gives_it_when_projects_are_set_and_loads_it_only_then(gcp: Gcp) -> None:
    """A deployment without Google Cloud never imports its flat."""
    assert [i.provider for i in registry.inventories(gcp.settings())] == ["Google Cloud"]
    assert [b.provider for b in registry.billings(gcp.settings())] == ["Google Cloud"]
    assert registry.inventories(gcp.settings(gcp_projects=())) == ()
    assert registry.billings(gcp.settings(gcp_billing_table="")) == ()
    code = (
        "import sys, tools.providers.registry; sys.exit(any(m.startswith('tools.providers.gcp') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_token_is_kept_until_shortly_before_it_ends(gcp: Gcp) -> None:
    """One question to the metadata server serves an hour."""
    seconds = 0.0
    connection = gcp.connection(gcp_token="")
    connection.identity.clock = lambda: seconds
    for _ in range(2):
        connection.identity.header()
    assert gcp.cloud.calls["metadata.token"] == 1
    seconds = timedelta(minutes=59).total_seconds()
    connection.identity.header()
    assert gcp.cloud.calls["metadata.token"] == 2
