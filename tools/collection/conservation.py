"""Conservation: laws that complete FOCUS data obeys, and what to say of a partition that does not obey one."""

# ruff: noqa: S608 - table names are ours
from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from tools.model.load import Check
from tools.model.money import plain
from tools.providers.focus.reading import STAGE

# Each law: its name, the query over the rolled-up partition ("fine") that finds what breaks it, and its sentence.
_BALANCE = """
    SELECT currency, CAST(sum(billed) AS VARCHAR), CAST(sum(effective) AS VARCHAR) FROM fine GROUP BY currency
    HAVING sum(billed) <> sum(effective) ORDER BY currency"""
_COMMITMENTS = """
    SELECT commitment_discount_id,
        CAST(sum(CASE WHEN charge_category = 'Purchase' THEN billed ELSE 0 END) AS VARCHAR),
        CAST(sum(CASE WHEN charge_category = 'Usage' THEN effective ELSE 0 END) AS VARCHAR)
    FROM fine WHERE commitment_discount_id <> '' GROUP BY commitment_discount_id
    HAVING count(*) FILTER (charge_category = 'Purchase') > 0 AND count(*) FILTER (charge_category = 'Usage') > 0
        AND sum(CASE WHEN charge_category = 'Purchase' THEN billed ELSE 0 END)
            <> sum(CASE WHEN charge_category = 'Usage' THEN effective ELSE 0 END)
    ORDER BY 1 LIMIT 20"""
_CATEGORIES = """
    SELECT service_name, string_agg(DISTINCT service_category, ', ' ORDER BY service_category) FROM fine
    WHERE service_name <> '' GROUP BY service_name HAVING count(DISTINCT service_category) > 1 ORDER BY 1 LIMIT 20"""
_NEGATIVE = """
    SELECT service_name, CAST(sum(billed) AS VARCHAR) FROM fine
    WHERE charge_category IN ('Usage', 'Tax') AND charge_class <> 'Correction' AND billed < 0
    GROUP BY service_name ORDER BY 1 LIMIT 20"""
PRICES = f"""
    SELECT count(*) FROM {STAGE} WHERE bad IS NULL AND price_off AND {STAGE}.provider = ?
    AND {STAGE}.billing_account_id = ? AND billing_period = ?"""

Ask = Callable[[str], Sequence[tuple[str, ...]]]


def check(ask: Ask, price_mismatches: int) -> tuple[Check, ...]:
    """Every law that the partition breaks. `ask` runs a query on the rolled-up partition."""
    found = [_balance(*row) for row in ask(_BALANCE)]
    found += [_commitment(*row) for row in ask(_COMMITMENTS)]
    found += [
        Check("one category per service", f"{name} is in several categories: {categories}.")
        for name, categories in ask(_CATEGORIES)
    ]
    found += [
        Check("no negative usage", f"{name or 'A service without name'} has negative billed usage of {_exact(amount)}.")
        for name, amount in ask(_NEGATIVE)
    ]
    if price_mismatches:
        detail = f"{price_mismatches} rows have a list cost that is not list unit price times pricing quantity."
        found.append(Check("list cost is price times quantity", detail))
    return tuple(found)


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
