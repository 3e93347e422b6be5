"""Points: days, months, quarters, halves and years as a question names them, with and without their year."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from agent.planner.calendar import DAY, MONTHS, add_months
from tools.model.period import Period


@dataclass(frozen=True, slots=True)
class Point:
    """A day, month, quarter or year, perhaps without its year."""

    unit: str
    year: int | None
    month: int = 1
    day: int = 1


MONTH = r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
YEAR = r"(?:19|20)\d\d"
ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": 4}

# One point in time, written so that it can stand inside "from POINT to POINT". Tried in this order.
_POINTS: tuple[tuple[str, str], ...] = (
    ("iso_day", rf"(?P<y>{YEAR})[-/](?P<m>\d\d?)[-/](?P<d>\d\d?)"),
    ("iso_month", rf"(?P<y>{YEAR})-(?P<m>\d\d)"),
    ("day", rf"(?:the )?(?P<d>\d\d?)(?:st|nd|rd|th)?(?: of)? {MONTH.format('mon')}(?:,? (?P<y>{YEAR}))?"),
    ("day", rf"{MONTH.format('mon')} (?:the )?(?P<d>\d\d?)(?:st|nd|rd|th)?(?:,? (?P<y>{YEAR}))?(?!\d)"),
    ("month", rf"{MONTH.format('mon')} ?'(?P<yy>\d\d)"),
    ("month", rf"{MONTH.format('mon')}(?:,? (?:of )?(?P<y>{YEAR}))?"),
    ("quarter", rf"(?P<y>{YEAR})[- ]?q(?P<q>[1-4])"),
    ("quarter", rf"q(?P<q>[1-4])(?:[- /]?(?:of )?(?P<y>{YEAR}))?"),
    ("half", rf"h(?P<q>[12])(?:[- /]?(?:of )?(?P<y>{YEAR}))?"),
    (
        "quarter",
        rf"(?:the )?(?P<o>first|1st|second|2nd|third|3rd|fourth|4th|last) quarter(?:(?: of)? (?P<y>{YEAR}))",
    ),
    ("half", rf"(?:the )?(?P<o>first|1st|second|2nd) half(?: of)? (?P<y>{YEAR})"),
    ("year", rf"(?P<y>{YEAR})"),
    ("today", r"(?P<word>today|now|yesterday)"),
)
_COMPILED = tuple((unit, re.compile(rf"(?<![\w-]){pattern}(?![\w])")) for unit, pattern in _POINTS)


def points(text: str) -> list[tuple[Point, int, int]]:
    """Points in order of appearance, without overlap."""
    taken: list[tuple[Point, int, int]] = []
    for unit, pattern in _COMPILED:
        for m in pattern.finditer(text):
            if any(m.start() < end and start < m.end() for _, start, end in taken) or not _is_time(text, m):
                continue
            taken.append((_point(unit, m), m.start(), m.end()))
    return sorted(taken, key=lambda t: t[1])


def _is_time(text: str, m: re.Match[str]) -> bool:
    """'may' and 'march' are also ordinary words: as months they need a preposition, a day or a year."""
    if m.groupdict().get("mon") not in {"may", "march", "mar", "dec", "now"} or " " in m[0].strip():
        return True
    before = text[: m.start()].rstrip()
    after = text[m.end() :].lstrip()
    return bool(
        re.search(r"\b(in|for|of|since|from|between|during|and|vs|versus|with|to|until|than|by|last|on)$", before)
        or after.startswith(("vs", "versus", "compared"))
        or not before
    )


def _point(unit: str, m: re.Match[str]) -> Point:
    parts = m.groupdict()
    year = int(parts["y"]) if parts.get("y") else 2000 + int(parts["yy"]) if parts.get("yy") else None
    if unit == "today":
        return Point(parts["word"] or "today", None)
    if unit in {"quarter", "half"}:
        number = int(parts["q"]) if parts.get("q") else ORDINALS[str(parts["o"])]
        return Point(unit, year, (number - 1) * (3 if unit == "quarter" else 6) + 1)
    month = int(parts["m"]) if parts.get("m") else month_number(parts["mon"]) if parts.get("mon") else 1
    return Point(unit.removeprefix("iso_"), year, month, int(parts["d"]) if parts.get("d") else 1)


def month_number(word: str) -> int:
    return next(n for n, name in enumerate(MONTHS, 1) if name.startswith(word[:3]))


def resolve(point: Point, today: date, ahead: bool = False) -> Period | None:
    """The period of a point; without a year the latest that has begun (or, `ahead`, the next that has not ended)."""
    if point.unit in {"today", "now"}:
        return Period(today, today + DAY)
    if point.unit == "yesterday":
        return Period(today - DAY, today)
    years = [point.year] if point.year else [today.year + 1, today.year, today.year - 1]
    periods = [p for p in (_whole(point, year) for year in years) if p]
    if point.year or not periods:
        return periods[0] if periods else None
    if ahead:
        return min((p for p in periods if p.end > today), key=lambda p: p.start, default=None)
    return max((p for p in periods if p.start <= today), key=lambda p: p.start, default=None)


def _whole(point: Point, year: int) -> Period | None:
    try:
        start = date(year, point.month, point.day)
    except ValueError:
        return None
    if point.unit == "day":
        return Period(start, start + DAY)
    months = {"month": 1, "quarter": 3, "half": 6, "year": 12}[point.unit]
    return Period(start, add_months(start, months))
