"""Parquet: turns an exported csv file into a typed parquet file in its place; runs as a process of its own."""

# ruff: noqa: S608 - column names are ours; the path is quoted
from __future__ import annotations

import sys
from pathlib import Path

from tools.collection.export import TIMES

# Costs keep 18 decimals; 20 digits before them are more than anybody spends.
_COST = "DECIMAL(38, 18)"


def convert(path: Path) -> None:
    """Replace the csv file by a parquet file: costs as decimals, times as timestamps, nothing as NULL."""
    import duckdb

    quoted = "'" + str(path).replace("'", "''") + "'"
    target = "'" + str(path.with_name(path.name + "2")).replace("'", "''") + "'"
    with duckdb.connect(config={"memory_limit": "150MB", "threads": 1}) as db:
        source = f"read_csv({quoted}, header = true, all_varchar = true, nullstr = '', auto_detect = true, delim = ',', quote = '\"', escape = '\"')"
        names = [str(found[0]) for found in db.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
        db.execute(f"COPY (SELECT {', '.join(map(_typed, names))} FROM {source}) TO {target} (FORMAT parquet)")
    path.with_name(path.name + "2").replace(path)


def _typed(name: str) -> str:
    if name in TIMES:
        return f"CAST(CAST({name} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' AS TIMESTAMP) AS {name}"
    if name.endswith("Cost"):
        return f"CAST({name} AS {_COST}) AS {name}"
    if name == "x_Rows":
        return f"CAST({name} AS BIGINT) AS {name}"
    return f"CAST({name} AS DOUBLE) AS {name}" if name == "ConsumedQuantity" else name


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
