"""Intents: scores what a question wants done, and abstains when nothing speaks clearly."""

from __future__ import annotations

import re
from dataclasses import dataclass

QUERY = "query_costs"
COMPARE = "compare_costs"
ANOMALIES = "list_anomalies"
FORECAST = "forecast_costs"
RECOMMEND = "list_recommendations"
PROPOSE = "propose_rollout"
STATUS = "rollout_status"
SAVED = "realised_savings"
ALLOCATED = "allocated_costs"
BUDGETS = "budget_status"
UNITS = "unit_costs"
VALUES = "list_values"
DATA = "data_status"
ACT = "act"
HELP = "help"
OUTSIDE = "outside"

_COST = r"(?:costs?|spend(?:ing|ings)?|spent|bills?|charges?|expenses?|expenditures?|invoices?)"
# (intent, weight, pattern): every pattern that occurs adds its weight once and explains the words it covers.
RULES: tuple[tuple[str, float, str], ...] = (
    (QUERY, 2, rf"\b{_COST}\b"),
    (QUERY, 2, r"\b(?:how much|what) (?:did|do|does|have|has|are|is|was|were) .{0,60}\b(?:cost(?:ing)?|pay(?:ing)?|paid|spen[dt]|run|burn(?:ed|ing)?)\b"),
    (QUERY, 2, r"\bhow (?:much|expensive)\b"),
    (QUERY, 2, r"\b(?:pay|paid|paying|burn rate|burn(?:ed|ing|t)?|run us|set us back|outlay|damage|shell(?:ed|ing)? out|fork(?:ed|ing)? out|blow(?:ing|n)?|blew|rack(?:ed)? up|eat(?:s|ing)? (?:up )?(?:our|the|most)|money go(?:es|ing)?|price ?tag|costing|consum(?:e|ed|ing|es)|owe[sd]?|spends)\b"),
    (QUERY, 1.5, r"\b(?:break ?down|broken down|split(?: up)?|group(?:ed)? by|top|biggest|largest|highest|costliest|(?:most|least) expensive|priciest|cheapest)\b"),
    (QUERY, 1.5, r"\b(?:daily|per day|day by day|by day|each day|monthly|per month|month by month|by month|each month|over time|timeline|trend(?:s|line)?|history|weekly|per week)\b"),
    (QUERY, 1.5, r"\b(?:untagged|without (?:a |any )?tags?|no tags?|not tagged|unallocated|unowned)\b"),
    (QUERY, 1, r"\b(?:total|sum|usage|figures?|numbers?|consumption)\b"),
    (QUERY, 1, r"\b(?:effective|amorti[sz]ed|billed|unblended|list price|list cost|contracted|negotiated)\b"),
    (COMPARE, 3, r"\b(?:compare[ds]?|comparing|comparison|versus|vs\.?|against|relative to|(?:month|week|year|quarter)[ -](?:over|on)[ -](?:month|week|year|quarter)|mom|wow|yoy)\b"),
    (COMPARE, 3, r"\b(?:why|^y (?=did|is|are|was|were|does|do|has|have)|reasons?|root cause|caus(?:e[ds]?|ing)|drivers?|driv(?:e|es|ing|en)|drove|what happened|what's behind|what is behind|explain(?: to me)?|responsible for|contribut(?:e|ed|ing|ors?))\b"),
    (COMPARE, 2.5, r"\b(?:chang(?:e[ds]?|ing)|increas(?:e[ds]?|ing)|decreas(?:e[ds]?|ing)|gr(?:ew|ow|ows|own|owing|owth)|r(?:ise|ose|isen|ising|ises)|jump(?:ed|s)?|spik(?:ed|ing)|sho(?:t|ot|ots|oting) up|drop(?:ped|s)?|fell|fall(?:en|ing)?|shr(?:ank|ink|unk)|differ(?:ence|ent)?|delta|movers?|(?:went|go|going|gone|goes|creep(?:ing)?|crept) (?:up|down)|so (?:much )?(?:high|higher|low|lower|expensive)|(?:more|less|higher|lower|cheaper|bigger|smaller|greater) than|moved most)\b"),
    (COMPARE, 3, r"\b(?:what(?:'s| is| are| was)? new|new (?:services?|accounts?|resources?|costs?|charges?)|(?:dis)?appear(?:ed|ing)?|stop(?:ped)? using|no longer|went away)\b"),
    (COMPARE, 3.5, r"\b(?:more|less)\b.{1,60}\bthan\b"),
    (COMPARE, 2.5, r"\b(?:is|are|was|were|'s) .{0,60}\b(?:up|down)\b(?! to)"),
    (COMPARE, 2.5, r"\bspikes?\b"),
    (COMPARE, 1, r"\b(?:up|down)\b(?! to)"),
    (ANOMALIES, 4, r"\b(?:anomal(?:y|ies|ous)|outliers?|abnormal(?:ities)?|irregular(?:ities)?|out of the ordinary|cost alerts?|oddit(?:y|ies))\b"),
    (ANOMALIES, 3, r"\bspikes?\b"),
    (ANOMALIES, 3, r"\b(?:everything|all|things?|costs?|bill) (?:is |are |looks? |still )*(?:ok|okay|fine|alright|normal|healthy|good)\b|\blooks? (?:ok|fine|normal|right)\b"),
    (ANOMALIES, 3.5, r"\b(?:unusual|strange|weird|odd|unexpected|suspicious|surpris(?:e|es|ing|ed)|fishy|funny|off|wrong|worr(?:y|ied|ying))\b(?! (?:account|by))"),
    (FORECAST, 4, r"\b(?:forecast(?:s|ed|ing)?|predict(?:ion|ions|ed)?|projected|projections?|outlook|run[ -]rate|extrapolat(?:e|ed|ion))\b"),
    (FORECAST, 4, r"\b(?:project (?:our|the|my)|end up (?:at|paying|spending|costing)|(?:going to|gonna) (?:spend|cost|pay|be|land|end)|will (?:we|it|our|this|the|aws|gcp|azure)\b.{0,40}\b(?:cost|spend|pay|be|bill|spent|land|end up)|expect(?:ed)? to (?:pay|spend|cost)|on track|land at|heading|where will)\b"),
    (FORECAST, 4, r"\b(?:(?:over|under|within|exceed|above|below|blow|hit|meet|stay|versus|vs|against|on|our|the|monthly)\b.{0,20}\bbudgets?|budgets?)\b"),
    (FORECAST, 2, r"\b(?:estimated?|expect(?:ed)?|by the end of|should we expect|month[ -]end|end of (?:the |this )?(?:month|quarter|year))\b"),
    (RECOMMEND, 4, r"\b(?:sav(?:e|ing|ings)(?! plans?)|recommend(?:ations?|ed|s)?|optimi[sz](?:e|ation|ations|ing)|suggest(?:ions?|ed)?|opportunit(?:y|ies)|cost[ -]cutting|quick wins?|low[ -]hanging(?: fruits?)?|tips?)\b"),
    (RECOMMEND, 4, r"\b(?:wast(?:e|ed|ing|age|eful)|idle|unused|not (?:being )?used|unattached|orphan(?:ed|s)?|zombies?|under[ -]?utili[sz]ed|over[ -]?provisioned|oversized|right[ -]?siz(?:e|ing)|do(?:es)? nothing|nobody uses|no one uses|forgotten|leftovers?)\b"),
    (RECOMMEND, 3.5, r"\b(?:(?:cut|reduce|lower|trim|shrink|slash|bring down|get down|decrease|cheapen|minimi[sz]e) (?:\w+ ){0,3}(?:costs?|spend(?:ing)?|bills?|expenses?|\0+)|(?:spend|pay) less|cheaper|cut (?:costs?|back))\b"),
    (RECOMMEND, 2.2, r"\b(?:reserved instances?|savings? plans?|commitments?|ris?\b|cuds?|storage class(?:es)?|lifecycle|spot (?:candidates?|migrations?|opportunit(?:y|ies))|candidates? for spot|could (?:run|be moved|move|go) (?:on|to) spot|can (?:run|be moved|move|go) (?:on|to) spot)\b"),
    (PROPOSE, 6, r"\b(?:move|migrate|switch|convert|shift|transition|put|bring|change|turn)\b.{1,80}\b(?:to|on|onto|into|over to) (?:aws |ec2 )?spot(?: instances?| capacity)?\b"),
    (PROPOSE, 6, r"\b(?:propose|start|begin|kick off|create|open|launch|request|initiate|plan)\b.{0,40}\b(?:rollouts?|migrations?|spot migrations?|rec-[\w-]+|recommendations?|changes?)\b"),
    (PROPOSE, 6, r"\b(?:apply|implement|do|act on|go ahead with|carry out|take|use|propose)\b.{0,30}\b(?:rec-[\w-]+|recommendations?|suggestions?|that saving|proposal|spot migration)\b"),
    (PROPOSE, 6, r"\b(?:spot migration (?:of|for)|use spot (?:instances )?for|run .{1,40} on spot)\b"),
    (PROPOSE, 9, r"^\W*(?:please |pls |can you |could you |i )*(?:propose|suggest)\b (?:to |that we )?(?:stop(?:ping)?|shut(?:ting)? down|delet(?:e|ing)|remov(?:e|ing)|releas(?:e|ing)|resiz(?:e|ing)|downsiz(?:e|ing)|shrink(?:ing)?|mov(?:e|ing)|migrat(?:e|ing)|mak(?:e|ing) .{1,60} smaller|clean(?:ing)? up|add(?:ing)? a lifecycle|(?:the|a) lifecycle rule)\b"),
    (STATUS, 6, r"\bro-[\w-]+"),
    (STATUS, 4.5, r"\b(?:rollouts?|migrations?)\b"),
    (STATUS, 3, r"\b(?:status|progress|which stage|what stage|stage|how far|going (?:well|ok|fine)|coming along|in flight|in progress|pending|waiting (?:for|on) (?:approval|me|us|a decision)|needs? (?:my |our )?approval|awaiting|to approve|been approved|being changed)\b"),
    (DATA, 5, r"\b(?:up to date|fresh(?:ness)?|as[ -]of|stale|how (?:old|recent|current)|coverage|last (?:updated?|load(?:ed)?|import(?:ed)?|ingest(?:ed)?|refresh(?:ed)?)|latest data|newest data|most recent data|data (?:complete|missing|available|cover(?:s|ed)?|do (?:you|we) have|delay(?:ed)?)|(?:accounts?|data|days?|permissions?)\b.{0,20}\bmissing|missing (?:accounts?|data|permissions?|days?)|how far back|trust (?:the|these|this) (?:data|numbers?|figures?)|complete data)\b"),
    (SAVED, 6, r"\b(?:have|has|did|do|does|been|were|was|really|actually|already) (?:we |it |that |they |the rollouts? |\0+ )?(?:really |actually |already )?(?:saved?|realised|realized)\b(?! (?:money|on|by|if|with)\b)|\bhow much (?:did|has|have) (?:the |our |that )?.{1,40}\b(?:rollouts?|migrations?|moves?|changes?) sav(?:e|ed)\b|\b(?:reali[sz]ed|actual|achieved|past|verified) savings?\b|\bsavings? (?:ledger|so far|to date|achieved|reali[sz]ed)\b"),
    (ALLOCATED, 7, r"\b(?:(?:incl(?:uding|udes?|uded|\.)?|with|plus|and)(?: its| their| our| the| all)? (?:shares? of (?:the )?)?shared (?:costs?|spend(?:ing)?|services?|platform|pools?)|shared costs?|fully[ -]loaded|allocat(?:ed|ions?|e)|charge[ds]?[ -]?backs?|charge(?:s|d)? back|show[ -]?backs?|(?:cost|who)(?:s)? pays? for what|who pays?)\b"),
    (BUDGETS, 6.5, r"\bbudgets\b|\bbudget (?:status|overview|report|check|list)\b|\b(?:which|what|list|show)(?: me| is| are| our| the| of)* budgets?\b"),
    (UNITS, 6, r"\b(?:unit (?:costs?|economics)|costs? (?:per|of (?:a|one|each)) unit)\b"),
    (ACT, 7, r"\b(?:approve|reject|decline|deny|abort|promote|roll ?back|rollback|undo|revert|cancel|confirm|greenlight|sign off|pause|resume|retry|execute|force|finish|stop|halt|kill)\b(?: (?:it|that|this|all|the|my|every|everything|ro-[\w-]+|rec-[\w-]+|\0+|stage|rollouts?|migrations?|changes?|plan|proposals?|recommendations?|pending|next|step|now))+"),
    (ACT, 7, r"\b(?:approve|reject|promote|abort|rollback|roll back|undo|revert)\b"),
    (ACT, 8, r"\b(?:terminate|delete|destroy|shut ?down|turn off|switch off|stop|remove|resize|downsize|scale (?:down|up|in|out)|buy|purchase|upgrade|restart|reboot|deploy|provision|create|launch|spin up)\b (?:(?:the|all|our|a|an|my|this|that|those|these|every|some|of|idle|unused|old|new|unattached) )*(?:instances?|volumes?|servers?|vms?|clusters?|buckets?|databases?|snapshots?|groups?|asg|machines?|resources?|savings? plans?|reserved|commitments?|account|things?|it|\0+)"),
    (HELP, 5, r"^(?:help|hi|hello|hey|yo|good (?:morning|afternoon|evening)|menu|commands?|start|\?+)(?: (?:there|bot|optiinfra|team|everyone|please))?[ !.?]*$"),
    (HELP, 5, r"^(?:(?:ok|okay|great|cool|perfect|nice|awesome),? )?(?:many )?(?:thanks|thank you|thx|ty|cheers)(?: .{0,30})?[ !.]*$"),
    (HELP, 6, r"\b(?:what can you do|what do you do|who are you|how do(?: i|es this| you) (?:use|work|help)|what (?:can|could|should) i ask|help me use|your (?:capabilities|features)|what are you)\b"),
    (OUTSIDE, 6, r"\b(?:weather|joke|poem|haiku|song|story|recipe|translate|lyrics|capital of|president|prime minister|football|soccer|movie|novel|essay|horoscope|bitcoin|stock prices?|nba|world cup|email to|write (?:me )?(?:a|an|some)|python script|terraform code|sql query for|your (?:system )?(?:prompt|instructions)|system prompt|api keys?|passwords?|secrets?|credentials?|tokens? (?:of|for)|environment variables|meaning of life|lunch|dinner|birthday|salary|salaries|headcount|holiday|vacation|sing|book (?:a|me)|restaurant|hire|revenue|profit|customers? churn|latency|uptime|cpu usage|deployment failed|who won|news)\b"),
)  # fmt: skip
_COMPILED = tuple((intent, weight, re.compile(pattern)) for intent, weight, pattern in RULES)


@dataclass(frozen=True, slots=True)
class Scored:
    """Intents with their scores, best first, and the places in the text that spoke for any of them."""

    ranking: tuple[tuple[str, float], ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def best(self) -> str:
        return self.ranking[0][0] if self.ranking else ""

    @property
    def second(self) -> str:
        return self.ranking[1][0] if len(self.ranking) > 1 else ""

    @property
    def margin(self) -> float:
        if not self.ranking:
            return 0.0
        return self.ranking[0][1] - (self.ranking[1][1] if len(self.ranking) > 1 else 0.0)

    def of(self, intent: str) -> float:
        return dict(self.ranking).get(intent, 0.0)


# A question that is "how much" and something more particular is about the particular.
_CAPS = {QUERY: 2.4}
# These are recognised by words that may also be names in the data ("spot"), so they see the names.
_WITH_NAMES = frozenset({PROPOSE, HELP, OUTSIDE, ACT, RECOMMEND, STATUS, ALLOCATED})
_ASKS = re.compile(r"^(?:which|what|where|why|how|should|is|are|was|were|could we|can we|do we|when|any)\b")


def _words_of(pattern: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]{3,}", pattern))


# A pattern with a gap speaks for its own words only, not for what stands in the gap.
_GAPPED = {pattern: _words_of(pattern) for _, _, pattern in RULES if ".{" in pattern or r"\w+" in pattern}
# Words that stand in the rules themselves: they are spelt as meant.
SPELT = frozenset(word for _, _, pattern in RULES for word in _words_of(pattern))
_WORD = re.compile(r"[a-z]+")


def score(masked: str, named: str, *, ahead: bool = False) -> Scored:
    """Score a question (lower case): `masked` has NUL characters for names and periods, `named` for periods only.

    `ahead` says that it names a time still to come, which speaks for a forecast.
    """
    totals: dict[str, float] = {FORECAST: 3.0} if ahead else {}
    spans: list[tuple[int, int]] = []
    for intent, weight, pattern in _COMPILED:
        hits = list(pattern.finditer(named if intent in _WITH_NAMES else masked))
        if hits:
            totals[intent] = min(totals.get(intent, 0.0) + weight, _CAPS.get(intent, 99.0))
            spans += [span for m in hits for span in _explained(m)]
    if ACT in totals and _ASKS.match(named):
        totals[ACT] -= 7
    ranking = sorted(totals.items(), key=lambda item: -item[1])
    return Scored(tuple(ranking), tuple(spans))


def _explained(m: re.Match[str]) -> list[tuple[int, int]]:
    own = _GAPPED.get(m.re.pattern)
    if own is None:
        return [m.span()]
    return [(m.start() + w.start(), m.start() + w.end()) for w in _WORD.finditer(m[0]) if w[0] in own]
