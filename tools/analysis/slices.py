"""Slices: finds the few combinations of dimension values that explain how a leaf table changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from tools.analysis.numbers import TINY

if TYPE_CHECKING:
    from tools.analysis.numbers import Floats

MOST_CONDITIONS = 3
MOST_SLICES = 4
# Shares of all movement (the sum of absolute changes).
WORTH_TELLING = 0.045
PER_CONDITION = 0.012
DENSE_GROUPS = 200_000


@dataclass(frozen=True, slots=True)
class Rules:
    """Numbers of the search, measured on generated cases."""

    worth: float = WORTH_TELLING
    per_condition: float = PER_CONDITION
    idle_leaf: float = 0.7
    near: float = 0.6
    choice: float = 0.5
    lone: float = 0.25
    most: int = MOST_SLICES
    most_of_all: float = 0.6
    little: float = 0.15


@dataclass(frozen=True, slots=True)
class Slice:
    """`columns` and `codes` are the conditions; `rows` are the leaves that belong to it and to no earlier slice."""

    columns: tuple[int, ...]
    codes: tuple[int, ...]
    rows: Floats
    gain: float


@dataclass(slots=True)
class _Cuboid:
    columns: tuple[int, ...]
    group: Floats  # leaf -> group number
    size: int

    def sum(self, weights: Floats) -> Floats:
        """The weights of each group added up."""
        import numpy as np

        return np.bincount(self.group, weights=weights, minlength=self.size)


def search(codes: Floats, before: Floats, after: Floats, rules: Rules | None = None) -> tuple[Slice, ...]:
    """Greedy matching pursuit over all slices of up to three conditions.

    `codes` is leaves x dimensions (small integers), `before` and `after` the money of each leaf. Each round looks for
    the slices that, moved as one (scaled by their own ratio, new leaves accepted), leave least money unexplained, and
    among those that explain nearly as much takes the one whose leaves agree best.
    """
    import numpy as np

    rules = rules or Rules()
    total = float(np.abs(after - before).sum())
    if total <= 0 or not codes.shape[1]:
        return ()
    # Credits are negative: with its sign turned, a credit that ends is a leaf that ends.
    sign = np.sign(np.where(np.abs(before) > TINY, before, after)).astype(float)
    leaves = _Leaves(before * sign, after * sign, np.ones(len(before), dtype=bool))
    cuboids = tuple(_cuboids(codes))
    found: list[Slice] = []
    while len(found) < rules.most:
        best = _next(cuboids, leaves, total, rules)
        if best is None:
            break
        cuboid, group, gain = best
        inside = cuboid.group == group
        columns, values = _needed(codes, inside, cuboid.columns)
        found.append(Slice(columns, values, np.flatnonzero(inside & leaves.free), gain / total))
        leaves.free &= ~inside
    return tuple(found)


@dataclass(slots=True)
class _Leaves:
    before: Floats
    after: Floats
    free: Floats

    @property
    def fresh(self) -> Floats:
        return self.free & (self.before <= TINY) & (self.after > TINY)

    @property
    def old(self) -> Floats:
        return self.free & (self.before > TINY)


def _next(cuboids: Sequence[_Cuboid], leaves: _Leaves, total: float, rules: Rules) -> tuple[_Cuboid, int, float] | None:
    """The next slice worth telling, or None."""
    import numpy as np

    gains = [
        _gains(cuboid, leaves, rules) - rules.per_condition * total * (len(cuboid.columns) - 1) for cuboid in cuboids
    ]
    most = max((float(gain.max()) for gain in gains), default=0.0)
    if most < rules.worth * total:
        return None
    noise, churn = _background(leaves)
    best: tuple[float, _Cuboid, int, float] | None = None
    plain: tuple[float, _Cuboid, int] = (0.0, cuboids[0], 0)
    for cuboid, gain in zip(cuboids, gains, strict=True):
        top = int(np.argmax(gain))
        plain = max(plain, (float(gain[top]), cuboid, top), key=lambda one: one[0])
        groups = np.flatnonzero(gain >= rules.near * most)
        if not len(groups):
            continue
        fits = _fits(cuboid, leaves, noise, churn)[groups] - rules.choice * np.log(cuboid.size)
        pick = int(np.argmax(fits))
        if best is None or fits[pick] > best[0]:
            best = (float(fits[pick]), cuboid, int(groups[pick]), float(gain[groups[pick]]))
    if best and best[0] > 0:
        return best[1:]
    # No story that several leaves share: a single large mover. It is told only when it is much of the whole.
    gain_of, cuboid, group = plain
    return (cuboid, group, gain_of) if gain_of >= rules.lone * total else None


def _cuboids(codes: Floats) -> Iterator[_Cuboid]:
    import numpy as np

    widths = codes.max(axis=0).astype(np.int64) + 1
    useful = [column for column in range(codes.shape[1]) if widths[column] > 1]
    for depth in range(1, MOST_CONDITIONS + 1):
        for columns in combinations(useful, depth):
            group = codes[:, columns[0]].astype(np.int64)
            size = int(widths[columns[0]])
            for column in columns[1:]:
                group, size = group * widths[column] + codes[:, column], size * int(widths[column])
                if size > DENSE_GROUPS:
                    _, group = np.unique(group, return_inverse=True)
                    size = int(group.max()) + 1
            yield _Cuboid(columns, group, size)


def _gains(cuboid: _Cuboid, leaves: _Leaves, rules: Rules) -> Floats:
    """Money that each group of a cuboid explains when it moves as one."""
    import numpy as np

    before, after, old, fresh = leaves.before, leaves.after, leaves.old, leaves.fresh
    had, got = cuboid.sum(np.where(old, before, 0.0)), cuboid.sum(np.where(old, after, 0.0))
    off = cuboid.sum(np.where(old, np.abs(after - before), 0.0))
    ratio = got / np.maximum(had, TINY)
    left = cuboid.sum(np.where(old, np.abs(after - ratio[cuboid.group] * before), 0.0))
    new, news = cuboid.sum(np.where(fresh, after, 0.0)), cuboid.sum(fresh)
    idle = 1 - news / np.maximum(cuboid.sum(leaves.free), 1)
    gain = np.maximum(off - left, 0) + new * (1 - rules.idle_leaf * idle)
    # "Everything grew a little" explains nothing: a slice that is nearly the whole must have moved by itself.
    nearly_all = had > rules.most_of_all * max(float(before[leaves.free].sum()), TINY)
    return np.asarray(np.where(nearly_all & (np.abs(ratio - 1) < rules.little), 0.0, gain))


def _background(leaves: _Leaves) -> tuple[float, float]:
    """How much leaves move by themselves: the usual relative noise, and the share that is new by chance."""
    import numpy as np

    old = leaves.old
    moves = np.abs(leaves.after[old] / leaves.before[old] - 1)
    noise = float(np.median(moves)) / 0.6745 if len(moves) else 0.0
    churn = float(leaves.fresh.sum()) / max(int(leaves.free.sum()), 1)
    return max(noise, 0.01), min(max(churn, 0.001), 0.5)


def _fits(cuboid: _Cuboid, leaves: _Leaves, noise: float, churn: float) -> Floats:
    """How well each group's leaves agree on one story, against none (log likelihood; every leaf counts alike)."""
    import numpy as np

    before, after, old, fresh = leaves.before, leaves.after, leaves.old, leaves.fresh
    had, got = cuboid.sum(np.where(old, before, 0.0)), cuboid.sum(np.where(old, after, 0.0))
    ratio = np.maximum(got / np.maximum(had, TINY), 0.02)[cuboid.group]
    move = np.where(old, after / np.maximum(before, TINY), 1.0)
    alone = np.minimum(((move - 1) / noise) ** 2, 9)
    together = np.minimum(((move / ratio - 1) / noise) ** 2, 9)
    scaled = cuboid.sum(np.where(old, alone - together, 0.0)) / 2
    count, news = cuboid.sum(leaves.free), cuboid.sum(fresh)
    share = np.clip(news / np.maximum(count, 1), 1e-6, 1 - 1e-6)
    appeared = news * np.log(share / churn) + (count - news) * np.log((1 - share) / (1 - churn))
    return np.maximum(scaled, 0) + np.where(share > churn, appeared, 0.0)


def _needed(codes: Floats, inside: Floats, columns: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Drop conditions that the others imply (a service name implies its provider)."""
    import numpy as np

    example = codes[int(np.argmax(inside))]
    kept = list(columns)
    for column in columns:
        rest = [c for c in kept if c != column]
        if rest and np.array_equal((codes[:, rest] == example[rest]).all(axis=1), inside):
            kept = rest
    return tuple(kept), tuple(int(example[c]) for c in kept)
