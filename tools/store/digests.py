"""Digests: what each morning's message said, kept so that it is told once and can be corrected later."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from pydantic import TypeAdapter
from sqlalchemy import Connection, insert, select, update

from tools.model.digest import Digest
from tools.model.fact import Table
from tools.model.period import Period
from tools.store.delivery_tables import digests


@lru_cache(maxsize=1)
def _codec() -> TypeAdapter[Digest]:
    return TypeAdapter(Digest)


def save(tx: Connection, tenant: str, digest: Digest, *, now: datetime) -> bool:
    """Keep the digest of its day, in place of an earlier one; False when it says the same as before."""
    body = _codec().dump_python(digest, mode="json")
    key = (digests.c.tenant == tenant) & (digests.c.day == digest.day)
    before = tx.execute(select(digests.c.body).where(key)).scalar()
    if before == body:
        return False
    if before is None:
        tx.execute(insert(digests).values(tenant=tenant, day=digest.day, body=body, composed_at=now))
    else:
        tx.execute(update(digests).where(key).values(body=body, composed_at=now))
    return True


def one(tx: Connection, tenant: str, day: date) -> Digest | None:
    """The digest of a day as it was last composed."""
    body = tx.execute(select(digests.c.body).where(digests.c.tenant == tenant, digests.c.day == day)).scalar()
    if body is None:
        return None
    digest = _codec().validate_python(body)
    return replace(digest, movers=_with_numbers(digest.movers))


def days(tx: Connection, tenant: str, period: Period) -> tuple[date, ...]:
    """The days of a period that have a digest."""
    mine = (digests.c.tenant == tenant) & (digests.c.day >= period.start) & (digests.c.day < period.end)
    return tuple(tx.execute(select(digests.c.day).where(mine).order_by(digests.c.day)).scalars())


def _with_numbers(table: Table) -> Table:
    """JSON has one kind of text: cells of a column with a unit are numbers again."""

    def cell(value: str | Decimal | None, unit: str) -> str | Decimal | None:
        return Decimal(value) if unit and isinstance(value, str) else value

    rows = tuple(tuple(cell(v, u) for v, u in zip(row, table.units, strict=True)) for row in table.rows)
    return replace(table, rows=rows)
