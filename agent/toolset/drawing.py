"""Drawing: makes small charts (20 points at most, what Slack draws natively) out of tables."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import ceil

from tools.model.fact import Chart, Table
from tools.model.money import EXACT

POINTS = 20
LINES = 5


def bars(table: Table) -> tuple[Chart, ...]:
    """One bar per row, the largest first; a row whose cost is unknown has none."""
    rows = [(str(r[0]), r[-1]) for r in table.rows if isinstance(r[-1], Decimal)][:POINTS]
    if len(rows) < 2:
        return ()
    labels = tuple(label for label, _ in rows)
    values = tuple(value for _, value in rows if isinstance(value, Decimal))
    return (Chart("bar", table.title, labels, ((table.columns[-1], values),), "money", table.currency),)


def lines(table: Table, *, split: bool) -> tuple[Chart, ...]:
    """Cost over time: one line, or one per name for the largest few. More than 20 moments are summed in equal steps."""
    moments = list(dict.fromkeys(str(r[0]) for r in table.rows if r[0]))
    if len(moments) < 2 or any(row[-1] is None for row in table.rows):
        # A cost that is unknown would be drawn as nothing.
        return ()
    sums: dict[str, dict[str, Decimal]] = {}
    for row in table.rows:
        if not row[0]:
            continue
        name = str(row[1]) if split else table.columns[-1]
        line = sums.setdefault(name, dict.fromkeys(moments, Decimal(0)))
        line[str(row[0])] = EXACT.add(line[str(row[0])], row[-1] if isinstance(row[-1], Decimal) else Decimal(0))
    step = ceil(len(moments) / POINTS)
    largest = sorted(sums, key=lambda n: -total_of(sums[n].values()))[:LINES]
    series = tuple((n, _summed(list(sums[n].values()), step)) for n in largest)
    title = table.title if step == 1 else f"{table.title}, summed over {step} {table.columns[0]}s each"
    return (Chart("line", title, tuple(moments[::step]), series, "money", table.currency),)


def _summed(values: list[Decimal], step: int) -> tuple[Decimal, ...]:
    return tuple(total_of(values[n : n + step]) for n in range(0, len(values), step))


def total_of(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
