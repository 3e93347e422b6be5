"""The sandbox's Cost Explorer: what Amazon's would refuse, and that all ways to ask add up to the same."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sandbox.clouds.aws_costs import Costs, get_cost_and_usage
from sandbox.clouds.aws_wire import RefusedError
from sandbox.clouds.bills import Bills
from sandbox.organisation import AWS_DATA, AWS_PAYER
from sandbox.story.aws_lines import lines

OCTOBER = {"Start": "2026-10-01", "End": "2026-11-01"}


@pytest.fixture(scope="module")
def costs() -> Costs:
    return Costs(Bills(lines, 7, date(2026, 11, 23), 4))


def question(**more: Any) -> dict[str, Any]:
    return {"TimePeriod": OCTOBER, "Granularity": "MONTHLY", "Metrics": ["UnblendedCost"]} | more


def by(*keys: str) -> list[dict[str, str]]:
    return [{"Type": "DIMENSION", "Key": key} for key in keys]


def only(key: str, *values: str) -> dict[str, Any]:
    return {"Dimensions": {"Key": key, "Values": list(values)}}


def total(costs: Costs, account: str = AWS_PAYER, **more: Any) -> Decimal:
    """All pages of an answer, added up."""
    found, token = Decimal(0), None
    while True:
        page = get_cost_and_usage(costs, account, question(**more) | ({"NextPageToken": token} if token else {}))
        for result in page["ResultsByTime"]:
            groups = [group["Metrics"] for group in result["Groups"]] or ([result["Total"]] if result["Total"] else [])
            found += sum((Decimal(g["UnblendedCost"]["Amount"]) for g in groups), Decimal(0))
        token = page.get("NextPageToken")
        if not token:
            return found


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"GroupBy": by("SERVICE", "REGION", "OPERATION")}, "ValidationException"),
        ({"GroupBy": by("COLOUR")}, "ValidationException"),
        ({"Metrics": []}, "ValidationException"),
        ({"Metrics": ["Cost"]}, "ValidationException"),
        ({"Granularity": "WEEKLY"}, "ValidationException"),
        ({"TimePeriod": {"Start": "2026-10-01"}}, "ValidationException"),
        ({"TimePeriod": {"Start": "2026-11-01", "End": "2026-10-01"}}, "ValidationException"),
        ({"TimePeriod": {"Start": "2024-01-01", "End": "2026-10-01"}}, "ValidationException"),
        ({"TimePeriod": {"Start": "2026-11-01", "End": "2027-02-01"}}, "ValidationException"),
        ({"Filter": only("COLOUR", "red")}, "ValidationException"),
        ({"Filter": only("SERVICE")}, "ValidationException"),
        ({"Filter": {"And": [only("SERVICE", "AWS Glue")]}}, "ValidationException"),
        ({"Filter": only("SERVICE", "AWS Glue") | only("REGION", "x") | {"Not": {}}}, "ValidationException"),
        ({"NextPageToken": "nonsense"}, "InvalidNextTokenException"),
    ],
)
def test_what_amazon_would_refuse_is_refused(costs: Costs, more: dict[str, Any], code: str) -> None:
    """A wrong question must not pass here and fail there."""
    with pytest.raises(RefusedError) as refused:
        get_cost_and_usage(costs, AWS_PAYER, question(**more))
    assert refused.value.code == code


def test_every_way_to_ask_adds_up_to_the_same(costs: Costs) -> None:
    """Grouped or not, by day or month, filtered in two halves, page by page."""
    whole = total(costs)
    for more in (
        {"GroupBy": by("SERVICE")},
        {"GroupBy": by("LINKED_ACCOUNT", "USAGE_TYPE"), "Granularity": "DAILY"},
        {"GroupBy": by("RECORD_TYPE", "REGION")},
    ):
        assert abs(total(costs, **more) - whole) < Decimal("0.0001")
    s3 = only("SERVICE", "Amazon Simple Storage Service")
    assert abs(total(costs, Filter=s3) + total(costs, Filter={"Not": s3}) - whole) < Decimal("0.0001")
    tax, glue = only("RECORD_TYPE", "Tax"), only("SERVICE", "AWS Glue")
    assert total(costs, Filter={"Or": [tax, glue]}) == total(costs, Filter=tax) + total(costs, Filter=glue)
    assert total(costs, Filter={"And": [tax, glue]}) == 0


def test_a_member_sees_itself_only(costs: Costs) -> None:
    """The paying account sees everybody's."""
    mine = total(costs, AWS_DATA)
    assert mine == total(costs, Filter=only("LINKED_ACCOUNT", AWS_DATA))
    assert 0 < mine < total(costs)


def test_what_is_covered_is_billed_and_taken_back(costs: Costs) -> None:
    """Two lines that add up to nothing, as on Amazon's own bill."""
    covered = total(costs, Filter=only("RECORD_TYPE", "SavingsPlanCoveredUsage"))
    assert covered > 0
    assert covered + total(costs, Filter=only("RECORD_TYPE", "SavingsPlanNegation")) == 0
