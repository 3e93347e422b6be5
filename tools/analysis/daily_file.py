"""Daily file: reads a FOCUS-like csv of daily cost into series, without a database."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from pathlib import Path
from typing import IO

from tools.model.charge import ChargeCategory
from tools.model.errors import InputError
from tools.model.money import EXACT
from tools.model.series import DailySeries

SERIES_ID = "x_SeriesId"
DAY_COLUMNS = ("ChargePeriodStart", "date", "day")
COST_COLUMNS = ("EffectiveCost", "BilledCost", "cost")
KEY_COLUMNS = (
    ("ServiceProviderName", "ProviderName", "provider"),
    ("SubAccountId", "sub_account_id"),
    ("ServiceName", "service_name"),
    ("RegionId", "region_id"),
)
LONGEST_YEARS = 11
LARGEST = Decimal("1e15")
_USAGE = str(ChargeCategory.USAGE)
# Amounts that need no second look: no exponent, no name of something that is no number, not too large.
_PLAIN = re.compile(r"-?\d{1,14}(\.\d{0,18})?")


@dataclass(frozen=True, slots=True)
class DailyFile:
    """What a file held. `usage` is judged as series; `other` are purchases, taxes and corrections per series.

    `problems` says in words which rows could not be used.
    """

    usage: tuple[DailySeries, ...]
    other: tuple[DailySeries, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Places of the columns in a row; -1 for one that the file does not have."""

    day: int
    cost: int
    keys: tuple[int, ...]
    series_id: int
    category: int
    currency: int


@dataclass(slots=True)
class _Sums:
    """Cost by series (and whether it is no usage) and day number; the currency of each series."""

    costs: dict[tuple[str, bool], dict[int, Decimal]] = field(default_factory=dict)
    currencies: dict[str, str] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)
    # What a row says beside day and cost -> the days of its series: most rows say what one before them said.
    known: dict[object, dict[int, Decimal]] = field(default_factory=dict)


def read(path: Path) -> DailyFile:
    """Read a csv (or csv.gz) with a day and a cost column; rows of one series and day add up.

    A series is `x_SeriesId` when present, otherwise provider, account, service and region. Raises InputError when the
    file cannot be read as such.
    """
    sums = _Sums()
    problems: list[str] = []
    try:
        with _opened(path) as stream:
            reader = csv.reader(stream)
            columns = _columns(path, next(reader, []))
            _take_all(reader, columns, sums, problems)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", fix="Check the path.") from error
    except (UnicodeDecodeError, csv.Error, EOFError) as error:
        raise InputError(f"{path} is not a csv file in UTF-8: {error}.", fix="Export it as csv.") from error
    if not sums.costs:
        raise InputError(f"{path} has no usable row. {'; '.join(problems[:3])}", fix="Check its columns.")
    return _assembled(path, sums, problems)


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _columns(path: Path, header: Sequence[str]) -> _Columns:
    places = {name: place for place, name in reversed(list(enumerate(header)))}

    def first(*choices: str) -> int:
        return next((places[name] for name in choices if name in places), -1)

    day, cost = first(*DAY_COLUMNS), first(*COST_COLUMNS)
    if day < 0 or cost < 0:
        wanted = f"a day ({', '.join(DAY_COLUMNS)}) and a cost ({', '.join(COST_COLUMNS)})"
        raise InputError(f"{path} needs {wanted} column; it has {', '.join(header) or 'none'}.")
    keys = tuple(place for place in (first(*choices) for choices in KEY_COLUMNS) if place >= 0)
    series_id = first(SERIES_ID, "series_id")
    if not keys and series_id < 0:
        raise InputError(f"{path} names no series.", fix=f"Add a column {SERIES_ID}, or ServiceName and the like.")
    return _Columns(day, cost, keys, series_id, first("ChargeCategory"), first("BillingCurrency", "currency"))


def _take_all(rows: Iterable[list[str]], columns: _Columns, sums: _Sums, problems: list[str]) -> None:
    """Add up all rows. This loop sees millions of them: what was met before is looked up, and only the rest is read."""
    naming = [columns.series_id, *columns.keys, columns.category, columns.currency]
    pick = itemgetter(*(place for place in naming if place >= 0))
    last = max(columns.day, columns.cost, *naming)
    at_day, at_cost, known, numbers, add = columns.day, columns.cost, sums.known, sums.days, EXACT.add
    for number, row in enumerate(rows, start=2):
        if len(row) > last:
            days, day = known.get(pick(row)), numbers.get(row[at_day])
            if days is not None and day is not None and _PLAIN.fullmatch(row[at_cost]):
                cost = Decimal(row[at_cost])
                before = days.get(day)
                days[day] = cost if before is None else add(before, cost)
                continue
        problem = _take(row, columns, sums) if row else ""
        if problem:
            problems.append(f"row {number}: {problem}")
        elif len(row) > last:
            known[pick(row)] = sums.costs[_place(row, columns)]


def _place(row: Sequence[str], columns: _Columns) -> tuple[str, bool]:
    """The series of a row, and whether it is another charge than usage."""

    def cell(place: int) -> str:
        return row[place].strip() if 0 <= place < len(row) else ""

    name = cell(columns.series_id) or "|".join(cell(place) for place in columns.keys)
    return name, cell(columns.category) not in {"", _USAGE}


def _take(row: Sequence[str], columns: _Columns, sums: _Sums) -> str:
    """Add one row to its series; return what is wrong with it, or nothing."""

    def cell(place: int) -> str:
        return row[place].strip() if 0 <= place < len(row) else ""

    text = cell(columns.day)
    day = sums.days.get(text)
    if day is None:
        try:
            day = sums.days[text] = date.fromisoformat(text[:10]).toordinal()
        except ValueError:
            return f'the day "{text}" is not one'
    text = cell(columns.cost)
    try:
        cost = Decimal(text)
        usable = -LARGEST < cost < LARGEST  # NaN has no order and raises
    except InvalidOperation:
        usable = False
    if not usable:
        return f'the cost "{text}" is not an amount of money'
    place = _place(row, columns)
    name, currency = place[0], cell(columns.currency)
    known = sums.currencies.setdefault(name, currency)
    if known != currency:
        return f"series {name} is in {known} elsewhere and in {currency} here"
    days = sums.costs.setdefault(place, {})
    days[day] = EXACT.add(days[day], cost) if day in days else cost
    return ""


def _assembled(path: Path, sums: _Sums, problems: list[str]) -> DailyFile:
    first = min(min(days) for days in sums.costs.values())
    last = max(max(days) for days in sums.costs.values())
    if last - first > 366 * LONGEST_YEARS:
        span = f"{date.fromordinal(first)} to {date.fromordinal(last)}"
        raise InputError(f"{path} runs from {span}: too long to replay.", fix="Cut it to ten years.")
    made: dict[bool, list[DailySeries]] = {False: [], True: []}
    nothing = Decimal(0)
    for name, apart in sorted(sums.costs):
        days = sums.costs.pop((name, apart))  # large files: the sums go as the series come
        values = tuple(days.get(day, nothing) for day in range(first, last + 1))
        keys = ((SERIES_ID, name),)
        made[apart].append(DailySeries(keys, date.fromordinal(first), values, sums.currencies[name]))
    return DailyFile(tuple(made[False]), tuple(made[True]), tuple(problems))


def whole(found: DailyFile) -> tuple[DailySeries, ...]:
    """All charges of each series together."""
    sums: dict[str, DailySeries] = {}
    for one in (*found.usage, *found.other):
        before = sums.get(series_id(one))
        values = tuple(map(EXACT.add, before.values, one.values)) if before else one.values
        sums[series_id(one)] = replace(one, values=values)
    return tuple(sums.values())


def series_id(series: DailySeries) -> str:
    """The name that a series has in its file."""
    return dict(series.keys)[SERIES_ID]


def read_leaves(path: Path) -> tuple[tuple[str, ...], Iterator[tuple[tuple[str, ...], Decimal, Decimal]]]:
    """A leaf table: its dimensions, and (values, expected, actual) of each row. Raises InputError."""
    try:
        with _opened(path) as stream:
            reader = csv.DictReader(stream)
            header = tuple(reader.fieldnames or ())
            if "expected" not in header or "actual" not in header:
                raise InputError(f"{path} needs the columns expected and actual; it has {', '.join(header) or 'none'}.")
            dimensions = tuple(name for name in header if name not in {"expected", "actual"})
            rows = [_leaf(path, number, row, dimensions) for number, row in enumerate(reader, start=2)]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", fix="Check the path.") from error
    except (UnicodeDecodeError, csv.Error, EOFError) as error:
        raise InputError(f"{path} is not a csv file in UTF-8: {error}.", fix="Export it as csv.") from error
    return dimensions, iter(rows)


def _leaf(
    path: Path, number: int, row: Mapping[str, str | None], dimensions: tuple[str, ...]
) -> tuple[tuple[str, ...], Decimal, Decimal]:
    amounts = []
    for column in ("expected", "actual"):
        text = (row.get(column) or "").strip()
        try:
            amount = Decimal(text)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite():
            raise InputError(f'{path}, row {number}: {column} "{text}" is not an amount of money.', fix="Correct it.")
        amounts.append(amount)
    return tuple((row.get(name) or "").strip() for name in dimensions), amounts[0], amounts[1]
