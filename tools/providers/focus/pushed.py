"""Pushed: the roll-up of a FOCUS export where it lies - by day, account, service, region, pricing and chosen tags.

Three statements: which tag keys there are, the roll-up, and control totals of the raw rows. What comes over is used
only when it adds up to the control totals, to the last digit.
"""

# ruff: noqa: S608 - this is the place where SQL text is made; names are checked, values are quoted or parameters
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Protocol

from tools.model.errors import ProviderError, TransientError
from tools.model.money import EXACT, plain
from tools.model.period import Period
from tools.providers.focus.rows import charge_days, start_of, tags_text
from tools.providers.focus.tags import squeeze

# What the second level of facts is split by (tools/collection/levels.py), beside the day and the tags.
DIMENSIONS = (
    "SubAccountId",
    "SubAccountName",
    "ServiceName",
    "ServiceCategory",
    "ChargeCategory",
    "ChargeClass",
    "BillingCurrency",
    "RegionId",
    "PricingCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountStatus",
)
AMOUNTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
# An export that lacks one of these is none; a bill may leave out the last two amounts.
NEEDED = ("BillingAccountId", "BillingPeriodStart", "ChargePeriodStart", "ChargeCategory", *AMOUNTS[:2])
_PROVIDERS = ("ServiceProviderName", "ProviderName")
Cells = Sequence[str | None]


class Words(Protocol):
    """What an engine says its own way. Columns are FOCUS names; `tag` is a raw key, for whose value text is wanted."""

    def day(self, column: str) -> str: ...

    def number(self, column: str) -> str: ...

    def value(self, tag: str) -> str: ...

    def no_text(self) -> str: ...

    def no_number(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Totals:
    """Control totals of one currency: rows, then exact sums and how many rows lack the amount, in order of AMOUNTS."""

    rows: int
    sums: tuple[Decimal, ...]
    unknown: tuple[int, ...]


def spellings(found: Iterable[str], tag_keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each key that is kept, the raw keys that mean it: the exact one first, as `tags.pick` chooses."""
    ordered = sorted(set(found), key=lambda k: (k.strip() not in tag_keys, k))
    return {key: tuple(raw for raw in ordered if squeeze(raw) == squeeze(key)) for key in tag_keys}


def rollup(words: Words, source: str, where: str, has: Sequence[str], meant: Mapping[str, Sequence[str]]) -> str:
    """SELECT day, provider, DIMENSIONS, tags, then per amount its sum and how many rows lack it, and the rows."""
    keys = {
        "day": words.day("ChargePeriodStart"),
        "provider": next((p for p in _PROVIDERS if p in has), words.no_text()),
        **{name: name if name in has else words.no_text() for name in DIMENSIONS},
        **{f"tag_{n}": _picked(words, raw) for n, raw in enumerate(meant.values())},
    }
    inner = ", ".join(f"{sql} AS k{n}" for n, sql in enumerate(keys.values()))
    places = ", ".join(str(n + 1) for n in range(len(keys)))
    names = ", ".join(f"k{n}" for n in range(len(keys)))
    return f"WITH part AS (SELECT {inner}, {_amounts(words, has)} FROM {source} WHERE {where}) SELECT {names}, {_SUMS} FROM part GROUP BY {places}"


def control(words: Words, source: str, where: str, has: Sequence[str]) -> str:
    """SELECT currency, then the same figures as `rollup`, of the raw rows."""
    currency = "BillingCurrency" if "BillingCurrency" in has else words.no_text()
    return f"WITH part AS (SELECT {currency} AS k0, {_amounts(words, has)} FROM {source} WHERE {where}) SELECT k0, {_SUMS} FROM part GROUP BY 1"


def _amounts(words: Words, has: Sequence[str]) -> str:
    return ", ".join(
        f"{words.number(name) if name in has else words.no_number()} AS a{n}" for n, name in enumerate(AMOUNTS)
    )


_SUMS = ", ".join(f"SUM(a{n}) AS s{n}, COUNT(*) - COUNT(a{n}) AS u{n}" for n in range(len(AMOUNTS))) + ", COUNT(*) AS n"


def _picked(words: Words, raw: Sequence[str]) -> str:
    values = [f"NULLIF(TRIM({words.value(one)}), '')" for one in raw]
    return f"COALESCE({', '.join(values)}, '')" if values else words.no_text()


def totals(rows: Iterable[Cells]) -> dict[str, Totals]:
    """What `control` told, per currency."""
    return {row[0] or "": _figures(row[1:]) for row in rows}


def charges(
    rows: Iterable[Cells], wanted: Mapping[str, Totals], tag_keys: Sequence[str], account: str, period: Period
) -> Iterator[dict[str, str]]:
    """Rolled rows as FOCUS rows. At the end they must add up to the control totals, else a TransientError is raised."""
    sums: dict[str, Totals] = {}
    first = 2 + len(DIMENSIONS)
    for row in rows:
        figures = _figures(row[first + len(tag_keys) :])
        named = dict(zip(DIMENSIONS, (cell or "" for cell in row[2:first]), strict=True))
        tags = zip(tag_keys, row[first : first + len(tag_keys)], strict=True)
        sums[named["BillingCurrency"]] = _added(sums.get(named["BillingCurrency"]), figures)
        costs = zip(AMOUNTS, figures.sums, figures.unknown, strict=True)
        yield {
            **named,
            # A total of which one part is unknown is unknown.
            **{name: "" if missing else plain(amount) for name, amount, missing in costs},
            **charge_days(_day(row[0])),
            "ServiceProviderName": row[1] or "",
            "BillingAccountId": account,
            "BillingPeriodStart": start_of(period.start),
            "BillingPeriodEnd": start_of(period.end),
            "Tags": tags_text((key, value) for key, value in tags if value),
        }
    if sums != dict(wanted):
        raise TransientError(
            f"What was added up of {account} in {period} is not what its rows add up to; none of it is used.",
            fix="The export may have changed meanwhile: it is read again at the next collection.",
        )


def _added(before: Totals | None, more: Totals) -> Totals:
    if before is None:
        return more
    return Totals(
        before.rows + more.rows,
        tuple(EXACT.add(a, b) for a, b in zip(before.sums, more.sums, strict=True)),
        tuple(a + b for a, b in zip(before.unknown, more.unknown, strict=True)),
    )


def _figures(cells: Cells) -> Totals:
    try:
        pairs = [(Decimal(cells[n] or 0), int(cells[n + 1] or 0)) for n in range(0, 2 * len(AMOUNTS), 2)]
        found = Totals(int(cells[2 * len(AMOUNTS)] or 0), tuple(s for s, _ in pairs), tuple(u for _, u in pairs))
    except (InvalidOperation, ValueError, IndexError):
        raise _strange("a sum") from None
    if not all(amount.is_finite() for amount in found.sums):
        raise _strange("a sum")
    return found


def _day(text: str | None) -> date:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        raise _strange("a day") from None


def _strange(what: str) -> ProviderError:
    return ProviderError(
        f"The cost export tells {what} that cannot be read; nothing of this month is used.",
        fix="Check that the table is a FOCUS export.",
    )


def quoted(text: str) -> str:
    """A text literal of standard SQL."""
    return "'" + text.replace("'", "''") + "'"
