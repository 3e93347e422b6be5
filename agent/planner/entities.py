"""Entities: finds the clouds, services, accounts, regions and tag values that a question names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.planner import aliases
from agent.planner.vocabulary import Candidate, Vocabulary, words

SHORTEST = 5
LONG = 9
_TOKEN = re.compile(r"[^\W_]+")
_SUFFIXES = frozenset(
    (
        "related",
        "only",
        "based",
        "side",
        "wide",
        "specific",
        "hosted",
        "cost",
        "costs",
        "spend",
        "bill",
        "level",
        "wise",
    )
)
_EXCLUDING = re.compile(r"(?:excluding|excl|exclude|except(?: for)?|without|but not|not counting|other than|minus|ignoring|not|non|(?:everything|anything|all) but)(?: the| our| any)?[\s-]*$")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """One token of the text with its place."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Named:
    """Something the text names. More than one reading means that a person must choose. `said` is how it was typed."""

    said: str
    readings: tuple[Candidate, ...]
    start: int
    end: int
    exclude: bool = False
    guessed: bool = False


def tokens(text: str) -> tuple[Word, ...]:
    """Words with their offsets; what earlier steps consumed (NUL characters) separates words."""
    return tuple(Word(m[0], m.start(), m.end()) for m in _TOKEN.finditer(text))


def find(text: str, vocabulary: Vocabulary, ordinary: frozenset[str]) -> tuple[Named, ...]:
    """Everything named in `text` (lower case), longest names first, left to right.

    `ordinary` are words of the language of questions: alone they are a value only beside a hint ("team data").
    """
    row = tokens(text)
    found: list[Named] = []
    at = 0
    while at < len(row):
        named = _exact_at(text, row, at, vocabulary, ordinary)
        if named is None:
            at += 1
            continue
        found.append(named)
        at = next((n for n, w in enumerate(row) if w.start >= named.end), len(row))
    return tuple(found)


def _exact_at(
    text: str, row: tuple[Word, ...], at: int, vocabulary: Vocabulary, ordinary: frozenset[str]
) -> Named | None:
    for length in range(min(vocabulary.longest, len(row) - at), 0, -1):
        part = row[at : at + length]
        key = tuple(w.text for w in part)
        readings = vocabulary.index.get(key, ())
        tail = vocabulary.tails.get(key)
        part_of = vocabulary.parts.get(key) if length > 1 or part[0].text not in ordinary else None
        if not (readings or tail or part_of) or "\0" in text[part[0].start : part[-1].end]:
            continue
        if _compound(text, part[0].start, part[-1].end):
            continue
        said = text[part[0].start : part[-1].end]
        hint, start, end = _hint(text, row, at, length)
        chosen = tuple(r for r in readings if r.dimension in hint) if hint else readings
        if not chosen and tail and tail.dimension in hint:
            chosen = readings = (tail,)
        if not readings and part_of and (not hint or part_of.dimension in hint):
            return _named(text, (part_of,), part[0].start, part[-1].end, said=said, guessed=True)
        if not readings:
            continue
        if not chosen:
            chosen, start, end = readings, part[0].start, part[-1].end
        elif not hint:
            start, end = part[0].start, part[-1].end
        plain = length == 1 and part[0].text in ordinary
        if plain and not (hint and chosen != readings) and not (hint and len(readings) == 1):
            continue
        return _named(text, chosen, start, end, said=said)
    return None


def _compound(text: str, start: int, end: int) -> bool:
    """Inside a longer hyphenated name ("search-indexers" is not the team search); "aws-only" and "non-aws" are not."""
    before = re.search(r"([^\W_]+)-$", text[:start])
    after = re.match(r"-([^\W_]+)", text[end:])
    return bool(before and before[1] != "non") or bool(after and after[1] not in _SUFFIXES)


def _hint(text: str, row: tuple[Word, ...], at: int, length: int) -> tuple[tuple[str, ...], int, int]:
    """The dimensions that the neighbouring word points to, and the span including that word."""
    start, end = row[at].start, row[at + length - 1].end
    after = row[at + length] if at + length < len(row) else None
    if after and text[end : after.start] == " " and after.text.rstrip("s") in aliases.HINTS:
        return aliases.HINTS[after.text.rstrip("s")], start, after.end
    before = row[at - 1] if at else None
    between = text[before.end : start] if before else ""
    joined = between in {" ", ":", "=", ' "', " '", ": "}
    if before and joined and at > 1 and row[at - 2].text == "tag":
        return (f"tag:{before.text}",), row[at - 2].start, end
    if before and joined and before.text in aliases.HINTS:
        return aliases.HINTS[before.text], before.start, end
    return (), start, end


def _named(
    text: str, readings: tuple[Candidate, ...], start: int, end: int, *, said: str, guessed: bool = False
) -> Named:
    lead = _EXCLUDING.search(text[:start])
    return Named(said, _one_account(readings), lead.start() if lead else start, end, bool(lead), guessed)


def _one_account(readings: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """An account whose id and name read the same is one thing, not a choice."""
    dimensions = {r.dimension for r in readings}
    if {"sub_account_name", "sub_account_id"} <= dimensions:
        return tuple(r for r in readings if r.dimension != "sub_account_name")
    return readings


def guess(text: str, said: Word, vocabulary: Vocabulary) -> Named | None:
    """The one value that an unknown word is a slip of the fingers away from; None when there is none, or several."""
    from rapidfuzz.distance import OSA

    if len(said.text) < SHORTEST:
        return None
    allowed = 2 if len(said.text) >= LONG else 1
    best = allowed
    close: list[tuple[Candidate, ...]] = []
    for key, readings in vocabulary.index.items():
        distance = OSA.distance(said.text, "".join(key), score_cutoff=best)
        if distance <= best:
            kept = close if distance == best else []
            close = kept if readings in kept else [*kept, readings]
            best = distance
    if len(close) != 1:
        return None
    row = tokens(text)
    hint, start, end = _hint(text, row, next(n for n, w in enumerate(row) if w.start == said.start), 1)
    hinted = tuple(r for r in close[0] if r.dimension in hint)
    if not hinted:
        return _named(text, close[0], said.start, said.end, said=said.text, guessed=True)
    return _named(text, hinted, start, end, said=said.text, guessed=True)


def nearest(said: str, vocabulary: Vocabulary, limit: int = 3) -> tuple[str, ...]:
    """Known values that look most like what was typed, for a sentence that asks."""
    from rapidfuzz import fuzz, process

    choices = {value: " ".join(words(value)) for d, values in vocabulary.values.items() for value in values if value}
    hits = process.extract(" ".join(words(said)), choices, scorer=fuzz.WRatio, limit=limit, score_cutoff=60)
    return tuple(str(hit[2]) for hit in hits)
