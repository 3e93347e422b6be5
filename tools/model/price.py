"""Price: what one unit of a SKU costs under one purchase option, as a source told it at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """`sku` is the cloud's own word ("m5.2xlarge"); `purchase` is spot or on_demand; `unit` is "hour".

    `low`, `usual` and `high` are the tenth, fiftieth and ninetieth percentile of what was seen; `source` says
    where and over which time, for people.
    """

    provider: str
    region: str
    sku: str
    purchase: str
    unit: str
    low: Decimal
    usual: Decimal
    high: Decimal
    currency: str
    observed_at: datetime
    source: str
