"""Reading: decides what a question asks - a plan to run, a choice to offer, or a plain no."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from agent.answer import Status
from agent.planner import aliases, build, followups, intents, paying, phrase
from agent.planner.build import Ambiguous
from agent.planner.intents import (
    ACT,
    ALLOCATED,
    BUDGETS,
    COMPARE,
    DATA,
    HELP,
    OUTSIDE,
    PROPOSE,
    QUERY,
    RECOMMEND,
    STATUS,
    UNITS,
    VALUES,
)
from agent.planner.parse import Parsed, parse
from agent.planner.plan import Plan, Reading
from agent.planner.vocabulary import Vocabulary
from tools.model.query import Metric

EXAMPLES = (
    "What did we spend per service last month?",
    "Why did cost change last week?",
    "Any anomalies in the last 30 days?",
    "Where can we save money?",
)
CONFIDENT = 0.95
CLOSE = 0.6
_LIMIT = 0.5
# Who pays, budgets and units have names that cost data does not know.
_NAMES_THEIR_OWN = frozenset({ALLOCATED, BUDGETS, UNITS})
_SAVED_BY = frozenset({Metric.COMMITMENT_SAVINGS, Metric.NEGOTIATED_SAVINGS})
_CALENDAR_AHEAD = re.compile(r"\b(?:forecast|predict|projected|projection|will|going to|gonna|expect|budget)\b")
_COMMANDED = (
    "Nothing is approved, stopped or changed by words: a rollout moves only when a person who may do so presses the "
    "buttons on its card (or types `optiinfra rollout` with their name). Nothing was changed."
)
_MEANING = re.compile(
    r"^(?:what (?:is|are|does|do)|what's|whats|define|explain|meaning of|tell me what)\b.{0,20}\b(?:billed|effective|amorti[sz]ed|list|contracted|negotiated|unblended)\b(?: costs?| prices?| spend)?(?: mean| means| is)?\W*$"
)
_THANKS = re.compile(r"\b(?:thanks|thank you|thx|ty|cheers)\b")
_HELP = (
    "Ask me about cloud cost in your own words: what was spent and on what, why it changed, what looks unusual, what "
    "the month will cost, and where money can be saved. I can also propose a change in stages and say how it goes; "
    "people approve it with the buttons on its card."
)
_OUTSIDE = "That is outside what I do: I answer questions about cloud cost, savings and rollouts."


def read(text: str, today: date, vocabulary: Vocabulary, previous: Plan | None = None) -> Reading:
    """Understand one question. `previous` is the plan of the question before in the same conversation."""
    parsed = paying.with_unit(parse(text, today, vocabulary, ahead=bool(_CALENDAR_AHEAD.search(text.lower()))))
    if not parsed.text:
        return _not_understood("There was no question in that message.")
    reading = _decide(parsed, today, vocabulary, previous)
    return _with_notes(reading, parsed)


def _decide(parsed: Parsed, today: date, vocabulary: Vocabulary, previous: Plan | None) -> Reading:
    intent = _intent(parsed, previous)
    if intent == HELP and _THANKS.search(parsed.text):
        return Reading(Status.ANSWERED, sentence="You are welcome.", intent=HELP)
    if (m := _MEANING.search(parsed.text)) and not (parsed.named or parsed.mentions or parsed.slots.by):
        return Reading(Status.ANSWERED, sentence=_meaning(m[0]), alternatives=EXAMPLES[:1], intent=HELP)
    if parsed.asks_tags and not parsed.scored.of(QUERY):
        keys = ", ".join(vocabulary.tag_keys) or "none"
        return Reading(Status.ANSWERED, sentence=f"Tag keys that cost can be split by: {keys}.", intent=VALUES)
    if intent == HELP:
        return Reading(Status.ANSWERED, sentence=_HELP, alternatives=EXAMPLES, intent=HELP)
    if intent == ACT:
        return Reading(Status.REFUSED, sentence=_COMMANDED, alternatives=_instead(parsed), intent=ACT)
    if intent == OUTSIDE:
        return Reading(Status.NOT_UNDERSTOOD, sentence=_OUTSIDE, alternatives=EXAMPLES, intent=OUTSIDE)
    followed = followups.merge(parsed, intent, previous, today, vocabulary) if previous else None
    if followed is not None:
        return _outcome(followed, parsed, intent, vocabulary)
    if not intent:
        return _fragment(parsed, today, vocabulary)
    unclear = _unknown_name(parsed, intent, vocabulary)
    if unclear:
        return unclear
    return _outcome(build.plan(intent, parsed, today, vocabulary), parsed, intent, vocabulary)


def _intent(parsed: Parsed, previous: Plan | None) -> str:
    best = parsed.scored.best
    if parsed.slots.metric in _SAVED_BY:
        # What commitments saved is a kind of cost of every bill, not a proposal and not the outcome of a rollout.
        return QUERY
    if parsed.asks_values and best in {"", QUERY} and parsed.scored.of(QUERY) < 1 and _filtered(parsed):
        # "what services does the web team use?" is about what that team pays for.
        return QUERY
    if parsed.asks_values and parsed.scored.of(QUERY) < 1 and best in {"", QUERY, STATUS}:
        return VALUES
    if best == QUERY and parsed.scored.of(QUERY) < 1.5 and parsed.asks_values:
        return VALUES
    if best == STATUS and parsed.scored.of(STATUS) < 4 and not (previous and previous.tool in {PROPOSE, STATUS}):
        # "Progress" or "status" alone says little; it needs something that can be rolled out.
        if parsed.scored.second:
            return parsed.scored.second
        return STATUS
    if best == QUERY and parsed.slots.untagged:
        return QUERY
    if best == QUERY and paying.unit_of(parsed):
        return UNITS
    return best


def _meaning(text: str) -> str:
    """What a kind of cost is."""
    word = next(
        m
        for m in ("billed", "effective", "amortized", "amortised", "list", "contracted", "negotiated", "unblended")
        if m in text
    )
    metric = {
        "amortized": "effective",
        "amortised": "effective",
        "negotiated": "contracted",
        "unblended": "billed",
    }.get(word, word)
    meaning = Metric(metric).meaning
    return meaning[0].upper() + meaning[1:] + "."


def _filtered(parsed: Parsed) -> bool:
    return any(not n.exclude for n in parsed.named)


def _outcome(made: Plan | Ambiguous | str, parsed: Parsed, intent: str, vocabulary: Vocabulary) -> Reading:
    if isinstance(made, str):
        return _not_understood(made, intent=intent)
    if isinstance(made, Ambiguous):
        return Reading(
            Status.AMBIGUOUS,
            sentence=made.sentence,
            alternatives=tuple(phrase.question(p) for p in made.plans)[:4],
            intent=intent,
        )
    confidence = _confidence(made, parsed)
    if confidence < _LIMIT:
        words = ", ".join(f'"{w}"' for w in parsed.unknown[:4])
        return _not_understood(f"I am not sure what is asked: I could not place {words}.", intent=intent)
    plan = replace(made, confidence=confidence)
    rivals = _rivals(parsed, plan)
    return Reading(Status.ANSWERED, replace(plan, alternatives=rivals), intent=intent)


def _confidence(plan: Plan, parsed: Parsed) -> float:
    forgiven = 3 if plan.tool in {PROPOSE, STATUS, RECOMMEND} else 0
    unexplained = max(0, len(_unused(plan, parsed)) - forgiven)
    confidence = plan.confidence - 0.12 * unexplained
    if 0 < parsed.scored.margin < CLOSE and parsed.scored.second not in {QUERY, ""}:
        confidence -= 0.15
    return round(max(0.0, confidence), 2)


def _unused(plan: Plan, parsed: Parsed) -> list[str]:
    """Words that nothing explains and that the plan does not take as a name either."""
    if plan.tool not in _NAMES_THEIR_OWN:
        return list(parsed.unknown)
    taken = {plan.args.get(key) for key in ("payer", "unit", "budget")}
    return [word for word in parsed.unknown if word not in taken]


def _rivals(parsed: Parsed, plan: Plan) -> tuple[str, ...]:
    """Another reading that scored nearly as well, as a question to choose."""
    second = parsed.scored.second
    if not second or parsed.scored.margin >= CLOSE or second in {ACT, HELP, OUTSIDE, plan.tool, QUERY}:
        return ()
    args = {k: v for k, v in plan.args.items() if k in {"start", "end", "where"}}
    return (phrase.question(Plan(second, args, 0.0)),)


def _unknown_name(parsed: Parsed, intent: str, vocabulary: Vocabulary) -> Reading | None:
    """A word that stands where a name would, and that no data knows: say so instead of answering something else."""
    if intent not in {QUERY, COMPARE} and not any(not w.isdigit() for w in parsed.placed):
        return None
    if intent in {PROPOSE, STATUS, RECOMMEND, DATA, *_NAMES_THEIR_OWN} or not parsed.placed:
        return None
    said = parsed.placed[0]
    if said.isdigit():
        return _not_understood(
            f'I could not place "{said}". Write a day as 2026-11-23, or as 23 November.', intent=intent
        )
    if said in aliases.PROVIDER_NAMES or said in aliases.PROVIDERS:
        known = ", ".join(v for v in vocabulary.values.get("provider", ()) if v) or "none yet"
        name = aliases.PROVIDER_NAMES.get(said, said)
        return _not_understood(f"There is no cost data of {name} here; the clouds with data are: {known}.")
    from agent.planner.entities import nearest

    close = nearest(said, vocabulary)
    hint = f" The nearest names are: {', '.join(close)}." if close else ""
    return _not_understood(f'I know no service, account, region or tag value called "{said}".{hint}', intent=intent)


def _fragment(parsed: Parsed, today: date, vocabulary: Vocabulary) -> Reading:
    """Two of a name, a time and a split ask what was spent; one alone, and no conversation to add it to, gets whole
    questions offered."""
    if parsed.unknown and not (parsed.named or parsed.slots.by):
        return _not_understood("I did not understand that as a question about cloud cost.")
    if not (parsed.named or parsed.mentions or parsed.slots.by or parsed.slots.named):
        return _not_understood("I did not understand that as a question about cloud cost.")
    if sum(map(bool, (parsed.named, parsed.slots.by, parsed.mentions))) > 1 and not parsed.unknown:
        made = build.plan(QUERY, parsed, today, vocabulary)
        if isinstance(made, Plan):
            made = replace(made, assumptions=(*made.assumptions, "read as: what was spent"))
        return _outcome(made, parsed, QUERY, vocabulary)
    offers = []
    for intent in (QUERY, COMPARE, intents.ANOMALIES):
        made = build.plan(intent, parsed, today, vocabulary)
        if isinstance(made, Plan):
            offers.append(phrase.question(made))
        elif isinstance(made, Ambiguous):
            offers += [phrase.question(p) for p in made.plans[:1]]
    return Reading(
        Status.AMBIGUOUS,
        sentence="What would you like to know about it?",
        alternatives=tuple(dict.fromkeys(offers))[:4],
        intent="fragment",
    )


def _instead(parsed: Parsed) -> tuple[str, ...]:
    if parsed.ids and parsed.ids[0].startswith("ro-"):
        return (f"How is the rollout {parsed.ids[0]} doing?",)
    return ("How are the rollouts doing?", "Where can we save money?")


def _not_understood(sentence: str, intent: str = "") -> Reading:
    return Reading(Status.NOT_UNDERSTOOD, sentence=sentence, alternatives=EXAMPLES, intent=intent)


def _with_notes(reading: Reading, parsed: Parsed) -> Reading:
    notes = [f'"{typed}" was read as "{read}"' for typed, read in parsed.corrected]
    notes += [f'"{n.said}" was read as "{n.readings[0].values[0]}"' for n in parsed.named if n.guessed]
    if parsed.cut:
        notes.append("only the beginning of the long message was read")
    plan = reading.plan
    if plan is None:
        return replace(reading, notes=tuple(notes))
    if plan.tool not in {PROPOSE, STATUS} and (unused := _unused(plan, parsed)):
        notes.append("not used: " + ", ".join(f'"{w}"' for w in unused[:5]))
    return replace(reading, plan=replace(plan, assumptions=(*plan.assumptions, *notes)))
