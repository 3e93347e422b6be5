"""Coverage: keeps invoices, what loads say of them, and how the last reading of each account's bill went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from tools.model.invoice import Billed, Invoice
from tools.model.money import join, split
from tools.store.coverage_tables import billing_looks, invoices, load_invoices

_PARTS = {"billed": "billed_cost", "tax": "tax", "credits": "credits", "purchases": "purchases"}


@dataclass(frozen=True, slots=True)
class BillingLook:
    """How the last reading of one account's bill went; `missing` names permissions."""

    provider: str
    account_id: str
    tried_at: datetime
    ok: bool
    problem: str
    missing: tuple[str, ...]


def save_invoices(tx: Connection, tenant: str, found: Sequence[Invoice]) -> None:
    """Keep invoices; one with the same account, period, id and currency is replaced."""
    for one in found:
        key = {
            "tenant": tenant,
            "provider": one.provider,
            "billing_account_id": one.billing_account_id,
            "billing_period": one.billing_period,
            "invoice_id": one.invoice_id,
            "currency": one.currency,
        }
        tx.execute(delete(invoices).where(*(invoices.c[name] == value for name, value in key.items())))
        amount, tax = split(one.amount), split(one.tax or Decimal(0))
        tx.execute(
            insert(invoices).values(
                **key,
                amount_micros=amount[0],
                amount_rest=amount[1],
                tax_micros=tax[0],
                tax_rest=tax[1],
                tax_known=one.tax is not None,
                source=one.source[:255],
                as_of=one.as_of,
            )
        )


def all_invoices(tx: Connection, tenant: str) -> tuple[Invoice, ...]:
    """Every invoice that is known, oldest period first."""
    order = (invoices.c.billing_period, invoices.c.provider, invoices.c.billing_account_id, invoices.c.invoice_id)
    rows = tx.execute(select(invoices).where(invoices.c.tenant == tenant).order_by(*order, invoices.c.currency))
    return tuple(
        Invoice(
            r.provider,
            r.billing_account_id,
            r.billing_period,
            r.invoice_id,
            join(r.amount_micros, r.amount_rest),
            r.currency,
            join(r.tax_micros, r.tax_rest) if r.tax_known else None,
            r.source,
            r.as_of,
        )
        for r in rows
    )


def save_billed(tx: Connection, tenant: str, load_id: int, found: Sequence[Billed]) -> None:
    """Keep what a load's rows add up to per invoice, in the place of what was known of it."""
    tx.execute(delete(load_invoices).where(load_invoices.c.tenant == tenant, load_invoices.c.load_id == load_id))
    if found:
        tx.execute(insert(load_invoices), [_billed_row(tenant, load_id, one) for one in found])


def _billed_row(tenant: str, load_id: int, one: Billed) -> dict[str, object]:
    row: dict[str, object] = {
        "tenant": tenant,
        "load_id": load_id,
        "invoice_id": one.invoice_id,
        "currency": one.currency,
        "rows": one.rows,
        "lines": one.lines,
    }
    for column, name in _PARTS.items():
        row[f"{column}_micros"], row[f"{column}_rest"] = split(getattr(one, name))
    return row


def billed(tx: Connection, tenant: str) -> Mapping[int, tuple[Billed, ...]]:
    """What each load's rows add up to per invoice, by load id."""
    found: dict[int, list[Billed]] = defaultdict(list)
    rows = tx.execute(
        select(load_invoices)
        .where(load_invoices.c.tenant == tenant)
        .order_by(load_invoices.c.load_id, load_invoices.c.invoice_id, load_invoices.c.currency)
    )
    for row in rows:
        found[row.load_id].append(_billed(row))
    return {load_id: tuple(several) for load_id, several in found.items()}


def _billed(row: Any) -> Billed:
    parts = {name: join(getattr(row, f"{c}_micros"), getattr(row, f"{c}_rest")) for c, name in _PARTS.items()}
    return Billed(row.invoice_id, row.currency, row.rows, row.lines, **parts)


def note_look(tx: Connection, tenant: str, look: BillingLook) -> None:
    """Keep how a reading went, in the place of the one before."""
    key = (
        billing_looks.c.tenant == tenant,
        billing_looks.c.provider == look.provider,
        billing_looks.c.account_id == look.account_id,
    )
    tx.execute(delete(billing_looks).where(*key))
    tx.execute(
        insert(billing_looks).values(
            tenant=tenant,
            provider=look.provider,
            account_id=look.account_id,
            tried_at=look.tried_at,
            ok=look.ok,
            problem=look.problem,
            missing=list(look.missing),
        )
    )


def looks(tx: Connection, tenant: str) -> tuple[BillingLook, ...]:
    """How the last reading of every account's bill went."""
    rows = tx.execute(
        select(billing_looks)
        .where(billing_looks.c.tenant == tenant)
        .order_by(billing_looks.c.provider, billing_looks.c.account_id)
    )
    return tuple(BillingLook(r.provider, r.account_id, r.tried_at, r.ok, r.problem, tuple(r.missing)) for r in rows)
