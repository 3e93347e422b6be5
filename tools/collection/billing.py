"""Billing: reads what clouds charge through their own APIs, month by month; each month is stored whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from tools.collection.charges import ingest
from tools.model.errors import DeniedError, InputError, ProviderError
from tools.model.load import Load
from tools.model.period import Period
from tools.providers.base import Access, Billing
from tools.providers.focus.rows import month_of, write
from tools.store import loads as ledger
from tools.store.database import Database
from tools.telemetry.logs import get_logger

Progress = Callable[[str, int, int], None]
SIDE_BY_SIDE = 4
# A year and the month a year ago, to compare with.
HISTORY_MONTHS = 13
# The open month and the one before: these still change.
REREAD_MONTHS = 2
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bill:
    """How one billing account went: `access.ok` only when every month that was wanted was read.

    `skipped`: FOCUS files already hold this account, so its API was not asked.
    """

    access: Access
    loads: tuple[Load, ...] = ()
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class _Read:
    """The months of one account that were read whole, as files; and how it went."""

    access: Access
    files: tuple[Path, ...] = ()
    skipped: bool = False


def collect(
    database: Database,
    tenant: str,
    billings: Iterable[Billing],
    *,
    in_files: Iterable[Load] = (),
    tag_keys: tuple[str, ...],
    detail_months: int,
    provider: str | None = None,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> tuple[Bill, ...]:
    """Read every billing account's open months and those never read; one Bill per account.

    `in_files` are loads of FOCUS files: the accounts that they hold are left to them, as cost must not count twice.
    An account that fails never stops or hides the others, and its stored months stay. Months are read from the
    newest back, so that a collection that breaks off has the important ones; the next one goes on.
    """
    wanted = [b for b in billings if provider is None or b.provider.lower() == provider.lower()]
    held = {_account(load.partition.provider, load.partition.billing_account_id) for load in in_files if load.partition}
    accounts = [(billing, access) for billing in wanted for access in _accesses(billing)]
    with database.read() as tx:
        known = _months_known(ledger.ledger(tx, tenant))
    done: list[Bill] = []
    with (
        tempfile.TemporaryDirectory(prefix="optiinfra-bills-") as folder,
        ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="bills") as pool,
    ):

        def read(number: int) -> _Read:
            billing, access = accounts[number]
            name = _account(billing.provider, access.account_id)
            if name in held:
                return _Read(replace(access, ok=True, problem="", missing=()), skipped=True)
            place = Path(folder) / str(number)
            return _read(billing, access, known.get(name, frozenset()), now().date(), place)

        for one in pool.map(read, range(len(accounts))):
            done.append(_stored(database, tenant, one, tag_keys, detail_months, now))
            _tell(done[-1], progress, len(done), len(accounts))
    return tuple(done)


def _account(provider: str, account_id: str) -> tuple[str, str]:
    """Sources write an account's id as a bare name or as a path that ends in it, in any case."""
    return provider.lower(), account_id.rstrip("/").rpartition("/")[2].lower()


def _accesses(billing: Billing) -> tuple[Access, ...]:
    try:
        return billing.check_access()
    except ProviderError as error:
        return (Access(billing.provider, "", "", False, error.what),)


def _months_known(lines: Sequence[ledger.LedgerLine]) -> Mapping[tuple[str, str], frozenset[date]]:
    found: dict[tuple[str, str], set[date]] = {}
    for line in lines:
        partition = line.partition
        found.setdefault(_account(partition.provider, partition.billing_account_id), set()).add(
            partition.billing_period
        )
    return {account: frozenset(months) for account, months in found.items()}


def months(today: date) -> tuple[Period, ...]:
    """The months that history goes back to, newest first."""
    found = []
    first, following = month_of(today)
    for _ in range(HISTORY_MONTHS):
        found.append(Period(first, following))
        first, following = month_of(date.fromordinal(first.toordinal() - 1))
    return tuple(found)


def _read(billing: Billing, access: Access, known: frozenset[date], today: date, folder: Path) -> _Read:
    """Read one account's months, newest first, until one fails or history is empty."""
    if not access.identity:
        return _Read(access)
    folder.mkdir()
    files: list[Path] = []
    for number, period in enumerate(months(today)):
        if number >= REREAD_MONTHS and period.start in known:
            continue
        try:
            path = folder / f"{billing.provider.lower()}-{period.start:%Y-%m}.csv"
            count = write(path, billing.charges(access.account_id, period))
        except ProviderError as error:
            return _Read(_failed(access, period, error), tuple(files))
        if count:
            files.append(path)
        elif number >= REREAD_MONTHS:
            # Before an account began there is nothing, month after month.
            break
    return _Read(access, tuple(files))


def _failed(access: Access, period: Period, error: ProviderError) -> Access:
    missing = {*access.missing, *((error.permission,) if isinstance(error, DeniedError) and error.permission else ())}
    problem = f"{period.start:%b %Y} and what lies before was not read: {error.what}"
    return replace(access, ok=False, problem=problem, missing=tuple(sorted(missing)))


def _stored(
    database: Database,
    tenant: str,
    read: _Read,
    tag_keys: tuple[str, ...],
    detail_months: int,
    now: Callable[[], datetime],
) -> Bill:
    try:
        loads = ingest(database, tenant, read.files, tag_keys=tag_keys, detail_months=detail_months, now=now)
    except InputError as error:
        return Bill(replace(read.access, ok=False, problem=error.what))
    return Bill(read.access, loads, read.skipped)


def _tell(bill: Bill, progress: Progress | None, number: int, total: int) -> None:
    access = bill.access
    if progress is not None:
        progress(f"bills of {access.provider} {access.account_id}", number, total)
    _log.info(
        "bill_read",
        provider=access.provider,
        account=access.account_id,
        months=len(bill.loads),
        skipped=bill.skipped,
        problem=access.problem,
    )
