"""Vocabulary: the values that exist in the cost data, indexed by how people may write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from agent.planner import aliases
from tools.model.period import Period

FILTERABLE = ("provider", "service_name", "service_category", "sub_account_name", "sub_account_id", "region_id")
SHORTEST_PART = 4
_INVISIBLE = dict.fromkeys(
    [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0x00AD], None
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reading of some words: these values of this dimension."""

    dimension: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`values` per dimension, most expensive first; `groups` are names of what rollouts can change;
    `index` maps normalised words to the readings they have; `tails` maps account names without the first word that
    most of them share ("production" of "lumen-production"), for where an account is clearly meant; `parts` maps
    words that only one service's name holds ("openai") to that service; `fiscal_start` is the month in which fiscal
    years begin."""

    values: Mapping[str, tuple[str, ...]]
    tag_keys: tuple[str, ...] = ()
    span: Period | None = None
    groups: tuple[str, ...] = ()
    index: Mapping[tuple[str, ...], tuple[Candidate, ...]] = field(default_factory=dict)
    tails: Mapping[tuple[str, ...], Candidate] = field(default_factory=dict)
    parts: Mapping[tuple[str, ...], Candidate] = field(default_factory=dict)
    fiscal_start: int = 1

    @property
    def longest(self) -> int:
        return max((len(words) for words in self.index), default=1)

    def tag(self, key: str) -> str | None:
        """'tag:team' when that key is configured."""
        return f"tag:{key}" if key in self.tag_keys else None


def clean(text: str) -> str:
    """What was typed, without invisible characters, compatibility forms and odd spaces."""
    text = unicodedata.normalize("NFKC", text).translate(_INVISIBLE)
    return re.sub(r"\s+", " ", text.replace("’", "'").replace("“", '"').replace("”", '"')).strip()


def words(text: str) -> tuple[str, ...]:
    """The words of a name: lower case, split at everything that is neither letter nor digit."""
    return tuple(re.findall(r"[^\W_]+", text.lower()))


def build(
    values: Callable[[str], Iterable[str]],
    tag_keys: tuple[str, ...],
    span: Period | None = None,
    groups: tuple[str, ...] = (),
    fiscal_start: int = 1,
) -> Vocabulary:
    """Read the known values of every dimension that a question can filter by."""
    dimensions = (*FILTERABLE, *(f"tag:{key}" for key in tag_keys))
    known = {d: tuple(values(d)) for d in dimensions}
    index = _index(known)
    parts = {k: v for k, v in _parts(known.get("service_name", ())).items() if k not in index}
    tails = _tails(known.get("sub_account_name", ()))
    return Vocabulary(known, tag_keys, span, groups, index, tails, parts, fiscal_start)


def _parts(names: tuple[str, ...]) -> dict[tuple[str, ...], Candidate]:
    """Pieces of service names - some words in a row, or one long word - that belong to one name alone."""
    owners: dict[tuple[str, ...], set[str]] = {}
    for name in names:
        row = words(name)
        for length in range(1, len(row)):
            for at in range(len(row) - length + 1):
                piece = row[at : at + length]
                if length > 1 or len(piece[0]) >= SHORTEST_PART:
                    owners.setdefault(piece, set()).add(name)
    return {piece: Candidate("service_name", tuple(found)) for piece, found in owners.items() if len(found) == 1}


def _tails(names: tuple[str, ...]) -> dict[tuple[str, ...], Candidate]:
    split = {name: words(name) for name in names}
    first = [row[0] for row in split.values() if len(row) > 1]
    shared = max(set(first), key=first.count, default="")
    if first.count(shared) < 3:
        return {}
    tails: dict[tuple[str, ...], tuple[str, ...]] = {}
    for name, row in split.items():
        if len(row) > 1 and row[0] == shared:
            tails[row[1:]] = (*tails.get(row[1:], ()), name)
    return {tail: Candidate("sub_account_name", found) for tail, found in tails.items()}


def _index(known: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, ...], tuple[Candidate, ...]]:
    index: dict[tuple[str, ...], list[Candidate]] = {}

    def add(key: tuple[str, ...], candidate: Candidate) -> None:
        readings = index.setdefault(key, [])
        same = next((r for r in readings if r.dimension == candidate.dimension), None)
        if same is None:
            readings.append(candidate)
        elif not set(candidate.values) <= set(same.values):
            merged = tuple(dict.fromkeys((*same.values, *candidate.values)))
            readings[readings.index(same)] = Candidate(same.dimension, merged)

    for dimension, values in known.items():
        for value in values:
            if key := words(value):
                add(key, Candidate(dimension, (value,)))
    for table, dimension in (
        (aliases.PROVIDERS, "provider"),
        (aliases.SERVICES, "service_name"),
        (aliases.CATEGORIES, "service_category"),
        (aliases.REGIONS, "region_id"),
    ):
        for alias, targets in table.items():
            if found := _matching(targets, known.get(dimension, ())):
                add(words(alias), Candidate(dimension, found))
    for said, (dimension, value) in aliases.CHARGES.items():
        add(words(said), Candidate(dimension, (value,)))
    for said, meant in aliases.ENVIRONMENTS.items():
        for dimension in ("tag:env", "tag:environment"):
            if meant in known.get(dimension, ()) and said not in known.get(dimension, ()):
                add((said,), Candidate(dimension, (meant,)))
    return {key: tuple(readings) for key, readings in index.items()}


def _matching(targets: tuple[str, ...], values: tuple[str, ...]) -> tuple[str, ...]:
    """Values that are one of the targets, or begin with one ('Amazon Elastic Compute Cloud - Compute')."""
    wanted = tuple(words(t) for t in targets)
    exact = tuple(v for v in values if words(v) in wanted)
    return exact or tuple(v for v in values if any(len(w) > 1 and words(v)[: len(w)] == w for w in wanted))
