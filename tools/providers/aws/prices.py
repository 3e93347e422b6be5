"""Prices: what spot capacity cost lately, where AWS tells something usable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.model.price import Price
from tools.providers.aws.connection import PROVIDER
from tools.providers.aws.refusals import our_words

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.literals import InstanceTypeType

DAYS = 7
LINUX = "Linux/UNIX"
# AWS never sells an instance hour for less than this; what is below is no price.
_LEAST = Decimal("0.0005")


def spot_prices(client: EC2Client, region: str, skus: Sequence[str], now: datetime) -> list[Price]:
    """One Price per instance type with a usable history of the last week: all zones, Linux."""
    seen: dict[str, list[tuple[datetime, Decimal]]] = {}
    with our_words(f"reading spot prices in {region}"):
        pages = client.get_paginator("describe_spot_price_history").paginate(
            InstanceTypes=_types(skus),
            ProductDescriptions=[LINUX],
            StartTime=now - timedelta(days=DAYS),
            EndTime=now,
        )
        for page in pages:
            for item in page["SpotPriceHistory"]:
                price = Decimal(item["SpotPrice"])
                # The price in force when the week began has an older timestamp; anything much older is no history.
                if price >= _LEAST and item["Timestamp"] >= now - timedelta(days=30):
                    seen.setdefault(item["InstanceType"], []).append((item["Timestamp"], price))
    return [_price(region, sku, [price for _, price in seen[sku]], now) for sku in skus if sku in seen]


def _price(region: str, sku: str, values: list[Decimal], now: datetime) -> Price:
    ordered = sorted(values)
    low, usual, high = (ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (10, 50, 90))
    return Price(
        PROVIDER,
        region,
        sku,
        "spot",
        "hour",
        low,
        usual,
        high,
        "USD",
        now,
        f"AWS spot price history of {sku} in {region}, last {DAYS} days, {len(values)} prices over all zones",
    )


def _types(skus: Sequence[str]) -> list[InstanceTypeType]:
    return list(skus)  # type: ignore[arg-type]  # AWS has more types than its stubs know
