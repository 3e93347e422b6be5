"""Recommendation: a saving that could be had, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tools.model.query import Receipt


@dataclass(frozen=True, slots=True)
class Evidence:
    """One checked statement behind a recommendation: label, value in words, and where it comes from."""

    label: str
    value: str
    source: str
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """`kind` is spot_migration, idle, rightsizing, storage_class, cleanup or commitment.

    `saving_*` is money per month; `risk` is R0-R3; `parameters` is what planning needs (JSON-ready);
    `blocked_by` names what forbids it now (empty when it can be proposed).
    """

    id: str
    tenant: str
    kind: str
    provider: str
    account_id: str
    region: str
    resource_ids: tuple[str, ...]
    title: str
    saving_low: Decimal
    saving_expected: Decimal
    saving_high: Decimal
    currency: str
    confidence: Decimal
    risk: str
    reversible: bool
    evidence: tuple[Evidence, ...]
    price_source: str
    parameters: dict[str, object]
    service: str = ""
    blocked_by: tuple[str, ...] = ()
