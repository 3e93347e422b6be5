"""Loads: the ledger of which account's billing period was loaded, when, from what, with which exact totals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tools.model.charge import Partition
from tools.model.errors import SettingsError
from tools.model.load import Check, Difference, Load, LoadStatus, Totals
from tools.model.money import EXACT, join, plain, split
from tools.model.period import Period
from tools.store import facts
from tools.store.fact_tables import TAG_SLOTS, load_files, load_history, load_totals, loads, tag_slots


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What stands loaded for one partition. Days are the first and last with charges; `tag_keys` were kept then.

    `facts_id` is the load id that its facts carry where they lie; `rejected` rows were left out.
    """

    id: int
    partition: Partition
    rows: int
    first_day: date
    last_day: date
    loaded_at: datetime
    tag_keys: tuple[str, ...]
    has_detail: bool
    facts_id: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """A partition under lock: its id, and what was loaded last (empty fingerprints when nothing was).

    `facts_id` is the load id of its facts in the store that is used now, 0 when nothing stands there.
    """

    id: int
    fingerprint: str
    detail_fingerprint: str
    tag_keys: tuple[str, ...]
    first_day: date | None
    last_day: date | None
    totals: tuple[Totals, ...]
    facts_id: int = 0


def reserve(tx: Connection, tenant: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """The id of each partition's load, given out when it is new; nothing stands loaded by that."""
    return {partition: int(_line(tx, tenant, partition, for_update=False).id) for partition in partitions}


def lock(tx: Connection, tenant: str, partition: Partition) -> Standing:
    """Take the partition for this transaction, so that two loads of it come one after the other."""
    row = _line(tx, tenant, partition, for_update=True)
    here = row.facts_store == facts.store_id(tx)
    return Standing(
        row.id,
        row.fingerprint if here else "",
        row.detail_fingerprint if here else "",
        _keys(row.tag_keys),
        row.first_day,
        row.last_day,
        _totals(tx, tenant, row.id) if here else (),
        _facts_id(row) if here and row.loaded_at else 0,
    )


def _facts_id(row: Any) -> int:
    return int(row.facts_id or row.id)


def _line(tx: Connection, tenant: str, partition: Partition, *, for_update: bool) -> Any:
    key = {
        "tenant": tenant,
        "provider": partition.provider,
        "billing_account_id": partition.billing_account_id,
        "billing_period": partition.billing_period,
    }
    wanted = select(loads).where(*(loads.c[n] == v for n, v in key.items()))
    wanted = wanted.with_for_update() if for_update else wanted
    row = tx.execute(wanted).one_or_none()
    if row is None:
        new = sqlite.insert(loads) if tx.dialect.name == "sqlite" else postgresql.insert(loads)
        tx.execute(new.values(**key).on_conflict_do_nothing())
        row = tx.execute(wanted).one()
    return row


def made_of(tx: Connection, tenant: str, load_id: int, digests: Sequence[str]) -> None:
    """Keep which files a load was made of; none: they must be read again."""
    tx.execute(delete(load_files).where(load_files.c.tenant == tenant, load_files.c.load_id == load_id))
    if digests:
        rows = [{"tenant": tenant, "load_id": load_id, "digest": d} for d in sorted(set(digests))]
        tx.execute(insert(load_files), rows)


def files(tx: Connection, tenant: str) -> dict[int, frozenset[str]]:
    """The files that each load was made of, where that is known."""
    found: dict[int, set[str]] = defaultdict(set)
    for row in tx.execute(select(load_files).where(load_files.c.tenant == tenant)):
        found[row.load_id].add(row.digest)
    return {load_id: frozenset(digests) for load_id, digests in found.items()}


def standing_loads(tx: Connection, tenant: str, lines: Sequence[LedgerLine]) -> tuple[Load, ...]:
    """What stands loaded, told as a reading that changed nothing."""
    wanted = select(loads.c.id, loads.c.report).where(loads.c.tenant == tenant)
    reports = {row.id: row.report for row in tx.execute(wanted)}
    return tuple(
        Load(
            partition=line.partition,
            status=LoadStatus.UNCHANGED,
            rows=line.rows,
            rejected=0,
            totals=_totals(tx, tenant, line.id),
            checks=tuple(Check(**c) for c in reports[line.id].get("checks", ())),
            focus_versions=tuple(reports[line.id].get("focus_versions", ())),
        )
        for line in lines
    )


def _keys(text: str) -> tuple[str, ...]:
    return tuple(k for k in text.split(",") if k)


def _totals(tx: Connection, tenant: str, load_id: int) -> tuple[Totals, ...]:
    rows = tx.execute(
        select(load_totals)
        .where(load_totals.c.tenant == tenant, load_totals.c.load_id == load_id)
        .order_by(load_totals.c.currency)
    )
    return tuple(
        Totals(
            r.currency,
            r.rows,
            join(r.billed_micros, r.billed_rest),
            join(r.effective_micros, r.effective_rest),
            None if r.list_unknown else join(r.list_micros, r.list_rest),
            None if r.contracted_unknown else join(r.contracted_micros, r.contracted_rest),
        )
        for r in rows
    )


def record(
    tx: Connection,
    tenant: str,
    standing: Standing,
    load: Load,
    *,
    fingerprint: str,
    detail_fingerprint: str,
    tag_keys: Sequence[str],
    days: tuple[date, date],
    now: datetime,
    facts_id: int = 0,
) -> None:
    """Write what was loaded, with the difference to what stood there, into the ledger and its history.

    With a `facts_id` (of `facts.make_room`) this publishes the facts that were written elsewhere under it.
    """
    if facts_id:
        facts.publish(tx, tenant, facts_id, replaced=standing.facts_id, now=now)
    report = {"checks": [asdict(c) for c in load.checks], "focus_versions": list(load.focus_versions)}
    tx.execute(
        update(loads)
        .where(loads.c.tenant == tenant, loads.c.id == standing.id)
        .values(
            fingerprint=fingerprint,
            detail_fingerprint=detail_fingerprint,
            tag_keys=",".join(tag_keys),
            rows=load.rows,
            rejected=load.rejected,
            first_day=days[0],
            last_day=days[1],
            loaded_at=now,
            checked_at=now,
            report=report,
            facts_store=facts.store_id(tx),
            facts_id=facts_id,
        )
    )
    tx.execute(delete(load_totals).where(load_totals.c.tenant == tenant, load_totals.c.load_id == standing.id))
    tx.execute(insert(load_totals), [_total_row(tenant, standing.id, t) for t in load.totals])
    tx.execute(
        insert(load_history).values(
            tenant=tenant,
            load_id=standing.id,
            at=now,
            status=str(load.status),
            differences=[_difference_row(d) for d in load.differences],
        )
    )


def _total_row(tenant: str, load_id: int, total: Totals) -> dict[str, object]:
    row: dict[str, object] = {"tenant": tenant, "load_id": load_id, "currency": total.currency, "rows": total.rows}
    for name in ("billed", "effective", "list", "contracted"):
        amount: Decimal | None = getattr(total, f"{name}_cost")
        row[f"{name}_micros"], row[f"{name}_rest"] = split(amount or Decimal(0))
        if name in {"list", "contracted"}:
            row[f"{name}_unknown"] = int(amount is None)
    return row


def _difference_row(difference: Difference) -> dict[str, object]:
    return {
        "currency": difference.currency,
        "rows": difference.rows,
        "billed_cost": plain(difference.billed_cost),
        "effective_cost": plain(difference.effective_cost),
    }


def seen_unchanged(tx: Connection, tenant: str, load_ids: Sequence[int], *, now: datetime) -> None:
    """The same data was read again: nothing but the time of the last look changes."""
    tx.execute(update(loads).where(loads.c.tenant == tenant, loads.c.id.in_(load_ids)).values(checked_at=now))


def detail_dropped(tx: Connection, tenant: str, load_id: int) -> None:
    """Cost per resource of a load is not kept any longer."""
    tx.execute(update(loads).where(loads.c.tenant == tenant, loads.c.id == load_id).values(detail_fingerprint=""))


def differences(before: Sequence[Totals], after: Sequence[Totals]) -> tuple[Difference, ...]:
    """After minus before, per currency; currencies without any difference are left out."""
    old, new = {t.currency: t for t in before}, {t.currency: t for t in after}
    found = []
    for currency in sorted(old.keys() | new.keys()):
        was, is_now = old.get(currency, _nothing(currency)), new.get(currency, _nothing(currency))
        difference = Difference(
            currency,
            is_now.rows - was.rows,
            EXACT.subtract(is_now.billed_cost, was.billed_cost),
            EXACT.subtract(is_now.effective_cost, was.effective_cost),
        )
        if difference.rows or difference.billed_cost or difference.effective_cost:
            found.append(difference)
    return tuple(found)


def _nothing(currency: str) -> Totals:
    return Totals(currency, 0, Decimal(0), Decimal(0), Decimal(0), Decimal(0))


def ledger(tx: Connection, tenant: str) -> tuple[LedgerLine, ...]:
    """Everything that stands loaded, oldest period first."""
    rows = tx.execute(
        select(loads)
        .where(loads.c.tenant == tenant, loads.c.loaded_at.is_not(None), facts.stands_here(tx))
        .order_by(loads.c.billing_period, loads.c.provider, loads.c.billing_account_id)
    )
    return tuple(
        LedgerLine(
            r.id,
            Partition(r.provider, r.billing_account_id, r.billing_period),
            r.rows,
            r.first_day,
            r.last_day,
            r.loaded_at,
            _keys(r.tag_keys),
            bool(r.detail_fingerprint),
            _facts_id(r),
            r.rejected,
        )
        for r in rows
    )


def of_days(lines: Sequence[LedgerLine], period: Period) -> tuple[int, ...]:
    """The ids under which the facts of these days lie."""
    return tuple(x.facts_id for x in lines if x.first_day < period.end and x.last_day >= period.start)


def currencies(tx: Connection, tenant: str) -> tuple[str, ...]:
    """Billing currencies, most rows first."""
    count = func.sum(load_totals.c.rows)
    rows = tx.execute(
        select(load_totals.c.currency)
        .join(loads, loads.c.id == load_totals.c.load_id)
        .where(load_totals.c.tenant == tenant, loads.c.tenant == tenant, facts.stands_here(tx))
        .group_by(load_totals.c.currency)
        .order_by(count.desc(), load_totals.c.currency)
    )
    return tuple(rows.scalars())


def billed(tx: Connection, tenant: str) -> dict[str, Decimal]:
    """The exact billed cost of all that stands loaded, per currency."""
    rows = tx.execute(
        select(load_totals.c.currency, load_totals.c.billed_micros, load_totals.c.billed_rest)
        .join(loads, loads.c.id == load_totals.c.load_id)
        .where(load_totals.c.tenant == tenant, loads.c.tenant == tenant, facts.stands_here(tx))
    )
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row.currency] = EXACT.add(sums[row.currency], join(row.billed_micros, row.billed_rest))
    return dict(sums)


def elsewhere(tx: Connection, tenant: str) -> int:
    """How many loads were published in another store than the one that is used now; nobody sees them."""
    loaded = (loads.c.tenant == tenant, loads.c.loaded_at.is_not(None), ~facts.stands_here(tx))
    return int(tx.execute(select(func.count()).select_from(loads).where(*loaded)).scalar_one())


def version(tx: Connection, tenant: str) -> str:
    """Changes with every load that changed anything."""
    newest = select(func.max(load_history.c.id)).where(load_history.c.tenant == tenant)
    return f"loads-{facts.store_id(tx)}{tx.execute(newest).scalar_one() or 0}"


def restatements(
    tx: Connection, tenant: str, load_id: int
) -> tuple[tuple[datetime, LoadStatus, tuple[Difference, ...]], ...]:
    """The history of one partition, oldest first."""
    rows = tx.execute(
        select(load_history)
        .where(load_history.c.tenant == tenant, load_history.c.load_id == load_id)
        .order_by(load_history.c.id)
    )
    return tuple((r.at, LoadStatus(r.status), tuple(_difference(d) for d in r.differences)) for r in rows)


def _difference(row: dict[str, object]) -> Difference:
    return Difference(
        str(row["currency"]),
        int(str(row["rows"])),
        Decimal(str(row["billed_cost"])),
        Decimal(str(row["effective_cost"])),
    )


def slots(tx: Connection, tenant: str) -> dict[str, str]:
    """Which column holds each tag key that was ever kept."""
    rows = tx.execute(select(tag_slots).where(tag_slots.c.tenant == tenant))
    return {r.key: f"tag_{r.slot}" for r in rows}


def assign_slots(tx: Connection, tenant: str, keys: Sequence[str]) -> dict[str, str]:
    """Give every key a column for good; raises SettingsError when there are no columns left."""
    taken = slots(tx, tenant)
    for key in keys:
        if key in taken:
            continue
        if len(taken) >= TAG_SLOTS:
            raise SettingsError(
                f"At most {TAG_SLOTS} tag keys can ever be kept, and {', '.join(sorted(taken))} are.",
                fix="Take the key out of OPTIINFRA_TAG_KEYS.",
            )
        slot = len(taken) + 1
        tx.execute(insert(tag_slots).values(tenant=tenant, key=key, slot=slot))
        taken[key] = f"tag_{slot}"
    return taken
