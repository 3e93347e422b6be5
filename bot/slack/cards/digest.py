"""The digest card: the morning's message in at most twelve blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from bot.shared.message import Block, Message, Reply
from bot.slack import elements as e
from bot.slack.cards import anomaly as anomaly_card
from bot.slack.cards import drawing
from bot.slack.cards.anomaly import NOTHING_SAID, Standing
from bot.slack.cards.answer import coverage
from bot.slack.words import clip, escape, money, plural, stamp
from tools.model.digest import Digest

ANOMALIES = 2
WAITING = 5
MOST_BLOCKS = 12
_ROLLOUT = re.compile(r"\((ro-[\w-]{1,64})\)$")


def message(
    digest: Digest, links: Mapping[str, str] | None = None, stands: Mapping[str, Standing] | None = None
) -> Message:
    """`links` leads from a rollout's id to the address of its card, `stands` from an anomaly's to what became of it.

    The greatest anomalies stand in the message, the others as cards in its thread. Where nothing is wrong it is three
    lines.
    """
    told = {one.id: _as_told(digest, one.id, stands or {}) for one in digest.anomalies}
    if digest.calm:
        return Message(escape(text(digest)), _calm(digest))
    blocks: list[Block] = [e.header(digest.headline)]
    if digest.why:
        blocks.append(e.section(digest.why))
    if drawn := drawing.chart(digest.chart):
        blocks.append(drawn)
    for anomaly in digest.anomalies[:ANOMALIES]:
        blocks += anomaly_card.short(anomaly, told[anomaly.id], told=digest.why)
    if rest := _rest(digest):
        blocks.append(e.context(rest))
    if moved := drawing.table(digest.movers, most=10):
        blocks.append(moved)
    if digest.month_end is not None:
        blocks.append(e.section(month_end(digest)))
    if digest.saved:
        blocks.append(e.context(digest.saved))
    if digest.waiting:
        blocks.append(e.small_print(_waiting(digest.waiting, links or {})))
    blocks.append(_coverage(digest))
    assert len(blocks) <= MOST_BLOCKS
    return Message(escape(text(digest)), tuple(blocks), _thread(digest, told))


def _as_told(digest: Digest, anomaly_id: str, stands: Mapping[str, Standing]) -> Standing:
    """With the mark of a reminder where it is one."""
    return replace(stands.get(anomaly_id, NOTHING_SAID), state="again" if anomaly_id in digest.reminded else "")


def _thread(digest: Digest, stands: Mapping[str, Standing]) -> tuple[Reply, ...]:
    """A card for each anomaly that has no room in the message."""
    return tuple(anomaly_card.reply(one, stands[one.id]) for one in digest.anomalies[ANOMALIES:])


def _calm(digest: Digest) -> tuple[Block, ...]:
    """What was spent, where the month ends, and how complete the data is."""
    end = [month_end(digest)] if digest.month_end is not None else [digest.why]
    saved = [digest.saved] if digest.saved else []
    return (e.header(digest.headline), e.section(" ".join([*end, *saved])), _coverage(digest))


def _coverage(digest: Digest) -> Block:
    return e.context(" · ".join([*coverage(digest.coverage), *_as_of(digest)]) or "no data yet")


def _rest(digest: Digest) -> str:
    """How many anomalies are not in the message, and why."""
    below = len(digest.anomalies) - ANOMALIES
    parts = [f"{plural(below, 'more anomaly', 'more anomalies')} in the thread"] if below > 0 else []
    if digest.held:
        held = f"{digest.held} held back ({money(digest.held_excess, digest.currency)} so far)"
        parts.append(f"{held}, this week's alerts are used up: /cost anomalies lists them")
    return " · ".join(parts)


def rollout_ids(digest: Digest) -> tuple[str, ...]:
    """The rollouts whose cards the digest should lead to."""
    found = (_ROLLOUT.search(line) for line in digest.waiting[:WAITING])
    return tuple(match.group(1) for match in found if match)


def text(digest: Digest) -> str:
    """The digest in sentences, for notifications and screen readers."""
    found = [anomaly_card.headline(a) for a in digest.anomalies[:ANOMALIES]]
    waiting = [f"{len(digest.waiting)} waiting for a decision"] if digest.waiting else []
    return ". ".join(part.rstrip(".") for part in (digest.headline, digest.why, *found, *waiting) if part) + "."


def month_end(digest: Digest) -> str:
    """What the month will cost, with its band."""
    forecast = digest.month_end
    assert forecast is not None
    low, high = money(forecast.p10, ""), money(forecast.p90, "")
    return (
        f"Month end: {money(forecast.p50, forecast.currency)} (between {low} and {high}). {clip(forecast.basis, 200)}"
    )


def _waiting(waiting: tuple[str, ...], links: Mapping[str, str]) -> str:
    """Titles are people's and data's words: escaped. Addresses come from Slack itself."""
    lines = []
    for line in waiting[:WAITING]:
        found = _ROLLOUT.search(line)
        link = links.get(found.group(1), "") if found else ""
        title = escape(clip(line, 150))
        lines.append(f"{title} - <{link}|decide>" if link else title)
    rest = [e.more(len(waiting) - WAITING)] if len(waiting) > WAITING else []
    return "Waiting for a decision:\n" + "\n".join(lines + rest)


def _as_of(digest: Digest) -> list[str]:
    return [f"data as of {stamp(digest.receipt.as_of)}"] if digest.receipt.as_of else []
