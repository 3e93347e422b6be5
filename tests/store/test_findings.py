"""Findings are kept under their ids, with what people said about them, on both engines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tools.model.anomaly import Anomaly
from tools.model.driver import Driver
from tools.model.errors import InputError, NotFoundError
from tools.model.period import Period
from tools.store import findings
from tools.store.database import Database
from tools.store.findings import DetectorMemory

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
KEYS = (("provider", "AWS"), ("service_name", "Compute"))
RISE = Anomaly(
    id="an-1",
    keys=KEYS,
    direction="up",
    started=date(2026, 11, 10),
    days=3,
    actual=Decimal("300.000000000000000001"),
    expected=Decimal("100.5"),
    currency="USD",
    score=Decimal("9.25"),
    severity="high",
    status="open",
    why="Compute cost more.",
    drivers=(Driver((("region_id", "eu"),), "new", Decimal(0), Decimal("199.5")),),
)


def kept(database: Database, *anomalies: Anomaly) -> tuple[str, ...]:
    with database.begin() as tx:
        return findings.save_anomalies(tx, "default", anomalies, now=NOW)


@pytest.mark.stores
def test_what_was_found_comes_back_to_the_last_digit(database: Database) -> None:
    """New ones are named once; later looks renew them."""
    assert kept(database, RISE) == ("an-1",)
    assert kept(database, replace(RISE, days=4)) == ()
    with database.read() as tx:
        assert findings.anomalies(tx, "default") == (replace(RISE, days=4),)
        assert findings.anomalies(tx, "other") == ()
        assert findings.one(tx, "default", "an-1").excess == Decimal("199.500000000000000001")


@pytest.mark.stores
def test_a_persons_word_stays_when_the_finding_is_renewed(database: Database) -> None:
    """Expected stays expected, and the reason is kept with who said it."""
    kept(database, RISE)
    with database.begin() as tx:
        changed = findings.set_status(tx, "default", "an-1", "expected", actor="ana@x", reason="launch", now=NOW)
    assert changed.status == "expected"
    kept(database, replace(RISE, days=5))
    with database.read() as tx:
        (found,) = findings.anomalies(tx, "default")
        (said,) = findings.feedback(tx, "default")
    assert (found.status, found.days) == ("expected", 5)
    assert (said.anomaly_id, said.verdict, said.actor, said.reason, said.keys) == (
        "an-1", "expected", "ana@x", "launch", KEYS,
    )  # fmt: skip


@pytest.mark.stores
def test_feedback_is_kept_and_a_mute_needs_reason_and_end(database: Database) -> None:
    """Useful, expected, mute - nothing else."""
    kept(database, RISE)
    said = {"actor": "ben@x", "now": NOW}
    with database.begin() as tx:
        findings.give_feedback(tx, "default", "an-1", "useful", reason="", **said)
        findings.give_feedback(tx, "default", "an-1", "mute", reason="test load", until=date(2026, 12, 1), **said)
        findings.give_feedback(tx, "default", "an-1", "expected", reason="launch", **said)
        with pytest.raises(InputError, match="needs a reason"):
            findings.give_feedback(tx, "default", "an-1", "mute", reason=" ", until=date(2026, 12, 1), **said)
        with pytest.raises(InputError, match="is no feedback"):
            findings.give_feedback(tx, "default", "an-1", "boring", reason="", **said)
    with database.read() as tx:
        assert [f.verdict for f in findings.feedback(tx, "default")] == ["useful", "mute", "expected"]
        assert findings.one(tx, "default", "an-1").status == "expected"


def test_listing_by_days_and_status(database: Database) -> None:
    """A finding belongs to every day it lasted; the greatest money comes first."""
    small = replace(RISE, id="an-2", started=date(2026, 11, 1), days=1, actual=Decimal(120), status="resolved")
    kept(database, RISE, small)
    with database.read() as tx:

        def ids(period: Period | None, status: str | None = None) -> list[str]:
            return [a.id for a in findings.anomalies(tx, "default", period, status)]

        assert ids(None) == ["an-1", "an-2"]
        assert ids(None, "resolved") == ["an-2"]
        last = RISE.started + timedelta(days=2)
        assert ids(Period(last, last + timedelta(days=1))) == ["an-1"]
        assert ids(Period(last + timedelta(days=1), last + timedelta(days=9))) == []
        assert ids(Period(date(2026, 11, 1), date(2026, 11, 2))) == ["an-2"]


def test_unknown_ids_and_words_are_refused(database: Database) -> None:
    """Told what exists instead."""
    kept(database, RISE)
    with database.begin() as tx:
        with pytest.raises(NotFoundError, match="no anomaly an-9"):
            findings.set_status(tx, "default", "an-9", "open", actor="a", reason="", now=NOW)
        with pytest.raises(InputError, match="cannot be"):
            findings.set_status(tx, "default", "an-1", "closed", actor="a", reason="", now=NOW)


def test_what_bills_took_back_is_dropped_unless_somebody_decided(database: Database) -> None:
    """A person's word outlives restated bills."""
    kept(database, RISE, replace(RISE, id="an-2"))
    with database.begin() as tx:
        findings.set_status(tx, "default", "an-2", "resolved", actor="ana@x", reason="", now=NOW)
        assert findings.drop(tx, "default", ["an-1", "an-2"]) == 1
        assert [a.id for a in findings.anomalies(tx, "default")] == ["an-2"]


@pytest.mark.stores
def test_the_detectors_memory_is_one_per_name(database: Database) -> None:
    """A newer one takes its place."""
    first = DetectorMemory(date(2026, 11, 1), "v1", (KEYS,), b"\x00\x01")
    with database.begin() as tx:
        assert findings.memory(tx, "default", "usage") is None
        findings.keep_memory(tx, "default", "usage", first)
        findings.keep_memory(tx, "default", "usage", replace(first, block=b"\x02"))
    with database.read() as tx:
        assert findings.memory(tx, "default", "usage") == replace(first, block=b"\x02")


@pytest.mark.stores
def test_a_word_is_kept_once_and_can_be_taken_back(database: Database) -> None:
    """The same word twice is one; a new end takes the place of the old one; unmute and reopen leave nothing behind."""
    kept(database, RISE, replace(RISE, id="an-2"))
    ben = {"actor": "ben@x", "actor_name": "Ben", "now": NOW}
    mute = {"reason": "test load", **ben}
    with database.begin() as tx:
        assert findings.give_feedback(tx, "default", "an-1", "useful", reason="", **ben)
        assert not findings.give_feedback(tx, "default", "an-1", "useful", reason="", **ben)
        for until, changed in ((1, True), (1, False), (9, True)):
            day = date(2026, 12, until)
            assert findings.give_feedback(tx, "default", "an-1", "mute", until=day, **mute) is changed
        assert findings.give_feedback(tx, "default", "an-1", "expected", reason="launch", **ben)
        said = findings.feedback(tx, "default")
        assert [(f.verdict, f.until, f.name) for f in said] == [
            ("useful", None, "Ben"), ("mute", date(2026, 12, 9), "Ben"), ("expected", None, "Ben"),
        ]  # fmt: skip
    with database.begin() as tx:
        for verdict, of in (("unmute", "an-2"), ("reopen", "an-1")):
            assert findings.give_feedback(tx, "default", of, verdict, reason="", **ben)
            assert not findings.give_feedback(tx, "default", of, verdict, reason="", **ben)
        assert [f.verdict for f in findings.feedback(tx, "default")] == ["useful"]
        assert findings.one(tx, "default", "an-1").status == "open"
