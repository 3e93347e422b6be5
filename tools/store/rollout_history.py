"""Rollout history: one line for everything that happened, and what the judge said of health."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from tools.model.rollout import Event, HealthVerdict, Rollout, Verdict
from tools.store import rollout_tables as tables


def add_event(tx: Connection, rollout: Rollout, actor: str, what: str, *, now: datetime) -> None:
    """Write one line of history."""
    line = {"tenant": rollout.tenant, "rollout_id": rollout.id, "at": now, "actor": actor, "what": what}
    tx.execute(_ADD_EVENT, line)


def events(tx: Connection, tenant: str, rollout_id: str) -> tuple[Event, ...]:
    """What happened, oldest first."""
    rows = tx.execute(_EVENTS, {"t": tenant, "i": rollout_id})
    return tuple(Event(row.at, row.actor, row.what) for row in rows)


def keep_verdict(tx: Connection, tenant: str, verdict: HealthVerdict) -> bool:
    """Keep one look of the judge; looks that say the same of the same stage share a row. True when it says something new."""
    said = {"t": tenant, "i": verdict.rollout_id, "said": verdict.verdict.value, "of": verdict.stage}
    seen = {"to_at": verdict.at, "to_why": verdict.why, "to_numbers": verdict.numbers}
    if tx.execute(_SAME_VERDICT, said | seen).rowcount == 1:
        return False
    row = {
        "tenant": tenant,
        "rollout_id": verdict.rollout_id,
        "stage": verdict.stage,
        "first_at": verdict.at,
        "at": verdict.at,
        "looks": 1,
        "verdict": verdict.verdict.value,
        "why": verdict.why,
        "numbers": verdict.numbers,
    }
    tx.execute(_ADD_VERDICT, row)
    return True


def verdicts(tx: Connection, tenant: str, rollout_id: str) -> tuple[HealthVerdict, ...]:
    """What the judge said, oldest first; `at` is the last look that said it."""
    rows = tx.execute(_VERDICTS, {"t": tenant, "i": rollout_id})
    return tuple(HealthVerdict(r.rollout_id, r.stage, r.at, Verdict(r.verdict), r.why, r.numbers) for r in rows)


_ADD_EVENT = insert(tables.events)
_EVENTS = (
    select(tables.events)
    .where(tables.events.c.tenant == bindparam("t"), tables.events.c.rollout_id == bindparam("i"))
    .order_by(tables.events.c.id)
)
_ADD_VERDICT = insert(tables.verdicts)
_OF_ROLLOUT = (tables.verdicts.c.tenant == bindparam("t"), tables.verdicts.c.rollout_id == bindparam("i"))
_VERDICTS = select(tables.verdicts).where(*_OF_ROLLOUT).order_by(tables.verdicts.c.id)
_LAST = tables.verdicts.alias()
_LAST_ID = select(func.max(_LAST.c.id)).where(_LAST.c.tenant == bindparam("t"), _LAST.c.rollout_id == bindparam("i"))
_SAME_VERDICT = (
    update(tables.verdicts)
    .where(
        tables.verdicts.c.id == _LAST_ID.scalar_subquery(),
        tables.verdicts.c.verdict == bindparam("said"),
        tables.verdicts.c.stage == bindparam("of"),
    )
    .values(
        at=bindparam("to_at"),
        why=bindparam("to_why"),
        numbers=bindparam("to_numbers"),
        looks=tables.verdicts.c.looks + 1,
    )
)
