"""Daily files: read as they come, replayed without peeking, and refused with a reason."""

from __future__ import annotations

import gzip
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.analysis.world import MONDAY, rhythm
from tools.analysis import daily_file, replay
from tools.model.errors import InputError

HEADER = "ChargePeriodStart,ProviderName,SubAccountId,ServiceName,RegionId,ChargeCategory,BilledCost,BillingCurrency"


def daily(path: Path, values: list[float], *, series_id: bool = True, category: str = "Usage") -> Path:
    """A file with one series, each day in two rows."""
    lines = [HEADER + (",x_SeriesId" if series_id else "")]
    for n, value in enumerate(values):
        for share in (0.25, 0.75):
            row = f"{MONDAY + timedelta(days=n)}T00:00:00Z,AWS,a1,EC2,eu,{category},{value * share:.4f},USD"
            lines.append(row + (",AWS|a1|EC2|eu" if series_id else ""))
    path.write_text("\n".join(lines) + "\n")
    return path


def spiky() -> list[float]:
    values = rhythm(120)
    values[100] = 300.0
    return values


@pytest.mark.parametrize("series_id", [True, False])
def test_rows_of_a_day_add_up_and_the_spike_is_found(tmp_path: Path, series_id: bool) -> None:
    """With or without its own series id, a series has the same name."""
    found = daily_file.read(daily(tmp_path / "daily.csv", spiky(), series_id=series_id))
    (alert,) = replay.alerts(found)
    assert alert.series_id == "AWS|a1|EC2|eu"
    assert alert.day == MONDAY + timedelta(days=100)
    assert alert.direction == "up"
    assert alert.actual == Decimal("300.0000")
    assert alert.expected == pytest.approx(100, rel=0.05)
    assert alert.score >= replay.threshold(1.0)


def test_compressed_files_and_ended_costs(tmp_path: Path) -> None:
    """A csv.gz is read as it is; a cost that stops is told downwards."""
    plain = daily(tmp_path / "daily.csv", rhythm(100) + [0.0] * 6)
    packed = tmp_path / "daily.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert {a.direction for a in replay.alerts(daily_file.read(packed))} == {"down"}


def test_purchases_are_kept_apart(tmp_path: Path) -> None:
    """A purchase never makes a usage series, and counts in the whole."""
    found = daily_file.read(daily(tmp_path / "daily.csv", [5.0] * 20, category="Purchase"))
    assert found.usage == ()
    assert len(found.other) == 1
    assert replay.alerts(found) == ()
    assert daily_file.whole(found)[0].values[0] == Decimal("5.0000")


def test_usable_rows_are_used_and_the_others_named(tmp_path: Path) -> None:
    """Each bad row is told with its number."""
    path = daily(tmp_path / "daily.csv", [5.0] * 3)
    bad = ["yesterday,AWS,a1,EC2,eu,Usage,1,USD,s", f"{MONDAY},AWS,a1,EC2,eu,Usage,much,USD,s"]
    bad += [f"{MONDAY},AWS,a1,EC2,eu,Usage,NaN,USD,s", f"{MONDAY},AWS,a1,EC2,eu,Usage,1,EUR,AWS|a1|EC2|eu"]
    path.write_text(path.read_text() + "\n".join(bad))
    found = daily_file.read(path)
    assert [p.split(":")[0] for p in found.problems] == ["row 8", "row 9", "row 10", "row 11"]
    assert "in USD elsewhere and in EUR here" in found.problems[-1]
    assert len(found.usage) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "needs a day"),
        ("date,amount\n2026-01-01,1\n", "needs a day"),
        ("date,cost\n2026-01-01,1\n", "names no series"),
        ("date,cost,series_id\nx,1,a\n", "no usable row"),
        ("date,cost,series_id\n1990-01-01,1,a\n2026-01-01,1,a\n", "too long"),
    ],
)
def test_unusable_files_are_refused_with_a_reason(tmp_path: Path, text: str, reason: str) -> None:
    """One sentence, no trace."""
    path = tmp_path / "odd.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=reason):
        daily_file.read(path)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    """Paths and encodings that are wrong are said to be."""
    with pytest.raises(InputError, match="cannot be read"):
        daily_file.read(tmp_path / "none.csv")
    odd = tmp_path / "odd.csv"
    odd.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="not a csv file"):
        daily_file.read(odd)
    with pytest.raises(InputError, match="not a csv file"):
        daily_file.read_leaves(odd)
    with pytest.raises(InputError, match="cannot be read"):
        daily_file.read_leaves(tmp_path / "none.csv")


def test_leaf_tables(tmp_path: Path) -> None:
    """Dimensions are whatever else the file has; amounts must be amounts."""
    path = tmp_path / "leaves.csv"
    path.write_text("service,team,expected,actual\nEC2,web,1.5,2.5\n")
    names, rows = daily_file.read_leaves(path)
    assert names == ("service", "team")
    assert list(rows) == [(("EC2", "web"), Decimal("1.5"), Decimal("2.5"))]
    path.write_text("service,expected,actual\nEC2,1.5,lots\n")
    with pytest.raises(InputError, match='row 2: actual "lots"'):
        daily_file.read_leaves(path)
    path.write_text("service,cost\nEC2,1\n")
    with pytest.raises(InputError, match="needs the columns"):
        daily_file.read_leaves(path)


def test_more_false_alerts_mean_a_lower_bar() -> None:
    """The knob is a budget; the bar follows it."""
    bars = [replay.threshold(n) for n in (0.1, 0.4, 1.0, 1.5, 3.0, 50.0)]
    assert bars == sorted(bars, reverse=True)
