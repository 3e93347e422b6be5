"""Microsoft's own example files: what we ask is asked as they ask, and what they answer is understood."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox.clouds.rest import Answer, Ask, RestCloud, Route
from tests.providers.conftest import RestSide, served
from tests.providers.test_azure import hasty, settings
from tools.model.errors import ProviderError
from tools.model.period import Period
from tools.providers.azure import metrics
from tools.providers.azure.connection import Connection
from tools.providers.azure.mapping import GROUPS, rows_of
from tools.providers.azure.resources import DATABASE, LISTS, Kind, count_members, resource
from tools.providers.rest import Asking

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "azure"
pytestmark = pytest.mark.skipif(not VECTORS.is_dir(), reason="the public test vectors are not beside the repository")
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


def example(path: str) -> dict[str, Any]:
    return dict(json.loads((VECTORS / path).read_text(encoding="utf-8"), parse_float=Decimal))


def body(path: str) -> dict[str, Any]:
    return dict(example(path)["responses"]["200"]["body"])


class Recorded:
    """An Azure that answers everything with one example, and keeps what it was asked."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.asked: list[Ask] = []
        self.document = document
        self.routes = (
            Route("GET", "/{resource:path}", "everything", self.answer),
            Route("POST", "/{resource:path}", "everything", self.answer),
        )

    def answer(self, ask: Ask) -> Answer:
        self.asked.append(ask)
        return Answer(200, self.document)

    def let_in(self, ask: Ask) -> None:
        """Everybody."""

    def refuse(self, refusal: Any) -> Answer:
        return Answer(refusal.status, {})


def ask_all(document: dict[str, Any], path: str, kind: Kind) -> tuple[list[dict[str, Any]], list[Ask]]:
    cloud = Recorded(document)
    with served(RestCloud(cloud)) as url:  # type: ignore[arg-type]  # no faults are asked of it
        side = RestSide(url, RestCloud(cloud))  # type: ignore[arg-type]
        connection = Connection.of(settings(side))
        hasty(side, connection)
        return connection.listing(path, kind.version, Asking("listing", kind.permission)), cloud.asked


LISTED = {kind.kind: kind for kind in LISTS}


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("compute/VirtualMachine_ListBySubscription_ByLocation.json", "instance"),
        ("compute/VirtualMachineScaleSet_ListBySubscription_ByLocation.json", "instance_group"),
    ],
)
def test_lists_are_asked_for_in_the_version_of_the_example_and_read(file: str, kind: str, azure: RestSide) -> None:
    """Every item of Microsoft's answer becomes a resource with a size and a region."""
    told = example(file)
    place = f"/subscriptions/{SUBSCRIPTION}/providers/{LISTED[kind].path}"
    items, asked = ask_all(told["responses"]["200"]["body"], place, LISTED[kind])
    assert asked[0].path == place
    assert asked[0].query == {"api-version": told["parameters"]["api-version"]}
    found = [resource(f"/subscriptions/{SUBSCRIPTION}", LISTED[kind], item, azure.now()) for item in items]
    assert len(found) == len(told["responses"]["200"]["body"]["value"])
    for one in found:
        assert one.region == "eastus"
        assert one.attributes.get("instance_type") or one.attributes.get("instance_types") == ["Standard_D2s_v3"]
    json.dumps([one.attributes for one in found])


@pytest.mark.parametrize("file", ["compute/Disk_ListByResourceGroup.json", "compute/Disk_Get.json"])
def test_disks_say_whether_anything_holds_them(file: str, azure: RestSide) -> None:
    """`managedBy` names the machine; without it and without a state nothing holds the disk."""
    told = body(file)
    for item in told.get("value", [told]):
        found = resource("/subscriptions/x", LISTED["volume"], item, azure.now())
        assert found.attributes["attached"] is bool(item.get("managedBy"))
        assert found.attributes["gib"] == item["properties"]["diskSizeGB"]
        assert str(found.attributes["created_at"]).startswith("2016-12-28T04:41:")


def test_a_snapshot_and_a_database(azure: RestSide) -> None:
    """Their source, size and state as the examples have them."""
    taken = resource("s", LISTED["snapshot"], body("compute/Snapshot_Create_FromAnExistingSnapshot.json"), azure.now())
    assert taken.kind == "snapshot"
    database = resource("s", DATABASE, body("sql/GetVCoreDatabase.json"), azure.now())
    assert (database.attributes["instance_type"], database.attributes["capacity"], database.attributes["state"]) == (
        "BC_Gen4_2",
        2,
        "Online",
    )
    assert database.attributes["created_at"] == "2017-06-07T04:41:33.937000+00:00"


def test_a_scale_set_that_mixes_priorities_tells_its_shares(azure: RestSide) -> None:
    """Above a base, half of the example's set is regular; counted members are worth more than the policy."""
    told = example("compute/VirtualMachineScaleSet_Create_WithPriorityMixPolicy.json")["responses"]["200"]["body"]
    found = resource("s", LISTED["instance_group"], told, azure.now())
    mix = told["properties"]["priorityMixPolicy"]
    assert found.attributes["on_demand_base"] == mix["baseRegularPriorityCount"]
    assert found.attributes["on_demand_percentage"] == mix["regularPriorityPercentageAboveBase"]
    counts = found.attributes["counts"]
    assert isinstance(counts, dict)
    assert sum(counts.values()) == found.attributes["size"] == told["sku"]["capacity"]
    member = {
        "id": "/vm/1",
        "properties": {"virtualMachineScaleSet": {"id": f"/x/{found.name}"}, "priority": "Spot"},
    }
    one = resource("s", LISTED["instance"], member, azure.now())
    count_members([found, one])
    assert (found.attributes["counts"], found.attributes["members"]) == ({"spot": 1, "on_demand": 0}, ["/vm/1"])


def test_metrics_without_a_value_are_missing(azure: RestSide) -> None:
    """Six of the example's eight points have no average; without maxima nothing is claimed."""
    told = body("monitor/GetMetric.json")
    cloud = Recorded(told)
    with served(RestCloud(cloud)) as url:  # type: ignore[arg-type]
        side = RestSide(url, RestCloud(cloud))  # type: ignore[arg-type]
        connection = Connection.of(settings(side))
        hasty(side, connection)
        assert metrics.utilisation(connection, "/subscriptions/x/vm", azure.now()) is None
        for series in told["value"][0]["timeseries"]:
            for point in series["data"]:
                point |= {"maximum": point["average"]} if "average" in point else {}
        use = metrics.utilisation(connection, "/subscriptions/x/vm", azure.now())
    assert use is not None
    values = [p["average"] for s in told["value"][0]["timeseries"] for p in s["data"] if "average" in p]
    assert (use["hours"], use["cpu_maximum"]) == (len(values), float(max(values)))
    assert cloud.asked[0].query["api-version"] == example("monitor/GetMetric.json")["parameters"]["api-version"]


QUERIES = ("SubscriptionQuery", "BillingAccountQuery")


@pytest.mark.parametrize("name", QUERIES)
def test_a_cost_answer_is_read_by_the_names_of_its_columns(name: str) -> None:
    """The examples answer PreTaxCost where Cost may come, and days as numbers; our own groups are put beside."""
    told = body(f"cost-management/{name}.json")
    properties = told["properties"]
    added = list(GROUPS)
    properties["columns"] += [{"name": group, "type": "String"} for group in added]
    wanted = [(row[0], str(row[2])) for row in properties["rows"]]
    properties["rows"] = [[*row, *(f"{group}!" for group in added)] for row in properties["rows"]]
    rows = rows_of(told, "reading costs")
    assert [(row.cost, f"{row.day:%Y%m%d}") for row in rows] == wanted
    assert {row.key for row in rows} == {tuple(f"{group}!" for group in added)}
    assert {row.currency for row in rows} == {"USD"}


def test_an_answer_without_our_columns_or_with_broken_rows_is_not_guessed_at() -> None:
    """The examples group by less than we need: such an answer is refused, an absent one is empty."""
    with pytest.raises(ProviderError, match="not known"):
        rows_of(body("cost-management/SubscriptionQuery.json"), "reading costs")
    assert rows_of({}, "reading costs") == []
    columns = [{"name": name} for name in ("Cost", "UsageDate", "Currency", *GROUPS)]
    for row in ([], ["many", 20261001, "USD", *GROUPS], [Decimal(1), "soon", "USD", *GROUPS]):
        with pytest.raises(ProviderError):
            rows_of({"properties": {"columns": columns, "rows": [row]}}, "reading costs")


def test_a_query_has_the_form_of_the_example(azure: RestSide) -> None:
    """The same path, version and body keys; the next page is asked for at the address that Azure gives."""
    from tools.providers.azure.billing import VERSION, query_body

    told = example("cost-management/BillingAccountQueryGrouping.json")
    assert told["parameters"]["api-version"] == VERSION
    ours = query_body(Period(date(2026, 10, 1), date(2026, 11, 1)), "ActualCost", date(2026, 11, 23))
    theirs = told["parameters"]["parameters"]
    assert set(ours) == {*theirs, "timePeriod"}
    assert set(ours["dataset"]) == set(theirs["dataset"])
    assert set(ours["dataset"]["grouping"][0]) == set(theirs["dataset"]["grouping"][0])
    assert set(ours["dataset"]["aggregation"]) == set(theirs["dataset"]["aggregation"])
    assert len(ours["dataset"]["grouping"]) <= 15
