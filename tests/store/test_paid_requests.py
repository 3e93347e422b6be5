"""Requests that cost money: counted by all processes together, and their answers remembered."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tools.store.database import Database
from tools.store.paid_requests import StoredPaidRequests


@pytest.mark.stores
def test_the_last_request_of_a_day_is_given_once(database: Database) -> None:
    """Two processes share one count; another day, another account and another customer have their own."""
    ours, theirs = StoredPaidRequests(database, "default"), StoredPaidRequests(database, "other")
    today = date(2026, 11, 23)
    assert [ours.take("AWS", "1", today, 2) for _ in range(3)] == [1, 2, None]
    assert ours.take("AWS", "1", today, 3) == 3
    assert [theirs.take("AWS", "1", today, 2), ours.take("AWS", "2", today, 2)] == [1, 1]
    now = datetime(2026, 11, 23, 8, tzinfo=UTC)
    ours.keep("AWS", "1", "question", "old", now + timedelta(hours=1))
    ours.keep("AWS", "1", "question", "new", now + timedelta(hours=8))
    assert ours.recall("AWS", "1", "question", now) == "new"
    assert (ours.recall("AWS", "2", "question", now), theirs.recall("AWS", "1", "question", now)) == (None, None)
    assert ours.recall("AWS", "1", "question", now + timedelta(hours=8)) is None
    assert ours.take("AWS", "1", today + timedelta(days=2), 2) == 1, "a new day begins with a tidied memory"
    assert ours.recall("AWS", "1", "question", now) is None
    ours.keep("AWS", "1", "question", "new", now + timedelta(hours=8))
    ours.forget("AWS", "1")
    assert ours.recall("AWS", "1", "question", now) is None
