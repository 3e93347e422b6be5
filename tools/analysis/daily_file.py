"""Daily file: reads a FOCUS-like csv of daily cost into series, without a database."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
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
    day: str
    cost: str
    keys: tuple[str, ...]
    series_id: str
    category: str
    currency: str


def read(path: Path) -> DailyFile:
    """Read a csv (or csv.gz) with a day and a cost column; rows of one series and day add up.

    A series is `x_SeriesId` when present, otherwise provider, account, service and region. Raises InputError when the
    file cannot be read as such.
    """
    sums: dict[tuple[str, bool], dict[date, Decimal]] = {}
    names: dict[str, str] = {}
    problems: list[str] = []
    try:
        with _opened(path) as stream:
            reader = csv.DictReader(stream)
            columns = _columns(path, reader.fieldnames or [])
            for number, row in enumerate(reader, start=2):
                problem = _take(row, columns, sums, names)
                if problem:
                    problems.append(f"row {number}: {problem}")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", fix="Check the path.") from error
    except (UnicodeDecodeError, csv.Error, EOFError) as error:
        raise InputError(f"{path} is not a csv file in UTF-8: {error}.", fix="Export it as csv.") from error
    if not sums:
        raise InputError(f"{path} has no usable row. {'; '.join(problems[:3])}", fix="Check its columns.")
    return _assembled(path, sums, names, problems)


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _columns(path: Path, header: object) -> _Columns:
    present = {str(name) for name in header} if isinstance(header, list | tuple) else set()

    def first(choices: tuple[str, ...]) -> str:
        return next((name for name in choices if name in present), "")

    day, cost = first(DAY_COLUMNS), first(COST_COLUMNS)
    if not day or not cost:
        wanted = f"a day ({', '.join(DAY_COLUMNS)}) and a cost ({', '.join(COST_COLUMNS)})"
        raise InputError(f"{path} needs {wanted} column; it has {', '.join(sorted(present)) or 'none'}.")
    keys = tuple(name for name in map(first, KEY_COLUMNS) if name)
    series_id = first((SERIES_ID, "series_id"))
    if not keys and not series_id:
        raise InputError(f"{path} names no series.", fix=f"Add a column {SERIES_ID}, or ServiceName and the like.")
    return _Columns(day, cost, keys, series_id, first(("ChargeCategory",)), first(("BillingCurrency", "currency")))


def _take(
    row: Mapping[str, str | None],
    columns: _Columns,
    sums: dict[tuple[str, bool], dict[date, Decimal]],
    names: dict[str, str],
) -> str:
    """Add one row to its series; return what is wrong with it, or nothing."""
    text = (row.get(columns.day) or "").strip()
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return f'{columns.day} "{text}" is not a day'
    text = (row.get(columns.cost) or "").strip()
    try:
        cost = Decimal(text)
    except InvalidOperation:
        return f'{columns.cost} "{text}" is not a number'
    if not cost.is_finite() or abs(cost) >= Decimal("1e15"):
        return f'{columns.cost} "{text}" is not an amount of money'
    name = (row.get(columns.series_id) or "").strip() if columns.series_id else ""
    name = name or "|".join((row.get(column) or "").strip() for column in columns.keys)
    currency = (row.get(columns.currency) or "").strip() if columns.currency else ""
    known = names.setdefault(name, currency)
    if known != currency:
        return f"series {name} is in {known} elsewhere and in {currency} here"
    category = (row.get(columns.category) or "").strip() if columns.category else ""
    apart = category not in {"", str(ChargeCategory.USAGE)}
    days = sums.setdefault((name, apart), {})
    days[day] = EXACT.add(days.get(day, Decimal(0)), cost)
    return ""


def _assembled(
    path: Path,
    sums: dict[tuple[str, bool], dict[date, Decimal]],
    names: dict[str, str],
    problems: list[str],
) -> DailyFile:
    first = min(min(days) for days in sums.values())
    last = max(max(days) for days in sums.values())
    if (last - first).days > 366 * LONGEST_YEARS:
        raise InputError(f"{path} runs from {first} to {last}: too long to replay.", fix="Cut it to ten years.")
    span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    made: dict[bool, list[DailySeries]] = {False: [], True: []}
    for (name, apart), days in sorted(sums.items()):
        currency = names[name]
        values = tuple(days.get(day, Decimal(0)) for day in span)
        made[apart].append(DailySeries(((SERIES_ID, name),), first, values, currency))
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
