"""Azure's costs: two queries joined to the cent, over all pages, throttled in every way, whole or not at all."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sandbox.clouds.azure import COSTS, PAYER
from sandbox.organisation import AZURE_BILLING_ACCOUNT
from tests.collection.bills import one_process
from tests.providers.conftest import RestSide
from tests.providers.test_azure import CORPORATE, PRODUCTION, hasty, settings
from tools.collection import billing as bills
from tools.model.errors import DeniedError, ProviderError, TransientError
from tools.model.load import LoadStatus
from tools.model.period import Period
from tools.providers import registry
from tools.providers.azure.billing import AzureBilling, query_body
from tools.store.database import Database

__all__ = ["one_process"]
OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
NOVEMBER = Period(date(2026, 11, 1), date(2026, 12, 1))
CENT = Decimal("0.01")


def billing(azure: RestSide, **more: Any) -> AzureBilling:
    (found,) = registry.billings(settings(azure, **more), now=azure.now)
    assert isinstance(found, AzureBilling)
    hasty(azure, found.connection)
    return found


def charged(azure: RestSide, period: Period = OCTOBER) -> list[dict[str, str]]:
    return [dict(row) for row in billing(azure).charges(AZURE_BILLING_ACCOUNT, period)]


def total(rows: list[dict[str, str]], column: str = "BilledCost") -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


def of_month(truth: dict[str, Any], month: str, column: str = "billed_cost") -> Decimal:
    return next(Decimal(t[column]) for t in truth["totals"] if (t["provider"], t["period"]) == ("azure", month))


def test_a_month_is_billed_and_effective_to_the_last_digit(azure: RestSide, short_truth: dict[str, Any]) -> None:
    """Actual and amortised cost of both subscriptions, in total and for each."""
    rows = charged(azure)
    assert total(rows) == of_month(short_truth, "2026-10")
    assert total(rows, "EffectiveCost") == of_month(short_truth, "2026-10", "effective_cost")
    for account in short_truth["accounts"]:
        if (account["provider"], account["period"]) == ("azure", "2026-10"):
            mine = [row for row in rows if row["SubAccountId"] == account["sub_account_id"]]
            assert total(mine) == Decimal(account["billed_cost"])
            assert {row["SubAccountName"] for row in mine} == {account["sub_account_name"]}
    assert azure.cloud.calls[COSTS] > 4


def test_rows_name_resources_as_the_inventory_does(azure: RestSide) -> None:
    """Bills write paths in lower case and regions in words; tags come from the resource itself."""
    rows = charged(azure)
    machine = next(row for row in rows if row["ResourceName"] == "erp-1")
    assert machine["ResourceId"].startswith(f"{CORPORATE}/resourceGroups/erp/")
    assert machine["RegionId"] == "westeurope"
    assert json.loads(machine["Tags"]) == {"Env": "corporate", "Service": "erp", "Team": "corporate-it"}
    assert (machine["ServiceName"], machine["ServiceCategory"]) == ("Virtual Machines", "Compute")
    assert (machine["PricingCategory"], machine["ChargeFrequency"]) == ("Standard", "Usage-Based")


def test_a_reservation_is_bought_used_and_in_part_unused(azure: RestSide) -> None:
    """What was paid once is spread over what it covered; the rest is waste with a name."""
    rows = [row for row in charged(azure) if row.get("CommitmentDiscountId")]
    bought = [row for row in rows if row["ChargeCategory"] == "Purchase"]
    used = [row for row in rows if row["CommitmentDiscountStatus"] == "Used"]
    unused = [row for row in rows if row["CommitmentDiscountStatus"] == "Unused"]
    assert total(bought) == total(used, "EffectiveCost") + total(unused, "EffectiveCost")
    assert total(used) == total(unused) == total(bought, "EffectiveCost") == 0
    assert {row["CommitmentDiscountType"] for row in rows} == {"Reservation"}
    assert {row["PricingCategory"] for row in used} == {"Committed"}


def test_the_open_month_ends_today_and_is_an_estimate(azure: RestSide, short_truth: dict[str, Any]) -> None:
    """Azure would move a question about the future; October was closed three weeks ago."""
    rows = charged(azure, NOVEMBER)
    assert total(rows) == of_month(short_truth, "2026-11")
    assert {row["x_Estimated"] for row in rows} == {"true"}
    assert {row["x_Estimated"] for row in charged(azure)} == {"false"}
    assert query_body(NOVEMBER, "ActualCost", date(2026, 11, 23))["timePeriod"]["to"] == "2026-11-23T23:59:59Z"


def test_months_are_collected_once_and_then_nothing_changes(
    azure: RestSide, short_truth: dict[str, Any], one_process: None, database: Database
) -> None:
    """All four months of the story stand in the database, and stay."""

    def collect() -> dict[str, tuple[LoadStatus, Decimal]]:
        (bill,) = bills.collect(
            database, "default", [billing(azure)], tag_keys=("team",), detail_months=2, now=azure.now
        )
        assert bill.access.ok, bill.access.problem
        return {
            f"{load.partition.billing_period:%Y-%m}": (load.status, load.totals[0].billed_cost)
            for load in bill.loads
            if load.partition is not None
        }

    first = collect()
    assert set(first) == {"2026-08", "2026-09", "2026-10", "2026-11"}
    assert all(amount == of_month(short_truth, month) for month, (_, amount) in first.items())
    assert {status for status, _ in collect().values()} == {LoadStatus.UNCHANGED}


def test_an_answer_that_breaks_off_is_asked_for_again(azure: RestSide, short_truth: dict[str, Any]) -> None:
    """The question only reads."""
    azure.fails("broken_answer", COSTS, times=1)
    assert total(charged(azure)) == of_month(short_truth, "2026-10")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("broken_answer", TransientError),
        ("absent", ProviderError),
    ],
)
def test_a_lasting_failure_ends_in_words_and_never_in_a_part(azure: RestSide, kind: str, error: type) -> None:
    """Pages that were read before it are not used."""
    azure.fails(kind, COSTS)
    with pytest.raises(error) as told:
        charged(azure)
    assert "Azure" in str(told.value)
    assert sum(azure.waits) < 60


def test_the_permission_is_named_although_cost_management_does_not(azure: RestSide) -> None:
    """Its refusal says "perform action" and no more; we know what we asked."""
    azure.fails("deny", COSTS)
    with pytest.raises(DeniedError) as denied:
        charged(azure)
    assert denied.value.permission == COSTS


def test_a_month_with_a_hole_is_not_stored_and_others_stay(
    azure: RestSide, one_process: None, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One subscription of two that is refused would look like a saving of half the bill."""
    monkeypatch.setattr("tools.collection.billing.HISTORY_MONTHS", 2)

    def collect() -> bills.Bill:
        (bill,) = bills.collect(database, "default", [billing(azure)], tag_keys=(), detail_months=2, now=azure.now)
        return bill

    assert collect().access.ok
    azure.fails("deny", f"POST {CORPORATE}/providers/Microsoft.CostManagement/query")
    broken = collect()
    assert (broken.access.ok, broken.access.missing, broken.loads) == (False, (COSTS,), ())
    assert "Nov 2026" in broken.access.problem
    azure.cloud.faults.clear()
    assert {load.status for load in collect().loads} == {LoadStatus.UNCHANGED}


def test_a_subscription_without_a_payer_stops_the_account_it_may_belong_to(azure: RestSide) -> None:
    """Nobody can say whose month would be incomplete, so both lines say why nothing is read."""
    azure.fails("deny", PAYER, times=1)
    account, refused = billing(azure).check_access()
    assert (account.account_id, account.identity) == (AZURE_BILLING_ACCOUNT, "")
    assert (refused.account_id, refused.missing) == (PRODUCTION, (PAYER,))
    assert "cannot be assigned" in account.problem


def test_bills_without_the_right_to_list_resources_come_without_tags(
    azure: RestSide, short_truth: dict[str, Any]
) -> None:
    """The money is all there."""
    azure.fails("deny", "Microsoft.Resources/subscriptions/resources/read")
    rows = charged(azure)
    assert total(rows) == of_month(short_truth, "2026-10")
    assert {row["Tags"] for row in rows} == {""}
    assert next(row for row in rows if row["ResourceName"] == "erp-1")["RegionId"] == "euwest"
