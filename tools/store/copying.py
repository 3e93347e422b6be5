"""Copying: brings the files that the roll-up hands over into PostgreSQL by its COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, SmallInteger

from tools.store.fact_tables import facts

if TYPE_CHECKING:
    from tools.store.charge_writing import Figures

_BLOCK = 1 << 18
_ROWS = 1 << 13
# PostgreSQL's days are counted from here.
_EPOCH = (date(2000, 1, 1) - date(1970, 1, 1)).days
_HEAD, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"


def copy_csv(tx: Connection, table: str, names: Sequence[str], path: Path) -> None:
    """Put in the rows of a csv file."""
    # An empty text is a value; there are no NULLs in these tables.
    _copy(tx, f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT csv, NULL E'\\x01')", _blocks(path))


def copy_figures(tx: Connection, tenant: str, rows: Figures) -> None:
    """Put in the day rows of a file."""
    names = ", ".join(c.name for c in facts.columns)
    _copy(tx, f"COPY {facts.name} ({names}) FROM STDIN (FORMAT binary)", _binary(tenant, rows))


def _copy(tx: Connection, statement: str, blocks: Iterable[bytes]) -> None:
    from psycopg import Connection as PsycopgConnection  # an installation on SQLite never loads it

    driver = tx.connection.driver_connection
    assert isinstance(driver, PsycopgConnection)
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for block in blocks:
            copy.write(block)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _binary(tenant: str, rows: Figures) -> Iterator[bytes]:
    """The rows as COPY wants them: of every field its length, then the value with its highest byte first."""
    import numpy as np

    text = tenant.encode()
    types = {c.name: _type(c.name, c.type, len(text)) for c in facts.columns}
    wanted = np.dtype(
        [
            ("fields", ">i2"),
            *((f"{n}{end}", t) for n, one in types.items() for end, t in ((" bytes", ">i4"), ("", one))),
        ]
    )
    numbers = [name for name in types if name not in {"tenant", "level", "day"}]
    yield _HEAD
    with rows.path.open("rb") as file:
        while len(found := np.fromfile(file, "<i8", _ROWS * (len(numbers) + 1))):
            found = found.reshape(-1, len(numbers) + 1)
            out = np.empty(len(found), wanted)
            out["fields"] = len(types)
            for name, kind in types.items():
                out[f"{name} bytes"] = np.dtype(kind).itemsize
            out["tenant"], out["level"], out["day"] = text, rows.level, found[:, 0] - _EPOCH
            for n, name in enumerate(numbers, 1):
                out[name] = found[:, n].view("<f8") if name == "quantity" else found[:, n]
            yield out.tobytes()
    yield _END


def _type(name: str, kind: Any, tenant: int) -> str:
    if isinstance(kind, SmallInteger):
        return ">i2"
    return {"tenant": f"S{tenant}", "day": ">i4", "quantity": ">f8"}.get(name, ">i8")
