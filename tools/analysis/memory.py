"""Memory: what the detector remembers of each series - a few months of days, and the weekday profile."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.analysis.numbers import Floats

# Four months are looked at for charges of a day of the month; nothing else looks further back.
REMEMBERED_DAYS = 135
LEVELS = 5
NEVER = 1 << 30

# One row per series, one column per day. `flat` is cost with the weekday profile taken out; `seen` is what was billed
# that way, `flat` the same with anomalies replaced by what was expected, so that an anomaly never becomes usual by itself.
_UNKNOWN_AT_FIRST = ("flat", "seen", "ratio", "error", "mean3", "climb")
_ZERO_AT_FIRST = ("raw", "clean", "lump", "expected", "spread", "odd", "settled")


@dataclass
class Memory:
    """Days `start` .. `start + width`; `first` is the column of a series' first cost (may lie before column 0)."""

    start: date
    days: dict[str, Floats]
    profile: Floats
    misses: Floats
    first: Floats
    streak: Floats
    before_drop: Floats
    weekdays: tuple[int, ...] = field(default=())

    @classmethod
    def blank(cls, series: int, start: date, width: int) -> Memory:
        """Nothing seen yet."""
        import numpy as np

        days = {name: np.full((series, width), np.nan) for name in _UNKNOWN_AT_FIRST}
        days |= {name: np.zeros((series, width)) for name in _ZERO_AT_FIRST}
        return cls(
            start,
            days,
            profile=np.ones((series, 7)),
            misses=np.full((LEVELS, series), 0.01),
            first=np.full(series, NEVER),
            streak=np.zeros(series, dtype=int),
            before_drop=np.zeros(series),
        )._dated(width)

    @property
    def width(self) -> int:
        return int(self.days["raw"].shape[1])

    def day(self, column: int) -> date:
        return self.start + timedelta(days=column)

    def extended(self, more: int) -> Memory:
        """The last remembered days, with room for `more` days behind them."""
        import numpy as np

        drop = max(0, self.width - REMEMBERED_DAYS)
        fresh = Memory.blank(len(self.first), self.day(drop), self.width - drop + more)
        for name, values in self.days.items():
            fresh.days[name][:, : self.width - drop] = values[:, drop:]
        fresh.profile, fresh.misses = self.profile.copy(), self.misses.copy()
        fresh.streak, fresh.before_drop = self.streak.copy(), self.before_drop.copy()
        fresh.first = np.where(self.first == NEVER, NEVER, self.first - drop)
        return fresh

    def aligned(self, rows: list[int | None]) -> Memory:
        """The same memory with its rows in another order; None is a series that was not there before."""
        import numpy as np

        fresh = Memory.blank(len(rows), self.start, self.width)
        new = np.array([i for i, row in enumerate(rows) if row is not None], dtype=int)
        old = np.array([row for row in rows if row is not None], dtype=int)
        for name, values in self.days.items():
            fresh.days[name][new] = values[old]
        fresh.profile[new], fresh.misses[:, new] = self.profile[old], self.misses[:, old]
        fresh.first[new], fresh.streak[new] = self.first[old], self.streak[old]
        fresh.before_drop[new] = self.before_drop[old]
        return fresh

    def to_bytes(self, *, compress: bool = True) -> bytes:
        """Everything in one block (numpy's own file form, no code in it)."""
        import numpy as np

        buffer = io.BytesIO()
        kept = self.extended(0)
        days = {f"days_{name}": values.astype(np.float32) for name, values in kept.days.items()}
        save = np.savez_compressed if compress else np.savez
        save(
            buffer,
            start=np.array([kept.start.toordinal()]),
            profile=kept.profile,
            misses=kept.misses,
            first=kept.first,
            streak=kept.streak,
            before_drop=kept.before_drop,
            **days,  # type: ignore[arg-type]  # numpy's stub takes keywords for its own option
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, block: bytes) -> Memory:
        """The inverse of `to_bytes`."""
        import numpy as np

        with np.load(io.BytesIO(block), allow_pickle=False) as saved:
            days = {n.removeprefix("days_"): saved[n].astype(float) for n in saved.files if n.startswith("days_")}
            memory = cls(
                date.fromordinal(int(saved["start"][0])),
                days,
                profile=saved["profile"],
                misses=saved["misses"],
                first=saved["first"],
                streak=saved["streak"],
                before_drop=saved["before_drop"],
            )
        return memory._dated(memory.width)

    def _dated(self, width: int) -> Memory:
        self.weekdays = tuple((self.start.weekday() + n) % 7 for n in range(width))
        return self
