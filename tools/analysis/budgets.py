"""Budgets: how likely a forecast is to pass a budget, in a number and in words."""

from __future__ import annotations

import math
from decimal import Decimal

from tools.analysis.words import money
from tools.model.forecast import Forecast

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
