"""Inventory, looks and prices as the database keeps them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.conftest import NOW, TENANT
from tools.model.price import Price
from tools.model.resource import Resource
from tools.store import resources
from tools.store.database import Database

LATER = NOW + timedelta(days=1)


def thing(id_: str, kind: str = "volume", account: str = "1", **attributes: object) -> Resource:
    tags = (("env", "production"), ("team", "search"))
    return Resource("AWS", account, "eu-west-1", kind, id_, f"name of {id_}", tags, attributes, "f" * 64, NOW)


@pytest.mark.stores
def test_an_account_is_replaced_whole_and_others_stay(database: Database) -> None:
    """What is not there any more is gone; other accounts, clouds and customers are untouched."""
    nested = thing("a", "instance_group", setting={"policy": None, "types": ["m5.large"]}, size=20, share=1.5)
    with database.begin() as tx:
        resources.replace(tx, TENANT, "AWS", "1", [nested, thing("b")], now=NOW)
        resources.replace(tx, TENANT, "AWS", "2", [thing("c", account="2")], now=NOW)
        resources.replace(tx, "other", "AWS", "1", [thing("d")], now=NOW)
        resources.replace(tx, TENANT, "AWS", "1", [nested], now=LATER)
    with database.read() as tx:
        assert resources.all_of(tx, TENANT) == (nested, thing("c", account="2"))
        assert resources.all_of(tx, TENANT, kind="volume") == (thing("c", account="2"),)
        assert resources.all_of(tx, TENANT, provider="Vultr") == ()
        assert resources.one(tx, TENANT, "AWS", "1", "eu-west-1", "instance_group", "a") == nested
        assert resources.one(tx, TENANT, "AWS", "1", "eu-west-1", "volume", "b") is None


@pytest.mark.stores
def test_a_failed_look_keeps_the_last_good_inventory_and_says_since_when(database: Database) -> None:
    """A failed read is never an empty one."""
    with database.begin() as tx:
        resources.replace(tx, TENANT, "AWS", "1", [thing("a")], now=NOW, missing=("cloudwatch:GetMetricData",))
        resources.failed(tx, TENANT, "AWS", "1", now=LATER, problem="denied", missing=("ec2:DescribeVolumes",))
        resources.failed(tx, TENANT, "AWS", "2", now=LATER, problem="throttled")
    with database.read() as tx:
        assert [r.id for r in resources.all_of(tx, TENANT)] == ["a"]
        first, second = resources.last_looks(tx, TENANT, "AWS")
        assert resources.last_looks(tx, TENANT, "Vultr") == ()
        assert resources.last_looks(tx, "other") == ()
    assert (first.ok, first.complete_at, first.tried_at) == (False, NOW, LATER)
    assert (first.problem, first.missing) == ("denied", ("ec2:DescribeVolumes",))
    assert (second.ok, second.complete_at) == (False, None)


@pytest.mark.stores
def test_the_newest_price_is_kept_exactly(database: Database) -> None:
    """Prices are decimals to the last digit."""
    old = Price(
        "AWS",
        "eu-west-1",
        "m5.large",
        "spot",
        "hour",
        Decimal("0.03"),
        Decimal("0.04"),
        Decimal("0.05"),
        "USD",
        NOW,
        "x",
    )
    new = Price(
        "AWS", "eu-west-1", "m5.large", "spot", "hour", Decimal("0.0301"), Decimal("0.0402"), Decimal("0.05"), "USD",
        LATER, "y",
    )  # fmt: skip
    with database.begin() as tx:
        resources.save_prices(tx, TENANT, [old])
        resources.save_prices(tx, TENANT, [new])
    with database.read() as tx:
        assert resources.all_prices(tx, TENANT) == (new,)
        assert resources.all_prices(tx, "other") == ()
