"""Coverage: what is missing is named in every answer - with the permission that would bring it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from bot.slack.cards.answer import coverage as on_the_card
from bot.terminal.output import covered
from tests.collection.bills import NOW, TAG_KEYS, bill, read
from tools.analysis.costs import Costs
from tools.collection import coverage
from tools.model.period import Period
from tools.model.query import CostQuery, Coverage
from tools.store import coverage as store
from tools.store import loads, resources
from tools.store.coverage import BillingLook
from tools.store.database import Database

pytestmark = pytest.mark.usefixtures("one_process")
OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))
DENIED = BillingLook("Vultr", "lumen", NOW, False, "Vultr forbids it.", ("billing:read",))


@pytest.mark.stores
def test_accounts_that_cannot_be_read_are_in_every_answer(database: Database, tmp_path: Path) -> None:
    """Bill or inventory, with what is lacking; once they can be read, no longer."""
    read(database, bill(tmp_path / "a.csv", {}))
    with database.begin() as tx:
        store.note_look(tx, "default", DENIED)
        store.note_look(tx, "other", DENIED)
        resources.failed(tx, "default", "AWS", "9", now=NOW, problem="no", missing=("ec2:DescribeInstances",))
    costs = Costs(database, "default", TAG_KEYS, 2)
    told = costs.table(CostQuery(OCTOBER)).coverage.missing
    assert "Vultr lumen: costs could not be read (lacks billing:read)" in told
    assert "AWS 9: resources could not be read (lacks ec2:DescribeInstances)" in told
    with database.begin() as tx:
        store.note_look(tx, "default", BillingLook("Vultr", "lumen", NOW, True, "", ()))
    assert not any("costs could not" in line for line in costs.coverage().missing)


def test_rows_that_were_left_out_are_in_every_answer(database: Database, tmp_path: Path) -> None:
    """A bill of which some rows are missing is not the whole bill."""
    read(database, bill(tmp_path / "a.csv", {}, {"ResourceId": "b"}, {"BilledCost": "x"}))
    costs = Costs(database, "default", TAG_KEYS, 2)
    assert "1 unusable rows of AWS 123456789012 2026-10" in costs.coverage(OCTOBER).missing


def test_each_account_says_how_far_it_reaches(database: Database, tmp_path: Path) -> None:
    """What stands loaded, what may still change, and accounts that were never read."""
    read(database, bill(tmp_path / "a.csv", {}, {"ChargePeriodStart": "2026-10-10", "ChargePeriodEnd": "2026-10-11"}))
    with database.begin() as tx:
        store.note_look(tx, "default", DENIED)
    with database.read() as tx:
        known, denied = coverage.accounts(tx, "default", loads.ledger(tx, "default"), 2, NOW.date())
    assert (known.complete_to, known.periods, known.rows) == (date(2026, 10, 11), 1, 2)
    assert known.provisional_share == Decimal("0.2")
    assert (denied.account_id, denied.complete_to, denied.missing) == ("lumen", None, ("billing:read",))


def test_one_line_says_it_on_the_terminal_and_in_slack() -> None:
    """The same parts in the same order."""
    told = Coverage(date(2026, 11, 21), Decimal("0.1"), ("AWS 9: costs could not be read",), "1 of 2 invoices agree")
    assert covered(told) == (
        "Data: complete before 2026-11-21 - 10% of the days may still change - "
        "missing: AWS 9: costs could not be read - 1 of 2 invoices agree."
    )
    assert [part.split(":")[0].split(" ")[0] for part in on_the_card(told)] == ["complete", "10", "missing", "1"]
    assert covered(Coverage(None)) == "Data: nothing is known of it."
