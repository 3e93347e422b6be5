"""Resources: looks at every account of every cloud; one that cannot be read is told and keeps its last inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from tools.model.errors import DeniedError, ProviderError
from tools.model.price import Price
from tools.model.resource import Resource
from tools.providers.base import Access, Inventory, PriceSource
from tools.store import resources as store
from tools.store.database import Database
from tools.telemetry.logs import get_logger

Progress = Callable[[str, int, int], None]
# Accounts are read side by side: waiting for a cloud is most of the time. Few enough to stay below its rate limits.
SIDE_BY_SIDE = 4
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    """One account as it was read: whole (`found`), or not at all (None)."""

    access: Access
    found: tuple[Resource, ...] | None
    prices: tuple[Price, ...] = ()


def collect(
    database: Database,
    tenant: str,
    inventories: Iterable[Inventory],
    *,
    provider: str | None = None,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> tuple[Access, ...]:
    """Read every account and keep what was read whole; gives one Access per account, `ok` only when all went well.

    An account that fails never stops or hides the others, and its last good inventory stays.
    """
    tell = progress or _silent
    wanted = [i for i in inventories if provider is None or i.provider.lower() == provider.lower()]
    accounts = [(inventory, access) for inventory in wanted for access in _accesses(inventory)]
    done: list[Access] = []
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="collect") as pool:
        for read in pool.map(lambda pair: _read(*pair), accounts):
            _keep(database, tenant, read, now())
            done.append(read.access)
            tell(f"{read.access.provider} {read.access.account_id}", len(done), len(accounts))
    return tuple(done)


def _accesses(inventory: Inventory) -> tuple[Access, ...]:
    try:
        return inventory.check_access()
    except ProviderError as error:
        return (Access(inventory.provider, "", "", False, error.what),)


def _read(inventory: Inventory, access: Access) -> _Read:
    if not access.identity:
        return _Read(access, None)
    try:
        found = tuple(inventory.resources(access.account_id))
    except ProviderError as error:
        return _Read(_refused(access, error), None)
    if not isinstance(inventory, PriceSource):
        return _Read(access, found)
    try:
        return _Read(access, found, inventory.prices(found))
    except ProviderError as error:
        # Without prices the inventory is whole all the same; savings fall back to what the bill tells.
        return _Read(_refused(access, error), found)


def _refused(access: Access, error: ProviderError) -> Access:
    missing = {*access.missing, *((error.permission,) if isinstance(error, DeniedError) and error.permission else ())}
    return replace(access, ok=False, problem=error.what, missing=tuple(sorted(missing)))


def _keep(database: Database, tenant: str, read: _Read, now: datetime) -> None:
    access = read.access
    with database.begin() as tx:
        if read.found is None:
            store.failed(
                tx,
                tenant,
                access.provider,
                access.account_id,
                now=now,
                problem=access.problem,
                missing=access.missing,
            )
        else:
            store.replace(tx, tenant, access.provider, access.account_id, read.found, now=now, missing=access.missing)
            store.save_prices(tx, tenant, read.prices)
    _log.info(
        "account_read",
        provider=access.provider,
        account=access.account_id,
        whole=read.found is not None,
        resources=len(read.found or ()),
        problem=access.problem,
    )


def _silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
