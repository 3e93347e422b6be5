"""Anomalies: from judged days to findings that a person can read, that keep their identity, and that name their cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.analysis.world import MONDAY, Line, load, rhythm, series, write_focus
from tools.analysis import anomalies, episodes, watch
from tools.analysis.costs import Costs
from tools.model.anomaly import Anomaly
from tools.model.series import DailySeries
from tools.store import findings
from tools.store.database import Database

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def judged(*all_series: DailySeries, days: int) -> tuple[Anomaly, ...]:
    return anomalies.judge(all_series, MONDAY + timedelta(days=days))


def shifted(days: int, at: int, factor: float) -> list[float]:
    return [v * (factor if n >= at else 1.0) for n, v in enumerate(rhythm(days))]


def test_a_finding_says_what_when_how_much_and_against_what() -> None:
    """One sentence is enough for a chat."""
    values = rhythm(120)
    values[118] = 250.0
    (found,) = judged(series(values), days=120)
    assert found.started == MONDAY + timedelta(days=118)
    assert (found.days, found.direction, found.status) == (1, "up", "open")
    assert found.actual == Decimal("250.0000")
    assert found.excess == found.actual - found.expected
    assert float(found.expected) == pytest.approx(100, rel=0.06)
    assert found.why.startswith("Compute in prod (AWS) cost $250 on Sun 3 May 2026, expected $")
    assert found.why.endswith("%.")


def test_the_same_anomaly_keeps_its_id_and_grows() -> None:
    """Tomorrow's look finds the same thing, one day longer."""
    values = shifted(130, 120, 1.6)
    (today,) = judged(series(values), days=123)
    (tomorrow,) = judged(series(values), days=124)
    assert today.id == tomorrow.id
    assert (today.days, tomorrow.days) == (3, 4)
    assert tomorrow.excess > today.excess


def test_a_lasting_rise_is_followed_for_four_weeks_and_then_closed() -> None:
    """The excess counts on after the alerts have stopped; in the end the level is the usual one."""
    values = shifted(170, 110, 1.6)
    (open_,) = judged(series(values), days=130)
    assert (open_.days, open_.status) == (20, "open")
    (closed,) = judged(series(values), days=170)
    assert (closed.days, closed.status) == (28, "resolved")
    assert float(closed.excess) == pytest.approx(28 * 60, rel=0.1)


def test_a_rise_that_ends_is_resolved_with_its_last_day() -> None:
    """Five days up, then back."""
    values = [v * (1.6 if 110 <= n < 115 else 1.0) for n, v in enumerate(rhythm(130))]
    (found,) = judged(series(values), days=130)
    assert (found.days, found.status) == (5, "resolved")


def test_new_stopped_and_climbing_costs_are_told_in_their_own_words() -> None:
    """Each kind has its sentence."""
    new = [0.0] * 90 + rhythm(30, level=40)
    gone = rhythm(117, level=80) + [0.0] * 3
    climbing = [v * (1.016 ** max(0, n - 92)) for n, v in enumerate(rhythm(120, noise=0.03))]
    found = judged(
        series(new, service="Fresh"), series(gone, service="Backup"), series(climbing, service="Leak"), days=120
    )
    words = {dict(a.keys)["service_name"]: a.why for a in found}
    assert "is new: " in words["Fresh"]
    assert "Backup in prod (AWS) stopped: $0.00 in 3 days since Sat 2 May 2026, where $2" in words["Backup"]
    assert "has been climbing" in words["Leak"]
    (down,) = [a for a in found if a.direction == "down"]
    assert down.excess < 0


def test_a_short_history_is_said() -> None:
    """From two weeks on a finding is possible, and marked."""
    values = rhythm(30)
    values[28] = 400.0
    (found,) = judged(series(values), days=30)
    assert "short history" in found.why


def test_severity_is_the_share_of_everything() -> None:
    """The same hundred dollars are much to a small bill and little to a large one."""
    spike = rhythm(120)
    spike[118] = 220.0
    (alone,) = judged(series(spike), days=120)
    (beside,) = judged(series(spike), series(rhythm(120, level=90_000), service="Large"), days=120)
    assert (alone.severity, beside.severity) == ("high", "low")


@pytest.mark.parametrize("currency", ["JPY", "USD", "EUR"])
def test_the_currency_changes_no_verdict(currency: str) -> None:
    """A bill in yen gives the same findings as the same bill in dollars."""
    unit = watch.UNIT.get(currency, 1.0)
    values = rhythm(120, level=9)
    values[115] = 13
    dollars = judged(series(values), days=120)
    other = judged(series([v * unit for v in values], currency=currency), days=120)
    assert [(a.started, a.days, a.severity) for a in dollars] == [(a.started, a.days, a.severity) for a in other]


def test_what_began_together_in_one_account_is_one_finding() -> None:
    """Two services of one account on one day are one group, another account is its own."""
    one, two, three = (shifted(112, 110, f) for f in (1.6, 1.8, 2.0))
    found = judged(
        series(one, service="A"), series(two, service="B"), series(three, service="A", account="dev"), days=112
    )
    groups = episodes.group(found)
    assert [len(g) for g in groups] == [2, 1]
    assert {dict(a.keys)["service_name"] for a in groups[0]} == {"A", "B"}


def test_a_known_anomaly_stays_itself_when_bills_move_its_first_day() -> None:
    """Restated bills that make it begin a day earlier do not make a second finding; a person's word stays."""
    (found,) = judged(series(shifted(114, 110, 1.6)), days=114)
    known = replace(found, id="an-known", started=found.started + timedelta(days=1), days=2, status="expected")
    (same,) = episodes.keep_identity((found,), (known,))
    assert (same.id, same.status, same.days) == ("an-known", "expected", 4)
    elsewhere = replace(known, keys=(("service_name", "Other"),))
    assert episodes.keep_identity((found,), (elsewhere,)) == (found,)


def test_no_series_no_findings() -> None:
    """Nothing in, nothing out."""
    assert anomalies.judge((), date(2026, 1, 1)) == ()


def test_stored_costs_are_judged_and_the_cause_is_named(costs: Costs) -> None:
    """The new node pool of team web is found, with the exact drivers, and purchases are left out."""
    end = MONDAY + timedelta(days=100)
    (found,) = anomalies.find(costs, end)
    assert dict(found.keys) == {"provider": "AWS", "sub_account_id": "prod", "service_name": "Compute"}
    assert found.started == end - timedelta(days=4)
    assert found.drivers[0].kind == "new"
    assert found.drivers[0].contribution == Decimal(841)
    assert "driven by new" in found.why
    assert "pool" in found.why or "team web" in found.why
    with costs.database.begin() as tx:
        assert findings.save_anomalies(tx, "default", [found], now=NOW) == (found.id,)
        findings.set_status(tx, "default", found.id, "expected", actor="ana@x", reason="launch", now=NOW)
    (again,) = anomalies.find(costs, end)
    assert (again.id, again.status) == (found.id, "expected")


def test_days_that_may_still_change_are_not_judged(costs: Costs) -> None:
    """With three provisional days only the first of the four odd days is seen."""
    careful = replace(costs, provisional_days=3)
    (found,) = anomalies.find(careful, MONDAY + timedelta(days=100))
    assert found.days == 1
    assert anomalies.find(careful, MONDAY) == ()


def test_an_empty_database_has_no_anomalies(database: Database, tmp_path: Path) -> None:
    """No data is no finding and no error."""
    assert anomalies.find(Costs(database, "default", (), 0), date(2026, 5, 1)) == ()


def test_without_days_before_the_finding_stands_without_drivers(database: Database, tmp_path: Path) -> None:
    """A finding at the edge of what is stored is still told."""
    lines = [Line(MONDAY + timedelta(days=n), "Compute", "100" if n != 39 else "900") for n in range(40)]
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    (found,) = anomalies.find(costs, MONDAY + timedelta(days=40))
    assert found.excess > 700


def test_a_new_day_needs_no_replay_and_finds_the_same(costs: Costs) -> None:
    """Looking day by day with what was remembered gives what one look over everything gives."""
    end = MONDAY + timedelta(days=100)
    for day in (95, 98, 99):
        anomalies.find(costs, MONDAY + timedelta(days=day), known=())
    with costs.database.read() as tx:
        kept = findings.memory(tx, "default", watch.MEMORY)
    assert kept is not None
    assert kept.next_day == MONDAY + timedelta(days=95 - watch.AGAIN_DAYS)
    (step_by_step,) = anomalies.find(costs, end, known=())
    assert "short history" not in step_by_step.why
    with costs.database.begin() as tx:
        findings.keep_memory(tx, "default", watch.MEMORY, replace(kept, fingerprint="bills changed"))
    (at_once,) = anomalies.find(costs, end, known=())
    assert (step_by_step.id, step_by_step.days, step_by_step.actual) == (at_once.id, at_once.days, at_once.actual)
    assert float(step_by_step.expected) == pytest.approx(float(at_once.expected), rel=1e-4)
    assert anomalies.find(costs, MONDAY + timedelta(days=60), known=()) == ()


def test_a_restated_day_is_judged_anew(database: Database, tmp_path: Path) -> None:
    """The latest days are remembered as judged; when their bills change, the look sees the new ones."""
    days = [Line(MONDAY + timedelta(days=n), "Compute", str(100 + n % 4)) for n in range(110)]
    costs = load(database, write_focus(tmp_path / "bill.csv", days))
    end = MONDAY + timedelta(days=110)
    assert anomalies.find(costs, MONDAY + timedelta(days=108), known=()) == ()
    assert anomalies.find(costs, end, known=()) == ()
    with costs.database.read() as tx:
        near = findings.memory(tx, "default", watch.NEAR)
    assert near is not None
    assert near.next_day == end
    month = (MONDAY + timedelta(days=105)).replace(day=1)
    restated = [replace(x, cost="190") if x.day == MONDAY + timedelta(days=105) else x for x in days if x.day >= month]
    load(database, write_focus(tmp_path / "restated.csv", restated))
    (found,) = anomalies.find(costs, end, known=())
    assert (found.started, found.actual) == (MONDAY + timedelta(days=105), Decimal(190))
    (again,) = anomalies.find(costs, end, known=())
    assert again == found


def test_a_service_that_begins_after_the_memory_was_made_is_found(database: Database, tmp_path: Path) -> None:
    """Its row is new to the memory of the latest days; the finding, and the exact amounts, are the same."""
    days = [Line(MONDAY + timedelta(days=n), "Compute", str(100 + n % 4)) for n in range(110)]
    days += [Line(MONDAY + timedelta(days=n), "Fresh", "40.5") for n in range(107, 110)]
    first = [x for x in days if x.day < MONDAY + timedelta(days=106)]
    costs = load(database, write_focus(tmp_path / "first.csv", first))
    for day in (105, 106):
        anomalies.find(costs, MONDAY + timedelta(days=day), known=())
    load(database, write_focus(tmp_path / "all.csv", days))
    found = anomalies.find(costs, MONDAY + timedelta(days=110), known=())
    (fresh,) = [one for one in found if dict(one.keys).get("service_name") == "Fresh"]
    assert fresh.actual == Decimal("121.5")
    assert "is new" in fresh.why


def test_a_series_that_fell_silent_is_still_watched(database: Database, tmp_path: Path) -> None:
    """A backup that has stopped has no rows at all; its end is found from memory."""
    lines = [Line(MONDAY + timedelta(days=n), "Compute", "100") for n in range(120)]
    lines += [Line(MONDAY + timedelta(days=n), "Backup", "40") for n in range(116)]
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    anomalies.find(costs, MONDAY + timedelta(days=100), known=())
    (found,) = anomalies.find(costs, MONDAY + timedelta(days=119), known=())
    assert (found.direction, dict(found.keys)["service_name"]) == ("down", "Backup")


def test_lost_weekends_are_one_finding(database: Database, tmp_path: Path) -> None:
    """A shutdown that is lost for two weekends is one thing, explained against a weekend on which it worked."""
    lines = []
    for n in range(112):
        day = MONDAY + timedelta(days=n)
        runs = day.weekday() < 5 or n >= 98
        lines.append(Line(day, "Compute", "90" if runs else "20", resource="staging"))
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    (found,) = anomalies.find(costs, MONDAY + timedelta(days=112))
    assert (found.started + timedelta(days=0)).weekday() >= 5
    assert found.days >= 8
    assert found.excess > 200
