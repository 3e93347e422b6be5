"""Paying: plans of questions about who pays, how budgets stand, and what one unit costs."""

from __future__ import annotations

import re
from dataclasses import replace

from agent.planner import intents
from agent.planner.parse import Parsed
from agent.planner.plan import Plan
from agent.planner.vocabulary import Vocabulary

SURE = 0.95
Where = dict[str, list[str]]
_SHARED = "shared"
_PER = re.compile(
    r"\b(?:per|each|every|(?:for|does|do|did|of|is|was) (?:an?|one|each|every))(?: single| one)? (?P<unit>[a-z][\w-]*)"
)
# What may follow a unit; before another word it is a name ("per production account").
_ENDS = re.compile(
    r"\W*(?:$|(?:in|for|on|of|at|by|per|each|during|over|since|from|between|last|this|cost|costs|us|we)\b|\d)"
)
_PLACE = re.compile(r"\b(?:did|does|do|has|is|of|for)(?: the| our)?(?: team)? (?P<name>[\w-]+)")
_BUDGET_OF = re.compile(
    r"\bbudgets?(?: status| overview| report| check)? (?:of|for|called|named)(?: the| our)?(?: team)? (?P<name>[\w-]+)"
)
_BUDGET_CALLED = re.compile(r"\b(?P<name>[a-z0-9][\w-]*) budget (?:status|overview|report|check)\b")
_NO_NAMES = frozenset({"the", "our", "my", "all", "a", "this", "each", "every", "monthly", "everything", "status"})


def allocated(parsed: Parsed, times: dict[str, object], assumed: list[str], vocabulary: Vocabulary) -> Plan:
    """allocated_costs of whoever is named (a team's tag value, or a word that no data knows), or of everybody."""
    args = dict(times)
    where: Where = {}
    payer = ""
    for named in parsed.named:
        tags = [r for r in named.readings if r.dimension.startswith("tag:")]
        if _SHARED in named.said.split():
            # "Shared" is what kind of cost is meant, even where an environment is called so.
            continue
        if tags and not payer and not named.exclude:
            payer = tags[0].values[0]
        elif not named.exclude:
            where.setdefault(named.readings[0].dimension, []).extend(named.readings[0].values)
    payer = payer or next(iter((*parsed.placed, *parsed.unknown)), "") or _ordinary(parsed, vocabulary)
    if payer:
        args["payer"] = payer
    if where:
        args["where"] = where
    if parsed.slots.metric and parsed.slots.metric != "billed":
        args["metric"] = parsed.slots.metric
    return Plan(intents.ALLOCATED, args, SURE, tuple(assumed))


def _ordinary(parsed: Parsed, vocabulary: Vocabulary) -> str:
    """A team whose name is an ordinary word ("data"), where a payer would stand."""
    known = {v.casefold(): v for key in vocabulary.tag_keys for v in vocabulary.values.get(f"tag:{key}", ()) if v}
    return next((known[m["name"]] for m in _PLACE.finditer(parsed.text) if m["name"] in known), "")


def budgets(parsed: Parsed) -> Plan:
    """budget_status of the budget that is named, or of all."""
    found = _BUDGET_OF.search(parsed.text) or _BUDGET_CALLED.search(parsed.text)
    name = found["name"] if found and found["name"] not in _NO_NAMES else ""
    return Plan(intents.BUDGETS, {"budget": name} if name else {}, SURE)


def unit_of(parsed: Parsed) -> str:
    """The word that stands where a unit would ("cost per ORDER") and that nothing else explains; else ''."""
    return next((m["unit"] for m in _PER.finditer(parsed.text) if m["unit"] in parsed.unknown), "")


def with_unit(parsed: Parsed) -> Parsed:
    """A tag's value that stands where a unit would ("cost per order", where a service is called orders) is the unit.

    After an article only where the value was guessed from it: "what does a checkout cost" may well mean the team.
    """
    for m in _PER.finditer(parsed.text):
        if not _ENDS.match(parsed.text[m.end() :]):
            continue
        for named in parsed.named:
            tagged = all(r.dimension.startswith("tag:") for r in named.readings)
            alone = (named.start, named.end) == m.span("unit") and not named.exclude
            if tagged and alone and (named.guessed or m[0].startswith("per ")):
                others = tuple(n for n in parsed.named if n is not named)
                return replace(parsed, named=others, unknown=(*parsed.unknown, m["unit"]))
    return parsed


def units(parsed: Parsed, times: dict[str, object], filters: dict[str, object], assumed: list[str]) -> Plan:
    """unit_costs of the unit that is named, or of the only one there is."""
    args = times | filters
    if unit := unit_of(parsed):
        args["unit"] = unit
    if parsed.slots.metric and parsed.slots.metric != "billed":
        args["metric"] = parsed.slots.metric
    granularity = {"week": "day", "trend": "day"}.get(parsed.slots.granularity, parsed.slots.granularity)
    if granularity:
        args["granularity"] = granularity
    return Plan(intents.UNITS, args, SURE, tuple(assumed))
