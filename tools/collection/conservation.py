"""Conservation: laws that complete FOCUS data obeys, and what to say of a partition that does not obey one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tools.model.load import Check
from tools.model.money import plain

# Each law: its name, the query over the partition (its texts in "summed", its days in "fine") that finds what breaks
# it, and its sentence.
_BALANCE = """
    SELECT part, currency, CAST(sum(billed) AS VARCHAR), CAST(sum(effective) AS VARCHAR) FROM summed GROUP BY part, currency
    HAVING sum(billed) <> sum(effective) ORDER BY part, currency"""
_COMMITMENTS = """
    SELECT part, commitment_discount_id,
        CAST(sum(CASE WHEN charge_category = 'Purchase' THEN billed ELSE 0 END) AS VARCHAR),
        CAST(sum(CASE WHEN charge_category = 'Usage' THEN effective ELSE 0 END) AS VARCHAR)
    FROM summed WHERE commitment_discount_id <> '' GROUP BY part, commitment_discount_id
    HAVING count(*) FILTER (charge_category = 'Purchase') > 0 AND count(*) FILTER (charge_category = 'Usage') > 0
        AND sum(CASE WHEN charge_category = 'Purchase' THEN billed ELSE 0 END)
            <> sum(CASE WHEN charge_category = 'Usage' THEN effective ELSE 0 END)
    ORDER BY 1, 2"""
_CATEGORIES = """
    SELECT part, service_name, string_agg(DISTINCT service_category, ', ' ORDER BY service_category) FROM summed
    WHERE service_name <> '' GROUP BY part, service_name
    HAVING count(DISTINCT service_category) > 1 ORDER BY 1, 2"""
_NEGATIVE = """
    SELECT part, service_name, CAST(sum(billed) AS VARCHAR) FROM fine
    WHERE charge_category IN ('Usage', 'Tax') AND charge_class <> 'Correction' AND billed < 0
    GROUP BY part, service_name ORDER BY 1, 2"""
_OUTSIDE = """
    SELECT part, CAST(sum(n) AS BIGINT), CAST(min(day) AS VARCHAR), CAST(max(day) AS VARCHAR)
    FROM fine JOIN part ON part.number = fine.part
    WHERE charge_class <> 'Correction'
        AND (day < billing_period - INTERVAL 1 DAY OR day > billing_period + INTERVAL 1 MONTH)
    GROUP BY part ORDER BY part"""
_CURRENCIES = """
    SELECT part, string_agg(DISTINCT currency, ', ' ORDER BY currency) FROM summed
    GROUP BY part HAVING count(DISTINCT currency) > 1 ORDER BY part"""
_MOST = 20  # of one law and partition; more of the same teach nothing
Ask = Callable[[str], Sequence[tuple[Any, ...]]]


def check(ask: Ask, price_mismatches: Mapping[int, int]) -> dict[int, list[Check]]:
    """Every law that the partitions of a batch break, by partition. `ask` runs a query on what was rolled up."""
    found: dict[int, list[Check]] = defaultdict(list)
    for query, sentence in _LAWS:
        told: Counter[int] = Counter()
        for part, *figures in ask(query):
            told[part] += 1
            if told[part] <= _MOST:
                found[part].append(sentence(*figures))
    for part, rows in price_mismatches.items():
        detail = f"{rows} rows have a list cost that is not list unit price times pricing quantity."
        found[part].append(Check("list cost is price times quantity", detail))
    return found


def crowded(key: str, found: int, kept: int) -> Check:
    """What is told of a tag key with more values than are kept."""
    return Check(
        "few values per tag key",
        f"Tag {key} has {found:,} values; all but the {kept:,} dearest count as (other), except per resource. "
        "Raise OPTIINFRA_TAG_VALUES or take the key out of OPTIINFRA_TAG_KEYS.",
    )


def _exact(amount: str) -> str:
    return plain(Decimal(amount))


def _balance(currency: str, billed: str, effective: str) -> Check:
    return Check(
        "billed equals effective over the whole life of purchases",
        f"Billed {_exact(billed)} and effective {_exact(effective)} {currency} differ; that is right when commitments "
        "were bought in one period and used in another.",
    )


def _commitment(commitment: str, bought: str, used: str) -> Check:
    return Check(
        "a commitment's purchase equals what it covers",
        f"{commitment}: bought for {_exact(bought)}, used and unused add up to {_exact(used)}.",
    )


def _category(service: str, categories: str) -> Check:
    return Check("one category per service", f"{service} is in several categories: {categories}.")


def _negative(service: str, amount: str) -> Check:
    name = service or "A service without name"
    return Check("no negative usage", f"{name} has negative billed usage of {_exact(amount)}.")


def _outside(rows: int, first: str, last: str) -> Check:
    return Check(
        "charges lie in their billing period",
        f"{rows} rows that are no corrections are of other months, from {first} to {last}.",
    )


def _currencies(currencies: str) -> Check:
    return Check("one currency per bill", f"The bill is in {currencies}; each has sums of its own, none is converted.")


_LAWS: tuple[tuple[str, Callable[..., Check]], ...] = (
    (_BALANCE, _balance),
    (_COMMITMENTS, _commitment),
    (_CATEGORIES, _category),
    (_NEGATIVE, _negative),
    (_OUTSIDE, _outside),
    (_CURRENCIES, _currencies),
)
