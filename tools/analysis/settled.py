"""Settled: which days of stored costs are complete enough to be judged, forecast from, or told about."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from tools.analysis import completeness
from tools.model.period import Period

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

# The end of data that is this old does not change any more.
OLD = timedelta(days=7)


def settled(costs: Costs, upto: date) -> Period | None:
    """First day with data to the last one before `upto` that every account has delivered and that will not change.

    How late bills are is learned from how earlier days came in; until that is known it is the setting.
    """
    span = costs.span()
    if span is None:
        return None
    complete = min(costs.coverage().complete_to or span.end, span.end)
    if upto - complete < OLD:
        late = completeness.of(costs, upto)
        # A day is looked at from the day after it on: seen one day later, yesterday is settled.
        complete = (
            min(complete, upto - timedelta(days=late - 1))
            if late
            else complete - timedelta(days=costs.provisional_days)
        )
    end = min(upto, complete)
    return Period(span.start, end) if span.start < end else None
