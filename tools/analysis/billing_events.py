"""Billing events: purchases, taxes, credits and corrections, judged by the month against the months before."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis import daily, episodes
from tools.analysis.naming import NO_NAMES, Names, named
from tools.analysis.numbers import total
from tools.analysis.words import change, money
from tools.model.anomaly import Anomaly
from tools.model.charge import ChargeCategory
from tools.model.period import Period
from tools.model.query import Dimension, Filter, Metric
from tools.model.series import DailySeries
from tools.store import loads

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

CATEGORY, CLASS = str(Dimension.CHARGE_CATEGORY), str(Dimension.CHARGE_CLASS)
CORRECTION = "Correction"
BY = (str(Dimension.PROVIDER), str(Dimension.SUB_ACCOUNT), str(Dimension.SERVICE), CATEGORY, CLASS)
# Tells such a finding from one of usage: its series is named by the category, or as a correction.
_MARKS = {CATEGORY, CLASS}
MONTHS_BACK = 6
LOOKED_AT = timedelta(days=62)
# More than this times the dearest month before is news; so is a credit of which less than this share came.
MORE, LESS = Decimal("1.3"), Decimal("0.3")
LEAST = Decimal(25)
# Days that a monthly credit may come later than ever before.
PATIENCE = 5
OPEN_DAYS = 7
_WORDS = {
    str(ChargeCategory.PURCHASE): "purchases",
    str(ChargeCategory.TAX): "tax",
    str(ChargeCategory.CREDIT): "credits",
    str(ChargeCategory.ADJUSTMENT): "adjustments",
    CORRECTION: "corrections",
}


def is_one(found: Anomaly) -> bool:
    """Whether a finding is a billing event and no departure of usage."""
    return any(name in _MARKS for name, _ in found.keys)


def find(costs: Costs, period: Period, names: Names = NO_NAMES) -> tuple[Anomaly, ...]:
    """What is unusual among the charges that are no usage, in the last two months of `period`."""
    first = (period.end - LOOKED_AT).replace(day=1) - timedelta(days=31 * MONTHS_BACK)
    seen = Period(max(period.start, first), period.end)
    kinds = _kinds(costs)
    every: list[DailySeries] = []
    if any(category != str(ChargeCategory.USAGE) for category, _ in kinds):
        every += _read(costs, seen, usage=False)
    if (str(ChargeCategory.USAGE), CORRECTION) in kinds:
        every += _read(costs, seen, usage=True)
    return judge(every, period.end, names)


def _kinds(costs: Costs) -> set[tuple[str, str]]:
    """The pairs of category and class that were ever billed: few bills have all, and days are many."""
    from sqlalchemy import select

    from tools.store import facts
    from tools.store.fact_tables import ACCOUNTS, series

    with costs.database.read() as tx:
        wanted = (
            select(series.c.charge_category, series.c.charge_class)
            .where(series.c.tenant == costs.tenant, series.c.level == ACCOUNTS)
            .distinct()
        )
        ids = tuple(line.facts_id for line in loads.ledger(tx, costs.tenant))
        return {(row.charge_category, row.charge_class) for row in facts.rows(tx, wanted, ids)}


def _read(costs: Costs, period: Period, *, usage: bool) -> Iterator[DailySeries]:
    """Charges of other categories; and with `usage`, corrections of earlier usage."""
    where = [Filter(CATEGORY, (str(ChargeCategory.USAGE),), exclude=not usage)]
    where += [Filter(CLASS, (CORRECTION,))] if usage else []
    found = daily.read(costs, period, by=BY, where=tuple(where), metric=Metric.BILLED)
    return (found.series(row) for row in range(len(found.names)))


def judge(series: Iterable[DailySeries], end: date, names: Names = NO_NAMES) -> tuple[Anomaly, ...]:
    """The same for given series, up to `end` (excluded). Pure."""
    made = [_named(one, names) for s in series for one in _judged(_marked(s), end)]
    return tuple(sorted(made, key=lambda a: (-abs(a.excess), a.id)))


def _marked(series: DailySeries) -> DailySeries:
    """The series named by its one mark: a correction by its class, everything else by its category."""
    known = dict(series.keys)
    mark = CLASS if known.get(CLASS) == CORRECTION else CATEGORY
    keys = tuple((name, value) for name, value in series.keys if name not in _MARKS or name == mark)
    return DailySeries(keys, series.start, series.values, series.currency)


@dataclass(frozen=True, slots=True)
class _Month:
    """The charges of one month, day by day, as far as they are known; `whole` when all days are."""

    first: date
    days: tuple[Decimal, ...]
    whole: bool

    @property
    def total(self) -> Decimal:
        return total(self.days)


def _months(series: DailySeries, end: date) -> list[_Month]:
    out = []
    first = series.start.replace(day=1)
    while first < end:
        after = (first + timedelta(days=32)).replace(day=1)
        known = Period(max(first, series.start), min(after, end))
        values = series.values[(known.start - series.start).days : (known.end - series.start).days]
        out.append(_Month(known.start, values, whole=known.start == first and known.end == after))
        first = after
    return out


def _judged(series: DailySeries, end: date) -> Iterator[Anomaly]:
    months = _months(series, end)
    for place, month in enumerate(months):
        before = [m for m in months[max(0, place - MONTHS_BACK) : place] if m.whole]
        recent = month.first + timedelta(days=len(month.days)) > end - LOOKED_AT
        if before and recent:
            yield from _dearer(series, month, before, end)
            yield from _missing(series, month, before, end)


def _dearer(series: DailySeries, month: _Month, before: Sequence[_Month], end: date) -> Iterator[Anomaly]:
    """Charges of the month so far that pass by far what any month before came to."""
    most = max(max(m.total for m in before), Decimal(0))
    so_far, started = Decimal(0), None
    for n, amount in enumerate(month.days):
        so_far += amount
        if started is None and so_far > most * MORE + LEAST:
            started = month.first + timedelta(days=n)
    if started is None or so_far <= most * MORE + LEAST:
        return
    usual = max(statistics.median(m.total for m in before), Decimal(0))
    yield _anomaly(series, month, started, so_far, usual, end, months=len(before))


def _missing(series: DailySeries, month: _Month, before: Sequence[_Month], end: date) -> Iterator[Anomaly]:
    """A credit that came in the months before, and is overdue."""
    given = [m for m in before[-3:] if m.total < -LEAST]
    # The first month without it is news, the second is not.
    if len(given) < 2 or given[-1] is not before[-1]:
        return
    usual = statistics.median(m.total for m in given)
    latest = max(next(n for n, amount in enumerate(m.days) if amount) for m in given)
    if len(month.days) <= latest + PATIENCE or month.total < usual * LESS:
        return
    yield _anomaly(series, month, month.first + timedelta(days=latest), month.total, usual, end, months=len(given))


def _anomaly(
    series: DailySeries, month: _Month, started: date, actual: Decimal, expected: Decimal, end: date, *, months: int
) -> Anomaly:
    last = max((n for n, amount in enumerate(month.days) if amount), default=0)
    until = max(month.first + timedelta(days=last + 1), started + timedelta(days=1))
    return Anomaly(
        id=episodes.anomaly_id(series.keys, "up", started, series.currency),
        keys=series.keys,
        direction="up",
        started=started,
        days=(until - started).days,
        actual=actual,
        expected=expected,
        currency=series.currency,
        score=Decimal(10),
        severity="medium",
        status="open" if (end - until).days < OPEN_DAYS else "resolved",
        why=_why(series, month, actual, expected, months),
    )


def _named(found: Anomaly, names: Names) -> Anomaly:
    """With its charges named for people; the sentence of the month follows the name."""
    mark = next(value for name, value in found.keys if name in _MARKS)
    what = f"{_WORDS.get(mark, mark.lower())} of {named(found.keys, names)}"
    what = what[0].upper() + what[1:]
    return replace(found, named=what, why=f"{what} {found.why}")


def _why(series: DailySeries, month: _Month, actual: Decimal, expected: Decimal, months: int) -> str:
    came = f"came to {money(actual, series.currency)} in {month.first:%B %Y}"
    if expected == 0:
        return f"{came}; there were none in the {months} {'month' if months == 1 else 'months'} before."
    grown = change(actual, expected)
    usual = f"{money(expected, series.currency)} a month was usual"
    return f"{came}, where {usual}{', ' + grown if grown else ''}."
