"""Cost Management of the sandbox's Azure: answers the queries about the story's bills, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sandbox import organisation as org
from sandbox.clouds.bills import Bills, Charge
from sandbox.clouds.rest import Answer, Ask, RefusalError, page
from sandbox.story.lines import Kind
from sandbox.story.other_lines import RESERVATION_NAME

# Azure hands out up to 5,000 rows; fewer, so that a month has more than one page.
ROWS = 250
# What subscriptions of every agreement type may be grouped by.
DIMENSIONS = frozenset(
    [
        "ResourceGroup",
        "ResourceGroupName",
        "ResourceType",
        "ResourceId",
        "ResourceLocation",
        "SubscriptionId",
        "SubscriptionName",
        "MeterCategory",
        "MeterSubcategory",
        "Meter",
        "ServiceName",
        "ChargeType",
        "PublisherType",
        "ReservationId",
        "ReservationName",
        "Frequency",
        "PricingModel",
        "BillingMonth",
    ]
)
MOST_GROUPS = 15
_LONGEST_DAYS = 31
_MODELS = {"Standard": "OnDemand", "Committed": "Reservation", "Dynamic": "Spot"}
_CHARGES = {Kind.COMMITMENT: "Purchase", Kind.UNUSED: "UnusedReservation"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query that makes sense."""

    amortised: bool
    first: date
    last: date
    groups: tuple[str, ...]


def answer(bills: Bills, ask: Ask) -> Answer:
    """The rows that a query of one subscription asks for. Raises RefusalError for one that makes no sense."""
    wanted = _wanted(ask.document())
    subscription = ask.parts["subscription"]
    rows = list(_rows(bills, subscription, wanted))
    shown, more = page(rows, ask.query.get("$skiptoken", ""), ROWS)
    here = f"/subscriptions/{subscription}/providers/Microsoft.CostManagement"
    # Azure names an older version for the next page than the one that was asked.
    link = f"{ask.base}{here}/Query?api-version=2021-10-01&$skiptoken={more}" if more else None
    columns = [
        ("Cost", "Number"),
        ("UsageDate", "Number"),
        *((g, "String") for g in wanted.groups),
        ("Currency", "String"),
    ]
    return Answer(
        200,
        {
            "id": f"{here}/query/00000000-0000-0000-0000-000000000000",
            "name": "00000000-0000-0000-0000-000000000000",
            "type": "Microsoft.CostManagement/query",
            "properties": {
                "nextLink": link,
                "columns": [{"name": name, "type": kind} for name, kind in columns],
                "rows": shown,
            },
        },
    )


def _wanted(asked: dict[str, Any]) -> Wanted:
    dataset = asked.get("dataset")
    if asked.get("type") not in {"ActualCost", "AmortizedCost", "Usage"} or not isinstance(dataset, dict):
        raise RefusalError(400, "BadRequest", "Invalid query definition: type and dataset are needed.")
    if asked.get("timeframe") != "Custom" or dataset.get("granularity") != "Daily":
        raise RefusalError(400, "BadRequest", "Invalid query definition: this sandbox answers Custom, Daily queries.")
    groups = tuple(str(group.get("name")) for group in dataset.get("grouping", ()))
    strange = [name for name in groups if name not in DIMENSIONS]
    if strange or len(groups) > MOST_GROUPS:
        valid = ",".join(f"'{name}'" for name in sorted(DIMENSIONS))
        raise RefusalError(
            400, "BadRequest", f"Invalid query definition: Invalid dataset grouping: {strange}; valid values: {valid}."
        )
    if dataset.get("aggregation") != {"totalCost": {"name": "Cost", "function": "Sum"}}:
        raise RefusalError(400, "BadRequest", "Invalid query definition: Invalid dataset aggregation.")
    first, last = _span(asked.get("timePeriod"))
    return Wanted(asked["type"] == "AmortizedCost", first, last, groups)


def _span(told: object) -> tuple[date, date]:
    try:
        assert isinstance(told, dict)
        first, last = (datetime.fromisoformat(str(told[name])).date() for name in ("from", "to"))
    except (AssertionError, KeyError, ValueError):
        raise RefusalError(400, "BadRequest", "Invalid query definition: timePeriod needs from and to.") from None
    if not 0 <= (last - first).days < _LONGEST_DAYS:
        raise RefusalError(400, "BadRequest", "Invalid query definition: a daily query spans 31 days at most.")
    return first, last


def _rows(bills: Bills, subscription: str, wanted: Wanted) -> Iterator[list[Any]]:
    found: dict[tuple[str, ...], Decimal] = {}
    for charge in bills.charges():
        if charge.line.account != subscription or not wanted.first <= charge.day <= wanted.last:
            continue
        if charge.line.kind is (Kind.COMMITMENT if wanted.amortised else Kind.UNUSED):
            continue
        cost = charge.effective if wanted.amortised else charge.billed
        key = (f"{charge.day:%Y%m%d}", *(_dimensions(charge)[name] for name in wanted.groups))
        found[key] = found.get(key, Decimal(0)) + cost
    for (day, *groups), cost in sorted(found.items()):
        yield [cost, int(day), *groups, "USD"]


def _dimensions(charge: Charge) -> dict[str, str]:
    line = charge.line
    committed = bool(line.commitment)
    group = line.resource_id.split("/")[4] if line.resource_id.startswith("/subscriptions/") else ""
    return {
        # Bills write paths in lower case, whatever the resource itself does.
        "ResourceId": line.resource_id.lower() if group else line.resource_id,
        "ResourceType": line.resource_type.lower(),
        "ResourceLocation": "EU West",
        "ResourceGroup": group.lower(),
        "ResourceGroupName": group.lower(),
        "SubscriptionId": line.account,
        "SubscriptionName": org.account_name(line.account),
        "ServiceName": line.service,
        "MeterCategory": line.service,
        "MeterSubcategory": "",
        "Meter": line.sku,
        "ChargeType": _CHARGES.get(line.kind, "Usage"),
        "PricingModel": "Reservation" if committed else _MODELS[line.pricing],
        "ReservationId": line.commitment,
        "ReservationName": RESERVATION_NAME if committed else "",
        "PublisherType": "Azure",
        "Frequency": "Recurring" if line.kind is Kind.COMMITMENT else "UsageBased",
        "BillingMonth": f"{charge.month}T00:00:00",
    }
