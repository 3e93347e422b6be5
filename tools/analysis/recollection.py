"""Recollection: the latest weeks as they were judged, kept so that a new day needs neither their bills nor a replay."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from tools.analysis import detector
from tools.analysis.daily import CURRENCY, Daily, Name, joined
from tools.analysis.detector import Tuning, Verdicts
from tools.analysis.memory import Memory
from tools.model.period import Period
from tools.model.query import Filter, Granularity, Metric

if TYPE_CHECKING:
    from tools.analysis.costs import Costs
    from tools.analysis.numbers import Floats

_MONEY = ("score", "expected", "band", "level")


@dataclass(frozen=True, slots=True)
class Near:
    """What was billed since the checkpoint, and how each of those days was judged; both in the same order of names."""

    seen: Daily
    verdicts: Verdicts

    def extended(
        self,
        more: Daily,
        units: Callable[[Sequence[Name]], Floats],
        tuning: Tuning,
        accepted: Callable[[Daily], Floats | None],
    ) -> Near:
        """With the days of `more` judged as well; a series that is new had no cost before."""
        import numpy as np

        known = {name: row for row, name in enumerate(self.seen.names)}
        names = (*self.seen.names, *(name for name in more.names if name not in known))
        rows = [known.get(name) for name in names]
        today = more.named(names)
        memory = self.verdicts.memory.aligned(rows)
        new = detector.judge(
            today.values / units(names)[:, None], more.start, memory=memory, tuning=tuning, accepted=accepted(today)
        )
        grown = len(names) - len(known)
        padded: dict[str, Any] = {n: np.pad(getattr(self.verdicts, n), ((0, grown), (0, 0))) for n in (*_MONEY, "kind")}
        return Near(joined(self.seen.named(names), today), followed(replace(self.verdicts, **padded), new))

    def to_bytes(self) -> bytes:
        """Everything but the names in one block (numpy's own file form, no code in it).

        It is written with every new day, and compressing noise would save a tenth for half of the time.
        """
        import numpy as np

        buffer, verdicts = io.BytesIO(), self.verdicts
        told = {f"told_{n}": getattr(verdicts, n).astype(np.float32) for n in _MONEY}
        np.savez(
            buffer,
            start=np.array([self.seen.start.toordinal()]),
            micros=self.seen.micros,
            rest=self.seen.rest,
            kind=verdicts.kind.astype(np.int8),
            memory=np.frombuffer(verdicts.memory.to_bytes(compress=False), dtype=np.uint8),
            **told,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, block: bytes, names: tuple[Name, ...]) -> Near:
        """The inverse of `to_bytes`."""
        import numpy as np

        with np.load(io.BytesIO(block), allow_pickle=False) as saved:
            start = date.fromordinal(int(saved["start"][0]))
            told: dict[str, Any] = {n: saved[f"told_{n}"].astype(float) for n in _MONEY}
            memory = Memory.from_bytes(saved["memory"].tobytes())
            verdicts = Verdicts(start, **told, kind=saved["kind"], memory=memory)
            return cls(Daily(start, names, saved["micros"], saved["rest"]), verdicts)


def followed(before: Verdicts, after: Verdicts) -> Verdicts:
    """The verdicts of the same series on days that follow each other."""
    import numpy as np

    both: dict[str, Any] = {n: np.hstack([getattr(before, n), getattr(after, n)]) for n in (*_MONEY, "kind")}
    return replace(after, start=before.start, **both)


Sums = dict[tuple[object, ...], tuple[int, int]]


def sums(costs: Costs, period: Period, *, by: tuple[str, ...], where: tuple[Filter, ...], metric: Metric) -> Sums:
    """What is stored: per day and currency, or with `by` per combination and currency over the whole period."""
    from tools.store import charges, facts, loads

    with costs.database.read() as tx:
        statement = charges.question(
            costs.tenant,
            period=period,
            by=by,
            where=where,
            metric=metric,
            granularity=Granularity.TOTAL if by else Granularity.DAY,
            slots=loads.slots(tx, costs.tenant),
        )
        found, _ = facts.sums(tx, statement, loads.of_days(loads.ledger(tx, costs.tenant), period))
    width = len(by) + 1
    every = {
        (*((row[0],) if not by else ()), *row[1 : 1 + width]): (int(row[1 + width]), int(row[2 + width]))
        for row in found
    }
    return {key: pair for key, pair in every.items() if pair != (0, 0)}


def own_sums(seen: Daily, axis: int) -> Sums:
    """The same of what was seen: over all series (axis 0), or over all days (axis 1)."""
    import numpy as np

    out: Sums = {}
    if axis == 1:
        pairs = zip(seen.micros.sum(axis=1).tolist(), seen.rest.sum(axis=1).tolist(), strict=True)
        out = {tuple(value for _, value in name): pair for name, pair in zip(seen.names, pairs, strict=True)}
    else:
        currencies = np.array([dict(name)[CURRENCY] for name in seen.names])
        for currency in sorted(set(currencies.tolist())):
            mine = currencies == currency
            pairs = zip(seen.micros[mine].sum(axis=0).tolist(), seen.rest[mine].sum(axis=0).tolist(), strict=True)
            out |= {(day, currency): pair for day, pair in zip(Period(seen.start, seen.end), pairs, strict=True)}
    return {key: pair for key, pair in out.items() if pair != (0, 0)}
