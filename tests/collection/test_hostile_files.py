"""Rows that cannot be used are left out and told, and the odd but harmless is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.collection.bills import bill, read
from tests.collection.hostile import HEADER, LINE, ROWS, TEXT
from tools.model.errors import InputError
from tools.model.load import LoadStatus
from tools.store.database import Database

pytestmark = pytest.mark.usefixtures("one_process")


def test_a_row_that_cannot_be_used(database: Database, tmp_path: Path) -> None:
    """Each kind of damage is blamed on its column, and only the row before it and the one after are loaded."""
    mixed = [row for wrong, _, _ in ROWS for row in (wrong, {"ResourceId": "fine"})]
    done = read(database, bill(tmp_path / "a.csv", *mixed))
    assert sum(load.rows for load in done) == len(ROWS)
    assert sum(load.rejected for load in done) == len(ROWS)
    blamed = sorted((p.row, p.column) for load in done for p in load.problems)
    assert blamed == [(2 * n + 1, column) for n, (_, column, _) in enumerate(ROWS)]


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
