"""Written: the files in which the roll-up hands a batch of partitions over, and the fingerprints of what they say."""

from __future__ import annotations

import hashlib
import shutil
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tools.collection import arrow, levels
from tools.collection.staging import Staging

_CHUNK = 1 << 20
_EPOCH = date(1970, 1, 1)


class Written:
    """Per partition and level a csv file of its series and a file of its day rows, both in a fixed order.

    A day row is its columns of `cost_facts` from the day on (counted from 1970), each of 64 bits, little-endian.
    """

    def __init__(self, staging: Staging, folds: frozenset[str]) -> None:
        self._staging = staging
        self._folder = staging.folder / "rolled"
        self._days: dict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        for level in (1, 2, 3):
            folder = str(self._folder / f"series-{level}")
            staging.db.execute(levels.write_series(level, len(staging.tag_keys), folds, folder))
        # Of the content: rows are sorted and numbered by what they say, whatever files and order they came in.
        self._marks: dict[tuple[int, int], Any] = {}
        for level in (1, 2, 3):
            for path in self._series(level, "*"):
                key = int(path.parent.name.removeprefix("part=")), level
                mark = self._marks.setdefault(key, hashlib.blake2b(digest_size=24))
                with path.open("rb") as file:
                    while chunk := file.read(_CHUNK):
                        mark.update(chunk)

    def _series(self, level: int, part: int | str) -> list[Path]:
        return sorted((self._folder / f"series-{level}").glob(f"part={part}/*.csv"))

    def _figures(self, level: int, part: int) -> Path:
        return self._folder / f"figures-{level}-{part}"

    def add(self, days: tuple[date, date]) -> None:
        """Write the day rows of some days, after those of the days before them."""
        for level in (1, 2, 3):
            query, types = levels.figures(level), tuple(levels.FIGURES.values())
            for parts, *columns in arrow.columns(self._staging.db, query, days, types):
                self._append(level, parts, columns)

    def _append(self, level: int, parts: Any, columns: list[Any]) -> None:
        import numpy as np

        flat = [
            one for column in columns for one in (arrow.split(column) if column.ndim > 1 else (column.view("<i8"),))
        ]
        rows = np.stack(flat, axis=1)
        for part in np.unique(parts):
            ours = rows[parts == part]
            with self._figures(level, part).open("ab") as out:
                ours.tofile(out)
            self._marks[part, level].update(ours.data)
            for day, count in zip(*np.unique(ours[:, 0], return_counts=True), strict=True):
                self._days[part, level].append(((_EPOCH + timedelta(days=int(day))).isoformat(), int(count)))

    def of(self, part: int) -> dict[str, object]:
        """The files of one partition, level 1 first, and its fingerprints. Level 1 says nothing that level 2 does not."""
        kept = [level for level in (1, 2, 3) if (part, level) in self._marks]
        return {
            "series": [str(path) for level in kept for path in self._series(level, part)],
            "facts": [
                {"path": str(self._figures(level, part)), "level": level, "days": self._days[part, level]}
                for level in kept
            ],
            "fingerprint": self._marks[part, 2].hexdigest(),
            "detail_fingerprint": self._marks[part, 3].hexdigest() if 3 in kept else "",
        }
