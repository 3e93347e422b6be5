"""What is stored goes out as FOCUS; that it comes back in to the last digit is in test_vectors."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest

from bot import cli
from tests.collection.bills import TAG_KEYS, bill, read
from tools.analysis.costs import Costs
from tools.collection.export import columns, export
from tools.model.errors import InputError
from tools.store.database import Database

pytestmark = pytest.mark.usefixtures("one_process")


def test_a_version_has_its_own_names(database: Database, tmp_path: Path) -> None:
    """1.4 dropped ProviderName; what a version demands is there even when nothing fills it."""
    assert {"ProviderName", "PublisherName"} <= set(columns("1.2"))
    assert "ProviderName" not in columns("1.4")
    assert {"ServiceProviderName", "HostProviderName", "InvoiceIssuerName", "PricingUnit"} <= set(columns("1.4"))
    read(database, bill(tmp_path / "in.csv", {}, {"ListCost": "", "Tags": '{"team": "a, \\"b\\""}', "SkuId": "x"}))
    export(database, "default", tmp_path / "out.csv", "1.4")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda r: r["SkuId"])
    assert [r["ListCost"] for r in rows] == ["2", ""]
    assert [json.loads(r["Tags"]).get("team") for r in rows] == ["search", 'a, "b"']
    assert {r["ConsumedQuantity"] for r in rows} == {"3.0"}


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_text_that_a_spreadsheet_would_run_goes_out_harmless_and_comes_back_as_it_was(
    database: Database, tmp_path: Path, name: str
) -> None:
    """Formulas are guarded in csv, what is guarded already is too, negative amounts stay numbers."""
    names = ["=HYPERLINK(1)", "+1", "-x", "@SUM(A1)", "'=guarded", "''-twice", "'quoted'", "plain"]
    read(database, bill(tmp_path / "in.csv", *({"ServiceName": n, "BilledCost": "-2"} for n in names)))
    export(database, "default", tmp_path / name, "1.4")
    if name.endswith(".csv"):
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert not [r for r in rows if r["ServiceName"].startswith(("=", "+", "-", "@"))]
        assert {r["BilledCost"] for r in rows} == {"-2"}
    read(database, tmp_path / name, tenant="copy")
    costs = Costs(database, "copy", TAG_KEYS, 2)
    assert sorted(costs.values("service_name")) == sorted(names)


def test_what_cannot_be_exported_is_told_and_leaves_no_file(database: Database, tmp_path: Path) -> None:
    """No data, another ending, a folder that is not there: one sentence each, and nothing half written."""
    for path, sentence in (
        (tmp_path / "out.csv", "no cost data to export"),
        (tmp_path / "out.xlsx", "must end in"),
        (tmp_path / "none" / "out.csv", "cannot be written"),
    ):
        with pytest.raises(InputError, match=sentence):
            export(database, "default", path, "1.4")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith((".out", "out"))] == []


def test_the_command_says_what_it_wrote(
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """JSON for programs, a sentence for people."""
    read(database, bill(tmp_path / "in.csv", {}), tag_keys=TAG_KEYS)
    monkeypatch.setenv("OPTIINFRA_STATE_URL", database_url)
    assert cli.main(["export", "focus", str(tmp_path / "out.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["files"], told["rows"]) == ([str(tmp_path / "out.csv")], 1)
    assert (Decimal(told["billed_cost"]), told["currency"]) == (Decimal("1.5"), "USD")
    assert cli.main(["export", "focus", str(tmp_path / "out.csv"), "--version", "1.2"]) == 0
    assert "1 rows, billed $1.50 (FOCUS 1.2)" in capsys.readouterr().out
