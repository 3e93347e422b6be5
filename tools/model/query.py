"""CostQuery and its answer: what is asked of cost data, and the rows that come back with their receipt."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from tools.model.errors import UnknownDimensionError
from tools.model.metric import Metric as Metric
from tools.model.period import Period


class Granularity(StrEnum):
    """How fine the answer is in time."""

    TOTAL = "total"
    MONTH = "month"
    DAY = "day"


class Dimension(StrEnum):
    """What cost can be split or filtered by, in FOCUS words. Tags are `tag:KEY`, see `dimension()`."""

    PROVIDER = "provider"
    BILLING_ACCOUNT = "billing_account_id"
    SUB_ACCOUNT = "sub_account_id"
    SUB_ACCOUNT_NAME = "sub_account_name"
    SERVICE = "service_name"
    SERVICE_CATEGORY = "service_category"
    REGION = "region_id"
    CHARGE_CATEGORY = "charge_category"
    CHARGE_CLASS = "charge_class"
    PRICING_CATEGORY = "pricing_category"
    COMMITMENT = "commitment_discount_id"
    COMMITMENT_STATUS = "commitment_discount_status"
    RESOURCE = "resource_id"
    SKU = "sku_id"
    CURRENCY = "currency"


_ALIASES = {
    "cloud": Dimension.PROVIDER,
    "provider_name": Dimension.PROVIDER,
    "service_provider_name": Dimension.PROVIDER,
    "billing_account": Dimension.BILLING_ACCOUNT,
    "payer": Dimension.BILLING_ACCOUNT,
    "account": Dimension.SUB_ACCOUNT,
    "sub_account": Dimension.SUB_ACCOUNT,
    "subscription": Dimension.SUB_ACCOUNT,
    "project": Dimension.SUB_ACCOUNT,
    "account_name": Dimension.SUB_ACCOUNT_NAME,
    "service": Dimension.SERVICE,
    "category": Dimension.SERVICE_CATEGORY,
    "region": Dimension.REGION,
    "charge": Dimension.CHARGE_CATEGORY,
    "correction": Dimension.CHARGE_CLASS,
    "pricing": Dimension.PRICING_CATEGORY,
    "commitment": Dimension.COMMITMENT,
    "resource": Dimension.RESOURCE,
    "sku": Dimension.SKU,
}
TAG = "tag:"
# Who pays, by the rules of one allocation dimension: "allocation:team"; bare, of the only one there is.
ALLOCATION = "allocation"


def dimension(word: str, tag_keys: tuple[str, ...] = ()) -> str:
    """Turn what a person typed into a dimension's own name; raise UnknownDimensionError with the choices.

    A configured tag key may be written bare ("team") or as "tag:team"; both give "tag:team". "allocation" and
    "allocation:NAME" stand for who pays by the stored rules.
    """
    name = word.strip().lower().replace("-", "_").replace(" ", "_")
    if is_allocation(name):
        return name
    if name in {str(d) for d in Dimension}:
        return str(Dimension(name))
    if name in _ALIASES:
        return str(_ALIASES[name])
    key = name.removeprefix(TAG)
    if key in tag_keys:
        return TAG + key
    known = [str(d) for d in Dimension] + [TAG + k for k in tag_keys] + [ALLOCATION]
    raise UnknownDimensionError(f'There is no dimension "{word}".', fix="Use one of: " + ", ".join(known) + ".")


def is_allocation(name: str) -> bool:
    """Whether a dimension is one of the allocation rules' own."""
    return name == ALLOCATION or name.startswith(f"{ALLOCATION}:")


@dataclass(frozen=True, slots=True)
class Filter:
    """Keep rows whose dimension has one of the values (or none of them, when `exclude`).

    An empty value means "no value": untagged, no region.
    """

    dimension: str
    values: tuple[str, ...]
    exclude: bool = False


@dataclass(frozen=True, slots=True)
class CostQuery:
    """One question to cost data, without language."""

    period: Period
    by: tuple[str, ...] = ()
    where: tuple[Filter, ...] = ()
    metric: Metric = Metric.BILLED
    granularity: Granularity = Granularity.TOTAL
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a number can be checked: the SQL that gave it, its parameters, rows behind it, and as of when."""

    sql: str
    parameters: tuple[tuple[str, str], ...]
    rows: int
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class CostRow:
    """One line of an answer: values of the `by` dimensions in order, first day of its bucket, and the cost.

    `cost` is None when the metric is unknown for some of the rows behind it (a price is missing).
    """

    keys: tuple[str, ...]
    start: date
    cost: Decimal | None
    currency: str
    raw_rows: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the data behind an answer covers; it travels with every result.

    `complete_to` is the first day not fully covered by every account (exclusive end), None without data.
    `provisional_share` is the share of the asked days that may still change. `missing` names what is absent, with the
    permission that would bring it. `invoices` says how the bills compare with their invoices, where any are known.
    """

    complete_to: date | None
    provisional_share: Decimal = Decimal(0)
    missing: tuple[str, ...] = ()
    invoices: str = ""


@dataclass(frozen=True, slots=True)
class CostTable:
    """The answer to a CostQuery. `totals` has one entry per currency; a None total means unknown."""

    query: CostQuery
    rows: tuple[CostRow, ...]
    totals: tuple[tuple[str, Decimal | None], ...]
    receipt: Receipt
    coverage: Coverage
    truncated: int = field(default=0)
