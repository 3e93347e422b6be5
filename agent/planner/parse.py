"""Parse: takes a question apart - times, names, slots, intents - without deciding anything yet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from agent.planner import entities, intents, lexicon, periods, slots
from agent.planner.entities import Named
from agent.planner.intents import Scored
from agent.planner.periods import Mention
from agent.planner.slots import Slots
from agent.planner.vocabulary import Vocabulary, clean

LONGEST = 600
_MENTION = re.compile(r"<[@#!][^>]*>|(?<!\w)@[\w.-]+")
_ID = re.compile(r"\b(?:rec|ro)-[a-z0-9][\w-]*")
_PREPOSITION = re.compile(
    r"\b(?:on|for|of|by|in|from|per|with|about|at|to|per|does|did|do|is|are|was|were|much|team|squad|account|project|subscription|service|region|environment|provider|cloud)(?: the| our| my| an?| all| data| cloud| total)* ?$"
)
_HINTED = re.compile(
    r" (?:team|squad|account|project|subscription|service|region|environment|costs?|spend(?:ing)?|bills?|usage|expenses?)\b"
)
_TAGS = re.compile(r"^(?:which|what|list|show)(?: me| are| all| of| the| our)* tags?(?: keys?)?\b")
_COMPOUND = re.compile(r"[^\W_]+(?:[-_][^\W_]+)*")
_VALUES = re.compile(
    r"\b(?:what|which|list|show|name|names of|give me|tell me|what are|how many)(?: me| us| are| all| of| the| our| known| different| your)*(?: \w+)? ?\0?\b"
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A question taken apart. `unknown` are the content words that nothing explains; `placed` those of them that
    stand where a name would stand ("spend on NAME"). `corrected` holds (typed, read) pairs."""

    text: str
    mentions: tuple[Mention, ...]
    named: tuple[Named, ...]
    slots: Slots
    scored: Scored
    unknown: tuple[str, ...]
    placed: tuple[str, ...]
    corrected: tuple[tuple[str, str], ...]
    ids: tuple[str, ...]
    asks_values: bool
    asks_tags: bool
    cut: bool

    @property
    def bare(self) -> bool:
        """Nothing says what is wanted: only names, times or splits, as in a follow-up."""
        return not self.scored.ranking


def parse(text: str, today: date, vocabulary: Vocabulary, *, ahead: bool = False) -> Parsed:
    """Take `text` apart. Case, invisible characters and mentions of people do not matter."""
    plain = clean(_MENTION.sub(" ", clean(text))).lower()
    cut = len(plain) > LONGEST
    plain, corrected = lexicon.correct(plain[:LONGEST], vocabulary)
    ids = tuple(dict.fromkeys(_ID.findall(plain)))
    mentions = periods.find(plain, today, ahead=ahead, data=vocabulary.span, fiscal_start=vocabulary.fiscal_start)
    timeless = _mask(plain, [(m.start, m.end) for m in mentions])
    named = entities.find(_mask(timeless, [m.span() for m in _ID.finditer(plain)]), vocabulary, lexicon.ORDINARY)
    if said := slots.saved_by(timeless):
        named = tuple(n for n in named if n.end <= said[0] or n.start >= said[1])
    found = slots.find(_mask(timeless, [(n.start, n.end) for n in named]), vocabulary.tag_keys)
    guessed, unknown, placed = _leftovers(timeless, named, found, vocabulary)
    named = tuple(sorted((*named, *guessed), key=lambda n: n.start))
    masked = _mask(timeless, [(n.start, n.end) for n in named])
    return Parsed(
        plain,
        mentions,
        named,
        found,
        intents.score(masked, timeless, ahead=any((m.period.end - today).days > 1 for m in mentions)),
        unknown,
        placed,
        corrected,
        ids,
        bool(found.named) and bool(_VALUES.search(masked)),
        bool(_TAGS.search(masked)),
        cut,
    )


def _mask(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in spans:
        text = text[:start] + "\0" * (end - start) + text[end:]
    return text


def _leftovers(
    text: str, named: tuple[Named, ...], found: Slots, vocabulary: Vocabulary
) -> tuple[list[Named], tuple[str, ...], tuple[str, ...]]:
    """Words that nothing explains: read as misspelt names where exactly one is close, otherwise kept as unknown."""
    masked = _mask(text, [(n.start, n.end) for n in named])
    spoken = (*found.spans, *intents.score(masked, text).spans)
    rest = _mask(masked, [*spoken, *(m.span() for m in _ID.finditer(text))])
    guessed: list[Named] = []
    unknown: list[str] = []
    placed: list[str] = []
    for word in (entities.Word(m[0], m.start(), m.end()) for m in _COMPOUND.finditer(rest)):
        pieces = re.split(r"[-_]", word.text)
        if all(piece in lexicon.ORDINARY or len(piece) == 1 for piece in pieces):
            continue
        guess = entities.guess(text, word, vocabulary) if len(pieces) == 1 else None
        if guess:
            guessed.append(guess)
            continue
        unknown.append(word.text)
        if (
            len(pieces) > 1
            or word.text.isdigit()
            or _PREPOSITION.search(text[: word.start])
            or _HINTED.match(text[word.end :])
        ):
            placed.append(word.text)
    return guessed, tuple(unknown), tuple(placed)
