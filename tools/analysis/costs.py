"""Costs: answers every question about cost from the stored facts, each answer with its receipt and its coverage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select

from tools.collection import coverage as coverages
from tools.collection import freshness
from tools.model.allocation import Ruleset
from tools.model.errors import InputError
from tools.model.money import EXACT, join
from tools.model.period import Period
from tools.model.query import (
    TAG,
    CostQuery,
    CostRow,
    CostTable,
    Coverage,
    Dimension,
    Filter,
    Granularity,
    Receipt,
    is_allocation,
)
from tools.model.series import DailySeries
from tools.store import allocation as allocation_store
from tools.store import charges, facts, loads
from tools.store.database import Database
from tools.store.fact_tables import DETAIL
from tools.store.loads import LedgerLine

_RECENT = timedelta(days=60)
# Resources are many: two weeks tell which are dear.
_RECENT_DETAIL = timedelta(days=14)
_CLOSE = 60


@dataclass(frozen=True, slots=True)
class Look:
    """What one consistent read of the database found."""

    rows: tuple[CostRow, ...]
    receipt: Receipt
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost data of one customer. Every method is one consistent look; costs of two currencies never mix."""

    database: Database
    tenant: str
    tag_keys: tuple[str, ...]
    provisional_days: int

    def table(self, query: CostQuery) -> CostTable:
        """Rows by time, then most expensive first; `limit` keeps the most expensive combinations of `by`.

        `totals` count what the limit left out as well; `truncated` says how many combinations that is.
        """
        look = self._look(query)
        rows, left_out = _limited(look.rows, query.limit)
        return CostTable(query, rows, totals(look.rows), look.receipt, look.coverage, left_out)

    def series(self, query: CostQuery) -> tuple[DailySeries, ...]:
        """Cost per day over the whole period, one series per combination of `by` and currency, largest first.

        A day without rows is 0. Raises InputError when a price is missing: unknown is not 0.
        """
        look = self._look(replace(query, granularity=Granularity.DAY))
        days: dict[tuple[tuple[str, ...], str], dict[date, Decimal]] = defaultdict(dict)
        for row in look.rows:
            if row.cost is None:
                raise InputError(
                    f"The {query.metric} cost of {row.start} is unknown: a price is missing in the bill.",
                    fix="Ask for billed or effective cost.",
                )
            days[row.keys, row.currency][row.start] = row.cost
        every = [
            DailySeries(
                tuple(zip(query.by, keys, strict=True)),
                query.period.start,
                tuple(costs.get(day, Decimal(0)) for day in query.period),
                currency,
            )
            for (keys, currency), costs in days.items()
        ]
        every.sort(key=lambda s: (-sum(s.values), s.keys, s.currency))
        return tuple(every[: query.limit])

    def values(self, dimension: str, limit: int = 500) -> tuple[str, ...]:
        """Known values, the most expensive of the last 60 days of data first, then the others by name."""
        if is_allocation(dimension):
            from tools.analysis import allocation

            return allocation.payers(self, dimension)[:limit]
        with self.database.read() as tx:
            lines = loads.ledger(tx, self.tenant)
            whole = freshness.span(lines)
            if whole is None:
                return ()
            slots = loads.slots(tx, self.tenant)
            back = _RECENT_DETAIL if charges.level_for((dimension,)) == DETAIL else _RECENT
            recent = Period(max(whole.start, whole.end - back), whole.end)
            query = CostQuery(recent, by=(dimension,))
            ids = loads.of_days(lines, recent)
            rows = [_row(r, query, 1) for r in facts.sums(tx, self._statement(query, slots, ()), ids)[0]]
            rows.sort(key=lambda r: (-(r.cost or 0), r.keys))
            ranked = dict.fromkeys(r.keys[0] for r in rows if r.keys[0])
            if len(ranked) < limit:
                # Every series is looked through for these: only when there is room for them.
                known = charges.known_values(self.tenant, dimension, slots, limit)
                found = facts.rows(tx, known, loads.of_days(lines, whole))
                ranked |= dict.fromkeys(row.value for row in found)
        return tuple(ranked)[:limit]

    def close(self, dimension: str, value: str, limit: int = 5) -> tuple[str, ...]:
        """Known values that a mistyped one may mean, best first."""
        from rapidfuzz import fuzz, process, utils

        found = process.extract(
            value,
            self.values(dimension, 5000),
            scorer=fuzz.WRatio,
            processor=utils.default_process,
            limit=limit,
            score_cutoff=_CLOSE,
        )
        return tuple(name for name, _, _ in found)

    def spelled(self, wanted: Filter) -> Filter:
        """The filter with its values as the bill writes them, where only the case differs; others stay as they are."""
        by_folded: dict[str, list[str]] = defaultdict(list)
        for known in self.values(wanted.dimension, 5000):
            by_folded[known.casefold()].append(known)
        values: list[str] = []
        for value in wanted.values:
            same = by_folded.get(value.casefold(), [])
            values += [value] if value in same or not same else same
        return replace(wanted, values=tuple(dict.fromkeys(values)))

    def span(self) -> Period | None:
        """First to last day with data."""
        with self.database.read() as tx:
            return freshness.span(loads.ledger(tx, self.tenant))

    def coverage(self, period: Period | None = None) -> Coverage:
        """What stands loaded for a period, or for all of it."""
        with self.database.read() as tx:
            return coverages.of(tx, self.tenant, loads.ledger(tx, self.tenant), period, self.provisional_days)

    def currencies(self) -> tuple[str, ...]:
        """Billing currencies, most rows first."""
        with self.database.read() as tx:
            return loads.currencies(tx, self.tenant)

    def version(self) -> str:
        """Changes with every load that changed anything, and with every change of allocation rules."""
        with self.database.read() as tx:
            rules = allocation_store.count(tx, self.tenant)
            return loads.version(tx, self.tenant) + (f"-rules-{rules}" if rules else "")

    def _look(self, query: CostQuery) -> Look:
        with self.database.read() as tx:
            if any(is_allocation(d) for d in _asked(query)):
                from tools.analysis import allocation

                return allocation.look(self, tx, query)
            return self.seen(tx, query)

    def seen(self, tx: Connection, query: CostQuery, rules: Ruleset | None = None) -> Look:
        """One look at the stored facts; with `rules`, the keys end with the rule that is met (`tools.store.allocation.met`)."""
        lines = loads.ledger(tx, self.tenant)
        without_detail = _without_detail(query, lines)
        slots = loads.slots(tx, self.tenant)
        ids = loads.of_days(lines, query.period)
        classes = None
        if rules is not None:
            classes = allocation_store.classes(tx, self.tenant, rules, slots, load_ids=ids, asked=tuple(_asked(query)))
        dropped = [x.facts_id for x in without_detail]
        statement = self._statement(query, slots, dropped, classes)
        running = self._statement(query, slots, dropped, allocation_store.held(tx, classes)) if classes else statement
        width = len(query.by) + bool(classes)
        found, as_run = facts.sums(tx, running, ids)
        rows = tuple(_row(r, query, width) for r in found)
        as_of = max((x.loaded_at for x in lines), default=None)
        sql, parameters = facts.text_of(tx, as_run(statement), ids)
        receipt = Receipt(sql, parameters, sum(r.raw_rows for r in rows), as_of)
        coverage = coverages.of(tx, self.tenant, lines, query.period, self.provisional_days)
        missing = (*coverage.missing, *_gaps(query, lines, without_detail))
        return Look(ordered(rows), receipt, replace(coverage, missing=missing))

    def _statement(
        self,
        query: CostQuery,
        slots: dict[str, str],
        without_detail: Sequence[int],
        classes: charges.Classes | None = None,
    ) -> Select[Any]:
        return charges.question(
            self.tenant,
            period=query.period,
            by=query.by,
            where=query.where,
            metric=query.metric,
            granularity=query.granularity,
            slots=slots,
            without_detail=without_detail,
            classes=classes,
        )


def _asked(query: CostQuery) -> Iterator[str]:
    yield from query.by
    yield from (f.dimension for f in query.where)


def _row(found: Any, query: CostQuery, width: int) -> CostRow:
    start = query.period.start
    if query.granularity is Granularity.DAY:
        start = found.bucket
    elif query.granularity is Granularity.MONTH:
        start = max(start, date.fromisoformat(f"{found.bucket}-01"))
    return CostRow(
        keys=tuple(found[1 : 1 + width]),
        start=start,
        cost=None if found.unknown else join(found.micros, found.rest),
        currency=found.currency,
        raw_rows=int(found.raw_rows),
    )


def ordered(rows: Iterable[CostRow]) -> tuple[CostRow, ...]:
    """By time, then the most expensive first; what is unknown comes last."""
    return tuple(sorted(rows, key=lambda r: (r.start, r.cost is None, -(r.cost or Decimal(0)), r.keys, r.currency)))


def totals(rows: Sequence[CostRow]) -> tuple[tuple[str, Decimal | None], ...]:
    """Per currency, the currency with most rows first; one unknown cost makes the sum unknown."""
    sums: dict[str, Decimal | None] = {}
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        before = sums.get(row.currency, Decimal(0))
        sums[row.currency] = None if row.cost is None or before is None else EXACT.add(before, row.cost)
        counts[row.currency] += row.raw_rows
    return tuple((c, sums[c]) for c in sorted(sums, key=lambda c: (-counts[c], c)))


def _limited(rows: tuple[CostRow, ...], limit: int | None) -> tuple[tuple[CostRow, ...], int]:
    if limit is None:
        return rows, 0
    size: dict[tuple[tuple[str, ...], str], Decimal] = defaultdict(Decimal)
    for row in rows:
        size[row.keys, row.currency] = EXACT.add(size[row.keys, row.currency], row.cost or Decimal(0))
    kept = frozenset(sorted(size, key=lambda k: (-size[k], k))[:limit])
    return tuple(r for r in rows if (r.keys, r.currency) in kept), len(size) - len(kept)


def _touches(line: LedgerLine, period: Period) -> bool:
    return line.first_day < period.end and line.last_day >= period.start


def _without_detail(query: CostQuery, lines: Sequence[LedgerLine]) -> list[LedgerLine]:
    if charges.level_for(tuple(_asked(query))) != DETAIL:
        return []
    return [x for x in lines if not x.has_detail and _touches(x, query.period)]


def _gaps(query: CostQuery, lines: Sequence[LedgerLine], without_detail: Sequence[LedgerLine]) -> list[str]:
    """What the stored data cannot tell about this question, in words."""
    told = []
    if without_detail:
        newest = max(x.partition.billing_period for x in without_detail)
        told.append(f"no {Dimension.RESOURCE} and {Dimension.SKU} for the billing periods up to {newest:%Y-%m}")
    asked = {d.removeprefix(TAG) for d in _asked(query) if d.startswith(TAG)}
    for key in sorted(asked):
        before = [x for x in lines if key not in x.tag_keys and _touches(x, query.period)]
        if before:
            names = ", ".join(str(x.partition) for x in before[:3]) + (" ..." if len(before) > 3 else "")
            told.append(f"tag {key} was not kept when these were loaded (ingest them again): {names}")
    return told
