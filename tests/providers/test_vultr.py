"""Vultr: what exists and what it costs, every page and cent of it, whatever goes wrong on the way."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox.clouds.vultr import API_KEY
from sandbox.inventory import resource_id
from sandbox.story.other_lines import VULTR_WASTE
from tests.collection.bills import one_process
from tests.providers.conftest import RestSide
from tools.collection import billing as bills
from tools.model.errors import DeniedError, ProviderError, SettingsError
from tools.model.load import LoadStatus
from tools.model.period import Period
from tools.model.resource import Resource
from tools.providers import registry
from tools.providers.vultr.billing import VultrBilling
from tools.providers.vultr.inventory import VultrInventory
from tools.settings import Settings
from tools.store.database import Database

ACCOUNT = "lumen-vultr"
__all__ = ["one_process"]
OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
NOVEMBER = Period(date(2026, 11, 1), date(2026, 12, 1))
CENT = Decimal("0.01")


def settings(vultr: RestSide, **more: Any) -> Settings:
    known: dict[str, Any] = {"vultr_endpoint": vultr.url, "vultr_api_key": API_KEY}
    return Settings(_env_file=None, **(known | more))


def inventory(vultr: RestSide, **more: Any) -> VultrInventory:
    (found,) = registry.inventories(settings(vultr, **more), now=vultr.now)
    assert isinstance(found, VultrInventory)
    vultr.hasty(found.connection.rest)
    return found


def billing(vultr: RestSide, **more: Any) -> VultrBilling:
    (found,) = registry.billings(settings(vultr, **more), now=vultr.now)
    assert isinstance(found, VultrBilling)
    vultr.hasty(found.connection.rest)
    return found


def things(vultr: RestSide, kind: str) -> dict[str, Resource]:
    return {r.name: r for r in inventory(vultr).resources(ACCOUNT) if r.kind == kind}


def charged(vultr: RestSide, period: Period) -> list[dict[str, str]]:
    return [dict(row) for row in billing(vultr).charges(ACCOUNT, period)]


def total(rows: list[dict[str, str]]) -> Decimal:
    return sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0))


@pytest.fixture
def truth(short_truth: dict[str, Any]) -> dict[str, Decimal]:
    """What the story's files say that Vultr billed, per month."""
    return {t["period"]: Decimal(t["billed_cost"]) for t in short_truth["totals"] if t["provider"] == "vultr"}


def test_everything_is_listed_over_all_pages_under_the_names_of_the_bill(vultr: RestSide) -> None:
    """Seven machines come in pages of three; the waste of the story is all there."""
    machines = things(vultr, "instance")
    assert len(machines) == 7
    assert machines["edge-fra-1"].id == resource_id("vultr", "edge-fra-1")
    assert machines["edge-fra-1"].tag("team") == "web"
    assert machines["edge-fra-1"].attributes["volumes"] == [resource_id("vultr", "edge-cache")]
    found = {r.name for r in inventory(vultr).resources(ACCOUNT)}
    assert found >= VULTR_WASTE
    json.dumps([r.attributes for r in inventory(vultr).resources(ACCOUNT)])


def test_what_nobody_uses_can_be_told_apart(vultr: RestSide) -> None:
    """A halted machine is paid for; disks and addresses say whether they hang on anything."""
    halted = things(vultr, "instance")["edge-old-halted"]
    assert (halted.attributes["state"], halted.attributes["billed_when_stopped"]) == ("stopped", True)
    volumes = things(vultr, "volume")
    assert volumes["edge-cache"].attributes["attached"] is True
    assert volumes["old-edge-logs"].attributes["attached"] is False
    assert volumes["old-edge-logs"].attributes["gib"] == 2000
    assert things(vultr, "address")["edge-spare-ip"].attributes["attached"] is False
    snapshot = things(vultr, "snapshot")["edge-golden-2024"]
    assert snapshot.attributes["created_at"] == "2025-06-29T04:10:00+00:00"


def test_use_is_unknown_and_says_why(vultr: RestSide) -> None:
    """Vultr measures no CPU: that is no evidence of idleness."""
    machine = things(vultr, "instance")["edge-fra-1"]
    assert machine.attributes["utilisation"] is None
    assert "Prometheus" in str(machine.attributes["utilisation_unknown"])


def test_prices_are_those_of_the_plans_in_use(vultr: RestSide) -> None:
    """Hourly is a month's price over 672 hours; there is no spot price to invent."""
    source = inventory(vultr)
    prices = source.prices(source.resources(ACCOUNT))
    assert {p.purchase for p in prices} == {"on_demand"}
    assert next(p.usual for p in prices if p.sku == "vhf-4c-16gb") == Decimal("0.1428571429")
    assert source.prices([]) == ()


def test_access_says_whose_key_it_is_and_what_it_may_do(vultr: RestSide) -> None:
    """The reader's key changes nothing, and doctor can say so."""
    (access,) = inventory(vultr).check_access()
    assert (access.ok, access.account_id, access.identity) == (True, ACCOUNT, f"{ACCOUNT} (reads only)")


@pytest.mark.parametrize("permission", ["subscriptions_view", "billing", "loadbalancer"])
def test_the_one_missing_permission_is_named(vultr: RestSide, monkeypatch: pytest.MonkeyPatch, permission: str) -> None:
    """Whether Vultr tells it beforehand or only refuses."""
    kept = tuple(acl for acl in ("subscriptions_view", "billing", "loadbalancer") if acl != permission)
    vultr.fails("deny", permission)
    monkeypatch.setattr(vultr.cloud.cloud, "acls", (*kept, "provisioning"))
    (access,) = inventory(vultr).check_access()
    assert (access.ok, access.missing) == (False, (permission,))
    assert "may also change things: provisioning" in access.identity


def test_a_refused_list_gives_nothing_rather_than_a_part(vultr: RestSide) -> None:
    """Half an inventory would look like waste that is not there."""
    vultr.fails("deny", "loadbalancer")
    with pytest.raises(DeniedError) as denied:
        inventory(vultr).resources(ACCOUNT)
    assert denied.value.permission == "loadbalancer"
    assert "loadbalancer" in denied.value.fix


def test_a_wrong_key_is_refused_in_words_without_the_key(vultr: RestSide) -> None:
    """Inventory and billing both say it, neither raises."""
    for port in (inventory(vultr, vultr_api_key="wrong-key"), billing(vultr, vultr_api_key="wrong-key")):
        (access,) = port.check_access()
        assert (access.ok, access.identity) == (False, "")
        assert "API key" in access.problem
        assert "wrong-key" not in str(access)


def test_closed_months_are_their_invoices_to_the_cent(vultr: RestSide, truth: dict[str, Decimal]) -> None:
    """Every page of every invoice, in days that add up exactly."""
    for month in ("2026-08", "2026-09", "2026-10"):
        first = date.fromisoformat(f"{month}-01")
        rows = charged(vultr, Period(first, date(2026, first.month + 1, 1)))
        assert abs(total(rows) - truth[month]) < CENT
        assert {row["x_Estimated"] for row in rows} == {"false"}
        assert len({row["InvoiceId"] for row in rows}) == 1
    assert {row["ChargePeriodStart"][:7] for row in rows} == {"2026-10"}
    assert len({row["ChargePeriodStart"] for row in rows}) == 31


def test_the_open_month_is_an_estimate_until_its_invoice_comes(vultr: RestSide, truth: dict[str, Decimal]) -> None:
    """Pending charges fill it up to yesterday, without an invoice's number."""
    rows = charged(vultr, NOVEMBER)
    assert abs(total(rows) - truth["2026-11"]) < CENT
    assert {(row["x_Estimated"], row["InvoiceId"]) for row in rows} == {("true", "")}
    assert max(row["ChargePeriodEnd"] for row in rows) == "2026-11-23T00:00:00Z"


def test_rows_name_the_resource_with_its_tags_and_plan(vultr: RestSide) -> None:
    """The bill's words are matched with what exists; bandwidth belongs to nothing that exists."""
    rows = charged(vultr, OCTOBER)
    machine = next(row for row in rows if row["ResourceName"] == "edge-fra-1")
    assert machine["ResourceId"] == resource_id("vultr", "edge-fra-1")
    assert json.loads(machine["Tags"]) == {"env": "production", "service": "edge", "team": "web"}
    assert (machine["SkuId"], machine["RegionId"], machine["ServiceName"]) == ("vhf-4c-16gb", "fra", "Cloud Compute")
    assert (machine["ConsumedQuantity"], machine["ConsumedUnit"]) == ("24", "Hours")
    services = {row["ServiceName"]: row["ServiceCategory"] for row in rows}
    assert services["Load Balancers"] == services["Bandwidth"] == "Networking"
    assert {row["ResourceId"] for row in rows if row["ServiceName"] == "Bandwidth"} == {""}


def test_without_pending_charges_the_month_is_accrued_from_what_exists(vultr: RestSide) -> None:
    """Hours since the month began at list price; what Vultr wants beyond that stands in a line of its own."""
    vultr.fails("absent", "GET /v2/billing/pending-charges")
    rows = charged(vultr, NOVEMBER)
    assert {row["x_Estimated"] for row in rows} == {"true"}
    machine = [row for row in rows if row["ResourceName"] == "edge-fra-1"]
    # 22 days and 8 hours at a 672nd of 96 USD an hour, on 23 days.
    assert abs(total(machine) - Decimal(536) * 96 / 672) < CENT
    assert len(machine) == 23
    unexplained = [row for row in rows if row["ChargeDescription"].startswith("Pending charges")]
    due = vultr.cloud.cloud._open_items()  # type: ignore[attr-defined]  # the sandbox's own sum
    wanted = sum((item["total"] for item in due), Decimal(0))
    assert total(rows) == max(wanted, total(rows) - total(unexplained))


def test_a_month_that_has_not_begun_or_lies_before_the_account_is_empty(vultr: RestSide) -> None:
    """Nothing was charged; that is no error."""
    assert charged(vultr, Period(date(2026, 12, 1), date(2027, 1, 1))) == []
    assert charged(vultr, Period(date(2025, 1, 1), date(2025, 2, 1))) == []
    vultr.fails("absent", "GET /v2/billing/pending-charges")
    assert charged(vultr, Period(date(2026, 12, 1), date(2027, 1, 1))) == []


def test_a_key_for_bills_only_gives_bills_without_resource_ids(vultr: RestSide, truth: dict[str, Decimal]) -> None:
    """The money is all there; only the ids are not."""
    vultr.fails("deny", "subscriptions_view")
    rows = charged(vultr, OCTOBER)
    assert abs(total(rows) - truth["2026-10"]) < CENT
    assert {row["ResourceId"] for row in rows} == {""}
    assert "edge-fra-1" in {row["ResourceName"] for row in rows}


def test_collecting_twice_changes_nothing_and_an_invoice_replaces_the_estimate(
    vultr: RestSide, truth: dict[str, Decimal], one_process: None, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Months add up to the story in the database; the month that was open yesterday is replaced, not added."""

    def collect() -> dict[str, tuple[LoadStatus, Decimal]]:
        (bill,) = bills.collect(
            database, "default", [billing(vultr)], tag_keys=("team",), detail_months=2, now=vultr.now
        )
        assert bill.access.ok, bill.access.problem
        return {
            f"{load.partition.billing_period:%Y-%m}": (load.status, load.totals[0].billed_cost)
            for load in bill.loads
            if load.partition is not None
        }

    first = collect()
    assert set(first) == set(truth)
    assert all(abs(amount - truth[month]) < CENT for month, (_, amount) in first.items())
    again = collect()
    assert {month: status for month, (status, _) in again.items()} == {
        "2026-10": LoadStatus.UNCHANGED,
        "2026-11": LoadStatus.UNCHANGED,
    }
    # December has come, and with it November's invoice.
    source = vultr.cloud.cloud.bills  # type: ignore[attr-defined]
    monkeypatch.setattr(source, "_periods", (*source.periods(), date(2026, 12, 1)))
    vultr.moment = datetime(2026, 12, 2, 8, tzinfo=UTC)
    assert {row["InvoiceId"] for row in charged(vultr, NOVEMBER)} != {""}
    status, amount = collect()["2026-11"]
    assert (status, amount) == (LoadStatus.REPLACED, first["2026-11"][1])


def test_an_invoice_whose_lines_do_not_add_up_is_not_used(vultr: RestSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that are missing without a word are noticed by the invoice's own sum."""
    cloud = vultr.cloud.cloud
    whole = cloud._items  # type: ignore[attr-defined]
    monkeypatch.setattr(cloud, "_items", lambda *a: whole(*a)[:-5])
    monkeypatch.setattr(
        cloud,
        "_invoice_of",
        lambda period: (
            {"id": 1, "date": "2026-11-01T00:30:05+00:00", "amount": Decimal("1051.76")}
            if period.month == 10
            else {"id": period.month + 100, "date": f"{period}T00:30:05+00:00", "amount": Decimal(0)}
        ),
    )
    with pytest.raises(ProviderError, match="add up"):
        charged(vultr, OCTOBER)


def test_a_wrong_clock_is_told(vultr: RestSide) -> None:
    """Days would be cut in the wrong place; the inventory is whole all the same."""
    vultr.fails("clock_skew", seconds=3600)
    (access,) = inventory(vultr).check_access()
    assert not access.ok
    assert "clock is 60 minutes off" in access.problem


def test_a_failed_account_keeps_its_months_and_hides_no_other(
    vultr: RestSide, one_process: None, database: Database
) -> None:
    """Nothing is loaded of a month that broke off; the account says which and why."""
    vultr.fails("error", "GET /v2/billing/invoices/*")
    good = billing(vultr)
    (bill,) = bills.collect(database, "default", [good], tag_keys=(), detail_months=2, now=vultr.now)
    assert not bill.access.ok
    assert "Nov 2026" in bill.access.problem or "Oct 2026" in bill.access.problem
    assert all(load.partition and load.partition.billing_period.month == 11 for load in bill.loads)


def test_an_account_that_files_hold_is_left_to_them(vultr: RestSide, one_process: None, database: Database) -> None:
    """Cost never counts twice: the API is not even asked for charges."""
    port = billing(vultr)
    (first,) = bills.collect(database, "default", [port], tag_keys=(), detail_months=2, now=vultr.now)
    vultr.cloud.calls.clear()
    (bill,) = bills.collect(
        database, "default", [port], in_files=first.loads, tag_keys=(), detail_months=2, now=vultr.now
    )
    assert (bill.skipped, bill.loads, bill.access.ok) == (True, (), True)
    assert vultr.cloud.calls.get("billing") == 1
    (other,) = bills.collect(database, "default", [port], provider="vultr", tag_keys=(), detail_months=2, now=vultr.now)
    assert other.loads
    assert bills.collect(database, "default", [port], provider="AWS", tag_keys=(), detail_months=2, now=vultr.now) == ()


def test_an_endpoint_that_is_no_url() -> None:
    """Said at once, not at the first call; without a key Vultr is not connected."""
    with pytest.raises(SettingsError, match="OPTIINFRA_VULTR_ENDPOINT"):
        registry.inventories(Settings(_env_file=None, vultr_api_key="k", vultr_endpoint="localhost"))
    assert registry.billings(Settings(_env_file=None)) == ()


def test_nobody_answers() -> None:
    """A closed port is told like any other silence."""
    side = RestSide("http://127.0.0.1:9", None)  # type: ignore[arg-type]
    (access,) = inventory(side).check_access()
    assert "did not answer" in access.problem
    assert datetime.now(UTC) > side.moment


def test_a_key_that_may_not_see_bills_says_so_before_any_month_is_read(vultr: RestSide) -> None:
    """Refused or failing, the account is told with its name, so that the rest of it is still looked at."""
    vultr.fails("deny", "billing", times=1)
    port = billing(vultr)
    (access,) = port.check_access()
    assert (access.ok, access.account_id, access.missing) == (False, ACCOUNT, ("billing",))
    vultr.fails("error", "billing")
    (access,) = port.check_access()
    assert (access.ok, access.missing) == (False, ())
    vultr.fails("error", "GET /v2/blocks")
    (access,) = inventory(vultr).check_access()
    assert "failure of its own" in access.problem


def test_machines_databases_and_clusters_of_every_other_kind(vultr: RestSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the story does not run, somebody does."""
    from sandbox.clouds.vultr import _listing

    metal = {"id": "m", "plan": "vbm-4c-32gb", "status": "active", "cpu_count": 4, "label": "m", "tag": "team=web"}
    database = {"id": "d", "plan": "vultr-dbaas-1", "database_engine": "pg", "status": "Running", "plan_vcpus": 1}
    cluster = {"id": "k", "label": "k", "status": "active", "node_pools": [{"nodes": [{"id": "n"}]}]}
    for key, items in {"bare_metals": [metal], "databases": [database], "vke_clusters": [cluster]}.items():
        path = {"bare_metals": "/v2/bare-metals", "databases": "/v2/databases"}.get(key, "/v2/kubernetes/clusters")
        kept = [r for r in vultr.cloud.cloud.routes if r.pattern != path]
        route = type(kept[0])("GET", path, "subscriptions_view", _listing(key, lambda items=items: items))
        monkeypatch.setattr(vultr.cloud.cloud, "routes", (*kept, route))
    found = {r.kind: r for r in inventory(vultr).resources(ACCOUNT)}
    assert (found["bare_metal"].attributes["state"], found["bare_metal"].tag("team")) == ("running", "web")
    assert (found["database"].attributes["engine"], found["database"].attributes["vcpus"]) == ("pg", 1)
    assert found["kubernetes"].attributes["nodes"] == ["n"]


def test_an_answer_of_another_form_is_not_guessed_at(vultr: RestSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines without amounts, invoices without dates, lists that are none: nothing of it is used."""
    cloud = vultr.cloud.cloud
    monkeypatch.setattr(cloud, "_invoice_of", lambda period: {"id": 7})
    with pytest.raises(ProviderError, match="not known"):
        charged(vultr, OCTOBER)
    monkeypatch.setattr(cloud, "_open_items", lambda: [{"description": "no amount", "total": "soon"}])
    monkeypatch.setattr(cloud, "_closed", list)
    with pytest.raises(ProviderError, match="not known"):
        charged(vultr, NOVEMBER)


def test_a_machine_whose_address_is_not_allowed_is_told_so() -> None:
    """Vultr's keys are bound to addresses; the words tell it apart from a wrong key."""
    from tools.providers.rest import Asking, Reply
    from tools.providers.vultr.connection import refuse

    told = refuse(Reply(401, {}, {"error": "Unauthorized IP address: 198.51.100.7"}), Asking("asking"))
    assert "access control" in told.fix
    assert "198.51.100.7" not in str(told)
    assert "HTTP 418" in str(refuse(Reply(418, {}, None), Asking("asking")))
