"""Answers: what stands behind an answer that was shown (receipts, choices), kept so that a later click can open it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from tools.store.delivery_tables import answers

KEEP = timedelta(days=90)


def keep(tx: Connection, tenant: str, id: str, body: dict[str, Any], *, now: datetime) -> None:  # noqa: A002
    """Keep one JSON-ready document for 90 days; what is older goes."""
    tx.execute(delete(answers).where(answers.c.tenant == tenant, answers.c.kept_at < now - KEEP))
    tx.execute(insert(answers).values(tenant=tenant, id=id, body=body, kept_at=now))


def kept(tx: Connection, tenant: str, id: str) -> dict[str, Any] | None:  # noqa: A002
    """The document, or None when it is unknown or gone."""
    body = tx.execute(select(answers.c.body).where(answers.c.tenant == tenant, answers.c.id == id)).scalar()
    return dict(body) if body is not None else None
