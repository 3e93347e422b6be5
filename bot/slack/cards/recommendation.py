"""The recommendation card: a saving that could be had, its evidence, and a button that proposes it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.shared.message import Block, Message
from bot.slack import elements as e
from bot.slack.words import clip, escape, money, percent, plural
from tools.model.recommendation import Recommendation

PROPOSE = "recommendation.propose"
LISTED = 5
RISKS = {"R0": "R0 (none)", "R1": "R1 (low)", "R2": "R2 (medium)", "R3": "R3 (high)"}
KINDS = {
    "spot_migration": "Spot",
    "idle": "Idle",
    "rightsizing": "Right-sizing",
    "storage_class": "Storage class",
    "cleanup": "Clean-up",
    "commitment": "Commitment",
}


def saving(found: Recommendation) -> str:
    """'120.00 USD a month (90.00 to 150.00)'."""
    low, high = (money(v, "") for v in (found.saving_low, found.saving_high))
    band = f" ({low} to {high})" if found.saving_low != found.saving_high else ""
    return f"{money(found.saving_expected, found.currency)} a month{band}"


def message(found: Sequence[Recommendation]) -> Message:
    """The greatest savings first, a few of them."""
    if not found:
        text = "There is nothing to recommend right now. The rules run each morning, after costs were collected."
        return Message(text, (e.section(text),))
    title = f"{plural(len(found), 'saving')} could be had"
    blocks: list[Block] = [e.header(title)]
    for one in found[:LISTED]:
        blocks += card(one)
    if len(found) > LISTED:
        blocks.append(e.context(e.more(len(found) - LISTED)))
    lines = "; ".join(f"{one.title}: {saving(one)}" for one in found[:LISTED])
    return Message(escape(f"{title}: {clip(lines, 2000)}"), tuple(blocks))


def card(found: Recommendation) -> list[Block]:
    """One recommendation: what, how much, how sure, why, and what can be done with it."""
    facts = [
        ("Saves", saving(found)),
        ("Confidence", percent(found.confidence)),
        ("Risk", RISKS.get(found.risk, found.risk) + (", can be undone" if found.reversible else ", cannot be undone")),
        ("Where", " · ".join(p for p in (found.provider, found.account_id, found.region) if p)),
        ("Resources", ", ".join(found.resource_ids[:10])),
    ]
    evidence = [f"{x.label}: {x.value} ({x.source})" for x in found.evidence]
    blocks = [e.section(f"{KINDS.get(found.kind, found.kind)}: {found.title}"), e.fields(facts)]
    if evidence:
        blocks.append(e.rich([e.bullets(evidence, most=5)]))
    if found.blocked_by:
        blocks.append(e.context("Cannot be proposed now: " + "; ".join(found.blocked_by)))
    elif found.parameters.get("change"):
        blocks.append(e.actions(e.button("Propose a rollout", PROPOSE, found.id)))
    blocks.append(e.context(f"{found.id} · prices: {found.price_source}"))
    return blocks
