"""Randomness that depends on the seed, a name and the calendar day only: a day looks the same whenever it is told."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser: neighbouring integers become unrelated ones."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def start(seed: int, name: str) -> int:
    """The 64-bit state that stands for one name under one seed."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), "big")


def uniform(seed: int, name: str, days: NDArray[np.int64]) -> NDArray[np.float64]:
    """One number in [0, 1) per day (days are ordinals of dates)."""
    state = np.uint64(start(seed, name))
    with np.errstate(over="ignore"):
        mixed = _mix(_mix(days.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + state))
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def bell(seed: int, name: str, days: NDArray[np.int64]) -> NDArray[np.float64]:
    """Nearly normal numbers, mean 0, standard deviation 1, never beyond 3.5."""
    total = sum(uniform(seed, f"{name}#{part}", days) for part in range(4))
    return (np.asarray(total) - 2.0) * float(np.sqrt(3.0))


def wander(seed: int, name: str, days: NDArray[np.int64]) -> NDArray[np.float64]:
    """A slow, smooth drift around 0, within about +-1."""
    phase = start(seed, name) % 1000 / 1000 * 6.2832
    waves = np.sin(days / 23.0 + phase) + 0.6 * np.sin(days / 61.0 + 2.1 * phase)
    return np.asarray(waves / 1.6)
