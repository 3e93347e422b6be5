"""What the sandbox's Azure tells of machines beside their description: whether they run, how busy they are, prices."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.clouds.rest import RefusalError

# Average CPU in percent.
BUSY = {"erp": 34.0, "loyalty": 27.0, "desktop": 11.0}
# USD an hour, on demand and spot.
PRICES = {
    "Standard_D4s_v5": ("0.23", "0.0483"),
    "Standard_E8s_v5": ("0.608", "0.1277"),
    "Standard_B4ms": ("0.192", "0.0403"),
}


def points(span: str, busy: float, name: str) -> Iterable[dict[str, Any]]:
    """Hourly values around `busy` percent. Raises RefusalError for a span that is none."""
    try:
        first, last = (datetime.fromisoformat(part) for part in span.split("/"))
    except ValueError:
        raise RefusalError(400, "BadRequest", "The timespan is not valid.") from None
    for hour in range(min(int((last - first).total_seconds() // 3600), 24 * 31)):
        at = first + timedelta(hours=hour)
        wave = 1 + 0.4 * math.sin(at.hour / 24 * 6.2832) + (len(name) * (hour + 7) % 13) / 100
        # A point now and then is missing its values, as real ones are.
        values = (
            {}
            if hour % 97 == 96
            else {"average": Decimal(f"{busy * wave:.3f}"), "maximum": Decimal(f"{busy * wave * 1.5:.3f}")}
        )
        yield {"timeStamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), **values}


def price_items(size: str) -> list[dict[str, Any]]:
    """The rows of the price list about one size: also those that a reader must leave out."""
    on_demand, spot = (Decimal(price) for price in PRICES[size])
    common = {
        "currencyCode": "USD", "armRegionName": "westeurope", "location": "EU West", "serviceName": "Virtual Machines",
        "unitOfMeasure": "1 Hour", "type": "Consumption", "armSkuName": size,
    }  # fmt: skip
    series = size.removeprefix("Standard_").replace("_", " ")
    linux, windows = f"Virtual Machines {series} Series", f"Virtual Machines {series} Series Windows"
    return [
        {**common, "retailPrice": on_demand * 2, "skuName": series, "productName": windows},
        {**common, "retailPrice": on_demand, "skuName": series, "productName": linux},
        {**common, "retailPrice": spot, "skuName": f"{series} Spot", "productName": linux},
        {**common, "retailPrice": spot, "skuName": f"{series} Low Priority", "productName": linux},
    ]
