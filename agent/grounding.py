"""Grounding: lets a language model's comment through only when nothing in it could be a made-up number or claim."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from agent.planner.vocabulary import Vocabulary, words
from tools.model.fact import Fact

LONGEST = 200
MOST = 4
# Letters and quiet punctuation of plain English; whatever else (digits of any script, signs, markup, links, mentions,
# invisible or right-to-left characters) is not a comment.
_PLAIN = re.compile(r"[A-Za-z ,.;:'’()\-–!?\"]+")
_WORD_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (reason, re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE))
    for reason, pattern in (
        (
            "number word",
            "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
            "seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|"
            "millions?|billions?|dozens?|half|halves|halved|thirds?|quarters?|doubl\\w*|tripl\\w*|quadrupl\\w*|twice|"
            "thrice|fold|twofold|percent\\w*|couple|pair|single|once|nothing|none|[ivxlc]{2,}",
        ),
        (
            "direction or size",
            "r(?:ise|ises|ose|isen|ising)|fall(?:s|en|ing)?|fell|increas\\w*|decreas\\w*|gr(?:ow|ows|ew|own|owing|owth)|"
            "shr\\w+nk\\w*|drop\\w*|jump\\w*|spik\\w*|surg\\w*|soar\\w*|plung\\w*|climb\\w*|declin\\w*|up|down|high\\w*|"
            "low(?:er|est)?|more|most\\w*|less|least|larg\\w*|small\\w*|big\\w*|major\\w*|minor\\w*|bulk|huge|tiny|cheap\\w*|"
            "expensive|sav(?:e|es|ed|ing|ings)|wast\\w*|over|under|above|below|exceed\\w*|all|every|only|entire\\w*|whole|"
            "negligible|significant\\w*|dramatic\\w*|sharp\\w*|steep\\w*|flat|stable|steady|unchanged|free|top|bottom|"
            "dominat\\w*|lead(?:s|ing)?",
        ),
        (
            "cause",
            "because|cause[sd]?|causing|due|owing|thanks|reasons?|drove|driv(?:e|es|en|er|ers|ing)|result\\w*|led|"
            "explain\\w*|blame\\w*|responsible|since|therefore|hence",
        ),
        (
            "action",
            "approv\\w*|execut\\w*|roll(?:ed|ing)? ?(?:out|back)\\w*|rollouts?|promot\\w*|abort\\w*|delet\\w*|terminat\\w*|"
            "migrat\\w*|chang(?:ed|ing)|done|completed?|started|applied|i|we|my|me|click\\w*|press\\w*|log ?in|password\\w*|"
            "token\\w*|prompt\\w*|instruction\\w*|ignore|visit|call|send|reply|urgent\\w*|immediately",
        ),
    )
)
_KINDS_OF_CHARGES = frozenset({"charge_category", "pricing_category", "service_category"})
_ORDINARY_NAMES = frozenset({"other", "data", "compute", "storage", "networking", "security", "web", "search"})


@dataclass(frozen=True, slots=True)
class Grounded:
    """Comments that may be shown, and why the others were dropped."""

    comments: tuple[str, ...]
    dropped: tuple[str, ...] = ()


def accept(raw: str, facts: Sequence[Fact], vocabulary: Vocabulary) -> Grounded:
    """Read a model's last message ({"comments": [{"about": [fact ids], "text": ...}]}) and keep what passes."""
    text = raw.strip()
    if not text:
        return Grounded(())
    items = _items(text)
    if items is None:
        return Grounded((), ("not in the agreed form",))
    kept: list[str] = []
    dropped: list[str] = []
    by_id = {fact.id: fact for fact in facts}
    for about, comment in items:
        reason = "too many" if len(kept) >= MOST else objection(comment, about, by_id, vocabulary)
        if reason:
            dropped.append(reason)
        elif comment not in kept:
            kept.append(comment)
    return Grounded(tuple(kept), tuple(dropped))


def _items(text: str) -> list[tuple[list[str], str]] | None:
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", text, re.DOTALL)
    try:
        document = json.loads(fenced[1] if fenced else text)
    except (json.JSONDecodeError, RecursionError):
        return None
    comments = document.get("comments") if isinstance(document, dict) else None
    if not isinstance(comments, list):
        return None
    found: list[tuple[list[str], str]] = []
    for item in comments[:20]:
        if not isinstance(item, dict):
            found.append(([], ""))
            continue
        about = item.get("about")
        found.append(([str(a) for a in about] if isinstance(about, list) else [], str(item.get("text", ""))))
    return found


def objection(comment: str, about: Sequence[str], facts: dict[str, Fact], vocabulary: Vocabulary) -> str:
    """Why this comment may not be shown; empty when it may."""
    plain = unicodedata.normalize("NFKC", comment).strip()
    if not plain or len(plain) > LONGEST:
        return "empty or too long"
    if not about or any(a not in facts for a in about):
        return "about no known fact"
    if not _PLAIN.fullmatch(plain) or plain != comment.strip():
        return "characters"
    unnamed = plain
    for a in about:
        # A name may hold such a word itself ("BigQuery", "Load Balancers").
        unnamed = re.sub(rf"(?<!\w){re.escape(facts[a].entity)}(?!\w)", "it", unnamed, flags=re.IGNORECASE)
    for reason, pattern in _WORD_RULES:
        if pattern.search(unnamed):
            return reason
    allowed = {w for a in about for w in words(facts[a].entity)}
    if _foreign_name(plain, allowed, vocabulary):
        return "another name"
    return ""


def _foreign_name(comment: str, allowed: set[str], vocabulary: Vocabulary) -> bool:
    """A name from the data that the comment's own facts are not about."""
    row = words(comment)
    for length in range(min(vocabulary.longest, len(row)), 0, -1):
        for at in range(len(row) - length + 1):
            part = row[at : at + length]
            readings = vocabulary.index.get(part, ())
            if set(part) <= allowed or all(r.dimension in _KINDS_OF_CHARGES for r in readings):
                continue
            if length == 1 and (part[0] in _ORDINARY_NAMES or len(part[0]) < 2):
                continue
            return True
    return False
