"""Numbers: the few robust statistics that the detector and the forecast share, over all series at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from tools.model.money import EXACT
from tools.model.series import DailySeries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[Any]

TINY = 1e-9


class Ordered:
    """Rows of a window in order, unknown (NaN) values apart, so that several quantiles cost one sort."""

    def __init__(self, window: Floats) -> None:
        import numpy as np

        self.rows = np.sort(window, axis=1)  # NaN sorts last
        self.count = np.isfinite(window).sum(axis=1)

    def at(self, share: float) -> Floats:
        """The value below which `share` of the known values lie (nearest rank); 0 where nothing is known."""
        import numpy as np

        if not self.rows.shape[1]:
            return np.zeros(len(self.rows))
        rank = (share * np.maximum(self.count - 1, 0) + 0.5).astype(int)
        return np.where(self.count > 0, np.nan_to_num(self.rows[np.arange(len(self.rows)), rank]), 0.0)

    def middle(self) -> Floats:
        """The median of the known values, 0 where nothing is known."""
        import numpy as np

        if not self.rows.shape[1]:
            return np.zeros(len(self.rows))
        index = np.arange(len(self.rows))
        low, high = np.maximum(self.count - 1, 0) // 2, np.minimum(self.count // 2, self.rows.shape[1] - 1)
        pair = np.nan_to_num(self.rows[index, low]) + np.nan_to_num(self.rows[index, high])
        return np.where(self.count > 0, pair / 2, 0.0)

    def spread(self, *, tail: float = 0.2, floor: float = 0.0) -> Floats:
        """A robust standard deviation from the middle of the values (the z of a normal's `tail` is about 0.84)."""
        import numpy as np

        width = {0.2: 1.683, 0.15: 2.073}[tail]
        return np.maximum((self.at(1 - tail) - self.at(tail)) / width, floor)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum (the default decimal context would round beyond 28 digits)."""
    out = Decimal(0)
    for amount in amounts:
        out = EXACT.add(out, amount)
    return out


def matrix(series: Sequence[DailySeries]) -> tuple[Floats, date]:
    """Series as rows of one matrix that starts on their earliest day; days outside a series are 0.

    A value that is no finite number (a NaN from a broken file) becomes 0: nothing was billed that we know of.
    """
    import numpy as np

    if not series:
        return np.zeros((0, 0)), date(1970, 1, 1)
    start = min(one.start for one in series)
    days = max((one.start - start).days + len(one.values) for one in series)
    out = np.zeros((len(series), days))
    for row, one in enumerate(series):
        offset = (one.start - start).days
        out[row, offset : offset + len(one.values)] = [float(v) for v in one.values]
    return np.nan_to_num(out, nan=0.0, posinf=0.0, neginf=0.0), start
