"""The digest tells a morning: spend against usual, what changed and why, where the month ends - or that all is well."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.slack.cards import digest as card
from tests.analysis.world import MONDAY, Line, load, story, write_focus
from tools.analysis import anomalies, digest
from tools.analysis.costs import Costs
from tools.analysis.numbers import total
from tools.model.anomaly import Anomaly
from tools.model.digest import Digest
from tools.model.errors import InputError
from tools.model.outcome import Outcome
from tools.store import digests
from tools.store.alerts import Told
from tools.store.database import Database

END = MONDAY + timedelta(days=100)
QUIET = MONDAY + timedelta(days=90)


def morning(costs: Costs, day: object = END, **more: object) -> Digest:
    found = anomalies.find(costs, day)  # type: ignore[arg-type]
    given: dict[str, object] = {"anomalies": found, "waiting": (), "budget": None} | more
    return digest.compose(costs, day, **given)  # type: ignore[arg-type]


def test_the_morning_names_the_anomaly_and_its_cause(costs: Costs) -> None:
    """Headline with spend and change; why with the finding and its driver."""
    told = morning(costs, waiting=("Move web to spot (ro-1)",), budget=Decimal(12000))
    assert told.day == END - timedelta(days=1)
    assert told.headline.startswith("$4")
    assert "was spent on Tue 14 Apr 2026, $2" in told.headline
    assert told.headline.endswith("more than usual for a Tuesday.")
    assert "Compute in prod (AWS) cost" in told.why
    assert "driven by new" in told.why
    assert told.spend == total([Decimal("210.25"), told.spend - Decimal("210.25")])
    assert told.waiting == ("Move web to spot (ro-1)",)
    assert told.month_end is not None
    assert told.month_end.basis.startswith("Budget $12,000: ")
    assert len(told.chart.labels) == 14
    assert told.chart.series[0][0] == "actual"
    assert told.chart.series[0][1][-1] == told.spend
    assert told.movers.rows[0][0] == "Compute"
    assert len(told.movers.rows) <= 10
    assert told.receipt.rows > 0
    assert told.drivers is not None
    assert total([*(d.contribution for d in told.drivers.drivers), told.drivers.other]) == told.drivers.change


def test_a_quiet_morning_is_short(costs: Costs) -> None:
    """As usual, nothing unusual, month end."""
    told = morning(costs, QUIET)
    assert told.anomalies == ()
    assert told.why == "Nothing unusual: no service left its usual path."
    assert "usual for a" in told.headline


def test_expected_and_old_findings_are_not_told_again(costs: Costs) -> None:
    """What a person called expected, or what ended long ago, is left out."""
    (found,) = anomalies.find(costs, END)
    for other in (replace(found, status="expected"), replace(found, started=MONDAY, status="resolved")):
        assert morning(costs, anomalies=(other,)).anomalies == ()


def test_services_that_rose_together_are_one_finding(costs: Costs) -> None:
    """Two services of one account from one day on."""
    (found,) = anomalies.find(costs, END)
    keys = (("provider", "AWS"), ("sub_account_id", "prod"), ("service_name", "Queue"))
    twin: Anomaly = replace(found, id="an-2", keys=keys, actual=found.actual - 100)
    told = morning(costs, anomalies=(found, twin))
    assert told.why.startswith("2 services of prod (AWS) rose together on ")
    assert "Compute and Queue" in told.why


def test_a_day_that_moved_without_an_anomaly_says_what_moved(costs: Costs) -> None:
    """The spend is far from usual and nothing was found: the drivers against last week are told."""
    told = morning(costs, anomalies=())
    assert told.why.startswith("No series left its usual path; against a week before, it was new")


def test_an_earlier_digest_that_was_wrong_is_corrected(costs: Costs) -> None:
    """Bills changed after it was told: the morning says so."""
    told = morning(costs, END - timedelta(days=1))
    with costs.database.begin() as tx:
        digests.save(tx, "default", replace(told, spend=told.spend / 2), now=datetime(2026, 5, 1, tzinfo=UTC))
    assert "Correction: Mon 13 Apr 2026 came to $4" in morning(costs).why


def test_without_data_there_is_nothing_to_tell(costs: Costs, database: Database) -> None:
    """A sentence with the way out."""
    with pytest.raises(InputError, match="nothing to tell"):
        digest.compose(Costs(database, "default", (), 0), END, anomalies=(), waiting=(), budget=None)
    with pytest.raises(InputError, match="nothing to tell"):
        morning(costs, MONDAY, anomalies=())


def test_the_first_days_say_that_nothing_is_usual_yet(database: Database, tmp_path: Path) -> None:
    """Ten days of data: spend, but no comparison, no month end, no drivers on the first day."""
    lines = [Line(MONDAY + timedelta(days=n), "Compute", "100") for n in range(10)]
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    told = digest.compose(costs, MONDAY + timedelta(days=10), anomalies=(), waiting=(), budget=None)
    assert "not enough history" in told.headline
    assert (told.usual, told.month_end) == (None, None)
    first = digest.compose(costs, MONDAY + timedelta(days=1), anomalies=(), waiting=(), budget=Decimal(5))
    assert first.drivers is None
    assert first.spend == Decimal(100)


def test_the_story_is_what_it_says() -> None:
    """The planted pool is in the bill."""
    assert sum(line.sku == "pool" for line in story()) == 4


def test_what_has_no_room_in_the_week_is_counted(costs: Costs) -> None:
    """With no alert a week nothing is told, and the digest says how many are held back."""
    found = anomalies.find(costs, END)
    told = morning(costs, anomalies=found, known=digest.Known(alerts_per_week=0))
    assert told.anomalies == ()
    assert told.held == len(found)
    assert told.held_excess == total(abs(one.excess) for one in found)
    assert told.why.startswith("1 new anomaly is held back, $832 so far: this week's alerts are used up.")
    assert "Against a week before, it was new" in told.why
    assert not told.calm


def test_a_reminder_is_marked_and_what_goes_on_is_counted(costs: Costs) -> None:
    """Told a week before and still open: told again as a reminder. Told the day before: only counted."""
    (one,) = anomalies.find(costs, END)
    day = END - timedelta(days=1)
    week_ago = digest.Known(told={one.id: Told(day - timedelta(days=7), day - timedelta(days=7))})
    again = morning(costs, anomalies=(one,), known=week_ago)
    assert again.reminded == (one.id,)
    assert "Reminder, told a week ago · Compute in prod (AWS): +$832.45" in str(card.message(again).blocks)
    yesterday = digest.Known(told={one.id: Told(day - timedelta(days=1), day - timedelta(days=1))})
    quiet = morning(costs, anomalies=(one,), known=yesterday)
    assert quiet.anomalies == quiet.reminded == ()
    assert quiet.why.startswith("Nothing new is unusual; 1 anomaly goes on that was told in the last days. Against")


def test_realised_savings_are_told(costs: Costs) -> None:
    """What bills say rollouts saved, what was expected, and what is still measured."""
    one = Outcome("ro-1", "idle", Decimal(100), Decimal(80), "USD", MONDAY, END, "realised", "")
    waiting = replace(one, rollout_id="ro-2", realised_monthly=None)
    known = digest.Known(outcomes=(one, waiting))
    told = morning(costs, anomalies=(), known=known)
    assert told.saved == (
        "Savings realised: $80.00 a month from 1 rollout, $100 was expected; 1 more is being measured."
    )
    alone = morning(costs, anomalies=(), known=digest.Known(outcomes=(waiting,)))
    assert alone.saved == "Savings realised: not known yet; 1 rollout is being measured."


def test_a_calm_morning_is_three_lines(database: Database, tmp_path: Path) -> None:
    """Nothing unusual, nothing waiting: what was spent, where the month ends, how complete the data is."""
    lines = [Line(MONDAY + timedelta(days=n), "Compute", "100") for n in range(60)]
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    told = digest.compose(costs, MONDAY + timedelta(days=60), anomalies=(), waiting=(), budget=None)
    assert told.calm
    assert [block["type"] for block in card.message(told).blocks] == ["header", "section", "context"]
    again = replace(told, calm=False, held=3, held_excess=Decimal(42), saved="Savings realised: $5.00 a month.")
    text = str(card.message(again).blocks)
    assert "3 held back ($42.00 so far), this week's alerts are used up: /cost anomalies lists them" in text
    assert "Savings realised" in text
