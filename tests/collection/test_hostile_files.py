"""What is no usable bill gets one clear sentence, and what stands stored stays as it is."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collection.bills import ROW, bill, read
from tools.model.errors import InputError
from tools.model.load import LoadStatus
from tools.store import loads
from tools.store.database import Database

pytestmark = pytest.mark.usefixtures("one_process")
HEADER = ",".join(ROW)
LINE = ",".join('"' + v.replace('"', '""') + '"' for v in ROW.values())
TEXT = f"{HEADER}\n{LINE}\n"


def _parquet(path: Path, change: str = "*") -> bytes:
    import duckdb

    source = bill(path.with_suffix(".source.csv"), {})
    with duckdb.connect() as db:
        db.execute(f"COPY (SELECT {change} FROM read_csv('{source}', all_varchar = true)) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


# name of the file, its bytes, what the sentence says
UNREADABLE: list[tuple[str, bytes | Callable[[Path], bytes], str]] = [
    ("empty.csv", b"", "is empty"),
    ("header.csv", f"{HEADER}\n".encode(), "no rows"),
    ("semicolons.csv", TEXT.replace(",", ";").encode(), "separates its columns by semicolons"),
    ("tabs.csv", TEXT.replace(",", "\t").encode(), "separates its columns by tabs"),
    ("other.csv", b"day,cost\n2026-01-01,5\n", "not a FOCUS file"),
    ("half.csv", TEXT.replace("EffectiveCost", "Effective").encode(), "no column EffectiveCost"),
    ("twice.csv", f"{HEADER},BilledCost\n{LINE},5\n".encode(), "column BilledCost more than once"),
    ("utf16.csv", TEXT.encode("utf-16"), "not UTF-8"),
    ("binary.csv", b"\x00\x01\xfe" * 3000, "not UTF-8"),
    ("latin.csv", HEADER.replace("SkuId", "Währung").encode("latin-1") + b"\n1\n", "not UTF-8"),
    ("sheet.csv", b"PK\x03\x04....", "zip archive or a spreadsheet"),
    ("quote.csv", f'{TEXT}"1.5,2\n{LINE}\n{LINE}\n'.encode(), "a quote that is never closed"),
    ("field.csv", TEXT.encode() + b"x" * 50_000_000 + b"," + LINE.encode(), "longer than 2 MB"),
    ("longheader.csv", b"x" * 2_000_000, "not a header"),
    ("dates.csv", TEXT.replace(ROW["BillingPeriodStart"], "10/12/26").encode(), "can be read in two ways"),
    ("cut.csv.gz", gzip.compress((TEXT + f"{LINE}\n" * 3000).encode())[:-30], "cannot be unpacked"),
    ("fake.csv.gz", b"\x1f\x8b" + b"no gzip at all" * 9, "cannot be unpacked"),
    ("bomb.csv.gz", gzip.compress(TEXT.encode() + b"\n" * 30_000_000), "more than 300 times its size"),
    ("cut.parquet", lambda folder: _parquet(folder / "whole.parquet")[:-20], "damaged or cut-off parquet"),
    ("ids.parquet", lambda folder: _parquet(folder / "x.parquet", "* REPLACE (1.2e11::DOUBLE AS BillingAccountId)"),
     "floating-point numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "sentence"), UNREADABLE, ids=[name for name, _, _ in UNREADABLE])
def test_a_file_that_cannot_be_read(
    database: Database, tmp_path: Path, name: str, content: bytes | Callable[[Path], bytes], sentence: str
) -> None:
    """One bad file refuses the whole reading, good files beside it included, and names itself."""
    folder = tmp_path / "export"
    folder.mkdir()
    bill(folder / "a-good.csv", {})
    data = content(tmp_path) if callable(content) else content
    (folder / name).write_bytes(data)
    with pytest.raises(InputError, match=sentence) as refused:
        read(database, folder)
    assert name in refused.value.what
    assert "\n" not in str(refused.value)
    with database.read() as tx:
        assert loads.ledger(tx, "default") == ()


# what differs from an ordinary row, the column that is blamed
UNUSABLE = [
    ({"BilledCost": ""}, "BilledCost"),
    ({"BilledCost": "NULL"}, "BilledCost"),
    ({"BilledCost": "NaN"}, "BilledCost"),
    ({"BilledCost": "-inf"}, "BilledCost"),
    ({"BilledCost": "=1+1"}, "BilledCost"),
    ({"BilledCost": "1_000"}, "BilledCost"),
    ({"BilledCost": "1.234,56"}, "BilledCost"),
    ({"BilledCost": "0x1F"}, "BilledCost"),
    ({"BilledCost": "1e15"}, "BilledCost"),
    ({"EffectiveCost": "twelve"}, "EffectiveCost"),
    ({"ListCost": "n/a"}, "ListCost"),
    ({"ContractedCost": "$$5"}, "ContractedCost"),
    ({"ChargePeriodStart": "2026-02-31T00:00:00Z"}, "ChargePeriodStart"),
    ({"ChargePeriodStart": "9999-01-01", "ChargePeriodEnd": ""}, "ChargePeriodStart"),
    ({"ChargePeriodStart": "0001-01-01"}, "ChargePeriodStart"),
    ({"ChargePeriodStart": "infinity"}, "ChargePeriodStart"),
    ({"ChargePeriodStart": "yesterday"}, "ChargePeriodStart"),
    ({"ChargePeriodEnd": "2026-10-01T00:00:00Z"}, "ChargePeriodEnd"),
    ({"BillingPeriodStart": "October"}, "BillingPeriodStart"),
    ({"ChargeCategory": "Refund"}, "ChargeCategory"),
    ({"BillingCurrency": "$"}, "BillingCurrency"),
    ({"BillingCurrency": ""}, "BillingCurrency"),
    ({"BillingAccountId": ""}, "BillingAccountId"),
    ({"BillingAccountId": "1.23457E+11"}, "BillingAccountId"),
    ({"BillingAccountId": "123456789012.0"}, "BillingAccountId"),
    ({"BillingAccountId": "x" * 501}, "BillingAccountId"),
    ({"SubAccountId": "1.2E+11"}, "SubAccountId"),
    ({"ProviderName": "null"}, "ProviderName"),
    ({"ProviderName": "p" * 200}, "ProviderName"),
]  # fmt: skip


def test_a_row_that_cannot_be_used(database: Database, tmp_path: Path) -> None:
    """Each kind of damage is blamed on its column, and only the row before it and the one after are loaded."""
    mixed = [row for wrong, _ in UNUSABLE for row in (wrong, {"ResourceId": "fine"})]
    done = read(database, bill(tmp_path / "a.csv", *mixed))
    assert sum(load.rows for load in done) == len(UNUSABLE)
    assert sum(load.rejected for load in done) == len(UNUSABLE)
    blamed = sorted((p.row, p.column) for load in done for p in load.problems)
    assert blamed == [(2 * n + 1, column) for n, (_, column) in enumerate(UNUSABLE)]


def test_a_row_of_another_length(database: Database, tmp_path: Path) -> None:
    """A comma too many shifts the values: such a row is left out, not guessed at."""
    path = tmp_path / "a.csv"
    path.write_text(f"{TEXT}{LINE},more\n1,2,3\n{LINE},\n", encoding="utf-8")
    done = read(database, path)
    assert [(load.status, load.rows, load.rejected) for load in done if load.rows] == [(LoadStatus.LOADED, 2, 1)]
    assert sorted(p.problem for load in done for p in load.problems) == [
        "the row has too few columns",
        "the row has too many columns",
    ]


def test_rows_of_another_encoding(database: Database, tmp_path: Path) -> None:
    """They are counted and placed; rows after them keep their numbers."""
    path = tmp_path / "a.csv"
    odd = LINE.replace("shop", "caf\xe9").encode("latin-1")
    broken = LINE.replace("1.5", "x").encode()
    good = LINE.encode()
    path.write_bytes(b"\n".join([HEADER.encode(), good, odd, good, broken, good, b""]))
    done = read(database, path)
    assert (sum(x.rows for x in done), sum(x.rejected for x in done)) == (3, 2)
    problems = sorted((p.row, p.problem) for x in done for p in x.problems)
    assert problems == [(2, "the row is not UTF-8 text"), (4, '"x" is not an amount of money')]


def test_a_column_of_damaged_ids_is_one_refusal(database: Database, tmp_path: Path) -> None:
    """Not one per row."""
    rows = [{"BillingAccountId": f"1.{n}E+11"} for n in range(60)]
    (load,) = read(database, bill(tmp_path / "a.csv", *rows))
    assert (load.status, load.partition, load.rejected) == (LoadStatus.REFUSED, None, 60)


def test_text_that_a_spreadsheet_would_run_is_only_text(database: Database, tmp_path: Path) -> None:
    """Formulas, quotes, glob characters and line ends inside names neither run nor break anything."""
    path = tmp_path / "o'clock [1]*?.csv"
    names = ['=HYPERLINK("http://x")', "'; DROP TABLE loads; --", "two\nlines", "tab\tand \u202e"]
    (load,) = read(database, bill(path, *({"ServiceName": n} for n in names)))
    assert (load.rows, load.rejected) == (4, 0)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_line_ends_and_marks_of_other_systems(database: Database, tmp_path: Path, end: str) -> None:
    """A byte-order mark, CRLF, no end of the last line, blank lines, and both line ends in one file."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}{end}{LINE}\r\n{LINE}\n\n{LINE}".encode())
    (load,) = read(database, path)
    assert (load.rows, load.rejected) == (3, 0)


def test_paths_that_lead_nowhere(database: Database, tmp_path: Path) -> None:
    """A missing file, a pattern without a match, an empty folder, an address: each is told."""
    (tmp_path / "empty").mkdir()
    for path, sentence in (
        (tmp_path / "none.csv", "There is no file or folder"),
        (tmp_path / "*.parquet", "There is no file or folder"),
        (tmp_path / "empty", "holds no .csv"),
        ("s3://bucket/export", "only files of this machine"),
    ):
        with pytest.raises(InputError, match=sentence):
            read(database, path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(database: Database, tmp_path: Path) -> None:
    """The system's own reason is in the sentence."""
    path = bill(tmp_path / "a.csv", {})
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read(database, path)
