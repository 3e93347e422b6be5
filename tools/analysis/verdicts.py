"""Verdicts: what a person says of an anomaly or of how many alerts they want - checked, kept once, audited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from tools.model.access import Permission, Principal
from tools.model.anomaly import Anomaly
from tools.model.audit import AuditEntry
from tools.model.errors import InputError, RefusedError
from tools.store import alerts, audit, findings
from tools.store.database import Database

# Long enough for a season; what is silent for longer is forgotten, and then nobody sees when it gets worse.
LONGEST_MUTE = timedelta(days=92)
USUAL_MUTE = timedelta(days=14)
SUBJECT = "alerts"


@dataclass(frozen=True, slots=True)
class Said:
    """The anomaly as it stands after a person's word; `changed` is False when that stood already."""

    anomaly: Anomaly
    changed: bool


def say(
    database: Database,
    tenant: str,
    anomaly_id: str,
    verdict: str,
    person: Principal,
    *,
    reason: str = "",
    until: date | None = None,
    now: datetime,
) -> Said:
    """Keep a person's word on an anomaly (one of tools.store.findings.VERDICTS), once, with its audit record.

    Raises RefusedError (audited), InputError for a mute that is over or too long, NotFoundError when it is gone.
    """
    action = f"anomaly.{verdict}"
    _allowed(database, tenant, person, action, anomaly_id, now)
    if verdict == "mute" and until is not None and (problem := mute_problem(until, now.date())):
        raise InputError(problem, fix=f"Choose a day up to {now.date() + LONGEST_MUTE}.")
    with database.begin() as tx:
        changed = findings.give_feedback(
            tx,
            tenant,
            anomaly_id,
            verdict,
            actor=person.id,
            actor_name=person.name,
            reason=reason,
            now=now,
            until=until,
        )
        if changed:
            detail: dict[str, object] = {"reason": reason[:500]}
            detail |= {"until": str(until)} if verdict == "mute" else {}
            _record(tx, tenant, person, action, anomaly_id, detail, now)
        return Said(findings.one(tx, tenant, anomaly_id), changed)


def mute_problem(until: date, today: date) -> str:
    """Why a series cannot be silent until that day; empty when it can."""
    if until < today:
        return "That day is over: choose one from today on."
    if until > today + LONGEST_MUTE:
        return f"A series can be silent for {LONGEST_MUTE.days} days at most: what is silent for longer is forgotten."
    return ""


def want(database: Database, tenant: str, per_week: int, person: Principal, *, now: datetime) -> None:
    """From now on the digest tells at most so many alerts a week. Raises RefusedError (audited) or InputError."""
    _allowed(database, tenant, person, "alerts.set", SUBJECT, now)
    with database.begin() as tx:
        alerts.set_per_week(tx, tenant, per_week, actor=person.id, now=now)
        _record(tx, tenant, person, "alerts.set", SUBJECT, {"per_week": per_week}, now)


def _allowed(database: Database, tenant: str, person: Principal, action: str, subject: str, now: datetime) -> None:
    """Whoever may see costs may say what they think of them - in their own house."""
    if person.tenant == tenant and person.may(Permission.FEEDBACK_GIVE):
        return
    reason = "role" if person.tenant == tenant else "tenant"
    with database.begin() as tx:
        audit.record(tx, AuditEntry(tenant, now, person.id, action, subject[:128] or "-", "refused", reason, {}))
    raise RefusedError(reason, f"{person.name} may not say what becomes of anomalies here.")


def _record(
    tx: Connection,
    tenant: str,
    person: Principal,
    action: str,
    subject: str,
    detail: dict[str, object],
    now: datetime,
) -> None:
    audit.record(tx, AuditEntry(tenant, now, person.id, action, subject, "done", "", detail))
