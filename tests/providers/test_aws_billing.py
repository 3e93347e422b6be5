"""AWS's costs through Cost Explorer: to the cent over all pages, never dearer than allowed, whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.clouds.aws import Aws as Cloud
from sandbox.clouds.bills import Bills
from sandbox.faults import fault_of
from sandbox.organisation import AWS_DATA, AWS_PAYER, AWS_PRODUCTION
from sandbox.story.aws_lines import lines
from tests.collection.bills import bill, one_process, read
from tools.collection import billing as bills
from tools.model.errors import DeniedError, ProviderError, QuotaExceededError, ThrottledError, TransientError
from tools.model.load import LoadStatus
from tools.model.period import Period
from tools.providers import registry
from tools.providers.aws.billing import AwsBilling
from tools.providers.aws.explorer import METRICS, Told, told
from tools.providers.aws.flat import connection
from tools.providers.aws.mapping import Bill, Part, has_net, kind_of, rows
from tools.settings import Settings
from tools.store.database import Database
from tools.store.paid_requests import StoredPaidRequests

__all__ = ["one_process"]
AUGUST = Period(date(2026, 8, 1), date(2026, 9, 1))
OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
NOVEMBER = Period(date(2026, 11, 1), date(2026, 12, 1))
CENT = Decimal("0.01")
COSTS = "ce:GetCostAndUsage"


@dataclass
class CostSide:
    """What a test does on the side of the sandbox's AWS."""

    url: str
    cloud: Cloud
    moment: datetime = datetime(2026, 11, 23, 9, tzinfo=UTC)
    settings: dict[str, Any] = field(default_factory=dict)

    def now(self) -> datetime:
        return self.moment

    def fails(self, kind: str, action: str = COSTS, times: int | None = None, **more: object) -> None:
        self.cloud.faults.add(fault_of({"kind": kind, "action": action, "times": times, **more}))

    @property
    def asked(self) -> int:
        """How many requests were paid so far."""
        return self.cloud.calls.get(COSTS, 0)


@pytest.fixture(scope="session")
def aws_bills() -> Iterator[CostSide]:
    """The sandbox's AWS as far as its bills go: four months of them, on a loopback port."""
    from sandbox.clouds import aws as fake
    from sandbox.clouds import aws_acting, aws_moto
    from sandbox.clouds.aws_groups import GroupKeeper
    from sandbox.clouds.aws_told import Told
    from sandbox.serving import listen, url_of

    listener, stop = listen(), threading.Event()
    told = Told(Bills(lines, 7, date(2026, 11, 23), 4))
    keeper = GroupKeeper(list, 1.0)
    cloud = Cloud(aws_moto.load(), keeper, told, aws_acting.Acts(keeper, lambda: datetime.now(UTC)), fills=False)
    thread = threading.Thread(target=fake.serve, args=(listener, cloud, stop), daemon=True)
    thread.start()
    yield CostSide(url_of(listener), cloud)
    stop.set()
    thread.join(10)
    listener.close()


@pytest.fixture
def aws(aws_bills: CostSide, monkeypatch: pytest.MonkeyPatch) -> CostSide:
    """The same, with nothing wrong with it, and a client that does not really wait."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    monkeypatch.setattr("tools.providers.aws.connection.READ_SECONDS", 2)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    monkeypatch.setattr("botocore.retries.bucket.TokenBucket.acquire", lambda *_, **__: True)
    aws_bills.cloud.faults.clear()
    aws_bills.cloud.calls.clear()
    if aws_bills.cloud.told.bills.restated:
        aws_bills.cloud.told.bills.restate(None)
    aws_bills.moment = datetime(2026, 11, 23, 9, tzinfo=UTC)
    return aws_bills


def settings(aws: CostSide, **more: Any) -> Settings:
    known: dict[str, Any] = {
        "aws_endpoint_url": aws.url,
        "aws_regions": ("eu-west-1",),
        "aws_reader_role": "optiinfra-reader",
        "aws_external_id": "lumen",
        "aws_cost_explorer_accounts": (AWS_PAYER,),
        "aws_cost_explorer_requests": 500,
    }
    return Settings(_env_file=None, **(known | more))


def billing(aws: CostSide, database: Database, **more: Any) -> AwsBilling:
    connection.cache_clear()
    (found,) = registry.billings(settings(aws, **more), now=aws.now, paid=StoredPaidRequests(database, "default"))
    assert isinstance(found, AwsBilling)
    return found


def charged(aws: CostSide, database: Database, period: Period = OCTOBER, **more: Any) -> list[dict[str, str]]:
    return [dict(row) for row in billing(aws, database, **more).charges(AWS_PAYER, period)]


def total(rows: list[dict[str, str]], column: str = "BilledCost") -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


def of_month(truth: dict[str, Any], month: str, column: str = "billed_cost") -> Decimal:
    return next(Decimal(t[column]) for t in truth["totals"] if (t["provider"], t["period"]) == ("aws", month))


def collect(aws: CostSide, database: Database, **more: Any) -> bills.Bill:
    (found,) = bills.collect(
        database, "default", [billing(aws, database, **more)], tag_keys=("team",), detail_months=2, now=aws.now
    )
    return found


def test_every_month_and_account_comes_to_the_cent_and_only_once(
    aws: CostSide, short_truth: dict[str, Any], one_process: None, database: Database
) -> None:
    """Billed and effective of four accounts over four months; a second collection asks nothing and changes nothing."""
    first = collect(aws, database)
    assert first.access.ok, first.access.problem
    months = {f"{load.partition.billing_period:%Y-%m}": load for load in first.loads if load.partition}
    assert set(months) == {"2026-08", "2026-09", "2026-10", "2026-11"}
    for month, load in months.items():
        assert (load.status, load.rejected) == (LoadStatus.LOADED, 0)
        assert abs(load.totals[0].billed_cost - of_month(short_truth, month)) < CENT
        assert abs(load.totals[0].effective_cost - of_month(short_truth, month, "effective_cost")) < CENT
        rows = charged(aws, database, next(p for p in bills.months(date(2026, 11, 23)) if f"{p.start:%Y-%m}" == month))
        for account in short_truth["accounts"]:
            if (account["provider"], account["period"]) == ("aws", month):
                mine = [row for row in rows if row["SubAccountId"] == account["sub_account_id"]]
                assert abs(total(mine) - Decimal(account["billed_cost"])) < CENT
                assert abs(total(mine, "EffectiveCost") - Decimal(account["effective_cost"])) < CENT
                assert {row["SubAccountName"] for row in mine} == {account["sub_account_name"]}
    paid = aws.asked
    assert paid > len(months) * 5
    again = collect(aws, database)
    assert {load.status for load in again.loads} == {LoadStatus.UNCHANGED}
    assert aws.asked == paid, "the same questions within eight hours were paid twice"


def test_an_earlier_month_that_amazon_corrects_is_read_again_and_its_difference_told(
    aws: CostSide, one_process: None, database: Database
) -> None:
    """One question about all months tells that August is another one now; only that month and the open ones are read."""
    collect(aws, database)
    before = total(charged(aws, database, AUGUST))
    aws.cloud.told.bills.restate(AUGUST.start)
    aws.moment += timedelta(hours=9)
    aws.cloud.calls.clear()
    again = collect(aws, database)
    replaced = [load for load in again.loads if load.status is LoadStatus.REPLACED]
    assert [load.partition and load.partition.billing_period for load in replaced] == [AUGUST.start]
    (difference,) = replaced[0].differences
    after = total(charged(aws, database, AUGUST))
    assert after < before
    assert abs(difference.billed_cost - (after - before)) < CENT
    aws.moment += timedelta(hours=9)
    assert {load.status for load in collect(aws, database).loads} == {LoadStatus.UNCHANGED}


def test_rows_speak_focus(aws: CostSide, database: Database) -> None:
    """What the savings plan covers is billed nothing; its fee is a purchase; tax, credit and refund are not usage."""
    rows = charged(aws, database)
    of_plan = [row for row in rows if row["CommitmentDiscountType"] == "Savings Plan"]
    used = [row for row in of_plan if row["CommitmentDiscountStatus"] == "Used"]
    unused = [row for row in of_plan if row["CommitmentDiscountStatus"] == "Unused"]
    bought = [row for row in of_plan if row["ChargeCategory"] == "Purchase"]
    assert total(used) == total(unused) == total(bought, "EffectiveCost") == 0
    assert abs(total(bought) - total(used, "EffectiveCost") - total(unused, "EffectiveCost")) < CENT
    assert {row["ServiceName"] for row in used} == {"Amazon Elastic Compute Cloud"}
    assert {row["PricingCategory"] for row in used} == {"Committed"}
    by_category = {row["ChargeCategory"] for row in rows}
    assert by_category == {"Usage", "Purchase", "Tax", "Credit"}
    assert {row["ServiceCategory"] for row in rows if row["ServiceName"] == "AWS Lambda"} == {"Compute"}
    assert {row["x_Estimated"] for row in rows} == {"false"}
    assert {row["x_Estimated"] for row in charged(aws, database, NOVEMBER)} == {"true"}
    assert {row["PricingCategory"] for row in rows} == {"", "Committed"}, "spot and on-demand are not told apart here"


@pytest.mark.parametrize(("split", "column"), [("region", "RegionId"), ("usage_type", "SkuId")])
def test_usage_is_split_further_for_a_request_more_per_account(
    aws: CostSide, database: Database, short_truth: dict[str, Any], split: str, column: str
) -> None:
    """The money stays the same to the cent; spot shows where usage types are told."""
    rows = charged(aws, database, aws_cost_explorer_split=split)
    assert abs(total(rows) - of_month(short_truth, "2026-10")) < CENT
    usage = [row for row in rows if row["ChargeDescription"].endswith(": Usage")]
    assert all(row.get(column) for row in usage)
    if split == "usage_type":
        spot = {row["SkuMeter"] for row in usage if row["PricingCategory"] == "Dynamic"}
        assert spot
        assert all("SpotUsage" in sku for sku in spot)


def test_no_more_is_paid_than_a_day_allows_and_the_next_day_goes_on(
    aws: CostSide, one_process: None, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal says what it would cost; what was read is stored, and answers that were paid are not paid again."""
    monkeypatch.setattr(bills, "HISTORY_MONTHS", 2)
    first = collect(aws, database, aws_cost_explorer_requests=12)
    assert aws.asked == 12
    assert [load.status for load in first.loads] == [LoadStatus.LOADED]
    assert not first.access.ok
    assert "Oct 2026 and what lies before was not read" in first.access.problem
    assert "12 requests that a day may cost (USD 0.12) are made" in first.access.problem
    assert "more (USD 0.0" in first.access.problem
    with pytest.raises(QuotaExceededError) as refused:
        charged(aws, database, OCTOBER, aws_cost_explorer_requests=12)
    assert "OPTIINFRA_AWS_COST_EXPLORER_REQUESTS" in refused.value.fix
    assert aws.asked == 12
    aws.moment += timedelta(days=1)
    last = collect(aws, database, aws_cost_explorer_requests=25)
    assert last.access.ok, last.access.problem


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("error", TransientError, "failure of its own"),
        ("cut", TransientError, "did not answer"),
        ("throttle", ThrottledError, "less often"),
        ("expired", DeniedError, "credentials"),
        ("clock_skew", DeniedError, "time of this machine"),
        ("deny", DeniedError, COSTS),
        ("repeated_page", ProviderError, "same page twice"),
        ("empty_page", ProviderError, "same page twice"),
    ],
)
def test_a_lasting_failure_ends_in_words_and_never_in_a_part(
    aws: CostSide, database: Database, kind: str, error: type, told: str
) -> None:
    """Pages that were read before it are not used, and it does not go on for ever."""
    aws.fails(kind)
    with pytest.raises(error) as raised:
        charged(aws, database)
    assert told in str(raised.value)
    assert "botocore" not in str(raised.value)
    assert aws.asked < 12


def test_a_failure_hides_nothing_that_stands(
    aws: CostSide, one_process: None, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stored months stay, and the missing permission is named."""
    monkeypatch.setattr(bills, "HISTORY_MONTHS", 2)
    collect(aws, database)
    aws.moment += timedelta(hours=9)
    aws.fails("deny")
    broken = collect(aws, database)
    assert (broken.access.ok, broken.access.missing, broken.loads) == (False, (COSTS,), ())
    aws.cloud.faults.clear()
    assert {load.status for load in collect(aws, database).loads} == {LoadStatus.UNCHANGED}


def test_a_month_that_changes_while_it_is_read_is_asked_again(
    aws: CostSide, database: Database, short_truth: dict[str, Any]
) -> None:
    """The kept total is of before the change: both are forgotten and asked once more, then they agree."""
    mine = billing(aws, database)
    before = total([dict(row) for row in mine.charges(AWS_PAYER, OCTOBER)])
    aws.cloud.told.bills.restate(AUGUST.start)
    rows = [dict(row) for row in mine.charges(AWS_PAYER, AUGUST)]
    aws.cloud.told.bills.restate(None)
    assert total(rows) < of_month(short_truth, "2026-08")
    assert total([dict(row) for row in mine.charges(AWS_PAYER, OCTOBER)]) == before


def test_only_who_pays_the_bill_is_asked(aws: CostSide, database: Database) -> None:
    """A member's cost is on the payer's bill already; a key of another account leads elsewhere."""
    member = billing(aws, database, aws_cost_explorer_accounts=(AWS_DATA,))
    (access,) = member.check_access()
    assert (access.ok, access.identity) == (False, "")
    assert access.problem == f"Account {AWS_DATA} does not pay its bill: {AWS_PAYER} does."
    astray = billing(aws, database, aws_reader_role="")
    (access,) = astray.check_access()
    assert access.problem == f"The credentials lead to account {AWS_PRODUCTION}."
    aws.fails("deny", "organizations:DescribeOrganization")
    (access,) = billing(aws, database).check_access()
    assert (access.identity, access.missing) == ("", ("organizations:DescribeOrganization",))
    assert aws.asked == 0, "looking whether it may be read must cost nothing"


def test_an_account_in_no_organisation_pays_itself(aws: CostSide, database: Database) -> None:
    """Most small accounts."""
    aws.cloud.told.organised = False
    try:
        (access,) = billing(aws, database, aws_cost_explorer_accounts=(AWS_DATA,)).check_access()
    finally:
        aws.cloud.told.organised = True
    assert access.ok, access.problem


def test_a_bill_that_lies_in_files_is_left_to_them(
    aws: CostSide, one_process: None, database: Database, tmp_path: Any
) -> None:
    """The same bill through two doors counts once, and nothing is paid for it."""
    loads = read(database, bill(tmp_path / "focus.csv", {"BillingAccountId": AWS_PAYER}))
    (left,) = bills.collect(
        database, "default", [billing(aws, database)], in_files=loads, tag_keys=(), detail_months=2, now=aws.now
    )
    assert (left.skipped, left.access.ok, aws.asked) == (True, True, 0)


def test_cost_explorer_is_never_asked_uncounted(aws: CostSide) -> None:
    """Nobody can forget the budget."""
    with pytest.raises(TypeError, match="counted"):
        registry.billings(settings(aws), now=aws.now)


@pytest.mark.parametrize(
    ("record", "category", "fee"),
    [
        ("Usage", "Usage", False),
        ("Savings Plan Covered Usage", "Usage", False),
        ("Upfront reservation fee", "Purchase", True),
        ("RIFee", "Purchase", True),
        ("Support", "Purchase", False),
        ("Enterprise Discount Program Discount", "Adjustment", False),
        ("Something that AWS will invent", "Adjustment", False),
    ],
)
def test_record_types_in_both_spellings(record: str, category: str, fee: bool) -> None:
    """What is neither usage, purchase, tax nor credit is an adjustment, as FOCUS has it; its money counts."""
    kind = kind_of(record)
    assert (kind.category, kind.fee) == (category, fee)


def part(record: str, unblended: str, amortised: str, net: str | None = None, service: str = "EC2 - Other") -> Part:
    told = Told(
        OCTOBER.start, (), Decimal(unblended), Decimal(amortised), None if net is None else Decimal(net), "USD", False
    )
    return Part(record, "1", service, "", told)


def test_what_is_not_taken_back_whole_is_not_lost() -> None:
    """Covered usage and its negation cancel out; what is left of them is told as an adjustment."""
    covered, negation = part("SavingsPlanCoveredUsage", "10", "7"), part("SavingsPlanNegation", "-9.5", "0.25")
    told = list(rows([covered, negation], Bill("1", OCTOBER, {})))
    assert [(r["ChargeCategory"], r["BilledCost"], r["EffectiveCost"]) for r in told] == [
        ("Usage", "0", "7"),
        ("Adjustment", "0.5", "0.25"),
    ]


def test_discounts_count_where_they_are_told() -> None:
    """Net amortised cost is effective cost; zeros everywhere mean that nobody told it."""
    with_discount, without = part("Usage", "10", "10", "8"), part("Usage", "10", "10", "0")
    assert has_net([with_discount.told])
    assert not has_net([without.told])
    assert not has_net([part("Usage", "10", "10").told])
    (row,) = rows([with_discount], Bill("1", OCTOBER, {}, net=True))
    assert (row["BilledCost"], row["EffectiveCost"]) == ("10", "8")
    (row,) = rows([without], Bill("1", OCTOBER, {}, net=has_net([without.told])))
    assert row["EffectiveCost"] == "10"


GROUP = {"Keys": ["a", "b"], "Metrics": {m: {"Amount": "1", "Unit": "USD"} for m in METRICS}}


@pytest.mark.parametrize(
    "changed",
    [
        {"Keys": ["a"]},
        {"Metrics": {}},
        {"Metrics": GROUP["Metrics"] | {"AmortizedCost": {"Amount": "1", "Unit": "EUR"}}},
        {"Metrics": {m: {"Amount": "NaN", "Unit": "USD"} for m in METRICS}},
        {"Metrics": {m: {"Amount": "much", "Unit": "USD"} for m in METRICS}},
    ],
)
def test_an_answer_that_is_not_as_described_is_not_used(changed: dict[str, Any]) -> None:
    """Two currencies in one group, a number that is none: nothing of it is guessed."""

    def page(group: dict[str, Any]) -> dict[str, Any]:
        period = {"Start": "2026-10-01", "End": "2026-10-02"}
        return {"ResultsByTime": [{"TimePeriod": period, "Groups": [group], "Estimated": False}]}

    assert len(told(page(GROUP), 2)) == 1
    with pytest.raises(ProviderError, match="not as AWS describes"):
        told(page(GROUP | changed), 2)


def test_a_total_that_its_parts_never_reach_is_told(
    aws: CostSide, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice asked, twice different: the month is not used."""
    monkeypatch.setattr("tools.providers.aws.billing.TOLERANCE", Decimal(-1))
    with pytest.raises(TransientError, match="do not add up"):
        charged(aws, database)
