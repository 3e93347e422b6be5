"""Things nobody uses, instances too large, storage too dear, and steady compute without a commitment."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.recommendation.conftest import RECEIPT, Situate, days_ago, line, resource
from tools.model.recommendation import Recommendation
from tools.model.resource import Resource
from tools.model.series import DailySeries
from tools.recommendation import validation
from tools.recommendation.rules import cleanup, commitments, idle, rightsizing, storage_class
from tools.store.usage import Usage, UsageTable


def month(id_: str, cost: str, **other: Any) -> Usage:
    """Storage of 30 days."""
    return line(
        id_, cost, "24.65", unit="GB-Mo", sku_id="EU-EBS:VolumeUsage.gp2", charge_description="storage", **other
    )


def volume(id_: str = "vol-1", tags: dict[str, str] | None = None, **changed: Any) -> Resource:
    known = {"attached": False, "state": "available", "gib": 1000, "created_at": days_ago(100)}
    return resource("volume", id_, tags, **(known | changed))


def instance(use: dict[str, float] | None, **changed: Any) -> Resource:
    known = {"state": "running", "instance_type": "m5.xlarge", "group": "", "volumes": ["vol-9"], "utilisation": use}
    return resource("instance", "i-1", {"Name": "legacy"}, **(known | changed))


QUIET = {"cpu_average": 0.8, "cpu_maximum": 2.1, "hours": 336, "days": 14}
HALF_BUSY = {"cpu_average": 12.0, "cpu_maximum": 35.0, "hours": 336, "days": 14}


def checked(found: Any) -> list[Recommendation]:
    found = list(found)
    assert [validation.problems(r) for r in found] == [()] * len(found)
    return found


def test_a_volume_that_nothing_uses_costs_what_the_bill_says(situation: Situate) -> None:
    """110 dollars of 30 days are 111.53 a month of 730 hours; a last snapshot takes part of it."""
    (found,) = checked(cleanup.find(situation(volume(), lines=(month("vol-1", "110"),))))
    assert found.title == "Delete volume vol-1 (1000 GiB, attached to nothing)"
    assert (found.saving_low, found.saving_expected, found.saving_high) == (
        Decimal("55.76"),
        Decimal("100.38"),
        Decimal("111.53"),
    )
    assert (found.risk, found.reversible) == ("R2", True)
    assert found.parameters["change"] == "aws.volume_delete"
    # Nothing is attached to it, so there is no health to watch and no service has to be named.
    assert found.blocked_by == ()


ARN = "arn:aws:elasticloadbalancing:eu-west-1:100000000002:loadbalancer/app/promo/9f2d7a11c0ffee00"


def test_a_load_balancer_with_nothing_behind_it_and_a_gateway_that_nothing_goes_through(situation: Situate) -> None:
    """What is in use stays, and so does a gateway of which nothing was measured: that is not zero."""
    forgotten = resource("load_balancer", ARN, targets=0, healthy=0, requests=None)
    used = resource("load_balancer", f"{ARN}1", targets=2, healthy=0, requests=0)
    asked = resource("load_balancer", f"{ARN}2", targets=0, healthy=0, requests=7)
    silent = resource("nat_gateway", "nat-1", bytes_out=0)
    unknown, busy = (resource("nat_gateway", f"nat-{n}", bytes_out=told) for n, told in ((2, None), (3, 9)))
    # The bill writes a gateway's full name.
    gateways = [f"arn:aws:ec2:eu-west-1:100000000002:natgateway/nat-{n}" for n in (1, 2, 3)]
    lines = tuple(month(name, "30") for name in (ARN, f"{ARN}1", f"{ARN}2", *gateways))
    found = checked(cleanup.find(situation(forgotten, used, asked, silent, unknown, busy, lines=lines)))
    assert [f.resource_ids for f in found] == [(ARN,), ("nat-1",)]
    assert {f.saving_expected for f in found} == {Decimal("30.42")}


@pytest.mark.parametrize(
    "kept",
    [
        volume(attached=True),
        volume(created_at=days_ago(3)),
        volume(created_at=""),
        volume(tags={"optiinfra:exclude": "yes"}),
        volume("vol-unbilled"),
    ],
)
def test_a_volume_in_use_young_of_unknown_age_excluded_or_not_on_the_bill_is_kept(
    situation: Situate, kept: Resource
) -> None:
    """Only what is proven unused and proven to cost something is named."""
    assert list(cleanup.find(situation(kept, lines=(month("vol-1", "110"),)))) == []


def test_old_snapshots_are_found_under_their_full_name_and_those_of_images_are_kept(situation: Situate) -> None:
    """A bill may name a snapshot by its ARN; a snapshot behind an image must stay."""
    old = resource("snapshot", "snap-1", created_at=days_ago(400), gib=800, images=[])
    used = resource("snapshot", "snap-2", created_at=days_ago(400), gib=800, images=["ami-1"])
    wanted = resource("snapshot", "snap-3", {"keep": "audit"}, created_at=days_ago(400), images=[])
    fresh = resource("snapshot", "snap-4", created_at=days_ago(10), images=[])
    arn = "arn:aws:ec2:eu-west-1::snapshot/snap-1"
    lines = (month(arn, "40"), month("snap-2", "40"), month("snap-3", "40"), month("snap-4", "40"))
    (found,) = checked(cleanup.find(situation(old, used, wanted, fresh, lines=lines)))
    assert (found.resource_ids, found.reversible) == (("snap-1",), False)


def test_an_address_that_leads_nowhere(situation: Situate) -> None:
    """Idle addresses cost by the hour; one in use does not matter."""
    idle_one = resource("address", "eipalloc-1", attached=False, ip="198.51.100.12")
    busy = resource("address", "eipalloc-2", attached=True, ip="198.51.100.13")
    lines = (line("eipalloc-1", "3.6"), line("eipalloc-2", "3.6"))
    (found,) = checked(cleanup.find(situation(idle_one, busy, lines=lines)))
    assert found.saving_expected == Decimal("3.65")


def test_amounts_in_two_currencies_are_no_amount(situation: Situate) -> None:
    """Nothing is added up across currencies, so nothing is claimed."""
    lines = (month("vol-1", "10"), month("vol-1", "10", currency="EUR"))
    assert list(cleanup.find(situation(volume(), lines=lines))) == []


def test_something_younger_than_the_month_is_judged_by_its_own_days(situation: Situate) -> None:
    """Ten days at one dollar a day are about thirty dollars a month."""
    (found,) = cleanup.find(situation(volume(), lines=(month("vol-1", "10", days=10),)))
    assert found.saving_high == Decimal("30.42")


def test_an_instance_that_metrics_prove_idle(situation: Situate) -> None:
    """Never above five percent in two weeks of hours."""
    (found,) = checked(idle.find(situation(instance(QUIET), lines=(line("i-1", "154"),))))
    assert found.title == "Stop legacy (m5.xlarge, never above 2.1 % CPU)"
    assert "over 336 hours" in found.evidence[1].value


@pytest.mark.parametrize(
    "kept",
    [
        instance(None),
        instance(QUIET | {"hours": 20}),
        instance(QUIET | {"cpu_maximum": 9.0}),
        instance(QUIET, group="checkout-workers"),
        instance(QUIET, state="pending"),
    ],
)
def test_no_data_too_little_data_or_real_use_is_never_idle(situation: Situate, kept: Resource) -> None:
    """Unknown is not idle, and what a group runs is the group's matter."""
    assert list(idle.find(situation(kept, lines=(line("i-1", "154"),)))) == []


def test_a_machine_stopped_for_long_goes_on_costing_through_its_disks(situation: Situate) -> None:
    """The bill of its volumes is the saving."""
    stopped = instance(None, state="stopped", stopped_since=days_ago(90))
    (found,) = checked(idle.find(situation(stopped, lines=(month("vol-9", "20"),))))
    assert found.resource_ids == ("i-1", "vol-9")
    assert found.title == "Remove legacy, stopped for 90 days, with its 1 volumes"


@pytest.mark.parametrize("since", [days_ago(5), ""])
def test_a_machine_stopped_lately_or_who_knows_when_is_kept(situation: Situate, since: str) -> None:
    """It may be started again tomorrow."""
    stopped = instance(None, state="stopped", stopped_since=since)
    assert list(idle.find(situation(stopped, lines=(month("vol-9", "20"),)))) == []


def test_a_half_busy_instance_fits_the_next_smaller_size_if_its_owner_agrees(situation: Situate) -> None:
    """CPU is measured, memory is not, and whoever approves is told so; without a service nobody could watch it."""
    (found,) = checked(rightsizing.find(situation(instance(HALF_BUSY), lines=(line("i-1", "150"),))))
    assert found.title == "Make legacy smaller: m5.xlarge to m5.large"
    assert found.parameters["change"] == "aws.instance_resize:m5.large"
    assert [e.value for e in found.evidence if e.label == "Memory"] == [rightsizing.MEMORY_UNKNOWN]
    assert found.blocked_by == ("legacy has no tag service, so nobody could watch its health during the move.",)


@pytest.mark.parametrize(
    ("provider", "now", "smaller"),
    [
        ("AWS", "c6g.4xlarge", "c6g.2xlarge"),
        ("AWS", "m5.metal", ""),
        ("Google Cloud", "n2-standard-8", "n2-standard-4"),
        ("Google Cloud", "e2-highmem-4", "e2-highmem-2"),
        ("Google Cloud", "e2-standard-2", ""),
        ("Google Cloud", "e2-medium", ""),
        ("Google Cloud", "c3-standard-22", ""),
        ("Google Cloud", "n2-custom-8-16384", ""),
        ("Microsoft", "Standard_D4s_v5", "Standard_D2s_v5"),
        ("Microsoft", "Standard_E16ads_v5", "Standard_E8ads_v5"),
        ("Microsoft", "Standard_F4s_v2", "Standard_F2s_v2"),
        ("Microsoft", "Standard_D2s_v5", ""),
        ("Microsoft", "Standard_B4ms", ""),
        ("Microsoft", "Standard_NC6s_v3", ""),
        ("Vultr", "vc2-4c-8gb", ""),
    ],
)
def test_only_what_is_known_to_be_exactly_half_is_the_next_smaller_size(provider: str, now: str, smaller: str) -> None:
    """Odd steps, burstable, custom and special machines have no half that the bill's price could be halved for."""
    assert rightsizing.next_smaller(provider, now) == smaller


@pytest.mark.parametrize(
    "kept",
    [
        instance(None),
        instance(QUIET),
        instance(HALF_BUSY | {"cpu_maximum": 70.0}),
        instance(HALF_BUSY, state="stopped"),
        instance(HALF_BUSY, instance_type="m5.large"),
        instance(HALF_BUSY, instance_type="metal"),
        instance(HALF_BUSY, group="g"),
    ],
)
def test_no_smaller_size_without_real_evidence(situation: Situate, kept: Resource) -> None:
    """No metrics, idle, busy, stopped, smallest, odd, or in a group: nothing."""
    assert list(rightsizing.find(situation(kept, lines=(line("i-1", "150"),)))) == []


def test_a_covered_instance_saves_nothing_by_being_smaller(situation: Situate) -> None:
    """The commitment would be paid all the same."""
    covered = (line("i-1", "150", pricing="Committed"),)
    assert list(rightsizing.find(situation(instance(HALF_BUSY), lines=covered))) == []


def bucket(id_: str, cost: str, description: str, **other: Any) -> Usage:
    known = {"unit": "GB-Mo", "sku_id": "X", "service_name": "Amazon Simple Storage Service"}
    return line(id_, cost, **(known | {"charge_description": description} | other))


def test_standard_storage_worth_the_trouble(situation: Situate) -> None:
    """Requests, colder classes, small buckets and nameless storage are not counted."""
    storage = UsageTable(
        (
            bucket("logs", "1000", "S3 Standard storage per GB-month"),
            bucket("logs", "500", "PUT, COPY, POST and LIST requests"),
            bucket("cold", "1000", "S3 Standard - Infrequent Access", sku_id="EU-TimedStorage-SIA-ByteHrs"),
            bucket("small", "10", "S3 Standard storage per GB-month"),
            bucket("", "900", "S3 Standard storage per GB-month"),
            bucket("exports", "900", "Standard Storage Belgium", provider="Google Cloud"),
            bucket("files", "900", "Hot LRS Data Stored", provider="Some Cloud"),
        ),
        RECEIPT,
    )
    found = checked(storage_class.find(situation(storage=storage)))
    assert [r.resource_ids[0] for r in found] == ["logs", "exports", "files"]
    assert "Intelligent-Tiering" in found[0].title
    assert "Nearline" in found[1].title
    # What inventory did not see cannot be planned for.
    assert {r.parameters["change"] for r in found} == {""}
    assert found[0].saving_expected == Decimal("182.50")
    assert not found[0].reversible
    assert "rule of thumb" in found[0].evidence[1].source


def test_a_bucket_of_the_inventory_can_be_given_a_rule(situation: Situate) -> None:
    """The bill's full name is the inventory's short one; nobody's requests change, so no service has to be named."""
    storage = UsageTable((bucket("arn:aws:s3:::logs", "1000", "S3 Standard storage per GB-month"),), RECEIPT)
    (found,) = checked(storage_class.find(situation(resource("bucket", "logs"), storage=storage)))
    assert found.resource_ids == ("logs",)
    assert found.parameters["change"] == "aws.s3_lifecycle:INTELLIGENT_TIERING@0"
    assert found.blocked_by == ()
    assert found.risk == "R2", "moved objects stay where they are: two people decide"


def compute(provider: str = "AWS", pricing: str = "Standard", days: int = 60, value: str = "100") -> DailySeries:
    keys = (("provider", provider), ("pricing_category", pricing))
    return DailySeries(keys, date(2026, 9, 22), (Decimal(value),) * days, "USD")


def test_steady_compute_could_be_committed_to_by_people(situation: Situate) -> None:
    """100 a day, 80 percent of it for a year; never bought by the product."""
    (found,) = checked(commitments.find(situation(compute=(compute(),))))
    assert found.saving_expected == Decimal("608.33")
    assert (found.risk, found.reversible) == ("R3", False)
    assert found.blocked_by[0] == commitments.IRREVERSIBLE


def test_the_discount_of_commitments_held_now_is_used(situation: Situate) -> None:
    """The customer's own terms are better evidence than a price list."""
    (found,) = commitments.find(situation(compute=(compute(),), committed={"AWS": (Decimal(70), Decimal(100))}))
    assert "30 % less than list" in found.price_source
    assert found.saving_high == Decimal("730.00")


def test_compute_that_others_would_move_is_not_committed_to_as_well(situation: Situate) -> None:
    """The same dollar is saved once; what stays is too little to commit to."""
    from tests.recommendation.conftest import group, members
    from tools.recommendation.rules import spot

    (move,) = spot.find(situation(group(8), lines=members(8)))
    (found,) = commitments.find(situation(compute=(compute(),)), [move])
    assert found.parameters["affected_monthly"] == "564.53"
    assert any(e.label == "Not counted twice" for e in found.evidence)
    assert list(commitments.find(situation(compute=(compute(value="80"),)), [move])) == []


@pytest.mark.parametrize(
    "series",
    [compute("Vultr"), compute(pricing="Committed"), compute(days=20), compute(value="5")],
)
def test_nothing_to_commit_to(situation: Situate, series: DailySeries) -> None:
    """No such product, covered already, too little history, or too little money."""
    assert list(commitments.find(situation(compute=(series,)))) == []


def test_spikes_are_not_steady() -> None:
    """The floor is what nine days of ten reach."""
    values = (Decimal(10),) * 50 + (Decimal(500),) * 10
    assert commitments.floor(DailySeries((), date(2026, 9, 1), values, "USD")) == Decimal(10)
