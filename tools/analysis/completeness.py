"""Completeness: learns per provider how much of a day is in its bill one, two, three days later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tools.model.period import Period
from tools.model.query import CostQuery, Dimension, Filter, Granularity, Metric
from tools.store import sightings
from tools.store.sightings import Sighting

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

# A day this old does not change any more; younger ones are looked at each day.
FINAL = 7
REMEMBERED = timedelta(days=90)
# Days of a lag that must have been seen before it is believed, and the share that nearly all of them must reach.
FEWEST, ENOUGH, NEARLY_ALL = 10, 0.97, 0.1
_USAGE = Filter(str(Dimension.CHARGE_CATEGORY), ("Usage",))


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a day was in the bill at a lag: in the middle, and on a bad day (one in ten)."""

    usual: float
    bad: float
    days: int


def observe(costs: Costs, today: date) -> None:
    """Note what the bills say today of the days that may still change."""
    first = today - timedelta(days=FINAL)
    query = CostQuery(
        Period(first, today),
        by=(str(Dimension.PROVIDER),),
        where=(_USAGE,),
        metric=Metric.EFFECTIVE,
        granularity=Granularity.DAY,
    )
    seen = [
        Sighting(row.keys[0], row.currency, row.start, (today - row.start).days, row.cost)
        for row in costs.table(query).rows
        if row.cost is not None
    ]
    with costs.database.begin() as tx:
        sightings.note(tx, costs.tenant, seen)
        sightings.forget_before(tx, costs.tenant, today - REMEMBERED)


def learned(seen: Iterable[Sighting]) -> Mapping[tuple[str, int], Share]:
    """(provider, lag) -> the share of a day's final cost that was in by then. Pure."""
    days: dict[tuple[str, str, date], dict[int, float]] = defaultdict(dict)
    for one in seen:
        days[one.provider, one.currency, one.day][one.lag] = float(one.cost)
    shares: dict[tuple[str, int], list[float]] = defaultdict(list)
    for (provider, _, _), by_lag in days.items():
        final = by_lag.get(max(by_lag))
        if max(by_lag) >= FINAL and final:
            for lag, cost in by_lag.items():
                shares[provider, lag].append(min(cost / final, 1.0))
    return {key: _share(sorted(values)) for key, values in shares.items() if len(values) >= FEWEST}


def _share(ordered: list[float]) -> Share:
    return Share(ordered[len(ordered) // 2], ordered[int(NEARLY_ALL * (len(ordered) - 1))], len(ordered))


def settled_after(shares: Mapping[tuple[str, int], Share], providers: Iterable[str]) -> int | None:
    """The days after which every provider's bill of a day is nearly complete; None while that is not known of one."""
    needed = []
    for provider in providers:
        known = sorted(lag for name, lag in shares if name == provider)
        enough = [lag for lag in known if all(shares[provider, n].bad >= ENOUGH for n in known if n >= lag)]
        if not enough:
            return None
        needed.append(enough[0])
    return max(needed, default=None)


def of(costs: Costs, today: date) -> int | None:
    """The same for all providers of whom something was seen lately."""
    with costs.database.read() as tx:
        seen = sightings.since(tx, costs.tenant, today - REMEMBERED)
    return settled_after(learned(seen), sorted({one.provider for one in seen}))
