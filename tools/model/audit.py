"""AuditEntry: one line of the append-only record of who did what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`outcome` is "done" or "refused"; `reason` is a fixed word for refusals; `detail` is JSON-ready."""

    tenant: str
    at: datetime
    actor: str
    action: str
    subject: str
    outcome: str
    reason: str
    detail: dict[str, object]
