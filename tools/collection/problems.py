"""Problems: puts what is wrong with files and rows into sentences, and keeps count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.providers.focus.columns import Layout
from tools.providers.focus.reading import why

# More than this many problems of one partition are counted, not listed.
LISTED = 1000


@dataclass(slots=True)
class Notes:
    """Collects while files are read. Everything is JSON-ready: {file, row, column, problem, rejected}."""

    names: dict[int, str] = field(default_factory=dict)
    _whole: list[dict[str, object]] = field(default_factory=list)
    _unreadable: dict[str, list[int]] = field(default_factory=dict)

    def name(self, number: int, file: str) -> None:
        self.names[number] = file

    def file(self, file: str, layout: Layout) -> None:
        """What is told once per file: columns that something stands in for, and columns nobody knows."""
        for column, sentence in layout.stand_ins:
            self._whole.append(_note(file, 0, column, f"the file has no such column: {sentence}", rejected=False))
        if layout.unknown:
            names = ", ".join(layout.unknown[:10]) + (" ..." if len(layout.unknown) > 10 else "")
            self._whole.append(
                _note(file, 0, layout.unknown[0], f"not FOCUS columns, not read: {names}", rejected=False)
            )

    def unreadable(self, file: str, rows: list[int]) -> None:
        """Rows that are not UTF-8 text; they belong to no partition that we could know."""
        if rows:
            self._unreadable[file] = rows

    def left_out(self, provider: str, rows: int) -> None:
        self._whole.append(_note("", 0, "ProviderName", f"{rows} rows of {provider} left out as asked", rejected=False))

    def whole(self) -> dict[str, object]:
        """Problems of no particular partition, and how many rows they cost."""
        listed = [
            _note(file, row, "", "the row is not UTF-8 text", rejected=True)
            for file, rows in self._unreadable.items()
            for row in rows[:LISTED]
        ]
        rows = sum(len(r) for r in self._unreadable.values())
        return {"notes": self._whole, "unreadable": listed[:LISTED], "unreadable_rows": rows}

    def rows(
        self, rejected: Sequence[tuple[int, int, str, int]], tagless: Sequence[tuple[int, int, str, int]]
    ) -> list[dict[str, object]]:
        """Rejected rows (file, row, mark, how many like it), then rows loaded without their tags; cut at the limit."""
        listed = []
        for file, row, bad, like in rejected:
            name = self.names[file]
            column, sentence = why(bad)
            # Rows that could not be read at all are not numbered by the reader: move past them.
            listed.append(_note(name, self._place(name, row), column, sentence + _like(like), rejected=True))
        for file, row, text, like in tagless:
            sentence = f'the tags cannot be read, the row counts as untagged: "{text}"{_like(like)}'
            listed.append(_note(self.names[file], self._place(self.names[file], row), "Tags", sentence, rejected=False))
        return listed[:LISTED]

    def _place(self, file: str, row: int) -> int:
        for unreadable in self._unreadable.get(file, ()):
            if unreadable > row:
                break
            row += 1
        return row


def _like(rows: int) -> str:
    return f" ({rows} rows like it)" if rows > 1 else ""


def _note(file: str, row: int, column: str, problem: str, *, rejected: bool) -> dict[str, object]:
    return {"file": file, "row": row, "column": column, "problem": problem, "rejected": rejected}
