"""Which groups should move to spot, and what that would save."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import NOW
from tests.recommendation.conftest import RECEIPT, REGION, Situate, group, line, members
from tools.model.price import Price
from tools.recommendation import validation
from tools.recommendation.rules import spot
from tools.store.usage import UsageTable


def seen(sku: str, low: str, usual: str, high: str, currency: str = "USD") -> Price:
    return Price(
        "AWS",
        REGION,
        sku,
        "spot",
        "hour",
        Decimal(low),
        Decimal(usual),
        Decimal(high),
        currency,
        NOW,
        f"history of {sku}",
    )


HISTORY = (seen("m5.2xlarge", "0.14", "0.16", "0.18"), seen("m5a.2xlarge", "0.12", "0.14", "0.16"))


def test_twenty_on_demand_instances_with_a_known_spot_price(situation: Situate) -> None:
    """20 x 730 hours at 0.40 less spot at 0.15 on average, five percent lost to interruptions."""
    (found,) = spot.find(situation(group(), lines=members(), prices=HISTORY))
    assert found.title == "Move checkout-workers (20 instances) to spot capacity"
    assert found.saving_expected == Decimal("3467.50")
    # The cautious end: a quarter above the highest price seen; the hopeful one: the lowest.
    assert (found.saving_low, found.saving_high) == (Decimal("2555.00"), Decimal("4088.00"))
    assert found.parameters == {
        "change": "aws.asg_spot",
        "resource_kind": "instance_group",
        "resource_id": "checkout-workers",
        "affected_monthly": "5840",
    }
    assert (found.risk, found.reversible, found.service, found.blocked_by) == ("R1", True, "checkout", ())
    assert found.price_source == "history of m5.2xlarge; history of m5a.2xlarge"
    assert found.evidence[0].value == "0.4000 USD per instance hour, 5,840.00 USD a month"
    assert found.evidence[0].receipt == RECEIPT
    assert validation.problems(found) == ()


def test_the_same_group_has_the_same_id_tomorrow(situation: Situate) -> None:
    """A card, a rollout and the next run speak of the same recommendation."""
    first, second = (next(spot.find(situation(group(), lines=members(hourly=h)))) for h in ("0.40", "0.41"))
    assert first.id == second.id
    assert first.saving_expected != second.saving_expected


def test_without_a_price_history_the_bills_own_spot_usage_tells(situation: Situate) -> None:
    """What this customer paid for spot of the same type in the same region counts more than a rule of thumb."""
    own = line("", "72", pricing="Dynamic", sku_id="EU-SpotUsage:m5.2xlarge")
    elsewhere = line("", "7.2", pricing="Dynamic", sku_id="EU-SpotUsage:m5.2xlarge", region_id="us-east-1")
    (found,) = spot.find(situation(group(), lines=members(), types=UsageTable((own, elsewhere), RECEIPT)))
    assert found.price_source == "the bill: spot usage of the same instance types"
    assert found.saving_expected == Decimal("4161.00")


@pytest.mark.parametrize("prices", [(), (seen("m5.2xlarge", "0.1", "0.1", "0.1", "EUR"),)])
def test_with_nothing_known_a_rule_of_thumb_says_so(situation: Situate, prices: tuple[Price, ...]) -> None:
    """A price in another currency is no price; the source says that it is a rule of thumb."""
    (found,) = spot.find(situation(group(), lines=members(), prices=prices))
    assert found.price_source.startswith("rule of thumb")
    assert found.confidence == Decimal("0.6")


def test_spot_that_costs_more_than_on_demand_is_no_saving(situation: Situate) -> None:
    """A rule may compute it, but nobody is shown a saving of nothing."""
    dear = (seen("m5.2xlarge", "0.5", "0.6", "0.7"),)
    (found,) = spot.find(situation(group(), lines=members(), prices=dear))
    assert "it would save nothing" in validation.problems(found)


def test_hours_that_a_commitment_pays_for_save_nothing(situation: Situate) -> None:
    """Half the hours are covered: half the saving, and the card says why."""
    covered = tuple(line(f"i-{n}", "200", pricing="Committed") for n in range(10))
    (found,) = spot.find(situation(group(), lines=(*members(10), *covered), prices=HISTORY))
    assert found.parameters["affected_monthly"] == "2920"
    assert "50 % of its hours" in " ".join(e.value for e in found.evidence)


def test_a_group_whose_instances_are_too_new_for_the_bill_is_priced_by_its_type(situation: Situate) -> None:
    """Instances come and go; their type costs the same."""
    known = UsageTable((line("", "288"),), RECEIPT)
    (found,) = spot.find(situation(group(), lines=(), types=known, prices=HISTORY))
    assert found.saving_expected == Decimal("3467.50")


def test_what_the_bill_does_not_price_is_not_recommended(situation: Situate) -> None:
    """Unknown is not free."""
    assert list(spot.find(situation(group(), prices=HISTORY))) == []
    by_request = members(unit="Requests")
    assert list(spot.find(situation(group(), lines=by_request, prices=HISTORY))) == []


def test_one_instance_type_is_a_greater_risk(situation: Situate) -> None:
    """One pool per zone can run dry: less sure, and the evidence says what would help."""
    (found,) = spot.find(situation(group(instance_types=["m5.2xlarge"]), lines=members(), prices=HISTORY))
    assert found.confidence == Decimal("0.7")
    assert any("more instance types" in e.source for e in found.evidence)


@pytest.mark.parametrize(
    "changed",
    [
        {"tags": {"service": "checkout", "optiinfra:exclude": "true"}},
        {"tags": {"service": "checkout", "stateful": ""}, "size": 1},
        {"tags": {"service": "checkout", "stateful": "yes"}},
        {"size": 1},
        {"on_demand_percentage": 50},
        {"counts": {"spot": 3, "on_demand": 17}},
    ],
)
def test_a_group_that_should_stay_is_left_alone(situation: Situate, changed: dict[str, Any]) -> None:
    """Excluded, stateful, single or already on spot: no recommendation at all."""
    assert list(spot.find(situation(group(**changed), lines=members(), prices=HISTORY))) == []


def test_exclude_false_means_included(situation: Situate) -> None:
    """A tag that says no is no."""
    kept = group(tags={"service": "checkout", "optiinfra:exclude": "false", "stateful": "no"})
    assert len(list(spot.find(situation(kept, lines=members(), prices=HISTORY)))) == 1


def test_what_forbids_the_move_now_is_said_with_the_saving(situation: Situate) -> None:
    """The saving is real, and so is the obstacle: both are shown, and it cannot be proposed."""
    blocked = group(tags={"team": "checkout"}, suspended=["Terminate"])
    (found,) = spot.find(situation(blocked, lines=members(), prices=HISTORY))
    assert any("suspended (Terminate)" in reason for reason in found.blocked_by)
    assert any("no tag service" in reason for reason in found.blocked_by)


def test_a_cloud_without_an_executable_change_gives_advice(situation: Situate) -> None:
    """The saving is told; people carry it out."""
    from dataclasses import replace

    elsewhere = replace(group(), provider="Oracle")
    (found,) = spot.find(situation(elsewhere, lines=members()))
    assert found.parameters["change"] == ""
    assert found.blocked_by
    assert validation.problems(found) == ()
