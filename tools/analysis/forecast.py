"""Forecast: what stored costs will come to - per part and in total, coherent, with a band of the total."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis import known_changes, outlook
from tools.analysis.numbers import matrix, total
from tools.analysis.settled import settled
from tools.analysis.words import money, on
from tools.model.errors import InputError
from tools.model.forecast import Forecast, ForecastPoint
from tools.model.period import Period
from tools.model.query import CostQuery, Dimension, Filter, Granularity, Metric
from tools.model.series import DailySeries

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.numbers import Floats

HISTORY_DAYS = 420
FEWEST_DAYS = outlook.FEWEST_DAYS
LONGEST_LAG = 14
LONGEST = 366
MOST_PARTS = 100
PARTS = (str(Dimension.PROVIDER), str(Dimension.SERVICE))
OTHERS = "(all others)"
CENT = Decimal("0.0001")
Z80 = 1.2816


def forecast(
    costs: Costs,
    *,
    by: tuple[str, ...] = (),
    days: int = 30,
    today: date,
    where: tuple[Filter, ...] = (),
    metric: Metric = Metric.BILLED,
) -> tuple[Forecast, ...]:
    """`days` days from `today` on (or from the end of old data), one forecast per part and currency, largest first.

    The parts add up to the total that the same question without `by` gives. Raises InputError without 14 days of data.
    """
    if not 1 <= days <= LONGEST:
        raise InputError(f"A forecast of {days} days is not possible.", fix=f"Ask for 1 to {LONGEST} days.")
    history = _history(costs, today)
    lag = (today - history.end).days
    lag = lag if 0 < lag <= LONGEST_LAG else 0
    out: list[Forecast] = []
    for currency, whole in _by_currency(costs, (), history, where, metric).items():
        parts = _by_currency(costs, PARTS, history, where, metric)[currency]
        asked = _by_currency(costs, by, history, where, metric)[currency] if by else whole
        out += project(asked, whole, parts, history.end, horizon=days, lag=lag)
    if not out:
        raise InputError("No costs are stored that fit the question.", fix="Ask for other costs, or load them first.")
    return _with_known(costs, tuple(out), today, where)


def _with_known(
    costs: Costs, found: tuple[Forecast, ...], today: date, where: tuple[Filter, ...]
) -> tuple[Forecast, ...]:
    """With commitments that end and approved rollouts; where the question allows to tell that they belong to it."""
    if not known_changes.fits(where) or not found[0].points:
        return found
    until = found[0].points[-1].day + timedelta(days=1)
    return known_changes.applied(found, known_changes.of(costs, today, until), where)


def _history(costs: Costs, today: date) -> Period:
    """Settled days before `today` to learn from."""
    if costs.span() is None:
        raise InputError("No costs are stored yet.", fix="Load some first: optiinfra ingest PATH")
    known = settled(costs, today)
    days = known.days if known else 0
    if known is None or days < FEWEST_DAYS:
        raise InputError(
            f"A forecast needs {FEWEST_DAYS} complete days of cost; {days} are stored before {on(today)}.",
            fix="Load more history, or ask again later.",
        )
    return Period(max(known.start, known.end - timedelta(days=HISTORY_DAYS)), known.end)


def _by_currency(
    costs: Costs, by: tuple[str, ...], history: Period, where: tuple[Filter, ...], metric: Metric
) -> dict[str, tuple[DailySeries, ...]]:
    query = CostQuery(history, by=by, where=where, metric=metric, granularity=Granularity.DAY)
    out: dict[str, list[DailySeries]] = {}
    for one in costs.series(query):
        out.setdefault(one.currency, []).append(one)
    return {currency: _largest(series) for currency, series in out.items()}


def _largest(series: Sequence[DailySeries]) -> tuple[DailySeries, ...]:
    """The largest parts; what is beyond them is added up into one, so that nothing is lost."""
    ordered = sorted(series, key=lambda s: (-total(s.values), s.keys))
    kept, rest = ordered[:MOST_PARTS], ordered[MOST_PARTS:]
    if not rest:
        return tuple(kept)
    values = tuple(total(column) for column in zip(*(s.values for s in rest), strict=True))
    name = tuple((key, OTHERS) for key, _ in rest[0].keys)
    return (*kept, DailySeries(name, rest[0].start, values, rest[0].currency))


def of_series(series: Sequence[DailySeries], *, days: int) -> tuple[Forecast, ...]:
    """Each series by itself, `days` days from its end on. Raises InputError for too short a history."""
    if not 1 <= days <= LONGEST:
        raise InputError(f"A forecast of {days} days is not possible.", fix=f"Ask for 1 to {LONGEST} days.")
    length = max((len(s.values) for s in series), default=0)
    if length < FEWEST_DAYS:
        raise InputError(f"A forecast needs {FEWEST_DAYS} days of cost; the file has {length}.", fix="Add history.")
    values, start = matrix(series)
    shape = outlook.project(values, start, days)
    first = start + timedelta(days=length)
    return tuple(_forecast(one, shape.days[n], shape, n, first, length) for n, one in enumerate(series))


def project(
    asked: Sequence[DailySeries],
    whole: Sequence[DailySeries],
    parts: Sequence[DailySeries],
    end: date,
    *,
    horizon: int,
    lag: int = 0,
) -> tuple[Forecast, ...]:
    """Forecasts of the `asked` series (all in one currency) from `end` + `lag` on. Pure.

    The total is the mean of two forecasts - of the whole, and of its parts added up; what is asked is scaled to it.
    """
    import numpy as np

    steps = horizon + lag
    values, start = matrix(whole)
    top = outlook.project(values.sum(axis=0, keepdims=True), start, steps)
    pieces = outlook.project(*matrix(parts), steps)
    target = (top.days[0] + pieces.days.sum(axis=0)) / 2
    wanted = outlook.project(*matrix(asked), steps) if len(asked) > 1 or asked[0].keys else None
    days = wanted.days if wanted is not None else target[None, :].copy()
    together = days.sum(axis=0)
    days = days * np.where(together > 0, target / np.where(together > 0, together, 1), 1.0)[None, :]
    shape = wanted if wanted is not None else top
    known = (end - min(s.start for s in whole)).days
    made = [_forecast(one, days[n, lag:], shape, n, end + timedelta(days=lag), known) for n, one in enumerate(asked)]
    return tuple(sorted(made, key=lambda f: (-f.p50, f.keys)))


def _forecast(series: DailySeries, days: Floats, shape: outlook.Outlook, row: int, first: date, known: int) -> Forecast:
    low, high, noise = float(shape.low[row]), float(shape.high[row]), float(shape.noise[row])
    half = (math.log(high) - math.log(low)) / 2
    day = math.sqrt(half**2 + (Z80 * noise) ** 2)
    middles = [_cents(float(v)) for v in days]
    points = tuple(
        ForecastPoint(
            first + timedelta(days=n),
            _cents(float(p50) * math.exp(-day)),
            p50,
            _cents(float(p50) * math.exp(day)),
        )
        for n, p50 in enumerate(middles)
    )
    whole = total(middles)
    short = ", short history: a wide guess" if known < 60 else ""
    basis = f"weekday pattern, recent level and monthly charges of the last {known} days{short}"
    return Forecast(
        series.keys,
        series.currency,
        points,
        p10=_cents(float(whole) * low),
        p50=whole,
        p90=_cents(float(whole) * high),
        basis=basis,
    )


def _cents(value: float) -> Decimal:
    return Decimal(value).quantize(CENT)


def month_end(
    costs: Costs,
    today: date,
    *,
    where: tuple[Filter, ...] = (),
    metric: Metric = Metric.BILLED,
    currency: str | None = None,
) -> Forecast | None:
    """What the month of `today` will come to: days known so far plus a forecast of the rest; None without history.

    With old data it is the month in which the data ends. With several currencies the most used one is told.
    """
    try:
        history = _history(costs, today)
    except InputError:
        return None
    last = today if (today - history.end).days <= LONGEST_LAG else history.end - timedelta(days=1)
    month = last.replace(day=1)
    whole = Period(month, (month + timedelta(days=32)).replace(day=1))
    return _ending(costs, whole, history, where, metric, currency or next(iter(costs.currencies()), ""))


def period_end(
    costs: Costs,
    period: Period,
    today: date,
    *,
    where: tuple[Filter, ...] = (),
    metric: Metric = Metric.BILLED,
    currency: str,
) -> Forecast | None:
    """What a period that holds today will come to in one currency; None when no cost in it ever fitted.

    Raises InputError when there is too little history, or when the data is too old to say.
    """
    history = _history(costs, today)
    if (today - history.end).days > LONGEST_LAG:
        raise InputError(f"Costs are stored up to {on(history.end - timedelta(days=1))} only.", fix="Load newer ones.")
    return _ending(costs, period, history, where, metric, currency)


def _ending(
    costs: Costs, period: Period, history: Period, where: tuple[Filter, ...], metric: Metric, used: str
) -> Forecast | None:
    whole = _by_currency(costs, (), history, where, metric).get(used)
    if not whole:
        return None
    first, known = period.start, max((history.end - period.start).days, 0)
    spent = total(_value(whole[0], first + timedelta(days=n)) for n in range(known))
    ahead = (period.end - max(history.end, first)).days
    skip = max((first - history.end).days, 0)
    if ahead <= 0:
        return Forecast((), used, (), spent, spent, spent, f"all days of {_called(period)} are known")
    parts = _by_currency(costs, PARTS, history, where, metric)[used]
    rest = project(whole, whole, parts, history.end, horizon=ahead, lag=skip)[0]
    (rest,) = _with_known(costs, (rest,), history.end, where)
    so_far = f"{money(spent, used)} in the {known} days known, the other {ahead} from "
    return replace(
        rest,
        p10=spent + rest.p10,
        p50=spent + rest.p50,
        p90=spent + rest.p90,
        basis=so_far + rest.basis,
    )


def _called(period: Period) -> str:
    return f"{period.start:%B %Y}" if period.days <= 31 else str(period)


def _value(series: DailySeries, day: date) -> Decimal:
    offset = (day - series.start).days
    return series.values[offset] if 0 <= offset < len(series.values) else Decimal(0)
