"""Lexicon: ordinary words of cost questions, and the correction of their misspellings."""

from __future__ import annotations

import re
from functools import lru_cache

from agent.planner import aliases, intents
from agent.planner.calendar import MONTHS
from agent.planner.vocabulary import Vocabulary

# Words that carry no meaning of their own in a question about cost.
_FILLER = """
saved charge charges eur gbp usd were mean means meaning definition define calculate calculated
share percentage percent proportion fraction portion everything tag before owe rate average avg related based thanks thank
a able about across actually again agent all already also altogether am amount amounts an and any anyone anything
anyway anyways approximately are aren around as at average bar basically be been being believe between big bill
bills bit bot both bro btw bucks but by came can cash chart check cloud clouds come comes company compared
comparison complete could curious currently cuz data day days detail detailed details did display do does doing
dollar dollars done dont down draw dude during each either else end ends entire euro euros every everyone exactly
explain far figure figures find folks for friend from full general get getting give go going gonna good got gotta
graph guess guys had happen happened happening has have having hello help her here hey hi high higher him his hmm
how hows huge i if ill im in info information infra infrastructure into is isn it its ive just kind kindly know
large last lately let lets like line list little ll look looking looks lot low lower made make man many mate maybe
me mind money month months more most much much-needed my need no not now number numbers of off ok okay on once one
only optiinfra or org organisation organization our ours out over overall overview own per perhaps period pie please
plot pls plz possible possibly present pretty print put quarter quarters question quick quickly quite ran re ready
really report respectively right rn roughly run running s said same say see seen should show showing since sir small
so so-called some something sort specific start starts still stuff such summarise summarize summary sure t table
team's tell than thank thanks thanx that thats the their them then there theres these they thing things think this
those though through thx time to today's too total totally uh um under understand until up upon ur us usd use used
using value ve very view visual vs wanna want wanted was wasn way we week weeks well were weren what whatever whats
when where wheres which while who whole whom whose why will with within wonder wondering would yall yeah year years
yes yet you your
"""
# Words that the intent rules look for; they are never taken for a name, and misspellings of them are corrected.
_KEYWORDS = """
account accounts amortised amortized anomalies anomalous anomaly approve approved biggest billed breakdown broken
budget burn burning category change changed changes cheaper commitment commitments compare compared comparing
contracted cost costing costliest costly costs current cut daily damage decrease decreased difference drivers drop
dropped effective environment estimate except excluding expected expense expenses expensive forecast fortnight fresh
freshness friday grew grow growth highest idle increase increased invoice jump jumped largest list metric migrate
migration monday month monthly move oddities optimise optimize orphaned outlier outliers paid pay predict prediction
previous project projected projection projects propose provider providers quarter recently recommend recommendation
recommendations reduce region regions reserved resource resources rightsize rightsizing rollback rollout rollouts
saturday save saving savings service services shift spend spending spent spike spiked spikes split status strange
subscription suggest suggestions sunday surprises switch tagged tags team teams thursday tomorrow top trailing trend
tuesday unattached underutilized unexpected untagged unused unusual versus waste wasted wasting wednesday week
weekend weekly weird yearly yesterday
"""
FILLER = frozenset(_FILLER.split())
KEYWORDS = frozenset(_KEYWORDS.split()) | frozenset(MONTHS)
_DIMENSION_WORDS = frozenset(word for name in (*aliases.DIMENSIONS, *aliases.CHARGES) for word in name.split())
ORDINARY = FILLER | KEYWORDS
_SPELT = ORDINARY | intents.SPELT | frozenset(aliases.SERVICES) | frozenset(aliases.PROVIDERS) | _DIMENSION_WORDS
_SHORTEST = 4
_LONG = 8


def correct(text: str, vocabulary: Vocabulary) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The text with misspelt keywords put right, and what was changed; names in the data are left alone."""
    named = {word for key in vocabulary.index for word in key}
    changed: list[tuple[str, str]] = []

    def put_right(match: re.Match[str]) -> str:
        word = match[0]
        if word in _SPELT or word in named or word.rstrip("s") in _SPELT:
            return word
        right = _nearest(word)
        if right:
            changed.append((word, right))
        return right or word

    return re.sub(rf"(?<![\w-])[a-z]{{{_SHORTEST},}}(?![\w-])", put_right, text), tuple(changed)


@lru_cache(maxsize=4096)
def _nearest(word: str) -> str:
    """The one keyword that is a slip of the fingers away (same first letter); empty when there is none or several."""
    from rapidfuzz.distance import OSA

    allowed = 2 if len(word) >= _LONG else 1
    found: list[tuple[int, str]] = []
    for keyword in KEYWORDS:
        # A short word is corrected only when a letter is missing: too many short words differ by one.
        if keyword[0] != word[0] or (len(word) == _SHORTEST and len(keyword) != _SHORTEST + 1):
            continue
        distance = OSA.distance(word, keyword, score_cutoff=allowed)
        if distance <= allowed:
            found.append((distance, keyword))
    found.sort()
    if not found or (len(found) > 1 and found[0][0] == found[1][0] and found[0][1][:4] != found[1][1][:4]):
        return ""
    return found[0][1]
