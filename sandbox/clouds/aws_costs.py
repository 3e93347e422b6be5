"""Cost Explorer of the sandbox's AWS: answers questions about the story's bills in Amazon's words, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sandbox import organisation as org
from sandbox.clouds.aws_wire import RefusedError
from sandbox.clouds.bills import Bills, Charge
from sandbox.story.lines import Kind, Line
from sandbox.story.services import EC2

Document = dict[str, Any]
# Amazon hands out thousands of groups at a time; fewer here, so that a month has more than one page.
GROUPS_PER_PAGE = 400
# What Cost Explorer keeps: the open month and the thirteen before.
MONTHS_KEPT = 14
METRICS = ("AmortizedCost", "BlendedCost", "NetAmortizedCost", "NetUnblendedCost", "UnblendedCost")
_TAX = "Tax"
_RECORDS = {
    Kind.USAGE: "Usage",
    Kind.COVERED: "SavingsPlanCoveredUsage",
    Kind.COMMITMENT: "SavingsPlanRecurringFee",
    Kind.UNUSED: "SavingsPlanRecurringFee",
    Kind.FEE: "Support",
    Kind.TAX: _TAX,
    Kind.CREDIT: "Credit",
    Kind.ADJUSTMENT: "Refund",
}
# Where Cost Explorer has another name for a service than the bill.
_SERVICES = {
    "Elastic Load Balancing": "Amazon Elastic Load Balancing",
    "AWS Savings Plans": "Savings Plans for AWS Compute usage",
}
_USAGE_TYPES_OF_MACHINES = ("EU-BoxUsage", "EU-SpotUsage")


@dataclass(frozen=True, slots=True)
class Item:
    """One amount as Cost Explorer counts it."""

    day: date
    dimensions: dict[str, str]
    unblended: Decimal
    amortised: Decimal


@dataclass
class Costs:
    """The bills in Cost Explorer's words, by month; worked out when a month is first asked for."""

    bills: Bills
    _from: tuple[Charge, ...] = ()
    _months: dict[date, list[Item]] = field(default_factory=dict)

    def items(self, start: date, end: date) -> Iterator[Item]:
        """What was charged from `start` to before `end`."""
        charges = self.bills.charges()
        if charges is not self._from:
            months: dict[date, list[Item]] = {}
            for charge in charges:
                months.setdefault(charge.month, []).extend(_items_of(charge))
            self._from, self._months = charges, months
        for month, items in self._months.items():
            if start <= month.replace(day=28) + timedelta(days=4) and month < end:
                yield from (item for item in items if start <= item.day < end)


def get_cost_and_usage(costs: Costs, account: str, asked: Document) -> Document:
    """The answer to GetCostAndUsage. Raises RefusedError with Amazon's code for what it would refuse."""
    bills = costs.bills
    start, end = _span(bills, asked)
    groups = _groups(asked)
    metrics = asked.get("Metrics") or []
    if strange := [name for name in metrics if name not in METRICS] or (["none"] if not metrics else []):
        raise RefusedError("ValidationException", f"Metrics: {strange[0]} is not valid.")
    matches = _filter(asked.get("Filter"))
    periods = list(_periods(start, end, str(asked.get("Granularity"))))
    found: dict[tuple[date, tuple[str, ...]], list[Decimal]] = {}
    period_of = {day: first for first, after in periods for day in _days(first, after)}
    for item in costs.items(start, end):
        if not _seen_by(account, item) or not matches(item.dimensions):
            continue
        period = period_of[item.day]
        sums = found.setdefault((period, tuple(item.dimensions[key] for key in groups)), [Decimal(0), Decimal(0)])
        sums[0] += item.unblended
        sums[1] += item.amortised
    ordered = sorted(found.items())
    first = _place(asked.get("NextPageToken"))
    page = ordered[first : first + GROUPS_PER_PAGE]
    answer: Document = {
        "GroupDefinitions": asked.get("GroupBy", []),
        "ResultsByTime": [_result(bills, period, page, metrics, bool(groups)) for period in periods],
        "DimensionValueAttributes": _names(groups, page),
    }
    if first + GROUPS_PER_PAGE < len(ordered):
        answer["NextPageToken"] = f"lumen-{first + GROUPS_PER_PAGE}"
    return answer


def _result(bills: Bills, period: tuple[date, date], page: list[Any], metrics: list[str], grouped: bool) -> Document:
    start, end = period
    mine = [(keys, sums) for (day, keys), sums in page if day == start]
    total = [sum((sums[n] for _, sums in mine), Decimal(0)) for n in (0, 1)]
    return {
        "TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()},
        "Total": {} if grouped else _amounts(total, metrics),
        "Groups": [{"Keys": list(keys), "Metrics": _amounts(sums, metrics)} for keys, sums in mine if grouped],
        # The open month, and the one before for some days.
        "Estimated": start.replace(day=1) >= (bills.today - timedelta(days=5)).replace(day=1),
    }


def _amounts(sums: list[Decimal], metrics: list[str]) -> Document:
    by_name = {name: sums[1] if "Amortized" in name else sums[0] for name in METRICS}
    # Ten digits behind the point, as Amazon writes them; trailing zeros are not written.
    return {name: {"Amount": f"{by_name[name]:.10f}".rstrip("0").rstrip("."), "Unit": "USD"} for name in metrics}


def _names(groups: tuple[str, ...], page: list[Any]) -> list[Document]:
    if "LINKED_ACCOUNT" not in groups:
        return []
    place = groups.index("LINKED_ACCOUNT")
    accounts = sorted({keys[place] for (_, keys), _ in page})
    return [{"Value": account, "Attributes": {"description": org.account_name(account)}} for account in accounts]


def _seen_by(account: str, item: Item) -> bool:
    """The paying account sees all of the organisation, a member only itself."""
    return account in {org.AWS_PAYER, item.dimensions["LINKED_ACCOUNT"]}


def _days(first: date, after: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((after - first).days))


def _items_of(charge: Charge) -> Iterator[Item]:
    line = charge.line
    words = _dimensions(line)
    if line.kind is Kind.COVERED:
        # Billed as if on demand, and taken back in a second line; what the plan pays for it is its amortised cost.
        on_demand = charge.quantity * line.contracted_price
        yield Item(charge.day, words, on_demand, charge.effective)
        yield Item(charge.day, words | {"RECORD_TYPE": "SavingsPlanNegation"}, -on_demand, Decimal(0))
        return
    # The fee of a commitment amortises to what nobody used of it.
    yield Item(charge.day, words, charge.billed, charge.effective)


@lru_cache(maxsize=4096)
def _dimensions(line: Line) -> dict[str, str]:
    machine = line.sku.startswith(_USAGE_TYPES_OF_MACHINES)
    service = _SERVICES.get(line.service, line.service)
    if line.service == EC2 and line.kind is not Kind.CREDIT:
        service = "Amazon Elastic Compute Cloud - Compute" if machine else "EC2 - Other"
    return {
        "LINKED_ACCOUNT": line.account,
        "SERVICE": _TAX if line.kind is Kind.TAX else service,
        "RECORD_TYPE": "Other out-of-cycle charges" if line.correction else _RECORDS[line.kind],
        "REGION": line.region or "NoRegion",
        "USAGE_TYPE": line.sku or "NoUsageType",
        "OPERATION": line.operation or "NoOperation",
        "INSTANCE_TYPE": line.sku.partition(":")[2] if machine else "NoInstanceType",
    }


_KNOWN = frozenset(("LINKED_ACCOUNT", "SERVICE", "RECORD_TYPE", "REGION", "USAGE_TYPE", "OPERATION", "INSTANCE_TYPE"))


def _groups(asked: Document) -> tuple[str, ...]:
    groups = asked.get("GroupBy") or []
    if len(groups) > 2:
        raise RefusedError("ValidationException", "Failed to satisfy constraint: at most 2 group definitions.")
    for group in groups:
        if group.get("Type") != "DIMENSION" or group.get("Key") not in _KNOWN:
            raise RefusedError("ValidationException", f"Group Definition dimension is invalid: {group}.")
    return tuple(group["Key"] for group in groups)


def _span(bills: Bills, asked: Document) -> tuple[date, date]:
    try:
        start, end = (date.fromisoformat(str(asked["TimePeriod"][name])) for name in ("Start", "End"))
    except (KeyError, TypeError, ValueError):
        raise RefusedError("ValidationException", "TimePeriod needs Start and End as YYYY-MM-DD.") from None
    if start >= end:
        raise RefusedError("ValidationException", "Start date (and hour) should be before end date (and hour)")
    oldest = bills.today.replace(day=1)
    for _ in range(MONTHS_KEPT - 1):
        oldest = (oldest - timedelta(days=1)).replace(day=1)
    if start < oldest:
        raise RefusedError("ValidationException", "You haven't enabled historical data beyond 14 months")
    if end > (bills.today.replace(day=1) + timedelta(days=31)).replace(day=1):
        raise RefusedError("ValidationException", "end date past the beginning of next month")
    return start, end


def _periods(start: date, end: date, granularity: str) -> Iterator[tuple[date, date]]:
    if granularity not in {"DAILY", "MONTHLY"}:
        raise RefusedError("ValidationException", f"Granularity {granularity} is not valid here.")
    while start < end:
        after = start + timedelta(days=1)
        if granularity == "MONTHLY":
            after = (start.replace(day=1) + timedelta(days=31)).replace(day=1)
        yield start, min(after, end)
        start = after


def _place(token: object) -> int:
    if not token:
        return 0
    number = str(token).removeprefix("lumen-")
    if not number.isdigit():
        raise RefusedError("InvalidNextTokenException", "The pagination token is invalid.")
    return int(number)


def _filter(asked: Document | None) -> Callable[[dict[str, str]], bool]:
    """A Cost Explorer expression: dimensions, and And, Or, Not of expressions."""
    if not asked:
        return lambda _: True
    if len(asked) != 1:
        raise RefusedError("ValidationException", "Expression must have exactly one operand.")
    ((name, inner),) = asked.items()
    if name == "Dimensions":
        key, values = inner.get("Key"), frozenset(inner.get("Values") or ())
        if key not in _KNOWN or not values:
            raise RefusedError("ValidationException", f"Dimension {key} is not valid.")
        return lambda words: words[key] in values
    if name == "Not":
        inside = _filter(inner)
        return lambda words: not inside(words)
    if name in {"And", "Or"} and len(inner) > 1:
        parts = [_filter(part) for part in inner]
        every = all if name == "And" else any
        return lambda words: every(part(words) for part in parts)
    raise RefusedError("ValidationException", f"Expression {name} is not valid.")
