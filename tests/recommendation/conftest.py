"""A situation made by hand: what the rules see, without a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import NOW, TENANT
from tools.model.period import Period
from tools.model.query import Receipt
from tools.model.resource import Resource
from tools.recommendation.evidence import Situation
from tools.store.usage import Usage, UsageTable

PERIOD = Period(date(2026, 10, 22), date(2026, 11, 21))
RECEIPT = Receipt("SELECT 1", (), 720, NOW)
REGION = "eu-west-1"
ACCOUNT = "100000000002"


def resource(kind: str, id_: str, tags: Mapping[str, str] | None = None, **attributes: Any) -> Resource:
    known = dict(tags or {})
    return Resource(
        "AWS", ACCOUNT, REGION, kind, id_, known.get("Name", id_), tuple(known.items()), attributes, "f", NOW
    )


def group(size: int = 20, tags: Mapping[str, str] | None = None, **attributes: Any) -> Resource:
    """A stateless group that runs on demand, as inventory would show it."""
    known: dict[str, Any] = {
        "size": size,
        "on_demand_base": 0,
        "on_demand_percentage": 100,
        "counts": {"spot": 0, "on_demand": size},
        "instance_types": ["m5.2xlarge", "m5a.2xlarge"],
        "zones": ["eu-west-1a", "eu-west-1b"],
        "members": [f"i-{number}" for number in range(size)],
        "setting": {"launch_template": {"LaunchTemplateId": "lt-1", "Version": "1"}, "mixed_instances_policy": None},
    }
    return resource("instance_group", "checkout-workers", tags or {"service": "checkout"}, **(known | attributes))


def line(id_: str, cost: str, quantity: str = "720", **other: Any) -> Usage:
    """One resource's usage of the whole period, 30 days of 24 hours unless told."""
    return replace(
        Usage(
            resource_id=id_,
            resource_name=id_,
            sku_id="EU-BoxUsage:m5.2xlarge",
            provider="AWS",
            sub_account_id=ACCOUNT,
            service_name="Amazon Elastic Compute Cloud",
            region_id=REGION,
            charge_description="Linux m5.2xlarge on-demand instance hour",
            pricing="Standard",
            unit="Hours",
            currency="USD",
            cost=Decimal(cost),
            quantity=Decimal(quantity),
            days=30,
            rows=30,
        ),
        **other,
    )


def members(size: int = 20, hourly: str = "0.40", **other: Any) -> tuple[Usage, ...]:
    cost = Decimal(hourly) * 720
    return tuple(line(f"i-{number}", str(cost), **other) for number in range(size))


def days_ago(days: int) -> str:
    return (NOW - timedelta(days=days)).isoformat()


Situate = Callable[..., Situation]


@pytest.fixture
def situation() -> Situate:
    """Make a situation from resources and lines; everything else is empty unless given."""

    def make(*resources: Resource, lines: tuple[Usage, ...] = (), **other: Any) -> Situation:
        known: dict[str, Any] = {
            "tenant": TENANT,
            "now": NOW,
            "period": PERIOD,
            "resources": resources,
            "prices": (),
            "usage": UsageTable(lines, RECEIPT),
            "types": UsageTable((), RECEIPT),
            "storage": UsageTable((), RECEIPT),
            "compute": (),
            "compute_receipt": RECEIPT,
            "committed": {},
        }
        return Situation(**(known | other))

    return make
