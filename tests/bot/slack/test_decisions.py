"""People decide on cards: a decision counts for exactly what was shown, and every refusal is explained and audited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp

from sandbox import organisation
from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.bot.slack.world import START, TENANT, World, proposal
from tools.execution.decisions import Move, moved
from tools.execution.limits import Limits
from tools.execution.record import EXECUTOR, write
from tools.model.access import Role
from tools.model.recommendation import Evidence, Recommendation
from tools.model.rollout import HealthVerdict, Rollout, State, Verdict
from tools.store import audit, people, recommendations, rollout_history

APPROVALS = "cost-approvals"
Card = dict[str, Any]


async def deliver(workspace: SlackWorkspace, world: World) -> int:
    """What the worker's loop does."""
    return await asyncio.to_thread(world.outbox(workspace.api_url).deliver)


async def card(workspace: SlackWorkspace, world: World, holds: Callable[[Card], Any] = lambda m: True) -> Card:
    """The card as it stands after everything was told."""
    await deliver(workspace, world)
    found = await workspace.aio.wait_for(lambda m: m["bot"] and not m["thread_ts"] and m["metadata"] and holds(m))
    return dict(found)


def whisper(user: str, words: str) -> Callable[[Card], Any]:
    return lambda m: m["ephemeral_to"] == user and words in m["text"]


def step(world: World, rollout: Rollout, to: State, reason: str, **changes: Any) -> Rollout:
    """Let the machine move a rollout, as the engine does."""
    now = world.clock()
    after = replace(moved(rollout, Move(to, reason, changes.pop("stage", None)), now, Limits()), **changes)
    with world.database.begin() as tx:
        assert write(
            tx, rollout, after, actor=EXECUTOR, actor_name="OptiInfra", action="rollout.move", what=reason, now=now
        )
    return after


def refusals(world: World, subject: str = "ro-000000000001") -> list[tuple[str, str]]:
    with world.database.read() as tx:
        return [(x.actor, x.reason) for x in audit.entries(tx, TENANT, subject=subject) if x.outcome == "refused"]


async def test_an_approver_approves_and_the_card_shows_it(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """Priya reads what changes, how much it saves and how to undo it, approves, and the same card says so."""
    world.add(proposal())
    shown = await card(workspace, world)
    for part in (
        "Move checkout-workers to spot (20 instances)",
        "Waiting for approval of stage 1 of 3: 2 of 20 instances (10 %)",
        "$1,284.00 a month",
        "R1 (low)",
        "on_demand_percentage 100 → 90 → 50 → 0",
        "Set the on-demand percentage back to 100",
        "10 of 20 instances (50 %): to come",
        "proposed by Ben Okafor",
        "[Approve 10 %]",
        "[Reject…]",
    ):
        assert part in shown["rendered"]
    asked = shown["blocks"][-2]["elements"][0]["confirm"]["text"]["text"]
    assert "2 of 20 instances (10 %) will be changed. Undo:" in asked

    await workspace.aio.press("priya", shown, "rollout.approve")
    await workspace.aio.until(lambda: world.rollout().state is State.APPROVED)
    changed = await card(workspace, world, lambda m: m["edited"])
    assert changed["ts"] == shown["ts"]
    assert "Stage 1 approved by Priya Raman" in changed["rendered"]
    assert "[Approve" not in changed["rendered"]
    assert "[Stop…]" in changed["rendered"]
    assert world.rung


async def test_the_thread_of_a_card_is_told_that_somebody_must_approve(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """Once, with a mention of those who may approve and did not propose; not once per change."""
    with world.database.begin() as tx:
        people.bind_slack(tx, TENANT, "priya@lumen.example", organisation.TEAM_ID, "U0PRIYA")
        people.bind_slack(tx, TENANT, "ben@lumen.example", organisation.TEAM_ID, "U0BEN")
    world.add(proposal())
    shown = await card(workspace, world)
    with world.database.begin() as tx:
        rollout_history.add_event(tx, world.rollout(), "x", "y", now=START)
    await deliver(workspace, world)
    replies = workspace.transcript(APPROVALS, shown["ts"])[1:]
    assert [m["text"] for m in replies] == [
        "<@U0PRIYA> Approval needed: 2 of 20 instances (10 %) of Move checkout-workers to spot (20 instances). "
        "Decide on the card above."
    ]


async def test_who_proposed_may_not_approve(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Carla proposed it herself; she is told whom to ask, nothing moves, the audit knows."""
    world.add(proposal(proposed_by="carla@lumen.example", proposed_by_name="Carla Jensen"))
    shown = await card(workspace, world)
    await workspace.aio.press("carla", shown, "rollout.approve")
    await workspace.aio.wait_for(whisper("U0CARLA", "somebody else has to approve it"))
    assert world.rollout().version == 1
    assert refusals(world) == [("carla@lumen.example", "proposer")]


@pytest.mark.parametrize(
    ("who", "user", "words", "reason"),
    [
        ("dan", "U0DAN", "may not approve rollouts", "role"),
        ("gus", "U0GUS", "Guests of this workspace", "guest"),
        ("olga", "U0OLGA", "not a member of this workspace", "foreign_team"),
    ],
)
async def test_who_may_not_decide_is_told_why(
    workspace: SlackWorkspace, bot: AsyncApp, world: World, who: str, user: str, words: str, reason: str
) -> None:
    """A viewer, a guest, somebody of another company: refused, told, audited, nothing changed."""
    channel = "C0PARTNER" if who == "olga" else "C0APPROVE"
    world.add(proposal())
    box = world.outbox(workspace.api_url, approvals=channel)
    await asyncio.to_thread(box.deliver)
    shown = await workspace.aio.wait_for(lambda m: m["bot"] and m["metadata"] and not m["thread_ts"])
    await workspace.aio.press(who, shown, "rollout.approve")
    await workspace.aio.wait_for(whisper(user, words))
    assert world.rollout().version == 1
    assert [r for _, r in refusals(world)] == [reason]


async def test_no_decision_where_outsiders_read_along(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Priya may approve, but not in a channel that is shared with a partner."""
    world.add(proposal())
    await asyncio.to_thread(world.outbox(workspace.api_url, approvals="C0PARTNER").deliver)
    shown = await workspace.aio.wait_for(lambda m: m["bot"] and m["metadata"] and not m["thread_ts"])
    await workspace.aio.press("priya", shown, "rollout.approve")
    await workspace.aio.wait_for(whisper("U0PRIYA", "shared with another company"))
    assert refusals(world) == [("slack:T0LUMEN:U0PRIYA", "shared_channel")]


async def test_a_double_click_decides_once(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """The second click of two people at the same moment is told who was first."""
    world.add(proposal())
    shown = await card(workspace, world)
    await asyncio.gather(
        workspace.aio.press("priya", shown, "rollout.approve"), workspace.aio.press("carla", shown, "rollout.approve")
    )
    told = await workspace.aio.wait_for(lambda m: m["ephemeral_to"] and "before you" in m["text"])
    assert told["ephemeral_to"] in {"U0PRIYA", "U0CARLA"}
    assert world.rollout().version == 2
    assert [r for _, r in refusals(world)] == ["decided"]


async def test_a_stale_card_decides_nothing_and_is_drawn_anew(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """What the card showed is gone: the click is refused with what happened since, and the card catches up."""
    world.add(proposal())
    shown = await card(workspace, world)
    step(world, world.rollout(), State.REJECTED, "rejected by Carla Jensen: not now please")
    await workspace.aio.press("priya", shown, "rollout.approve")
    await workspace.aio.wait_for(whisper("U0PRIYA", "The card is out of date"))
    fresh = await card(workspace, world, lambda m: m["edited"])
    assert "Rejected; nothing was changed." in fresh["rendered"]
    assert "actions" not in [b["type"] for b in fresh["blocks"]]


async def test_an_expired_card_decides_nothing(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """A day later the click says until when it was open."""
    world.add(proposal())
    shown = await card(workspace, world)
    world.clock.go(days=1, seconds=1)
    await workspace.aio.press("priya", shown, "rollout.approve")
    await workspace.aio.wait_for(whisper("U0PRIYA", "This decision was open until 24 Nov"))
    assert refusals(world) == [("priya@lumen.example", "expired")]


async def test_rejecting_needs_a_reason(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """The form insists on a reason, spaces are none, and the card shows it."""
    world.add(proposal())
    shown = await card(workspace, world)
    await workspace.aio.press("priya", shown, "rollout.reject")
    form = await workspace.aio.wait_for_view("priya")
    refused = await workspace.aio.submit("priya", form["id"], {"reason": "  short             "})
    assert "at least 10 characters" in refused["errors"]["reason"]
    assert (await workspace.aio.submit("priya", form["id"], {"reason": "Black Friday is this week"}))["ok"]
    await workspace.aio.until(lambda: world.rollout().state is State.REJECTED)
    fresh = await card(workspace, world, lambda m: m["edited"])
    assert "Rejected by Priya Raman: Black Friday is this week." in fresh["rendered"]


async def test_a_running_rollout_is_counted_and_rolled_back_by_a_person(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """The card counts instances; Roll back asks for a reason; the thread is not told what a person did on purpose."""
    running = proposal(
        state=State.EXECUTING,
        stage=1,
        touched=True,
        observed={"spot": 7, "on_demand": 13},
        progress=Decimal("0.35"),
        reason="changing",
        version=7,
    )
    world.add(running)
    with world.database.begin() as tx:
        rollout_history.keep_verdict(
            tx,
            TENANT,
            HealthVerdict(running.id, 0, START, Verdict.HEALTHY, "0.2 % of 9,000 requests failed, as before"),
        )
    shown = await card(workspace, world)
    assert "7 of 20 on spot" in shown["rendered"]
    assert "Health, stage 1: Healthy. 0.2 % of 9,000 requests failed, as before" in shown["rendered"]
    assert "2 of 20 instances (10 %): done" in shown["rendered"]
    await workspace.aio.press("priya", shown, "rollout.rollback")
    form = await workspace.aio.wait_for_view("priya")
    assert "Undo: Set the on-demand percentage back" in form["rendered"]
    await workspace.aio.submit("priya", form["id"], {"reason": "latency is up for everybody"})
    await workspace.aio.until(lambda: world.rollout().state is State.ROLLING_BACK)
    fresh = await card(workspace, world, lambda m: m["edited"])
    assert "Rolling back to where it began" in fresh["rendered"]
    assert "latency is up for everybody" in fresh["rendered"]
    assert not [m for m in workspace.transcript(APPROVALS, fresh["ts"]) if "automatically" in m["text"]]


async def test_an_automatic_rollback_is_broadcast_with_its_reason(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """Errors rise, the machine turns back by itself, and the channel hears why; at the end nothing is left to click."""
    world.add(proposal(state=State.BAKING, stage=1, touched=True, observed={"spot": 10}, version=9, reason="counted"))
    await card(workspace, world)
    back = step(world, world.rollout(), State.ROLLING_BACK, "health got worse: 6 % of 4,000 requests failed")
    guarding = step(world, back, State.GUARDING, "counted: everything is as before", observed={"spot": 0})
    await deliver(workspace, world)
    step(world, guarding, State.ROLLED_BACK, "everything is as before, and stayed so")
    shown = await card(workspace, world, lambda m: m["edited"])
    assert (
        "Rolled back: everything is as it was before. Health got worse: 6 % of 4,000 requests failed." in shown["text"]
    )
    assert "actions" not in [b["type"] for b in shown["blocks"]]
    told = [m for m in workspace.transcript(APPROVALS) if "Rolled back automatically" in m["text"]]
    assert len(told) == 1
    assert told[0]["broadcast"]
    assert "6 % of 4,000 requests failed" in told[0]["text"]


async def test_done_is_said_in_the_thread(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """The last state of a good rollout: counted, nothing to click, one reply."""
    world.add(proposal(state=State.SUCCEEDED, stage=2, touched=True, observed={"spot": 20}, version=20, reason="done"))
    shown = await card(workspace, world)
    assert "Done: 20 of 20 on spot." in shown["text"]
    assert "actions" not in [b["type"] for b in shown["blocks"]]
    replies = workspace.transcript(APPROVALS, shown["ts"])[1:]
    assert "Estimated saving: $1,284.00 a month." in replies[0]["text"]


async def test_an_uncertain_effect_is_resolved_by_a_person(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """Nobody knows whether the step took effect; the card asks exactly that."""
    held = proposal(state=State.NEEDS_HUMAN, held_from=State.EXECUTING, touched=True, version=5, reason="no answer")
    world.add(held)
    shown = await card(workspace, world)
    assert "[It took effect]" in shown["rendered"]
    await workspace.aio.press("priya", shown, "rollout.not_happened")
    await workspace.aio.until(lambda: world.rollout().state is State.EXECUTING)


async def test_rollback_by_command(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """/cost rollback works without a card, and insists on a reason."""
    world.add(proposal(state=State.BAKING, touched=True, version=4, reason="counted"))
    await workspace.aio.command("priya", "cloud-costs", "/cost", "rollback ro-000000000001")
    await workspace.aio.wait_for(whisper("U0PRIYA", "Say which rollout and why"))
    await workspace.aio.command("dan", "cloud-costs", "/cost", "rollback ro-000000000001 I do not like it at all")
    await workspace.aio.wait_for(whisper("U0DAN", "may not roll back"))
    await workspace.aio.command("priya", "cloud-costs", "/cost", "rollback ro-nothing because it should stop")
    await workspace.aio.wait_for(whisper("U0PRIYA", "There is no rollout ro-nothing"))
    await workspace.aio.command("priya", "cloud-costs", "/cost", "rollback ro-000000000001 errors rose at once")
    await workspace.aio.wait_for(whisper("U0PRIYA", "goes back to where it began"))
    assert world.rollout().state is State.ROLLING_BACK
    await workspace.aio.command("priya", "cloud-costs", "/cost", "rollouts")
    await workspace.aio.wait_for(whisper("U0PRIYA", "ro-000000000001"))


async def test_savings_are_proposed_from_the_list(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """/cost recs shows evidence and a button; what cannot be proposed says why."""
    with world.database.begin() as tx:
        recommendations.save(tx, TENANT, [_saving("rec-1"), _saving("rec-busy")], now=START)
    await workspace.aio.command("ben", "cloud-costs", "/cost", "recs")
    shown = await workspace.aio.wait_for(lambda m: m["ephemeral_to"] == "U0BEN")
    assert "CPU p95: 11 % (CloudWatch)" in shown["rendered"]
    buttons = [b["elements"][0] for b in shown["blocks"] if b["type"] == "actions"]
    blocks = [b["block_id"] for b in shown["blocks"] if b["type"] == "actions"]
    assert [b["value"] for b in buttons] == ["rec-1", "rec-busy"]
    for block, words in zip(blocks, ("Proposed: Move checkout", "Another rollout works on it"), strict=True):
        await workspace.aio.click("ben", shown["channel"], shown["ts"], "recommendation.propose", block_id=block)
        await workspace.aio.wait_for(whisper("U0BEN", words))
    assert world.proposed == [("rec-1", "ben@lumen.example", "C0COSTS")]


def _saving(rec: str) -> Recommendation:
    return Recommendation(
        rec, TENANT, "spot_migration", "AWS", "100000000002", "eu-west-1", ("checkout-workers",), "Move to spot",
        Decimal(900), Decimal(1284), Decimal(1500), "USD", Decimal("0.86"), "R1", True,
        (Evidence("CPU p95", "11 %", "CloudWatch"),), "AWS price list", {"change": "aws.asg_spot"},
    )  # fmt: skip


async def _post(workspace: SlackWorkspace, blocks: list[Card]) -> str:
    from slack_sdk.web.async_client import AsyncWebClient

    client = AsyncWebClient(token=organisation.BOT_TOKEN, base_url=workspace.api_url)
    return str((await client.chat_postMessage(channel="C0COSTS", text="x", blocks=blocks))["ts"])


async def test_an_unknown_button_is_not_swallowed(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """A card of an older version, or of nobody: the click is answered, nothing happens."""
    button = {"type": "button", "text": {"type": "plain_text", "text": "Old"}, "action_id": "old.thing", "value": "x"}
    forged = {
        "type": "button",
        "text": {"type": "plain_text", "text": "Forged"},
        "action_id": "rollout.approve",
        "value": "ro-1:1:0:'; DROP TABLE rollouts",
    }
    ts = await _post(workspace, [{"type": "actions", "elements": [button, forged]}])
    message = await workspace.aio.wait_for(lambda m: m["ts"] == ts)
    await workspace.aio.press("priya", message, "old.thing")
    await workspace.aio.wait_for(whisper("U0PRIYA", "I do not know this button"))
    await workspace.aio.press("carla", message, "rollout.approve")
    await workspace.aio.wait_for(whisper("U0CARLA", "I do not know this button"))


async def test_a_card_that_was_left_behind_is_refreshed(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """A second copy of a card, posted before a crash, shows after the click what is stored."""
    from bot.slack.rendering import rollout_message

    world.add(proposal())
    old = rollout_message(world.database, TENANT, "ro-000000000001")
    assert old is not None
    ts = await _post(workspace, list(old.blocks))
    step(world, world.rollout(), State.CANCELLED, "stopped")
    await workspace.aio.press("priya", await workspace.aio.wait_for(lambda m: m["ts"] == ts), "rollout.approve")
    await workspace.aio.wait_for(lambda m: m["ts"] == ts and "Stopped before anything was changed" in m["rendered"])


async def test_home_shows_what_waits_and_decides(workspace: SlackWorkspace, bot: AsyncApp, world: World) -> None:
    """Priya approves from her Home tab, which then shows nothing waiting; Dan sees no buttons; Gus sees why not."""
    from bot.slack.cards.home import View

    world.add(proposal())

    def look() -> View:
        rollout = world.rollout()
        waiting = (rollout,) if rollout.state is State.PROPOSED else ()
        return View(figures=(("Spent on 22 Nov 2026", "812.00 USD"),), waiting=waiting)

    world.home = look
    workspace.open_home("dan")
    assert "[Approve" not in (await workspace.aio.wait_for_home("dan"))["rendered"]
    workspace.open_home("gus")
    assert "Guests of this workspace" in (await workspace.aio.wait_for_home("gus"))["rendered"]
    workspace.open_home("priya")
    home = await workspace.aio.wait_for_home("priya", lambda v: "Approve 10 %" in v["rendered"])
    assert "812.00 USD" in home["rendered"]
    await workspace.aio.click_view("priya", home["id"], "rollout.approve")
    await workspace.aio.wait_for_home("priya", lambda v: "Nothing waits for a decision" in v["rendered"])
    assert world.rollout().state is State.APPROVED


async def test_roles_are_read_at_the_moment_of_the_click(
    workspace: SlackWorkspace, bot: AsyncApp, world: World
) -> None:
    """A person who was deactivated a moment ago decides nothing more."""
    world.add(proposal())
    shown = await card(workspace, world)
    with world.database.begin() as tx:
        people.save(tx, TENANT, "priya@lumen.example", Role.APPROVER, active=False, now=START + timedelta(hours=1))
    await workspace.aio.press("priya", shown, "rollout.approve")
    await workspace.aio.wait_for(whisper("U0PRIYA", "no longer active"))
    assert world.rollout().version == 1
