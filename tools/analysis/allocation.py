"""Allocation: stored costs by who pays for them - by the stored rules, shared cost split, every digit accounted for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from tools.analysis import allocation_rules, splitting
from tools.analysis.costs import Costs, Look, ordered, totals
from tools.analysis.splitting import NOBODY, Weights
from tools.model.allocation import UNALLOCATED, Line, Part, Report, Ruleset, RulesVersion
from tools.model.errors import InputError, OptiInfraError, UnknownDimensionError
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import (
    ALLOCATION,
    CostQuery,
    CostRow,
    Filter,
    Granularity,
    Metric,
    is_allocation,
)
from tools.store import allocation as store

if TYPE_CHECKING:
    from tools.analysis.rates import Rates

_SHARE = Decimal("0.000001")
Place = tuple[str, tuple[str, ...], date, str]


class ConservationError(OptiInfraError):
    """What was given to payers is not what the bill says: nothing is told rather than something wrong."""

    code = "conservation"


def current(tx: Connection, costs: Costs, dimension: str = ALLOCATION) -> tuple[RulesVersion, Ruleset]:
    """The rules that count for "allocation" or "allocation:NAME"; raises InputError where that names none, or several."""
    standing = store.active(tx, costs.tenant)
    wanted = dimension.removeprefix(ALLOCATION).removeprefix(":")
    found = [version for version in standing if wanted in {"", version.dimension}]
    if len(found) == 1:
        return found[0], allocation_rules.parse(found[0].source, costs.tag_keys)
    known = ", ".join(f"{ALLOCATION}:{version.dimension}" for version in standing)
    if not standing:
        raise InputError("No allocation rules are stored.", fix="Store some: optiinfra allocation apply FILE --as USER")
    if not found:
        raise UnknownDimensionError(f'There are no allocation rules called "{wanted}".', fix=f"Use one of: {known}.")
    raise UnknownDimensionError("There are several allocation dimensions.", fix=f"Say which: {known}.")


def look(costs: Costs, tx: Connection, query: CostQuery) -> Look:
    """A question that splits or filters by who pays; shared cost is part of each one's cost."""
    asked = {d for d in (*query.by, *(f.dimension for f in query.where)) if is_allocation(d)}
    if len(asked) > 1 or sum(is_allocation(d) for d in query.by) > 1:
        raise InputError("One allocation dimension can be asked at a time.", fix="Ask for the other one by itself.")
    version, rules = current(tx, costs, next(iter(asked)))
    plain = replace(
        query,
        by=tuple(d for d in query.by if not is_allocation(d)),
        where=tuple(f for f in query.where if not is_allocation(f.dimension)),
    )
    given = give(costs, tx, plain, rules)
    kept = _kept(given.parts, [f for f in query.where if is_allocation(f.dimension)])
    place = next((n for n, d in enumerate(query.by) if is_allocation(d)), None)
    rows = _rows(kept, place)
    sql = f"-- allocation {version.dimension}, version {version.version}; pools are split after this\n"
    receipt = replace(given.look.receipt, sql=sql + given.look.receipt.sql)
    return Look(ordered(rows), receipt, replace(given.look.coverage, missing=given.missing))


def _kept(parts: Iterable[Part], filters: Sequence[Filter]) -> Iterator[Part]:
    for part in parts:
        if all((part.payer in f.values) != f.exclude for f in filters):
            yield part


def _rows(parts: Iterable[Part], place: int | None) -> list[CostRow]:
    """Parts as rows of an answer; without a place for the payer they are added up over payers."""
    sums: dict[tuple[tuple[str, ...], date, str], tuple[Decimal | None, int]] = {}
    for part in parts:
        keys = part.keys if place is None else (*part.keys[:place], part.payer, *part.keys[place:])
        cost, rows = sums.get((keys, part.start, part.currency), (Decimal(0), 0))
        whole = add(cost, add(part.direct, part.shared))
        sums[keys, part.start, part.currency] = whole, rows + part.raw_rows
    return [CostRow(keys, start, cost, currency, rows) for (keys, start, currency), (cost, rows) in sums.items()]


def payers(costs: Costs, dimension: str) -> tuple[str, ...]:
    """Everybody whom the rules name, in their order, then those whom values name, the most expensive first."""
    with costs.database.read() as tx:
        _, rules = current(tx, costs, dimension)
    named = [rule.to for rule in rules.rules if rule.to]
    spelt = rules.spellings
    for rule in rules.rules:
        if rule.value_of:
            own = [c for c in rule.conditions if c.dimension == rule.value_of]
            known = [v for v in costs.values(rule.value_of, 5000) if all(c.fits(v) for c in own)]
            named += [spelt.get(value.casefold(), value) for value in known]
    pools = {pool.name for pool in rules.pools}
    named += [spelt.get(name.casefold(), name) for pool in rules.pools for name in pool.named if name not in pools]
    return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True)
class Given:
    """What came of a question by the rules. `look` holds the rows by rule; `notes` say what could not be split."""

    parts: tuple[Part, ...]
    look: Look
    notes: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        return (*self.look.coverage.missing, *self.notes)


def give(costs: Costs, tx: Connection, query: CostQuery, rules: Ruleset) -> Given:
    """Give every cost of a question (that does not ask who pays) to somebody, or to nobody.

    Pools are split month by month, by what payers have of their own in those days of the month - also where the
    question looks at a part of it only (one service, one day). So days add up to months, and months to more.
    """
    fine = Granularity.DAY if query.granularity is Granularity.DAY else Granularity.MONTH
    seen = costs.seen(tx, replace(query, granularity=fine, limit=None), rules)
    months: dict[tuple[date, str], dict[str, Weights]] = {}
    if rules.pools:
        whole = CostQuery(query.period, metric=query.metric, granularity=Granularity.MONTH)
        alike = not query.by and not query.where and fine is Granularity.MONTH
        months = _weights(seen if alike else costs.seen(tx, whole, rules), rules)
    sums: dict[Place, _Sum] = defaultdict(_Sum)
    spelt = rules.spellings
    for row in seen.rows:
        payer, pool = _target(row, rules, spelt)
        start = query.period.start if query.granularity is Granularity.TOTAL else row.start
        keys = row.keys[:-1]
        if not pool:
            sums[payer, keys, start, row.currency].take(row)
            continue
        weights = months.get((row.start.replace(day=1), row.currency), {}).get(pool, NOBODY)
        for name, part in weights.of(row.cost).items():
            sums[name, keys, start, row.currency].share(part)
    parts = tuple(Part(*place, s.direct, s.shared, s.rows) for place, s in sums.items() if s.counts)
    notes = dict.fromkeys(
        f"{weights.note} ({month:%Y-%m}, {currency})"
        for (month, currency), pools in sorted(months.items())
        for weights in pools.values()
        if weights.note
    )
    return Given(parts, seen, tuple(notes))


@dataclass(slots=True)
class _Sum:
    direct: Decimal | None = Decimal(0)
    shared: Decimal | None = Decimal(0)
    rows: int = 0

    def take(self, row: CostRow) -> None:
        self.direct = add(self.direct, row.cost)
        self.rows += row.raw_rows

    def share(self, part: Decimal | None) -> None:
        self.shared = add(self.shared, part)

    @property
    def counts(self) -> bool:
        return bool(self.rows) or self.direct != 0 or self.shared != 0


def _target(row: CostRow, rules: Ruleset, spelt: dict[str, str]) -> tuple[str, str]:
    """(who pays, '') or ('', pool)."""
    number, named = store.met(row.keys[-1])
    if not number:
        return UNALLOCATED, ""
    rule = rules.rules[number - 1]
    if rule.pool:
        return UNALLOCATED, rule.pool
    return rule.to or spelt.get(named.casefold(), named), ""


def _weights(seen: Look, rules: Ruleset) -> dict[tuple[date, str], dict[str, Weights]]:
    """Per month and currency: how each pool with cost in it is split."""
    direct: dict[tuple[date, str], dict[str, Decimal | None]] = defaultdict(dict)
    pooled: dict[tuple[date, str], dict[str, Decimal | None]] = defaultdict(dict)
    spelt = rules.spellings
    for row in seen.rows:
        place = (row.start.replace(day=1), row.currency)
        payer, pool = _target(row, rules, spelt)
        into, name = (pooled[place], pool) if pool else (direct[place], payer)
        into[name] = add(into.get(name, Decimal(0)), row.cost)
    return {
        place: {
            name: weights
            for name, weights in splitting.weigh(rules, direct[place], pools).items()
            if name in pools or weights.names != NOBODY.names
        }
        for place, pools in pooled.items()
    }


def add(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    """Exactly; one unknown makes the sum unknown."""
    return None if a is None or b is None else EXACT.add(a, b)


def report(
    costs: Costs,
    period: Period,
    *,
    dimension: str = ALLOCATION,
    metric: Metric = Metric.BILLED,
    where: tuple[Filter, ...] = (),
    version: int | None = None,
    rates: Rates | None = None,
    currency: str = "",
) -> Report:
    """Who pays for what, checked against the bill; `version` takes earlier rules than those that count now.

    With `rates`, everything in one `currency`, each day at its own rate. Raises ConservationError when the parts do
    not add up to the bill.
    """
    query = CostQuery(period, where=where, metric=metric, granularity=Granularity.DAY if rates else Granularity.TOTAL)
    with costs.database.read() as tx:
        used, rules = current(tx, costs, dimension)
        if version is not None and version != used.version:
            used, rules = _earlier(tx, costs, used.dimension, version)
        given = give(costs, tx, query, rules)
        bill = costs.seen(tx, replace(query, granularity=Granularity.TOTAL))
    _check(given.parts, bill)
    parts = _converted(given.parts, rates, currency) if rates else given.parts
    lines = _lines(parts)
    rows = [CostRow((), period.start, line.total, line.currency, 1) for line in lines]
    whole = dict(totals(rows)) if rates else dict(totals(bill.rows))
    lines = [replace(line, share=_share(line.total, whole.get(line.currency))) for line in lines]
    lines.sort(key=lambda x: (x.currency, x.payer == UNALLOCATED, -(x.total or Decimal(0)), x.payer))
    sql = f"-- allocation {used.dimension}, version {used.version}; pools are split after this\n"
    receipt = replace(given.look.receipt, sql=sql + given.look.receipt.sql)
    coverage = replace(given.look.coverage, missing=given.missing)
    return Report(used, period, metric, tuple(lines), tuple(whole.items()), receipt, coverage)


def _earlier(tx: Connection, costs: Costs, dimension: str, number: int) -> tuple[RulesVersion, Ruleset]:
    for version in store.history(tx, costs.tenant, dimension):
        if version.version == number and not version.removed:
            return version, allocation_rules.parse(version.source, costs.tag_keys)
    raise InputError(
        f"The rules {dimension} have no version {number}.", fix="`optiinfra allocation history` lists them."
    )


def _check(parts: Sequence[Part], bill: Look) -> None:
    sums: dict[str, Decimal | None] = {}
    for part in parts:
        sums[part.currency] = add(sums.get(part.currency, Decimal(0)), add(part.direct, part.shared))
    for currency, total in totals(bill.rows):
        if sums.get(currency, Decimal(0)) != total:
            raise ConservationError(
                f"The allocation adds up to {sums.get(currency)} {currency} and the bill to {total}: it is not told.",
                fix="Please report this; `optiinfra costs` is not concerned.",
            )


def _converted(parts: Iterable[Part], rates: Rates, currency: str) -> list[Part]:
    made = []
    for part in parts:
        rate = rates.on(part.start, part.currency, currency)
        direct, shared = (None if x is None else EXACT.multiply(x, rate) for x in (part.direct, part.shared))
        made.append(replace(part, currency=currency, direct=direct, shared=shared))
    return made


def _lines(parts: Iterable[Part]) -> list[Line]:
    sums: dict[tuple[str, str], tuple[Decimal | None, Decimal | None]] = {}
    for part in parts:
        direct, shared = sums.get((part.payer, part.currency), (Decimal(0), Decimal(0)))
        sums[part.payer, part.currency] = add(direct, part.direct), add(shared, part.shared)
    return [
        Line(payer, currency, direct, shared, add(direct, shared), None)
        for (payer, currency), (direct, shared) in sums.items()
    ]


def _share(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    return None if part is None or not whole else EXACT.quantize(EXACT.divide(part, whole), _SHARE)
