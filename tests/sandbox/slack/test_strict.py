"""The workspace rejects what Slack rejects, and says where."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.slack.rules import Problem
from sandbox.slack.strict import HOME as ON_HOME
from sandbox.slack.strict import MESSAGE, MODAL, blocks_too_long, check_blocks, check_view
from tests.sandbox.slack.gallery import (
    BARS,
    CARD,
    FORM,
    HOME,
    LINE,
    MARKDOWN,
    MESSAGES,
    MOVERS,
    PIE,
    PLAN,
    TABLE,
    button,
    field,
    mrkdwn,
    option,
    plain,
)

Json = dict[str, Any]


def section(text: str = "x", **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def select(*options: Json, **more: Any) -> Json:
    return {"type": "static_select", "action_id": "s", "options": list(options), **more}


def changed(block: Json, path: str, value: Any) -> Json:
    """A copy of a block with one thing replaced; the path is like `chart/series/0/name`."""
    copied: Any = copy.deepcopy(block)
    *way, last = (int(step) if step.isdigit() else step for step in path.split("/"))
    place = copied
    for step in way:
        place = place[step]
    place[last] = value
    return copied


@pytest.mark.parametrize("name", MESSAGES)
def test_everything_that_the_product_may_use_passes(name: str) -> None:
    """Each message of the gallery is within Slack's rules."""
    assert check_blocks(MESSAGES[name], MESSAGE) == []
    assert not blocks_too_long(MESSAGES[name])


def test_forms_and_home_pass() -> None:
    """So do the gallery's form and Home tab."""
    assert check_view(FORM) == []
    assert check_view(HOME) == []


BAD: list[tuple[str, list[Json], str, str]] = [
    ("51 blocks", [section()] * 51, "/blocks", "too_many_items"),
    ("unknown block", [{"type": "hologram"}], "/blocks/0/type", "unsupported_type"),
    ("a block that is text", ["x"], "/blocks/0", "invalid_type"),  # type: ignore[list-item]
    ("empty section", [{"type": "section"}], "/blocks/0", "missing_field"),
    ("empty text", [section("")], "/blocks/0/text/text", "too_short"),
    ("section text 3001", [section("x" * 3001)], "/blocks/0/text/text", "too_long"),
    ("field 2001", [{"type": "section", "fields": [mrkdwn("x" * 2001)]}], "/blocks/0/fields/0/text", "too_long"),
    ("11 fields", [{"type": "section", "fields": [mrkdwn("x")] * 11}], "/blocks/0/fields", "too_many_items"),
    ("header 151", [{"type": "header", "text": plain("x" * 151)}], "/blocks/0/text/text", "too_long"),
    ("header with mrkdwn", [{"type": "header", "text": mrkdwn("x")}], "/blocks/0/text/type", "invalid_value"),
    ("emoji in mrkdwn", [{"type": "section", "text": mrkdwn("x") | {"emoji": True}}], "/blocks/0/text/emoji", "additional_property"),
    ("unknown property", [section(colour="red")], "/blocks/0/colour", "additional_property"),
    ("26 elements", [actions(*(button("x", f"a{i}") for i in range(26)))], "/blocks/0/elements", "too_many_items"),
    ("no elements", [actions()], "/blocks/0/elements", "too_few_items"),
    ("button text 76", [actions(button("x" * 76, "a"))], "/blocks/0/elements/0/text/text", "too_long"),
    ("button value 2001", [actions(button("x", "a", value="x" * 2001))], "/blocks/0/elements/0/value", "too_long"),
    ("action_id 256", [actions(button("x", "a" * 256))], "/blocks/0/elements/0/action_id", "too_long"),
    ("purple button", [actions(button("x", "a", style="purple"))], "/blocks/0/elements/0/style", "invalid_value"),
    ("unknown element", [actions({"type": "lever"})], "/blocks/0/elements/0/type", "unsupported_type"),
    ("text input in actions", [actions({"type": "plain_text_input"})], "/blocks/0/elements/0/type", "unsupported_type"),
    ("same action_id twice", [actions(button("x", "a"), button("y", "a"))], "/blocks/0", "duplicate_action_id"),
    ("same block_id twice", [section(block_id="b"), section(block_id="b")], "/blocks/1/block_id", "duplicate_block_id"),
    ("confirm title 101", [changed(actions(button("x", "a", confirm=CARD[3]["elements"][0]["confirm"])), "elements/0/confirm/title/text", "x" * 101)], "/blocks/0/elements/0/confirm/title/text", "too_long"),
    ("6 in overflow", [section(accessory={"type": "overflow", "options": [option("x", str(i)) for i in range(6)]})], "/blocks/0/accessory/options", "too_many_items"),
    ("101 options", [actions(select(*(option("x", str(i)) for i in range(101))))], "/blocks/0/elements/0/options", "too_many_items"),
    ("option value 151", [actions(select(option("x", "x" * 151)))], "/blocks/0/elements/0/options/0/value", "too_long"),
    ("same option twice", [actions(select(option("x", "1"), option("y", "1")))], "/blocks/0/elements/0/options", "duplicate_value"),
    ("foreign initial option", [actions(select(option("x", "1"), initial_option=option("z", "9")))], "/blocks/0/elements/0", "invalid_value"),
    ("select without options", [actions({"type": "static_select"})], "/blocks/0/elements/0", "missing_field"),
    ("11 in context", [{"type": "context", "elements": [mrkdwn("x")] * 11}], "/blocks/0/elements", "too_many_items"),
    ("button in context", [{"type": "context", "elements": [button("x", "a")]}], "/blocks/0/elements/0/type", "unsupported_type"),
    ("markdown 12001", [{"type": "markdown", "text": "x" * 12_001}], "/blocks/0/text", "too_long"),
    ("markdown together", [{"type": "markdown", "text": "x" * 7000}] * 2, "/blocks", "too_long"),
    ("image without alt", [{"type": "image", "image_url": "https://example.com"}], "/blocks/0", "missing_field"),
    ("image without picture", [{"type": "image", "alt_text": "x"}], "/blocks/0", "missing_field"),
    ("three charts", [LINE, BARS, PIE], "/blocks", "too_many_items"),
    ("chart title 51", [changed(LINE, "title", "x" * 51)], "/blocks/0/title", "too_long"),
    ("chart label 21", [changed(PIE, "chart/segments/0/label", "x" * 21)], "/blocks/0/chart/segments/0/label", "too_long"),
    ("seven segments", [changed(PIE, "chart/segments", [{"label": str(i), "value": 1} for i in range(7)])], "/blocks/0/chart/segments", "too_many_items"),
    ("negative segment", [changed(PIE, "chart/segments/1/value", -1)], "/blocks/0/chart/segments/1/value", "out_of_range"),
    ("text as value", [changed(PIE, "chart/segments/1/value", "1")], "/blocks/0/chart/segments/1/value", "invalid_type"),
    ("labels off the axis", [changed(LINE, "chart/series/0/data/0/label", "Monday")], "/blocks/0/chart/series/0/data", "invalid_value"),
    ("same series twice", [changed(LINE, "chart/series/1/name", "Actual")], "/blocks/0/chart/series", "duplicate_value"),
    ("radar chart", [changed(LINE, "chart/type", "radar")], "/blocks/0/chart/type", "unsupported_type"),
    ("101 rows", [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]] * 101}], "/blocks/0/rows", "too_many_items"),
    ("21 columns", [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 21]}], "/blocks/0/rows/0", "too_many_items"),
    ("ragged rows", [changed(TABLE, "rows/1", TABLE["rows"][1][:2])], "/blocks/0/rows", "invalid_value"),
    ("bad cell", [changed(TABLE, "rows/1/0", {"type": "mrkdwn", "text": "x"})], "/blocks/0/rows/1/0/type", "unsupported_type"),
    ("data table without caption", [{k: v for k, v in MOVERS.items() if k != "caption"}], "/blocks/0", "missing_field"),
    ("data table of 102", [changed(MOVERS, "rows", [MOVERS["rows"][0]] * 102)], "/blocks/0/rows", "too_many_items"),
    ("only a header", [changed(MOVERS, "rows", MOVERS["rows"][:1])], "/blocks/0/rows", "too_few_items"),
    ("rich header", [changed(MOVERS, "rows/0/0", TABLE["rows"][1][2])], "/blocks/0/rows/0/0/type", "invalid_value"),
    ("page of 101", [changed(MOVERS, "page_size", 101)], "/blocks/0/page_size", "out_of_range"),
    ("row header outside", [changed(MOVERS, "row_header_column_index", 3)], "/blocks/0/row_header_column_index", "out_of_range"),
    ("20001 characters", [changed(MOVERS, "rows/1/0/text", "x" * 20_001)], "/blocks/0/rows", "too_long"),
    ("bad task status", [changed(PLAN, "tasks/0/status", "done")], "/blocks/0/tasks/0/status", "invalid_value"),
    ("51 tasks", [changed(PLAN, "tasks", [PLAN["tasks"][0]] * 51)], "/blocks/0/tasks", "too_many_items"),
    ("details as text", [changed(PLAN, "tasks/0/details", "x")], "/blocks/0/tasks/0/details", "invalid_type"),
    ("card body 201", [{"type": "card", "body": mrkdwn("x" * 201)}], "/blocks/0/body/text", "too_long"),
    ("four card buttons", [{"type": "card", "actions": [button("x", f"a{i}") for i in range(4)]}], "/blocks/0/actions", "too_many_items"),
    ("empty card", [{"type": "card"}], "/blocks/0", "missing_field"),
    ("eleven cards", [{"type": "carousel", "elements": [{"type": "card", "title": mrkdwn("x")}] * 11}], "/blocks/0/elements", "too_many_items"),
    ("container of 11", [{"type": "container", "title": plain("x"), "child_blocks": [section()] * 11}], "/blocks/0/child_blocks", "too_many_items"),
    ("untitled container", [{"type": "container", "child_blocks": [section()]}], "/blocks/0", "missing_field"),
    ("container in container", [{"type": "container", "title": plain("x"), "child_blocks": [{"type": "container"}]}], "/blocks/0/child_blocks/0/type", "unsupported_type"),
    ("rich text without parts", [{"type": "rich_text", "elements": []}], "/blocks/0/elements", "too_few_items"),
    ("six context actions", [{"type": "context_actions", "elements": [{"type": "icon_button", "action_id": f"a{i}", "icon": "trash", "text": plain("x")} for i in range(6)]}], "/blocks/0/elements", "too_many_items"),
    ("text number", [changed(MOVERS, "page_size", "3")], "/blocks/0/page_size", "invalid_type"),
    ("text switch", [section(expand="yes")], "/blocks/0/expand", "invalid_type"),
    ("number as text", [changed(LINE, "title", 3)], "/blocks/0/title", "invalid_type"),
]  # fmt: skip


@pytest.mark.parametrize(("blocks", "pointer", "code"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_each_violation_is_found_where_it_is(blocks: list[Json], pointer: str, code: str) -> None:
    """Each bad payload gives its problem at its JSON pointer."""
    found = [(problem.pointer, problem.code) for problem in check_blocks(blocks, MESSAGE)]
    assert (pointer, code) in found


@pytest.mark.parametrize(
    "blocks",
    [
        "x",
        None,
        {"type": "section"},
        [None],
        [{"type": "actions", "elements": None}],
        [{"type": "card", "actions": [None]}],
        [{"type": "carousel", "elements": [3]}],
        [{"type": "input"}],
    ],
)
def test_malformed_blocks_are_told_not_crashed_on(blocks: Any) -> None:
    """Whatever is sent instead of blocks is a problem, not an error of the workspace."""
    for surface in (MESSAGE, MODAL, ON_HOME):
        assert check_blocks(blocks, surface)


@pytest.mark.parametrize(
    ("block", "surface", "allowed"),
    [
        (FORM["blocks"][0], MESSAGE, False),
        (FORM["blocks"][0], MODAL, True),
        (MOVERS, MODAL, False),
        (MOVERS, ON_HOME, True),
        (LINE, MODAL, False),
        (PLAN, ON_HOME, False),
        (MARKDOWN, MODAL, False),
        (MARKDOWN, ON_HOME, False),
        (MESSAGES["carousel"][0]["elements"][0], MODAL, True),
        ({"type": "container", "title": plain("x"), "child_blocks": [MARKDOWN]}, ON_HOME, False),
    ],
)
def test_blocks_live_on_their_surfaces(block: Json, surface: str, allowed: bool) -> None:
    """An alert belongs in a modal, a chart does not, a plan only in messages."""
    found = [problem.code for problem in check_blocks([block], surface)]
    assert (found == []) is allowed
    assert allowed or "unsupported_surface" in found


def test_views_have_their_own_limits() -> None:
    """Titles, metadata, the submit button of forms, and 100 blocks."""
    assert pointers(FORM | {"title": plain("x" * 25)}) == ["/view/title/text"]
    assert pointers(FORM | {"private_metadata": "x" * 3001}) == ["/view/private_metadata"]
    assert pointers({k: v for k, v in FORM.items() if k != "submit"}) == ["/view"]
    assert pointers(FORM | {"blocks": [section()] * 101}) == ["/view/blocks"]
    assert pointers(FORM | {"blocks": []}) == ["/view/blocks"]
    assert pointers(HOME | {"title": plain("x")}) == ["/view/title"]
    assert pointers({"type": "page"}) == ["/view/type"]
    twice = field("Reason", "why", {"type": "plain_text_input"})
    assert pointers(FORM | {"blocks": [twice, twice]}) == ["/view/blocks/1/block_id"]


def pointers(view: Json) -> list[str]:
    return [problem.pointer for problem in check_view(view)]


def test_problems_are_worded_for_developers() -> None:
    """The line has Slack's form: what, and the JSON pointer."""
    problem = Problem("/blocks/0", "missing_field", "missing required field: text", {"field": "text"})
    assert problem.line() == "[ERROR] missing required field: text [json-pointer:/blocks/0]"
    assert problem.as_json()["constraint"] == {"field": "text"}


def test_the_api_answers_with_slacks_codes(web: Any, refused: Callable[..., Any]) -> None:
    """invalid_blocks with pointers, msg_blocks_too_long, invalid_arguments for views, and blocks.validate."""
    answer = refused(web.chat_postMessage, channel="C0COSTS", text="x", blocks=[section("x" * 3001)])
    assert answer["error"] == "invalid_blocks"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    ]
    huge = [section("x" * 2900) for _ in range(5)]
    assert refused(web.chat_postMessage, channel="C0COSTS", text="x", blocks=huge)["error"] == "msg_blocks_too_long"
    assert refused(web.chat_postMessage, channel="C0COSTS", text="x", blocks="[{")["error"] == "invalid_blocks_format"
    assert refused(web.views_publish, user_id="U0BEN", view=HOME | {"blocks": "no"})["error"] == "invalid_arguments"

    assert web.blocks_validate(blocks=CARD)["ok"]
    assert web.blocks_validate(view=FORM)["ok"]
    told = refused(web.blocks_validate, message={"blocks": [actions(button("x", "a", style="purple"))]})
    assert told["error"] == "invalid_message"
    assert told["errors"][0]["pointer"] == "/blocks/0/elements/0/style"
    assert refused(web.blocks_validate)["error"] == "invalid_arguments"
