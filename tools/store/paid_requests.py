"""Paid requests: the daily count of requests that cost money, and their answers, shared by all processes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tools.store.database import Database
from tools.store.paid_tables import paid_answers, paid_requests

KEEP_COUNTS = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class StoredPaidRequests:
    """The PaidRequests of one customer, in the database."""

    database: Database
    tenant: str

    def take(self, provider: str, account_id: str, day: date, most: int) -> int | None:
        """Count one more; None when the day's `most` are used up. Two processes never both get the last one."""
        key = {"tenant": self.tenant, "provider": provider, "account_id": account_id, "day": day}
        here = [paid_requests.c[name] == value for name, value in key.items()]
        with self.database.begin() as tx:
            insert = sqlite.insert if self.database.dialect == "sqlite" else postgresql.insert
            tx.execute(insert(paid_requests).values(**key, requests=0).on_conflict_do_nothing())
            taken = tx.execute(
                update(paid_requests)
                .where(*here, paid_requests.c.requests < most)
                .values(requests=paid_requests.c.requests + 1)
                .returning(paid_requests.c.requests)
            ).scalar_one_or_none()
            if taken == 1:
                self._tidy(tx, day)
        return taken

    def _tidy(self, tx: Connection, day: date) -> None:
        """Once a day: counts nobody asks for any more, and answers that no longer hold."""
        counts = (paid_requests.c.tenant == self.tenant) & (paid_requests.c.day < day - KEEP_COUNTS)
        tx.execute(delete(paid_requests).where(counts))
        answers = (paid_answers.c.tenant == self.tenant) & (paid_answers.c.until < datetime.combine(day, time(), UTC))
        tx.execute(delete(paid_answers).where(answers))

    def recall(self, provider: str, account_id: str, key: str, now: datetime) -> str | None:
        """The answer kept under `key`, unless it is too old."""
        with self.database.read() as tx:
            found = select(paid_answers.c.answer).where(
                *self._of(provider, account_id), paid_answers.c.key == key, paid_answers.c.until > now
            )
            return tx.execute(found).scalar_one_or_none()

    def keep(self, provider: str, account_id: str, key: str, answer: str, until: datetime) -> None:
        """Keep an answer until it is too old."""
        values = {"answer": answer, "until": until}
        mine = {"tenant": self.tenant, "provider": provider, "account_id": account_id, "key": key}
        with self.database.begin() as tx:
            new = (sqlite.insert if self.database.dialect == "sqlite" else postgresql.insert)(paid_answers)
            keys = ("tenant", "provider", "account_id", "key")
            tx.execute(new.values(**mine, **values).on_conflict_do_update(index_elements=keys, set_=values))

    def forget(self, provider: str, account_id: str) -> None:
        """Drop the answers of one account."""
        with self.database.begin() as tx:
            tx.execute(delete(paid_answers).where(*self._of(provider, account_id)))

    def _of(self, provider: str, account_id: str) -> tuple[ColumnElement[bool], ...]:
        return (
            paid_answers.c.tenant == self.tenant,
            paid_answers.c.provider == provider,
            paid_answers.c.account_id == account_id,
        )
