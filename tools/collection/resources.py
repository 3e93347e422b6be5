"""Resources: looks at every account of every cloud; one that cannot be read is told and keeps its last inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from tools.model.errors import DeniedError, ProviderError
from tools.model.price import Price
from tools.model.resource import Resource
from tools.providers.base import Access, Inventory, PartialInventory, PriceSource, Seen
from tools.store import resources as store
from tools.store.database import Database
from tools.telemetry.logs import get_logger

Progress = Callable[[str, int, int], None]
# Accounts are read side by side: waiting for a cloud is most of the time. Few enough to stay below its rate limits.
SIDE_BY_SIDE = 4
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    """One account as it was read: whole but for the `unread` kinds (`found`), or not at all (None)."""

    access: Access
    found: tuple[Resource, ...] | None
    prices: tuple[Price, ...] = ()
    unread: frozenset[str] = frozenset()


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
        seen = _seen(inventory, access.account_id)
    except ProviderError as error:
        return _Read(_refused(access, error), None)
    access, found = _lacking(access, seen), seen.resources
    if not isinstance(inventory, PriceSource):
        return _Read(access, found, (), seen.unread_kinds)
    try:
        return _Read(access, found, inventory.prices(found), seen.unread_kinds)
    except ProviderError as error:
        # Without prices the inventory is whole all the same; savings fall back to what the bill tells.
        return _Read(_refused(access, error), found, (), seen.unread_kinds)


def _seen(inventory: Inventory, account_id: str) -> Seen:
    if isinstance(inventory, PartialInventory):
        return inventory.look(account_id)
    return Seen(tuple(inventory.resources(account_id)))


def _lacking(access: Access, seen: Seen) -> Access:
    """What could not be read, in words: the permissions, and the first reason."""
    if not seen.unread:
        return access
    missing = {*access.missing, *(name for part in seen.unread for name in part.missing)}
    kinds = ", ".join(sorted(seen.unread_kinds))
    kept = f" What was known before of {kinds} is kept." if kinds else ""
    return replace(access, ok=False, problem=f"{seen.unread[0].problem}{kept}", missing=tuple(sorted(missing)))


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
            store.replace(
                tx,
                tenant,
                access.provider,
                access.account_id,
                read.found,
                now=now,
                missing=access.missing,
                unread=read.unread,
                problem=access.problem if read.unread else "",
            )
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
