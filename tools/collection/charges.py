"""Charges: reads FOCUS files into the database - checked, rolled up, and one whole transaction per billing period."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tools.collection import levels
from tools.collection.problems import LISTED
from tools.collection.worker import Message, Progress, Worker, rollup
from tools.model.charge import Partition
from tools.model.errors import OptiInfraError
from tools.model.load import Check, Load, LoadStatus, Problem, Totals
from tools.providers.focus.files import find
from tools.store import charge_writing, loads
from tools.store.charge_writing import Rolled
from tools.store.database import Database
from tools.store.loads import LedgerLine, Standing


@dataclass(frozen=True, slots=True)
class _Found:
    """One partition that the files hold; None when the rows do not say to which they belong."""

    partition: Partition | None
    rows: int
    rejected: int


@dataclass(frozen=True, slots=True)
class _Told:
    """What is wrong with the rows of one partition."""

    problems: tuple[Problem, ...]
    total: int


def ingest(
    database: Database,
    tenant: str,
    paths: Sequence[str | Path],
    *,
    tag_keys: tuple[str, ...],
    detail_months: int,
    provider: str | None = None,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> tuple[Load, ...]:
    """Read FOCUS files, folders or patterns; one Load per billing account and period, in that order.

    Each period is replaced whole or stays as it was. Raises InputError, with nothing changed, when a file cannot
    be read at all; rows that cannot be read are left out and told in `Load.problems`. `provider` names rows
    without one, and leaves out rows of others.
    """
    files = find(paths)
    if not files:
        return ()
    with rollup(files, tag_keys, provider, progress) as worker:
        message = worker.hear("found")
        found = [_found(p) for p in message["partitions"]]
        with database.read() as tx:
            standing = loads.ledger(tx, tenant)
        kept = _keep_detail(found, standing, detail_months)
        ingestion = _Ingestion(database, tenant, tag_keys, now, tuple(message["versions"]))
        done = []
        for number, one in enumerate(found):
            if progress is not None:
                progress(f"storing {one.partition or 'rejected rows'}", number, len(found))
            done.append(ingestion.one(worker, one, detail=one.partition in kept))
    for line in standing:
        ingestion.give_up_detail(line, kept)
    return _with_notes(tuple(done), message["notes"])


def _found(told: dict[str, Any]) -> _Found:
    period = told["billing_period"]
    partition = None
    if period is not None and told["provider"] and told["billing_account_id"]:
        partition = Partition(told["provider"], told["billing_account_id"], date.fromisoformat(period))
    return _Found(partition, told["rows"], told["rejected"])


def _keep_detail(found: Sequence[_Found], standing: Sequence[LedgerLine], months: int) -> frozenset[Partition]:
    """The newest billing periods of each account, stored or about to be: these keep cost per resource."""
    every = {f.partition for f in found if f.partition is not None and f.rows} | {s.partition for s in standing}
    accounts: dict[tuple[str, str], list[Partition]] = {}
    for partition in sorted(every, key=lambda p: p.billing_period, reverse=True):
        accounts.setdefault((partition.provider, partition.billing_account_id), []).append(partition)
    return frozenset(p for newest in accounts.values() for p in newest[:months])


@dataclass(frozen=True, slots=True)
class _Ingestion:
    """Takes over one partition after the other from the roll-up process."""

    database: Database
    tenant: str
    tag_keys: tuple[str, ...]
    now: Callable[[], datetime]
    versions: tuple[str, ...]

    def one(self, worker: Worker, found: _Found, *, detail: bool) -> Load:
        told = _problems(worker.hear("problems"))
        refusal = _refusal(found)
        worker.tell(roll=not refusal, detail=detail)
        if refusal or found.partition is None:
            return _load(found, told, LoadStatus.REFUSED, reason=refusal, versions=self.versions)
        rolled = worker.hear("rolled")
        load = self._store(found.partition, found, told, rolled)
        worker.tell(next=True)
        return load

    def _store(self, partition: Partition, found: _Found, told: _Told, rolled: Message) -> Load:
        totals = tuple(_totals(*t) for t in rolled["totals"])
        checks = tuple(Check(**c) for c in rolled["checks"])
        moment = self.now()
        with self.database.begin() as tx:
            before = loads.lock(tx, self.tenant, partition)
            if _same(before, rolled, self.tag_keys):
                loads.seen_unchanged(tx, self.tenant, before, now=moment)
                return _load(found, told, LoadStatus.UNCHANGED, totals, checks, versions=self.versions)
            slots = loads.assign_slots(tx, self.tenant, self.tag_keys)
            charge_writing.replace(tx, self.tenant, before, _files(rolled, self.tag_keys, slots))
            days = (date.fromisoformat(rolled["first_day"]), date.fromisoformat(rolled["last_day"]))
            self._verify(charge_writing.added_up(tx, self.tenant, before.id, days), totals, partition, rolled)
            status = LoadStatus.REPLACED if before.fingerprint else LoadStatus.LOADED
            load = _load(found, told, status, totals, checks, before=before, at=moment, versions=self.versions)
            loads.record(
                tx,
                self.tenant,
                before,
                load,
                fingerprint=rolled["fingerprint"],
                detail_fingerprint=rolled["detail_fingerprint"],
                tag_keys=self.tag_keys,
                days=days,
                now=moment,
            )
        return load

    def _verify(
        self, stored: dict[int, tuple[Totals, ...]], wanted: tuple[Totals, ...], partition: Partition, rolled: Message
    ) -> None:
        """Every level must add up to the control totals of the raw rows, to the last digit; else nothing is kept."""
        every = (1, 2, 3) if rolled["detail_fingerprint"] else (1, 2)
        wrong = [level for level in every if stored.get(level) != wanted]
        if wrong:
            raise OptiInfraError(
                f"What was stored for {partition} does not add up to its rows (level {wrong[0]}), so it was undone.",
                fix="Report this with the file: it is a fault of this program.",
            )

    def give_up_detail(self, line: LedgerLine, kept: frozenset[Partition]) -> None:
        """Newer periods have come: cost per resource of this one is not kept any longer."""
        if not line.has_detail or line.partition in kept:
            return
        with self.database.begin() as tx:
            standing = loads.lock(tx, self.tenant, line.partition)
            charge_writing.remove_detail(tx, self.tenant, standing)
            loads.detail_dropped(tx, self.tenant, standing.id)


def _refusal(found: _Found) -> str:
    if found.partition is None:
        return "The rows do not say to which provider, billing account and period they belong."
    if not found.rows:
        return "None of its rows can be used."
    if found.rejected > found.rows:
        return (
            f"Only {found.rows} of {found.rows + found.rejected} rows can be used; so few would show too little cost."
        )
    return ""


def _same(before: Standing, rolled: Message, tag_keys: tuple[str, ...]) -> bool:
    detail = rolled["detail_fingerprint"]
    return (
        before.fingerprint == rolled["fingerprint"]
        and before.tag_keys == tag_keys
        and detail in {"", before.detail_fingerprint}
    )


def _files(rolled: Message, tag_keys: tuple[str, ...], slots: dict[str, str]) -> Rolled:
    names = levels.dims_of(3, len(tag_keys))
    by_number = dict(zip(levels.tag_columns(len(tag_keys)), tag_keys, strict=True))
    columns = tuple(slots[by_number[n]] if n in by_number else n for n in names)
    return Rolled(tuple(Path(p) for p in rolled["series"]), tuple(Path(p) for p in rolled["facts"]), columns)


def _totals(
    currency: str,
    rows: int,
    billed: str,
    effective: str,
    listed: str,
    list_unknown: int,
    contracted: str,
    contracted_unknown: int,
) -> Totals:
    return Totals(
        currency,
        rows,
        Decimal(billed),
        Decimal(effective),
        None if list_unknown else Decimal(listed),
        None if contracted_unknown else Decimal(contracted),
    )


def _problems(told: Message) -> _Told:
    return _Told(tuple(Problem(**p) for p in told["problems"]), told["total"])


def _load(
    found: _Found,
    told: _Told,
    status: LoadStatus,
    totals: tuple[Totals, ...] = (),
    checks: tuple[Check, ...] = (),
    *,
    before: Standing | None = None,
    at: datetime | None = None,
    reason: str = "",
    versions: tuple[str, ...] = (),
) -> Load:
    return Load(
        partition=found.partition,
        status=status,
        # Of a refused period nothing was loaded: its good rows are left out like the bad ones.
        rows=0 if status is LoadStatus.REFUSED else found.rows,
        rejected=found.rejected + (found.rows if status is LoadStatus.REFUSED else 0),
        totals=totals,
        differences=loads.differences(before.totals, totals) if before and status is LoadStatus.REPLACED else (),
        problems=told.problems,
        problems_total=told.total,
        checks=checks,
        focus_versions=versions,
        loaded_at=at,
        reason=reason,
    )


def _with_notes(done: tuple[Load, ...], told: dict[str, Any]) -> tuple[Load, ...]:
    """Add what concerns whole files to the first load, and rows that could not even be read as a refused one."""
    notes = tuple(Problem(**n) for n in told["notes"])
    if told["unreadable_rows"]:
        unreadable = tuple(Problem(**p) for p in told["unreadable"])
        lost = _Told(unreadable, told["unreadable_rows"])
        found = _Found(None, 0, told["unreadable_rows"])
        done = (*done, _load(found, lost, LoadStatus.REFUSED, reason="These rows are not UTF-8 text."))
    if not notes or not done:
        return done
    first = done[0]
    problems = (*notes, *first.problems)[:LISTED]
    return (replace(first, problems=problems, problems_total=first.problems_total + len(notes)), *done[1:])
