"""Audit: the record of who did what, each entry chained to the one before by its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from tools.model.audit import AuditEntry
from tools.store.rollout_tables import audit, audit_heads

FIRST = "0" * 64
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """One entry as it stands in the chain: its number (from 1, without gaps) and its hash."""

    seq: int
    entry: AuditEntry
    hash: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of a check: how many records were read, the hash at the end, and what is broken (nothing: whole)."""

    records: int
    head: str
    problems: tuple[str, ...]


def record(tx: Connection, entry: AuditEntry) -> Record:
    """Append an entry; it stands only if the transaction it belongs to is committed."""
    seq, previous = _take_head(tx, entry.tenant)
    seq += 1
    detail = json.dumps(entry.detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    own = _hash(previous, seq, entry, detail)
    tx.execute(
        _ADD,
        {
            "tenant": entry.tenant,
            "seq": seq,
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "subject": entry.subject,
            "outcome": entry.outcome,
            "reason": entry.reason,
            "detail": detail,
            "prev_hash": previous,
            "hash": own,
        },
    )
    tx.execute(_MOVE_HEAD, {"t": entry.tenant, "to_seq": seq, "to_hash": own})
    return Record(seq, entry, own)


def entries(tx: Connection, tenant: str, *, subject: str | None = None, limit: int = 1000) -> tuple[AuditEntry, ...]:
    """The newest entries first, of one subject when given."""
    key: dict[str, object] = {"t": tenant, "n": limit}
    rows = tx.execute(_NEWEST, key) if subject is None else tx.execute(_NEWEST_OF, key | {"s": subject})
    return tuple(_entry(row) for row in rows)


def records(tx: Connection, tenant: str) -> Iterator[Record]:
    """Every record in order, read page by page."""
    return (Record(row.seq, _entry(row), row.hash) for row in _rows(tx, tenant))


def head(tx: Connection, tenant: str) -> str:
    """The hash of the newest record, which stands for all before it."""
    row = tx.execute(_HEAD, {"t": tenant}).one_or_none()
    return row.hash if row else FIRST


def verify(tx: Connection, tenant: str) -> Verified:
    """Walk the chain; the first record that is missing, changed or cut off is named."""
    read, previous = 0, FIRST
    for row in _rows(tx, tenant):
        if row.seq != read + 1:
            return Verified(read, previous, (f"Record {read + 1} is missing.",))
        if row.prev_hash != previous or row.hash != _hash(previous, row.seq, _entry(row), row.detail):
            words = f"Record {row.seq} ({row.action} of {row.subject} by {row.actor}) is not what was written."
            return Verified(read, previous, (words,))
        read, previous = row.seq, row.hash
    end = tx.execute(_HEAD, {"t": tenant}).one_or_none()
    written = (end.seq, end.hash) if end else (0, FIRST)
    if written != (read, previous):
        return Verified(read, previous, (f"The record ends at {read}, but {written[0]} were written.",))
    return Verified(read, previous, ())


def _rows(tx: Connection, tenant: str) -> Iterator[Row[Any]]:
    last = 0
    while True:
        page = tx.execute(_NEXT, {"t": tenant, "last": last}).all()
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1].seq


def _take_head(tx: Connection, tenant: str) -> tuple[int, str]:
    # The head row is locked until commit: writers of one tenant stand in line, so numbers have no gaps.
    row = tx.execute(_HEAD_LOCKED, {"t": tenant}).one_or_none()
    if row is None:
        try:
            with tx.begin_nested():
                tx.execute(_ADD_HEAD, {"tenant": tenant, "seq": 0, "hash": FIRST})
        except IntegrityError:
            pass  # another writer made the first record; its row is read next
        row = tx.execute(_HEAD_LOCKED, {"t": tenant}).one()
    return row.seq, row.hash


_ADD = insert(audit)
_NEWEST = select(audit).where(audit.c.tenant == bindparam("t")).order_by(audit.c.seq.desc()).limit(bindparam("n"))
_NEWEST_OF = _NEWEST.where(audit.c.subject == bindparam("s"))
_NEXT = (
    select(audit)
    .where(audit.c.tenant == bindparam("t"), audit.c.seq > bindparam("last"))
    .order_by(audit.c.seq)
    .limit(_PAGE)
)
_ADD_HEAD = insert(audit_heads)
_HEAD = select(audit_heads.c.seq, audit_heads.c.hash).where(audit_heads.c.tenant == bindparam("t"))
_HEAD_LOCKED = _HEAD.with_for_update()
_MOVE_HEAD = (
    update(audit_heads)
    .where(audit_heads.c.tenant == bindparam("t"))
    .values(seq=bindparam("to_seq"), hash=bindparam("to_hash"))
)


def _hash(previous: str, seq: int, entry: AuditEntry, detail: str) -> str:
    words = [entry.tenant, seq, _moment(entry.at), entry.actor, entry.action, entry.subject, entry.outcome]
    body = json.dumps([*words, entry.reason, detail], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256((previous + body).encode()).hexdigest()


def _moment(at: datetime) -> str:
    return f"{at.timestamp():.6f}"


def _entry(row: Row[Any]) -> AuditEntry:
    detail: dict[str, object] = json.loads(row.detail)
    return AuditEntry(row.tenant, row.at, row.actor, row.action, row.subject, row.outcome, row.reason, detail)
