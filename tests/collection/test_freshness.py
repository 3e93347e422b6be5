"""Coverage says up to which day the data is complete, what may still change, and who is silent."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.collection.bills import NOW
from tools.collection.freshness import cover, span
from tools.model.charge import Partition
from tools.model.period import Period
from tools.store.loads import LedgerLine

TODAY = date(2026, 11, 20)


def _line(account: str, last: date, first: date = date(2026, 9, 1)) -> LedgerLine:
    return LedgerLine(1, Partition("AWS", account, first.replace(day=1)), 10, first, last, NOW, (), True)


def _period(start: str, end: str) -> Period:
    return Period(date.fromisoformat(start), date.fromisoformat(end))


def test_without_data_nothing_is_complete() -> None:
    """An empty database does not look like zero cost."""
    coverage = cover([], None, 2)
    assert coverage.complete_to is None
    assert coverage.missing == ("no cost data has been loaded",)
    assert span([]) is None


def test_the_slowest_account_decides() -> None:
    """Complete means complete for every account that still reports."""
    lines = [_line("1", TODAY), _line("2", TODAY - timedelta(days=2)), _line("2", date(2026, 9, 30))]
    assert cover(lines, None, 2).complete_to == date(2026, 11, 19)
    assert span(lines) == _period("2026-09-01", "2026-11-21")


def test_an_account_that_fell_silent_is_named_and_does_not_hold_back_the_rest() -> None:
    """One closed long ago is no news; one that stopped after the asked days is none either."""
    lines = [_line("1", TODAY), _line("2", date(2026, 11, 1)), _line("3", date(2026, 9, 5))]
    coverage = cover(lines, None, 2)
    assert coverage.complete_to == date(2026, 11, 21)
    assert coverage.missing == ("AWS 2: nothing after 2026-11-01",)
    assert cover(lines, _period("2026-10-01", "2026-11-01"), 2).missing == ()


@pytest.mark.parametrize(
    ("period", "share", "missing"),
    [
        (_period("2026-10-01", "2026-11-01"), "0", ()),
        (_period("2026-11-11", "2026-11-21"), "0.2", ()),
        (_period("2026-11-19", "2026-11-21"), "1", ()),
        (_period("2026-11-16", "2026-11-26"), "0.7", ("cost data is complete up to 2026-11-20 only",)),
        (_period("2026-08-01", "2026-10-01"), "0", ("no cost data before 2026-09-01",)),
        (_period("2027-01-01", "2027-02-01"), "1", ("no cost data for these days: it runs from 1 Sep - 20 Nov 2026",)),
    ],
)
def test_a_question_knows_how_much_of_it_may_still_change(period: Period, share: str, missing: tuple[str, ...]) -> None:
    """The last two days of the data and all days without data."""
    coverage = cover([_line("1", TODAY)], period, 2)
    assert (coverage.provisional_share, coverage.missing) == (Decimal(share), missing)
