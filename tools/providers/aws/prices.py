"""Prices: what spot capacity cost lately, and what AWS's price list asks on demand for what an account has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from tools.model.errors import ProviderError
from tools.model.price import Price
from tools.model.resource import Resource
from tools.providers.aws.connection import PROVIDER
from tools.providers.aws.describing import DATABASE, GROUP, INSTANCE, VOLUME
from tools.providers.aws.refusals import our_words

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.literals import InstanceTypeType

DAYS = 7
LINUX = "Linux/UNIX"
# AWS never sells an instance hour for less than this; what is below is no price.
_LEAST = Decimal("0.0005")
# The one place that answers for all regions.
LIST_REGION = "us-east-1"
_ENGINES = {
    "postgres": "PostgreSQL",
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "aurora-mysql": "Aurora MySQL",
    "aurora-postgresql": "Aurora PostgreSQL",
}
_UNITS = {"Hrs": "hour", "GB-Mo": "GB-month"}


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that the price list is asked for: our word for it, and how the list narrows it down to one product."""

    region: str
    sku: str
    service: str
    fields: tuple[tuple[str, str], ...]


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
    return [_spot(region, sku, [price for _, price in seen[sku]], now) for sku in skus if sku in seen]


def _spot(region: str, sku: str, values: list[Decimal], now: datetime) -> Price:
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


def offers(resources: Iterable[Resource]) -> list[Offer]:
    """What the price list is to be asked for: the types that machines, groups, volumes and databases are of."""
    found: dict[tuple[str, str], Offer] = {}
    for resource in resources:
        for offer in _offers_of(resource):
            found[offer.region, offer.sku] = offer
    return [found[key] for key in sorted(found)]


def _offers_of(resource: Resource) -> Iterator[Offer]:
    told = resource.attributes
    if resource.kind in {INSTANCE, GROUP}:
        kinds = told.get("instance_types") if resource.kind == GROUP else [told.get("instance_type")]
        for kind in kinds if isinstance(kinds, list) else ():
            yield _machine(resource.region, str(kind))
    elif resource.kind == VOLUME and told.get("type"):
        kind = str(told["type"])
        fields = (("productFamily", "Storage"), ("volumeApiName", kind))
        yield Offer(resource.region, kind, "AmazonEC2", (*fields, ("regionCode", resource.region)))
    elif resource.kind == DATABASE and told.get("engine") in _ENGINES:
        kind, engine = str(told["instance_type"]), _ENGINES[str(told["engine"])]
        deployment = "Multi-AZ" if told.get("highly_available") else "Single-AZ"
        yield Offer(
            resource.region,
            f"{kind} {engine} {deployment}",
            "AmazonRDS",
            (
                ("productFamily", "Database Instance"),
                ("instanceType", kind),
                ("databaseEngine", engine),
                ("deploymentOption", deployment),
                ("regionCode", resource.region),
            ),
        )


def _machine(region: str, kind: str) -> Offer:
    """Linux with nothing installed, shared hardware, as used: not what a reservation holds ready."""
    return Offer(
        region,
        kind,
        "AmazonEC2",
        (
            ("instanceType", kind),
            ("operatingSystem", "Linux"),
            ("tenancy", "Shared"),
            ("preInstalledSw", "NA"),
            ("capacitystatus", "Used"),
            ("regionCode", region),
        ),
    )


def list_price(client: Any, offer: Offer, now: datetime) -> Price | None:
    """What one unit costs on demand; None when the list has no price for it, or more than one."""
    asked = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in offer.fields]
    with our_words(f"reading list prices in {offer.region}"):
        pages = client.get_paginator("get_products").paginate(
            ServiceCode=offer.service, Filters=asked, FormatVersion="aws_v1"
        )
        told = [document for page in pages for document in page["PriceList"]]
    found = {price for document in told if (price := on_demand(document)) is not None}
    if len(found) != 1:
        # Two products of that description, with two prices: which of them is meant is not known.
        return None
    unit, amount, currency = found.pop()
    source = f"AWS price list: {offer.sku} in {offer.region}, on demand"
    return Price(PROVIDER, offer.region, offer.sku, "on_demand", unit, amount, amount, amount, currency, now, source)


def on_demand(document: str | Mapping[str, Any]) -> tuple[str, Decimal, str] | None:
    """Unit, price and currency of a product's on-demand term; None when it is free or priced in tiers."""
    try:
        product = json.loads(document) if isinstance(document, str) else document
        terms = product.get("terms", {}).get("OnDemand", {})
        rates = [rate for term in terms.values() for rate in term["priceDimensions"].values()]
        if len(rates) != 1 or rates[0]["unit"] not in _UNITS:
            return None
        ((currency, text),) = rates[0]["pricePerUnit"].items()
        amount = Decimal(text)
    except (ValueError, KeyError, AttributeError, InvalidOperation):
        raise ProviderError(
            "AWS's price list tells something that is not as AWS describes it; no price of it is used.",
            fix="Look for a newer version of OptiInfra; AWS may have changed its price list.",
        ) from None
    return (_UNITS[rates[0]["unit"]], amount, str(currency)) if amount > 0 else None
