"""`optiinfra savings`, before, while and after bills tell what a rollout saved."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from bot.cli import main
from tests.learning.test_outcomes import bill, succeeded
from tools.store.database import Database


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command prints."""
    assert main(("savings", *words)) == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIINFRA_STATE_URL", database_url)
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    monkeypatch.setenv("OPTIINFRA_TAG_KEYS", "service")
    monkeypatch.chdir(tmp_path)


def test_nothing_was_saved_yet(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first rollout it says where savings come from."""
    assert "What could be saved: optiinfra recommend" in typed(capsys)
    assert json.loads(typed(capsys, "--json")) == {"ledger": [], "calibration": []}


def test_a_saving_beside_its_promise(database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Expected and realised stand side by side with the reason, in words and as a document."""
    bill(database, tmp_path, after=Decimal("0.35"))
    succeeded(database)
    said = typed(capsys)
    assert "Together $365.00 a month realised of $1,825.00 expected." in said
    assert "not verified" in said
    assert "spot_migration: 60 % of what was expected comes true" in said
    told = json.loads(typed(capsys, "--json"))
    (line,) = told["ledger"]
    assert line["estimated_monthly"] == {"low": "1825", "expected": "1825", "high": "1825"}
    assert (line["realised_monthly"], line["currency"], line["verdict"]) == ("365", "USD", "not_verified")
    assert line["measured"] == {"start": "2026-11-02", "end": "2026-11-20"}
    assert told["calibration"][0]["outcomes"] == 1


def test_too_early_is_not_counted(database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A few days of bills prove nothing, and the sum says that one is still open."""
    bill(database, tmp_path, days=38)
    succeeded(database)
    said = typed(capsys)
    assert "not known yet" in said
    assert "$0.00 a month realised of $0.00 expected; 1 not measured yet." in said
