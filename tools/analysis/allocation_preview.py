"""Allocation preview: what rules would move, what each catches, and which of them can never count."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from tools.analysis import allocation_rules
from tools.analysis.allocation import add, give
from tools.analysis.costs import Costs, Look, totals
from tools.model.allocation import UNALLOCATED, Hit, Move, Part, Preview, Ruleset, RulesVersion, is_glob
from tools.model.period import Period
from tools.model.query import TAG, CostQuery, Metric
from tools.store import allocation as store

# Rules without a hit that are looked into one by one.
_LOOKED_INTO = 25


def window(costs: Costs, today: date) -> Period | None:
    """The last whole month before today that has costs; a month that is not whole when there is no other; or None."""
    span = costs.span()
    if span is None:
        return None
    first = min(today, span.end).replace(day=1)
    before = Period((first - timedelta(days=1)).replace(day=1), first)
    return before if before.end > span.start else Period(span.start, span.end)


def preview(costs: Costs, rules: Ruleset, period: Period | None, *, metric: Metric = Metric.BILLED) -> Preview:
    """Try rules on a window of stored costs (None: there are none); nothing is changed."""
    shadows = allocation_rules.shadowed(rules)
    told = [
        f'"{rules.rules[n].name}" can never count: all that it fits goes to "{rules.rules[earlier].name}" before it'
        for n, earlier in shadows.items()
    ]
    told += [
        f"pool {pool.name} is filled by no rule"
        for pool in rules.pools
        if all(rule.pool != pool.name for rule in rules.rules)
        and all(pool.name not in other.named for other in rules.pools)
    ]
    with costs.database.read() as tx:
        standing = next((v for v in store.active(tx, costs.tenant) if v.dimension == rules.dimension), None)
        if period is None:
            told.append("no costs are stored, so it cannot be told what the rules catch")
            return Preview(rules, standing, None, metric, (), (), tuple(told))
        query = CostQuery(period, metric=metric)
        after = give(costs, tx, query, rules)
        before = _before(costs, tx, query, standing, after.look)
        hits = _hits(rules, after.look)
        idle = [n for n, hit in enumerate(hits) if hit.rule and not hit.raw_rows and n not in shadows]
        told += [_why_idle(costs, tx, query, rules, n) for n in idle[:_LOOKED_INTO]]
    told += [f'"{rules.rules[n].name}" catches nothing ({period})' for n in idle[_LOOKED_INTO:]]
    told += _strangers(rules, after.parts)
    return Preview(rules, standing, period, metric, _moves(before, after.parts), hits, (*told, *after.notes))


def _before(
    costs: Costs, tx: Connection, query: CostQuery, standing: RulesVersion | None, whole: Look
) -> tuple[Part, ...]:
    """By the rules that count now; without any, everything is nobody's."""
    if standing is not None:
        return give(costs, tx, query, allocation_rules.parse(standing.source, costs.tag_keys)).parts
    nothing = Decimal(0)
    return tuple(
        Part(UNALLOCATED, (), query.period.start, currency, total, nothing, whole.receipt.rows)
        for currency, total in totals(whole.rows)
    )


def _hits(rules: Ruleset, seen: Look) -> tuple[Hit, ...]:
    rows = [0] * (len(rules.rules) + 1)
    costs: list[dict[str, Decimal | None]] = [{} for _ in rows]
    for row in seen.rows:
        number, _ = store.met(row.keys[-1])
        rows[number] += row.raw_rows
        costs[number][row.currency] = add(costs[number].get(row.currency, Decimal(0)), row.cost)
    made = [Hit(rule, rows[n], tuple(sorted(costs[n].items()))) for n, rule in enumerate(rules.rules, 1)]
    return (*made, Hit(None, rows[0], tuple(sorted(costs[0].items()))))


def _why_idle(costs: Costs, tx: Connection, query: CostQuery, rules: Ruleset, n: int) -> str:
    """A rule that caught nothing: its costs are taken before it, or there are none, perhaps for a slip of the pen."""
    rule = rules.rules[n]
    alone = _hits(Ruleset(rules.dimension, (rule,)), costs.seen(tx, query, Ruleset(rules.dimension, (rule,))))
    if alone[0].raw_rows:
        return (
            f'"{rule.name}" catches nothing ({query.period}): what it fits ({alone[0].raw_rows} of the bill\'s lines) '
            "is taken by rules before it"
        )
    for condition in rule.conditions:
        for value in condition.wanted:
            if value and not is_glob(value) and not any(condition.fits(v) for v in costs.values(condition.dimension)):
                close = costs.close(condition.dimension, value, 2)
                meant = f" (did you mean {' or '.join(close)}?)" if close else ""
                word = condition.dimension.removeprefix(TAG)
                return f'"{rule.name}" catches nothing ({query.period}): no cost has the {word} "{value}"{meant}'
    return f'"{rule.name}" catches nothing ({query.period})'


def _strangers(rules: Ruleset, parts: Sequence[Part]) -> list[str]:
    """Names in pools that no rule names and that no value named either."""
    pools = {pool.name for pool in rules.pools}
    known = {part.payer.casefold() for part in parts if part.raw_rows} | set(rules.spellings)
    return [
        f"pool {pool.name} gives to {name}, who has no cost of their own"
        for pool in rules.pools
        for name in pool.named
        if name not in pools and name.casefold() not in known
    ]


def _moves(before: Sequence[Part], after: Sequence[Part]) -> tuple[Move, ...]:
    sums: dict[tuple[str, str], list[Decimal | None]] = {}
    for side, parts in enumerate((before, after)):
        for part in parts:
            both = sums.setdefault((part.payer, part.currency), [Decimal(0), Decimal(0)])
            both[side] = add(both[side], add(part.direct, part.shared))
    made = [Move(payer, currency, old, new) for (payer, currency), (old, new) in sums.items()]
    return tuple(sorted(made, key=lambda m: (m.currency, not m.payer, -(m.after or Decimal(0)), m.payer)))
