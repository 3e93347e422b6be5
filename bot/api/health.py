"""Health: is the process alive, and may it be given work."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from tools.model.errors import OptiInfraError
from tools.store.database import Database


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must work, whether it does, and what is known about it."""

    name: str
    ok: bool
    detail: str


def readiness(database: Database) -> tuple[Check, ...]:
    """What must work before requests are sent here. Redis is not among it: it is never needed."""
    try:
        with database.read() as tx:
            revision = tx.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except OptiInfraError as error:
        return (Check("database", False, error.what),)
    return (Check("database", revision is not None, f"schema {revision}"),)
