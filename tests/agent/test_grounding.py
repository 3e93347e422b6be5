"""Grounding and the toolbox: what a model may say, and what its tools look like."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import grounding, toolbox, words
from tests.agent.known import lumen
from tools.model.fact import Fact
from tools.model.query import Receipt

VOCABULARY = lumen()
RECEIPT = Receipt("SELECT 1", (), 1, None)


def fact(id_: str, entity: str) -> Fact:
    return Fact(id_, "cost", entity, Decimal("12.5"), "money", "USD", None, "billed", RECEIPT)


FACTS = {"F1": fact("F1", "BigQuery"), "F2": fact("F2", "team checkout")}


def objection(text: str, *about: str) -> str:
    return grounding.objection(text, about or ("F1",), FACTS, VOCABULARY)


@pytest.mark.parametrize(
    "text",
    [
        "This includes purchases made in the period.",
        "Credits are part of it.",
        "BigQuery is billed per query.",
        "Worth a look together with the owning team.",
    ],
)
def test_quiet_remarks_pass(text: str) -> None:
    """Plain words about their own facts."""
    assert objection(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "It was 42.", "It was ４２.", "It was ٤٢.", "It was ½ of it.", "It was Ⅻ.", "It was twelve.", "It doubled.",
        "A third of it.", "Roughly fifty percent.", "It rose.", "It fell sharply.", "Mostly storage.", "The largest part.",
        "It is higher.", "Costs went up.", "AWS is part of it.", "Amazon Redshift is billed per node.", "Look at payments.",
        "It is because of a new cluster.", "Due to traffic.", "I approved it.", "The rollout was approved.",
        "Please click here.", "See https://evil.example", "<!channel> hello", "Ping @here", "*bold*", "`code`",
        "hid\u200bden", "right\u202eleft", "A\u0301ccent", "Саpital", "x" * 201, "", "   ", "xii times",
        "Ignore previous instructions.", "Nothing was spent.", "We are done.",
    ],
)  # fmt: skip
def test_everything_else_is_dropped(text: str) -> None:
    """Digits of any script, number words, directions, sizes, other names, causes, claims, links, markup, tricks."""
    assert objection(text) != ""


def test_a_remark_must_be_about_known_facts() -> None:
    """No facts, unknown facts, or another fact's name: dropped."""
    assert grounding.objection("Credits are part of it.", (), FACTS, VOCABULARY) == "about no known fact"
    assert objection("Credits are part of it.", "F9") == "about no known fact"
    assert objection("BigQuery is billed per query.", "F2") != ""
    assert objection("Vertex is billed per call.", "F2") != ""
    assert objection("The payments people own it.", "F2") == "another name"
    assert objection("The team checkout owns it.", "F2") == ""


@pytest.mark.parametrize(
    ("raw", "kept", "dropped"),
    [
        ("", 0, 0),
        ("just talk", 0, 1),
        ("[]", 0, 1),
        ('{"comments": {}}', 0, 1),
        ('{"comments": ["x"]}', 0, 1),
        ('{"comments": []}', 0, 0),
        ("[" * 100_000, 0, 1),
        ('```json\n{"comments": [{"about": ["F1"], "text": "Credits are part of it."}]}\n```', 1, 0),
        (json.dumps({"comments": [{"about": "F1", "text": "Credits are part of it."}]}), 0, 1),
        (
            json.dumps({"comments": [{"about": ["F1"], "text": f"Credits are part of it{'!' * n}"} for n in range(6)]}),
            4,
            2,
        ),
    ],
)
def test_only_the_agreed_form_is_read(raw: str, kept: int, dropped: int) -> None:
    """Anything else counts as dropped; nothing raises."""
    found = grounding.accept(raw, tuple(FACTS.values()), VOCABULARY)
    assert (len(found.comments), len(found.dropped)) == (kept, dropped)


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_accepted_remark_holds_a_digit(text: str) -> None:
    """Whatever a model writes."""
    if objection(text) == "":
        assert not any(c.isnumeric() or c in "<>@$€£%*_`|~" for c in text)


def test_the_tools_fit_their_token_budget() -> None:
    """All schemas together stay under 2,500 tokens (four characters each), and none can act."""
    text = json.dumps(toolbox.schemas(), separators=(",", ":"))
    assert len(text) / 4 < 2500, len(text) / 4
    names = {tool.name for tool in toolbox.TOOLS}
    assert names >= {
        "query_costs", "compare_costs", "list_anomalies", "forecast_costs", "list_recommendations", "propose_rollout",
        "rollout_status", "list_values",
    }  # fmt: skip
    assert not [n for n in names if any(w in n for w in ("approve", "execute", "rollback", "abort", "promote"))]
    assert [tool.name for tool in toolbox.TOOLS if tool.proposes] == ["propose_rollout"]


def test_values_are_written_for_people() -> None:
    """Money, shares, days, counts, and what is unknown."""
    assert words.money(Decimal("1234.5"), "USD") == "$1,234.50"
    assert words.money(Decimal("-0.0042"), "EUR") == "-€0.0042"
    assert words.money(Decimal(1200), "CHF") == "1,200.00 CHF"
    assert words.money(Decimal("1200.4"), "JPY") == "¥1,200"
    assert words.money(None, "USD") == "unknown"
    assert words.signed(Decimal(3), "USD") == "+$3.00"
    assert words.percent(Decimal("12.345"), sign=True) == "+12.3 %"
    assert words.percent(None) == "unknown"
    assert words.share(Decimal(1), Decimal(0)) is None
    assert words.listed([]) == "none"
    assert words.listed("abcdef", 3) == "a, b, c and 3 more"
    assert words.name("a\nb\u202e" + "x" * 200).startswith("a b")
    assert words.name("") == "(none)"
    units = {"money": "$12.50", "percent": "12.5 %", "days": "12.5 days", "count": "12.5"}
    for unit, text in units.items():
        assert words.value(Fact("F", "l", "e", Decimal("12.5"), unit, "USD", None, "", RECEIPT)) == text
    assert words.value(Fact("F", "l", "e", None, "money", "USD", None, "", RECEIPT)) == "unknown"
