"""Billing: reads what clouds charge through their own APIs, month by month; each month is stored whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from tools.collection.charges import TAG_VALUES, ingest
from tools.collection.reconcile import same_account
from tools.model.errors import DeniedError, InputError, ProviderError
from tools.model.invoice import Invoice
from tools.model.load import Load
from tools.model.period import Period
from tools.providers.base import Access, Billing, Invoicing, Restating
from tools.providers.focus.rows import month_of, write
from tools.store import coverage
from tools.store import loads as ledger
from tools.store.database import Database
from tools.telemetry.logs import get_logger

Progress = Callable[[str, int, int], None]
Known = Mapping[date, tuple[Decimal, Decimal]]
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
    invoices: tuple[Invoice, ...] = ()


def collect(
    database: Database,
    tenant: str,
    billings: Iterable[Billing],
    *,
    in_files: Iterable[Load] = (),
    tag_keys: tuple[str, ...],
    detail_months: int,
    tag_values: int = TAG_VALUES,
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
        known = _months_known(ledger.standing_loads(tx, tenant, ledger.ledger(tx, tenant)))
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
            return _read(billing, access, known.get(name, {}), now().date(), place)

        for one in pool.map(read, range(len(accounts))):
            done.append(_stored(database, tenant, one, tag_keys, detail_months, tag_values, now))
            _tell(done[-1], progress, len(done), len(accounts))
    return tuple(done)


def _account(provider: str, account_id: str) -> tuple[str, str]:
    return provider.lower(), same_account(account_id)


def _accesses(billing: Billing) -> tuple[Access, ...]:
    try:
        return billing.check_access()
    except ProviderError as error:
        return (Access(billing.provider, "", "", False, error.what),)


def _months_known(loads: Sequence[Load]) -> Mapping[tuple[str, str], Known]:
    """Of every account, the months that stand loaded, with their billed and effective total."""
    found: dict[tuple[str, str], dict[date, tuple[Decimal, Decimal]]] = {}
    for load in loads:
        if (partition := load.partition) is not None:
            months = found.setdefault(_account(partition.provider, partition.billing_account_id), {})
            months[partition.billing_period] = (
                sum((t.billed_cost for t in load.totals), Decimal(0)),
                sum((t.effective_cost for t in load.totals), Decimal(0)),
            )
    return found


def months(today: date) -> tuple[Period, ...]:
    """The months that history goes back to, newest first."""
    found = []
    first, following = month_of(today)
    for _ in range(HISTORY_MONTHS):
        found.append(Period(first, following))
        first, following = month_of(date.fromordinal(first.toordinal() - 1))
    return tuple(found)


def _read(billing: Billing, access: Access, known: Known, today: date, folder: Path) -> _Read:
    """Read one account's months, newest first, until one fails or history is empty."""
    if not access.identity:
        return _Read(access)
    folder.mkdir()
    files: list[Path] = []
    invoices: list[Invoice] = []
    history = months(today)
    try:
        settled = known.keys() - _restated(billing, access, known, history[REREAD_MONTHS:])
    except ProviderError as error:
        return _Read(_failed(access, history[0], error))
    for number, period in enumerate(history):
        if number >= REREAD_MONTHS and period.start in settled:
            continue
        try:
            path = folder / f"{billing.provider.lower()}-{period.start:%Y-%m}.csv"
            count = write(path, billing.charges(access.account_id, period))
            if isinstance(billing, Invoicing):
                invoices += billing.invoices(access.account_id, period)
        except ProviderError as error:
            return _Read(_failed(access, period, error), tuple(files), invoices=tuple(invoices))
        if count:
            files.append(path)
        elif number >= REREAD_MONTHS:
            # Before an account began there is nothing, month after month.
            break
    return _Read(access, tuple(files), invoices=tuple(invoices))


def _restated(billing: Billing, access: Access, known: Known, earlier: Sequence[Period]) -> frozenset[date]:
    """The earlier months that stand loaded and that the cloud tells differently now, where it can say so."""
    standing = {period.start: known[period.start] for period in earlier if period.start in known}
    return billing.restated(access.account_id, standing) if standing and isinstance(billing, Restating) else frozenset()


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
    tag_values: int,
    now: Callable[[], datetime],
) -> Bill:
    loads: tuple[Load, ...] = ()
    access = read.access
    try:
        loads = ingest(
            database,
            tenant,
            read.files,
            tag_keys=tag_keys,
            detail_months=detail_months,
            tag_values=tag_values,
            now=now,
        )
    except InputError as error:
        access = replace(access, ok=False, problem=error.what)
    with database.begin() as tx:
        coverage.save_invoices(tx, tenant, read.invoices)
        look = coverage.BillingLook(
            access.provider, access.account_id, now(), access.ok, access.problem, tuple(access.missing)
        )
        coverage.note_look(tx, tenant, look)
    return Bill(access, loads, read.skipped)


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
