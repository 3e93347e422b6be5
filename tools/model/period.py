"""Period: a half-open span of UTC days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from tools.model.errors import InputError


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """UTC days from `start` (included) to `end` (excluded); never empty."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise InputError(
                f"A period needs at least one day: {self.start} to {self.end} (end excluded) has none.",
                fix="Give an end after the start.",
            )

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    def previous(self) -> Period:
        """The period of the same length that ends where this one starts."""
        return Period(self.start - timedelta(days=self.days), self.start)

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def __iter__(self) -> Iterator[date]:
        return (self.start + timedelta(days=n) for n in range(self.days))

    def __str__(self) -> str:
        """For a person: both ends included, '1-30 Sep 2024'."""
        last = self.end - timedelta(days=1)
        if self.days == 1:
            return f"{self.start.day} {self.start:%b %Y}"
        if (self.start.year, self.start.month) == (last.year, last.month):
            return f"{self.start.day}-{last.day} {last:%b %Y}"
        if self.start.year == last.year:
            return f"{self.start.day} {self.start:%b} - {last.day} {last:%b %Y}"
        return f"{self.start.day} {self.start:%b %Y} - {last.day} {last:%b %Y}"
