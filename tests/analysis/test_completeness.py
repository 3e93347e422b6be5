"""Completeness: how late a provider's bill is, is learned from how earlier days came in."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from tests.analysis.world import MONDAY, Line, load, write_focus
from tools.analysis import completeness
from tools.analysis.settled import settled
from tools.store import sightings
from tools.store.database import Database
from tools.store.sightings import Sighting


def seen(provider: str, shares: dict[int, int], days: int = 12, first: date = MONDAY) -> list[Sighting]:
    """Each day at each lag: so many hundredths of its cost."""
    return [
        Sighting(provider, "USD", first + timedelta(days=n), lag, Decimal(100 * share))
        for n in range(days)
        for lag, share in shares.items()
    ]


def test_the_share_of_a_day_is_learned_per_provider_and_lag() -> None:
    """AWS has 70 % after a day and all after two; Google everything at once."""
    both = [*seen("AWS", {1: 70, 2: 99, 3: 100, 7: 100}), *seen("Google", {1: 100, 7: 100})]
    shares = completeness.learned(both)
    assert (shares["AWS", 1].usual, shares["AWS", 1].days) == (0.7, 12)
    assert completeness.settled_after(shares, ["AWS", "Google"]) == 2
    assert completeness.settled_after(shares, ["Google"]) == 1


def test_too_little_or_always_late_teaches_nothing() -> None:
    """Nine days are too few; a day not yet final does not count; a provider that never completes has no lag."""
    assert completeness.learned(seen("AWS", {1: 70, 7: 100}, days=9)) == {}
    assert completeness.learned(seen("AWS", {1: 70, 3: 100})) == {}
    shares = completeness.learned(seen("AWS", {1: 100, 7: 100}))
    assert completeness.settled_after(shares, ["AWS", "Vultr"]) is None


def test_settled_days_follow_what_was_learned(database: Database, tmp_path: Path) -> None:
    """The setting says two days; the bills were complete a day later, so yesterday is judged."""
    lines = [Line(MONDAY + timedelta(days=n), "Compute", "100") for n in range(40)]
    costs = replace(load(database, write_focus(tmp_path / "bill.csv", lines)), provisional_days=2)
    today = MONDAY + timedelta(days=40)
    before = settled(costs, today)
    assert before is not None
    assert before.end == today - timedelta(days=2)
    completeness.observe(costs, today)
    completeness.observe(costs, today)
    with database.read() as tx:
        noted = sightings.since(tx, "default", MONDAY)
    assert sorted(one.lag for one in noted) == [1, 2, 3, 4, 5, 6, 7]
    with database.begin() as tx:
        sightings.note(tx, "default", seen("AWS", {1: 100, 7: 100}, first=today - timedelta(days=25)))
    after = settled(costs, today)
    assert after is not None
    assert after.end == today
