"""What a person types about anomalies, drivers, forecasts and the digest, and what scripts read from it."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from tests.analysis.test_files import daily, spiky
from tests.analysis.world import MONDAY, load, rhythm, story, write_focus
from tools.store.database import open_database

END = MONDAY + timedelta(days=100)


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A database with the story's bills."""
    folder = tmp_path_factory.mktemp("bills")
    path = folder / "optiinfra.db"
    shutil.copy(sqlite_template, path)
    database = open_database(f"sqlite:///{path}", migrate=False)
    load(database, write_focus(folder / "bill.csv", story()))
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of its own, without data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    monkeypatch.setenv("OPTIINFRA_TAG_KEYS", "team,env")
    monkeypatch.setenv("OPTIINFRA_PROVISIONAL_DAYS", "0")
    monkeypatch.delenv("OPTIINFRA_STATE_URL", raising=False)
    return tmp_path


@pytest.fixture
def stored(home: Path, bills: Path) -> Path:
    """The same with the story's bills in it."""
    shutil.copy(bills, home / "optiinfra.db")
    return home


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def read(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, err = typed(capsys, *words, "--json")
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def test_anomalies_are_listed_with_their_cause(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In words, and with every key that scripts rely on."""
    code, out, _ = typed(capsys, "anomalies")
    assert code == 0
    assert "Compute in prod (AWS) cost" in out
    (found,) = read(capsys, "anomalies")["anomalies"]
    assert set(found) >= {
        "id", "series", "direction", "started", "days", "actual", "expected", "excess", "currency", "severity",
        "drivers", "status",
    }  # fmt: skip
    assert Decimal(found["actual"]) - Decimal(found["expected"]) == Decimal(found["excess"])
    assert found["started"] == str(END - timedelta(days=4))
    assert read(capsys, "anomalies", "--to", str(MONDAY + timedelta(days=50)))["anomalies"] == []
    assert "No anomalies from" in typed(capsys, "anomalies", "--from", str(END + timedelta(days=5)))[1]


def test_what_people_say_of_an_anomaly_is_kept_and_taken_back(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same words as in Slack, with the same refusals; the list says who muted what, and how to end it."""
    today = datetime.now(UTC).date()
    over, soon, far = (str(today + timedelta(days=n)) for n in (-2, 9, 200))
    (found,) = read(capsys, "anomalies")["anomalies"]
    mute = ("anomalies", "--say", "mute", found["id"], "--reason", "planned load test")
    for until, problem in ((over, "That day is over"), (far, "92 days at most")):
        code, _, err = typed(capsys, *mute, "--until", until)
        assert code == 1
        assert problem in err
    assert "said by terminal" in typed(capsys, *mute, "--until", soon)[1]
    assert "nothing was changed" in typed(capsys, *mute, "--until", soon)[1]
    assert read(capsys, "anomalies")["alerts"]["muted"] == [found["id"]]
    assert f"is muted until {soon} by terminal: planned load test (--say unmute" in typed(capsys, "anomalies")[1]
    assert typed(capsys, "anomalies", "--say", "unmute", found["id"])[0] == 0
    assert read(capsys, "anomalies", "--per-week", "0")["said"].startswith("At most 0 alerts a week")
    told = read(capsys, "anomalies")["alerts"]
    assert (told["held"], told["muted"], told["per_week"]) == ([found["id"]], [], 0)
    assert "held back from the digest" in typed(capsys, "anomalies")[1]
    assert "1 new anomaly is held back" in typed(capsys, "digest", "--date", str(END))[1]
    code, _, err = typed(capsys, "anomalies", "--say", "useful", "an-gone")
    assert code == 1
    assert "There is no anomaly an-gone" in err


def test_a_change_is_explained_to_the_last_digit(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Contributions and other are the change, also as text."""
    days = ("--from", str(END - timedelta(days=4)), "--to", str(END))
    against = ("--against", f"{END - timedelta(days=11)}..{END - timedelta(days=7)}")
    tree = read(capsys, "explain", *days, *against)
    assert sum(Decimal(d["contribution"]) for d in tree["drivers"]) + Decimal(tree["other"]) == Decimal(tree["change"])
    assert tree["drivers"][0]["kind"] == "new"
    code, out, _ = typed(capsys, "explain", *days, *against, "--where", "service=compute")
    assert code == 0
    assert "+$841.00" in out
    assert "other" in out


def test_forecasts_of_the_database_and_of_a_file(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By service, with bands; a file needs no database."""
    made = read(capsys, "forecast", "--by", "service", "--days", "10")["series"]
    assert made[0]["key"] == "Compute"
    assert set(made[0]["total"]) == {"p10", "p50", "p90"}
    assert len(made[0]["points"]) == 10
    assert set(made[0]["points"][0]) == {"date", "p10", "p50", "p90"}
    code, out, _ = typed(capsys, "forecast")
    assert code == 0
    assert "everything" in out
    path = daily(stored / "daily.csv", rhythm(90))
    (one,) = read(capsys, "forecast", "--file", str(path), "--days", "7")["series"]
    assert one["key"] == "AWS|a1|EC2|eu"
    assert float(one["total"]["p50"]) == pytest.approx(700, rel=0.05)
    code, _, err = typed(capsys, "forecast", "--file", str(path), "--by", "service")
    assert code == 1
    assert "Leave them out with --file" in err


def test_the_digest_is_composed_without_posting(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every key, and the blocks that Slack would get."""
    made = read(capsys, "digest", "--date", str(END), "--channel", "C1")
    assert set(made) >= {
        "headline", "spend", "change", "anomalies", "forecast", "movers", "waiting", "coverage", "blocks",
    }  # fmt: skip
    assert made["channel"] == "C1"
    assert Decimal(made["spend"]) - Decimal(made["usual"]) == Decimal(made["change"])
    assert made["blocks"][0]["type"] == "header"
    code, out, _ = typed(capsys, "digest", "--date", str(END))
    assert code == 0
    assert "was spent on" in out
    assert "Month end:" in out
    assert "Top movers" in out


def test_a_quiet_digest_is_three_lines(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing wrong, nothing more to read."""
    code, out, _ = typed(capsys, "digest", "--date", str(MONDAY + timedelta(days=90)))
    assert code == 0
    assert len(out.strip().splitlines()) == 3


def test_without_data_each_says_what_to_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, exit 1 - or an empty list where that is the answer."""
    assert typed(capsys, "anomalies")[1].startswith("No anomalies.\nData: missing: no cost data")
    for command in (["forecast"], ["digest"]):
        code, out, err = typed(capsys, *command)
        assert (code, out) == (1, "")
        assert "optiinfra ingest" in err


def test_detect_writes_the_alerts_of_a_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line per alert day, in the agreed columns; problems are told."""
    path = daily(home / "daily.csv", spiky())
    path.write_text(path.read_text() + "never,AWS,a1,EC2,eu,Usage,1,USD,s\n")
    out_file = home / "alerts.csv"
    code, out, _ = typed(capsys, "detect", str(path), "--out", str(out_file))
    assert code == 0
    assert "1 alert days in 1 of 1 series" in out
    assert "1 rows could not be used" in out
    with out_file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["series_id", "date", "score", "expected", "actual", "direction"]
    assert rows[0]["date"] == str(MONDAY + timedelta(days=100))
    assert read(capsys, "detect", str(path), "--out", str(out_file))["alerts"] == 1
    code, _, err = typed(capsys, "detect", str(path), "--out", str(home / "no" / "where.csv"))
    assert code == 1
    assert "cannot be written" in err


def test_drivers_of_a_leaf_table(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is the list of slices; text shows the money."""
    lines = ["service,region,expected,actual"]
    for n in range(60):
        factor = 3 if n % 4 == 1 else 1
        lines.append(f"s{n % 4},r{n % 3},{10 + n % 7},{(10 + n % 7) * factor}")
    path = home / "leaves.csv"
    path.write_text("\n".join(lines))
    code, out, _ = typed(capsys, "drivers", str(path), "--json")
    assert (code, json.loads(out)) == (0, [{"service": "s1"}])
    assert "service=s1" in typed(capsys, "drivers", str(path))[1]
    path.write_text("service,expected,actual\na,1,1\nb,2,2\n")
    assert typed(capsys, "drivers", str(path))[1] == "No slice stands out.\n"
