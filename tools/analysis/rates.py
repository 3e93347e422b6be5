"""Rates: dated exchange rates from a file, costs in another currency, and how much of a change is the rate's."""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from tools.analysis.costs import Costs
from tools.model.errors import InputError, SettingsError
from tools.model.money import EXACT
from tools.model.query import CostQuery, CostRow, CostTable, Granularity
from tools.model.series import DailySeries
from tools.settings import Settings

# Banks quote no rates at weekends and on holidays; an older one is none.
LONGEST_GAP = timedelta(days=7)
_COLUMNS = ["date", "from", "to", "rate"]


@dataclass(frozen=True, slots=True)
class Rates:
    """Exchange rates by day. A day without one has that of the last day before it, up to a week back."""

    _quoted: Mapping[tuple[str, str], tuple[tuple[date, Decimal], ...]]

    def on(self, day: date, source: str, target: str) -> Decimal:
        """How many units of `target` one of `source` was worth; raises InputError when nobody told."""
        if source == target:
            return Decimal(1)
        found = self._latest(day, source, target)
        if found is None:
            turned = self._latest(day, target, source)
            found = None if turned is None else EXACT.divide(Decimal(1), turned)
        if found is None:
            raise InputError(
                f"There is no exchange rate from {source} to {target} for {day}.",
                fix="Add it to the file of OPTIINFRA_RATES_FILE, or ask in the bill's own currency.",
            )
        return found

    def _latest(self, day: date, source: str, target: str) -> Decimal | None:
        quoted = self._quoted.get((source, target), ())
        place = bisect_right(quoted, day, key=lambda q: q[0])
        if not place or day - quoted[place - 1][0] > LONGEST_GAP:
            return None
        return quoted[place - 1][1]


@dataclass(frozen=True, slots=True)
class Change:
    """Why cost in a reporting currency changed: `of_cost` at the old rates, `of_rates` the rest; they add up."""

    total: Decimal
    of_cost: Decimal
    of_rates: Decimal


def load(path: Path) -> Rates:
    """Read rates; raises InputError naming the line that cannot be used."""
    quoted: dict[tuple[str, str], dict[date, Decimal]] = defaultdict(dict)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if [str(n).strip().lower() for n in reader.fieldnames or ()] != _COLUMNS:
                raise InputError(f"{path.name} needs the columns {', '.join(_COLUMNS)}, in this order.")
            for number, row in enumerate(reader, start=2):
                day, source, target, rate = _line(path, number, list(row.values()))
                if quoted[source, target].setdefault(day, rate) != rate:
                    raise InputError(f"Line {number} of {path.name} gives a second rate for the same day.")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The exchange rates in {path} cannot be read.", fix="Check OPTIINFRA_RATES_FILE.") from error
    return Rates({pair: tuple(sorted(days.items())) for pair, days in quoted.items()})


def _line(path: Path, number: int, values: Sequence[str | None]) -> tuple[date, str, str, Decimal]:
    try:
        day, source, target, rate = (str(v).strip() for v in values)
        parsed = date.fromisoformat(day), source.upper(), target.upper(), Decimal(rate)
    except (ValueError, InvalidOperation):
        raise InputError(f"Line {number} of {path.name} is not: a date, two currencies, a rate.") from None
    if not parsed[3].is_finite() or parsed[3] <= 0 or not all(len(c) == 3 and c.isalpha() for c in parsed[1:3]):
        raise InputError(f"Line {number} of {path.name} is not: a date, two currencies, a rate.")
    return parsed


def table(costs: Costs, query: CostQuery, rates: Rates, currency: str) -> CostTable:
    """`costs.table` with every day's cost in one currency, at that day's rate; unknown stays unknown."""
    daily = costs.table(replace(query, granularity=Granularity.DAY, limit=None))
    sums: dict[tuple[tuple[str, ...], date], Decimal | None] = {}
    counts: dict[tuple[tuple[str, ...], date], int] = defaultdict(int)
    for row in daily.rows:
        place = (row.keys, _bucket(row.start, query))
        before = sums.get(place, Decimal(0))
        cost = None if row.cost is None else EXACT.multiply(row.cost, rates.on(row.start, row.currency, currency))
        sums[place] = None if cost is None or before is None else EXACT.add(before, cost)
        counts[place] += row.raw_rows
    rows = [CostRow(keys, start, cost, currency, counts[keys, start]) for (keys, start), cost in sums.items()]
    rows.sort(key=lambda r: (r.start, r.cost is None, -(r.cost or Decimal(0)), r.keys))
    total: Decimal | None = Decimal(0)
    for row in rows:
        total = None if total is None or row.cost is None else EXACT.add(total, row.cost)
    kept = rows if query.limit is None else _largest(rows, query.limit)
    left_out = len({r.keys for r in rows}) - len({r.keys for r in kept})
    return CostTable(query, tuple(kept), ((currency, total),) if rows else (), daily.receipt, daily.coverage, left_out)


def wanted(costs: Costs, settings: Settings, currency: str = "") -> tuple[Rates, str] | None:
    """The rates and the currency in which costs are shown: the asked one, or the one that is set; None: the bills' own.

    Raises SettingsError when there are no rates for it.
    """
    target = currency or settings.currency.upper()
    if not target or set(costs.currencies()) <= {target}:
        return None
    if settings.rates_file is None:
        raise SettingsError(
            f"Costs cannot be shown in {target} without exchange rates.", fix="Set OPTIINFRA_RATES_FILE (docs/data.md)."
        )
    return load(settings.rates_file), target


def reported(costs: Costs, query: CostQuery, settings: Settings, currency: str = "") -> CostTable:
    """`costs.table` in the currency that is asked for, or set, or in the bills' own."""
    found = wanted(costs, settings, currency)
    return costs.table(query) if found is None else table(costs, query, *found)


@dataclass(frozen=True, slots=True)
class ReportingCosts(Costs):
    """Costs in one currency, each day at its own rate; InputError for a day without one."""

    rates: Rates
    target: str

    def table(self, query: CostQuery) -> CostTable:
        plain = Costs(self.database, self.tenant, self.tag_keys, self.provisional_days)
        return table(plain, query, self.rates, self.target)

    def series(self, query: CostQuery) -> tuple[DailySeries, ...]:
        sums: dict[tuple[tuple[str, str], ...], list[Decimal]] = {}
        for one in Costs.series(self, replace(query, limit=None)):
            values = sums.setdefault(one.keys, [Decimal(0)] * len(one.values))
            for n, (day, cost) in enumerate(zip(query.period, one.values, strict=True)):
                # A day without cost needs no rate.
                if cost:
                    turned = EXACT.multiply(cost, self.rates.on(day, one.currency, self.target))
                    values[n] = EXACT.add(values[n], turned)
        made = [DailySeries(keys, query.period.start, tuple(v), self.target) for keys, v in sums.items()]
        made.sort(key=lambda s: (-sum(s.values), s.keys))
        return tuple(made[: query.limit])

    def currencies(self) -> tuple[str, ...]:
        return (self.target,)


def _bucket(day: date, query: CostQuery) -> date:
    if query.granularity is Granularity.DAY:
        return day
    return max(day.replace(day=1), query.period.start) if query.granularity is Granularity.MONTH else query.period.start


def _largest(rows: Sequence[CostRow], limit: int) -> list[CostRow]:
    size: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for row in rows:
        size[row.keys] += row.cost or Decimal(0)
    kept = frozenset(sorted(size, key=lambda k: (-size[k], k))[:limit])
    return [row for row in rows if row.keys in kept]


def effect(before: CostTable, after: CostTable, native_before: CostTable, native_after: CostTable) -> Change:
    """Split the change between two periods: what the bills did at the first period's average rates, and the rest.

    `before` and `after` are converted tables, the native ones the same questions in the bills' own currencies.
    Raises InputError when a cost is unknown, or a currency has no cost in the first period to take a rate from.
    """
    totals = [_known(t) for t in (before, after)]
    then, now = dict(native_before.totals), dict(native_after.totals)
    if None in {*then.values(), *now.values()}:
        raise InputError("A price is missing in the bill, so the change cannot be split.")
    if len(then | now) == 1 and all(then.values()):
        (name,) = then | now
        rate = EXACT.divide(totals[0], then[name] or Decimal(1))
        at_old_rate = EXACT.multiply(now.get(name) or Decimal(0), rate)
        change = EXACT.subtract(totals[1], totals[0])
        of_cost = EXACT.subtract(at_old_rate, totals[0])
        return Change(change, of_cost, EXACT.subtract(change, of_cost))
    raise InputError(
        "The effect of exchange rates is told for one currency at a time.", fix="Add --where currency=EUR."
    )


def _known(table: CostTable) -> Decimal:
    total = table.totals[0][1] if table.totals else Decimal(0)
    if total is None:
        raise InputError("A price is missing in the bill, so the change cannot be split.")
    return total
