"""Billing events: purchases, taxes, credits and corrections on a track of their own, judged by the month."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from tests.analysis.world import Line, load, write_focus
from tools.analysis import anomalies, billing_events, corrections
from tools.analysis.daily import stacked
from tools.model.anomaly import Anomaly
from tools.model.query import Metric
from tools.model.series import DailySeries
from tools.store.database import Database

START, END = date(2026, 1, 1), date(2026, 6, 15)


def charges(paid: dict[date, int], *, category: str = "Purchase", klass: str = "", end: date = END) -> DailySeries:
    keys = (
        ("provider", "AWS"), ("sub_account_id", "1"), ("service_name", "AWS Support"),
        ("charge_category", category), ("charge_class", klass),
    )  # fmt: skip
    days = (end - START).days
    values = tuple(Decimal(paid.get(START + timedelta(days=n), 0)) for n in range(days))
    return DailySeries(keys, START, values, "USD")


def monthly(amount: int, *, day: int = 3, months: int = 6) -> dict[date, int]:
    return {date(2026, m, day): amount for m in range(1, months + 1)}


def judged(series: DailySeries, end: date = END) -> tuple[Anomaly, ...]:
    return billing_events.judge([series], end, {"1": "lumen-data"})


def test_a_monthly_fee_is_no_news() -> None:
    """The same fee on the third of every month, a little more or less of it included."""
    assert judged(charges(monthly(300))) == ()
    assert judged(charges(monthly(300) | {date(2026, 6, 3): 360})) == ()


def test_a_purchase_like_none_before_is_told_with_the_accounts_name() -> None:
    """A first purchase, and one that is far dearer than those of the months before."""
    (first,) = judged(charges({date(2026, 6, 4): 9000}))
    assert first.named == "Purchases of AWS Support in lumen-data (AWS)"
    assert first.why.endswith("came to $9,000 in June 2026; there were none in the 5 months before.")
    assert (first.started, first.actual, first.expected) == (date(2026, 6, 4), Decimal(9000), Decimal(0))
    (more,) = judged(charges(monthly(300) | {date(2026, 6, 10): 400}))
    assert more.started == date(2026, 6, 10)
    assert more.why.endswith("came to $700 in June 2026, where $300 a month was usual, +133 %.")
    assert billing_events.is_one(more)


def test_a_credit_that_does_not_come_is_told_after_five_days() -> None:
    """Every month on the third; in June it is overdue from the eighth on."""
    credits_given = charges(monthly(-500, months=5), category="Credit", end=date(2026, 6, 9))
    (missing,) = judged(credits_given, date(2026, 6, 9))
    assert missing.excess == Decimal(500)
    assert "Credits of AWS Support" in missing.why
    early = charges(monthly(-500, months=5), category="Credit", end=date(2026, 6, 6))
    assert judged(early, date(2026, 6, 6)) == ()


def test_a_correction_is_named_as_one_whatever_its_category() -> None:
    """Corrections of usage are billed as usage and belong here."""
    (found,) = judged(charges({date(2026, 6, 2): 700}, category="Usage", klass="Correction"))
    assert found.keys[-1] == ("charge_class", "Correction")
    assert found.why.startswith("Corrections of AWS Support")


def test_what_is_not_usage_is_found_in_stored_bills_and_never_among_usage(database: Database, tmp_path: Path) -> None:
    """A large purchase makes one finding, of the purchase; usage is as usual."""
    lines = []
    for n in range(160):
        day = START + timedelta(days=n)
        lines.append(Line(day, "Compute", "100"))
        if day.day == 1:
            lines.append(Line(day, "Support", "300" if n < 150 else "2000", category="Purchase", sku=""))
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    (found,) = anomalies.find(costs, START + timedelta(days=160))
    assert dict(found.keys)["charge_category"] == "Purchase"
    assert found.excess == Decimal(1700)
    assert found.drivers == ()
    # Why: to the cent, its month so far against the same days of the month before.
    tree = anomalies.tree(costs, found)
    assert tree is not None
    assert tree.period.start == found.started
    assert tree.against.start == (found.started - timedelta(days=1)).replace(day=1)
    assert tree.against.days == tree.period.days == 1
    assert tree.change == sum(d.contribution for d in tree.drivers) + tree.other == Decimal(1700)
    assert anomalies.tree(costs, replace(found, started=date(2024, 1, 3))) is None


def test_no_earlier_digest_no_correction(database: Database, tmp_path: Path) -> None:
    """Nothing was told, so nothing was wrong."""
    costs = load(database, write_focus(tmp_path / "bill.csv", [Line(START, "Compute", "100")]))
    assert corrections.told(costs, START + timedelta(days=5), "USD", Metric.EFFECTIVE) == ()


def test_tables_of_days_are_stacked_gathered_and_cut(database: Database, tmp_path: Path) -> None:
    """Exact integers all along: sums by fewer keys are sums, and unknown values stay out."""
    from tools.analysis import daily
    from tools.model.period import Period

    lines = [Line(START + timedelta(days=n), "Compute", "0.1", region=r) for n in range(4) for r in ("eu", "us", "")]
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    period = Period(START, START + timedelta(days=4))
    found = daily.read(costs, period, by=("provider", "region_id"), where=(), metric=Metric.EFFECTIVE)
    by_provider = found.gathered(("provider",))
    assert by_provider.series(0).values == (Decimal("0.3"),) * 4
    assert [n[1][1] for n in found.gathered(("provider", "region_id")).names] == ["eu", "us"]
    both = stacked([by_provider, found.gathered(())])
    assert both.between(START, START + timedelta(days=1)).micros.shape == (2, 1)
    silent = (("provider", "X"), ("currency", "USD"))
    assert by_provider.named([silent]).series(0).values == (Decimal(0),) * 4
