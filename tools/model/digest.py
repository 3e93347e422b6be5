"""Digest: what the morning message says, as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tools.model.anomaly import Anomaly
from tools.model.driver import DriverTree
from tools.model.fact import Chart, Table
from tools.model.forecast import Forecast
from tools.model.query import Coverage, Receipt


@dataclass(frozen=True, slots=True)
class Digest:
    """The digest of one UTC day. `usual` is the median of the same weekday of the four weeks before.

    `held` anomalies (`held_excess` is their money so far) were not told because the week's alerts are used up;
    `reminded` are the ids of those that were told a week before and go on. `saved` says what rollouts saved so far.
    `calm`: nothing is unusual, nothing waits, no earlier digest was wrong; three lines are enough.
    """

    day: date
    headline: str
    why: str
    spend: Decimal
    usual: Decimal | None
    currency: str
    anomalies: tuple[Anomaly, ...]
    drivers: DriverTree | None
    month_end: Forecast | None
    movers: Table
    chart: Chart
    waiting: tuple[str, ...]
    coverage: Coverage
    receipt: Receipt
    held: int = 0
    saved: str = ""
    calm: bool = False
    reminded: tuple[str, ...] = ()
    held_excess: Decimal = Decimal(0)
