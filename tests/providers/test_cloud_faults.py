"""What goes wrong at a cloud, on every cloud: what was read is whole, or told as missing; never wrong, never endless."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.collection.bills import one_process
from tests.providers.flats import NOW, OCTOBER, Flat, World, sums
from tests.providers.test_conformance import fit_for_a_person
from tools.collection import billing as bills
from tools.collection import resources as collection
from tools.model.errors import DeniedError, ProviderError, ThrottledError, TransientError
from tools.store import loads as ledger
from tools.store import resources as store
from tools.store.database import Database

__all__ = ["one_process"]
# No question may take longer than this, all its waits together; none of it is really waited for here.
MOST_WAITING = 200.0
MOST_SECONDS = 60.0
ASKED = 7


@dataclass(frozen=True)
class Untroubled:
    """What a cloud tells while nothing is wrong with it."""

    things: frozenset[tuple[str, str]]
    rows: int
    total: tuple[Decimal, Decimal]


def things(cloud: World, flat: Flat, patience: float = 5.0) -> frozenset[tuple[str, str]]:
    found = cloud.inventory(patience, **flat.only).resources(flat.troubled)
    return frozenset((r.id, r.fingerprint) for r in found)


def charged(cloud: World, flat: Flat, patience: float = 5.0) -> list[Mapping[str, str]]:
    return list(cloud.billing(patience, **flat.only).charges(flat.payer, OCTOBER))


@pytest.fixture(scope="module")
def untroubled(flat: Flat, cloud: World) -> Untroubled:
    cloud.heal()
    rows = charged(cloud, flat)
    return Untroubled(things(cloud, flat), len(rows), sums(rows))


@pytest.fixture(autouse=True)
def bounded(cloud: World, untroubled: Untroubled) -> Iterator[None]:
    """Nothing is wrong at first; whatever then happens ends in bounded time."""
    cloud.heal()
    cloud.waits.clear()
    began = time.monotonic()
    yield
    assert time.monotonic() - began < MOST_SECONDS
    assert sum(cloud.waits) < MOST_WAITING
    cloud.heal()


def the_same_bill(cloud: World, flat: Flat, untroubled: Untroubled, patience: float = 5.0) -> None:
    """Every row and cent is what it was while nothing was wrong."""
    rows = charged(cloud, flat, patience)
    assert (len(rows), sums(rows)) == (untroubled.rows, untroubled.total)


def test_throttling_is_waited_out_however_it_is_said(flat: Flat, cloud: World, untroubled: Untroubled) -> None:
    """In each of the ways in which this cloud says it, as long as it says; then everything is there."""
    for how in flat.throttles:
        cloud.heal()
        cloud.waits.clear()
        cloud.fails("throttle", flat.costs, times=1, seconds=ASKED, **how)
        the_same_bill(cloud, flat, untroubled)
        if how.get("header"):
            assert [ASKED - 1.5 <= wait <= ASKED for wait in cloud.waits] == [True], (how, cloud.waits)
    for question in (flat.listing, *flat.throttled):
        cloud.fails("throttle", question, times=1)
    assert things(cloud, flat) == untroubled.things


@pytest.mark.parametrize("kind", ["error", "cut", "timeout"])
def test_what_passes_by_itself_costs_nothing(flat: Flat, cloud: World, untroubled: Untroubled, kind: str) -> None:
    """An internal error, a cut line, an answer that never comes: the question only reads, so it is asked again."""
    patience = flat.patience if kind == "timeout" else 5.0
    late = patience + 0.2
    cloud.fails(kind, flat.listing, times=1, seconds=late)
    cloud.fails("timeout_after_success" if kind == "timeout" else kind, flat.costs, times=1, seconds=late)
    assert things(cloud, flat, patience) == untroubled.things
    the_same_bill(cloud, flat, untroubled, patience)


def test_an_empty_page_in_the_middle_is_no_end(flat: Flat, cloud: World, untroubled: Untroubled) -> None:
    """As long as it names a next one."""
    cloud.fails("empty_page", flat.listing, times=1)
    cloud.fails("empty_page", flat.costs, times=1)
    assert things(cloud, flat) == untroubled.things
    the_same_bill(cloud, flat, untroubled)


LASTING = {
    "throttle": ThrottledError,
    "error": TransientError,
    "cut": TransientError,
    "expired": DeniedError,
    "deny": DeniedError,
    "repeated_page": ProviderError,
}


@pytest.mark.parametrize("kind", LASTING)
def test_what_does_not_pass_is_told_and_no_part_is_used(flat: Flat, cloud: World, kind: str) -> None:
    """A typed error in our words from inventory and bill alike: half a list would look like savings."""
    cloud.fails(kind, flat.listing)
    cloud.fails(kind, flat.costs)
    for read in (things, charged):
        with pytest.raises(ProviderError) as raised:
            read(cloud, flat)
        assert isinstance(raised.value, LASTING[kind]), raised.value
        fit_for_a_person(raised.value.what, flat)
        if kind == "repeated_page":
            assert "same page" in raised.value.what


def test_an_hour_of_silence_is_not_waited_for(flat: Flat, cloud: World) -> None:
    """It is told at once, and read another time."""
    for how in (one for one in flat.throttles if one.get("header")):
        cloud.heal()
        cloud.fails("throttle", flat.listing, seconds=3600, **how)
        with pytest.raises(ThrottledError):
            things(cloud, flat)
    assert cloud.waits == []


def test_a_clock_that_is_wrong_is_told(flat: Flat, cloud: World) -> None:
    """Days would be cut in the wrong place; some clouds refuse outright, the others are read all the same."""
    cloud.fails("clock_skew", flat.clock, seconds=1800)
    told = cloud.inventory().check_access()[0]
    assert not told.ok
    assert "clock" in told.problem or "time of this machine" in told.problem
    fit_for_a_person(told.problem, flat)


def test_a_collection_that_meets_them_all_keeps_what_stands(
    flat: Flat, cloud: World, database: Database, one_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each account is marked with its reason; not a cent and not a thing of what was known before changes."""
    monkeypatch.setattr(bills, "HISTORY_MONTHS", 1)

    def collect() -> tuple[list[bool], list[str]]:
        read = bills.collect(
            database, "default", [cloud.billing(**flat.only)], tag_keys=("team",), detail_months=1, now=lambda: NOW
        )
        looked = collection.collect(database, "default", [cloud.inventory(**flat.only)], now=lambda: NOW)
        accesses = [*(bill.access for bill in read), *looked]
        return [access.ok for access in accesses], [access.problem for access in accesses if not access.ok]

    def standing() -> tuple[object, object]:
        with database.read() as tx:
            loads = ledger.standing_loads(tx, "default", ledger.ledger(tx, "default"))
            return [(load.partition, load.totals) for load in loads], {r.id for r in store.all_of(tx, "default")}

    ok, problems = collect()
    assert all(ok), problems
    before = standing()
    for kind in ("error", "repeated_page"):
        cloud.heal()
        cloud.fails(kind, flat.costs)
        cloud.fails(kind, flat.listing)
        ok, problems = collect()
        assert not ok[0], (kind, problems)
        assert len(problems) >= 2
        for problem in problems:
            fit_for_a_person(problem, flat)
        assert standing() == before, kind
