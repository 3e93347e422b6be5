"""Untagged: which share of cost carries no value of a tag key, month by month, and where that is heading."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tools.analysis import trends
from tools.analysis.costs import Costs
from tools.model.errors import InputError
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import TAG, CostQuery, CostRow, Coverage, Filter, Granularity, Metric, Receipt
from tools.model.series import DailySeries

_FINE = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Month:
    """Untagged cost and all cost of the asked days of one month; the share (0 to 1) is None where it says nothing."""

    start: date
    untagged: Decimal
    total: Decimal
    share: Decimal | None


@dataclass(frozen=True, slots=True)
class Untagged:
    """One tag key in one currency. `trend` is in words; `direction` is rising, falling, flat, or '' (too short)."""

    key: str
    currency: str
    months: tuple[Month, ...]
    untagged: Decimal
    total: Decimal
    share: Decimal | None
    direction: str
    trend: str
    receipt: Receipt
    coverage: Coverage


def untagged(
    costs: Costs, period: Period, keys: Sequence[str], *, metric: Metric = Metric.BILLED, where: tuple[Filter, ...] = ()
) -> tuple[Untagged, ...]:
    """Every key in every currency. Raises InputError for a key that is not kept, or where a price is missing."""
    made: list[Untagged] = []
    for key in keys:
        if key not in costs.tag_keys:
            kept = ", ".join(costs.tag_keys) or "none"
            raise InputError(
                f"The tag {key} is not kept as a dimension (kept are: {kept}).",
                fix="Add it to OPTIINFRA_TAG_KEYS and ingest the files again.",
            )
        query = CostQuery(period, (TAG + key,), where, metric, Granularity.DAY)
        table = costs.table(query)
        by_currency: dict[str, list[CostRow]] = defaultdict(list)
        for row in table.rows:
            by_currency[row.currency].append(row)
        for currency, rows in sorted(by_currency.items()):
            made.append(_of(key, currency, rows, period, table.receipt, table.coverage))
    return tuple(made)


def _of(
    key: str, currency: str, rows: Sequence[CostRow], period: Period, receipt: Receipt, coverage: Coverage
) -> Untagged:
    whole: dict[date, Decimal] = defaultdict(Decimal)
    bare: dict[date, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.cost is None:
            raise InputError(
                f"The cost of {row.start} is unknown: a price is missing in the bill.",
                fix="Ask for billed or effective cost.",
            )
        whole[row.start] = EXACT.add(whole[row.start], row.cost)
        if not row.keys[0]:
            bare[row.start] = EXACT.add(bare[row.start], row.cost)
    months = tuple(_month(start, whole, bare) for start in _months(period))
    direction, words = _trend(whole, bare, coverage)
    untagged_cost, total = _sum(bare), _sum(whole)
    return Untagged(
        key, currency, months, untagged_cost, total, _share(untagged_cost, total), direction, words, receipt, coverage
    )


def _months(period: Period) -> list[date]:
    return sorted({day.replace(day=1) for day in period})


def _month(start: date, whole: dict[date, Decimal], bare: dict[date, Decimal]) -> Month:
    in_it = [day for day in whole if day.replace(day=1) == start]
    untagged_cost = _sum({day: bare.get(day, Decimal(0)) for day in in_it})
    total = _sum({day: whole[day] for day in in_it})
    return Month(start, untagged_cost, total, _share(untagged_cost, total))


def _sum(days: dict[date, Decimal]) -> Decimal:
    total = Decimal(0)
    for cost in days.values():
        total = EXACT.add(total, cost)
    return total


def _share(part: Decimal, whole: Decimal) -> Decimal | None:
    # A share of a sum that credits turned negative says nothing.
    return EXACT.quantize(EXACT.divide(part, whole), _FINE) if whole > 0 else None


def _trend(whole: dict[date, Decimal], bare: dict[date, Decimal], coverage: Coverage) -> tuple[str, str]:
    """Of the daily share, over the days that every account has delivered."""
    days = sorted(day for day in whole if coverage.complete_to is None or day < coverage.complete_to)
    span = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)] if days else []
    shares: list[Decimal] = []
    for day in span:
        share = _share(bare.get(day, Decimal(0)), whole.get(day, Decimal(0)))
        shares.append(share if share is not None else (shares[-1] if shares else Decimal(0)))
    if len(shares) < trends.FEWEST_DAYS:
        return "", f"too short for a trend ({len(shares)} complete days; {trends.FEWEST_DAYS} are needed)"
    found = trends.trend(DailySeries((), span[0], tuple(shares), ""))
    now = f"about {found.level:.1%} of cost now"
    if found.direction == "flat":
        return found.direction, f"flat, {now}"
    return found.direction, f"{found.direction} by {abs(found.per_month):.0%} of itself a month, {now}"
