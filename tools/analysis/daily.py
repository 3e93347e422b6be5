"""Daily: stored cost per day of many series as one table of exact integers, read without an object per number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tools.model.money import join
from tools.model.period import Period
from tools.model.query import Filter, Granularity, Metric
from tools.model.series import DailySeries

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.numbers import Floats

CURRENCY = "currency"
# (dimension, value) pairs, the currency last.
Name = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Daily:
    """One row per name, one column per day from `start`. `micros` and `rest` are tools.model.money's two integers."""

    start: date
    names: tuple[Name, ...]
    micros: Floats
    rest: Floats

    @property
    def end(self) -> date:
        return self.start + timedelta(days=int(self.micros.shape[1]))

    @property
    def values(self) -> Floats:
        """Money as floats."""
        return self.micros / 1e6 + self.rest / 1e18

    def series(self, row: int) -> DailySeries:
        """One row, exact."""
        name = self.names[row]
        amounts = tuple(map(join, self.micros[row].tolist(), self.rest[row].tolist()))
        return DailySeries(name[:-1], self.start, amounts, name[-1][1])

    def between(self, first: date, end: date) -> Daily:
        """The days from `first` to `end` (excluded)."""
        days = slice((first - self.start).days, (end - self.start).days)
        return Daily(first, self.names, self.micros[:, days], self.rest[:, days])

    def named(self, names: Sequence[Name]) -> Daily:
        """The rows of these names in this order; nothing but zeros for one that is not here."""
        import numpy as np

        places = {name: row for row, name in enumerate(self.names)}
        new = [n for n, name in enumerate(names) if name in places]
        old = [places[names[n]] for n in new]
        made = Daily(self.start, tuple(names), *(np.zeros((len(names), self.micros.shape[1]), np.int64) for _ in "ab"))
        made.micros[new], made.rest[new] = self.micros[old], self.rest[old]
        return made

    def gathered(self, by: Sequence[str]) -> Daily:
        """Rows added up by fewer dimensions; those without a value of one of them are left out."""
        import numpy as np

        places: dict[Name, int] = {}
        to = []
        for name in self.names:
            known = dict(name)
            if all(known[dimension] for dimension in by):
                key = (*((dimension, known[dimension]) for dimension in by), name[-1])
                to.append(places.setdefault(key, len(places)))
            else:
                to.append(-1)
        which, rows = np.array(to, dtype=int), np.arange(len(to))
        made = Daily(
            self.start, tuple(places), *(np.zeros((len(places), self.micros.shape[1]), np.int64) for _ in "ab")
        )
        kept = rows[which >= 0]
        np.add.at(made.micros, which[kept], self.micros[kept])
        np.add.at(made.rest, which[kept], self.rest[kept])
        return made


def stacked(parts: Iterable[Daily]) -> Daily:
    """Tables of the same days, one below the other."""
    import numpy as np

    every = tuple(parts)
    names = tuple(name for part in every for name in part.names)
    return Daily(every[0].start, names, *(np.concatenate([getattr(p, n) for p in every]) for n in ("micros", "rest")))


def joined(before: Daily, after: Daily) -> Daily:
    """Two tables of the same names, the second of the days that follow those of the first."""
    import numpy as np

    return Daily(
        before.start, before.names, *(np.hstack([getattr(p, n) for p in (before, after)]) for n in ("micros", "rest"))
    )


def read(costs: Costs, period: Period, *, by: tuple[str, ...], where: tuple[Filter, ...], metric: Metric) -> Daily:
    """Cost per day of every combination of `by` and currency; a day without rows is 0."""
    import numpy as np

    from tools.store import charges, facts, loads

    with costs.database.read() as tx:
        statement = charges.question(
            costs.tenant,
            period=period,
            by=by,
            where=where,
            metric=metric,
            granularity=Granularity.DAY,
            slots=loads.slots(tx, costs.tenant),
        )
        found, _ = facts.sums(tx, statement, loads.of_days(loads.ledger(tx, costs.tenant), period))
    places: dict[tuple[str, ...], int] = {}
    days = {day: n for n, day in enumerate(period)}
    width = len(by) + 1
    at = [places.setdefault(tuple(row[1 : 1 + width]), len(places)) for row in found]
    names = tuple(tuple(zip((*by, CURRENCY), keys, strict=True)) for keys in places)
    made = Daily(period.start, names, *(np.zeros((len(names), period.days), np.int64) for _ in "ab"))
    if found:
        columns = [days[row[0]] for row in found]
        made.micros[at, columns] = [int(row[1 + width]) for row in found]
        made.rest[at, columns] = [int(row[2 + width]) for row in found]
    return made
