"""Alembic's entry: runs migrations on the connection it is given, or on the URL of a configuration."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

import tools.store.tables  # noqa: F401 - fills the metadata
from tools.store.metadata import metadata


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, user_module_prefix="store.")
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with create_engine(context.config.get_main_option("sqlalchemy.url") or "").begin() as opened:
        _run(opened)
