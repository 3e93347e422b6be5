"""The Home card: what one person sees first - spend, what waits for a decision, what runs, and how fresh the data is."""

from __future__ import annotations

from dataclasses import dataclass

from bot.shared.message import Block
from bot.slack import elements as e
from bot.slack.blockkit import BLOCKS_IN, HOME
from bot.slack.cards import rollout as rollout_card
from bot.slack.cards.answer import coverage
from bot.slack.words import clip
from tools.model.access import Permission, Principal
from tools.model.query import Coverage
from tools.model.rollout import Rollout

SHOWN = 8
EXAMPLES = (
    "What did we spend per service last month?",
    "Why did EC2 cost more last week?",
    "Which savings could we have?",
)


@dataclass(frozen=True, slots=True)
class View:
    """`figures` are (label, value) pairs in words; `problems` are what stands in the way of fresh data or cards."""

    figures: tuple[tuple[str, str], ...] = ()
    waiting: tuple[Rollout, ...] = ()
    running: tuple[Rollout, ...] = ()
    coverage: Coverage | None = None
    problems: tuple[str, ...] = ()


def view(seen: View, person: Principal) -> Block:
    """The view to publish for this person; buttons only for those who may decide."""
    blocks = [e.header("Cloud cost"), *_spend(seen), *_waiting(seen, person), *_running(seen), *_health(seen)]
    blocks += [e.divider(), e.context("Ask me here, in a channel by mention, or with /cost. For example:", *EXAMPLES)]
    blocks.append(e.context(f"You are {clip(person.name, 100)}, {person.role}."))
    return {"type": "home", "blocks": blocks[: BLOCKS_IN[HOME]]}


def turned_away(why: str) -> Block:
    """What somebody sees who may not see costs."""
    return {"type": "home", "blocks": [e.header("Cloud cost"), e.section(why)]}


def _spend(seen: View) -> list[Block]:
    if not seen.figures:
        return [e.section("There is no cost data yet.")]
    return [e.fields(seen.figures)]


def _waiting(seen: View, person: Principal) -> list[Block]:
    if not seen.waiting:
        return [e.section("Nothing waits for a decision.")]
    blocks: list[Block] = [e.header(f"Waiting for a decision: {len(seen.waiting)}")]
    for one in seen.waiting[:SHOWN]:
        blocks.append(e.section(rollout_card.one_line(one)))
        if person.may(Permission.ROLLOUTS_APPROVE):
            asked = e.confirm(
                f"Approve {one.current.percent} %?", rollout_card.approval_question(one), "Approve", "Not now"
            )
            carried = rollout_card.value(one.seen)
            label = f"Approve {one.current.percent} %"
            blocks.append(
                e.actions(
                    e.button(label, rollout_card.APPROVE, carried, style="primary", confirm=asked),
                    e.button("Reject…", rollout_card.REJECT, carried)
                    if not one.touched
                    else e.button("Roll back…", rollout_card.ROLLBACK, carried, style="danger"),
                )
            )
    return blocks + ([e.context(e.more(len(seen.waiting) - SHOWN))] if len(seen.waiting) > SHOWN else [])


def _running(seen: View) -> list[Block]:
    if not seen.running:
        return []
    lines = [rollout_card.one_line(one) for one in seen.running]
    return [e.header(f"Running: {len(seen.running)}"), e.rich([e.bullets(lines, most=SHOWN)])]


def _health(seen: View) -> list[Block]:
    said = coverage(seen.coverage) if seen.coverage is not None else []
    blocks: list[Block] = [e.header("Data")]
    blocks.append(e.section("Costs: " + "; ".join(said) + "." if said else "Nothing was loaded yet."))
    if seen.problems:
        blocks.append(e.rich([e.bullets(seen.problems, most=6)]))
    return blocks
