"""Asking who pays, how budgets stand and what one unit costs: right figures with receipts, and plain words without."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from agent import toolbox
from agent.answer import Answer, Question, Status
from agent.ask import build_mind
from agent.planner import vocabulary
from agent.planner.reading import read
from tests.agent import known, world
from tests.agent.conftest import House
from tests.agent.test_mind import fact, numbers, shown
from tools.analysis.allocation_rules import content_hash
from tools.analysis.costs import Costs
from tools.model.budget import Budget, BudgetPeriod
from tools.model.identifiers import random_id
from tools.model.query import Filter
from tools.model.unit import UnitValue
from tools.store import allocation, budgets, unit_values

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
OCTOBER = (date(2026, 10, 1), date(2026, 11, 1))
RULES = """
[[rules]]
when = { service = "Amazon Relational*" }
pool = "platform"
[[rules]]
when = { "tag:team" = ["checkout", "search", "data"] }
value_of = "tag:team"
[[rules]]
when = { provider = "Microsoft" }
to = "Office IT"
[[pools]]
name = "platform"
among = ["checkout", "search"]
"""


@pytest.fixture
def charged(house: House) -> House:
    """The organisation with rules, budgets and orders."""
    pays = (Filter("allocation:team", ("checkout",)),)
    wanted = [
        Budget("all", Decimal(8000), "USD"),
        Budget("checkout", Decimal(3000), "USD", where=pays),
        Budget("euro", Decimal(9), "EUR", BudgetPeriod.QUARTER),
        Budget("gcp", Decimal(1200), "USD", where=(Filter("provider", ("Google Cloud",)),)),
    ]
    days = [OCTOBER[0] + timedelta(days=n) for n in range(31) if n != 6]
    orders = [UnitValue("orders", day, Decimal(100)) for day in days]
    with house.database.begin() as tx:
        allocation.save(tx, "default", "team", source=RULES, content_hash=content_hash(RULES), actor="ben@x", now=NOW)
        for budget in wanted:
            budgets.save(tx, "default", budget, actor="ben@x", now=NOW)
        unit_values.replace(tx, "default", orders, now=NOW)
    return house


def is_backed(answer: Answer) -> None:
    """Every figure is a fact, and every fact has a receipt."""
    assert answer.status is Status.ANSWERED
    assert numbers(answer.text) <= shown(answer), answer.text
    values = {f.value for f in answer.facts}
    for table in answer.tables:
        for n, unit in enumerate(table.units):
            assert unit == "text" or {row[n] for row in table.rows if row[n] is not None} <= values, table.columns[n]
    assert all(f.receipt.sql for f in answer.facts)


def test_a_team_comes_to_its_own_and_its_part_of_what_is_shared(charged: House) -> None:
    """Five sixths of the databases are checkout's, by what it has of its own; the receipt can be run."""
    answer = charged.ask("how much did team checkout spend last month including shared costs?")
    is_backed(answer)
    own = world.total(*OCTOBER, team="checkout")
    shared = world.total(*OCTOBER, service="Amazon Relational Database Service") * 5 / 6
    assert fact(answer, "own cost", "checkout").value == own
    assert fact(answer, "part of shared cost", "checkout").value == shared.quantize(Decimal("1E-18"))
    assert answer.text.startswith(
        "checkout comes to $3,540.50 (53.4 % of everything): $2,920.00 of its own and $620.50"
    )
    assert fact(answer, "total cost").value == world.total(*OCTOBER)
    receipt = fact(answer, "own cost").receipt
    with charged.database.read() as tx:
        assert tx.execute(text(receipt.sql), dict(receipt.parameters)).all()
    assert "By the allocation rules team, version 1." in answer.notes


def test_everybody_stands_in_one_table(charged: House) -> None:
    """Who pays for what, and what is nobody's; a follow-up asks for one of them."""
    answer = charged.ask("who pays for what in October?", thread="t")
    is_backed(answer)
    rows = {row[0]: row[3] for row in answer.tables[0].rows}
    assert set(rows) == {"checkout", "search", "data", "Office IT", "nobody (unallocated)"}
    assert sum(v for v in rows.values() if isinstance(v, Decimal)) == world.total(*OCTOBER)
    assert "of it is nobody's; the most is checkout's" in answer.text
    one = charged.ask("and search?", thread="t")
    assert one.text.startswith("search comes to")
    desk = charged.mind._desk(Question("", charged.who, world.TODAY))
    args = {"start": "2026-10-01", "end": "2026-11-01", "payer": "Unallocated"}
    bare = toolbox.run("allocated_costs", args, desk)
    assert bare.headline.startswith("nobody (unallocated) comes to $32.85")


def test_who_does_not_pay_is_told_who_does(charged: House) -> None:
    """A name that no rule gives to, and a time without cost."""
    answer = charged.ask("what did marketing-dept pay in october including shared costs")
    assert 'nobody called "marketing-dept" pays for anything' in answer.text
    assert "checkout, search and data" in answer.text or "Office IT" in answer.text
    assert charged.ask("chargeback report for january 2026").text.startswith("There is no cost data")
    small = charged.ask("what does Office IT cost on AWS with shared costs in october")
    assert "comes to" not in small.text or small.text.startswith("By the rules")


def test_without_rules_it_says_how_to_get_some(house: House) -> None:
    """Nobody is guessed."""
    assert "No allocation rules are stored" in house.ask("who pays for what in October?").text
    assert house.ask("how are our budgets doing?").text == "0 budgets are set."
    assert "No metric of your own was imported yet" in house.ask("cost per order in October?").text


def test_the_budget_of_everything_is_the_stored_one(charged: House) -> None:
    """Before the setting; a period without a budget, or a part without one, is not compared with another."""
    answer = charged.ask("are we within budget?")
    is_backed(answer)
    assert "under the budget of $8,000.00; the chance of passing it is" in answer.text
    quarter = charged.ask("will we exceed our budget this quarter?")
    assert any("No budget is set for just that" in n for n in quarter.notes)
    assert any("No budget is set for just that" in n for n in charged.ask("is aws within budget?").notes)


def test_a_part_is_compared_with_the_budget_of_that_part(charged: House) -> None:
    """By the rules where the budget is of who pays, and beside the forecast where both mean the same."""
    team = charged.ask("is team checkout within budget?")
    is_backed(team)
    assert team.text.startswith("Budget checkout: $3,176.20 of $3,000.00 is spent (105.9 %)")
    assert any("shared cost included" in n for n in team.notes)
    cloud = charged.ask("is google cloud within budget?")
    is_backed(cloud)
    assert "is expected on Google Cloud" in cloud.text
    assert "Budget gcp: $" in cloud.text


def test_budgets_are_told_together_and_one_by_one(charged: House) -> None:
    """How many are passed or will be, which cannot be judged and why; one by its name or by what it is of."""
    answer = charged.ask("how are our budgets doing?")
    is_backed(answer)
    assert answer.text.startswith("4 budgets are set: 1 passed (checkout)")
    assert "1 cannot be judged (euro)" in answer.text
    assert any(n.startswith("euro: Costs in USD are part of it") for n in answer.notes)
    assert [t.currency for t in answer.tables] == ["USD", "EUR"]
    one = charged.ask("show the budget for checkout")
    assert one.text.startswith("Budget checkout: $3,176.20 of $3,000.00")
    assert charged.ask("show the budget called euro").text.startswith("Budget euro (€9.00")
    assert 'There is no budget called "moonshot"' in charged.ask("show the budget for moonshot").text


def test_a_broken_file_of_rates_is_told_where_it_matters(charged: House) -> None:
    """And nowhere else."""
    path = charged.settings.home / "rates.csv"
    path.write_text("date,from,to,rate\nnever,EUR,USD,1\n")
    costs = Costs(charged.database, "default", world.TAGS, 2)
    settings = charged.settings.model_copy(update={"rates_file": path})
    charged.mind = build_mind(settings, charged.database, costs, now=lambda: NOW, new_id=random_id)
    answer = charged.ask("how are our budgets doing?")
    assert any("Line 2 of rates.csv is not" in n for n in answer.notes)
    assert "1 passed (checkout)" in answer.text


def test_an_order_has_its_cost(charged: House) -> None:
    """Over the days that count; the day without orders is named; per month and day as tables."""
    answer = charged.ask("cost per order in October?")
    is_backed(answer)
    gap = world.total(date(2026, 10, 7), date(2026, 10, 8))
    cost = world.total(*OCTOBER) - gap
    assert fact(answer, "cost of the counted days").value == cost
    assert fact(answer, "cost per one of orders").value == (cost / 3000).quantize(Decimal("1E-12"))
    assert "over 30 of 31 days" in answer.text
    assert "Days without orders are not counted: 7 Oct 2026." in answer.notes
    daily = charged.ask("aws cost per order per day in october")
    is_backed(daily)
    assert len(daily.tables[0].rows) == 30
    assert "Orders is not split by provider: all of it is counted." in daily.notes
    assert charged.ask("cost per order in january 2026").text.startswith("0 days in 1-31 Jan 2026 have both")
    assert 'There is no metric "user"' in charged.ask("cost per user in october").text
    months = charged.ask("what is the cost per order per month since august")
    assert [row[0] for row in months.tables[0].rows] == ["2026-10"]


def test_a_day_without_any_divides_nothing(charged: House) -> None:
    """Zero orders have no cost each."""
    with charged.database.begin() as tx:
        unit_values.replace(tx, "default", [UnitValue("orders", date(2026, 9, 1), Decimal(0))], now=NOW)
    answer = charged.ask("cost per order on 1 september 2026")
    assert answer.text.endswith("no orders on 1 Sep 2026.")
    assert fact(answer, "cost per one of orders").value is None


@pytest.mark.parametrize(
    ("question", "tool", "unit"),
    [
        ("cost per order in October?", "unit_costs", "order"),
        ("cost per orders", "unit_costs", "orders"),
        ("what did we pay per checkout last month", "unit_costs", "checkout"),
        ("how much does an order cost us?", "unit_costs", "order"),
        ("what does the checkout team cost", "query_costs", None),
        ("cost per production account in october", "query_costs", None),
        ("spend per service for team checkout", "query_costs", None),
    ],
)
def test_a_unit_may_be_called_like_a_tag(question: str, tool: str, unit: str | None) -> None:
    """Where a unit would stand it is one; elsewhere the team or the service is meant."""
    values = known.VALUES | {"tag:service": ("orders", "checkout", "web")}
    plan = read(question, world.TODAY, vocabulary.build(lambda d: values.get(d, ()), known.TAG_KEYS, known.SPAN)).plan
    assert plan is not None
    assert (plan.tool, plan.args.get("unit"), "exclude" in plan.args) == (tool, unit, False)
    assert plan.confidence >= 0.75
    assert unit is None or "where" not in plan.args
