"""Build: turns a parsed question and its intent into a plan, or into the choice that a person must make."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import product

from agent.planner import aliases, intents, paying
from agent.planner.calendar import (
    add_months,
    before,
    month_of,
    quarter_of,
    shift_months,
    to_date,
    week_of,
    year_before,
    year_of,
)
from agent.planner.parse import Parsed
from agent.planner.periods import Mention
from agent.planner.plan import Plan
from agent.planner.vocabulary import Candidate, Vocabulary, words
from tools.model.period import Period

SURE = 0.95
LONG_TREND = 62
_YEAR_AGO = re.compile(
    r"\b(?:same (?:time|period|month|week|days?|quarter)|year[ -](?:over|on)[ -]year|yoy|a year (?:ago|earlier|before))\b"
)
_SAME_LAST = re.compile(
    r"\bsame (?:day|days|weekday|time|period|week|month|quarter|point)s?(?: of| in| from)?(?: the)? (?:last|previous|prior) (?P<u>week|month|quarter|year)\b"
)
_UNTIL = re.compile(r"\b(?:until|till|by|through|up to|to)\b")
_BACKWARDS = re.compile(r"\bfrom\b")
Where = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Words with more than one meaning here; each plan is one of them."""

    sentence: str
    plans: tuple[Plan, ...]


def plan(intent: str, parsed: Parsed, today: date, vocabulary: Vocabulary) -> Plan | Ambiguous | str:
    """The plan of an intent; a sentence (str) when something needed is not there."""
    if intent in {intents.QUERY, intents.COMPARE} and len(parsed.slots.metrics) > 1:
        return _metrics(parsed, today, vocabulary)
    choices = _choices(parsed, intent)
    made = [_BUILDERS[intent](parsed, where, exclude, today, vocabulary) for where, exclude in choices]
    plans = tuple(p for p in made if isinstance(p, Plan))
    if not plans:
        return made[0]
    if len(plans) == 1:
        return plans[0]
    unclear = next(n for n in parsed.named if len(n.readings) > 1)
    kinds = " or ".join(_kind(r) for r in unclear.readings)
    return Ambiguous(f'"{unclear.said}" can be {kinds} here. Which one is meant?', plans)


def _metrics(parsed: Parsed, today: date, vocabulary: Vocabulary) -> Plan | Ambiguous | str:
    """Two kinds of cost in one question: each is a question of its own."""
    plans = []
    for metric in parsed.slots.metrics:
        one = replace(parsed, slots=replace(parsed.slots, metric=metric, metrics=(metric,)))
        made = plan(intents.QUERY, one, today, vocabulary)
        if not isinstance(made, Plan):
            return made
        plans.append(made)
    return Ambiguous("One kind of cost is shown at a time. Which one first?", tuple(plans))


def _kind(candidate: Candidate) -> str:
    name = aliases.shown(candidate.dimension)
    name = f"{name} tag" if candidate.dimension.startswith("tag:") else name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


_WITHOUT_FILTERS = frozenset(
    {
        intents.PROPOSE,
        intents.STATUS,
        intents.VALUES,
        intents.DATA,
        intents.SAVED,
        intents.ALLOCATED,
        intents.BUDGETS,
    }
)


def _choices(parsed: Parsed, intent: str) -> list[tuple[Where, Where]]:
    """Every combination of readings of the names, as (where, exclude) filters."""
    if intent in _WITHOUT_FILTERS:
        return [({}, {})]
    found: list[tuple[Where, Where]] = []
    for combination in product(*(named.readings for named in parsed.named)):
        where: Where = {}
        exclude: Where = {}
        for named, reading in zip(parsed.named, combination, strict=True):
            into = exclude if named.exclude else where
            values = into.setdefault(reading.dimension, [])
            values += [v for v in reading.values if v not in values]
        if (where, exclude) not in found:
            found.append((where, exclude))
    return found[:4]


def _iso(period: Period, start: str = "start", end: str = "end") -> dict[str, object]:
    return {start: period.start.isoformat(), end: period.end.isoformat()}


def _filters(where: Where, exclude: Where) -> dict[str, object]:
    args: dict[str, object] = {}
    if where:
        args["where"] = where
    if exclude:
        args["exclude"] = exclude
    return args


def _period(mentions: tuple[Mention, ...], today: date) -> tuple[Period, list[str]]:
    if not mentions:
        return to_date(month_of(today), today), ["period not given: month to date"]
    first = mentions[0]
    return first.period, [first.assumption] if first.assumption else []


def query(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """query_costs: one period (several named ones become their span by month), filters, splits."""
    period, assumed = _period(parsed.mentions, today)
    slots = parsed.slots
    granularity = slots.granularity
    if granularity == "week":
        granularity = "day"
        assumed.append("weeks are shown day by day")
    if granularity and not parsed.mentions:
        period, assumed = _for_granularity(granularity, today)
    if granularity == "trend":
        granularity = "month" if period.days > LONG_TREND else "day"
    if len(parsed.mentions) > 1:
        period = Period(min(m.period.start for m in parsed.mentions), max(m.period.end for m in parsed.mentions))
        assumed = [f"the times are read as one period, {period}"]
        if not granularity and all(m.period == month_of(m.period.start) for m in parsed.mentions):
            granularity = "month"
    if slots.untagged:
        where = {**where, slots.untagged: [""]}
        assumed.append(f'untagged is read as: without a "{slots.untagged.removeprefix("tag:")}" tag')
    by = list(slots.by)
    if not by:
        by = [d for d, values in where.items() if len(values) > 1 and _several(parsed, d)]
    if (
        not by
        and re.search(r"^who\b|\bwho (?:spends?|is spending|spent|uses?|costs?)\b", parsed.text)
        and vocabulary.tag_keys
    ):
        by = [f"tag:{vocabulary.tag_keys[0]}"]
        assumed.append(f"who is read as: which {vocabulary.tag_keys[0]}")
    if not by and slots.limit and slots.named:
        by = list(slots.named[:1])
    if not by and slots.limit:
        by = ["service_name"]
        assumed.append("split not given: by service")
    if (
        not by
        and not granularity
        and re.search(r"\b(?:break ?down|broken down|split|money go(?:es|ing)?)\b", parsed.text)
    ):
        by = ["service_name"]
        assumed.append("split not given: by service")
    if not by:
        by = [d for d in slots.named if _plural(parsed.text, d, vocabulary)][:2]
    args: dict[str, object] = _iso(period) | _filters(where, exclude)
    if by:
        args["by"] = by
    if slots.metric and slots.metric != "billed":
        args["metric"] = slots.metric
    if granularity:
        args["granularity"] = granularity
    if slots.limit and by:
        args["limit"] = slots.limit
    if slots.share and where:
        args["share"] = True
    if slots.currency:
        args["currency"] = slots.currency
    return Plan(intents.QUERY, args, SURE, tuple(assumed))


def _for_granularity(granularity: str, today: date) -> tuple[Period, list[str]]:
    """A time for "per day" and "per month" without one: enough of them to see something."""
    if granularity == "month":
        start = month_of(today).start
        return Period(add_months(start, -6), date.fromordinal(today.toordinal() + 1)), [
            "period not given: the last six months and this one"
        ]
    return Period(date.fromordinal(today.toordinal() - 30), today), ["period not given: the last 30 days"]


def _several(parsed: Parsed, dimension: str) -> bool:
    """More than one name was said for it (one name may stand for several values)."""
    return sum(1 for n in parsed.named if not n.exclude and n.readings[0].dimension == dimension) > 1


def _plural(text: str, dimension: str, vocabulary: Vocabulary) -> bool:
    """A dimension said in the plural ("cost of our accounts") asks for a split."""
    from agent.planner.slots import dimension_words

    said = [w for w, d in dimension_words(vocabulary.tag_keys).items() if d == dimension and w.endswith("s")]
    return any(re.search(rf"\b{re.escape(w)}\b", text) for w in said)


def compare(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """compare_costs: a period and what it is compared with; two names without two times are one query, side by side."""
    slots = parsed.slots
    several = [d for d, values in where.items() if len(values) > 1 and _several(parsed, d)]
    only_versus = parsed.scored.of(intents.COMPARE) <= 3
    if several and len(parsed.mentions) < 2 and only_versus:
        return query(parsed, where, exclude, today, vocabulary)
    if unit := _step(parsed):
        # "month over month, for the last six months": each beside the one before.
        return query(replace(parsed, slots=replace(slots, granularity=unit)), where, exclude, today, vocabulary)
    period, against, assumed = _two_periods(parsed, today)
    args: dict[str, object] = _iso(period) | _iso(against, "against_start", "against_end") | _filters(where, exclude)
    if slots.untagged:
        args["where"] = {**where, slots.untagged: [""]}
    by = slots.by or tuple(d for d in slots.named if _plural(parsed.text, d, vocabulary))[:1]
    if by:
        args["by"] = list(by[:1])
    if slots.metric and slots.metric != "billed":
        args["metric"] = slots.metric
    return Plan(intents.COMPARE, args, SURE, tuple(assumed))


_STEPS = (
    ("month", r"\b(?:month[ -](?:over|on|by)[ -]month|mom)\b", 62),
    ("week", r"\b(?:week[ -](?:over|on)[ -]week|wow)\b", 21),
)


def _step(parsed: Parsed) -> str:
    """The unit in which one long time is to be seen step by step, or empty."""
    if len(parsed.mentions) != 1:
        return ""
    days = parsed.mentions[0].period.days
    return next((unit for unit, said, least in _STEPS if days >= least and re.search(said, parsed.text)), "")


def _two_periods(parsed: Parsed, today: date) -> tuple[Period, Period, list[str]]:
    mentions = parsed.mentions
    text = parsed.text
    if mentions and mentions[0].ends and len(mentions) == 1 and _BACKWARDS.search(text):
        first, last = mentions[0].ends
        if (first.days > 1 and last.days > 1) or (first.days == last.days == 1 and "between" not in text):
            return last, first, []
    if mentions and mentions[0].ends and len(mentions) == 1 and text.find("between") >= 0:
        first, last = mentions[0].ends
        if first.days > 1:
            return last, first, []
    if len(mentions) >= 2 and mentions[0].period == mentions[1].period:
        # "last 7 days vs previous 7 days": the second looks back from the first.
        earlier = before(mentions[0].period)
        return mentions[0].period, earlier, [f"compared with {earlier}"]
    if len(mentions) >= 2 and not _SAME_LAST.search(text):
        return _ordered(mentions[0], mentions[1], today)
    if mentions:
        period, assumed = _period(mentions, today)
    else:
        period, assumed = _default(text, today)
    if m := _SAME_LAST.search(text):
        moved = _moved_back(period, m["u"])
        return period, moved, [*assumed, f"compared with {moved}"]
    if _YEAR_AGO.search(text):
        return period, year_before(period), [*assumed, f"compared with a year earlier, {year_before(period)}"]
    earlier = before(period)
    return period, earlier, [*assumed, f"compared with {earlier}"]


def _moved_back(period: Period, unit: str) -> Period:
    """The same days one week, month, quarter or year earlier."""
    if unit == "week":
        week = timedelta(days=7)
        return Period(period.start - week, period.end - week)
    return shift_months(period, {"month": -1, "quarter": -3, "year": -12}[unit])


def _default(text: str, today: date) -> tuple[Period, list[str]]:
    for pattern, unit in (
        (r"\b(?:week[ -](?:over|on)[ -]week|wow)\b", week_of),
        (r"\b(?:month[ -](?:over|on)[ -]month|mom)\b", month_of),
        (r"\b(?:quarter[ -](?:over|on)[ -]quarter|qoq)\b", quarter_of),
        (r"\b(?:year[ -](?:over|on)[ -]year|yoy)\b", month_of),
    ):
        if re.search(pattern, text):
            whole = unit(today)
            last = unit(date.fromordinal(whole.start.toordinal() - 1))
            return last, [f"the last whole one: {last}"]
    return to_date(month_of(today), today), ["period not given: month to date"]


def _ordered(a: Mention, b: Mention, today: date) -> tuple[Period, Period, list[str]]:
    """The later of two is the one asked about; a running one is compared with the same days of the other."""
    period, against = (a.period, b.period) if a.period.start >= b.period.start else (b.period, a.period)
    running = period.end > today
    whole = against in {
        week_of(against.start),
        month_of(against.start),
        quarter_of(against.start),
        year_of(against.start),
    }
    if running and whole and against.days > period.days:
        same = Period(against.start, against.start + (period.end - period.start))
        return period, same, [f"like for like: compared with the same days, {same}"]
    return period, against, []


def anomalies(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """list_anomalies: without a time, of the last 30 days."""
    if parsed.mentions:
        period, assumed = _period(parsed.mentions, today)
    else:
        period = Period(date.fromordinal(today.toordinal() - 30), date.fromordinal(today.toordinal() + 1))
        assumed = ["period not given: the last 30 days"]
    return Plan(intents.ANOMALIES, _iso(period) | _filters(where, {}), SURE, tuple(assumed))


def forecast(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """forecast_costs: to the end of the running month unless a time ahead is named."""
    month = month_of(today)
    assumed: list[str] = []
    ahead = [m.period for m in parsed.mentions if m.period.end > today]
    period = ahead[0] if ahead else month
    if period.days == 1 and ahead and _UNTIL.search(parsed.text[: parsed.mentions[0].start + 6]):
        period = Period(month.start, period.end)
    elif period.start <= today:
        for unit in (month_of, quarter_of, year_of):
            whole = unit(period.start)
            if period.start == whole.start and period.end <= whole.end and today in whole:
                period = whole
                break
    if not ahead:
        assumed.append("period not given: to the end of this month")
    args: dict[str, object] = _iso(period) | _filters(where, exclude)
    if parsed.slots.by:
        args["by"] = list(parsed.slots.by[:1])
    if parsed.slots.metric and parsed.slots.metric != "billed":
        args["metric"] = parsed.slots.metric
    if re.search(r"\bbudgets?\b", parsed.text):
        args["budget"] = True
    return Plan(intents.FORECAST, args, SURE, tuple(assumed))


_KINDS = (
    ("spot_migration", r"\bspot\b"),
    ("rightsizing", r"\b(?:right[ -]?siz\w+|over[ -]?(?:provisioned|sized)|under[ -]?utili[sz]ed|oversized|too big)\b"),
    ("commitment", r"\b(?:reserved|reservations?|savings? plans?|commitments?|ris|cuds?|committed use)\b"),
    ("storage_class", r"\b(?:storage class(?:es)?|lifecycle|glacier|tiering|colder? storage|infrequent access)\b"),
    ("cleanup", r"\b(?:unattached|orphan(?:ed|s)?|clean ?up|old snapshots|leftovers?|forgotten)\b"),
    ("idle", r"\b(?:idle|unused|not (?:being )?used|zombies?|nobody uses|no one uses|do(?:es)? nothing)\b"),
)


def recommend(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """list_recommendations, perhaps of one kind and cloud."""
    args: dict[str, object] = {}
    for kind, pattern in _KINDS:
        if re.search(pattern, parsed.text):
            args["kind"] = kind
            break
    kept = {d: v for d, v in where.items() if d in {"provider", "region_id", "sub_account_id"}}
    args |= _filters(kept, {})
    if parsed.slots.limit:
        args["limit"] = parsed.slots.limit
    return Plan(intents.RECOMMEND, args, SURE)


_TARGET = re.compile(
    r"\b(?:move|migrate|switch|convert|shift|transition|put|bring|change|turn|run|rollout|migration|use spot(?: instances)?|migrating|moving"
    r"|stop(?:ping)?|shut(?:ting)? down|delet(?:e|ing)|remov(?:e|ing)|releas(?:e|ing)|resiz(?:e|ing)|downsiz(?:e|ing)"
    r"|shrink(?:ing)?|mak(?:e|ing)(?= .{1,60} smaller)|clean(?:ing)? up|lifecycle(?: rule)?)\b"
    r"(?: (?:of|for|to move|to migrate|to))?(?: (?:the|our|my|all|asg|group|fleet|unattached|unused|idle|volume|disk|snapshot|address|instance|machine|bucket|spot migration (?:of|for)))*\s+"
    r"(?P<name>[\w.-]+(?: [\w.-]+){0,4}?)"
    r"(?: (?:asg|auto scaling group|group|fleet|instances|workloads?|nodes|service))?(?: (?:over|back|smaller))?"
    r"(?= (?:to|on|onto|into|over)\b|[?.!,]|$| please| pls| now| today| doing| going| coming)"
)
_PRONOUNS = frozenset({"it", "that", "this", "them", "those", "these", "one", "spot", "a", "the", "everything", "all"})


def _target(parsed: Parsed, vocabulary: Vocabulary) -> str:
    """The resource that is meant: a known group's own name, or what stands in the verb's object."""
    row = words(parsed.text)
    for name in sorted(vocabulary.groups, key=len, reverse=True):
        parts = words(name)
        if any(row[n : n + len(parts)] == parts for n in range(len(row))):
            return name
    if m := _TARGET.search(parsed.text):
        name = m["name"].strip(" .-")
        if name not in _PRONOUNS and not name.startswith(("rollout", "migration", "recommendation", "spot")):
            return name
    return ""


def propose(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan | str:
    """propose_rollout of a recommendation id or a named resource."""
    ids = [i for i in parsed.ids if i.startswith("rec-")]
    if ids:
        return Plan(intents.PROPOSE, {"recommendation": ids[0]}, SURE)
    name = _target(parsed, vocabulary)
    if not name:
        return (
            "Say what should be changed, for example: move checkout-workers to spot, or: propose rec-1a2b3c4d5e6f. "
            "Nothing was changed."
        )
    return Plan(intents.PROPOSE, {"resource": name}, SURE)


def status(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """rollout_status of one rollout or resource, or of all."""
    ids = [i for i in parsed.ids if i.startswith("ro-")]
    if ids:
        return Plan(intents.STATUS, {"rollout": ids[0]}, SURE)
    row = words(parsed.text)
    for name in sorted(vocabulary.groups, key=len, reverse=True):
        parts = words(name)
        if any(row[n : n + len(parts)] == parts for n in range(len(row))):
            return Plan(intents.STATUS, {"resource": name}, SURE)
    if parsed.placed or parsed.unknown:
        return Plan(intents.STATUS, {"resource": (parsed.placed or parsed.unknown)[0]}, 0.8)
    return Plan(intents.STATUS, {}, SURE)


def values(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan | str:
    """list_values of one dimension."""
    if not parsed.slots.named:
        return "Say what to list: services, accounts, regions, providers or teams."
    return Plan(intents.VALUES, {"dimension": parsed.slots.named[0]}, SURE)


def data(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """data_status."""
    return Plan(intents.DATA, {}, SURE)


def saved(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """realised_savings."""
    return Plan(intents.SAVED, {}, SURE)


def allocated(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """allocated_costs, of the month so far unless a time is named."""
    period, assumed = _period(parsed.mentions, today)
    return paying.allocated(parsed, _iso(period), assumed, vocabulary)


def budgets(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """budget_status."""
    return paying.budgets(parsed)


def units(parsed: Parsed, where: Where, exclude: Where, today: date, vocabulary: Vocabulary) -> Plan:
    """unit_costs, of the month so far unless a time is named."""
    period, assumed = _period(parsed.mentions, today)
    return paying.units(parsed, _iso(period), _filters(where, {}), assumed)


Builder = Callable[[Parsed, Where, Where, date, Vocabulary], "Plan | str"]
_BUILDERS: dict[str, Builder] = {
    intents.QUERY: query,
    intents.COMPARE: compare,
    intents.ANOMALIES: anomalies,
    intents.FORECAST: forecast,
    intents.RECOMMEND: recommend,
    intents.PROPOSE: propose,
    intents.STATUS: status,
    intents.VALUES: values,
    intents.DATA: data,
    intents.SAVED: saved,
    intents.ALLOCATED: allocated,
    intents.BUDGETS: budgets,
    intents.UNITS: units,
}
