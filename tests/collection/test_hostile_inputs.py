"""Whatever is given to `optiinfra ingest` that is no usable bill: one clear sentence, exit 1, nothing stored changes."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot import cli
from tests.collection.bills import bill, read
from tests.collection.hostile import FILES, MANIFESTS, PLACES, ROWS, Hostile
from tools.store.database import open_database

pytestmark = pytest.mark.usefixtures("one_process")
# What a library would say about itself, and what nobody should have to read.
FOREIGN = re.compile(r"Traceback|duckdb|DuckDB|sqlalchemy|pydantic|botocore|Exception|Error\b|read_csv|\bc\d+\b")

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def standing(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which October stands loaded."""
    from tests.collection.bills import in_one_process

    folder = tmp_path_factory.mktemp("standing")
    path = folder / "state.db"
    shutil.copy(sqlite_template, path)
    database = open_database(f"sqlite:///{path}", migrate=False)
    with in_one_process():
        read(database, bill(folder / "october.csv", {}, {"ResourceId": "bucket-2", "BilledCost": "4"}))
    database.dispose()
    return path


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    """The command line's own parser."""
    return cli.build_parser()


def fingerprint(path: Path) -> str:
    """Of every row of every table."""
    mark = hashlib.sha256()
    with closing(sqlite3.connect(path)) as database:
        for (table,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ).fetchall():
            mark.update(repr((table, sorted(map(repr, database.execute(f'SELECT * FROM "{table}"'))))).encode())
    return mark.hexdigest()


@pytest.fixture
def refused(
    standing: Path,
    parser: argparse.ArgumentParser,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Refused:
    """Ingest, as typed; gives the sentence after checking that it is one, ours, and that nothing changed."""
    monkeypatch.setenv("OPTIINFRA_STATE_URL", f"sqlite:///{standing}")
    monkeypatch.setenv("OPTIINFRA_TAG_KEYS", "team,env")
    # Making it anew for each of a hundred inputs takes longer than refusing them.
    monkeypatch.setattr(cli, "build_parser", lambda: parser)

    def refuse(*given: str | Path) -> str:
        before = fingerprint(standing)
        assert cli.main(["ingest", *map(str, given)]) == 1
        told = capsys.readouterr().err
        assert fingerprint(standing) == before
        assert told.count("\n") == 1
        assert not FOREIGN.search(told), told
        return told

    return refuse


@pytest.mark.parametrize("hostile", FILES, ids=[h.name for h in FILES])
def test_a_file_that_is_no_bill(refused: Refused, tmp_path: Path, hostile: Hostile) -> None:
    """One bad file refuses the whole reading, the good file beside it included, and names itself."""
    folder = tmp_path / "export"
    folder.mkdir()
    bill(folder / "a-good.csv", {"BilledCost": "77"})
    hostile.put(folder)
    told = refused(folder)
    assert re.search(hostile.sentence, told), told
    assert hostile.name in told


# One of each kind on its own; all kinds together below.
SINGLE = tuple({(column, reason): (wrong, column, reason) for wrong, column, reason in ROWS}.values())


@pytest.mark.parametrize(("wrong", "column", "reason"), SINGLE, ids=[f"{c} {r}" for _, c, r in SINGLE])
def test_a_bill_of_one_bad_row(
    refused: Refused, tmp_path: Path, wrong: dict[str, str], column: str, reason: str
) -> None:
    """Row, column and reason are in the sentence."""
    told = refused(bill(tmp_path / "bad.csv", wrong))
    assert f"bad.csv row 1, {column}: " in told
    assert reason in told


def test_a_bill_of_bad_rows_only(
    refused: Refused, tmp_path: Path, standing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every kind of damage is blamed on its row, its column, and for its reason."""
    path = bill(tmp_path / "bad.csv", *(wrong for wrong, _, _ in ROWS))
    refused(path)
    assert cli.main(["ingest", str(path), "--json"]) == 1
    loads = json.loads(capsys.readouterr().out)["loads"]
    problems = {p["row"]: p for load in loads for p in load["problems"]}
    assert {load["status"] for load in loads} == {"refused"}
    assert sorted(problems) == list(range(1, len(ROWS) + 1))
    for number, (_, column, reason) in enumerate(ROWS, 1):
        assert problems[number]["column"] == column
        assert reason in problems[number]["problem"], problems[number]


@pytest.mark.parametrize("odd", PLACES, ids=[p.__name__ for p in PLACES])
def test_a_place_that_leads_nowhere(
    refused: Refused, tmp_path: Path, odd: Callable[[Path], tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loops, pipes, devices, depths, names that no system takes, and addresses: told, never waited for."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    given, sentence = odd(tmp_path)
    told = refused(given)
    assert re.search(sentence, told), told


@pytest.mark.parametrize(("document", "sentence"), MANIFESTS, ids=[str(n) for n in range(len(MANIFESTS))])
def test_a_manifest_that_cannot_be_followed(refused: Refused, tmp_path: Path, document: object, sentence: str) -> None:
    """A copied export is read as its manifest says, or not at all."""
    folder = tmp_path / "export"
    (folder / "data").mkdir(parents=True)
    bill(folder / "data" / "costs-1.csv", {"BilledCost": "77"})
    bill(folder / "data" / "extra.csv", {"BilledCost": "88", "ResourceId": "x"})
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    (folder / "costs-Manifest.json").write_bytes(raw)
    told = refused(folder)
    assert re.search(sentence, told), told
    assert "costs-Manifest.json" in told or "export" in told


def test_a_copied_export_is_read_as_its_manifest_says(standing: Path, tmp_path: Path) -> None:
    """Wherever in the bucket the copy began; files that it does not name are of other deliveries."""
    state = tmp_path / "state.db"
    shutil.copy(standing, state)
    database = open_database(f"sqlite:///{state}", migrate=False)
    folder = tmp_path / "export"
    (folder / "data").mkdir(parents=True)
    bill(folder / "data" / "costs-1.csv", {"BilledCost": "77"})
    bill(folder / "data" / "extra.csv", {"BilledCost": "88", "ResourceId": "x"})
    manifest = folder / "metadata" / "costs-Manifest.json"
    manifest.parent.mkdir()
    size = (folder / "data" / "costs-1.csv").stat().st_size
    for document in (
        {"dataFiles": ["s3://bucket/exports/daily/data/costs-1.csv"]},
        {"exportConfig": {"type": "FocusCost"}, "blobs": [{"blobName": "root/data/costs-1.csv", "byteCount": size}]},
    ):
        manifest.write_text(json.dumps(document), encoding="utf-8")
        (load,) = read(database, folder)
        assert [t.billed_cost for t in load.totals] == [77]
    database.dispose()


def test_there_are_enough_of_them() -> None:
    """All of them different."""
    assert len({h.name for h in FILES}) + len(SINGLE) + len(PLACES) + len(MANIFESTS) >= 110
