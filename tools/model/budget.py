"""Budget: how much some cost may come to in each month, quarter or fiscal year, how it stands, and who is told when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from tools.model.forecast import Forecast
from tools.model.metric import Metric
from tools.model.period import Period
from tools.model.query import Coverage, Filter, Receipt

# The alert that a forecast gives; the others are "actual-80".
FORECAST = "forecast"


class BudgetPeriod(StrEnum):
    """Quarters and years are fiscal ones."""

    MONTH = "month"
    QUARTER = "quarter"
    FISCAL_YEAR = "fiscal_year"

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Budget:
    """`levels` are percentages of the amount that are told when cost reaches them; `chance` is the probability in
    percent from which the forecast is told to pass it (0: never). `revision` grows each time that it is set."""

    name: str
    amount: Decimal
    currency: str
    period: BudgetPeriod = BudgetPeriod.MONTH
    metric: Metric = Metric.BILLED
    where: tuple[Filter, ...] = ()
    levels: tuple[int, ...] = (50, 80, 100)
    chance: int = 80
    channel: str = ""
    revision: int = 0
    actor: str = ""
    set_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands in the period that holds a day.

    `actual` is None, and `problem` says why, where it cannot be told. `chance` (0 to 1) is the probability that the
    period ends above the amount; None where there is no forecast, and `no_forecast` says why.
    """

    budget: Budget
    period: Period
    actual: Decimal | None
    forecast: Forecast | None
    chance: Decimal | None
    problem: str
    no_forecast: str
    receipt: Receipt
    coverage: Coverage

    @property
    def used(self) -> Decimal | None:
        """The share of the amount that is spent (0.8 is 80 %)."""
        return None if self.actual is None else self.actual / self.budget.amount


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told once per period and level, with the figures of that moment. `scope` is in words."""

    budget: str
    revision: int
    period: Period
    level: str
    amount: Decimal
    currency: str
    metric: Metric
    scope: str
    actual: Decimal
    expected: Decimal | None
    chance: Decimal | None
    complete_to: date | None
    at: datetime
    channel: str = ""

    @property
    def subject(self) -> str:
        """Its name in the outbox."""
        return f"{self.budget}/{self.revision}/{self.period.start}/{self.level}"
