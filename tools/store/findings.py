"""Findings: anomalies kept under stable ids, what people decided about them, and the detector's memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from tools.model.anomaly import Anomaly
from tools.model.driver import Driver
from tools.model.errors import InputError, NotFoundError
from tools.model.money import plain
from tools.model.period import Period
from tools.store.finding_tables import anomalies as table
from tools.store.finding_tables import anomaly_feedback, detector_memories

STATUSES = ("open", "resolved", "expected")
VERDICTS = ("expected", "useful", "mute")


def save_anomalies(tx: Connection, tenant: str, anomalies: Iterable[Anomaly], *, now: datetime) -> tuple[str, ...]:
    """Insert new anomalies and renew known ones; return the ids of the new ones.

    What a person decided about an anomaly (its status) stays.
    """
    new = []
    for anomaly in anomalies:
        values = _columns(anomaly) | {"updated_at": now}
        mine = (table.c.tenant == tenant) & (table.c.id == anomaly.id)
        decided = tx.execute(select(table.c.decided_by).where(mine)).scalar_one_or_none()
        if decided is None:
            tx.execute(insert(table).values(tenant=tenant, id=anomaly.id, found_at=now, **values))
            new.append(anomaly.id)
            continue
        if decided:
            values.pop("status")
        tx.execute(update(table).where(mine).values(**values))
    return tuple(new)


def anomalies(
    tx: Connection, tenant: str, period: Period | None = None, status: str | None = None
) -> tuple[Anomaly, ...]:
    """Anomalies with a day in `period`, by money at stake (greatest first)."""
    query = select(table).where(table.c.tenant == tenant)
    if status is not None:
        query = query.where(table.c.status == status)
    if period is not None:
        query = query.where(table.c.started < period.end)
    found = [_anomaly(row) for row in tx.execute(query)]
    if period is not None:
        found = [a for a in found if a.started + timedelta(days=a.days) > period.start]
    return tuple(sorted(found, key=lambda a: (-abs(a.excess), a.started, a.id)))


def one(tx: Connection, tenant: str, anomaly_id: str) -> Anomaly:
    """An anomaly by its id; raises NotFoundError."""
    row = tx.execute(select(table).where(table.c.tenant == tenant, table.c.id == anomaly_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no anomaly {anomaly_id}.", fix="List them with: optiinfra anomalies")
    return _anomaly(row)


def drop(tx: Connection, tenant: str, ids: Iterable[str]) -> int:
    """Forget anomalies that later bills took back and nobody decided about; return how many."""
    gone = 0
    for id_ in ids:
        gone += tx.execute(
            delete(table).where(table.c.tenant == tenant, table.c.id == id_, table.c.decided_by == "")
        ).rowcount
    return gone


def set_status(
    tx: Connection, tenant: str, anomaly_id: str, status: str, *, actor: str, reason: str, now: datetime
) -> Anomaly:
    """A person's word on an anomaly: open, resolved or expected. Kept with who said it and why."""
    if status not in STATUSES:
        raise InputError(f'An anomaly cannot be "{status}".', fix="Say one of: " + ", ".join(STATUSES) + ".")
    anomaly = one(tx, tenant, anomaly_id)
    tx.execute(
        update(table)
        .where(table.c.tenant == tenant, table.c.id == anomaly_id)
        .values(status=status, decided_by=actor, updated_at=now)
    )
    if status == "expected":
        _note(tx, tenant, anomaly, "expected", actor=actor, reason=reason, until=None, now=now)
    return one(tx, tenant, anomaly_id)


def give_feedback(
    tx: Connection,
    tenant: str,
    anomaly_id: str,
    verdict: str,
    *,
    actor: str,
    reason: str,
    now: datetime,
    until: date | None = None,
) -> None:
    """Keep feedback: "expected", "useful", or "mute" this series until a day (a mute needs a reason and an end)."""
    if verdict not in VERDICTS:
        raise InputError(f'"{verdict}" is no feedback.', fix="Say one of: " + ", ".join(VERDICTS) + ".")
    if verdict == "mute" and (until is None or not reason.strip()):
        raise InputError("A mute needs a reason and a last day.", fix="Say why, and until when.")
    anomaly = one(tx, tenant, anomaly_id)
    if verdict == "expected":
        set_status(tx, tenant, anomaly_id, "expected", actor=actor, reason=reason, now=now)
        return
    _note(tx, tenant, anomaly, verdict, actor=actor, reason=reason, until=until, now=now)


def _note(
    tx: Connection,
    tenant: str,
    anomaly: Anomaly,
    verdict: str,
    *,
    actor: str,
    reason: str,
    until: date | None,
    now: datetime,
) -> None:
    tx.execute(
        insert(anomaly_feedback).values(
            tenant=tenant,
            anomaly_id=anomaly.id,
            keys=_pairs(anomaly.keys),
            verdict=verdict,
            actor=actor,
            reason=reason,
            until=until,
            given_at=now,
        )
    )


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said about an anomaly; `until` is the last day of a mute."""

    anomaly_id: str
    keys: tuple[tuple[str, str], ...]
    verdict: str
    actor: str
    reason: str
    until: date | None
    given_at: datetime


def feedback(tx: Connection, tenant: str) -> tuple[Feedback, ...]:
    """All feedback, oldest first."""
    rows = tx.execute(
        select(anomaly_feedback).where(anomaly_feedback.c.tenant == tenant).order_by(anomaly_feedback.c.id)
    )
    return tuple(
        Feedback(r.anomaly_id, _tuples(r.keys), r.verdict, r.actor, r.reason, r.until, r.given_at) for r in rows
    )


def expected(tx: Connection, tenant: str) -> tuple[tuple[Feedback, Anomaly], ...]:
    """What was called expected, with the anomaly that it was said of; the last word on each counts."""
    last = {said.anomaly_id: said for said in feedback(tx, tenant) if said.verdict == "expected"}
    rows = tx.execute(select(table).where(table.c.tenant == tenant, table.c.status == "expected").order_by(table.c.id))
    return tuple((last[row.id], _anomaly(row)) for row in rows if row.id in last)


@dataclass(frozen=True, slots=True)
class DetectorMemory:
    """What the detector knew before `next_day`: `series` names its rows, `fingerprint` what it was learned from."""

    next_day: date
    fingerprint: str
    series: tuple[tuple[tuple[str, str], ...], ...]
    block: bytes


def memory(tx: Connection, tenant: str, name: str) -> DetectorMemory | None:
    """The memory of that name, if there is one."""
    row = tx.execute(
        select(detector_memories).where(detector_memories.c.tenant == tenant, detector_memories.c.name == name)
    ).one_or_none()
    if row is None:
        return None
    return DetectorMemory(row.next_day, row.fingerprint, tuple(_tuples(keys) for keys in row.series), bytes(row.block))


def keep_memory(tx: Connection, tenant: str, name: str, memory: DetectorMemory) -> None:
    """Keep the memory in place of the one before."""
    tx.execute(delete(detector_memories).where(detector_memories.c.tenant == tenant, detector_memories.c.name == name))
    tx.execute(
        insert(detector_memories).values(
            tenant=tenant,
            name=name,
            next_day=memory.next_day,
            fingerprint=memory.fingerprint,
            series=[_pairs(keys) for keys in memory.series],
            block=memory.block,
        )
    )


def _columns(anomaly: Anomaly) -> dict[str, object]:
    return {
        "keys": _pairs(anomaly.keys),
        "direction": anomaly.direction,
        "started": anomaly.started,
        "days": anomaly.days,
        "actual": plain(anomaly.actual),
        "expected": plain(anomaly.expected),
        "currency": anomaly.currency,
        "score": plain(anomaly.score),
        "severity": anomaly.severity,
        "status": anomaly.status,
        "named": anomaly.named,
        "why": anomaly.why,
        "drivers": [
            {"conditions": _pairs(d.conditions), "kind": d.kind, "before": plain(d.before), "after": plain(d.after)}
            for d in anomaly.drivers
        ],
    }


def _anomaly(row: Row[Any]) -> Anomaly:
    drivers = tuple(
        Driver(_tuples(d["conditions"]), d["kind"], Decimal(d["before"]), Decimal(d["after"])) for d in row.drivers
    )
    return Anomaly(
        id=row.id,
        keys=_tuples(row.keys),
        direction=row.direction,
        started=row.started,
        days=row.days,
        actual=Decimal(row.actual),
        expected=Decimal(row.expected),
        currency=row.currency,
        score=Decimal(row.score),
        severity=row.severity,
        status=row.status,
        why=row.why,
        drivers=drivers,
        named=row.named,
    )


def _pairs(keys: Iterable[tuple[str, str]]) -> list[list[str]]:
    return [[name, value] for name, value in keys]


def _tuples(pairs: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs)
