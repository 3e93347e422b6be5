"""Recommendations: what the rules found last, kept by a stable id so that rollouts can refer to them for good."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from tools.model.errors import NotFoundError
from tools.model.money import plain
from tools.model.query import Receipt
from tools.model.recommendation import Evidence, Recommendation
from tools.store.saving_tables import recommendations


def save(tx: Connection, tenant: str, found: Iterable[Recommendation], *, now: datetime) -> None:
    """Insert or renew each recommendation by its id; one that had gone is back."""
    for recommendation in found:
        values = _columns(recommendation) | {"confirmed_at": now, "gone_at": None}
        known = tx.execute(
            update(recommendations)
            .where(recommendations.c.tenant == tenant, recommendations.c.id == recommendation.id)
            .values(**values)
        )
        if known.rowcount == 0:
            tx.execute(insert(recommendations).values(tenant=tenant, id=recommendation.id, found_at=now, **values))


def retire(tx: Connection, tenant: str, keep: Iterable[str], *, now: datetime) -> int:
    """Everything that the rules no longer find is gone: not listed any more, still found by its id. Returns how many."""
    kept = set(keep)
    open_ids = tx.execute(
        select(recommendations.c.id).where(recommendations.c.tenant == tenant, recommendations.c.gone_at.is_(None))
    ).scalars()
    gone = [id_ for id_ in open_ids if id_ not in kept]
    for id_ in gone:
        tx.execute(
            update(recommendations)
            .where(recommendations.c.tenant == tenant, recommendations.c.id == id_)
            .values(gone_at=now)
        )
    return len(gone)


def listing(tx: Connection, tenant: str, kind: str | None = None) -> tuple[Recommendation, ...]:
    """What can be had now, the greatest expected saving first."""
    query = select(recommendations).where(recommendations.c.tenant == tenant, recommendations.c.gone_at.is_(None))
    if kind is not None:
        query = query.where(recommendations.c.kind == kind)
    found = (_recommendation(row) for row in tx.execute(query))
    return tuple(sorted(found, key=lambda r: (-r.saving_expected, r.id)))


def one(tx: Connection, tenant: str, id: str) -> Recommendation:  # noqa: A002
    """A recommendation by its id, gone or not; raises NotFoundError."""
    row = tx.execute(_ONE, {"t": tenant, "i": id}).one_or_none()
    if row is None:
        raise NotFoundError(
            f"There is no recommendation {id}.", fix="List them with: optiinfra recommend - or ask for savings."
        )
    return _recommendation(row)


_ONE = select(recommendations).where(recommendations.c.tenant == bindparam("t"), recommendations.c.id == bindparam("i"))


def _columns(recommendation: Recommendation) -> dict[str, object]:
    return {
        "kind": recommendation.kind,
        "provider": recommendation.provider,
        "account_id": recommendation.account_id,
        "region": recommendation.region,
        "service": recommendation.service,
        "title": recommendation.title,
        "resource_ids": list(recommendation.resource_ids),
        "saving_low": plain(recommendation.saving_low),
        "saving_expected": plain(recommendation.saving_expected),
        "saving_high": plain(recommendation.saving_high),
        "currency": recommendation.currency,
        "confidence": plain(recommendation.confidence),
        "risk": recommendation.risk,
        "reversible": recommendation.reversible,
        "evidence": [_evidence_json(evidence) for evidence in recommendation.evidence],
        "price_source": recommendation.price_source,
        "parameters": recommendation.parameters,
        "blocked_by": list(recommendation.blocked_by),
    }


def _evidence_json(evidence: Evidence) -> dict[str, object]:
    receipt = evidence.receipt
    return {
        "label": evidence.label,
        "value": evidence.value,
        "source": evidence.source,
        "receipt": receipt
        and {
            "sql": receipt.sql,
            "parameters": [list(pair) for pair in receipt.parameters],
            "rows": receipt.rows,
            "as_of": receipt.as_of.isoformat() if receipt.as_of else None,
        },
    }


def _evidence(document: dict[str, Any]) -> Evidence:
    receipt = document["receipt"]
    return Evidence(
        document["label"],
        document["value"],
        document["source"],
        receipt
        and Receipt(
            receipt["sql"],
            tuple((name, value) for name, value in receipt["parameters"]),
            receipt["rows"],
            datetime.fromisoformat(receipt["as_of"]) if receipt["as_of"] else None,
        ),
    )


def _recommendation(row: Row[Any]) -> Recommendation:
    return Recommendation(
        id=row.id,
        tenant=row.tenant,
        kind=row.kind,
        provider=row.provider,
        account_id=row.account_id,
        region=row.region,
        resource_ids=tuple(row.resource_ids),
        title=row.title,
        saving_low=Decimal(row.saving_low),
        saving_expected=Decimal(row.saving_expected),
        saving_high=Decimal(row.saving_high),
        currency=row.currency,
        confidence=Decimal(row.confidence),
        risk=row.risk,
        reversible=row.reversible,
        evidence=tuple(_evidence(document) for document in row.evidence),
        price_source=row.price_source,
        parameters=dict(row.parameters),
        service=row.service,
        blocked_by=tuple(row.blocked_by),
    )
