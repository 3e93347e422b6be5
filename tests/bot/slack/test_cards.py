"""Cards hold what data and people put into them: Slack takes every one, and no text becomes markup."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.answer import Answer, Status
from bot.shared.message import Block, Message
from bot.slack import commands
from bot.slack.blockkit import HOME, MESSAGE, MODAL, fit, length, problems
from bot.slack.cards import anomaly, answer, digest, drawing, error, home, recommendation, rollout
from bot.slack.words import change, clip, duration, escape, money, percent
from sandbox.slack import strict
from tests.bot.slack.world import START, answered, plan, proposal
from tools.analysis.alerting import Alerts, Board
from tools.model.access import Principal, Role
from tools.model.anomaly import Anomaly
from tools.model.digest import Digest
from tools.model.driver import Driver, DriverTree
from tools.model.errors import InputError
from tools.model.fact import Chart, Fact, Table
from tools.model.forecast import Forecast
from tools.model.period import Period
from tools.model.query import Coverage, Receipt
from tools.model.recommendation import Evidence, Recommendation
from tools.model.rollout import Approval, HealthVerdict, Rollout, State, Verdict
from tools.store.findings import Feedback

NASTY = (
    "<!channel> <@U0PRIYA> <https://evil.example|click> &amp; *bold* `code` :fire:",
    "שלום \u202eevil\u202c",
    "🧨" * 300,
    "x" * 5000,
    "\ud800 lone",
    "\x00\x07 bell",
    "line\nbreak\r\n" * 200,
    "",
    "   ",
)
texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=60))
amounts = st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, allow_infinity=False, places=6)
receipts = st.builds(
    Receipt,
    texts,
    st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
    st.integers(0, 10**9),
    st.none() | st.just(START),
)
coverages = st.builds(
    Coverage,
    st.none() | st.just(date(2026, 11, 22)),
    st.decimals(0, 1, places=3),
    st.lists(texts, max_size=8).map(tuple),
)
periods = st.none() | st.just(Period(date(2026, 10, 1), date(2026, 11, 1)))
facts = st.builds(Fact, texts, texts, texts, st.none() | amounts, texts, texts, periods, texts, receipts)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    width = draw(st.integers(0, 24))
    cells = st.one_of(texts, amounts, st.none())
    row = st.lists(cells, min_size=width, max_size=width).map(tuple)
    some = draw(st.lists(row, max_size=4))
    return Table(
        draw(texts),
        tuple(draw(st.lists(texts, min_size=width, max_size=width))),
        tuple(
            draw(st.lists(st.sampled_from(["", "money", "percent", "count", "days"]), min_size=width, max_size=width))
        ),
        tuple(some * draw(st.sampled_from([1, 1, 40]))),
        draw(texts),
    )


@st.composite
def charts(draw: st.DrawFn) -> Chart:
    count = draw(st.sampled_from([0, 1, 3, 14, 60, 500]))
    labels = [draw(texts)] * count if draw(st.booleans()) else [f"service {n}" for n in range(count)]
    names = draw(st.lists(texts, max_size=8))
    one = tuple(draw(amounts) for _ in range(min(count, 3))) * (count // min(count, 3) + 1) if count else ()
    return Chart(
        draw(st.sampled_from(["line", "bar", "pie", "radar"])),
        draw(texts),
        tuple(labels),
        tuple((name, one[:count]) for name in names),
        draw(st.sampled_from(["money", "percent", ""])),
        draw(texts),
    )


answers_ = st.builds(
    Answer,
    st.sampled_from(Status),
    texts,
    facts=st.lists(facts, max_size=3).map(tuple),
    tables=st.lists(tables(), max_size=3).map(tuple),
    charts=st.lists(charts(), max_size=3).map(tuple),
    assumptions=st.lists(texts, max_size=12).map(tuple),
    alternatives=st.one_of(
        st.lists(texts, max_size=5), st.lists(texts, min_size=1, max_size=2).map(lambda some: some * 120)
    ).map(tuple),
    notes=st.lists(texts, max_size=3).map(tuple),
    comments=st.lists(texts, max_size=3).map(tuple),
    coverage=coverages,
)
drivers = st.builds(Driver, st.lists(st.tuples(texts, texts), max_size=3).map(tuple), texts, amounts, amounts)
anomalies = st.builds(
    Anomaly,
    texts,
    st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
    st.sampled_from(["up", "down"]),
    st.just(date(2026, 11, 20)),
    st.integers(1, 400),
    amounts,
    amounts,
    texts,
    amounts,
    st.sampled_from(["low", "high"]),
    st.sampled_from(["open", "expected"]),
    texts,
    st.lists(drivers, max_size=12).map(tuple),
)
forecasts = st.builds(Forecast, st.just(()), texts, st.just(()), amounts, amounts, amounts, texts)
digests = st.builds(
    Digest,
    st.just(date(2026, 11, 22)),
    texts,
    texts,
    amounts,
    st.none() | amounts,
    texts,
    st.lists(anomalies, max_size=5).map(tuple),
    st.none(),
    st.none() | forecasts,
    tables(),
    charts(),
    st.lists(st.one_of(texts, st.just("Title <x> (ro-1a2b)")), max_size=9).map(tuple),
    coverages,
    receipts,
)
evidence = st.lists(st.builds(Evidence, texts, texts, texts), max_size=9).map(tuple)
recommendations = st.builds(
    Recommendation,
    texts,
    texts,
    st.sampled_from(["spot_migration", "idle", "other"]),
    texts,
    texts,
    texts,
    st.lists(texts, max_size=200).map(tuple),
    texts,
    amounts,
    amounts,
    amounts,
    texts,
    st.decimals(0, 1, places=2),
    texts,
    st.booleans(),
    evidence,
    texts,
    st.sampled_from([{}, {"change": "aws.asg_spot"}]),
    texts,
    st.lists(texts, max_size=2).map(tuple),
)


@st.composite
def views(draw: st.DrawFn) -> rollout.View:
    # A plan that could not be written as UTF-8 could not have been hashed, so it cannot be stored.
    plans = texts.filter(lambda t: not any(0xD800 <= ord(c) <= 0xDFFF for c in t))
    text = draw(plans)
    made = plan(
        title=text, resource_id=text, undo=draw(plans), service=text, unit_name=draw(plans), saving_monthly="12"
    )
    state = draw(st.sampled_from(State))
    r = proposal(
        state=state,
        plan=made,
        stage=draw(st.integers(0, 2)),
        version=draw(st.integers(1, 99)),
        reason=draw(texts),
        proposed_by_name=draw(texts),
        observed=draw(st.sampled_from([{}, {"spot": 3}, {"spot": "many"}])),
        held_from=State.EXECUTING if state is State.NEEDS_HUMAN else None,
        touched=draw(st.booleans()),
    )
    said = draw(texts)
    return rollout.View(
        r,
        tuple(Approval(r.id, n, made.hash, said, said, START, 1, said) for n in range(draw(st.integers(0, 6)))),
        tuple(HealthVerdict(r.id, 0, START, v, said) for v in draw(st.lists(st.sampled_from(Verdict), max_size=3))),
        draw(st.none() | st.builds(rollout.Turn, st.booleans(), texts)),
        draw(evidence),
        ("U0PRIYA",) * draw(st.integers(0, 9)),
    )


def accepted(message: Message) -> None:
    """Slack takes it as it is sent: by our own rules, and by the workspace's, which were written apart from ours."""
    fitted, _ = fit(message)
    assert fitted.text
    assert problems(fitted.blocks) == ()
    assert strict.check_blocks(list(fitted.blocks), MESSAGE) == []
    assert length(fitted.blocks) <= 12_000
    _no_markup_from_outside(fitted)
    json.dumps([fitted.text, list(fitted.blocks)]).encode()


def _no_markup_from_outside(message: Message) -> None:
    marked = [message.text, *_markups(list(message.blocks)), *(r.text for r in message.replies)]
    for text in marked:
        for forbidden in ("<!channel>", "<https://evil", "\u202e", "\x00"):
            assert forbidden not in text


def _markups(value: Any) -> list[str]:
    if isinstance(value, dict):
        here = [value["text"]] if value.get("type") == "mrkdwn" else []
        return here + [t for v in value.values() for t in _markups(v)]
    return [t for v in value for t in _markups(v)] if isinstance(value, list) else []


def valid_view(view: Block, surface: str) -> None:
    assert problems(view["blocks"], surface) == ()
    assert strict.check_view(view) == []


hostile = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@hostile
@given(answers_, texts)
def test_any_answer(shown: Answer, card: str) -> None:
    """Whatever the mind answers can be shown, and its receipts open."""
    accepted(answer.message(shown, "ans-1a2b", card="https://slack.example/archives/C1/p1" if card else ""))
    valid_view(answer.receipt_view(answer.document(shown)), MODAL)


@hostile
@given(views())
def test_any_rollout(view: rollout.View) -> None:
    """Every state with any text: card, replies and forms."""
    accepted(rollout.message(view))
    for action in (rollout.REJECT, rollout.STOP, rollout.ROLLBACK):
        valid_view(rollout.reason_view(action, view.rollout, "note"), MODAL)


@hostile
@given(digests)
def test_any_digest(shown: Digest) -> None:
    """At most twelve blocks, whatever the day brought."""
    message = digest.message(shown, {"ro-1a2b": "https://slack.example/archives/C1/p1"})
    assert len(message.blocks) <= 12
    accepted(replace(message, blocks=tuple(_with_value(b) for b in message.blocks)))


@hostile
@given(anomalies, st.lists(drivers, max_size=10))
def test_any_anomaly(found: Anomaly, some: list[Driver]) -> None:
    """With a driver tree or without."""
    found = replace(found, id="an-1")
    tree = DriverTree(
        Period(date(2026, 11, 20), date(2026, 11, 23)), Period(date(2026, 11, 17), date(2026, 11, 20)),
        Decimal(1), Decimal(2), "USD", tuple(some), Decimal(0), Receipt("", (), 0, None),
    )  # fmt: skip
    for message in (anomaly.investigation(found, tree), anomaly.investigation(found, None)):
        accepted(message)
    valid_view(anomaly.expected_view("an-1", "note"), MODAL)
    valid_view(anomaly.mute_view(found, "note", START.date()), MODAL)


@hostile
@given(st.lists(anomalies, max_size=12), texts, texts)
def test_any_board(found: list[Anomaly], who: str, why: str) -> None:
    """Whatever goes on and whatever was said of it, with names and reasons as people may write them."""
    several = tuple(replace(one, id=f"an-{n}") for n, one in enumerate(found))
    words = tuple(
        Feedback(one.id, one.keys, verdict, who, why, START.date(), START, who)
        for one in several
        for verdict in ("useful", "expected", "mute")
    )
    chosen = Alerts(several[:3], several[3:5], several[5:7], several[7:9], several[9:])
    accepted(anomaly.board(Board(START.date(), chosen, words, 5, 2)))
    for one in several:
        shown = anomaly.reply(one, anomaly.standing(one, words, START.date()))
        accepted(Message(shown.text, shown.blocks))


@hostile
@given(st.lists(recommendations, max_size=8))
def test_any_recommendations(found: list[Recommendation]) -> None:
    """Many, with hundreds of resources and endless evidence."""
    accepted(recommendation.message([replace(r, id=f"rec-{n}") for n, r in enumerate(found)]))


@hostile
@given(st.lists(views(), max_size=3).map(lambda some: some * 4), texts, st.sampled_from(Role))
def test_any_home(shown: list[rollout.View], text: str, role: Role) -> None:
    """Many rollouts that wait, many that run."""
    made: tuple[Rollout, ...] = tuple(v.rollout for v in shown)
    view = home.View(((text, text),) if text else (), made, made, Coverage(None, missing=(text,)), (text,))
    valid_view(home.view(view, Principal("a@b", "default", text, role)), HOME)
    valid_view(home.turned_away(text or "no"), HOME)


@hostile
@given(texts, texts)
def test_any_error_and_question(what: str, reference: str) -> None:
    """Errors and questions repeat people's words, literally."""
    accepted(error.message(InputError(what or "x", fix=what), reference))
    accepted(commands.asked("U0PRIYA", what))
    accepted(error.unknown("err-1"))
    accepted(commands.helped())


def _with_value(block: Block) -> Block:
    """Ids of stored anomalies are never empty; generated ones may be."""
    if block["type"] != "actions":
        return block
    return block | {
        "elements": [element | {"value": element["value"][:200].strip() or "an"} for element in block["elements"]]
    }


def test_too_much_is_left_out_in_order() -> None:
    """First rows, then charts, then tables, then the end; what can be decided stays."""
    rows: tuple[tuple[str | Decimal | None, ...], ...] = tuple(
        (f"service {n} " + "x" * 120, Decimal(n)) for n in range(30)
    )
    table = Table("Everything", ("service", "cost"), ("", "money"), rows, "USD")
    big = answer.message(replace(answered(), tables=(table, table, table)), "ans-1")
    fitted, steps = fit(big)
    assert steps == ("tables_shortened",)
    assert "… +" in json.dumps(fitted.blocks, ensure_ascii=False)
    assert fitted.blocks[-1]["type"] == "actions"

    sections: tuple[Block, ...] = tuple(
        {"type": "section", "text": {"type": "plain_text", "text": "x" * 2900}} for _ in range(6)
    )
    fitted, steps = fit(Message("x", (*sections, big.blocks[-1])))
    assert steps == ("cut",)
    assert fitted.blocks[-1]["type"] == "actions"

    fitted, steps = fit(Message("the words", ({"type": "nonsense"},)))
    assert (fitted.blocks, steps) == ((), ("without_broken_blocks",))
    chart = drawing.chart(Chart("bar", "t", ("a",), (("s", (Decimal(1),)),), "money", "USD"))
    assert chart is not None
    fitted, steps = fit(Message("x", (chart, chart, chart)))
    assert (fitted.blocks, steps) == ((), ("without_charts",))
    twice = {"type": "divider", "block_id": "same"}
    assert fit(Message("x", (twice, twice)))[1] == ("text_only",)


BAD: tuple[tuple[str, Block], ...] = (
    ("unknown_block", {"type": "video"}),
    ("wrong_surface", {"type": "input"}),
    ("text_object", {"type": "header", "text": {"type": "mrkdwn", "text": "x"}}),
    ("length", {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}),
    ("empty", {"type": "section"}),
    ("too_many", {"type": "section", "fields": [{"type": "plain_text", "text": "x"}] * 11}),
    ("element", {"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "accessory": {"type": "video"}}),
    ("count", {"type": "context", "elements": []}),
    ("count", {"type": "actions", "elements": []}),
    ("style", {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x"}, "action_id": "a", "style": "purple"}]}),
    ("length", {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x"}, "action_id": "a", "value": "", "url": "x"}]}),
    ("action_id", {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x"}, "action_id": "a"}] * 2}),
    ("count", {"type": "actions", "elements": [{"type": "overflow", "action_id": "a", "options": []}]}),
    ("count", {"type": "rich_text", "elements": []}),
    ("style", {"type": "rich_text", "elements": [{"type": "rich_text_list", "style": "dashes", "elements": []}]}),
    ("element", {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "emoji", "text": "x"}]}]}),
    ("element", {"type": "rich_text", "elements": [{"type": "poem", "elements": []}]}),
    ("count", {"type": "data_table", "caption": "x", "rows": []}),
    ("columns", {"type": "data_table", "caption": "x", "rows": [[{"type": "raw_text", "text": "x"}], []]}),
    ("page_size", {"type": "data_table", "caption": "x", "rows": [[{"type": "raw_text", "text": "x"}]] * 2, "page_size": 0}),
    ("cell", {"type": "data_table", "caption": "x", "rows": [[{"type": "image", "text": "x"}]] * 2}),
    ("number", {"type": "data_table", "caption": "x", "rows": [[{"type": "raw_number", "text": "x", "value": float("nan")}]] * 2}),
    ("chart", {"type": "data_visualization", "title": "x", "chart": {"type": "radar"}}),
    ("number", {"type": "data_visualization", "title": "x", "chart": {"type": "pie", "segments": [{"label": "x", "value": 0}]}}),
    ("count", {"type": "data_visualization", "title": "x", "chart": {"type": "pie", "segments": []}}),
    ("labels", {"type": "data_visualization", "title": "x", "chart": {"type": "bar", "series": [{"name": "s", "data": []}], "axis_config": {"categories": ["a"], "x_label": "d"}}}),
    ("count", {"type": "data_visualization", "title": "x", "chart": {"type": "bar", "series": [], "axis_config": {"categories": []}}}),
)  # fmt: skip


@pytest.mark.parametrize(("code", "block"), BAD)
def test_the_validator_names_what_slack_refuses(code: str, block: Block) -> None:
    """Each kind of mistake by its code and place, in a message as in the workspace's own opinion."""
    found = problems([block])
    assert code in {p.code for p in found}
    assert all(p.pointer.startswith("/0") for p in found)


def test_what_is_too_much_as_a_whole() -> None:
    """Too many blocks, and table text over the limit of a message."""
    divider: Block = {"type": "divider"}
    assert {p.code for p in problems([divider] * 51)} == {"too_many_blocks"}
    cell = {"type": "raw_text", "text": "x" * 11_000}
    table: Block = {"type": "data_table", "caption": "x", "rows": [[cell], [cell]]}
    assert "tables_too_long" in {p.code for p in problems([table])}
    form: Block = {"type": "input", "label": {"type": "plain_text", "text": "x"}, "element": None, "hint": 5}
    assert {p.code for p in problems([form], MODAL)} == {"element", "text_object"}


def test_words_for_people() -> None:
    """Money, shares, times and cuts read as one would write them."""
    assert money(Decimal(1284), "USD") == "$1,284.00"
    assert money(Decimal("-0.00421"), "CHF") == "-0.0042 CHF"
    assert money(None, "USD") == "unknown"
    assert money(Decimal(5), "EUR", sign=True) == "+€5.00"
    assert percent(Decimal("0.384")) == "38 %"
    assert percent(Decimal("0.004"), sign=True) == "+0.4 %"
    assert change(Decimal(112), Decimal(100)) == "+12 %"
    assert change(Decimal(1), Decimal(0)) == ""
    assert [duration(s) for s in (0.2, 59, 60, 7200)] == ["1 second", "59 seconds", "1 minute", "2 hours"]
    assert clip("🧨🧨🧨", 4) == "🧨…"
    assert escape("<!channel> & \u202ebad") == "&lt;!channel&gt; &amp; bad"


def test_a_long_line_chart_is_summed_to_what_slack_draws() -> None:
    """Sixty days become weeks, and the title says so."""
    labels = tuple(str(date(2026, 9, 1) + timedelta(days=n)) for n in range(60))
    chart = drawing.chart(Chart("line", "Daily cost", labels, (("cost", (Decimal(1),) * 60),), "money", "USD"))
    assert chart is not None
    assert chart["title"] == "Daily cost (sums of 7)"
    points = chart["chart"]["series"][0]["data"]
    assert (points[0], len(points)) == ({"label": "1 Sep", "value": 7.0}, 9)


def test_a_pie_keeps_the_greatest_and_adds_up_the_rest() -> None:
    """Ten services: five slices and Other; credits are no slice."""
    values = (*(Decimal(n) for n in range(1, 11)), Decimal(-5))
    drawn = drawing.chart(Chart("pie", "Share", tuple(f"s{n}" for n in range(11)), (("cost", values),), "money", "USD"))
    assert drawn is not None
    segments = drawn["chart"]["segments"]
    assert [s["value"] for s in segments] == [10.0, 9.0, 8.0, 7.0, 6.0, 15.0]
    assert segments[-1]["label"] == "Other"


def test_a_button_carries_exactly_what_its_card_shows() -> None:
    """There and back, and nothing else is read."""
    seen = proposal(version=7, stage=1).seen
    assert rollout.seen(rollout.value(seen)) == seen
    for bad in ("", "ro-1", rollout.value(seen) + "x", "ro-1:-1:0:" + "a" * 64, "ro 1:1:0:" + "a" * 64):
        assert rollout.seen(bad) is None
