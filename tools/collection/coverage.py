"""Coverage: gathers what is known about completeness - days, left-out rows, accounts that cannot be read, invoices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from tools.collection import freshness
from tools.collection.reconcile import in_words, reconcile, same_account
from tools.model.invoice import Explanation, Reconciled
from tools.model.period import Period
from tools.model.query import Coverage
from tools.store import coverage, resources
from tools.store.loads import LedgerLine


@dataclass(frozen=True, slots=True)
class AccountCoverage:
    """One account: what stands loaded of its cost, and what could not be read.

    `complete_to` is the first day without data, None when no cost stands loaded; `provisional_share` is the share of
    its newest month's days that may still change. `missing` names permissions, `problem` says what was refused.
    """

    provider: str
    account_id: str
    complete_to: date | None
    provisional_share: Decimal
    periods: int
    rows: int
    rejected: int
    problem: str
    missing: tuple[str, ...]
    invoices: str
    differences: tuple[tuple[str, Decimal], ...]


def of(
    tx: Connection, tenant: str, lines: Sequence[LedgerLine], period: Period | None, provisional_days: int
) -> Coverage:
    """What the data behind an answer about a period (or all of it) covers."""
    told = freshness.cover(lines, period, provisional_days)
    asked = period or freshness.span(lines)
    missing = [*told.missing, *_left_out(lines, asked), *unread(tx, tenant)]
    return replace(told, missing=tuple(missing), invoices=in_words(compared(tx, tenant, lines, _months(asked))))


def compared(
    tx: Connection, tenant: str, lines: Sequence[LedgerLine], period: Period | None, today: date | None = None
) -> tuple[Reconciled, ...]:
    """Bills beside their invoices; empty when no invoice is known. `today` is by default the day of the last load."""
    invoices = coverage.all_invoices(tx, tenant)
    if not invoices:
        return ()
    known = max((line.loaded_at.date() for line in lines), default=date.min)
    return reconcile(lines, coverage.billed(tx, tenant), invoices, today or known, period)


def unread(tx: Connection, tenant: str) -> list[str]:
    """Accounts whose bill or inventory could not be read the last time, with what they lack."""
    told = [
        f"{look.provider} {look.account_id}: costs could not be read{_lacks(look.missing)}"
        for look in coverage.looks(tx, tenant)
        if not look.ok
    ]
    return told + [
        f"{look.provider} {look.account_id}: resources could not be read{_lacks(look.missing)}"
        for look in resources.last_looks(tx, tenant)
        if not look.ok
    ]


def accounts(
    tx: Connection, tenant: str, lines: Sequence[LedgerLine], provisional_days: int, today: date
) -> tuple[AccountCoverage, ...]:
    """Every account that stands loaded or that could not be read, by provider and id."""
    found = compared(tx, tenant, lines, None, today)
    looks = {(x.provider.lower(), same_account(x.account_id)): x for x in coverage.looks(tx, tenant)}
    by_account: dict[tuple[str, str], list[LedgerLine]] = {}
    for line in lines:
        where = line.partition
        by_account.setdefault((where.provider, where.billing_account_id), []).append(line)
    known = {(provider.lower(), same_account(account)) for provider, account in by_account}
    made = [
        _account(*key, of_one, looks.get((key[0].lower(), same_account(key[1]))), found, provisional_days)
        for key, of_one in by_account.items()
    ]
    made += [
        _account(look.provider, look.account_id, [], look, found, provisional_days)
        for key, look in looks.items()
        if key not in known and not look.ok
    ]
    return tuple(sorted(made, key=lambda a: (a.provider, a.account_id)))


def _account(
    provider: str,
    account: str,
    lines: Sequence[LedgerLine],
    look: coverage.BillingLook | None,
    found: Sequence[Reconciled],
    provisional_days: int,
) -> AccountCoverage:
    mine = [
        r
        for r in found
        if (r.provider.lower(), same_account(r.billing_account_id)) == (provider.lower(), same_account(account))
    ]
    last = max((line.last_day for line in lines), default=None)
    share = Decimal(0)
    if last is not None:
        newest = Period(last.replace(day=1), last + timedelta(days=1))
        share = freshness.cover(lines, newest, provisional_days).provisional_share
    return AccountCoverage(
        provider,
        account,
        None if last is None else last + timedelta(days=1),
        share,
        len(lines),
        sum(line.rows for line in lines),
        sum(line.rejected for line in lines),
        "" if look is None or look.ok else look.problem,
        () if look is None else look.missing,
        in_words(mine),
        _differences(mine),
    )


def _differences(found: Sequence[Reconciled]) -> tuple[tuple[str, Decimal], ...]:
    """Ours minus theirs over all bills that have an invoice, per currency."""
    sums: dict[str, Decimal] = {}
    for one in found:
        if one.difference is not None and one.explanation is not Explanation.PROVISIONAL:
            sums[one.currency] = sums.get(one.currency, Decimal(0)) + one.difference
    return tuple(sorted(sums.items()))


def _left_out(lines: Sequence[LedgerLine], asked: Period | None) -> list[str]:
    touched = [x for x in lines if x.rejected and asked and x.first_day < asked.end and x.last_day >= asked.start]
    if not touched:
        return []
    rows, names = sum(x.rejected for x in touched), ", ".join(str(x.partition) for x in touched[:3])
    return [f"{rows} unusable rows of {names}{' ...' if len(touched) > 3 else ''}"]


def _lacks(missing: Sequence[str]) -> str:
    return f" (lacks {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''})" if missing else ""


def _months(asked: Period | None) -> Period | None:
    """Billing periods that the asked days touch: these begin with the month of the first day."""
    return None if asked is None else Period(asked.start.replace(day=1), asked.end)
