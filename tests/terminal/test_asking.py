"""`optiinfra ask`: one question or a file of them, in words or as JSON, with what it says when it cannot."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from tests.agent import world


@pytest.fixture(scope="module")
def lumen_file(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A database with the small organisation's bills."""
    return world.load(tmp_path_factory.mktemp("bills"), sqlite_template)


@pytest.fixture
def home(lumen_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with the small organisation's bills, and nobody's keys."""
    shutil.copy(lumen_file, tmp_path / "optiinfra.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    for name in ("GROQ_API_KEY", "GROQ_API_BASE", "OPTIINFRA_STATE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["ask", "--today", "2026-11-23", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ask(capsys, *arguments, "--json")[1])
    return document


def test_the_json_has_every_key_that_scripts_rely_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status, query, facts with receipts, coverage, planner: decimals as strings, periods half-open."""
    answer = asked(capsys, "what did we spend per service in October?")
    assert set(answer) >= {
        "status", "answer", "query", "facts", "tables", "charts", "assumptions", "alternatives", "coverage", "planner",
        "elapsed_ms",
    }  # fmt: skip
    assert set(answer["query"]) >= {"tool", "args", "period", "metric", "filters"}
    first = answer["facts"][0]
    assert set(first) == {"id", "label", "entity", "value", "unit", "currency", "period", "metric", "receipt"}
    assert set(first["receipt"]) == {"sql", "parameters", "rows", "as_of"}
    from datetime import date

    assert Decimal(first["value"]) == world.total(date(2026, 10, 1), date(2026, 11, 1))
    assert first["period"] == {"start": "2026-10-01", "end": "2026-11-01"}
    assert answer["coverage"]["complete_to"] == "2026-11-23"
    assert answer["planner"] == {"source": "planner", "confidence": "0.95"}


def test_for_reading_there_is_a_sentence_a_table_and_what_was_assumed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first line is the number."""
    code, out, _ = ask(capsys, "top 3 services")
    assert code == 0
    assert out.startswith("$")
    assert "Amazon Elastic Compute Cloud" in out
    assert "Assumed: period not given: month to date." in out
    assert "Counted: billed cost" in out


def test_a_thread_is_continued_between_two_calls(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each call is a process of its own; the conversation is not."""
    ask(capsys, "what did we spend last month?", "--thread", "t")
    answer = asked(capsys, "and GCP?", "--thread", "t")
    assert answer["query"]["filters"] == [{"dimension": "provider", "values": ["Google Cloud"], "exclude": False}]


def test_what_is_not_understood_exits_with_one_and_offers_questions(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scripts see the exit code, people see what they could ask."""
    code, out, _ = ask(capsys, "asdf qwer", "--no-llm")
    assert code == 1
    assert "You could ask:" in out
    assert ask(capsys, "approve ro-1")[0] == 1


def test_nobody_of_that_name(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--as must be somebody."""
    code, _, err = ask(capsys, "what did we spend?", "--as", "nobody@lumen.example")
    assert code == 1
    assert "Nobody here has the e-mail" in err


def test_a_terminal_without_a_name_may_look_only(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proposing needs a person."""
    code, out, _ = ask(capsys, "move checkout-workers to spot")
    assert code == 1
    assert "may look but not propose" in out


def test_a_batch_gives_one_line_per_question(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ids come back, threads are kept apart, empty lines are skipped."""
    lines = [
        {"id": "a", "text": "what did we spend last month?", "thread": "x"},
        {"id": "b", "text": "and AWS?", "thread": "x"},
        {"id": "c", "text": "and AWS?", "thread": "y"},
        {"id": 4, "text": "what did we spend yesterday?", "today": "2026-10-02"},
    ]
    file = home / "questions.jsonl"
    file.write_text("\n\n".join(json.dumps(line) for line in lines) + "\n")
    code, out, _ = ask(capsys, "--batch", str(file), "--json")
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [a["id"] for a in answers] == ["a", "b", "c", 4]
    assert [a["status"] for a in answers] == ["answered", "answered", "ambiguous", "answered"]
    _, words, _ = ask(capsys, "--batch", str(file))
    assert words.startswith("a> what did we spend last month?\n$")


@pytest.mark.parametrize(
    ("content", "problem"),
    [("not json\n", "Line 1"), ('{"id": 1}\n', "Line 1"), ('{"text": "hi", "today": "soon"}\n', "soon is not a day")],
)
def test_a_broken_batch_is_told_with_its_line(
    home: Path, capsys: pytest.CaptureFixture[str], content: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which line, and how to write one."""
    file = home / "broken.jsonl"
    file.write_text(content)
    capsys.readouterr()
    code = main(["ask", "--batch", str(file), "--json"])
    err = capsys.readouterr().err
    assert code == 1
    assert problem in err


def test_wrong_use_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither or both of TEXT and --batch, and a file that is not there."""
    assert "Give one question or --batch FILE" in ask(capsys)[2]
    assert "Give one question or --batch FILE" in ask(capsys, "x", "--batch", "y")[2]
    assert "cannot be read" in ask(capsys, "--batch", str(home / "none.jsonl"))[2]


def test_a_hostile_name_does_not_drive_the_terminal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape codes in a question come back as spaces at most."""
    _, out, _ = ask(capsys, "what did we spend on \x1b[2Jfoo last month?")
    assert "\x1b" not in out
