"""Allocation: rules that say who pays for which cost, and pools of shared cost that are split among those who pay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from tools.model.metric import Metric
from tools.model.period import Period
from tools.model.query import Coverage, Receipt

# Nobody pays: no rule fits, or a pool has nobody to be split among.
UNALLOCATED = ""


class Split(StrEnum):
    """How a shared pool is split."""

    EVEN = "even"
    PROPORTIONAL = "proportional"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Condition:
    """What the value of one dimension must look like: one of `wanted` (any, when empty) and none of `unwanted`.

    Patterns are whole values in any case; `*` stands for any characters and `?` for one. A missing value fits the
    empty pattern only (and whatever has no wanted pattern).
    """

    dimension: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...] = ()

    def fits(self, value: str) -> bool:
        if any(like(pattern, value) for pattern in self.unwanted):
            return False
        return not self.wanted or any(like(pattern, value) for pattern in self.wanted)


@dataclass(frozen=True, slots=True)
class Rule:
    """Costs that meet every condition go to `to`, to whoever the value of `value_of` names, or into `pool`."""

    name: str
    conditions: tuple[Condition, ...]
    to: str = ""
    value_of: str = ""
    pool: str = ""

    @property
    def target(self) -> str:
        """For a person: 'checkout', 'the value of tag:team', 'pool platform'."""
        return self.to or (f"the value of {self.value_of}" if self.value_of else f"pool {self.pool}")


@dataclass(frozen=True, slots=True)
class Pool:
    """Shared cost. `among` are those who pay (or later pools); none named: everybody with cost of their own.

    `shares` are percentages of a fixed split; they add up to 100.
    """

    name: str
    split: Split
    among: tuple[str, ...] = ()
    shares: tuple[tuple[str, Decimal], ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.shares) or self.among


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The rules of one allocation dimension ("team"), in order: the first that fits wins. Pools are split in order."""

    dimension: str
    rules: tuple[Rule, ...]
    pools: tuple[Pool, ...] = ()

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Everything the rules look at."""
        looked = [c.dimension for rule in self.rules for c in rule.conditions]
        return tuple(dict.fromkeys([*looked, *(rule.value_of for rule in self.rules if rule.value_of)]))

    @property
    def spellings(self) -> dict[str, str]:
        """Who pays, in lower case, with the rules' own spelling."""
        return {rule.to.casefold(): rule.to for rule in reversed(self.rules) if rule.to}


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """One stored version of a dimension's rules: the file as it was given, by whom and when.

    `removed`: from here on the dimension has no rules.
    """

    dimension: str
    version: int
    source: str
    content_hash: str
    actor: str
    at: datetime
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """What one payer has of one line of cost: `direct` by the rules, `shared` out of pools; None is unknown.

    `keys` are the values of the other dimensions asked for, `start` the first day of the line's bucket.
    """

    payer: str
    keys: tuple[str, ...]
    start: date
    currency: str
    direct: Decimal | None
    shared: Decimal | None
    raw_rows: int


@dataclass(frozen=True, slots=True)
class Line:
    """One payer in one currency: own cost, part of shared cost, both together, and its share of everything (0 to 1).

    None is unknown; the share is also None where everything together is nothing.
    """

    payer: str
    currency: str
    direct: Decimal | None
    shared: Decimal | None
    total: Decimal | None
    share: Decimal | None


@dataclass(frozen=True, slots=True)
class Report:
    """Who pays for what in a period. Lines of one currency add up to its total, which is what the bill says exactly."""

    rules: RulesVersion
    period: Period
    metric: Metric
    lines: tuple[Line, ...]
    totals: tuple[tuple[str, Decimal | None], ...]
    receipt: Receipt
    coverage: Coverage

    def unallocated(self, currency: str) -> Line | None:
        """What nobody pays; None when there is no such cost."""
        return next((x for x in self.lines if x.currency == currency and x.payer == UNALLOCATED), None)


@dataclass(frozen=True, slots=True)
class Hit:
    """What one rule (None: no rule) caught in a window: lines of the bill, and their cost per currency."""

    rule: Rule | None
    raw_rows: int
    costs: tuple[tuple[str, Decimal | None], ...]


@dataclass(frozen=True, slots=True)
class Move:
    """What a payer has by the rules that count now and by those that are tried; None is unknown."""

    payer: str
    currency: str
    before: Decimal | None
    after: Decimal | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What rules would do to a window of stored costs. `current` is the version that counts now, if there is one.

    `warnings` name rules that can never count or caught nothing, and pools that are not used.
    """

    rules: Ruleset
    current: RulesVersion | None
    period: Period | None
    metric: Metric
    moves: tuple[Move, ...]
    hits: tuple[Hit, ...]
    warnings: tuple[str, ...]


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in pattern.casefold()), re.DOTALL)


def like(pattern: str, value: str) -> bool:
    """Whether a whole value fits a pattern."""
    if not pattern or not value:
        return pattern == value
    return bool(_compiled(pattern).fullmatch(value.casefold()))


def is_glob(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern
