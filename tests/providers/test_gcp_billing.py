"""Google Cloud's bills from BigQuery: every cent of the story, from each kind of export, whatever goes wrong."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox.clouds import gcp_export
from sandbox.clouds.gcp import BILLING_PROJECT, BILLING_TABLE
from sandbox.clouds.gcp_bigquery import DATASET
from sandbox.organisation import GCP_BILLING_ACCOUNT
from tests.providers.conftest import Gcp
from tools.collection.billing import collect
from tools.model.errors import DeniedError, ProviderError, SettingsError, ThrottledError, TransientError
from tools.model.load import LoadStatus
from tools.model.period import Period
from tools.providers.gcp import mapping, statements
from tools.providers.gcp.statements import Export, Statement, TableName
from tools.store.database import Database

OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
TABLES = {name: f"{BILLING_PROJECT}.{DATASET}.{name}" for name in gcp_export.TABLES}
CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the story itself says, told by another part of the sandbox than its BigQuery."""
    from sandbox import story

    return story.write(tmp_path_factory.mktemp("gcp"), today=date(2026, 11, 23), months=4)


def october(gcp: Gcp, **more: Any) -> list[Mapping[str, str]]:
    return list(gcp.billing(**more).charges(GCP_BILLING_ACCOUNT, OCTOBER))


def billed(rows: list[Mapping[str, str]]) -> Decimal:
    return sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0))


def days(gcp: Gcp) -> list[Mapping[str, str | None]]:
    """A small question with several pages: cost per day."""
    billing = gcp.billing()
    export = billing.bigquery.describe(billing.table)
    sql = (
        "SELECT CAST(usage_start_time AS DATE) AS day, SUM(CAST(cost AS NUMERIC)) AS billed "
        f"FROM `{export.name}` WHERE _PARTITIONTIME >= @since GROUP BY ALL ORDER BY 1"
    )
    statement = Statement(sql, {"since": ("TIMESTAMP", "2026-08-01T00:00:00Z")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.providers.gcp.bigquery.ROWS", 40)
        return list(billing.bigquery.rows(export, statement, "adding up days"))


@pytest.mark.parametrize("table", gcp_export.TABLES)
def test_every_kind_of_export_gives_the_months_true_total(gcp: Gcp, truth: dict[str, Any], table: str) -> None:
    """Standard, detailed, FOCUS and a view: October to the cent, in total and per project."""
    rows = october(gcp, gcp_billing_table=TABLES[table])
    total = next(t for t in truth["totals"] if (t["provider"], t["period"]) == ("gcp", "2026-10"))
    assert abs(billed(rows) - Decimal(total["billed_cost"])) < CENT
    assert abs(sum(Decimal(row["EffectiveCost"]) for row in rows) - Decimal(total["effective_cost"])) < CENT
    for account in truth["accounts"]:
        if (account["provider"], account["period"]) == ("gcp", "2026-10"):
            of_account = [row for row in rows if row["SubAccountId"] == account["sub_account_id"]]
            assert abs(billed(of_account) - Decimal(account["billed_cost"])) < CENT


def test_months_are_collected_once_and_then_nothing_changes(
    gcp: Gcp, truth: dict[str, Any], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collecting stores months that add up to the story; collecting again changes none of them."""
    monkeypatch.setattr("tools.collection.billing.HISTORY_MONTHS", 2)

    def run() -> dict[str, tuple[LoadStatus, Decimal]]:
        (bill,) = collect(database, "default", [gcp.billing()], tag_keys=("team",), detail_months=2, now=gcp.now)
        assert bill.access.ok, bill.access.problem
        return {
            f"{load.partition.billing_period:%Y-%m}": (load.status, load.totals[0].billed_cost)
            for load in bill.loads
            if load.partition is not None
        }

    first = run()
    wanted = {t["period"]: Decimal(t["billed_cost"]) for t in truth["totals"] if t["provider"] == "gcp"}
    assert set(first) == {"2026-10", "2026-11"}
    for month, (status, amount) in first.items():
        assert status is LoadStatus.LOADED
        assert abs(amount - wanted[month]) < CENT
    assert {status for status, _ in run().values()} == {LoadStatus.UNCHANGED}


def test_rows_speak_focus_with_tags_resources_and_credits_apart(gcp: Gcp) -> None:
    """A machine's row names it as the inventory does; a discount lowers usage, a promotion stands by itself."""
    rows = october(gcp)
    machine = next(row for row in rows if row.get("ResourceName") == "web-1")
    assert (
        machine["ResourceId"] == "//compute.googleapis.com/projects/lumen-web-eu/zones/europe-west1-b/instances/web-1"
    )
    assert machine["Tags"] == '{"team": "web", "env": "production", "service": "web"}'
    assert machine["ConsumedUnit"] == "vCPU hour"
    assert machine["ServiceCategory"] == "Compute"
    assert {row["ChargeCategory"] for row in rows} == {"Usage"}
    listed, paid = (sum(Decimal(row[name]) for row in rows) for name in ("ListCost", "BilledCost"))
    assert listed - paid == Decimal("5.2") * 31
    september = gcp.billing().charges(GCP_BILLING_ACCOUNT, Period(date(2026, 9, 1), date(2026, 10, 1)))
    promotions = [row for row in september if row["ChargeCategory"] == "Credit"]
    assert {row["ChargeDescription"] for row in promotions} == {"Promotional credit"}
    assert {row["BilledCost"] for row in promotions} == {"-30"}


def test_the_open_month_is_marked_as_an_estimate(gcp: Gcp) -> None:
    """November is not invoiced yet; October was closed weeks ago."""
    billing = gcp.billing()
    november = billing.charges(GCP_BILLING_ACCOUNT, Period(date(2026, 11, 1), date(2026, 12, 1)))
    assert next(iter(november))["x_Estimated"] == "true"
    assert next(iter(billing.charges(GCP_BILLING_ACCOUNT, OCTOBER)))["x_Estimated"] == "false"


def test_a_view_of_another_name_tells_its_billing_accounts_itself(gcp: Gcp) -> None:
    """Without the account in the table's name, the table is asked."""
    (access,) = gcp.billing(gcp_billing_table=TABLES[gcp_export.VIEW]).check_access()
    assert (access.ok, access.account_id) == (True, GCP_BILLING_ACCOUNT)


@pytest.mark.parametrize("permission", ["bigquery.jobs.create", "bigquery.tables.getData", "bigquery.tables.get"])
def test_the_one_missing_permission_is_named(gcp: Gcp, permission: str) -> None:
    """Whoever sets it up reads exactly what to grant."""
    gcp.fails("deny", permission)
    (access,) = gcp.billing().check_access()
    assert (access.ok, access.missing) == (False, (permission,))
    assert access.identity
    assert "permissions" in access.problem


def test_a_query_that_would_read_too_much_is_never_run(gcp: Gcp) -> None:
    """The price is asked first; above the cap, nothing is run and the sentence says which setting to raise."""
    gcp.cloud.cloud.bigquery.jobs.clear()
    billing = gcp.billing()
    small = type(billing)(
        type(billing.bigquery)(billing.bigquery.connection, BILLING_PROJECT, 0), billing.table, gcp.now
    )
    with pytest.raises(ProviderError, match="at most 0 GB are allowed") as raised:
        list(small.charges(GCP_BILLING_ACCOUNT, OCTOBER))
    assert "OPTIINFRA_GCP_QUERY_GIGABYTES" in raised.value.fix
    assert gcp.cloud.cloud.bigquery.jobs == {}


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("throttle", "bigquery.jobs.create"),
        ("throttle", "bigquery.jobs.get"),
        ("error", "bigquery.jobs.get"),
        ("cut", "bigquery.jobs.get"),
        ("timeout", "bigquery.tables.get"),
        ("broken_answer", "bigquery.jobs.get"),
        ("empty_page", "bigquery.jobs.get"),
    ],
)
def test_what_passes_by_itself_costs_no_row(gcp: Gcp, kind: str, action: str) -> None:
    """A throttle, a failure, a broken or late answer, an empty page in the middle: the month is whole all the same."""
    whole = days(gcp)
    assert len(whole) > 80
    gcp.fails(kind, action, times=1, seconds=0.5 if kind == "timeout" else 0)
    assert days(gcp) == whole
    assert gcp.cloud.faults.as_json()[0]["hits"] == 1


@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("throttle", ThrottledError, "called less often"),
        ("error", TransientError, "failure of its own"),
        ("cut", TransientError, "did not answer"),
        ("expired", DeniedError, "wrong or expired"),
        ("deny", DeniedError, "forbids bigquery.jobs.get"),
        ("repeated_page", ProviderError, "the same page again and again"),
    ],
)
def test_what_does_not_pass_is_told_and_gives_nothing(
    gcp: Gcp, kind: str, error: type[ProviderError], says: str
) -> None:
    """No part of a month is ever given, and no word of Google's error text."""
    gcp.fails(kind, "bigquery.jobs.get")
    with pytest.raises(error, match=says) as raised:
        days(gcp)
    assert "Quota exceeded" not in str(raised.value)
    assert "Backend Error" not in str(raised.value)


def test_an_answer_that_got_lost_does_not_pay_for_the_query_twice(gcp: Gcp) -> None:
    """The question has an id of its own: asked again after a timeout, BigQuery gives the same job."""
    whole = days(gcp)
    gcp.cloud.cloud.bigquery.jobs.clear()
    # The price and the query itself: both are done, but their answers get lost.
    gcp.fails("timeout_after_success", "bigquery.jobs.create", times=2, seconds=0.5)
    assert days(gcp) == whole
    assert len(gcp.cloud.cloud.bigquery.jobs) == 1


def test_fewer_rows_than_announced_are_not_used(gcp: Gcp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that ends early is no list."""
    from sandbox.clouds.gcp_bigquery import BigQuery

    whole = BigQuery._answer

    def shortened(self: BigQuery, *asked: Any) -> dict[str, Any]:
        told = whole(self, *asked)
        return told | {"totalRows": "99999"} if "totalRows" in told else told

    monkeypatch.setattr(BigQuery, "_answer", shortened)
    with pytest.raises(TransientError, match="told 99999 rows but gave"):
        days(gcp)


def test_a_query_that_never_ends_is_given_up(gcp: Gcp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting is bounded; a query that failed is not waited for at all."""
    from sandbox.clouds.gcp_bigquery import BigQuery

    monkeypatch.setattr("tools.providers.gcp.bigquery.MOST_WAITS", 3)
    job = {"projectId": BILLING_PROJECT, "jobId": "job_1"}
    monkeypatch.setattr(BigQuery, "_answer", lambda *_: {"jobReference": job, "jobComplete": False})
    monkeypatch.setattr(BigQuery, "results", lambda *_: {"jobReference": job, "jobComplete": False})
    with pytest.raises(TransientError, match="did not finish"):
        days(gcp)
    failed = {"jobReference": job, "jobComplete": False, "errors": [{"reason": "invalidQuery"}]}
    monkeypatch.setattr(BigQuery, "_answer", lambda *_: failed)
    with pytest.raises(ProviderError, match="could not do it"):
        days(gcp)
    monkeypatch.setattr(BigQuery, "_answer", lambda *_: {"jobComplete": False})
    with pytest.raises(ProviderError, match="not known"):
        days(gcp)


def test_a_table_that_is_no_billing_export_is_refused_by_name(gcp: Gcp) -> None:
    """What it lacks is said; a table that does not exist, and a name that is none, too."""
    name = TableName.of("lumen-analytics.other.numbers")
    with pytest.raises(ProviderError, match="it has no column billing_account_id, cost"):
        Export(name, {"a": "STRING"}, "", "EU").check()
    with pytest.raises(ProviderError, match="no column BillingAccountId"):
        Export(name, {"BilledCost": "NUMERIC"}, "", "EU").check()
    with pytest.raises(SettingsError, match="not the name of a BigQuery table"):
        TableName.of("billing`; DROP TABLE x")
    (access,) = gcp.billing(gcp_billing_table="lumen-analytics.billing_export.nothing").check_access()
    assert not access.ok
    assert "does not know" in access.problem
    with pytest.raises(SettingsError, match="not connected"):
        gcp.billing(gcp_billing_table="")


NATIVE = dict.fromkeys(("billing_account_id", "cost", "cost_type", "credits", "currency", "export_time", "invoice", "project", "service", "sku", "usage", "usage_start_time"), "STRING")  # fmt: skip
FOCUS = dict.fromkeys(
    ("BilledCost", "EffectiveCost", "ListCost", "BillingAccountId", "BillingPeriodStart", "ChargePeriodStart",
     "ChargeCategory", "ServiceProviderName", "ListUnitPrice", "Tags"), "STRING",
)  # fmt: skip


def every_statement() -> list[Statement]:
    name = TableName.of(BILLING_TABLE)
    shapes = [
        NATIVE,
        NATIVE | {"resource": "RECORD", "cost_at_list": "FLOAT"},
        FOCUS,
        FOCUS | {"Tags": "RECORD REPEATED"},
    ]
    found = []
    for columns in shapes:
        for partition in ("", "_PARTITIONTIME"):
            export = Export(name, columns, partition, "EU")
            export.check()
            found.append(statements.charges(export, "O'Neill`", OCTOBER))
            found.append(statements.accounts(export, date(2026, 11, 23)))
    return found


@pytest.mark.parametrize("number", range(16))
def test_every_statement_is_whole_and_holds_no_value(number: int) -> None:
    """Parameters are all used and all given, UNNEST is always aliased, money is never added as a float."""
    statement = every_statement()[number]
    sql = statement.sql
    assert set(re.findall(r"@(\w+)", sql)) <= set(statement.parameters)
    if "TRUE" not in sql:
        assert {"loaded_from", "loaded_before"} <= set(re.findall(r"@(\w+)", sql))
    assert "O'Neill" not in sql
    assert sql.count("(") == sql.count(")")
    assert sql.count("UNNEST(") == len(re.findall(r"UNNEST\(\w+\) AS \w\b", sql))
    assert not re.search(r"SUM\((?!CAST|cost\b|listed|quantity|amount)", sql)
    assert sql.count("`") == 2 * len(re.findall(r"`[a-z0-9-]+\.\w+\.\w+`", sql))
    if importlib.util.find_spec("sqlglot") is not None:
        importlib.import_module("sqlglot").parse_one(sql, read="bigquery")


CELLS: dict[str, str | None] = {
    "day": "2026-10-03", "currency": "EUR", "cost_type": "regular", "service": "Compute Engine", "service_id": "6F81",
    "sku": "N2 Instance Ram running in Belgium", "sku_id": "AA", "project": "p", "project_name": None,
    "project_labels": '[{"key":"team","value":"a"},{"key":"owner","value":"x"}]', "labels": '[{"key":"team","value":"b"}]',
    "region": "europe-west1", "zone": None, "resource": None, "resource_name": None, "unit": "gibibyte hour",
    "credit_type": None, "credit_name": None, "contracted": "10", "billed": "8.5000", "listed": None, "quantity": "1E+3",
}  # fmt: skip


def mapped(**changed: str | None) -> dict[str, str]:
    return mapping.native(CELLS | changed, "A-B-C", OCTOBER, estimated=False)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {"ChargeCategory": "Usage", "BilledCost": "8.5", "ContractedCost": "10", "ListCost": ""}),
        ({}, {"Tags": '{"team": "b", "owner": "x"}', "ConsumedQuantity": "1000", "SubAccountName": "p"}),
        ({"cost_type": "tax", "service": "Invoice"}, {"ChargeCategory": "Tax", "ServiceCategory": "Other"}),
        ({"cost_type": "adjustment"}, {"ChargeCategory": "Adjustment", "ChargeClass": "Correction"}),
        ({"cost_type": "rounding_error", "billed": "-0.01"}, {"ChargeCategory": "Adjustment", "BilledCost": "-0.01"}),
        ({"project": None}, {"SubAccountId": "(account level)", "SubAccountName": "(account level)"}),
        ({"credit_type": "PROMOTION"}, {"ChargeCategory": "Credit", "ChargeDescription": "PROMOTION"}),
        ({"sku": "Spot Preemptible N2 Instance Core running in X", "unit": "hour"}, {"PricingCategory": "Dynamic"}),
        ({"sku": "N2 Instance Core running in X", "unit": "hour"}, {"ConsumedUnit": "vCPU hour"}),
        ({"labels": '{"team": null}', "project_labels": "null"}, {"Tags": '{"team": ""}'}),
    ],
)
def test_googles_words_become_focus(changed: dict[str, str | None], expected: dict[str, str]) -> None:
    """Each kind of charge is told as what it is."""
    assert mapped(**changed).items() >= expected.items()


@pytest.mark.parametrize(
    "changed", [{"cost_type": "surprise"}, {"billed": "NaN"}, {"billed": "much"}, {"day": None}, {"labels": "{"}]
)
def test_what_is_not_known_is_never_guessed(changed: dict[str, str | None]) -> None:
    """A new kind of charge, an amount that is none: refused, naming the column."""
    with pytest.raises(ProviderError, match=f"in {next(iter(changed))} that is not known"):
        mapped(**changed)


def test_the_sentences_name_the_roles_that_are_shipped() -> None:
    """The role file grants exactly what the code asks for."""
    import yaml

    role = yaml.safe_load((Path(__file__).parents[2] / "deploy/gcp/billing-reader.yaml").read_text())
    assert role["includedPermissions"] == ["bigquery.jobs.create", "bigquery.tables.get", "bigquery.tables.getData"]


def test_a_moment_is_utc() -> None:
    """Partitions are cut at UTC midnight."""
    statement = statements.accounts(Export(TableName.of(BILLING_TABLE), NATIVE, "", ""), date(2026, 11, 23))
    assert datetime.fromisoformat(statement.parameters["loaded_from"][1]).tzinfo == UTC
