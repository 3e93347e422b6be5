"""Prices: what Azure's public price list says of machine sizes, on demand and as spot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from tools.model.price import Price
from tools.providers.azure.connection import PROVIDER, Connection
from tools.providers.rest import Asking, Document, not_as_described

VERSION = "2023-01-01-preview"
ASKING = Asking("reading Azure's price list")
# Many sizes in one question would make its filter too long.
_SIZES_PER_QUESTION = 10


def of_machines(connection: Connection, region: str, sizes: Iterable[str], now: datetime) -> list[Price]:
    """On-demand and spot prices per hour of these sizes, Linux, in the list's own currency (USD)."""
    ordered = sorted(sizes)
    found: dict[tuple[str, str], Price] = {}
    for start in range(0, len(ordered), _SIZES_PER_QUESTION):
        for item in _items(connection, region, ordered[start : start + _SIZES_PER_QUESTION]):
            price = _price(item, region, now)
            if price is not None and price.sku in ordered:
                found.setdefault((price.sku, price.purchase), price)
    return [found[key] for key in sorted(found)]


def _items(connection: Connection, region: str, sizes: list[str]) -> Iterator[Document]:
    either = " or ".join(f"armSkuName eq '{size}'" for size in sizes)
    chosen = f"serviceName eq 'Virtual Machines' and priceType eq 'Consumption' and armRegionName eq '{region}'"

    def ask(link: str) -> tuple[list[Document], str]:
        told = (
            connection.retail.get(link, ASKING)
            if link
            else connection.retail.get(
                "/api/retail/prices", ASKING, **{"api-version": VERSION, "$filter": f"{chosen} and ({either})"}
            )
        )
        items = told.get("Items")
        if not isinstance(items, list):
            raise not_as_described("Azure", ASKING.doing)
        return items, str(told.get("NextPageLink") or "")

    for page in connection.retail.pages(ask, ASKING):
        yield from page


def _price(item: dict[str, Any], region: str, now: datetime) -> Price | None:
    """None for what is not a Linux machine by the hour: Windows, low priority, reservations."""
    amount, name = item.get("retailPrice"), f"{item.get('skuName', '')} {item.get('productName', '')}"
    if "Windows" in name or "Low Priority" in name or item.get("unitOfMeasure") != "1 Hour":
        return None
    if not isinstance(amount, int | Decimal) or amount <= 0 or item.get("type") != "Consumption":
        return None
    price = Decimal(amount)
    return Price(
        PROVIDER,
        region,
        str(item.get("armSkuName", "")),
        "spot" if "Spot" in name else "on_demand",
        "hour",
        price,
        price,
        price,
        str(item.get("currencyCode", "")),
        now,
        "Azure's public price list (Linux)",
    )
