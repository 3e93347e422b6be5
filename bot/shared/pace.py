"""Pace: how long to wait before the next message may go to the same place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SECONDS_PER_CHANNEL = 1.05
SECONDS_PER_EDIT = 1.2
_KEPT = 2000


class Pace:
    """One slot after the other per key; shared by every sender of a process, and safe between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._free_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def reserve(self, key: str, gap: float = SECONDS_PER_CHANNEL) -> float:
        """Take the next free slot of `key`; return the seconds to wait for it."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            slot = max(now, self._free_at.get(key, 0.0))
            self._free_at[key] = slot + gap
            return slot - now

    def free_in(self, key: str) -> float:
        """The seconds until `key` has a free slot, without taking it."""
        with self._lock:
            return max(0.0, self._free_at.get(key, 0.0) - self._clock())

    def block(self, key: str, seconds: float) -> None:
        """Nothing to `key` for that long: its receiver said so."""
        with self._lock:
            self._free_at[key] = max(self._free_at.get(key, 0.0), self._clock() + seconds)

    def _forget(self, now: float) -> None:
        # Keys of cards that were edited once would pile up over months.
        if len(self._free_at) > _KEPT:
            self._free_at = {key: free for key, free in self._free_at.items() if free > now}
