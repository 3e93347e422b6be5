"""The planner reads like a person would: times, names, follow-ups, and honest abstention."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answer import Status
from agent.planner import periods, phrase
from agent.planner.calendar import add_months, before, month_of, quarter_of, shift_months, week_of, year_before, year_of
from agent.planner.plan import Plan, reading_of
from agent.planner.reading import read
from agent.planner.vocabulary import clean
from tests.agent.known import SPAN, TODAY, lumen
from tools.model.period import Period

VOCABULARY = lumen()
days = st.dates(date(2020, 1, 1), date(2030, 12, 31))


def first(text: str, today: date = TODAY, *, ahead: bool = False) -> Period:
    return periods.find(text, today, ahead=ahead, data=SPAN)[0].period


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("in september 2024", "2024-09-01", "2024-10-01"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("yesterday", "2026-11-22", "2026-11-23"),
        ("the day before yesterday", "2026-11-21", "2026-11-22"),
        ("today", "2026-11-23", "2026-11-24"),
        ("last 7 days", "2026-11-16", "2026-11-23"),
        ("last week", "2026-11-16", "2026-11-23"),
        ("since 1 oct", "2026-10-01", "2026-11-24"),
        ("since monday", "2026-11-16", "2026-11-24"),
        ("after september", "2026-10-01", "2026-11-24"),
        ("from october onwards", "2026-10-01", "2026-11-24"),
        ("q3", "2026-07-01", "2026-10-01"),
        ("2025-q2", "2025-04-01", "2025-07-01"),
        ("the second quarter of 2025", "2025-04-01", "2025-07-01"),
        ("h1 2026", "2026-01-01", "2026-07-01"),
        ("first half of 2025", "2025-01-01", "2025-07-01"),
        ("ytd", "2026-01-01", "2026-11-24"),
        ("qtd", "2026-10-01", "2026-11-24"),
        ("wtd", "2026-11-23", "2026-11-24"),
        ("month to date", "2026-11-01", "2026-11-24"),
        ("so far this quarter", "2026-10-01", "2026-11-24"),
        ("nov 12", "2026-11-12", "2026-11-13"),
        ("12th of november", "2026-11-12", "2026-11-13"),
        ("december 24", "2025-12-24", "2025-12-25"),
        ("2026-10-01 to 2026-10-15", "2026-10-01", "2026-10-16"),
        ("2026/10/03", "2026-10-03", "2026-10-04"),
        ("between 1 and 15 september", "2026-09-01", "2026-09-16"),
        ("sep 1-15, 2024", "2024-09-01", "2024-09-16"),
        ("oct to dec 2024", "2024-10-01", "2025-01-01"),
        ("from 28 dec 2025 to 3 jan 2026", "2025-12-28", "2026-01-04"),
        ("from november to january", "2025-11-01", "2026-02-01"),
        ("last 3 months", "2026-08-01", "2026-11-01"),
        ("past two weeks", "2026-11-09", "2026-11-23"),
        ("last 48 hours", "2026-11-21", "2026-11-23"),
        ("last two quarters", "2026-04-01", "2026-10-01"),
        ("3 days ago", "2026-11-20", "2026-11-21"),
        ("two weeks ago", "2026-11-09", "2026-11-16"),
        ("two months ago", "2026-09-01", "2026-10-01"),
        ("a year ago", "2025-11-01", "2025-12-01"),
        ("the month before last", "2026-09-01", "2026-10-01"),
        ("past month", "2026-10-24", "2026-11-23"),
        ("last fortnight", "2026-11-09", "2026-11-23"),
        ("last weekend", "2026-11-21", "2026-11-23"),
        ("recently", "2026-11-16", "2026-11-23"),
        ("in 2025", "2025-01-01", "2026-01-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("next month", "2026-12-01", "2027-01-01"),
        ("next 2 weeks", "2026-11-23", "2026-12-07"),
        ("next two quarters", "2027-01-01", "2027-07-01"),
        ("end of the quarter", "2026-10-01", "2027-01-01"),
        ("month-end", "2026-11-01", "2026-12-01"),
        ("feb 29 2024", "2024-02-29", "2024-03-01"),
        ("all time", "2025-10-01", "2026-11-22"),
    ],
)
def test_times_are_read_as_people_mean_them(text: str, start: str, end: str) -> None:
    """Half-open, against the Monday 23 November 2026."""
    assert first(text) == Period(date.fromisoformat(start), date.fromisoformat(end))


@pytest.mark.parametrize("text", ["it may be cheaper", "they march on", "feb 30 2026", "on-call", "i7 cpu", "sun"])
def test_ordinary_words_are_no_times(text: str) -> None:
    """'may' needs a preposition, and a day that does not exist is none."""
    assert not periods.find(text, TODAY)


def test_a_month_ahead_is_the_coming_one_when_the_question_looks_ahead() -> None:
    """'December' of a forecast is the next, of a look back the last."""
    assert first("in december") == Period(date(2025, 12, 1), date(2026, 1, 1))
    assert first("in december", ahead=True) == Period(date(2026, 12, 1), date(2027, 1, 1))


@given(days)
@settings(max_examples=60, deadline=None)
def test_relative_times_never_reach_past_today(today: date) -> None:
    """Whatever the day: a look back ends by tomorrow, is never empty, and last units end where this one starts."""
    for text in ("last week", "last month", "last quarter", "last year", "ytd", "mtd", "last 30 days", "yesterday"):
        period = first(text, today)
        assert period.start < period.end <= today + timedelta(days=1)
    assert first("last month", today).end == month_of(today).start == first("this month", today).start
    assert first("last quarter", today).end == quarter_of(today).start
    assert first("last week", today).end == week_of(today).start
    assert first("last year", today).end == year_of(today).start


@given(days, st.integers(1, 400))
@settings(max_examples=100, deadline=None)
def test_every_period_reads_back_from_its_own_words(start: date, length: int) -> None:
    """What the answer calls a period is what the question would have to say to get it."""
    period = Period(start, start + timedelta(days=length))
    assert first(phrase.period_words(period), date(2031, 6, 1)) == period


@given(days, st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_what_is_compared_with_lies_before(start: date, length: int) -> None:
    """The period before never overlaps, and a year before starts a year earlier."""
    period = Period(start, start + timedelta(days=length))
    assert before(period).start < period.start
    assert before(period).end <= period.start or period.start.day == 1
    assert year_before(period).start == add_months(start, -12)
    assert shift_months(period, 0) == period


def test_whole_months_are_compared_with_whole_months() -> None:
    """October with September (31 days with 30), a month to date with the same days of the one before."""
    assert before(Period(date(2026, 10, 1), date(2026, 11, 1))) == Period(date(2026, 9, 1), date(2026, 10, 1))
    assert before(Period(date(2026, 11, 1), date(2026, 11, 24))) == Period(date(2026, 10, 1), date(2026, 10, 24))
    assert before(Period(date(2026, 7, 1), date(2026, 10, 1))) == Period(date(2026, 4, 1), date(2026, 7, 1))


FILTERS: tuple[dict[str, list[str]], ...] = (
    {},
    {"provider": ["AWS"]},
    {"tag:team": ["checkout"]},
    {"service_name": ["BigQuery"]},
    {"tag:env": ["staging"]},
    {"region_id": ["eu-west-1"]},
    {"tag:team": [""]},
    {"charge_category": ["Tax"]},
    {"provider": ["AWS"], "tag:team": ["search"]},
)
SPLITS: tuple[list[str], ...] = ([], ["service_name"], ["tag:team"], ["provider", "region_id"], ["sub_account_id"])


def plan_of(start: date, length: int, where: dict[str, list[str]], by: list[str]) -> Plan:
    args: dict[str, object] = {"start": start.isoformat(), "end": (start + timedelta(days=length)).isoformat()}
    return Plan("query_costs", args | ({"where": where} if where else {}) | ({"by": by} if by else {}), 1.0)


PLANS = st.builds(
    plan_of,
    st.dates(date(2025, 11, 1), date(2026, 11, 1)),
    st.integers(1, 22),
    st.sampled_from(FILTERS),
    st.sampled_from(SPLITS),
)


@given(PLANS)
@settings(max_examples=120, deadline=None)
def test_a_plan_written_as_a_question_is_read_as_the_same_plan(plan: Plan) -> None:
    """Offered questions mean exactly what they offer."""
    again = read(phrase.question(plan), TODAY, VOCABULARY)
    assert again.plan is not None
    assert again.plan.args == plan.args


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever is typed, there is a reading, and it travels as plain data."""
    reading = read(text, TODAY, VOCABULARY, Plan("query_costs", {"start": "2026-10-01", "end": "2026-11-01"}, 1.0))
    assert reading.status in set(Status)
    assert reading_of(reading.plain()) == reading


def test_mentions_odd_quotes_and_invisible_letters_do_not_matter() -> None:
    """Slack's own markup and copied text read like typed text."""
    plain = read("how much did aws cost last month", TODAY, VOCABULARY).plan
    odd = read("<@U0OPTIINFRA> HOW much\u200b did ＡＷＳ\u00a0cost last\u2003month?!", TODAY, VOCABULARY).plan
    assert plain is not None
    assert odd is not None
    assert odd.args == plain.args
    assert clean("“a”  \u202eb") == '"a" b'


def test_a_long_message_is_read_at_its_beginning_and_told_so() -> None:
    """Ten thousand letters are no reason to fail, and none to stay silent about it."""
    plan = read("how much did we spend last month " + "blah " * 2000, TODAY, VOCABULARY)
    notes = plan.plan.assumptions if plan.plan else plan.notes
    assert "only the beginning of the long message was read" in notes


def test_assumptions_are_spoken() -> None:
    """What was not said and what was put right is said back."""
    plan = read("spend on BigQeury by regoin", TODAY, VOCABULARY).plan
    assert plan is not None
    assert "period not given: month to date" in plan.assumptions
    assert '"regoin" was read as "region"' in plan.assumptions
    assert any("BigQuery" in a for a in plan.assumptions)


def test_a_hint_decides_what_a_name_means() -> None:
    """'checkout' is a team and a service tag: one word beside it settles which; 'production account' is an account."""
    for text, key, value in (
        ("cost of team checkout", "tag:team", ["checkout"]),
        ("cost of the checkout team", "tag:team", ["checkout"]),
        ("cost of tag service checkout", "tag:service", ["checkout"]),
        ("cost of the production account", "sub_account_name", ["lumen-production", "Lumen Production"]),
        ("cost of env production", "tag:env", ["production"]),
        ("spend of team data", "tag:team", ["data"]),
        ("spend of team chekcout", "tag:team", ["checkout"]),
    ):
        plan = read(text, TODAY, VOCABULARY).plan
        assert plan is not None, text
        assert plan.args["where"] == {key: value}, text
    assert read("how much does checkout cost?", TODAY, VOCABULARY).status is Status.AMBIGUOUS


def test_an_unknown_name_is_told_with_the_nearest_known_ones() -> None:
    """A number for something else would be worse than none."""
    reading = read("what did we spend on amazon redshifft cluster foo", TODAY, VOCABULARY)
    unknown = read("spend of team rockets in october", TODAY, VOCABULARY)
    absent = read("what did we spend on oracle last month", TODAY, VOCABULARY)
    assert reading.status is Status.NOT_UNDERSTOOD or reading.plan
    assert unknown.status is Status.NOT_UNDERSTOOD
    assert 'called "rockets"' in unknown.sentence
    assert "The nearest names are" in read("what did we spend on cloudlogs", TODAY, VOCABULARY).sentence
    assert "There is no cost data of oracle" in absent.sentence
    assert "AWS, Google Cloud, Microsoft, Vultr" in absent.sentence


def test_a_conversation_keeps_what_was_said() -> None:
    """Each fragment changes one thing of the question before."""
    plan: Plan | None = None
    for text in (
        "what did we spend per service last month?",
        "only aws",
        "per day",
        "without tax",
        "and in september?",
    ):
        plan = read(text, TODAY, VOCABULARY, plan).plan
        assert plan is not None, text
    assert plan is not None
    assert plan.args == {
        "start": "2026-09-01",
        "end": "2026-10-01",
        "by": ["service_name"],
        "where": {"provider": ["AWS"]},
        "exclude": {"charge_category": ["Tax"]},
        "granularity": "day",
    }
    why = read("why?", TODAY, VOCABULARY, plan).plan
    assert why is not None
    assert (why.tool, why.args["against_start"]) == ("compare_costs", "2026-08-01")
    earlier = read("and the month before?", TODAY, VOCABULARY, why).plan
    assert earlier is not None
    assert (earlier.args["start"], earlier.args["against_start"]) == ("2026-08-01", "2026-07-01")


def test_a_service_of_one_cloud_is_not_looked_for_on_another() -> None:
    """'and on GCP?' after EC2 asks for GCP, not for EC2 on GCP."""
    ec2 = read("what did EC2 cost last month?", TODAY, VOCABULARY).plan
    plan = read("and on GCP?", TODAY, VOCABULARY, ec2).plan
    assert plan is not None
    assert plan.args["where"] == {"provider": ["Google Cloud"]}


@pytest.mark.parametrize(
    "text",
    [
        "approve it",
        "please execute the rollout now",
        "terminate all instances",
        "rollback",
        "cancel the migration",
        "buy a savings plan",
    ],
)
def test_commands_are_refused_in_words(text: str) -> None:
    """Acting is for people at buttons; asking how is not."""
    reading = read(text, TODAY, VOCABULARY)
    assert reading.status is Status.REFUSED
    assert "Nothing was changed." in reading.sentence
    assert reading.plan is None


def test_asking_about_actions_is_no_command() -> None:
    """'why was it rolled back' and 'what can we delete' are questions."""
    for text in (
        "which idle volumes can we delete?",
        "why was the rollout rolled back?",
        "what is waiting for approval?",
    ):
        assert read(text, TODAY, VOCABULARY).status is Status.ANSWERED, text


@pytest.mark.parametrize(
    ("text", "tool", "args"),
    [
        ("how much more did we spend in Oct than Sep on EC2?", "compare_costs", {"start": "2026-10-01"}),
        ("did we spend less on AWS in October than in September?", "compare_costs", {"against_start": "2026-09-01"}),
        ("month over month growth for the last 6 months", "query_costs", {"granularity": "month"}),
        ("month over month growth of BigQuery", "compare_costs", {"against_start": "2026-09-01"}),
        ("what is the cheapest cloud for us?", "query_costs", {"by": ["provider"]}),
        ("how much are we saving with savings plans?", "query_costs", {"metric": "commitment_savings"}),
        ("how much did the checkout migration save?", "realised_savings", {}),
        ("propose to stop legacy-importer", "propose_rollout", {"resource": "legacy-importer"}),
        ("propose deleting the volume search-scratch", "propose_rollout", {"resource": "search-scratch"}),
        ("please propose releasing address old-vpn", "propose_rollout", {"resource": "old-vpn"}),
        ("propose the lifecycle rule for lumen-logs", "propose_rollout", {"resource": "lumen-logs"}),
    ],
)
def test_what_people_mean_by_it(text: str, tool: str, args: dict[str, object]) -> None:
    """More than, step by step, cheapest, what commitments saved, and a proposal of any kind of change."""
    plan = read(text, TODAY, VOCABULARY).plan
    assert plan is not None
    assert plan.tool == tool
    assert {name: plan.args.get(name) for name in args} == args
