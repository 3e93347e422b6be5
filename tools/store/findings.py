"""Findings: anomalies kept under stable ids, what people decided about them, and the detector's memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tools.model.anomaly import Anomaly
from tools.model.driver import Driver
from tools.model.errors import InputError, NotFoundError
from tools.model.money import plain
from tools.model.period import Period
from tools.store.finding_tables import anomalies as table
from tools.store.finding_tables import anomaly_feedback, detector_memories

STATUSES = ("open", "resolved", "expected")
# "unmute" and "reopen" take back what was said: the first of a series, the second that an anomaly was expected.
VERDICTS = ("expected", "useful", "mute", "unmute", "reopen")


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
    tx: Connection,
    tenant: str,
    anomaly_id: str,
    status: str,
    *,
    actor: str,
    reason: str,
    now: datetime,
    actor_name: str = "",
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
        _note(tx, tenant, anomaly, Feedback(anomaly.id, anomaly.keys, status, actor, reason, None, now, actor_name))
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
    actor_name: str = "",
) -> bool:
    """Keep what a person says (one of VERDICTS); False when that stands already, or there is nothing to take back.

    A mute silences the series of the anomaly and needs a reason and a last day.
    """
    if verdict not in VERDICTS:
        raise InputError(f'"{verdict}" is no feedback.', fix="Say one of: " + ", ".join(VERDICTS) + ".")
    if verdict == "mute" and (until is None or not reason.strip()):
        raise InputError("A mute needs a reason and a last day.", fix="Say why, and until when.")
    anomaly = one(tx, tenant, anomaly_id)
    if verdict == "unmute":
        return _unmute(tx, tenant, anomaly)
    if verdict == "reopen":
        return _reopen(tx, tenant, anomaly, actor=actor, now=now)
    until = until if verdict == "mute" else None
    word = Feedback(anomaly.id, anomaly.keys, verdict, actor, reason, until, now, actor_name)
    if not _note(tx, tenant, anomaly, word):
        return False
    if verdict == "expected":
        set_status(tx, tenant, anomaly_id, "expected", actor=actor, reason=reason, now=now, actor_name=actor_name)
    return True


def _unmute(tx: Connection, tenant: str, anomaly: Anomaly) -> bool:
    """Take every mute of its series back, whoever said it."""
    f = anomaly_feedback.c
    mutes = tx.execute(select(anomaly_feedback).where(f.tenant == tenant, f.verdict == "mute"))
    ids = [row.id for row in mutes if _tuples(row.keys) == anomaly.keys]
    return bool(ids) and tx.execute(delete(anomaly_feedback).where(f.id.in_(ids))).rowcount > 0


def _reopen(tx: Connection, tenant: str, anomaly: Anomaly, *, actor: str, now: datetime) -> bool:
    """It was not expected after all. Whether it goes on is seen when the next day is judged."""
    if anomaly.status != "expected":
        return False
    f = anomaly_feedback.c
    said = (f.tenant == tenant) & (f.anomaly_id == anomaly.id) & (f.verdict == "expected")
    tx.execute(delete(anomaly_feedback).where(said))
    set_status(tx, tenant, anomaly.id, "open", actor=actor, reason="", now=now)
    # Nobody's word holds its status any more.
    tx.execute(update(table).where(table.c.tenant == tenant, table.c.id == anomaly.id).values(decided_by=""))
    return True


def _note(tx: Connection, tenant: str, anomaly: Anomaly, word: Feedback) -> bool:
    """Keep a word in place of the same person's earlier one; False when it says the same."""
    f = anomaly_feedback.c
    mine = (f.tenant == tenant) & (f.anomaly_id == anomaly.id) & (f.verdict == word.verdict) & (f.actor == word.actor)
    before = tx.execute(select(f.reason, f.until).where(mine)).one_or_none()
    if before is not None and tuple(before) == (word.reason, word.until):
        return False
    tx.execute(delete(anomaly_feedback).where(mine))
    values = {
        "tenant": tenant,
        "anomaly_id": anomaly.id,
        "keys": _pairs(anomaly.keys),
        "verdict": word.verdict,
        "actor": word.actor,
        "reason": word.reason,
        "until": word.until,
        "given_at": word.given_at,
        "actor_name": word.name[:254],
    }
    try:
        with tx.begin_nested():
            tx.execute(insert(anomaly_feedback).values(**values))
    except IntegrityError:
        # The same person pressed twice, and the other press was kept first.
        return False
    return True


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said about an anomaly; `until` is the last day of a mute, `name` how the person is called."""

    anomaly_id: str
    keys: tuple[tuple[str, str], ...]
    verdict: str
    actor: str
    reason: str
    until: date | None
    given_at: datetime
    name: str = ""


def feedback(tx: Connection, tenant: str) -> tuple[Feedback, ...]:
    """All feedback, oldest first."""
    rows = tx.execute(
        select(anomaly_feedback).where(anomaly_feedback.c.tenant == tenant).order_by(anomaly_feedback.c.id)
    )
    return tuple(
        Feedback(r.anomaly_id, _tuples(r.keys), r.verdict, r.actor, r.reason, r.until, r.given_at, r.actor_name)
        for r in rows
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
