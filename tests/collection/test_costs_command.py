"""`optiinfra costs` names what it counts, shows what credits hide, and turns currencies only by given rates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot import cli
from tests.collection.bills import bill, read
from tools.model.metric import DEFINITIONS, Metric
from tools.store.database import Database

pytestmark = pytest.mark.usefixtures("one_process")
CREDIT = {"ChargeCategory": "Credit", "BilledCost": "-10", "EffectiveCost": "-10"}


@pytest.fixture
def stored(database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """October: 30 EUR of usage, 10 EUR of credits."""
    euros = {"BillingCurrency": "EUR", "BilledCost": "30"}
    read(database, bill(tmp_path / "a.csv", euros, {**CREDIT, "BillingCurrency": "EUR"}))
    monkeypatch.setenv("OPTIINFRA_STATE_URL", database_url)
    return tmp_path


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:  # type: ignore[type-arg]
    assert cli.main(["costs", *arguments, "--json"]) == 0
    document: dict = json.loads(capsys.readouterr().out)  # type: ignore[type-arg]
    return document


def test_every_metric_can_be_typed_and_is_named(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line knows exactly the metrics that are defined, and each answer says what was counted."""
    assert set(cli.METRICS) == set(Metric) == set(DEFINITIONS)
    for metric in Metric:
        assert cli.main(["costs", "--period", "2026-10", "--metric", metric]) == 0
        assert metric.meaning in capsys.readouterr().out


def test_credits_do_not_hide_what_was_spent(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Gross, credits and net stand beside billed cost where they differ."""
    told = _json(capsys, "--period", "2026-10")
    assert (told["total"], told["parts"]) == (
        "20",
        [{"currency": "EUR", "credits": "-10", "gross": "30", "net": "20"}],
    )
    assert _json(capsys, "--period", "2026-10", "--metric", "gross")["total"] == "30"
    assert cli.main(["costs", "--period", "2026-10"]) == 0
    assert "gross €30.00, credits -€10.00, net €20.00." in capsys.readouterr().out


def test_another_currency_needs_its_rates(
    stored: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file the setting is named; with it each day is turned at its rate."""
    assert cli.main(["costs", "--period", "2026-10", "--currency", "usd"]) == 1
    assert "OPTIINFRA_RATES_FILE" in capsys.readouterr().err
    (stored / "rates.csv").write_text("date,from,to,rate\n2026-10-01,EUR,USD,1.2\n", encoding="utf-8")
    monkeypatch.setenv("OPTIINFRA_RATES_FILE", str(stored / "rates.csv"))
    assert _json(capsys, "--period", "2026-10", "--currency", "USD")["totals"] == [{"currency": "USD", "cost": "24"}]
    monkeypatch.setenv("OPTIINFRA_CURRENCY", "USD")
    assert _json(capsys, "--period", "2026-10")["totals"] == [{"currency": "USD", "cost": "24"}]
    monkeypatch.setenv("OPTIINFRA_CURRENCY", "EUR")
    assert _json(capsys, "--period", "2026-10")["currency"] == "EUR"


def test_a_fiscal_year_begins_where_it_is_set(
    stored: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FY2027 that begins in October holds it; the calendar year 2027 does not."""
    monkeypatch.setenv("OPTIINFRA_FISCAL_YEAR_START", "10")
    assert _json(capsys, "--period", "FY2027-Q1")["query"]["period"] == {"start": "2026-10-01", "end": "2027-01-01"}
    assert _json(capsys, "--period", "2027")["total"] == "0"
    for arguments in (["--period", "FY2027", "--from", "2026-10-01"], ["--from", "2026-10-01"]):
        assert cli.main(["costs", *arguments]) == 1
        assert "Nothing was changed" in capsys.readouterr().err


def test_a_question_in_words_names_a_currency_and_a_fiscal_quarter(
    stored: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rates and the same fiscal start as everywhere; without rates the setting is named."""
    monkeypatch.setenv("OPTIINFRA_HOME", str(stored))
    monkeypatch.setenv("OPTIINFRA_FISCAL_YEAR_START", "2")
    question = ["ask", "what did we spend in dollars in Q3 FY27?", "--today", "2026-11-23", "--no-llm", "--json"]
    cli.main(question)
    assert "OPTIINFRA_RATES_FILE" in "".join(capsys.readouterr())
    (stored / "rates.csv").write_text("date,from,to,rate\n2026-10-01,EUR,USD,1.2\n", encoding="utf-8")
    monkeypatch.setenv("OPTIINFRA_RATES_FILE", str(stored / "rates.csv"))
    assert cli.main(question) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["query"]["period"] == {"start": "2026-08-01", "end": "2026-11-01"}
    assert (told["facts"][0]["value"], told["facts"][0]["currency"]) == ("24", "USD")
    assert any("Q3 FY2027" in a for a in told["assumptions"])
    assert cli.main(question[:-1]) == 0
    assert "Data: complete before 2026-10-03" in capsys.readouterr().out
