"""The answer card: a sentence with its numbers, charts and tables, what they cover, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agent.answer import Answer
from bot.shared.message import Block, Message
from bot.slack import elements as e
from bot.slack.blockkit import CHARTS
from bot.slack.cards import drawing
from bot.slack.words import clip, day, escape, percent, stamp
from tools.model.fact import Fact
from tools.model.query import Coverage, Metric, Receipt

SHOW_QUERY = "answer.receipt"
CHOOSE = "answer.choose"
CHOICES_AS_BUTTONS = 4
PARAGRAPH = 2900
TABLES = 3


def message(answer: Answer, kept: str, *, card: str = "") -> Message:
    """The answer as it stands in a thread. `kept` names the stored receipts; `card` is the address of a rollout's card."""
    blocks = [e.section(part) for part in paragraphs(answer.text)]
    blocks += [block for c in answer.charts[:CHARTS] if (block := drawing.chart(c))]
    blocks += [block for t in answer.tables[:TABLES] if (block := drawing.table(t))]
    if answer.comments:
        blocks.append(e.context(*answer.comments))
    if answer.notes or answer.assumptions:
        blocks.append(e.context(*answer.notes, *(f"Assumed: {a}" for a in answer.assumptions)))
    if said := basis(answer):
        blocks.append(e.context(said))
    if card:
        blocks.append(e.small_print(f"<{card}|Open the card>"))
    if choices := _choices(answer.alternatives, kept):
        blocks.append(choices)
    if receipts(answer.facts):
        blocks.append(e.actions(e.button("Show query", SHOW_QUERY, kept)))
    return Message(escape(answer.text), tuple(blocks))


def paragraphs(text: str) -> list[str]:
    """The text in pieces that fit a section, cut at line ends where possible."""
    pieces, rest = [], text.strip() or e.NOTHING
    while len(rest) > PARAGRAPH:
        at = rest.rfind("\n", 1, PARAGRAPH)
        at = at if at > 0 else PARAGRAPH
        pieces.append(rest[:at].strip() or e.NOTHING)
        rest = rest[at:].strip()
    return [*pieces, rest or e.NOTHING][:4]


def basis(answer: Answer) -> str:
    """One line: period, metric, how complete, as of when."""
    first = answer.facts[0] if answer.facts else None
    parts = []
    if first is not None and first.period is not None:
        parts.append(str(first.period))
    if first is not None and first.metric:
        parts.append(metric(first.metric))
    parts += coverage(answer.coverage)
    if first is not None and first.receipt.as_of is not None:
        parts.append(f"data as of {stamp(first.receipt.as_of)}")
    return " · ".join(parts)


def metric(name: str) -> str:
    """What a metric means, or its name when it is none of the four costs."""
    return Metric(name).meaning if name in set(Metric) else name


def coverage(covered: Coverage) -> list[str]:
    """How complete the data is, in words."""
    parts = []
    if covered.complete_to is not None:
        parts.append(f"complete before {day(covered.complete_to)}")
    if covered.provisional_share > 0:
        parts.append(f"{percent(covered.provisional_share)} of the days may still change")
    if covered.missing:
        parts.append("missing: " + ", ".join(clip(m, 80) for m in covered.missing[:5]))
    if covered.invoices:
        parts.append(clip(covered.invoices, 160))
    return parts


def _choices(alternatives: Sequence[str], kept: str) -> Block | None:
    """What the person can choose, as buttons or (many, or long) as a menu."""
    if not alternatives:
        return None
    if len(alternatives) <= CHOICES_AS_BUTTONS and all(len(a) <= 70 for a in alternatives):
        buttons = [e.button(a, f"{CHOOSE}.{n}", f"{kept}:{n}") for n, a in enumerate(alternatives)]
        return e.actions(*buttons)
    options = [(a, f"{kept}:{n}") for n, a in enumerate(alternatives[:100])]
    return e.actions(e.select("Choose what you mean", f"{CHOOSE}.menu", options))


def receipts(facts: Sequence[Fact]) -> tuple[tuple[str, Receipt], ...]:
    """Each different receipt once, named by the first fact that rests on it."""
    seen: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[str, Receipt]] = {}
    for fact in facts:
        seen.setdefault((fact.receipt.sql, fact.receipt.parameters), (fact.label, fact.receipt))
    return tuple(seen.values())


def document(answer: Answer) -> dict[str, Any]:
    """What is kept of an answer (JSON-ready): its receipts and its choices."""
    return {
        "receipts": [
            {
                "label": clip(label, 200),
                "sql": clip(receipt.sql, 20_000),
                "parameters": [[clip(n, 200), clip(v, 500)] for n, v in receipt.parameters[:200]],
                "rows": receipt.rows,
                "as_of": receipt.as_of.isoformat() if receipt.as_of else None,
            }
            for label, receipt in receipts(answer.facts)[:20]
        ],
        "alternatives": [clip(a, 2000) for a in answer.alternatives[:100]],
    }


def receipt_view(kept: dict[str, Any]) -> Block:
    """The modal behind [Show query]: SQL, parameters, rows and as-of of every number."""
    blocks: list[Block] = []
    for receipt in kept["receipts"][:5]:
        lines = [f"{name} = {value}" for name, value in receipt["parameters"]]
        as_of = receipt["as_of"]
        blocks += [
            e.header(receipt["label"]),
            e.rich([e.code(receipt["sql"])]),
            *([e.rich([e.code("\n".join(lines))])] if lines else []),
            e.context(
                f"{receipt['rows']} rows of charges behind it",
                f"data as of {stamp(datetime.fromisoformat(as_of))}" if as_of else "no data loaded yet",
            ),
        ]
    if len(kept["receipts"]) > 5:
        blocks.append(e.context(e.more(len(kept["receipts"]) - 5)))
    return e.modal("Where it comes from", "answer.receipt", blocks or [e.section("This answer rests on no query.")])
