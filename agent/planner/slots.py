"""Slots: what a question splits by, which cost it means, how fine in time, and how many lines it wants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from agent.planner import aliases, currencies

_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_N = r"(?P<n>\d{1,3}|" + "|".join(_NUMBERS) + ")"
_SUPERLATIVE = r"(?:most expensive|biggest|largest|highest|costliest|priciest|top|greatest)"
TOP = 5
_GRANULARITY = (
    ("day", r"\b(?:daily|per day|day by day|by day|each day|every day|day-by-day|per-day|a day)\b"),
    ("month", r"\b(?:monthly|per month|month by month|by month|each month|every month|month-by-month|by the month|months?ly|a month)\b"),
    ("week", r"\b(?:weekly|per week|by week|each week|every week|week by week)\b"),
    ("trend", r"\b(?:over time|timeline|trend(?:s|line)?|time series|evolv(?:e|ed|ing)|evolution|history)\b"),
)  # fmt: skip
_HELD = r"(?:commitments?|savings? plans?|reserved instances?|reservations?|ris|cuds?)"
_AGREED = r"(?:negotiated (?:prices?|rates?|discounts?)|enterprise discounts?|edp|contracts?)"
_METRIC = (
    ("commitment_savings", rf"\b(?:are|do) we (?:really |actually )?sav(?:e|ing)\b.{{0,20}}\b(?:by|from|through|with|thanks to) (?:our |the )?{_HELD}|\b{_HELD}(?: really| actually| have| has)? sav(?:e[ds]?|ing)\b|\b(?:sav(?:ed|ings?)|save) (?:by|from|through|with|thanks to|on) (?:our |the )?{_HELD}\b|\bcommitment savings\b"),
    ("negotiated_savings", rf"\b{_AGREED}(?: really| actually| have| has)? sav(?:e[ds]?|ing)\b|\bsav(?:ed|ings?) (?:by|from|through|with|thanks to) (?:our |the )?{_AGREED}\b|\bnegotiated savings\b"),
    ("gross", r"\bgross(?: costs?| spend| bill)?\b|\bbefore credits\b"),
    ("effective", r"\b(?:(?:net )?(?:amorti[sz]ed|effective)(?: costs?| spend)?)\b"),
    ("list", r"\b(?:(?:at )?(?:list|public|rack)(?:[ -]rate)? (?:prices?|costs?|rates?)|before discounts?|undiscounted)\b"),
    ("contracted", r"\b(?:contracted|negotiated)(?: costs?| prices?| rates?)?\b"),
    ("billed", r"\b(?:billed(?: costs?)?|unblended(?: costs?)?|invoiced|cash basis)\b"),
)  # fmt: skip
# "compared to the 30 days before": that is what a comparison is made with anyway.
_BEFORE_THAT = re.compile(
    r"\b(?:the )?(?:\w+ )?(?:days?|weeks?|months?|quarters?|period) (?:before|prior|earlier)(?: that)?\b"
)
_SHARE = re.compile(r"\b(?:share|percent(?:age)?|proportion|fraction|portion|how much of (?:our|the|my|all))\b")
_EXTREME = re.compile(
    rf"\b{_SUPERLATIVE}(?: single)? (?P<unit>day|month)s?\b|\b(?P<u2>day|month)s? (?:was|were|had|with)\b.{{0,20}}\b{_SUPERLATIVE}\b"
)
_UNTAGGED = re.compile(
    r"\b(?:untagged|not tagged|unallocated|unowned|(?:without|no|missing|lacking)(?: an?| any| the)?(?: (?P<key>[a-z_]+))? tags?|"
    r"(?:without|with no|no)(?: an?| any)? (?P<bare>team|owner|env|environment|cost cent(?:er|re)))\b"
)


@dataclass(frozen=True, slots=True)
class Slots:
    """What was found, and the places in the text that said it. `granularity` may be "week", which nobody serves."""

    by: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    metric: str = ""
    granularity: str = ""
    limit: int | None = None
    untagged: str = ""
    spans: tuple[tuple[int, int], ...] = ()
    metrics: tuple[str, ...] = ()
    share: bool = False
    currency: str = ""


@lru_cache(maxsize=8)
def dimension_words(tag_keys: tuple[str, ...]) -> dict[str, str]:
    """Every word for a dimension (singular and plural) with the dimension's own name."""
    singular = {key.replace("_", " "): f"tag:{key}" for key in tag_keys}
    singular |= {word: f"tag:{key}" for word, key in aliases.TAG_WORDS.items() if key in tag_keys}
    singular |= aliases.DIMENSIONS
    plural = {(w[:-1] + "ies" if w.endswith("y") else w + "s"): d for w, d in singular.items()}
    return singular | plural


@lru_cache(maxsize=8)
def _patterns(tag_keys: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    one = "(?:" + "|".join(sorted(map(re.escape, dimension_words(tag_keys)), key=len, reverse=True)) + ")"
    several = rf"(?P<dims>{one}(?:(?: ?, ?| and | & | ?\+ ?| ?/ ?| x )(?:then )?(?:by |per )?{one})*)"
    by = re.compile(
        rf"\b(?:by|per|each|every|for (?:each|every|all)|across|distribution of|"
        rf"(?:break ?down|split)(?: up| down)?(?: of| by|,)?)[ -]+(?:(?:the|our|all|each|tag|different|individual) )*{several}\b"
    )
    which = re.compile(
        rf"\b(?:which|what(?: are| is|'s)?|{_SUPERLATIVE})(?: of)?(?: (?:the|our|my))?(?: {_SUPERLATIVE}| cheapest| least expensive)?(?: (?:\d+|{'|'.join(_NUMBERS)}))?"
        rf"(?: {_SUPERLATIVE}| single| cost| spend(?:ing)?| cloud)* (?P<dims>{one})\b"
    )
    wise = re.compile(rf"\b(?P<dims>{one})[ -](?:wise|breakdown|split|level|by {one})\b")
    bare = re.compile(rf"\b{one}\b")
    return by, which, wise, bare


def find(text: str, tag_keys: tuple[str, ...]) -> Slots:
    """Fill the slots from `text` (lower case; consumed names and periods are NUL characters)."""
    spans: list[tuple[int, int]] = []
    known = dimension_words(tag_keys)
    by_pattern, which, wise, bare = _patterns(tag_keys)
    by: list[str] = []
    for pattern in (by_pattern, which, wise):
        for m in pattern.finditer(text):
            spans.append(m.span())
            by += [known[w[0]] for w in bare.finditer(m["dims"])]
    named = tuple(dict.fromkeys(known[m[0]] for m in bare.finditer(text)))
    spans += [m.span() for m in bare.finditer(text)]
    currency, said = currencies.find(text)
    if said:
        spans.append(said)
        text = text[: said[0]] + "\0" * (said[1] - said[0]) + text[said[1] :]
    metrics = _metrics(text, spans)
    granularity = _first(_GRANULARITY, text, spans)
    if extreme := _EXTREME.search(text):
        # "our most expensive day" asks for the days, not for services.
        granularity = extreme["unit"] or extreme["u2"]
        text = text[: extreme.start()] + "\0" * (extreme.end() - extreme.start()) + text[extreme.end() :]
    spans += [m.span() for m in _BEFORE_THAT.finditer(text)]
    return Slots(
        tuple(dict.fromkeys(by)),
        named,
        metrics[0] if metrics else "",
        granularity,
        _limit(text, spans),
        _untagged(text, tag_keys, spans),
        tuple(spans),
        metrics,
        bool(_SHARE.search(text)),
        currency,
    )


def saved_by(text: str) -> tuple[int, int] | None:
    """Where a question says what commitments or contracts saved: there "savings plans" is no name of a service."""
    found = (re.search(pattern, text) for name, pattern in _METRIC if name.endswith("_savings"))
    return next((m.span() for m in found if m), None)


def _metrics(text: str, spans: list[tuple[int, int]]) -> tuple[str, ...]:
    """Kinds of cost that are named; words that say one ("saved by negotiated prices") do not say another as well."""
    found = []
    for name, pattern in _METRIC:
        if m := re.search(pattern, text):
            spans.append(m.span())
            text = text[: m.start()] + "\0" * (m.end() - m.start()) + text[m.end() :]
            found.append(name)
    return tuple(found)


def _first(patterns: tuple[tuple[str, str], ...], text: str, spans: list[tuple[int, int]]) -> str:
    for name, pattern in patterns:
        if m := re.search(pattern, text):
            spans.append(m.span())
            return name
    return ""


def _limit(text: str, spans: list[tuple[int, int]]) -> int | None:
    for pattern in (rf"\b{_SUPERLATIVE} {_N}\b", rf"\b{_N} {_SUPERLATIVE}\b"):
        if m := re.search(pattern, text):
            spans.append(m.span())
            return max(1, int(m["n"]) if m["n"].isdigit() else _NUMBERS[m["n"]])
    if m := re.search(rf"\b{_SUPERLATIVE}\b", text):
        spans.append(m.span())
        return TOP
    return None


def _untagged(text: str, tag_keys: tuple[str, ...], spans: list[tuple[int, int]]) -> str:
    m = _UNTAGGED.search(text)
    if m is None or not tag_keys:
        return ""
    spans.append(m.span())
    said = (m["key"] or m["bare"] or "").replace(" ", "_")
    key = aliases.TAG_WORDS.get(said.replace("_", " "), said)
    return f"tag:{key}" if key in tag_keys else f"tag:{tag_keys[0]}"
