"""People meet anomalies in Slack: in the digest and its thread, in a list of their own; what they say stays on the card."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp

from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.bot.slack.world import START, TENANT, World
from tests.bot.test_outbox import digest
from tools.model.anomaly import Anomaly
from tools.store import alerts, audit, digests, findings, outbox
from tools.store.findings import Feedback

DAY = date(2026, 11, 22)
Card = dict[str, Any]


def anomaly(name: str, excess: int, **changes: Any) -> Anomaly:
    keys = (("sub_account_id", name), ("service_name", name))
    made = Anomaly(
        f"an-{name}", keys, "up", date(2026, 11, 20), 3, Decimal(600 + excess), Decimal(600), "USD",
        Decimal(9), "high", "open", f"{name} cost more than usual.", named=name,
    )  # fmt: skip
    return replace(made, **changes)


FOUND = (anomaly("EC2", 300), anomaly("Lambda", 200), anomaly("RDS", 100))


async def morning(workspace: SlackWorkspace, world: World) -> Card:
    """Three anomalies are found and told in the digest; gives the digest's message."""
    with world.database.begin() as tx:
        findings.save_anomalies(tx, TENANT, FOUND, now=START)
        digests.save(tx, TENANT, replace(digest(), anomalies=FOUND, reminded=("an-RDS",)), now=START)
        alerts.note_told(tx, TENANT, [one.id for one in FOUND], DAY)
        outbox.put(tx, TENANT, "digest", f"{DAY}", now=START, channel="C0COSTS")
    return await posted(workspace, world, lambda m: not m["thread_ts"] and "EC2" in m["rendered"])


async def posted(workspace: SlackWorkspace, world: World, holds: Callable[[Card], Any]) -> Card:
    """What stands in Slack once everything was told."""
    await asyncio.to_thread(world.outbox(workspace.api_url).deliver)
    found = await workspace.aio.wait_for(lambda m: m["bot"] and m["metadata"] and holds(m))
    return dict(found)


async def heard(workspace: SlackWorkspace, user: str, words: str) -> Card:
    return dict(
        await workspace.aio.wait_for(lambda m: m["ephemeral_to"] == user and words in m["text"] + m["rendered"])
    )


def about(message: Card, action: str, anomaly_id: str) -> str:
    """The block in which this button of this anomaly stands."""
    for block in message["blocks"]:
        for element in block.get("elements", ()):
            if element.get("action_id") == action and element.get("value") == anomaly_id:
                return str(block["block_id"])
    raise AssertionError(f"{action} of {anomaly_id} is not there: {message['rendered']}")


async def press(workspace: SlackWorkspace, who: str, message: Card, action: str, anomaly_id: str) -> None:
    block = about(message, action, anomaly_id)
    await workspace.aio.click(who, message["channel"], message["ts"], action, block_id=block)


def words(world: World) -> list[tuple[str, str, str, str]]:
    with world.database.read() as tx:
        return [(f.anomaly_id, f.verdict, f.actor, f.reason) for f in findings.feedback(tx, TENANT)]


def audited(world: World, subject: str) -> list[tuple[str, str, str]]:
    with world.database.read() as tx:
        return [(x.actor, x.action, x.outcome) for x in audit.entries(tx, TENANT, subject=subject)]


async def test_the_digest_shows_who_found_what_useful(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Two anomalies stand in the digest, the third as a card in its thread; a word on either is shown in place, once."""
    told = await morning(workspace, world)
    assert "EC2: +$300.00 (+50 %) since Fri 20 Nov 2026, 3 days" in told["rendered"]
    assert "[Why?] [Useful] [Expected…] [Mute…]" in told["rendered"]
    assert "1 more anomaly in the thread" in told["rendered"]
    third = await posted(workspace, world, lambda m: m["thread_ts"] == told["ts"])
    assert third["rendered"].startswith("Reminder, told a week ago · RDS: +$100.00")

    await press(workspace, "dan", told, "anomaly.useful", "an-EC2")
    await heard(workspace, "U0DAN", "Kept. Anomalies like this one will come first.")
    assert world.rung
    shown = await posted(workspace, world, lambda m: m["ts"] == told["ts"] and m["edited"])
    assert "Useful, says Dan Ito." in shown["rendered"]
    await press(workspace, "dan", shown, "anomaly.useful", "an-EC2")
    await heard(workspace, "U0DAN", "You said so already. Nothing was changed.")
    await press(workspace, "priya", third, "anomaly.useful", "an-RDS")
    await heard(workspace, "U0PRIYA", "Kept.")
    card = await posted(workspace, world, lambda m: m["ts"] == third["ts"] and m["edited"])
    assert "Useful, says Priya Raman." in card["rendered"]

    assert words(world) == [
        ("an-EC2", "useful", "dan@lumen.example", ""),
        ("an-RDS", "useful", "priya@lumen.example", ""),
    ]
    assert audited(world, "an-EC2") == [("dan@lumen.example", "anomaly.useful", "done")]
    assert len([m for m in workspace.transcript("cloud-costs") if m["bot"] and not m["ephemeral_to"]]) == 2


async def test_expected_is_said_with_a_reason_and_taken_back(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """The form insists on a reason; the card says who expected it; a mistake is undone by its own button."""
    told = await morning(workspace, world)
    await press(workspace, "dan", told, "anomaly.expected", "an-Lambda")
    form = await workspace.aio.wait_for_view("dan")
    answer = await workspace.aio.submit("dan", form["id"], {"reason": "because   "})
    assert "at least 10 characters" in str(answer)
    await workspace.aio.submit("dan", form["id"], {"reason": "load test that we announced"})
    await heard(workspace, "U0DAN", "those days count as usual from now on")
    shown = await posted(workspace, world, lambda m: m["ts"] == told["ts"] and m["edited"])
    assert "3 days (expected)" in shown["rendered"]
    assert "Expected, says Dan Ito: load test that we announced" in shown["rendered"]
    await workspace.aio.command("priya", "cloud-costs", "/cost", "anomalies")
    assert "[Not expected]" in (await heard(workspace, "U0PRIYA", "3 anomalies as of"))["rendered"]

    await press(workspace, "priya", shown, "anomaly.reopen", "an-Lambda")
    await heard(workspace, "U0PRIYA", "Kept: it was not expected.")
    again = await posted(workspace, world, lambda m: m["ts"] == told["ts"] and "(expected)" not in m["rendered"])
    assert "Expected, says" not in again["rendered"]
    await press(workspace, "priya", again, "anomaly.expected", "an-Lambda")
    with world.database.read() as tx:
        assert findings.one(tx, TENANT, "an-Lambda").status == "open"
    assert words(world) == []
    assert [action for _, action, _ in audited(world, "an-Lambda")] == ["anomaly.reopen", "anomaly.expected"]


async def test_a_mute_needs_an_end_that_makes_sense(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Yesterday and next year are refused in the form; a fortnight is kept, shown, listed, and ended by anybody."""
    told = await morning(workspace, world)
    await press(workspace, "dan", told, "anomaly.mute", "an-EC2")
    form = await workspace.aio.wait_for_view("dan")
    assert "At most 92 days from today" in form["blocks"][1]["hint"]["text"]
    for until, problem in (("2026-11-22", "That day is over"), ("2027-11-22", "92 days at most")):
        refused = await workspace.aio.submit("dan", form["id"], {"reason": "migration until christmas", "until": until})
        assert problem in str(refused)
    assert words(world) == []
    await workspace.aio.submit("dan", form["id"], {"reason": "migration until christmas", "until": "2026-12-24"})
    await heard(workspace, "U0DAN", "EC2 stays listed, and is not reported until Thu 24 Dec 2026 is over.")
    shown = await posted(workspace, world, lambda m: m["ts"] == told["ts"] and m["edited"])
    assert "Muted until Thu 24 Dec 2026 by Dan Ito: migration until christmas" in shown["rendered"]
    assert world.board().state("an-EC2") == "muted"

    await workspace.aio.command("priya", "cloud-costs", "/cost", "anomalies")
    listed = await heard(workspace, "U0PRIYA", "3 anomalies as of")
    assert "Muted · EC2: +$300.00" in listed["rendered"]
    assert "1 muted" in listed["rendered"]
    await press(workspace, "priya", listed, "anomaly.unmute", "an-EC2")
    redrawn = await workspace.aio.wait_for(lambda m: m["ts"] == listed["ts"] and "Muted ·" not in m["rendered"])
    assert "[Unmute]" not in redrawn["rendered"]
    await workspace.aio.command("priya", "cloud-costs", "/cost", "unmute an-EC2")
    await heard(workspace, "U0PRIYA", "It is not muted (any more). Nothing was changed.")
    assert words(world) == []


async def test_a_form_opened_from_the_list_redraws_it(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Muted from the list that one person asked for: their list says so, and so does the digest for everybody."""
    told = await morning(workspace, world)
    await workspace.aio.command("dan", "cloud-costs", "/cost", "anomalies")
    listed = await heard(workspace, "U0DAN", "3 anomalies as of")
    await press(workspace, "dan", listed, "anomaly.mute", "an-Lambda")
    form = await workspace.aio.wait_for_view("dan")
    await workspace.aio.submit("dan", form["id"], {"reason": "a test that is planned"})
    listed = await workspace.aio.wait_for(lambda m: m["ts"] == listed["ts"] and "Muted · Lambda" in m["rendered"])
    await posted(workspace, world, lambda m: m["ts"] == told["ts"] and "Muted until Mon 7 Dec 2026" in m["rendered"])
    await press(workspace, "dan", listed, "anomaly.investigate", "an-RDS")
    await heard(workspace, "U0DAN", "Severity: high")


async def test_why_answers_in_the_thread(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Of the digest's anomaly in the digest's thread, of a card in the thread in the same one."""
    told = await morning(workspace, world)
    third = await posted(workspace, world, lambda m: m["thread_ts"] == told["ts"])
    for message, anomaly_id in ((told, "an-EC2"), (third, "an-RDS")):
        await press(workspace, "dan", message, "anomaly.investigate", anomaly_id)
        name = anomaly_id.removeprefix("an-")
        await workspace.aio.wait_for(
            lambda m, name=name: m["thread_ts"] == told["ts"] and not m["metadata"] and name in m["text"]
        )


async def test_strangers_and_late_clicks_are_told_no(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """A guest may say nothing; what bills took back meanwhile has no buttons any more, and an old click says so."""
    told = await morning(workspace, world)
    await press(workspace, "gus", told, "anomaly.useful", "an-EC2")
    await heard(workspace, "U0GUS", "Guests of this workspace cannot use me")
    await press(workspace, "gus", told, "anomaly.mute", "an-EC2")
    assert [outcome for _, _, outcome in audited(world, "an-EC2")] == ["refused"]
    await press(workspace, "dan", told, "anomaly.mute", "an-EC2")
    form = await workspace.aio.wait_for_view("dan")
    with world.database.begin() as tx:
        assert findings.drop(tx, TENANT, ["an-EC2"]) == 1
    await workspace.aio.submit("dan", form["id"], {"reason": "a test that is planned"})
    await heard(workspace, "U0DAN", "There is no anomaly an-EC2.")
    for action in ("anomaly.useful", "anomaly.expected", "anomaly.investigate"):
        await press(workspace, "priya", told, action, "an-EC2")
    await workspace.aio.until(
        lambda: len([m for m in workspace.transcript(user="priya") if "no anomaly an-EC2" in m["text"]]) == 3
    )
    with world.database.begin() as tx:
        outbox.put(tx, TENANT, "digest", f"{DAY}", now=START, channel="C0COSTS")
    gone = await posted(workspace, world, lambda m: m["ts"] == told["ts"] and m["edited"])
    assert "(later bills took it back)" in gone["rendered"]
    with pytest.raises(AssertionError, match="is not there"):
        about(gone, "anomaly.useful", "an-EC2")
    assert words(world) == []


async def test_how_many_alerts_a_week_are_wanted(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """/cost alerts shows the knob and turns it; what then has no room is held back, and listed."""
    with world.database.begin() as tx:
        findings.save_anomalies(tx, TENANT, FOUND, now=START)
    for typed, answer in (
        ("alerts", "The digest tells at most 5 alerts a week"),
        ("alerts many", "as a whole number; 0 is none. Nothing was changed."),
        ("alerts 4000", "4000 alerts a week cannot be meant"),
        ("alerts 1", "From now on the digest tells at most 1 alert a week"),
        ("alerts", "2 anomalies held back: /cost anomalies shows them."),
        ("anomalies", "Held back · Lambda"),
        ("unmute an-gone", "There is no anomaly an-gone."),
        ("unmute an-EC2", "It is not muted"),
    ):
        await workspace.aio.command("dan", "cloud-costs", "/cost", typed)
        await heard(workspace, "U0DAN", answer)
    with world.database.read() as tx:
        assert alerts.per_week(tx, TENANT, 5) == 1
    assert audited(world, "alerts") == [("dan@lumen.example", "alerts.set", "done")]
    await workspace.aio.command("gus", "cloud-costs", "/cost", "alerts 0")
    await heard(workspace, "U0GUS", "Guests of this workspace")
    await workspace.aio.command("dan", "cloud-costs", "/cost", "alerts of last week, please")
    await workspace.aio.wait_for(lambda m: "Answer to: alerts of last week, please" in m["text"])


def test_what_others_said_of_a_series_is_kept_apart() -> None:
    """Words are of the anomaly, mutes of its series; a mute that is over says nothing."""
    from bot.slack.cards import anomaly as card

    one = FOUND[0]
    other = Feedback("an-else", one.keys, "mute", "ana@x", "noise that we know", DAY, START, "Ana")
    word = Feedback("an-else", one.keys, "useful", "ana@x", "", None, START, "Ana")
    stands = card.standing(one, (other, word), DAY)
    assert stands.words == ()
    assert card.said(stands) == ["Muted until Sun 22 Nov 2026 by Ana: noise that we know"]
    assert card.standing(one, (other, word), DAY + timedelta(days=1)) == card.Standing()
    many = tuple(replace(word, anomaly_id=one.id, name=f"P{n}") for n in range(8))
    assert card.said(card.standing(one, many, DAY)) == ["Useful, says P0, P1, P2, P3, P4 and 3 more."]
