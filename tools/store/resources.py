"""Resources: the last good inventory of every account, how the last look at each went, and prices that were seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from tools.model.money import plain
from tools.model.price import Price
from tools.model.resource import Resource
from tools.store.resource_tables import looks, prices, resources


@dataclass(frozen=True, slots=True)
class Look:
    """How the last look at one account went. `complete_at` is when its inventory was last read whole."""

    provider: str
    account_id: str
    tried_at: datetime
    complete_at: datetime | None
    ok: bool
    problem: str
    missing: tuple[str, ...]


def replace(
    tx: Connection,
    tenant: str,
    provider: str,
    account_id: str,
    found: Iterable[Resource],
    *,
    now: datetime,
    missing: tuple[str, ...] = (),
    unread: frozenset[str] = frozenset(),
    problem: str = "",
) -> None:
    """Put an account's inventory in the place of the one before, and note that it is complete as of `now`.

    `missing` are permissions that the inventory does without but that something else lacks (prices, metrics).
    Kinds that are `unread` stay as they were, and the account is not noted as complete.
    """
    tx.execute(
        delete(resources).where(
            resources.c.tenant == tenant,
            resources.c.provider == provider,
            resources.c.account_id == account_id,
            resources.c.kind.not_in(sorted(unread)),
        )
    )
    rows = [_columns(tenant, resource) for resource in found if resource.kind not in unread]
    if rows:
        tx.execute(insert(resources), rows)
    before = _look(tx, tenant, provider, account_id) if unread else None
    complete_at = (before.complete_at if before else None) if unread else now
    _note(tx, tenant, Look(provider, account_id, now, complete_at, True, problem, missing))


def failed(
    tx: Connection,
    tenant: str,
    provider: str,
    account_id: str,
    *,
    now: datetime,
    problem: str,
    missing: tuple[str, ...] = (),
) -> None:
    """Note that an account could not be read; its last good inventory stays as it is."""
    before = _look(tx, tenant, provider, account_id)
    complete_at = before.complete_at if before else None
    _note(tx, tenant, Look(provider, account_id, now, complete_at, False, problem, missing))


def all_of(tx: Connection, tenant: str, kind: str | None = None, provider: str | None = None) -> tuple[Resource, ...]:
    """Everything that is known to exist, in a fixed order."""
    query = select(resources).where(resources.c.tenant == tenant)
    if kind is not None:
        query = query.where(resources.c.kind == kind)
    if provider is not None:
        query = query.where(resources.c.provider == provider)
    order = (resources.c.provider, resources.c.account_id, resources.c.region, resources.c.kind, resources.c.id)
    return tuple(_resource(row) for row in tx.execute(query.order_by(*order)))


def one(
    tx: Connection,
    tenant: str,
    provider: str,
    account_id: str,
    region: str,
    kind: str,
    id: str,  # noqa: A002
) -> Resource | None:
    """One resource as inventory last saw it, or None."""
    key = {"t": tenant, "p": provider, "a": account_id, "r": region, "k": kind, "i": id}
    row = tx.execute(_ONE, key).one_or_none()
    return _resource(row) if row else None


_ONE = select(resources).where(
    resources.c.tenant == bindparam("t"),
    resources.c.provider == bindparam("p"),
    resources.c.account_id == bindparam("a"),
    resources.c.region == bindparam("r"),
    resources.c.kind == bindparam("k"),
    resources.c.id == bindparam("i"),
)


def last_looks(tx: Connection, tenant: str, provider: str | None = None) -> tuple[Look, ...]:
    """How the last look at every account went."""
    query = select(looks).where(looks.c.tenant == tenant)
    if provider is not None:
        query = query.where(looks.c.provider == provider)
    return tuple(_look_of(row) for row in tx.execute(query.order_by(looks.c.provider, looks.c.account_id)))


def save_prices(tx: Connection, tenant: str, seen: Iterable[Price]) -> None:
    """Keep the newest price of each SKU, region and purchase option."""
    for price in seen:
        key = (
            prices.c.tenant == tenant,
            prices.c.provider == price.provider,
            prices.c.region == price.region,
            prices.c.sku == price.sku,
            prices.c.purchase == price.purchase,
            prices.c.unit == price.unit,
        )
        tx.execute(delete(prices).where(*key))
        tx.execute(
            insert(prices).values(
                tenant=tenant,
                provider=price.provider,
                region=price.region,
                sku=price.sku,
                purchase=price.purchase,
                unit=price.unit,
                low=plain(price.low),
                usual=plain(price.usual),
                high=plain(price.high),
                currency=price.currency,
                observed_at=price.observed_at,
                source=price.source,
            )
        )


def all_prices(tx: Connection, tenant: str) -> tuple[Price, ...]:
    """Every price that is kept."""
    order = (prices.c.provider, prices.c.region, prices.c.sku, prices.c.purchase)
    return tuple(
        Price(
            row.provider,
            row.region,
            row.sku,
            row.purchase,
            row.unit,
            Decimal(row.low),
            Decimal(row.usual),
            Decimal(row.high),
            row.currency,
            row.observed_at,
            row.source,
        )
        for row in tx.execute(select(prices).where(prices.c.tenant == tenant).order_by(*order))
    )


def _columns(tenant: str, resource: Resource) -> dict[str, object]:
    return {
        "tenant": tenant,
        "provider": resource.provider,
        "account_id": resource.account_id,
        "region": resource.region,
        "kind": resource.kind,
        "id": resource.id,
        "name": resource.name,
        "tags": dict(resource.tags),
        "attributes": resource.attributes,
        "fingerprint": resource.fingerprint,
        "seen_at": resource.seen_at,
    }


def _resource(row: Row[Any]) -> Resource:
    return Resource(
        row.provider,
        row.account_id,
        row.region,
        row.kind,
        row.id,
        row.name,
        tuple(sorted(row.tags.items())),
        dict(row.attributes),
        row.fingerprint,
        row.seen_at,
    )


def _look(tx: Connection, tenant: str, provider: str, account_id: str) -> Look | None:
    row = tx.execute(
        select(looks).where(looks.c.tenant == tenant, looks.c.provider == provider, looks.c.account_id == account_id)
    ).one_or_none()
    return _look_of(row) if row else None


def _look_of(row: Row[Any]) -> Look:
    return Look(row.provider, row.account_id, row.tried_at, row.complete_at, row.ok, row.problem, tuple(row.missing))


def _note(tx: Connection, tenant: str, look: Look) -> None:
    values: dict[str, object] = {
        "tried_at": look.tried_at,
        "complete_at": look.complete_at,
        "ok": look.ok,
        "problem": look.problem,
        "missing": list(look.missing),
    }
    known = tx.execute(
        update(looks)
        .where(looks.c.tenant == tenant, looks.c.provider == look.provider, looks.c.account_id == look.account_id)
        .values(**values)
    )
    if known.rowcount == 0:
        tx.execute(insert(looks).values(tenant=tenant, provider=look.provider, account_id=look.account_id, **values))
