"""Budgets: how each stands in its period, how likely it is passed, and which of its alerts are due."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis import calendar
from tools.analysis.words import money
from tools.model.budget import FORECAST, Alert, Budget, BudgetPeriod, Standing
from tools.model.errors import InputError
from tools.model.forecast import Forecast
from tools.model.period import Period
from tools.model.query import ALLOCATION, TAG, CostQuery, CostTable, Filter, Receipt, is_allocation

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.rates import Rates

Z80 = 1.2816


def chance_of_passing(forecast: Forecast, budget: Decimal) -> Decimal:
    """Probability (0 to 1) that the total is more than `budget`, from the band of the total."""
    if forecast.p10 == forecast.p90:
        return Decimal(int(forecast.p50 > budget))
    distance = float(budget - forecast.p50)
    side = float(forecast.p90 - forecast.p50) if distance > 0 else float(forecast.p50 - forecast.p10)
    if side <= 0:
        return Decimal(int(distance < 0))
    z = distance / (side / Z80)
    return Decimal(0.5 * math.erfc(z / math.sqrt(2))).quantize(Decimal("0.01"))


def in_words(forecast: Forecast, budget: Decimal) -> str:
    """'Budget $25,000: likely passed by $1,200 (72 % chance).'."""
    chance = chance_of_passing(forecast, budget)
    percent = min(max(int(chance * 100), 1), 99)
    limit = money(budget, forecast.currency)
    over = forecast.p50 - budget
    if chance >= Decimal("0.5"):
        return f"Budget {limit}: likely passed by {money(over, forecast.currency)} ({percent} % chance)."
    return f"Budget {limit}: {money(-over, forecast.currency)} left at month end ({percent} % chance of passing it)."


def period_of(kind: BudgetPeriod, day: date, starts_in: int) -> Period:
    """The month, fiscal quarter or fiscal year that holds a day."""
    if kind is BudgetPeriod.MONTH:
        return calendar.named(f"{day:%Y-%m}", starts_in)
    return calendar.quarter(day, starts_in) if kind is BudgetPeriod.QUARTER else calendar.fiscal_year(day, starts_in)


def period_name(kind: BudgetPeriod, period: Period, starts_in: int) -> str:
    """'November 2026', 'Q2 FY2027', 'FY2027'."""
    if kind is BudgetPeriod.MONTH:
        return f"{period.start:%B %Y}"
    if kind is BudgetPeriod.QUARTER:
        return calendar.quarter_name(period.start, starts_in)
    return calendar.fiscal_name(period.start, starts_in)


def scope(where: tuple[Filter, ...]) -> str:
    """Filters in words: 'everything', 'allocation checkout, provider not AWS'."""
    parts = []
    for f in where:
        name = f.dimension.removeprefix(TAG).removesuffix("_name").removesuffix("_id").replace("_", " ")
        name = f.dimension.partition(":")[2] or ALLOCATION if is_allocation(f.dimension) else name
        values = " or ".join(value or "(none)" for value in f.values)
        parts.append(f"{name} {'not ' if f.exclude else ''}{values}")
    return ", ".join(parts) or "everything"


def standing(
    costs: Costs, budget: Budget, today: date, *, starts_in: int, rates: Rates | None = None, no_rates: str = ""
) -> Standing:
    """How a budget stands today. Where a currency has no rate it says so: two currencies are never added silently.

    `no_rates` says why there are none (a file that cannot be read); what cannot be told is a `problem`, not an error.
    """
    period = period_of(budget.period, today, starts_in)
    query = CostQuery(
        Period(period.start, min(period.end, today + timedelta(days=1))), where=budget.where, metric=budget.metric
    )
    try:
        view, table = _seen(costs, budget, query, rates, no_rates)
        actual = dict(table.totals).get(budget.currency, Decimal(0))
        if actual is None:
            raise InputError(f"The {budget.metric} cost is unknown: a price is missing in the bill.")
    except InputError as error:
        nothing = Receipt("", (), 0, None)
        why = error.what
        return Standing(budget, period, None, None, None, why, why, nothing, costs.coverage(query.period))
    forecast, why = _forecast(view, budget, period, today)
    chance = chance_of_passing(forecast, budget.amount) if forecast else None
    if actual > budget.amount:
        chance = Decimal(1)
    return Standing(budget, period, actual, forecast, chance, "", why, table.receipt, table.coverage)


def _seen(
    costs: Costs, budget: Budget, query: CostQuery, rates: Rates | None, no_rates: str
) -> tuple[Costs, CostTable]:
    """The costs in the budget's currency, and what was spent of it so far."""
    native = costs.table(query)
    foreign = [currency for currency, _ in native.totals if currency != budget.currency]
    if not foreign:
        return costs, native
    if rates is None:
        raise InputError(
            f"Costs in {' and '.join(foreign)} are part of it, and there are no exchange rates to {budget.currency} "
            f"({no_rates or 'OPTIINFRA_RATES_FILE is not set'})."
        )
    from tools.analysis.rates import ReportingCosts

    args = (costs.database, costs.tenant, costs.tag_keys, costs.provisional_days)
    view = ReportingCosts(*args, rates, budget.currency)
    return view, view.table(query)


def _forecast(costs: Costs, budget: Budget, period: Period, today: date) -> tuple[Forecast | None, str]:
    from tools.analysis import forecast

    try:
        found = forecast.period_end(
            costs, period, today, where=budget.where, metric=budget.metric, currency=budget.currency
        )
    except InputError as error:
        return None, error.what
    return found, "" if found else "No cost has fitted it yet."


def due(now: Standing, told: Collection[str]) -> tuple[str, ...]:
    """Levels that are reached and were not told in this period, the highest first. Pure.

    A forecast that a budget will be passed is no news once it is passed.
    """
    reached = [] if now.used is None else [level for level in now.budget.levels if now.used * 100 >= level]
    fresh = [f"actual-{level}" for level in sorted(reached, reverse=True)]
    passed = now.used is not None and now.used > 1
    certain = now.budget.chance and now.chance is not None and now.chance * 100 >= now.budget.chance
    if certain and now.forecast is not None and not passed:
        fresh.append(FORECAST)
    return tuple(level for level in fresh if level not in told)


def alert(now: Standing, level: str, at: datetime) -> Alert:
    """What is told of a level that was reached."""
    budget = now.budget
    assert now.actual is not None
    return Alert(
        budget=budget.name,
        revision=budget.revision,
        period=now.period,
        level=level,
        amount=budget.amount,
        currency=budget.currency,
        metric=budget.metric,
        scope=scope(budget.where),
        actual=now.actual,
        expected=now.forecast.p50 if now.forecast else None,
        chance=now.chance,
        complete_to=now.coverage.complete_to,
        at=at,
        channel=budget.channel,
    )


def of_everything(budgets: Collection[Budget], kind: BudgetPeriod, currency: str) -> Budget | None:
    """The budget of all billed cost in such a period; the strictest of several."""
    found = [
        b
        for b in budgets
        if not b.where and b.period is kind and b.currency == currency and b.metric.value in {"billed", "net"}
    ]
    return min(found, key=lambda b: (b.amount, b.name), default=None)
