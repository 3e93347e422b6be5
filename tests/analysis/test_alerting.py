"""Alerting: so many alerts a week, the most money first; what people said of earlier ones counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.analysis.world import MONDAY, Line, load, rhythm, series, write_focus
from tools.analysis import alerting, anomalies, nesting, watch
from tools.analysis.alerting import choose
from tools.model.anomaly import Anomaly
from tools.model.errors import InputError
from tools.store import alerts, findings
from tools.store.alerts import Told
from tools.store.database import Database
from tools.store.findings import Feedback

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
TODAY = date(2026, 11, 22)


def anomaly(name: str, excess: int = 100, *, started: date = TODAY, days: int = 1, **given: str) -> Anomaly:
    keys = (("provider", "AWS"), ("sub_account_id", name), ("service_name", "Compute"))
    return Anomaly(
        f"an-{name}", keys, given.get("direction", "up"), started, days, Decimal(100 + excess), Decimal(100), "USD",
        Decimal(9), "high", given.get("status", "open"), f"{name} rose.",
    )  # fmt: skip


def said(of: Anomaly, verdict: str, until: date | None = None) -> Feedback:
    return Feedback(of.id, of.keys, verdict, "ana@x", "because", until, NOW)


def names(found: tuple[Anomaly, ...]) -> list[str]:
    return [one.id.removeprefix("an-") for one in found]


def test_a_week_has_room_for_so_many_and_the_rest_is_held_back() -> None:
    """Two a week: the two with most money at stake are told, the third is held and can be listed."""
    found = [anomaly("a", 10), anomaly("b", 300), anomaly("c", 200)]
    chosen = choose(found, TODAY, told={}, per_week=2)
    assert names(chosen.new) == ["b", "c"]
    assert names(chosen.held) == ["a"]
    assert chosen.told == chosen.new
    assert names(choose(found, TODAY, told={}, per_week=0).held) == ["b", "c", "a"]


def test_what_was_told_this_week_takes_its_room() -> None:
    """One told three days ago and one eight days ago: of two a week, one is left."""
    before = [
        anomaly("old", started=TODAY - timedelta(days=3), days=4),
        anomaly("older", started=TODAY - timedelta(days=9), days=10),
    ]
    told = {
        "an-old": Told(TODAY - timedelta(days=3), TODAY - timedelta(days=3)),
        "an-older": Told(TODAY - timedelta(days=8), TODAY - timedelta(days=2)),
    }
    chosen = choose([*before, anomaly("a", 10), anomaly("b", 300)], TODAY, told=told, per_week=2)
    assert names(chosen.new) == ["b"]
    assert names(chosen.held) == ["a"]
    assert sorted(names(chosen.quiet)) == ["old", "older"]


def test_the_same_morning_composed_again_tells_the_same() -> None:
    """What was told today is told again, and takes no room a second time."""
    found = [anomaly("a", 10), anomaly("b", 300)]
    told = {"an-b": Told(TODAY, TODAY)}
    assert names(choose(found, TODAY, told=told, per_week=1).new) == ["b", "a"]


def test_what_goes_on_is_reminded_of_once_a_week() -> None:
    """After seven days again, not before, and not once it has ended."""
    one = anomaly("a", started=TODAY - timedelta(days=9), days=10)
    week_ago = {one.id: Told(TODAY - timedelta(days=7), TODAY - timedelta(days=7))}
    assert names(choose([one], TODAY, told=week_ago, per_week=5).again) == ["a"]
    recent = {one.id: Told(TODAY - timedelta(days=9), TODAY - timedelta(days=2))}
    assert names(choose([one], TODAY, told=recent, per_week=5).quiet) == ["a"]
    assert choose([replace(one, status="resolved")], TODAY, told=week_ago, per_week=5).again == ()


def test_a_mute_holds_until_its_last_day() -> None:
    """Silent up to and on that day; told from the next on."""
    one = anomaly("a")
    mute = said(one, "mute", TODAY)
    assert names(choose([one], TODAY, told={}, feedback=[mute], per_week=5).muted) == ["a"]
    tomorrow = choose([one], TODAY + timedelta(days=1), told={}, feedback=[mute], per_week=5)
    assert names(tomorrow.new) == ["a"]


def test_useful_words_bring_a_series_forward_and_expected_ones_back() -> None:
    """With room for one, the series that people found useful wins over a slightly larger one."""
    small, large = anomaly("a", 100), anomaly("b", 120)
    assert names(choose([small, large], TODAY, told={}, per_week=1).new) == ["b"]
    assert names(choose([small, large], TODAY, told={}, feedback=[said(small, "useful")], per_week=1).new) == ["a"]
    assert names(choose([small, large], TODAY, told={}, feedback=[said(large, "expected")], per_week=1).new) == ["a"]


def test_services_of_one_account_on_one_day_are_one_alert() -> None:
    """A deployment that moves three services takes the room of one."""
    twin = replace(anomaly("a", 50), id="an-twin", keys=(*anomaly("a").keys[:2], ("service_name", "Queue")))
    chosen = choose([anomaly("a", 300), twin, anomaly("b", 20)], TODAY, told={}, per_week=1)
    assert names(chosen.new) == ["a", "twin"]
    assert names(chosen.held) == ["b"]


def test_old_and_expected_ones_are_no_news() -> None:
    """Only what goes on or has just ended."""
    old = anomaly("a", started=TODAY - timedelta(days=20), days=2, status="resolved")
    assert choose([old, anomaly("b", status="expected")], TODAY, told={}, per_week=5).told == ()
    assert not alerting.is_current(old, TODAY)


@pytest.mark.stores
def test_what_was_told_and_how_many_are_wanted_is_kept(database: Database) -> None:
    """The first and the last day on which it was told; the customer's own number before the setting."""
    with database.begin() as tx:
        findings.save_anomalies(tx, "t", [anomaly("a"), anomaly("b")], now=NOW)
        alerts.note_told(tx, "t", ["an-a"], TODAY)
        alerts.note_told(tx, "t", ["an-a"], TODAY + timedelta(days=7))
        assert alerts.told(tx, "t") == {"an-a": Told(TODAY, TODAY + timedelta(days=7))}
        findings.save_anomalies(tx, "t", [anomaly("a", 500)], now=NOW)
        assert "an-a" in alerts.told(tx, "t")
        assert alerts.per_week(tx, "t", 10) == 10
        alerts.set_per_week(tx, "t", 3, actor="ana@x", now=NOW)
        alerts.set_per_week(tx, "t", 4, actor="ana@x", now=NOW)
        assert (alerts.per_week(tx, "t", 10), alerts.per_week(tx, "other", 10)) == (4, 10)
        with pytest.raises(InputError, match="cannot be meant"):
            alerts.set_per_week(tx, "t", -1, actor="ana@x", now=NOW)


def wide(keys: tuple[tuple[str, str], ...], excess: int, **given: str) -> Anomaly:
    return replace(anomaly("x", excess, **given), id=f"an-{keys}", keys=keys)


def test_a_region_is_told_only_for_what_no_service_explains() -> None:
    """The service's rise is the region's and the total's: one finding. A rise of its own is told once."""
    service = anomaly("a", 300)
    region = wide((("provider", "AWS"), ("region_id", "eu")), 320)
    team, whole = wide((("tag:team", "web"),), 310), wide((), 330)
    assert nesting.without_doubles([whole, region, team, service]) == (service,)
    assert nesting.without_doubles([whole, region]) == (region,)
    broad = replace(region, actual=Decimal(5000))
    assert nesting.without_doubles([broad, service]) == (broad, service)
    elsewhere = wide((("provider", "GCP"), ("region_id", "eu")), 320)
    assert nesting.without_doubles([elsewhere, service]) == (elsewhere, service)
    earlier = replace(service, started=TODAY - timedelta(days=30))
    assert nesting.without_doubles([region, earlier]) == (region, earlier)
    assert nesting.rank(wide((("provider", "AWS"),), 1)) == 0


def test_a_rise_spread_over_many_small_services_is_seen_in_the_total(database: Database, tmp_path: Path) -> None:
    """Thirty services rise by a little each; no one of them is odd, the team and everything are, and one is told."""
    lines = []
    noise = [rhythm(110, level=20, noise=0.12, seed=n) for n in range(30)]
    for n in range(110):
        day = MONDAY + timedelta(days=n)
        grown = 1.28 if n >= 106 else 1.0
        lines += [
            Line(day, f"Service {s}", f"{noise[s][n] * grown:.4f}", account=f"acc-{s}", region=f"r{s % 3}")
            for s in range(30)
        ]
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    found = anomalies.find(costs, MONDAY + timedelta(days=110))
    aggregates = [one for one in found if nesting.rank(one)]
    assert aggregates, [one.why for one in found]
    assert all(one.started >= MONDAY + timedelta(days=105) for one in found)
    assert len([one for one in aggregates if nesting.rank(one) in {1, 3}]) <= 1


def test_an_expected_rise_becomes_the_usual_level_at_once() -> None:
    """Somebody expected the new level: the next rise is measured from it, and it is not told again."""
    values = [v * (1.6 if n >= 100 else 1.0) * (1.5 if n >= 112 else 1.0) for n, v in enumerate(rhythm(115))]
    one = series(values)
    name = (*one.keys, ("currency", "USD"))
    accepted = (watch.Accepted(name, MONDAY + timedelta(days=100), MONDAY + timedelta(days=105)),)
    end = MONDAY + timedelta(days=115)
    tuning = watch.Tuning()
    plain = watch.judged([one], end, tuning)
    kept = watch.judged([one], end, tuning, accepted=accepted)
    assert (kept.verdicts.score[0, 105:112] < tuning.alert).all()
    assert kept.verdicts.expected[0, 112] == pytest.approx(160, rel=0.08)
    assert kept.verdicts.score[0, 112] >= tuning.alert
    assert plain.verdicts.expected[0, 102] == pytest.approx(100, rel=0.08)


def test_feedback_reaches_the_detector(database: Database, tmp_path: Path) -> None:
    """Marked as expected, a rise stays one expected finding; the memory notices that the word was given."""
    lines = [
        Line(MONDAY + timedelta(days=n), "Compute", str(100 + n % 3 + (80 if n >= 105 else 0))) for n in range(118)
    ]
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    (found,) = anomalies.find(costs, MONDAY + timedelta(days=110))
    with database.begin() as tx:
        findings.save_anomalies(tx, "default", [found], now=NOW)
        when = datetime.combine(MONDAY + timedelta(days=110), datetime.min.time(), tzinfo=UTC)
        findings.give_feedback(tx, "default", found.id, "expected", actor="ana@x", reason="launch", now=when)
    later = anomalies.find(costs, MONDAY + timedelta(days=118))
    assert {one.status for one in later} == {"expected"}
    assert {one.id for one in later} == {found.id}
