"""Splitting: divides shared cost among those who pay, so that the parts add up to it to the last digit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tools.model.allocation import UNALLOCATED, Pool, Ruleset, Split
from tools.model.money import DECIMALS, EXACT

Costs = Mapping[str, Decimal | None]


@dataclass(frozen=True, slots=True)
class Weights:
    """Who takes how much of a pool: whole numbers, in the order of the names. `note` says what was not as written."""

    names: tuple[str, ...]
    parts: tuple[int, ...]
    note: str = ""

    def of(self, amount: Decimal | None) -> dict[str, Decimal | None]:
        """Each one's part of an amount; an unknown amount has unknown parts."""
        if amount is None:
            return dict.fromkeys(self.names)
        return dict(zip(self.names, split(amount, self.parts), strict=True))


NOBODY = Weights((UNALLOCATED,), (1,))


def split(amount: Decimal, weights: Sequence[int]) -> tuple[Decimal, ...]:
    """Parts in proportion to non-negative weights (not all 0), which add up to the amount exactly.

    Parts have the 18 decimals in which money is kept (more where the amount has more); what does not divide goes to
    the largest remainders, the first among equals.
    """
    exponent = amount.as_tuple().exponent
    decimals = max(DECIMALS, -exponent if isinstance(exponent, int) else 0)
    units = int(EXACT.scaleb(abs(amount), decimals))
    whole = sum(weights)
    parts, rests = zip(*(divmod(units * weight, whole) for weight in weights), strict=True)
    left = units - sum(parts)
    lucky = frozenset(sorted(range(len(weights)), key=lambda n: (-rests[n], n))[:left])
    sign = -1 if amount < 0 else 1
    return tuple(EXACT.scaleb(Decimal(sign * (part + (n in lucky))), -decimals) for n, part in enumerate(parts))


def weigh(rules: Ruleset, direct: Costs, pooled: Costs) -> dict[str, Weights]:
    """How each pool is split in one month and currency, down to those who pay.

    `direct` is what payers have of their own, `pooled` what lies in pools. A pool with nobody to take it, or whose
    proportion hangs on an unknown cost, stays unallocated, with a note.
    """
    shares: dict[str, dict[str, Fraction]] = {}
    notes: dict[str, str] = {}
    # From the last to the first: a pool only gives to pools that stand after it.
    for pool in reversed(rules.pools):
        # A payer that only the data names may be called like a pool; it is meant unless the rules say the pool.
        onward = frozenset(pool.named) & shares.keys()
        own, note = _shares(pool, rules, direct, pooled, onward)
        notes[pool.name] = note
        final: dict[str, Fraction] = {}
        for name, share in own.items():
            for payer, part in (shares[name] if name in onward else {name: Fraction(1)}).items():
                final[payer] = final.get(payer, Fraction(0)) + share * part
        shares[pool.name] = final
    return {pool.name: _whole(shares[pool.name], notes[pool.name]) for pool in rules.pools}


def _whole(shares: Mapping[str, Fraction], note: str) -> Weights:
    common = math.lcm(*(share.denominator for share in shares.values()))
    return Weights(tuple(shares), tuple(int(share * common) for share in shares.values()), note)


def _shares(
    pool: Pool, rules: Ruleset, direct: Costs, pooled: Costs, onward: frozenset[str]
) -> tuple[dict[str, Fraction], str]:
    """The share of each payer, and of each pool that it gives `onward` to."""
    spelt = rules.spellings
    named = tuple(name if name in onward else spelt.get(name.casefold(), name) for name in pool.named)
    if pool.split is Split.FIXED:
        percents = zip(named, (percent for _, percent in pool.shares), strict=True)
        return {name: Fraction(percent) / 100 for name, percent in percents}, ""
    payers = named or tuple(sorted(name for name in direct if name != UNALLOCATED))
    if not payers:
        return {UNALLOCATED: Fraction(1)}, f"pool {pool.name} stays unallocated: nobody has a cost of their own"
    even = {name: Fraction(1, len(payers)) for name in payers}
    if pool.split is Split.EVEN:
        return even, ""
    costs = [(pooled if name in onward else direct).get(name, Decimal(0)) for name in payers]
    if any(cost is None for cost in costs):
        return {UNALLOCATED: Fraction(1)}, f"pool {pool.name} stays unallocated: a price is missing in the bill"
    amounts = [Fraction(cost or 0) for cost in costs]
    # Credits are negative throughout: what counts is the side on which the sum lies.
    side = 1 if sum(amounts) >= 0 else -1
    counted = [max(amount * side, Fraction(0)) for amount in amounts]
    whole = sum(counted)
    if not whole:
        return even, f"pool {pool.name} is split evenly: nobody of those who pay has a cost of their own"
    return {name: count / whole for name, count in zip(payers, counted, strict=True) if count}, ""
