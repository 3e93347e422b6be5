"""Files that stand loaded as they are need not be read again; whatever differs is read with all that belongs to it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.collection.bills import bill, read
from tools.collection import charges
from tools.model.errors import InputError
from tools.model.load import LoadStatus
from tools.store.database import Database

pytestmark = pytest.mark.usefixtures("one_process")
NOVEMBER = {
    "BillingPeriodStart": "2026-11-01T00:00:00Z",
    "ChargePeriodStart": "2026-11-02T00:00:00Z",
    "ChargePeriodEnd": "2026-11-03T00:00:00Z",
}
UNCHANGED, LOADED, REPLACED = LoadStatus.UNCHANGED, LoadStatus.LOADED, LoadStatus.REPLACED


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of the files that each reading opened."""
    opened: list[list[str]] = []
    real = charges.rollup

    def watched(files, *rest):  # type: ignore[no-untyped-def]
        opened.append([f.name for f in files])
        return real(files, *rest)

    monkeypatch.setattr(charges, "rollup", watched)
    return opened


def _told(database: Database, *paths: Path, **options: object) -> list[tuple[str, LoadStatus, Decimal]]:
    done = read(database, *paths, **options)  # type: ignore[arg-type]
    return [
        (f"{x.partition.billing_period:%m}" if x.partition else "", x.status, x.totals[0].billed_cost) for x in done
    ]


def test_what_stands_loaded_is_not_read_again(database: Database, tmp_path: Path, readings: list[list[str]]) -> None:
    """The same content under another name is the same; its loads are told with their sums all the same."""
    bill(tmp_path / "10.csv", {})
    read(database, tmp_path / "10.csv")
    (tmp_path / "10.csv").rename(tmp_path / "renamed.csv")
    assert _told(database, tmp_path / "renamed.csv") == [("10", UNCHANGED, Decimal("1.5"))]
    assert readings == [["10.csv"]]


def test_a_new_month_is_read_alone(database: Database, tmp_path: Path, readings: list[list[str]]) -> None:
    """Yesterday's files stand; only the new one is opened, and both are told."""
    folder = tmp_path / "export"
    folder.mkdir()
    bill(folder / "10.csv", {})
    read(database, folder)
    bill(folder / "11.csv", NOVEMBER)
    assert _told(database, folder) == [("10", UNCHANGED, Decimal("1.5")), ("11", LOADED, Decimal("1.5"))]
    assert readings[1:] == [["11.csv"]]


def test_a_piece_that_came_late_is_read_with_the_other_pieces(
    database: Database, tmp_path: Path, readings: list[list[str]]
) -> None:
    """A period in two files is the sum of both, whichever came first."""
    folder = tmp_path / "export"
    folder.mkdir()
    bill(folder / "1.csv", {}, NOVEMBER)
    bill(folder / "other.csv", {"BillingAccountId": "999999999999"})
    read(database, folder)
    bill(folder / "2.csv", {"ResourceId": "late", "BilledCost": "4"})
    assert [x[1:] for x in _told(database, folder)] == [
        (REPLACED, Decimal("5.5")),
        (UNCHANGED, Decimal("1.5")),
        (UNCHANGED, Decimal("1.5")),
    ]
    assert readings[1:] == [["2.csv"]]


def test_a_piece_alone_replaces_the_whole(database: Database, tmp_path: Path) -> None:
    """Given without its other half, a known file is what the period now is; given with it again, both are."""
    first, second = bill(tmp_path / "1.csv", {}), bill(tmp_path / "2.csv", {"ResourceId": "b", "BilledCost": "4"})
    read(database, first, second)
    assert _told(database, first) == [("10", REPLACED, Decimal("1.5"))]
    assert _told(database, first, second) == [("10", REPLACED, Decimal("5.5"))]


def test_going_back_to_an_older_export_is_a_change(database: Database, tmp_path: Path) -> None:
    """A file that was replaced in between is read again."""
    first, second = bill(tmp_path / "1.csv", {}), bill(tmp_path / "2.csv", {"BilledCost": "4"})
    read(database, first)
    read(database, second)
    assert _told(database, first) == [("10", REPLACED, Decimal("1.5"))]


def test_other_settings_are_another_reading(database: Database, tmp_path: Path, readings: list[list[str]]) -> None:
    """Other tag keys, another provider's name, or rows that were left out: nothing is taken for granted."""
    path = bill(tmp_path / "1.csv", {})
    flawed = bill(tmp_path / "2.csv", NOVEMBER, NOVEMBER, {**NOVEMBER, "BilledCost": "x"})
    for options in ({}, {"tag_keys": ("app",)}, {"provider": "aws"}):
        read(database, path, **options)  # type: ignore[arg-type]
    for _ in range(2):
        assert [(x.rows, x.rejected) for x in read(database, flawed)] == [(2, 1)]
    assert len(readings) == 5


def test_two_snapshots_of_one_period_do_not_count_twice(database: Database, tmp_path: Path) -> None:
    """A month as of the 15th and as of the 20th share most rows: refused by name; pieces of one export are not."""
    hours = [
        {"ChargePeriodStart": f"2026-10-{n // 24 + 1:02}T{n % 24:02}:00:00Z", "ChargePeriodEnd": ""} for n in range(72)
    ]
    folder = tmp_path / "export"
    folder.mkdir()
    bill(folder / "even.csv", *hours[::2])
    bill(folder / "odd.csv", *hours[1::2])
    assert [(x.rows, x.status) for x in read(database, folder)] == [(72, LOADED)]
    bill(folder / "as-of-15.csv", *({**h, "ResourceId": f"r{n}"} for n, h in enumerate(hours[:40])))
    bill(folder / "as-of-20.csv", *({**h, "ResourceId": f"r{n}"} for n, h in enumerate(hours)))
    with pytest.raises(InputError, match=r"as-of-15\.csv and as-of-20\.csv have 40 rows in common"):
        read(database, folder)
