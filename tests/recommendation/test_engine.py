"""From a bill and an inventory to recommendations that stay, change and go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collection.bills import in_one_process
from tests.conftest import NOW, TENANT
from tests.recommendation.bills import ACCOUNT, row, write
from tests.recommendation.conftest import days_ago, group, resource
from tools.analysis.costs import Costs
from tools.collection.charges import ingest
from tools.model.outcome import Calibration
from tools.recommendation.engine import recent, recommend
from tools.store import outcomes, recommendations, resources
from tools.store.database import Database, open_database

START, DAYS = date(2026, 9, 20), 64


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty-four days of a small AWS account: twenty instances, a disk nobody uses, and a steady rest."""
    return write(tmp_path_factory.mktemp("bill") / "aws.csv", _rows())


def _rows() -> Iterator[dict[str, str]]:
    for day in (START + timedelta(days=n) for n in range(DAYS)):
        for number in range(20):
            yield row(day, f"i-{number}", "9.6", tags='{"service": "checkout"}')
        for number in range(10):
            yield row(day, f"i-rest-{number}", "10", sku="EU-BoxUsage:r6i.xlarge")
        yield row(day, "vol-1", "3.3", "32.8", "GB-Mo", sku="EU-EBS:VolumeUsage.gp2")


def costs_of(database: Database) -> Costs:
    return Costs(database, TENANT, ("team", "service"), 2)


def load(database: Database, bill: Path) -> Costs:
    with in_one_process():
        ingest(database, TENANT, [bill], tag_keys=("team", "service"), detail_months=4, now=lambda: NOW)
    return costs_of(database)


@pytest.fixture(scope="module")
def loaded(sqlite_template: Path, bill: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that holds the bill, read once for all tests."""
    path = tmp_path_factory.mktemp("loaded") / "state.db"
    shutil.copy(sqlite_template, path)
    database = open_database(f"sqlite:///{path}", migrate=False)
    load(database, bill)
    database.dispose()
    return path


@pytest.fixture
def filled(loaded: Path, tmp_path: Path) -> Iterator[Database]:
    """A database of the test's own with the bill in it."""
    path = tmp_path / "filled.db"
    shutil.copy(loaded, path)
    opened = open_database(f"sqlite:///{path}", migrate=False)
    yield opened
    opened.dispose()


def look(database: Database) -> None:
    """Inventory sees the group and the disk."""
    volume = resource(
        "volume", "vol-1", attached=False, state="available", gib=1000, created_at=days_ago(100), instances=[]
    )
    with database.begin() as tx:
        resources.replace(tx, TENANT, "AWS", ACCOUNT, [group(), volume], now=NOW)


@pytest.mark.stores
def test_a_bill_and_an_inventory_become_savings_with_receipts(database: Database, bill: Path) -> None:
    """Three kinds, greatest first, each amount checkable against the bill, none counted twice."""
    costs = load(database, bill)
    look(database)
    found = recommend(database, TENANT, costs, now=lambda: NOW)
    assert [r.kind for r in found] == ["spot_migration", "commitment", "cleanup"]
    move, commitment, disk = found
    assert move.parameters["affected_monthly"] == "5840"
    assert move.evidence[0].receipt is not None
    assert move.evidence[0].receipt.rows == 20 * 30
    assert move.evidence[0].receipt.as_of == NOW
    assert disk.saving_high == Decimal("100.38")
    # 100 a day are not in the group's 192; four fifths of it, less the five percent that the disk makes up.
    assert Decimal(commitment.parameters["affected_monthly"]) < Decimal(100) * 30
    with database.read() as tx:
        assert recommendations.listing(tx, TENANT) == found
        assert recommendations.listing(tx, TENANT, "cleanup") == (disk,)


def test_what_is_done_goes_and_can_still_be_looked_up(filled: Database) -> None:
    """A deleted disk is no saving any more, but its rollout may still ask what it was."""
    look(filled)
    disk = next(r for r in recommend(filled, TENANT, costs_of(filled), now=lambda: NOW) if r.kind == "cleanup")
    with filled.begin() as tx:
        resources.replace(tx, TENANT, "AWS", ACCOUNT, [group()], now=NOW)
    again = recommend(filled, TENANT, costs_of(filled), now=lambda: NOW)
    assert disk.id not in {r.id for r in again}
    with filled.read() as tx:
        assert disk.id not in {r.id for r in recommendations.listing(tx, TENANT)}
        assert recommendations.one(tx, TENANT, disk.id) == disk


def test_an_inventory_that_could_not_be_renewed_blocks_what_rests_on_it(filled: Database) -> None:
    """A failed look is not a fresh look: savings are shown and cannot be proposed."""
    look(filled)
    later = NOW + timedelta(days=5)
    with filled.begin() as tx:
        resources.failed(tx, TENANT, "AWS", ACCOUNT, now=later, problem="denied")
    found = recommend(filled, TENANT, costs_of(filled), now=lambda: later)
    move = next(r for r in found if r.kind == "spot_migration")
    assert "last read whole: 23 Nov 2026" in move.blocked_by[-1]


def test_experience_moves_the_next_run(filled: Database) -> None:
    """Savings of this kind came out at half: the next promise is half."""
    look(filled)
    first = recommend(filled, TENANT, costs_of(filled), now=lambda: NOW)[0]
    half = Decimal("0.5")
    with filled.begin() as tx:
        outcomes.save_calibration(tx, TENANT, Calibration("spot_migration", half, half, half, 3), now=NOW)
    second = next(r for r in recommend(filled, TENANT, costs_of(filled), now=lambda: NOW) if r.kind == "spot_migration")
    assert second.id == first.id
    assert abs(second.saving_expected - first.saving_expected / 2) <= Decimal("0.01")


def test_without_a_bill_nothing_is_found_and_nothing_is_dropped(database: Database) -> None:
    """No data is not "no savings"."""
    look(database)
    costs = Costs(database, TENANT, (), 2)
    assert recent(costs) is None
    assert recommend(database, TENANT, costs, now=lambda: NOW) == ()


def test_another_customers_things_are_not_seen(filled: Database) -> None:
    """Everything is scoped by tenant."""
    look(filled)
    assert recommend(filled, "other", Costs(filled, "other", (), 2), now=lambda: NOW) == ()
