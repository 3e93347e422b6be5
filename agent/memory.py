"""Memory: LangGraph's own checkpoints, in a file (or database) of their own, and short."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tools.model.errors import StoreUnavailableError
from tools.settings import Settings

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

FILE = "memory.db"
MESSAGES = 12
BUSY_SECONDS = 30


@contextmanager
def open_memory(settings: Settings) -> Iterator[BaseCheckpointSaver[Any]]:
    """A checkpoint saver for a moment: PostgreSQL where the state is there, otherwise a SQLite file in the home folder.

    Raises StoreUnavailableError when it cannot be opened.
    """
    if settings.database_url.startswith("postgresql"):
        with _postgres(settings.database_url) as saver:
            yield saver
        return
    with _sqlite(settings) as saver:
        yield saver


@contextmanager
def _sqlite(settings: Settings) -> Iterator[BaseCheckpointSaver[Any]]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(settings.home / FILE, timeout=BUSY_SECONDS, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailableError(
            f"The memory of conversations cannot be opened ({error}).", fix="Check that OPTIINFRA_HOME can be written."
        ) from error
    try:
        # The last words of a conversation may be lost with the machine's power; a question is asked again then.
        connection.execute("PRAGMA synchronous=NORMAL")
        yield SqliteSaver(connection)
    finally:
        connection.close()


@contextmanager
def _postgres(url: str) -> Iterator[BaseCheckpointSaver[Any]]:
    import psycopg
    from langgraph.checkpoint.postgres import PostgresSaver

    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        with PostgresSaver.from_conn_string(plain) as saver:
            _prepare(saver)
            yield saver
    except psycopg.OperationalError as error:
        raise StoreUnavailableError(
            f"The memory of conversations did not answer ({str(error).strip().splitlines()[0]}).",
            fix="Check OPTIINFRA_STATE_URL and that the database runs, then try again.",
        ) from error


def _prepare(saver: Any) -> None:
    """Create the saver's own tables once; two replicas that begin at the same moment do not disturb each other."""
    import psycopg

    for _ in range(3):
        try:
            row = saver.conn.execute("SELECT max(v) AS v FROM checkpoint_migrations").fetchone()
            if row and row["v"] is not None and int(row["v"]) >= len(saver.MIGRATIONS) - 1:
                return
        except psycopg.errors.UndefinedTable:
            pass  # the first use of this database
        try:
            saver.setup()
        except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
            continue  # another replica created it meanwhile
        return


def keep_latest(saver: BaseCheckpointSaver[Any], thread: str) -> None:
    """Drop all but the newest checkpoint of a conversation: its messages are whole in that one."""
    from langgraph.checkpoint.sqlite import SqliteSaver

    if not isinstance(saver, SqliteSaver):
        saver.prune([thread])
        return
    with saver.cursor() as cursor:
        for table in ("writes", "checkpoints"):
            cursor.execute(
                f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < "  # noqa: S608 - two fixed table names
                "(SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?)",
                (thread, thread),
            )


def forget(saver: BaseCheckpointSaver[Any], thread: str) -> None:
    """Drop everything remembered of a thread."""
    saver.delete_thread(thread)


def forget_idle(settings: Settings, before: datetime) -> int:
    """Drop conversations that nobody continued since `before` (workflows stay); return how many."""
    with open_memory(settings) as saver:
        newest: dict[str, str] = {}
        for found in saver.list(None):
            thread = str(found.config["configurable"]["thread_id"])
            newest[thread] = max(newest.get(thread, ""), str(found.checkpoint["ts"]))
        idle = [t for t, ts in newest.items() if "/chat/" in t and datetime.fromisoformat(ts) < before]
        for thread in idle:
            saver.delete_thread(thread)
        return len(idle)
