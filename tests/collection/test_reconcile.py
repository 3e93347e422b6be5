"""Bills beside invoices: what agrees, what does not and why - in figures, on the command line, and in every answer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bot import cli
from tests.collection.bills import NOW, TAG_KEYS, bill, read
from tools.analysis.costs import Costs
from tools.collection.invoice_file import read as read_invoices
from tools.collection.reconcile import in_words, reconcile
from tools.model.charge import Partition
from tools.model.errors import InputError
from tools.model.invoice import Billed, Explanation, Invoice
from tools.model.period import Period
from tools.store import coverage, loads
from tools.store.database import Database
from tools.store.loads import LedgerLine

pytestmark = pytest.mark.usefixtures("one_process")
LATER = date(2026, 11, 20)
LINE = LedgerLine(
    1, Partition("AWS", "123", date(2026, 10, 1)), 10, date(2026, 10, 1), date(2026, 10, 31), NOW, (), True
)
PART = Billed("", "USD", 10, 4, Decimal(100), Decimal(0), Decimal(-5), Decimal(20))
INVOICE = Invoice("AWS", "123", date(2026, 10, 1), "", Decimal(100), "USD", None, "file", NOW)


def _one(
    amount: str,
    *,
    tax: str | None = None,
    part: Billed = PART,
    line: LedgerLine = LINE,
    today: date = LATER,
) -> tuple[Explanation, Decimal | None]:
    invoice = replace(INVOICE, amount=Decimal(amount), tax=None if tax is None else Decimal(tax))
    (found,) = reconcile([line], {1: [part]}, [invoice], today)
    return found.explanation, found.difference


@pytest.mark.parametrize(
    ("amount", "tax", "explanation"),
    [
        ("100", None, Explanation.EXACT),
        ("100.02", None, Explanation.ROUNDING),  # four lines, half a cent each
        ("99.99", None, Explanation.ROUNDING),
        ("119", "19", Explanation.TAX),
        ("119", None, Explanation.TAX),  # may be
        ("105", "0", Explanation.CREDITS),
        ("80", None, Explanation.PURCHASES),
        ("150", None, Explanation.UNEXPLAINED),
        ("119", "3", Explanation.UNEXPLAINED),
        ("60", None, Explanation.UNEXPLAINED),
    ],
)
def test_a_difference_has_a_reason(amount: str, tax: str | None, explanation: Explanation) -> None:
    """The most certain one that fits the figures."""
    assert _one(amount, tax=tax) == (explanation, Decimal(100) - Decimal(amount))


def test_reasons_that_come_from_what_stands_loaded() -> None:
    """An open month, missing days, rows that were left out, and tax that only the rows hold."""
    assert _one("150", today=date(2026, 11, 3))[0] is Explanation.PROVISIONAL
    assert _one("150", line=replace(LINE, last_day=date(2026, 10, 28)))[0] is Explanation.MISSING_DAYS
    assert _one("150", line=replace(LINE, rejected=7))[0] is Explanation.REJECTED
    assert _one("84", part=replace(PART, tax=Decimal(16)))[0] is Explanation.TAX


def test_sides_that_have_no_other_side() -> None:
    """An invoice without cost data is a missing account; a closed bill without an invoice says so, an open one not."""
    (missing,) = reconcile([], {}, [INVOICE], LATER)
    assert (missing.explanation, missing.ours, missing.theirs) == (Explanation.MISSING_ACCOUNT, None, Decimal(100))
    (alone,) = reconcile([LINE], {1: [PART]}, [], LATER)
    assert (alone.explanation, alone.ours, alone.theirs) == (Explanation.NO_INVOICE, Decimal(100), None)
    assert reconcile([LINE], {1: [PART]}, [], date(2026, 11, 2)) == ()
    assert in_words([missing]) == "0 of 1 invoices agree: AWS 123 2026-10 has no cost data (missing account)"
    assert in_words([alone]) == ""


def test_invoices_are_matched_by_their_ids_where_both_sides_have_them() -> None:
    """Each invoice on its own, rows without one beside them; a total of the month goes against all of it."""
    parts = [replace(PART, invoice_id="I-1"), replace(PART, invoice_id="I-2", billed_cost=Decimal(7))]
    parts.append(replace(PART, invoice_id="", billed_cost=Decimal(1)))
    known = [replace(INVOICE, invoice_id="I-1"), replace(INVOICE, invoice_id="I-3", amount=Decimal(9))]
    found = {r.invoice_id: (r.ours, r.theirs, r.explanation) for r in reconcile([LINE], {1: parts}, known, LATER)}
    assert found == {
        "": (Decimal(1), None, Explanation.NO_INVOICE),
        "I-1": (Decimal(100), Decimal(100), Explanation.EXACT),
        "I-2": (Decimal(7), None, Explanation.NO_INVOICE),
        "I-3": (None, Decimal(9), Explanation.MISSING_ACCOUNT),
    }
    (whole,) = reconcile([LINE], {1: parts}, [replace(INVOICE, amount=Decimal(108))], LATER)
    assert (whole.ours, whole.explanation) == (Decimal(108), Explanation.EXACT)
    path = replace(INVOICE, provider="aws", billing_account_id="/providers/Billing/accounts/123", amount=Decimal(108))
    assert reconcile([LINE], {1: parts}, [path], LATER)[0].explanation is Explanation.EXACT
    assert reconcile([LINE], {1: parts}, known, LATER, Period(date(2026, 11, 1), date(2026, 12, 1))) == ()


@pytest.mark.stores
def test_what_rows_say_of_their_invoices_is_kept_and_kept_up(database: Database, tmp_path: Path) -> None:
    """Ids that come later, without any other change, are taken over; the period stays as it is."""
    rows = [
        {},
        {"ChargeCategory": "Tax", "BilledCost": "0.3", "ServiceName": "Tax"},
        {"ChargeCategory": "Credit", "BilledCost": "-1"},
    ]
    read(database, bill(tmp_path / "open.csv", *rows))
    closed = [{**row, "InvoiceId": "EU-1"} for row in rows]
    (load,) = read(database, bill(tmp_path / "closed.csv", *closed))
    assert load.status == "unchanged"
    with database.read() as tx:
        (line,) = loads.ledger(tx, "default")
        found = coverage.billed(tx, "default")[line.id]
    assert found == (Billed("EU-1", "USD", 3, 2, Decimal("0.8"), Decimal("0.3"), Decimal(-1), Decimal(0)),)


@pytest.mark.stores
def test_an_answer_says_how_bills_compare_with_invoices(database: Database, tmp_path: Path) -> None:
    """One line of it travels with every answer about these months, and only with these."""
    read(database, bill(tmp_path / "a.csv", {"BilledCost": "81"}))
    costs = Costs(database, "default", TAG_KEYS, 2)
    october, september = Period(date(2026, 10, 1), date(2026, 11, 1)), Period(date(2026, 9, 1), date(2026, 10, 1))
    assert costs.coverage(october).invoices == ""
    invoice = replace(INVOICE, billing_account_id="123456789012", tax=Decimal(19))
    with database.begin() as tx:
        coverage.save_invoices(tx, "default", [invoice, replace(invoice, amount=Decimal(1))])
        coverage.save_invoices(tx, "default", [invoice])
        coverage.save_invoices(tx, "other", [invoice])
        assert coverage.all_invoices(tx, "default") == (invoice,)
    assert costs.coverage(october).invoices == (
        "0 of 1 invoices agree: AWS 123456789012 2026-10 is 19 USD below its invoice (missing days)"
    )
    assert costs.coverage(september).invoices == ""


def _typed(capsys: pytest.CaptureFixture[str], *words: str) -> dict:  # type: ignore[type-arg]
    assert cli.main([*words, "--json"]) == 0
    found: dict = json.loads(capsys.readouterr().out)  # type: ignore[type-arg]
    return found


def test_the_command_keeps_invoices_and_shows_the_difference(
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """For people a table and a sentence, for programs exact figures; a bad file changes nothing."""
    monkeypatch.setenv("OPTIINFRA_STATE_URL", database_url)
    assert cli.main(["reconcile"]) == 0
    assert "nothing to compare" in capsys.readouterr().out
    month = {"ChargePeriodStart": "2025-03-31", "ChargePeriodEnd": "2025-04-01", "BillingPeriodStart": "2025-03-01"}
    read(database, bill(tmp_path / "a.csv", {**month, "BilledCost": "50", "InvoiceId": "A-1"}))
    file = tmp_path / "invoices.csv"
    file.write_text(
        "provider,billing_account_id,period,invoice_id,amount,currency,tax\n"
        "amazon,123456789012,2025-03,A-1,59.5,usd,9.50\nGCP,01AB,2025-03,,10,EUR,\n",
        encoding="utf-8",
    )
    told = _typed(capsys, "reconcile", "--invoices", str(file), "--from", "2025-03-10", "--to", "2025-04-01")
    assert told["summary"] == {"missing account": 1, "tax": 1}
    assert told["bills"][0] == {
        "provider": "AWS", "billing_account_id": "123456789012", "period": "2025-03", "invoice_id": "A-1",
        "currency": "USD", "ours": "50", "theirs": "59.5", "difference": "-9.5", "explanation": "tax",
        "detail": "the rows hold none of the invoice's tax",
    }  # fmt: skip
    assert cli.main(["reconcile"]) == 0
    assert "0 of 2 invoices agree" in capsys.readouterr().out
    (account,) = _typed(capsys, "coverage")["accounts"]
    assert (account["account_id"], account["rows"], account["complete_to"]) == ("123456789012", 1, "2025-04-01")
    assert account["differences"] == [["USD", "-9.5"]]
    assert cli.main(["coverage"]) == 0
    assert "-$9.50" in capsys.readouterr().out
    assert cli.main(["reconcile", "--from", "2025-03-10"]) == 1
    assert "Give both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column provider"),
        ("provider,amount\n", "no column billing_account_id and no column period"),
        ("HEADER", "holds no invoices"),
        ("HEADER,1,2026-10,,5,USD", "no usable provider"),
        ("HEADER\nAWS,,2026-10,5,USD", "no usable billing_account_id"),
        ("HEADER\nAWS,1,2026-13,5,USD", "is no month"),
        ("HEADER\nAWS,1,October,5,USD", "is no month"),
        ("HEADER\nAWS,1,2026-10,5,$", "no currency"),
        ("HEADER\nAWS,1,2026-10,NaN,USD", "is not an amount"),
        ("HEADER\nAWS,1,2026-10,1.234,56,USD", "no currency"),
        ("HEADER\nAWS,1,2026-10,=1+1,USD", "is not an amount"),
        ("HEADER\nAWS,1,2026-10,5,USD\nAWS,1,2026-10,6,USD", "stands there already, as invoice 1"),
        ("HEADER\nAWS,1,2026-10,5,USD,x\x07", "no usable invoice_id"),
        ('HEADER\n"AWS', "no csv file"),
        ("HEADER\nAWS,caf\udce9,2026-10,5,USD", "no csv file"),
    ],
)
def test_a_list_of_invoices_that_cannot_be_used(tmp_path: Path, text: str, sentence: str) -> None:
    """Half a list would explain nothing: the first bad line refuses all of it, by number."""
    header = "provider,billing_account_id,period,amount,currency,invoice_id\n"
    whole = text.replace("HEADER,", header + ",").replace("HEADER", header.strip()) if text else "\n"
    path = tmp_path / "invoices.csv"
    path.write_bytes(whole.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=sentence):
        read_invoices(path, datetime(2026, 11, 23, tzinfo=UTC))
    with pytest.raises(InputError, match="cannot be read"):
        read_invoices(tmp_path / "none.csv", datetime(2026, 11, 23, tzinfo=UTC))
