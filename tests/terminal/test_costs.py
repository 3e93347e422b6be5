"""The terminal takes bills in and answers cost questions, for people and for programs."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest

from bot.cli import main
from bot.terminal import output
from tests.collection.bills import bill, one_process

__all__ = ["one_process"]
OCTOBER = ("--from", "2026-10-01", "--to", "2026-11-01")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch, one_process: None) -> None:
    """A person's own folder, without the settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OPTIINFRA_STATE_URL", raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "optiinfra.db").write_bytes(sqlite_template.read_bytes())


def test_a_bill_comes_in_and_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was loaded, then what each service cost, as tables."""
    path = bill(tmp_path / "a.csv", {}, {"ServiceName": "EC2", "BilledCost": "1234.5"})
    assert main(["ingest", str(path)]) == 0
    said = capsys.readouterr().out
    assert "AWS 123456789012 2026-10     2         0  $1,236.00" in said
    assert main(["costs", *OCTOBER, "--by", "service"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("1-31 Oct 2026, billed cost")
    assert said[3:6] == ["EC2        $1,234.50", "Amazon S3      $1.50", "total: $1,236.00 (exactly 1236)"]


def test_programs_get_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Money as decimal text beside its currency, dimensions under the names that were typed, and a receipt."""
    path = bill(tmp_path / "a.csv", {}, {"BilledCost": "0.1"}, {"BilledCost": "?"}, {"BillingCurrency": "EUR"})
    assert main(["ingest", str(path), "--json"]) == 0
    loads = json.loads(capsys.readouterr().out)["loads"]
    shown = [(x["currency"], x["rows"], x["rejected"], x["billed_cost"], x["period"], x["status"]) for x in loads]
    assert shown == [("EUR", 1, 1, "1.5", "2026-10", "loaded"), ("USD", 2, 0, "1.6", "2026-10", "loaded")]
    assert loads[0]["problems"][0] | {"file": ""} == {
        "file": "",
        "row": 3,
        "column": "BilledCost",
        "problem": '"?" is not an amount of money',
        "rejected": True,
    }
    asked = ["costs", *OCTOBER, "--by", "service,team", "--where", "currency=usd", "--granularity", "day", "--json"]
    assert main(asked) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rows"] == [
        {
            "service": "Amazon S3",
            "team": "search",
            "period": {"start": "2026-10-02", "end": "2026-10-03"},
            "cost": "1.6",
            "currency": "USD",
            "rows": 2,
        }
    ]
    assert (document["total"], document["currency"], document["receipt"]["rows"]) == ("1.6", "USD", 2)
    assert document["receipt"]["sql"].startswith("SELECT")
    assert document["coverage"]["complete_to"] == "2026-10-03"


def test_two_currencies_have_no_common_total(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A total per currency, on the terminal and in JSON; an unknown one is called unknown."""
    main(["ingest", str(bill(tmp_path / "a.csv", {}, {"BillingCurrency": "EUR", "ListCost": ""}))])
    capsys.readouterr()
    main(["costs", *OCTOBER, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (document["total"], document["currency"]) == (None, "")
    assert {t["currency"]: t["cost"] for t in document["totals"]} == {"EUR": "1.5", "USD": "1.5"}
    main(["costs", *OCTOBER, "--metric", "list", "--granularity", "month"])
    said = capsys.readouterr().out
    assert "total: unknown: a price is missing in the bill" in said
    assert "total: $2.00 (exactly 2)" in said


def test_a_value_that_nothing_has_leads_to_those_that_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer is empty and says what was probably meant; another case is the same value."""
    main(["ingest", str(bill(tmp_path / "a.csv", {}))])
    capsys.readouterr()
    assert main(["costs", *OCTOBER, "--where", "service=Amazn S3"]) == 0
    assert 'No cost has service_name "Amazn S3"; did you mean Amazon S3?' in capsys.readouterr().out
    assert main(["costs", *OCTOBER, "--where", "service=amazon s3", "--where", "region!=us-east-1"]) == 0
    assert "total: $1.50" in capsys.readouterr().out
    assert main(["costs", *OCTOBER, "--where", "region=", "--where", "region!=zzzz"]) == 0
    assert "There is no cost in this period that fits." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--by", "colour"], 'There is no dimension "colour"'),
        (["--where", "service"], "service is not a filter"),
        (["--where", "colour=red"], 'There is no dimension "colour"'),
    ],
)
def test_a_question_that_cannot_be_asked_is_told(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence on stderr, nothing on stdout, exit 1."""
    assert main(["costs", *OCTOBER, *arguments]) == 1
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.out == ""


def test_a_period_without_days_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The end is excluded, so it cannot be the start."""
    assert main(["costs", "--from", "2026-10-01", "--to", "2026-10-01"]) == 1
    assert "needs at least one day" in capsys.readouterr().err


def test_a_refused_bill_is_told_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, one sentence with the first problem, and the table or document still shows what was refused."""
    path = bill(tmp_path / "a.csv", {"BilledCost": "=1+1"}, {"BillingAccountId": ""})
    assert main(["ingest", str(path)]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert '"=1+1" is not an amount of money' in said.err
    assert "1 more of 2 were refused" in said.err
    assert "did not change" in said.err
    assert main(["ingest", str(path), "--json"]) == 1
    assert {x["status"] for x in json.loads(capsys.readouterr().out)["loads"]} == {"refused"}
    assert main(["ingest", str(tmp_path / "none")]) == 1
    assert "There is no file or folder" in capsys.readouterr().err


def test_a_restatement_and_long_lists_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The difference to before in words, broken laws as questions, and ten problems of many."""
    main(["ingest", str(bill(tmp_path / "a.csv", {}))])
    rows = [{"BilledCost": "3", "ResourceId": f"r{n}"} for n in range(20)] + [{"BilledCost": "x"}] * 15
    capsys.readouterr()
    assert main(["ingest", str(bill(tmp_path / "b.csv", *rows))]) == 0
    said = capsys.readouterr().out
    assert "was restated: +19 rows, billed $58.50" in said
    assert "billed equals effective over the whole life of purchases?" in said
    assert "... and 5 more" in said


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1234.5", "USD", "$1,234.50"),
        ("-0.0042", "EUR", "-€0.0042"),
        ("0.000000123", "USD", "$0.00000012"),
        ("1200", "CHF", "1,200.00 CHF"),
        ("1200.4", "JPY", "¥1,200"),
        ("0", "USD", "$0.00"),
        ("-0.00", "USD", "$0.00"),
        ("5", "XXX", "5.00"),
    ],
)
def test_money_for_people(amount: str, currency: str, shown: str) -> None:
    """Signs, separators, and no cost that looks like nothing."""
    assert output.money(Decimal(amount), currency) == shown
    assert output.money(None, currency) == "unknown"


class _Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class _Thing:
    colour: _Colour
    at: datetime
    day: date
    amount: Decimal
    where: Path
    names: frozenset[str]


def test_anything_of_ours_becomes_json() -> None:
    """Decimals as text without exponent, times in UTC, and never a float."""
    thing = _Thing(
        _Colour.RED, datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 2), Decimal("1E-7"), Path("a/b"), frozenset("ba")
    )
    assert output.jsonable({"x": (thing, None, True)}) == {
        "x": [
            {
                "colour": "red",
                "at": "2026-01-01T00:00:00Z",
                "day": "2026-01-02",
                "amount": "0.0000001",
                "where": "a/b",
                "names": ["a", "b"],
            },
            None,
            True,
        ]
    }
    with pytest.raises(TypeError, match="float"):
        output.jsonable(0.1)


def test_a_table_is_aligned_and_tame() -> None:
    """Escape codes and line ends inside names reach no terminal."""
    lines = output.table(("name", "n"), [("a\x1b[31m\nb", Decimal("1.50")), (None, date(2026, 1, 1))], right=[1])
    assert lines.splitlines()[2:] == ["a [31m b         1.5", "-         2026-01-01"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_for_terminals_only() -> None:
    """It draws over itself, cleans up at the end, and a pipe never sees it."""
    screen, pipe = _Terminal(), io.StringIO()
    for stream in (screen, pipe):
        with output.Progress(stream) as progress:
            progress("reading a.csv", 1, 2)
            progress("reading a.csv", 1, 2)
            progress("b", 5, 0)
    assert "[##############..............] reading a.csv" in screen.getvalue()
    assert screen.getvalue().endswith("\r")
    assert pipe.getvalue() == ""
