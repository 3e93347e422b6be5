"""Blocks as text: what transcripts in tests and documents show."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.slack.markdown import rich_text
from sandbox.slack.render import block_text, plain, render
from tests.sandbox.slack.gallery import (
    BARS,
    CARD,
    CARDS,
    CONTAINER,
    FEEDBACK,
    FORM,
    MESSAGES,
    MOVERS,
    PIE,
    PLAN,
    RICH,
    mrkdwn,
    option,
)

NAMES = {"U0BEN": "ben", "U0CARLA": "carla", "C0COSTS": "cloud-costs"}


def shown(*blocks: dict[str, Any]) -> list[str]:
    return render(list(blocks), "", NAMES).splitlines()


def test_a_card_reads_like_a_card() -> None:
    """Header, text with names, fields, buttons as [Label], menus with their options, context."""
    assert shown(*CARD) == [
        "# Move checkout-workers: m5.2xlarge → m7g.xlarge",
        "Saves *$1,284.00 a month* (38 %), confidence 0.86, risk low · owner @ben · `prod-eu`",
        "[⋯ Why / Show plan / Dismiss…]",
        "- *CPU p95*",
        "11 % (30 days)",
        "- *Memory p95*",
        "41 %",
        "- *Way back*",
        "under 2 min, tested 12 Nov",
        "- *Needs*",
        "1 approver, not the requester",
        "[Approve 10 %] [Dry run] [Reject…] [Snooze ▾ 7 days / 30 days]",
        "· plan v3 · expires 18:00 UTC · approvers: finops",
    ]


def test_tables_are_aligned() -> None:
    """Numbers to the right, the caption above."""
    assert shown(MOVERS) == [
        "Top movers, 9-15 Nov against the week before",
        "Service            Account        Change",
        "-----------------  ----------  ---------",
        "Amazon EC2         production  +1,284.50",
        "Amazon RDS         production    +210.25",
        "AWS Lambda         data           +95.00",
        "Amazon S3          data           -42.10",
        "Amazon CloudWatch  staging         -3.75",
    ]


def test_charts_are_small_bars() -> None:
    """Each series with its points."""
    assert shown(PIE)[:2] == ["Where it goes (pie)", "  Amazon EC2 ████████████████████████ 2400"]
    lines = shown(BARS)
    assert lines[:2] == ["EC2 by environment (bar)", "production"]
    assert lines[9] == "staging".ljust(7)
    assert shown(
        {"type": "data_visualization", "title": "t", "chart": {"type": "pie", "segments": [{"label": "a", "value": 0}]}}
    ) == ["t (pie)", "  a  0"]


def test_plans_cards_and_containers() -> None:
    """Tasks with their state and details; cards framed; what a container holds is indented."""
    assert shown(PLAN) == [
        "Rollout r-142, 50 %",
        "  ● Pre-checks",
        "      Capacity is there, plan unchanged.",
        "  ● 10 % (2 of 20)",
        "  ◐ 50 % (6 of 10)",
        "      p95 212 ms (limit 230)",
        "  ○ 100 %",
    ]
    assert shown(CARDS)[:4] == [
        "┌ *EC2* +$1,284",
        "│ since 12 Nov, prod-eu",
        "│ Twice as many instances of checkout-workers since Thursday.",
        "│ [Investigate] [Expected…]",
    ]
    assert shown(CONTAINER) == ["How this was calculated", "  Read 4,212 rows in 41 ms.", "  " + "─" * 40]
    assert shown(CONTAINER | {"title": None, "rich_text_title": rich_text("Rich")})[0] == "Rich"


def test_rich_text_and_forms() -> None:
    """Lists, mentions and code; labels with their fields."""
    assert shown(RICH) == ["Bold, a link to the bill and @carlatada", "• one", "• two", "SELECT sum(billed_cost)"]
    form = shown(*FORM["blocks"])
    assert form[0] == "! *12 instances* go back to m5.2xlarge now."
    assert form[2:5] == [
        "Reason: [At least ten characters]",
        "Scope: [Choose ▾ All stages / Last stage only]",
        "Tell (optional): [multi_users_select]",
    ]
    assert shown(FEEDBACK) == ["[Good answer] [Bad answer] [Remove]"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<!channel> &lt;b&gt;", "<!channel> <b>"),
        ("<https://x.example|the bill>", "the bill (https://x.example)"),
        ("<mailto:a@b.example>", "mailto:a@b.example"),
        ("<#C0COSTS> <#C0COSTS|costs> <@U0X>", "#cloud-costs #costs @U0X"),
        ("<!date^1795453200^{date}>", "1795453200"),
    ],
)
def test_control_sequences(text: str, expected: str) -> None:
    """Read as people read them; but a broadcast stays as it was sent, so that nobody overlooks it."""
    assert plain(text, NAMES) == expected


def test_the_rest() -> None:
    """Images, files, unknown types, grouped options, and messages without blocks."""
    assert shown({"type": "image", "image_url": "u", "alt_text": "A chart"}) == ["[image: A chart]"]
    assert shown({"type": "context", "elements": [{"type": "image", "image_url": "u", "alt_text": "Ben"}]}) == [
        "· [image: Ben]"
    ]
    assert block_text({"type": "file", "external_id": "F1", "source": "remote"}, NAMES) == "[file: F1]"
    assert block_text({"type": "hologram"}, NAMES) == "[hologram]"
    select = {"type": "static_select", "option_groups": [{"label": mrkdwn("g"), "options": [option("A", "a")]}]}
    assert shown({"type": "actions", "elements": [select]}) == ["[Choose ▾ A]"]
    assert render([], "*Hi* <@U0BEN>", NAMES) == "*Hi* @ben"
    quote = rich_text("x <#C0COSTS> <!here> <https://a.example|b>")
    quote["elements"][0]["type"] = "rich_text_quote"
    assert shown(quote) == ["> x #cloud-costs <!here> b"]
    numbered = {
        "type": "rich_text",
        "elements": [
            {"type": "rich_text_list", "style": "ordered", "indent": 1, "elements": [rich_text("a")["elements"][0]]}
        ],
    }
    assert shown(numbered) == ["  1. a"]
    assert all(render(blocks, "", NAMES) for blocks in MESSAGES.values())
