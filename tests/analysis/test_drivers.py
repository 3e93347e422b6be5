"""Drivers say why cost changed: few slices, exact sums, in words."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.analysis.world import MONDAY, Line, load, story, write_focus
from tools.analysis import drivers, quantities
from tools.analysis.costs import Costs
from tools.analysis.drivers import Leaf
from tools.analysis.numbers import total
from tools.model.driver import Driver
from tools.model.errors import CurrencyMismatchError, InputError
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.query import Dimension, Filter, Metric
from tools.store.database import Database

NAMES = ("service", "region", "team")


def leaves(seed: int = 1, count: int = 300) -> list[Leaf]:
    """A fleet whose leaves all move a little."""
    dice = random.Random(seed)
    out = []
    for n in range(count):
        values = (f"svc-{n % 6}", f"region-{n % 5}", f"team-{n % 7}")
        cost = dice.lognormvariate(2, 1)
        out.append(Leaf(values, Decimal(f"{cost:.4f}"), Decimal(f"{cost * dice.uniform(0.97, 1.03):.4f}")))
    return out


def test_one_slice_that_grew_is_found_as_it_is() -> None:
    """Service 2 of region 3 tripled: exactly that, nothing else."""
    table = [Leaf(x.values, x.before, x.after * 3) if x.values[:2] == ("svc-2", "region-3") else x for x in leaves()]
    (found,), _ = drivers.attribute(NAMES, table)
    assert dict(found.conditions) == {"service": "svc-2", "region": "region-3"}
    assert found.kind == "usage"


def test_a_fall_that_hides_a_rise_is_told_beside_it() -> None:
    """The total hardly moved; both causes are named."""
    moved = []
    for x in leaves(2):
        after = x.after * 2 if x.values[0] == "svc-1" else x.after / 5 if x.values[1] == "region-4" else x.after
        moved.append(Leaf(x.values, x.before, after))
    found, _ = drivers.attribute(NAMES, moved)
    assert {d.conditions for d in found} == {(("service", "svc-1"),), (("region", "region-4"),)}
    assert {d.contribution > 0 for d in found} == {True, False}


def test_new_and_ended_slices_have_their_kind() -> None:
    """A slice that was not there is new, one that is no more is gone."""
    table = leaves(3)
    table += [Leaf(("svc-9", f"region-{n % 5}", "team-1"), Decimal(0), Decimal(40)) for n in range(10)]
    table = [Leaf(x.values, x.before, Decimal(0)) if x.values[2] == "team-3" else x for x in table]
    found, _ = drivers.attribute(NAMES, table)
    assert {(d.conditions, d.kind) for d in found} == {
        ((("service", "svc-9"),), "new"),
        ((("team", "team-3"),), "gone"),
    }


def test_everything_growing_a_little_is_no_driver() -> None:
    """Three percent everywhere is "other", not "region 1 and region 2 and ..."."""
    table = [Leaf(x.values, x.before, x.before * Decimal("1.03")) for x in leaves(4)]
    found, other = drivers.attribute(NAMES, table)
    assert all(len(d.conditions) == 1 for d in found)
    assert total([*(d.contribution for d in found), other]) == total(x.after - x.before for x in table)


@pytest.mark.parametrize("cases", [400, pytest.param(10_000, marks=[pytest.mark.prove, pytest.mark.timeout(600)])])
def test_sums_are_exact_in_random_cases(cases: int) -> None:
    """Whatever the leaves are - tiny, huge, negative, empty - contributions and other are the change to the last digit."""
    dice = random.Random(cases)
    for _ in range(cases):
        table = []
        for _ in range(dice.randint(0, 40)):
            before, after = (
                Decimal(dice.choice([0, dice.randint(-(10**30), 10**30), dice.randint(0, 10**6)])).scaleb(-18)
                for _ in range(2)
            )
            table.append(Leaf(tuple(f"{dice.randint(0, 3)}" for _ in NAMES), before, after))
        found, other = drivers.attribute(NAMES, table)
        change = EXACT.subtract(total(x.after for x in table), total(x.before for x in table))
        assert total([*(d.contribution for d in found), other]) == change
        assert len(found) <= 4


def test_five_thousand_leaves_take_a_moment() -> None:
    """A large bill is taken apart while a person waits."""
    table = leaves(5, 5000)
    began = time.process_time()
    drivers.attribute(NAMES, table)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("category", "pricing", "kind"),
    [("Credit", "", "credit"), ("Adjustment", "", "credit"), ("Purchase", "", "commitment")],
)
def test_credits_and_purchases_are_called_so(category: str, pricing: str, kind: str) -> None:
    """A credit that ended is no usage."""
    names = ("service_name", "charge_category", "pricing_category")
    table = [Leaf((f"s{n}", "Usage", "Standard"), Decimal(50), Decimal(51)) for n in range(20)]
    table += [Leaf((f"s{n}", category, pricing), Decimal(-40), Decimal(0)) for n in range(5)]
    found, _ = drivers.attribute(names, table)
    assert found[0].kind == kind


def test_cost_that_moves_between_committed_and_standard_is_a_commitment() -> None:
    """An expired commitment shows as on-demand cost of the same service."""
    names = ("service_name", "pricing_category")
    table = [Leaf((f"s{n}", "Standard"), Decimal(50), Decimal(50)) for n in range(20)]
    table += [Leaf(("db", "Committed"), Decimal(100), Decimal(0)), Leaf(("db", "Standard"), Decimal(10), Decimal(190))]
    found, _ = drivers.attribute(names, table)
    assert "commitment" in {d.kind for d in found} | {
        d.kind for d in drivers.attribute(names[:1] + names[1:], table[-2:])[0]
    }


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ((100.0, "50"), (100.0, "80"), "price"),
        ((100.0, "50"), (160.0, "80"), "usage"),
        ((100.0, "50"), (125.0, "80"), "mixed"),
        ((0.0, "50"), (100.0, "80"), "usage"),
    ],
)
def test_price_and_usage_are_told_apart_by_quantities(
    before: tuple[float, str], after: tuple[float, str], kind: str
) -> None:
    """The same hours for more money is a price; more hours at the same price is usage."""
    sku = ("vm", "Hours")
    one, two = ({sku: (quantity, Decimal(cost))} for quantity, cost in (before, after))
    assert quantities.told_by(one, two, Decimal(30)) == kind


def test_a_sku_that_ended_counts_as_usage() -> None:
    """What is no longer used explains a fall."""
    before = {("vm", "Hours"): (10.0, Decimal(50)), ("old", "Hours"): (5.0, Decimal(20))}
    assert quantities.told_by(before, {("vm", "Hours"): (10.0, Decimal(50))}, Decimal(-20)) == "usage"


def test_a_driver_in_words() -> None:
    """Conditions that are known anyway are left out."""
    driver = Driver(
        (("service_name", "Compute"), ("region_id", "us-east-1"), ("tag:team", "")), "new", Decimal(0), Decimal("221.4")
    )
    said = drivers.in_words(driver, "USD", skip=["service_name"])
    assert said == "new us-east-1, untagged (team) (+$221)"
    assert drivers.in_words(driver, "USD", skip=["service_name", "region_id", "tag:team"]) == ""


@pytest.fixture
def last_days() -> tuple[Period, Period]:
    end = MONDAY + timedelta(days=100)
    return Period(end - timedelta(days=4), end), Period(end - timedelta(days=11), end - timedelta(days=7))


@pytest.mark.stores
def test_stored_costs_are_explained_exactly(
    database: Database, tmp_path: Path, last_days: tuple[Period, Period]
) -> None:
    """The new node pool explains the days; nothing is lost in the sum."""
    costs = load(database, write_focus(tmp_path / "bill.csv", story()))
    tree = drivers.explain(costs, *last_days)
    assert total([*(d.contribution for d in tree.drivers), tree.other]) == tree.change
    assert tree.drivers[0].contribution == Decimal(841)
    assert tree.drivers[0].kind == "new"
    assert tree.receipt.rows > 0
    assert "SELECT" in tree.receipt.sql
    narrow = drivers.explain(costs, *last_days, where=(Filter(str(Dimension.SERVICE), ("Compute",)),))
    assert {name for d in narrow.drivers for name, _ in d.conditions} & {"sku_id", "resource_id", "tag:team"}


def test_a_price_rise_is_found_in_stored_quantities(database: Database, tmp_path: Path) -> None:
    """Same hours, higher bill: the driver's kind is price."""
    lines = []
    for n in range(28):
        day = MONDAY + timedelta(days=n)
        lines.append(Line(day, "Database", "100" if n < 14 else "150", sku="db.large", quantity="24"))
        lines.append(Line(day, "Compute", "300", quantity="24"))
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    half = MONDAY + timedelta(days=14)
    tree = drivers.explain(costs, Period(half, half + timedelta(days=14)), Period(MONDAY, half))
    assert [(d.kind, d.contribution) for d in tree.drivers] == [("price", Decimal(700))]


def test_currencies_are_never_added_up(database: Database, tmp_path: Path, last_days: tuple[Period, Period]) -> None:
    """Two currencies are refused with the way out; one of them can be chosen."""
    lines = [Line(x.day, x.service, x.cost, currency="EUR") for x in story()[:200]] + story()
    costs = load(database, write_focus(tmp_path / "bill.csv", lines))
    early = Period(MONDAY, MONDAY + timedelta(days=7)), Period(MONDAY + timedelta(days=7), MONDAY + timedelta(days=14))
    with pytest.raises(CurrencyMismatchError, match="EUR, USD"):
        drivers.explain(costs, *early)
    assert drivers.explain(costs, *early, currency="EUR").currency == "EUR"


def test_days_without_costs_are_refused(database: Database, tmp_path: Path) -> None:
    """No data on either side is said, not explained."""
    costs = load(database, write_focus(tmp_path / "bill.csv", story(30)))
    far = MONDAY + timedelta(days=400)
    with pytest.raises(InputError, match="No costs are stored"):
        drivers.explain(costs, Period(far, far + timedelta(days=1)), Period(far - timedelta(days=9), far))


def test_the_document_has_the_agreed_keys(costs: Costs, last_days: tuple[Period, Period]) -> None:
    """What `explain --json` prints."""
    document = drivers.as_document(drivers.explain(costs, *last_days, metric=Metric.EFFECTIVE))
    assert {"change", "drivers", "other", "currency", "receipt"} <= set(document)
