"""The story's charges of one provider, line by line and day by day, for clouds that bill through an API."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from sandbox.story.lines import QUANTITY_DIGITS, Line, amount


@dataclass(frozen=True, slots=True)
class Charge:
    """What one line used and cost on one day, in USD."""

    line: Line
    day: date
    quantity: Decimal
    billed: Decimal
    effective: Decimal

    @property
    def month(self) -> date:
        return self.day.replace(day=1)


@dataclass
class Bills:
    """The charges of some lines, worked out when they are first asked for."""

    lines: Callable[[], Iterable[Line]]
    seed: int
    today: date
    months: int
    # The month (its first day) that the provider has corrected afterwards, or None.
    restated: date | None = None
    _found: tuple[Charge, ...] = ()
    _periods: tuple[date, ...] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def charges(self) -> tuple[Charge, ...]:
        """All charges, by line and day."""
        self._work_out()
        return self._found

    def periods(self) -> tuple[date, ...]:
        """The first days of the billing periods, in order; the last one is open."""
        self._work_out()
        return self._periods

    def restate(self, month: date | None) -> None:
        """From now on that month is told as the provider corrected it; None: as first billed."""
        with self._lock:
            self.restated, self._found, self._periods = month, (), ()

    def _work_out(self) -> None:
        from sandbox.story.amounts import Calendar, all_rows
        from sandbox.story.events import events, restatement

        with self._lock:
            if self._periods:
                return
            calendar = Calendar(self.today, self.today, self.months)
            lines = tuple(self.lines())
            planted = events(calendar.anchor.weekday())
            if self.restated is not None:
                planted += (restatement(self.restated, calendar.anchor, lines[0].provider),)
            rows = all_rows(lines, calendar, self.seed, planted)
            self._found = tuple(
                Charge(
                    lines[int(line)],
                    date.fromordinal(int(day)),
                    Decimal(int(quantity)).scaleb(-QUANTITY_DIGITS),
                    amount(int(billed)),
                    amount(int(effective)),
                )
                for line, day, quantity, billed, effective in zip(
                    rows.line, rows.day, rows.quantity, rows.billed, rows.effective, strict=True
                )
            )
            self._periods = calendar.months


def month_asked(text: object) -> date | None:
    """The first day of a month written as YYYY-MM; None for nothing. Raises ValueError."""
    return date.fromisoformat(f"{text}-01") if text else None


def in_cents(amounts: list[Decimal]) -> list[Decimal]:
    """Amounts as whole cents that add up to the rounded sum: the largest remainders get the cents that are left."""
    cent = Decimal("0.01")
    total = int((sum(amounts, Decimal(0)) / cent).to_integral_value())
    floors = [int((value / cent).to_integral_value(rounding="ROUND_FLOOR")) for value in amounts]
    rests = sorted(range(len(amounts)), key=lambda n: (floors[n] - amounts[n] / cent, n))
    for n in rests[: total - sum(floors)]:
        floors[n] += 1
    return [Decimal(cents) * cent for cents in floors]
