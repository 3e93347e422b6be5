"""Charges: reads FOCUS files into the database - checked, rolled up, and one whole transaction per billing period."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tools.collection import levels
from tools.collection.memory import Memory
from tools.collection.problems import LISTED
from tools.collection.worker import Message, Progress, Worker, listed, rollup
from tools.model.charge import Partition
from tools.model.errors import OptiInfraError
from tools.model.invoice import Billed
from tools.model.load import Check, Load, LoadStatus, Problem, Totals
from tools.model.money import MOST
from tools.providers.focus.files import FocusFile, digest, find
from tools.store import charge_writing, coverage, facts, loads
from tools.store.charge_writing import Figures, Rolled
from tools.store.database import Database
from tools.store.loads import LedgerLine, Standing

# A person or a session in a tag would make every row its own.
TAG_VALUES = 1000


@dataclass(frozen=True, slots=True)
class _Found:
    """One partition that the files hold; None when the rows do not say to which they belong.

    `files` are the numbers of its files in the order of reading, `problems` how many rows have one.
    """

    number: int
    partition: Partition | None
    rows: int
    rejected: int
    problems: int = 0
    files: tuple[int, ...] = ()
    versions: tuple[str, ...] = ()


def ingest(
    database: Database,
    tenant: str,
    paths: Sequence[str | Path],
    *,
    tag_keys: tuple[str, ...],
    detail_months: int,
    provider: str | None = None,
    tag_values: int = TAG_VALUES,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> tuple[Load, ...]:
    """Read FOCUS files, folders or patterns; one Load per billing account and period, in that order.

    Each period is replaced whole or stays as it was. Raises InputError, with nothing changed, when a file cannot
    be read at all; rows that cannot be read are left out and told in `Load.problems`. `provider` names rows
    without one, and leaves out rows of others. Of each tag key the `tag_values` dearest values of a period stay
    apart; what others cost is kept per resource.
    """
    files = {file: digest(file) for file in find(paths)}
    if not files:
        return ()
    with database.read() as tx:
        memory = Memory.of(tx, tenant, tag_keys, provider)
    kept = _keep_detail([], memory.standing, detail_months)
    settled = memory.settled(files, kept)
    reading = [file for file in files if file not in settled]
    done: list[Load] = []
    if reading:
        ingestion = _Ingestion(database, tenant, tag_keys, detail_months, tag_values, now, progress)
        done += ingestion.read(reading, files, memory, settled, provider)
    read = {load.partition for load in done}
    lines = [line for line in memory.lines_of(settled, files) if line.partition not in read]
    with database.begin() as tx:
        loads.seen_unchanged(tx, tenant, [line.id for line in lines], now=now())
        done += loads.standing_loads(tx, tenant, lines)
    return tuple(sorted(done, key=_order))


def _order(load: Load) -> tuple[bool, str, str, str]:
    where = load.partition
    if where is None:
        return True, "", "", ""
    return False, where.provider, where.billing_account_id, where.billing_period.isoformat()


def _found(number: int, told: dict[str, Any]) -> _Found:
    period = told["billing_period"]
    partition = None
    if period is not None and told["provider"] and told["billing_account_id"]:
        partition = Partition(told["provider"], told["billing_account_id"], date.fromisoformat(period))
    return _Found(
        number,
        partition,
        told["rows"],
        told["rejected"],
        told["problems"],
        tuple(told["files"]),
        tuple(told["versions"]),
    )


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
    detail_months: int
    tag_values: int
    now: Callable[[], datetime]
    progress: Progress | None

    def read(
        self,
        reading: Sequence[FocusFile],
        digests: Mapping[FocusFile, str],
        memory: Memory,
        settled: frozenset[FocusFile],
        provider: str | None,
    ) -> tuple[Load, ...]:
        """Read files, and with them those settled ones whose partitions have changed."""
        order = list(reading)
        with rollup(order, self.tag_keys, provider, self.progress) as worker:
            while True:
                message = worker.hear("found")
                found = [_found(n, p) for n, p in enumerate(message["partitions"])]
                touched = {f.partition for f in found if f.partition is not None}
                more = [f for f in memory.files_of(touched, settled, digests) if f not in order]
                if not more:
                    break
                order += more
                worker.tell(files=listed(more))
            clean = _clean_files(found, message["notes"], [f.name for f in order])
            names = [memory.name(digests[f]) for f in order]
            made_of = {f.number: [names[n] for n in f.files] if all(n in clean for n in f.files) else [] for f in found}
            done = self._take_over(worker, found, made_of)
        kept = _keep_detail(found, memory.standing, self.detail_months)
        for line in memory.standing:
            self._give_up_detail(line, kept)
        facts.sweep(self.database, now=self.now())
        return _with_notes(done, message["notes"])

    def _take_over(
        self, worker: Worker, found: Sequence[_Found], made_of: Mapping[int, Sequence[str]]
    ) -> tuple[Load, ...]:
        wanted = {f.number: f.partition for f in found if f.partition is not None and not _refusal(f)}
        with self.database.begin() as tx:
            ids = loads.reserve(tx, self.tenant, list(wanted.values()))
            standing = loads.ledger(tx, self.tenant)
        kept = _keep_detail(found, standing, self.detail_months)
        worker.tell(
            roll=[{"number": n, "load_id": ids[p], "detail": p in kept} for n, p in wanted.items()],
            tenant=self.tenant,
            tag_values=self.tag_values,
        )
        done = []
        for one in (f for f in found if f.number not in wanted):
            told = _problems(worker.hear("left"), one)
            done.append(_load(one, told, LoadStatus.REFUSED, reason=_refusal(one)))
            worker.tell(next=True)
        for number, partition in wanted.items():
            if self.progress is not None:
                self.progress(f"storing {partition}", number, len(found))
            rolled = worker.hear("rolled")
            done.append(self._store(partition, found[number], rolled, made_of[number]))
            worker.tell(next=True)
        return tuple(done)

    def _store(self, partition: Partition, found: _Found, rolled: Message, made_of: Sequence[str]) -> Load:
        told = _problems(rolled, found)
        totals = tuple(_totals(*t) for t in rolled["totals"])
        if vast := _vast(totals):
            return _load(found, told, LoadStatus.REFUSED, reason=vast)
        checks = tuple(Check(**c) for c in rolled["checks"])
        moment = self.now()
        facts_id = facts.make_room(self.database, self.tenant, now=moment)
        with self.database.begin() as tx:
            before = loads.lock(tx, self.tenant, partition)
            loads.made_of(tx, self.tenant, before.id, made_of)
            # Invoice ids come when a month is closed, often without any other change.
            coverage.save_billed(tx, self.tenant, before.id, [_billed(*b) for b in rolled["invoices"]])
            if _same(before, rolled, self.tag_keys):
                loads.seen_unchanged(tx, self.tenant, [before.id], now=moment)
                facts.give_back(tx, facts_id)
                return _load(found, told, LoadStatus.UNCHANGED, totals, checks)
            slots = loads.assign_slots(tx, self.tenant, self.tag_keys)
            charge_writing.replace(tx, self.tenant, before, _files(rolled, self.tag_keys, slots), facts_id)
            days = (date.fromisoformat(rolled["first_day"]), date.fromisoformat(rolled["last_day"]))
            self._verify(
                charge_writing.added_up(tx, self.tenant, facts_id or before.id, days), totals, partition, rolled
            )
            status = LoadStatus.REPLACED if before.fingerprint else LoadStatus.LOADED
            load = _load(found, told, status, totals, checks, before=before, at=moment)
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
                facts_id=facts_id,
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

    def _give_up_detail(self, line: LedgerLine, kept: frozenset[Partition]) -> None:
        """Newer periods have come: cost per resource of this one is not kept any longer."""
        if not line.has_detail or line.partition in kept:
            return
        with self.database.begin() as tx:
            standing = loads.lock(tx, self.tenant, line.partition)
            charge_writing.remove_detail(tx, self.tenant, standing, now=self.now())
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


def _vast(totals: Sequence[Totals]) -> str:
    """What to say when a total is more than the ledger can hold."""
    for one in totals:
        amounts = (one.billed_cost, one.effective_cost, one.list_cost, one.contracted_cost)
        if any(amount is not None and abs(amount) > MOST for amount in amounts):
            return (
                f"Its rows add up to more than {MOST:,} {one.currency}, the most that one account and billing period "
                "can hold."
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
    facts = (
        Figures(Path(f["path"]), f["level"], tuple((date.fromisoformat(d), n) for d, n in f["days"]))
        for f in rolled["facts"]
    )
    return Rolled(tuple(Path(p) for p in rolled["series"]), tuple(facts), columns)


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


def _billed(invoice: str, currency: str, rows: int, lines: int, *parts: str) -> Billed:
    billed, tax, credited, purchases = map(Decimal, parts)
    return Billed(invoice, currency, rows, lines, billed, tax, credited, purchases)


def _clean_files(found: Sequence[_Found], notes: dict[str, Any], names: Sequence[str]) -> frozenset[int]:
    """Numbers of the files of which there is nothing to tell: they need not be read again."""
    told = {p["file"] for p in (*notes["notes"], *notes["unreadable"])}
    dirty = {n for f in found if f.problems or _refusal(f) for n in f.files}
    return frozenset(n for n, name in enumerate(names) if n not in dirty and name not in told)


def _problems(told: Message, found: _Found) -> tuple[tuple[Problem, ...], int]:
    return tuple(Problem(**p) for p in told["problems"]), found.problems


def _load(
    found: _Found,
    told: tuple[tuple[Problem, ...], int],
    status: LoadStatus,
    totals: tuple[Totals, ...] = (),
    checks: tuple[Check, ...] = (),
    *,
    before: Standing | None = None,
    at: datetime | None = None,
    reason: str = "",
) -> Load:
    return Load(
        partition=found.partition,
        status=status,
        # Of a refused period nothing was loaded: its good rows are left out like the bad ones.
        rows=0 if status is LoadStatus.REFUSED else found.rows,
        rejected=found.rejected + (found.rows if status is LoadStatus.REFUSED else 0),
        totals=totals,
        differences=loads.differences(before.totals, totals) if before and status is LoadStatus.REPLACED else (),
        problems=told[0],
        problems_total=told[1],
        checks=checks,
        focus_versions=found.versions,
        loaded_at=at,
        reason=reason,
    )


def _with_notes(done: tuple[Load, ...], told: dict[str, Any]) -> tuple[Load, ...]:
    """Add what concerns whole files to the first load, and rows that could not even be read as a refused one."""
    notes = tuple(Problem(**n) for n in told["notes"])
    if told["unreadable_rows"]:
        unreadable = tuple(Problem(**p) for p in told["unreadable"])
        found = _Found(-1, None, 0, told["unreadable_rows"])
        lost = (unreadable, told["unreadable_rows"])
        done = (*done, _load(found, lost, LoadStatus.REFUSED, reason="These rows are not UTF-8 text."))
    if not notes or not done:
        return done
    first = done[0]
    problems = (*notes, *first.problems)[:LISTED]
    return (replace(first, problems=problems, problems_total=first.problems_total + len(notes)), *done[1:])
