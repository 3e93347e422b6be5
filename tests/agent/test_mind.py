"""Asking the mind, as Slack and the terminal do: right numbers with receipts, refusals in words, one conversation."""

from __future__ import annotations

import csv
import re
import sqlite3
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from agent import memory, words
from agent.answer import Answer, Question, Status
from agent.ask import build_mind
from tests.agent import world
from tests.agent.conftest import NOW, House, Make, person
from tools.analysis import anomalies
from tools.analysis.costs import Costs
from tools.collection import charges
from tools.model.access import Role
from tools.model.errors import StoreUnavailableError
from tools.model.fact import Fact
from tools.model.identifiers import random_id
from tools.model.outcome import Outcome
from tools.settings import Settings
from tools.store import findings, outcomes
from tools.store.database import Database


def numbers(sentence: str) -> set[str]:
    """Every amount and share that a sentence shows."""
    return set(re.findall(r"-?[$€£][\d,.]*\d|[\d,.]*\d %", sentence))


def shown(answer: Answer) -> set[str]:
    """How the answer's facts look when they are written."""
    found = {words.value(f) for f in answer.facts}
    found |= {words.value(replace(f, value=abs(f.value))) for f in answer.facts if f.value is not None}
    return found


def fact(answer: Answer, label: str, entity: str | None = None) -> Fact:
    return next(f for f in answer.facts if f.label == label and entity in {None, f.entity})


def test_a_total_is_exact_and_says_its_receipt(house: House) -> None:
    """'how much did we spend last month' gives the sum of the bills, to the last digit, and the SQL that gives it."""
    answer = house.ask("how much did we spend last month")
    expected = world.total(date(2026, 10, 1), date(2026, 11, 1))
    assert answer.status is Status.ANSWERED
    assert fact(answer, "total cost").value == expected
    assert answer.text.startswith(words.money(expected, "USD"))
    receipt = fact(answer, "total cost").receipt
    with house.database.read() as tx:
        row = tx.execute(text(receipt.sql), dict(receipt.parameters)).mappings().one()
    assert Decimal(row["micros"]) / 10**6 == expected
    assert receipt.rows == 31 * len(world.LINES)
    assert answer.query["tool"] == "query_costs"
    assert answer.query["period"] == {"start": "2026-10-01", "end": "2026-11-01"}


def test_a_split_names_the_largest_and_adds_up(house: House) -> None:
    """Per service: each line exact, the lines sum to the total, a bar chart of at most 20 points."""
    answer = house.ask("what did we spend per service in October?")
    rows = {str(row[0]): row[1] for row in answer.tables[0].rows}
    october = (date(2026, 10, 1), date(2026, 11, 1))
    assert rows["BigQuery"] == world.total(*october, service="BigQuery")
    assert sum(v for v in rows.values() if isinstance(v, Decimal)) == fact(answer, "total cost").value
    assert "the most on Amazon Elastic Compute Cloud" in answer.text
    assert answer.charts[0].kind == "bar"
    assert len(answer.charts[0].labels) <= 20


@pytest.mark.parametrize(
    "question",
    [
        "what did we spend per service in October?",
        "why did EC2 go up last week?",
        "compare October with September",
        "any anomalies?",
        "forecast for this month",
        "top 3 services last month",
        "which teams do we have?",
        "daily cost of AWS in the last 30 days",
    ],
)
def test_every_number_that_is_shown_is_a_fact(house: House, question: str) -> None:
    """No amount or share stands in a sentence or table that no fact with a receipt backs."""
    answer = house.ask(question)
    assert answer.status is Status.ANSWERED
    assert numbers(answer.text) <= shown(answer), question
    values = {f.value for f in answer.facts}
    for table in answer.tables:
        amounts = {row[n] for row in table.rows for n, unit in enumerate(table.units) if unit == "money"}
        if table.columns[-1] not in {"change", "so far"}:
            assert {a for a in amounts if a is not None} <= values
    assert all(f.receipt.sql for f in answer.facts)
    assert [f.id for f in answer.facts] == [f"F{n}" for n in range(1, len(answer.facts) + 1)]
    assert all(len(chart.labels) <= 20 for chart in answer.charts)


def test_why_names_the_driver_and_the_direction(house: House) -> None:
    """EC2 doubled in one account from 16 November on: that is what the answer says."""
    answer = house.ask("why did EC2 go up last week?")
    change = fact(answer, "change of cost")
    week, earlier = (date(2026, 11, 16), date(2026, 11, 23)), (date(2026, 11, 9), date(2026, 11, 16))
    ec2 = "Amazon Elastic Compute Cloud"
    assert change.value is not None
    settled = answer.query["period"]
    assert isinstance(settled, dict)
    days = (date.fromisoformat(settled["end"]) - date.fromisoformat(settled["start"])).days
    if days == 7:
        assert change.value == world.total(*week, service=ec2) - world.total(*earlier, service=ec2)
    assert "more (+" in answer.text
    assert any("checkout" in str(row[0]) or "100000000002" in str(row[0]) for row in answer.tables[0].rows)


def test_a_conversation_follows_up_and_another_thread_does_not(house: House) -> None:
    """'and GCP?' belongs to the question before it in the same thread only."""
    house.ask("what did we spend last month?", thread="C1/1.0")
    follow = house.ask("and GCP?", thread="C1/1.0")
    other = house.ask("and GCP?", thread="C1/2.0")
    alone = house.ask("and GCP?")
    assert fact(follow, "total cost").value == world.total(
        date(2026, 10, 1), date(2026, 11, 1), provider="Google Cloud"
    )
    assert other.status is alone.status is Status.AMBIGUOUS
    assert len(other.alternatives) >= 2


def test_memory_is_short_and_only_of_threads(house: House) -> None:
    """Forty questions in one thread leave one checkpoint of a dozen messages; a question without thread leaves none."""
    house.ask("what did we spend last month?")
    assert not (house.settings.home / memory.FILE).exists()
    for _ in range(20):
        house.ask("what did we spend last month?", thread="long")
        house.ask("and AWS?", thread="long")
    with sqlite3.connect(house.settings.home / memory.FILE) as file:
        assert file.execute("SELECT count(*) FROM checkpoints").fetchone() == (1,)
        assert file.execute("SELECT count(*) FROM checkpoints WHERE thread_id = 'default/chat/long'").fetchone() == (1,)
    with memory.open_memory(house.settings) as saver:
        found = saver.get_tuple({"configurable": {"thread_id": "default/chat/long"}})
    assert found is not None
    assert len(found.checkpoint["channel_values"]["messages"]) <= memory.MESSAGES


def test_idle_conversations_are_forgotten(house: House) -> None:
    """What nobody continued since a moment goes; what is newer stays."""
    house.ask("what did we spend last month?", thread="old")
    assert memory.forget_idle(house.settings, NOW.replace(year=2020)) == 0
    assert memory.forget_idle(house.settings, NOW.replace(year=2100)) == 1
    assert house.ask("and AWS?", thread="old").status is Status.AMBIGUOUS


def test_a_memory_that_cannot_be_written_is_told(house: House) -> None:
    """The home folder is a file: a sentence, not a stack trace."""
    blocked = house.settings.home / "blocked"
    blocked.write_text("")
    broken = house.settings.model_copy(update={"home": blocked})
    with pytest.raises(StoreUnavailableError, match="memory of conversations"), memory.open_memory(broken):
        pass


def test_no_data_is_not_zero(house: House) -> None:
    """A period without any charge says so, without a number."""
    answer = house.ask("what did we spend in January 2025?")
    assert answer.status is Status.ANSWERED
    assert answer.text == "There is no cost data in 1-31 Jan 2025."
    assert not answer.facts


def test_a_running_month_says_how_far_the_data_goes(house: House) -> None:
    """Assumptions and coverage travel with the number."""
    answer = house.ask("how much did we spend?")
    assert "period not given: month to date" in answer.assumptions
    assert answer.coverage.complete_to == date(2026, 11, 23)


def test_what_is_left_out_is_summed_in_the_last_line(house: House) -> None:
    """Top 2 still adds up to everything."""
    answer = house.ask("top 2 services in October")
    table = answer.tables[0]
    assert len(table.rows) == 3
    assert str(table.rows[-1][0]).endswith("others")
    assert sum(r[1] for r in table.rows if isinstance(r[1], Decimal)) == fact(answer, "total cost").value
    assert any("summed in the last line" in n for n in answer.notes)


def test_long_series_are_drawn_in_equal_steps(house: House) -> None:
    """More than 20 days fit 20 points by summing, and the chart says so; nothing gets lost."""
    answer = house.ask("daily cost of AWS in october")
    chart = answer.charts[0]
    assert chart.kind == "line"
    assert len(chart.labels) <= 20
    assert "summed over 2 days each" in chart.title
    assert sum(chart.series[0][1]) == fact(answer, "total cost").value


def test_accounts_are_shown_with_their_names(house: House) -> None:
    """The id is whole and the name beside it."""
    answer = house.ask("spend by account in October")
    assert "lumen-production (100000000002)" in [row[0] for row in answer.tables[0].rows]


def test_anomalies_find_the_jump(house: House) -> None:
    """EC2 in production doubled on 16 November: found, with money above usual and its days."""
    answer = house.ask("anything unusual?")
    assert "Amazon Elastic Compute Cloud" in answer.text
    assert "above usual" in answer.text
    assert fact(answer, "unusual costs").value is not None
    quiet = house.ask("anything unusual in September?")
    assert quiet.text.startswith("0 unusual costs")
    only = house.ask("any anomalies on gcp?")
    assert only.text.startswith("0 unusual costs on Google Cloud")


def test_a_forecast_has_a_band_and_what_is_known(house: House) -> None:
    """Low <= expected <= high, and it is not below what is spent already."""
    answer = house.ask("what will we spend this month?")
    low, middle, high = (
        fact(answer, name).value
        for name in ("forecast, low end of the band", "forecast", "forecast, high end of the band")
    )
    spent = fact(answer, "cost so far").value
    assert low is not None
    assert middle is not None
    assert high is not None
    assert spent is not None
    assert spent < low <= middle <= high
    split = house.ask("forecast for this month by provider")
    assert {row[0] for row in split.tables[0].rows} == {"AWS", "Google Cloud", "Microsoft"}
    coming = house.ask("forecast for next month")
    assert "in 1-31 Dec 2026" in coming.text
    assert "cost so far" not in {f.label for f in coming.facts}


def test_the_budget_is_compared_when_there_is_one(make: Make) -> None:
    """Over or under, by how much, and how likely; without a budget the answer says that there is none."""
    assert any("No monthly budget is set" in n for n in make().ask("are we within budget?").notes)
    answer = make(budget_monthly="1000").ask("will we exceed our budget?")
    assert "over the budget of $1,000.00" in answer.text
    assert numbers(answer.text) <= shown(answer)
    aws = make(budget_monthly="1000").ask("will aws exceed our budget?")
    assert any("for everything in one month" in n for n in aws.notes)
    assert "not a number" in make(budget_monthly="lots").ask("are we within budget?").text


def test_asking_for_more_than_there_is(house: House) -> None:
    """A forecast of the past, a rollout nobody knows, a value of a dimension: each a sentence."""
    assert "There is no rollout" in house.ask("status of ro-0a1b2c3d4e5f").text
    teams = house.ask("what teams are there")
    assert "values of team" in teams.text
    assert fact(teams, "known values of team").value == 5
    fresh = house.ask("how fresh is the data?")
    assert fresh.text.startswith("114 days of cost data")
    accounts = house.ask("list our accounts")
    assert ("100000000003", "lumen-data") in accounts.tables[0].rows
    savings = house.ask("where can we save money?")
    assert savings.text == "0 savings are known now."


def test_help_and_nonsense(house: House) -> None:
    """Help shows examples; nonsense is admitted; every example is understood."""
    hello = house.ask("help")
    assert hello.status is Status.ANSWERED
    for example in hello.alternatives:
        assert house.ask(example).facts, example
    nonsense = house.ask("colourless green ideas sleep")
    assert nonsense.status is Status.NOT_UNDERSTOOD
    assert nonsense.alternatives
    assert house.ask("").status is Status.NOT_UNDERSTOOD


def test_a_viewer_may_ask_but_not_propose(house: House) -> None:
    """The refusal is a sentence with what to do."""
    answer = house.ask("move checkout-workers to spot", who=person(Role.VIEWER, "Dan"))
    assert answer.status is Status.REFUSED
    assert answer.text == (
        "Dan may look but not propose changes (role viewer). Nothing was changed. "
        "Ask an administrator for the role requester."
    )


def test_acting_is_refused(house: House) -> None:
    """No words approve, stop or roll back."""
    answer = house.ask("approve ro-0a1b2c3d4e5f please")
    assert answer.status is Status.REFUSED
    assert "Nothing was changed." in answer.text


def test_a_database_without_costs_says_how_to_get_some(empty: House) -> None:
    """The very first questions of a new installation."""
    answer = empty.ask("how fresh is the data?")
    assert answer.text == "0 days of cost data are loaded."
    assert "optiinfra ingest" in answer.notes[0]
    assert empty.ask("what did we spend last month?").text == "There is no cost data in 1-31 Oct 2026."
    assert "No costs are stored" in empty.ask("why did cost change last month?").text
    assert "No costs are stored yet." in empty.ask("forecast for this month").text
    assert "0 unusual costs" in empty.ask("any anomalies?").text
    assert "0 values of service" in empty.ask("which services do we have?").text


def test_two_questions_in_one_thread_at_once_do_not_break_it(house: House) -> None:
    """People type over each other; both are answered."""
    from concurrent.futures import ThreadPoolExecutor

    house.ask("what did we spend last month?", thread="busy")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: house.ask("how much did aws cost last month", thread="busy"), range(8)))
    assert {a.status for a in answers} == {Status.ANSWERED}


def test_the_same_mind_answers_every_tenant_only_of_its_own(house: House) -> None:
    """Threads of two tenants never meet, even with one name."""
    house.ask("what did we spend on AWS last month?", thread="T")
    stranger = replace(person(), tenant="other")
    assert house.mind.ask(Question("and GCP?", stranger, world.TODAY, thread="T")).status is Status.AMBIGUOUS


def test_the_share_of_everything_is_told(house: House) -> None:
    """'what share of spend is EC2': the part, the percentage, and the whole."""
    answer = house.ask("what share of our spend was EC2 in October?")
    october = (date(2026, 10, 1), date(2026, 11, 1))
    part, whole = world.total(*october, service="Amazon Elastic Compute Cloud"), world.total(*october)
    assert fact(answer, "share of all cost").value == words.share(part, whole)
    assert f"{words.percent(words.share(part, whole))} of {words.money(whole, 'USD')} in all" in answer.text


def test_days_have_an_average_and_a_most_expensive_one(house: House) -> None:
    """'per day' and 'most expensive day' are answered in the sentence."""
    answer = house.ask("what was our most expensive day last week?")
    days = {d: world.total(d, date.fromordinal(d.toordinal() + 1)) for d in (date(2026, 11, n) for n in range(16, 23))}
    top = max(days, key=lambda d: days[d])
    assert f"the most on {words.day(top)}: {words.money(days[top], 'USD')}" in answer.text
    assert fact(answer, "average per day").value == (sum(days.values()) / 7).quantize(Decimal("1E-10"))


def test_two_currencies_never_add_up(make: Make, tmp_path: Path) -> None:
    """Each currency has its own total, table and comparison, and the answer says what it left out."""
    house = make()
    rows = [
        r | {"BillingCurrency": "EUR", "BillingAccountId": "euro"}
        for r in world.rows()
        if r["ProviderName"] == "Microsoft"
    ]
    path = tmp_path / "euro.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, world.COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    charges.ingest(house.database, "default", [path], tag_keys=world.TAGS, detail_months=4, now=lambda: NOW)
    total = house.ask("what did we spend in October?")
    assert {f.currency for f in total.facts} == {"USD", "EUR"}
    assert "$" in total.text
    assert "€" in total.text
    split = house.ask("spend by provider in October")
    assert {t.currency for t in split.tables} == {"USD", "EUR"}
    compared = house.ask("compare October with September")
    assert "Compared in USD; costs in EUR are not part of it." in compared.notes


def test_a_missing_price_is_unknown_not_zero(make: Make, tmp_path: Path) -> None:
    """A list price is absent for one service: its cost and the total say unknown."""
    house = make()
    rows = [r | {"ListCost": "NULL"} if r["ServiceName"] == "BigQuery" else r for r in world.rows()]
    path = tmp_path / "priceless.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, world.COLUMNS)
        writer.writeheader()
        writer.writerows(r for r in rows if r["ProviderName"] == "Google Cloud")
    charges.ingest(house.database, "default", [path], tag_keys=world.TAGS, detail_months=4, now=lambda: NOW)
    answer = house.ask("list cost by service in October")
    assert answer.text.startswith("unknown was spent")
    cells = {row[0]: row[1] for row in answer.tables[0].rows}
    assert cells["BigQuery"] is None
    assert cells["AWS Lambda"] is not None


def test_what_was_really_saved_is_told_from_outcomes(house: House) -> None:
    """Before any: zero measured; after: realised beside estimated, what waits is not counted."""
    assert house.ask("how much have we really saved?").text.startswith("0 rollouts have finished")
    measured = Outcome(
        "ro-1", "spot_migration", Decimal(1000), Decimal("930.5"), "USD", None, None, "verified", "as planned"
    )
    early = Outcome("ro-2", "spot_migration", Decimal(500), None, "USD", None, None, "too_early", "7 days are needed")
    with house.database.begin() as tx:
        outcomes.save(tx, "default", measured, now=NOW)
        outcomes.save(tx, "default", early, now=NOW)
    answer = house.ask("how much have we saved so far?")
    assert answer.text == "$930.50 per month (estimated: $1,000.00) is really saved by 2 finished rollouts."
    assert answer.notes == ("1 of 2 cannot be measured yet.",)
    assert numbers(answer.text) <= shown(answer)


def test_kept_findings_are_used_while_they_are_of_the_newest_data(house: House) -> None:
    """What the clock's job stored, and what people said of it, is what the answer shows."""
    found = anomalies.find(house.mind._costs, world.TODAY)
    with house.database.begin() as tx:
        findings.save_anomalies(tx, "default", found, now=NOW)
        findings.set_status(tx, "default", found[0].id, "expected", actor="ana", reason="launch", now=NOW)
    answer = house.ask("any anomalies?")
    assert "expected" in {row[-1] for row in answer.tables[0].rows}


@pytest.mark.stores
def test_conversations_live_in_postgresql_where_the_state_does(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """The same memory on both engines: one short checkpoint per thread, forgotten when idle."""
    settings = Settings(_env_file=None, home=tmp_path, state_url=database_url)  # type: ignore[call-arg]
    costs = Costs(database, "default", world.TAGS, 2)
    mind = build_mind(settings, database, costs, now=lambda: NOW, new_id=random_id)
    talker = House(settings, database, mind)
    for _ in range(4):
        assert talker.ask("what did we spend last month?", thread="t").query["tool"] == "query_costs"
        assert talker.ask("by region", thread="t").query["tool"] == "query_costs"
    with memory.open_memory(settings) as saver:
        kept = list(saver.list({"configurable": {"thread_id": "default/chat/t"}}))
        assert len(kept) == 1
        memory.forget(saver, "default/chat/t")
    assert talker.ask("by region", thread="t").status is Status.AMBIGUOUS


def test_a_memory_in_postgresql_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """The server is away: a sentence with what to do."""
    settings = Settings(_env_file=None, home=tmp_path, state_url=f"postgresql://nobody@/none?host={tmp_path}")  # type: ignore[call-arg]
    with pytest.raises(StoreUnavailableError, match="memory of conversations"), memory.open_memory(settings):
        pass


def test_a_comparison_by_something_lists_all_of_it(house: House) -> None:
    """Asked by provider, every provider stands in the table with both costs, and the lines add up to the change."""
    answer = house.ask("compare October with September by provider")
    (table,) = answer.tables
    assert table.columns == ("provider", "before", "after", "change")
    october, september = (date(2026, 10, 1), date(2026, 11, 1)), (date(2026, 9, 1), date(2026, 10, 1))
    rows = {row[0]: row[1:3] for row in table.rows}
    assert set(rows) == {"AWS", "Google Cloud", "Microsoft"}
    assert rows["AWS"] == (world.total(*september, provider="AWS"), world.total(*october, provider="AWS"))
    assert sum(row[3] for row in table.rows if isinstance(row[3], Decimal)) == fact(answer, "change of cost").value


def test_a_name_with_a_time_and_a_split_is_a_question(house: House) -> None:
    """'EC2 by region last month' says all that is needed; a name alone does not."""
    answer = house.ask("EC2 by region last month")
    assert (answer.status, answer.query["tool"]) == (Status.ANSWERED, "query_costs")
    assert "read as: what was spent" in answer.assumptions
    assert house.ask("EC2").status is Status.AMBIGUOUS


def test_what_commitments_saved_is_a_kind_of_cost(house: House) -> None:
    """It is counted on the bills, not looked up among proposals."""
    answer = house.ask("how much did savings plans save us in October?")
    assert answer.query["metric"] == "commitment_savings"
    assert "was saved by commitments in 1-31 Oct 2026" in answer.text


def test_what_still_goes_on_is_unusual_today_too(house: House) -> None:
    """The newest days are not judged yet; what was unusual before them and open is told, and up to when was judged."""
    earlier = house.ask("any anomalies last week?")
    now = house.ask("any anomalies since yesterday?")
    open_ones = {row[0] for row in earlier.tables[0].rows if row[7] == "open"}
    assert open_ones
    assert open_ones <= {row[0] for row in now.tables[0].rows}
    assert any(note.startswith("Judged up to ") for note in now.notes)


def test_no_inventory_is_no_clean_bill(house: House) -> None:
    """Nothing to save is one thing, nothing looked at another."""
    answer = house.ask("where can we save money?")
    assert answer.text.startswith("0 savings")
    assert "No inventory was collected yet, so the rules had nothing to look at: run optiinfra collect." in answer.notes
