"""Unit costs: reads people's own daily numbers from a csv file, and divides complete days of cost by them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from tools.analysis.costs import Costs
from tools.model.errors import InputError
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import CostQuery, CostTable, Filter, Granularity, Metric, dimension
from tools.model.unit import UnitLine, UnitReport, UnitValue
from tools.store import unit_values

if TYPE_CHECKING:
    from tools.analysis.rates import Rates

_NEEDED = ("date", "metric", "value")
_MOST_LINES = 1_000_000
_LARGEST = Decimal(10) ** 18
_PER_UNIT = Decimal("1E-12")


def read(path: Path, tag_keys: tuple[str, ...]) -> tuple[UnitValue, ...]:
    """The values of a csv file; raises InputError naming the line that cannot be used."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            columns = _columns(path, next(reader, []), tag_keys)
            found: dict[tuple[object, ...], UnitValue] = {}
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                value = _value(path, reader.line_num, columns, cells)
                key = (value.metric, value.day, value.scope)
                if key in found:
                    raise InputError(f"Line {reader.line_num} of {path.name} gives a second value for the same day.")
                found[key] = value
                if len(found) > _MOST_LINES:
                    raise InputError(f"{path.name} has more than {_MOST_LINES:,} values.", fix="Split it by year.")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8 text.", fix="Save it as UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"{path.name} is not a csv file: {error}.") from None
    if not found:
        raise InputError(f"{path.name} holds no values.")
    return tuple(found.values())


def _columns(path: Path, header: Sequence[str], tag_keys: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the columns; those beyond the needed ones are dimensions."""
    names = [name.strip().lower() for name in header]
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise InputError(
            f"{path.name} has no column {missing[0]}.",
            fix="It needs the columns date, metric and value, separated by commas.",
        )
    made = tuple(name if name in _NEEDED else dimension(name, tag_keys) for name in names)
    if twice := [name for name in made if made.count(name) > 1]:
        raise InputError(f"{path.name} has the column {twice[0]} twice.")
    return made


def _value(path: Path, number: int, columns: Sequence[str], cells: Sequence[str]) -> UnitValue:
    where = f"Line {number} of {path.name}"
    if len(cells) != len(columns):
        raise InputError(f"{where} has {len(cells)} fields and the header {len(columns)}.")
    row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    try:
        day = date.fromisoformat(row["date"])
    except ValueError:
        raise InputError(f'{where}: "{row["date"][:40]}" is not a day.', fix="Write it as 2026-11-23.") from None
    try:
        value = Decimal(row["value"])
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value < _LARGEST or len(row["value"]) > 40:
        raise InputError(f'{where}: "{row["value"][:40]}" is not a number from 0 on.', fix="Write it as 1200 or 12.5.")
    metric = name_of(row["metric"])
    if not metric or len(metric) > 64 or not metric.isprintable():
        raise InputError(f"{where} names no metric.", fix="Write for example orders.")
    scope = tuple(sorted((name, text) for name, text in row.items() if name not in _NEEDED))
    if sum(len(name) + len(text) for name, text in scope) > 900:
        raise InputError(f"{where} is too long.")
    return UnitValue(metric, day, value, scope)


def name_of(metric: str) -> str:
    """A metric's name as it is kept."""
    return " ".join(metric.lower().replace("_", " ").split())


def report(
    costs: Costs,
    unit: str,
    period: Period,
    today: date,
    *,
    where: tuple[Filter, ...] = (),
    metric: Metric = Metric.BILLED,
    granularity: Granularity = Granularity.MONTH,
    rates: Rates | None = None,
    currency: str = "",
) -> UnitReport:
    """What one unit costs. Raises InputError when no such metric was imported, or none is named and there are several."""
    unit = _known(costs, name_of(unit))
    query = CostQuery(period, where=where, metric=metric, granularity=Granularity.DAY)
    with costs.database.read() as tx:
        values = unit_values.values(tx, costs.tenant, unit, period)
    table = _table(costs, query, rates, currency)
    units, notes = _units(unit, values, where)
    span = costs.span()
    partial = tuple(day for day in period if not _complete(day, table, span, today))
    open_days = frozenset(partial)
    counted = [day for day in period if day in units and day not in open_days]
    gaps = tuple(day for day in period if day not in units and day not in open_days)
    cost = _per_day(table)
    lines = [
        _line(start, currency_, days, cost[currency_], units, unit)
        for start, days in _buckets(counted, period, granularity)
        for currency_ in cost
    ]
    wholes = [_line(period.start, c, counted, cost[c], units, unit) for c in cost] if counted else []
    return UnitReport(
        unit, period, metric, granularity, tuple(lines), tuple(wholes), gaps, partial, tuple(notes),
        table.receipt, table.coverage,
    )  # fmt: skip


def _table(costs: Costs, query: CostQuery, rates: Rates | None, currency: str) -> CostTable:
    if rates is None:
        return costs.table(query)
    from tools.analysis import rates as converting

    return converting.table(costs, query, rates, currency)


def _known(costs: Costs, unit: str) -> str:
    with costs.database.read() as tx:
        known = [found.metric for found in unit_values.listing(tx, costs.tenant)]
    fits = [name for name in known if name in {unit, f"{unit}s"} or (not unit and len(known) == 1)]
    if fits:
        return fits[0]
    if not known:
        raise InputError(
            "No metric of your own was imported yet, so there is nothing to divide by.",
            fix="Say: optiinfra units import FILE (docs/allocation.md)",
        )
    said = f'There is no metric "{unit}".' if unit else "There are several metrics."
    raise InputError(said, fix=f"Use one of: {', '.join(known)}.")


def _units(unit: str, values: Iterable[UnitValue], where: tuple[Filter, ...]) -> tuple[dict[date, Decimal], list[str]]:
    """Units per day, of those values that fit; a filter that the values are not split by leaves all of them in."""
    found: dict[date, Decimal] = {}
    whole: set[str] = set()
    for value in values:
        scope = dict(value.scope)
        whole |= {f.dimension for f in where if f.dimension not in scope}
        # A day that has values, none of which fits, has none of them: that is not a gap.
        fits = all(f.dimension not in scope or _fits(f, scope[f.dimension]) for f in where)
        found[value.day] = EXACT.add(found.get(value.day, Decimal(0)), value.value if fits else Decimal(0))
    return found, [f"{unit} is not split by {name}: all of it is counted" for name in sorted(whole)]


def _fits(wanted: Filter, value: str) -> bool:
    return (value.casefold() in {v.casefold() for v in wanted.values}) != wanted.exclude


def _complete(day: date, table: CostTable, span: Period | None, today: date) -> bool:
    if span is None or day < span.start or day >= today:
        return False
    return table.coverage.complete_to is not None and day < table.coverage.complete_to


def _per_day(table: CostTable) -> dict[str, dict[date, Decimal | None]]:
    found: dict[str, dict[date, Decimal | None]] = defaultdict(dict)
    for row in table.rows:
        found[row.currency][row.start] = row.cost
    return found


def _buckets(counted: Sequence[date], period: Period, granularity: Granularity) -> list[tuple[date, list[date]]]:
    made: dict[date, list[date]] = {}
    for day in counted:
        start = {
            Granularity.DAY: day,
            Granularity.MONTH: max(day.replace(day=1), period.start),
            Granularity.TOTAL: period.start,
        }[granularity]
        made.setdefault(start, []).append(day)
    return sorted(made.items())


def _line(
    start: date,
    currency: str,
    days: Sequence[date],
    cost: dict[date, Decimal | None],
    units: dict[date, Decimal],
    unit: str,
) -> UnitLine:
    whole: Decimal | None = Decimal(0)
    count = Decimal(0)
    for day in days:
        known = cost.get(day, Decimal(0))
        whole = None if whole is None or known is None else EXACT.add(whole, known)
        count = EXACT.add(count, units[day])
    line = UnitLine(start, currency, len(days), whole, count, None)
    if whole is None:
        return replace(line, note="a price is missing in the bill")
    if count == 0:
        return replace(line, note=f"no {unit}")
    return replace(line, per_unit=EXACT.quantize(EXACT.divide(whole, count), _PER_UNIT))


def spans(days: Iterable[date]) -> tuple[Period, ...]:
    """Days as the fewest periods, for a sentence."""
    found: list[Period] = []
    for day in sorted(days):
        if found and found[-1].end == day:
            found[-1] = Period(found[-1].start, day + timedelta(days=1))
        else:
            found.append(Period(day, day + timedelta(days=1)))
    return tuple(found)
