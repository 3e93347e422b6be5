"""Runs every benchmark of this folder that has tables, or the ones named on the command line."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time

import tests.bench


def main(names: list[str]) -> int:
    """Print the tables of each benchmark; 2 when a named one does not exist."""
    known = [m.name for m in pkgutil.iter_modules(tests.bench.__path__) if not m.name.startswith("_")]
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}. There are: {', '.join(known)}.", file=sys.stderr)
        return 2
    for name in names or known:
        module = importlib.import_module(f"tests.bench.{name}")
        if not hasattr(module, "tables"):
            continue
        began = time.monotonic()
        for table in module.tables():
            print(table, end="\n\n", flush=True)
        print(f"({name}: {time.monotonic() - began:.0f} s)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
