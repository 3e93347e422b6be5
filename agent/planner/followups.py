"""Follow-ups: adds a fragment ("and GCP?", "by region", "why?") to the question before it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from agent.planner import build, phrase
from agent.planner.build import Ambiguous
from agent.planner.calendar import before, year_before, year_of
from agent.planner.intents import ALLOCATED, ANOMALIES, COMPARE, FORECAST, PROPOSE, QUERY, RECOMMEND, STATUS, UNITS
from agent.planner.parse import Parsed
from agent.planner.plan import Plan
from agent.planner.vocabulary import Vocabulary
from tools.model.period import Period

SURE = 0.9
_CONTINUES = re.compile(
    r"^(?:ok(?:ay)?,? |cool,? |thanks,? |great,? |hm+,? )?(?:and|what about|how about|same|now|only|just|but|also|then|or|instead|without|excluding|for|on|in|by|per)\b"
    r"|^(?:what|how) about\b|\b(?:same|instead|this time|that|it|those|them)\b"
)
_SAME = re.compile(r"\b(?:same|again|repeat|redo)\b")
_LAST_YEAR = re.compile(r"\b(?:last year|a year (?:ago|earlier|before)|year before|previous year)\b")
_THAT = re.compile(r"\b(?:it|that|this|them|those)\b")
_PRONOUN_MOVE = re.compile(r"\b(?:do|propose|apply|start|move|migrate|go ahead|yes)\b")
_HOW_IS_IT = re.compile(
    r"\b(?:how(?:'s| is| are|s)? (?:it|that|this|they|things)(?: all)?(?: going| doing| coming along)?|going|done yet|finished|any (?:news|update|progress))\b"
)
_BEFORE_THAT = re.compile(r"\b(?:the )?(?:day|week|month|quarter|year|period|one)s? before(?: that)?\b")
_TIMED = frozenset({QUERY, COMPARE, ANOMALIES, FORECAST, ALLOCATED, UNITS})


def merge(
    parsed: Parsed, intent: str, previous: Plan | None, today: date, vocabulary: Vocabulary
) -> Plan | Ambiguous | str | None:
    """The previous plan changed by what this fragment says; None when it is a question of its own."""
    if previous is None or previous.tool not in build._BUILDERS:
        return None
    asked_on = intent == STATUS or (not intent and bool(_HOW_IS_IT.search(parsed.text)))
    several = re.search(r"\b(?:rollouts|migrations|all)\b", parsed.text)
    if asked_on and previous.tool in {PROPOSE, STATUS} and not parsed.ids and not several:
        return _status(parsed, previous, today, vocabulary)
    if intent == PROPOSE and previous.tool in {RECOMMEND, PROPOSE}:
        return None
    if intent == COMPARE and previous.tool in {QUERY, COMPARE, ANOMALIES} and _asks_why(parsed):
        return _why(parsed, previous, today, vocabulary)
    if not parsed.mentions and previous.tool in _TIMED and _BEFORE_THAT.search(parsed.text):
        return _earlier(previous)
    if not _is_fragment(parsed, intent):
        return None
    return _changed(parsed, intent, previous, today, vocabulary)


def _asks_why(parsed: Parsed) -> bool:
    """'why?', 'what changed?', 'why is it up?': asks about what was just shown, and names nothing of its own."""
    return not parsed.named and not parsed.unknown and not parsed.slots.untagged and len(parsed.text.split()) <= 8


def _is_fragment(parsed: Parsed, intent: str) -> bool:
    if parsed.unknown:
        return False
    if parsed.bare:
        slots = parsed.slots
        return bool(parsed.named or parsed.mentions or slots.named or slots.granularity or slots.currency)
    if intent in {QUERY, ""}:
        # "by region", "per day", "top 3", "untagged": these words ask for a split of something said before.
        asks = re.search(
            r"\b(?:how much|cost|costs|spend|spent|spending|bill|pay|paid|what did|what do)\b", parsed.text
        )
        continues = _CONTINUES.search(parsed.text)
        return not asks or bool(continues and len(parsed.text.split()) <= 6 and not parsed.text.startswith("what did"))
    return False


def _earlier(previous: Plan) -> Plan | None:
    period = phrase.period_of(previous.args)
    if period is None:
        return None
    moved = before(period)
    args = previous.args | build._iso(moved)
    if previous.tool == COMPARE:
        args |= build._iso(before(moved), "against_start", "against_end")
    return Plan(previous.tool, args, SURE, (f"the one before: {moved}",))


def _status(parsed: Parsed, previous: Plan, today: date, vocabulary: Vocabulary) -> Plan | Ambiguous | str | None:
    made = build.plan(STATUS, parsed, today, vocabulary)
    if isinstance(made, Plan) and not made.args:
        kept = {k: v for k, v in previous.args.items() if k in {"rollout", "resource"}}
        return Plan(STATUS, kept, SURE)
    return made


def _why(parsed: Parsed, previous: Plan, today: date, vocabulary: Vocabulary) -> Plan | Ambiguous | str:
    if parsed.mentions:
        made = build.plan(COMPARE, parsed, today, vocabulary)
        return made.but(**_kept(previous, "where", "exclude", "metric")) if isinstance(made, Plan) else made
    period = phrase.period_of(previous.args)
    if period is None:
        return build.plan(COMPARE, parsed, today, vocabulary)
    against = phrase.period_of(previous.args, "against_start", "against_end") or before(period)
    args: dict[str, object] = build._iso(period) | build._iso(against, "against_start", "against_end")
    args |= _kept(previous, "where", "exclude", "metric")
    if parsed.slots.by:
        args["by"] = list(parsed.slots.by[:1])
    return Plan(COMPARE, args, SURE, (f"compared with {against}",))


def _kept(previous: Plan, *names: str) -> dict[str, object]:
    return {name: previous.args[name] for name in names if name in previous.args}


def _changed(
    parsed: Parsed, intent: str, previous: Plan, today: date, vocabulary: Vocabulary
) -> Plan | Ambiguous | str | None:
    tool = previous.tool
    made = build.plan(tool if tool not in {PROPOSE, STATUS} else QUERY, parsed, today, vocabulary)
    if isinstance(made, Ambiguous):
        plans = tuple(p for p in (_onto(previous, p, parsed, today) for p in made.plans) if p)
        return Ambiguous(made.sentence, plans)
    if isinstance(made, str) or tool in {PROPOSE, STATUS}:
        return made
    return _onto(previous, made, parsed, today)


def _onto(previous: Plan, new: Plan, parsed: Parsed, today: date) -> Plan:
    """`previous` with the filters, times and splits that `new` really said (its defaults do not count)."""
    tool = COMPARE if new.tool == COMPARE or previous.tool == COMPARE else previous.tool
    args = dict(previous.args)
    notes: list[str] = []
    for key in ("where", "exclude"):
        if isinstance(new.args.get(key), Mapping):
            args[key] = _merged(args.get(key), new.args[key])
    if new.tool == previous.tool or tool == QUERY:
        for key in ("by", "metric", "granularity", "limit", "kind", "dimension", "budget", "payer", "currency"):
            if key in new.args:
                args[key] = new.args[key]
    if parsed.mentions and tool in _TIMED:
        period, notes = _time(previous, new, parsed)
        args |= build._iso(period)
        if tool == COMPARE:
            against = phrase.period_of(new.args, "against_start", "against_end") or before(period)
            args |= build._iso(against, "against_start", "against_end")
            notes = [*notes, f"compared with {against}"]
    return Plan(tool, args, SURE, tuple(notes))


def _time(previous: Plan, new: Plan, parsed: Parsed) -> tuple[Period, list[str]]:
    """The new period; "the same for last year" moves the one before by a year."""
    said = phrase.period_of(new.args) or parsed.mentions[0].period
    earlier = phrase.period_of(previous.args)
    if earlier and _LAST_YEAR.search(parsed.text) and earlier.days < 366 and said == year_of(said.start):
        moved = year_before(earlier)
        return moved, [f"read as the same days a year earlier, {moved}"]
    return said, [parsed.mentions[0].assumption] if parsed.mentions[0].assumption else []


def _merged(old: object, new: object) -> dict[str, object]:
    """Filters of the same dimension are replaced; a narrower name of another kind is added."""
    merged = dict(old) if isinstance(old, Mapping) else {}
    incoming = dict(new) if isinstance(new, Mapping) else {}
    if "provider" in incoming and "service_name" in merged and "service_name" not in incoming:
        # "and on GCP?" after a question about an AWS service: that service does not exist there.
        merged.pop("service_name")
    if "service_name" in incoming:
        merged.pop("provider", None)
    return merged | incoming
