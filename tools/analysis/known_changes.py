"""Known changes: what a forecast cannot learn from the past - commitments that end, and approved savings on their way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis.numbers import total
from tools.analysis.words import money
from tools.model.forecast import Forecast, ForecastPoint
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import CostQuery, Dimension, Filter, Metric
from tools.model.resource import Resource
from tools.model.rollout import Rollout, State

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

# Approved by a person and not yet whole; one that waits for the next approval saves what it has reached already.
ON_ITS_WAY = (State.APPROVED, State.PREFLIGHT, State.EXECUTING, State.BAKING, State.FINALISING)
COMMITMENT = "commitment"
MONTH_DAYS = Decimal("30.4")
RECENT_DAYS = 28
CENT = Decimal("0.0001")
_PROVIDER, _ACCOUNT = str(Dimension.PROVIDER), str(Dimension.SUB_ACCOUNT)
# By these a change knows where it belongs.
PLACES = frozenset({_PROVIDER, _ACCOUNT, str(Dimension.CURRENCY)})


@dataclass(frozen=True, slots=True)
class Known:
    """From `day` on, cost is `a_day` higher (or lower) than the past says, in this place; `what` says why."""

    day: date
    a_day: Decimal
    currency: str
    provider: str
    account: str
    what: str


def of(costs: Costs, today: date, until: date) -> tuple[Known, ...]:
    """What is known to change between `today` and `until`."""
    from tools.store import resources, rollouts

    with costs.database.read() as tx:
        going = rollouts.listing(tx, costs.tenant, states=ON_ITS_WAY)
        held = resources.all_of(tx, costs.tenant, kind=COMMITMENT)
    ending = tuple(one for one in held if _ends(one, today, until) is not None)
    saved = _saved_a_day(costs, today) if ending else {}
    return (*savings(going, today), *expiries(ending, saved, today, until))


def savings(going: Iterable[Rollout], today: date) -> tuple[Known, ...]:
    """Savings of approved rollouts that are not in the bills yet: the stages still to be done, from tomorrow on. Pure."""
    out = []
    for one in going:
        done = Decimal(one.plan.stages[one.stage - 1].percent if 0 < one.stage <= len(one.plan.stages) else 0)
        rest = EXACT.multiply(Decimal(one.plan.saving_monthly), (100 - done) / 100)
        if rest > 0:
            a_day = -(rest / MONTH_DAYS).quantize(CENT)
            what = f"the approved rollout {one.id} ({one.plan.title}), {done:.0f} % done"
            place = (one.plan.provider, one.plan.account_id)
            out.append(Known(today + timedelta(days=1), a_day, one.plan.currency, *place, what))
    return tuple(out)


def expiries(
    held: Iterable[Resource], saved: dict[tuple[str, str], Decimal], today: date, until: date
) -> tuple[Known, ...]:
    """Commitments that end and do not renew: what each saves a day (by its id and currency) is paid from then on. Pure."""
    out = []
    for one in held:
        day = _ends(one, today, until)
        for (id_, currency), a_day in saved.items():
            if day is not None and a_day > 0 and (id_ == one.id or id_.endswith(f"/{one.id}")):
                what = f"commitment {one.name or one.id} ends on {day.day} {day:%b %Y}"
                out.append(Known(day, a_day.quantize(CENT), currency, one.provider, "", what))
    return tuple(out)


def _ends(one: Resource, today: date, until: date) -> date | None:
    """The day from which a commitment is over, when that is in the time that is asked about."""
    text = one.attributes.get("ends_at")
    if one.attributes.get("renews") is True or not isinstance(text, str) or not text:
        return None
    try:
        day = datetime.fromisoformat(text).date()
    except ValueError:
        return None
    return day if today <= day < until else None


def _saved_a_day(costs: Costs, today: date) -> dict[tuple[str, str], Decimal]:
    """What each commitment saved a day of late, against the price without it."""
    recent = Period(today - timedelta(days=RECENT_DAYS), today)
    table = costs.table(CostQuery(recent, by=(str(Dimension.COMMITMENT),), metric=Metric.COMMITMENT_SAVINGS))
    return {
        (row.keys[0], row.currency): EXACT.divide(row.cost, Decimal(RECENT_DAYS))
        for row in table.rows
        if row.keys[0] and row.cost is not None
    }


def fits(where: Iterable[Filter]) -> bool:
    """Whether a question is asked of places only, so that one can tell which changes belong to it."""
    return all(f.dimension in PLACES for f in where)


def applied(found: Sequence[Forecast], known: Iterable[Known], where: tuple[Filter, ...] = ()) -> tuple[Forecast, ...]:
    """The forecasts with what is known on top; a change that several of them could hold is split by their size. Pure."""
    out = list(found)
    for one in known:
        if not _asked(one, where):
            continue
        rows = [n for n, forecast in enumerate(out) if _holds(forecast, one)]
        whole = total(max(out[n].p50, Decimal(0)) for n in rows)
        for n in rows:
            share = EXACT.divide(max(out[n].p50, Decimal(0)), whole) if whole else Decimal(1) / len(rows)
            out[n] = _with(out[n], one, share)
    return tuple(out)


def _asked(one: Known, where: Iterable[Filter]) -> bool:
    places = {_PROVIDER: one.provider, _ACCOUNT: one.account, str(Dimension.CURRENCY): one.currency}
    return all((places.get(f.dimension, "") in f.values) is not f.exclude for f in where)


def _holds(forecast: Forecast, one: Known) -> bool:
    keys = dict(forecast.keys)
    same = keys.get(_PROVIDER, one.provider) == one.provider
    here = not one.account or keys.get(_ACCOUNT, one.account) == one.account
    return forecast.currency == one.currency and same and here


def _with(forecast: Forecast, one: Known, share: Decimal) -> Forecast:
    a_day = EXACT.multiply(one.a_day, share).quantize(CENT)
    points = tuple(_moved(point, a_day) if point.day >= one.day else point for point in forecast.points)
    change = EXACT.subtract(total(p.p50 for p in points), total(p.p50 for p in forecast.points))
    if not change:
        return forecast
    p10, p50, p90 = (EXACT.add(amount, change) for amount in (forecast.p10, forecast.p50, forecast.p90))
    what = f"{one.what} ({money(change, forecast.currency, sign=True)})"
    basis = f"{forecast.basis}; known: {what}" if "; known: " not in forecast.basis else f"{forecast.basis}, {what}"
    return replace(forecast, points=points, p10=min(p10, p50), p50=p50, p90=max(p90, p50), basis=basis)


def _moved(point: ForecastPoint, a_day: Decimal) -> ForecastPoint:
    """A day never costs less than nothing."""
    p10, p50, p90 = (max(EXACT.add(amount, a_day), Decimal(0)) for amount in (point.p10, point.p50, point.p90))
    return ForecastPoint(point.day, p10, p50, p90)
