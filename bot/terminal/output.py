"""Output: how the terminal prints JSON, tables, money and a progress bar."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, TextIO

from tools.model.money import plain

if TYPE_CHECKING:
    from tools.model.load import Load
    from tools.model.query import Coverage

# ISO 4217: currencies whose smallest unit is not a hundredth.
_NO_DECIMALS = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "UGX", "XAF", "XOF", "XPF", "PYG", "RWF", "KMF"})
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
_NO_CURRENCY = "XXX"
_BAR = 28


def print_json(document: object) -> None:
    """Print one JSON document and nothing else: decimals as strings, times as ISO 8601, dataclasses as objects."""
    print(json.dumps(jsonable(document), indent=2, ensure_ascii=False))


def jsonable(value: object) -> object:
    """The same value made of what JSON knows; raises TypeError for what has no agreed form (a float, for one)."""
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return jsonable(value.value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(jsonable(k)): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [jsonable(v) for v in items]
    raise TypeError(f"{type(value).__name__} has no agreed form in JSON")


def money(amount: Decimal | None, currency: str) -> str:
    """An amount for a person: '$1,234.50', '-€0.0042', '1,200 CHF', 'unknown'. Small amounts keep two figures."""
    if amount is None:
        return "unknown"
    text = f"{_rounded(abs(amount), currency):,f}"
    minus = "-" if amount < 0 and any(c in "123456789" for c in text) else ""
    if currency in _SIGNS:
        return f"{minus}{_SIGNS[currency]}{text}"
    return f"{minus}{text}" + ("" if currency in {"", _NO_CURRENCY} else f" {currency}")


def _rounded(size: Decimal, currency: str) -> Decimal:
    decimals = 0 if currency in _NO_DECIMALS else 2
    # A cost below one cent must not look like nothing.
    if 0 < size < Decimal(1).scaleb(-decimals):
        decimals = 1 - size.adjusted()
    return size.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[int] = ()) -> str:
    """Aligned text with a header line; `right` names the columns (0-based) that are aligned at their right end."""
    cells = [list(columns), *([_cell(v) for v in row] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    to_right = frozenset(right)
    lines = [_line(line, widths, to_right) for line in cells]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    padded = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
    return "  ".join(padded).rstrip()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = str(jsonable(value)) if isinstance(value, Decimal | datetime | date | Enum) else str(value)
    return one_line(text)


def one_line(text: str) -> str:
    """The text without line breaks and escape codes: a name in the data must not break a table or drive the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def restated(load: Load) -> tuple[str, ...]:
    """How a period that was replaced differs from what stood there: one sentence per currency."""
    return tuple(
        f"{load.partition} was restated: {d.rows:+} rows, billed {money(d.billed_cost, d.currency)} and effective "
        f"{money(d.effective_cost, d.currency)} against before."
        for d in load.differences
    )


def covered(coverage: Coverage) -> str:
    """One line on what the data behind a number covers: how far it reaches, what may change, what is missing."""
    parts = []
    if coverage.complete_to is not None:
        parts.append(f"complete before {coverage.complete_to}")
    if coverage.provisional_share > 0:
        parts.append(f"{coverage.provisional_share:.0%} of the days may still change")
    if coverage.missing:
        parts.append(f"missing: {'; '.join(coverage.missing)}")
    if coverage.invoices:
        parts.append(coverage.invoices)
    return one_line(f"Data: {' - '.join(parts) or 'nothing is known of it'}.")


class Progress:
    """A progress bar on a terminal; silent when the stream is piped. Use as a context manager and call it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty()
        self._last = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._last:
            self._stream.write("\r" + " " * len(self._last) + "\r")
            self._stream.flush()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` is finished and what is being worked on."""
        if not self._shown:
            return
        filled = _BAR * min(done, total) // total if total > 0 else 0
        line = f"[{'#' * filled}{'.' * (_BAR - filled)}] {_cell(what)[:60]}"
        if line != self._last:
            self._stream.write("\r" + line.ljust(len(self._last)))
            self._stream.flush()
            self._last = line
