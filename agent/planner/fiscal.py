"""Fiscal: fiscal years and quarters as people name them - "FY26", "Q1 FY2027", "this fiscal quarter"."""

from __future__ import annotations

import re
from datetime import date, timedelta

from agent.planner.calendar import to_date
from tools.analysis.calendar import fiscal_name, fiscal_year, named, quarter, quarter_name
from tools.model.period import Period

_LEAD = r"(?:\b(?:in|for|during|over|of|from|on) )?(?:the |our )?(?<![\w-])"
_WORD = r"(?:fiscal|financial)"
_YEAR = re.compile(
    rf"{_LEAD}(?:q(?P<q>[1-4])[ -]?(?:of |in )?)?(?:fy|{_WORD} year)[ -]?(?P<y>(?:20)?\d\d)(?:[ -]?q(?P<q2>[1-4]))?(?![\w-])"
)
_RELATIVE = re.compile(
    rf"{_LEAD}(?P<r>this|current|present|last|previous|prior|next)(?: current)? {_WORD} (?P<u>quarter|year)(?:'s)?(?: to date| so far)?(?!\w)"
)
_TO_DATE = re.compile(rf"{_LEAD}(?:fytd|{_WORD} (?P<u>year|quarter|ytd)(?: to date| so far)?)(?!\w)")
_QUARTER = re.compile(rf"{_LEAD}{_WORD} (?:q|quarter )(?P<q>[1-4])(?!\w)")
Told = tuple[Period, int, int, str]


def find(text: str, today: date, starts_in: int, *, ahead: bool = False) -> list[Told]:
    """Every fiscal period that `text` (lower case) names: the period, its place, and how it was read.

    A running one is counted up to today, unless the question looks `ahead`.
    """
    found: list[Told] = []
    for pattern, read in ((_YEAR, _of_year), (_RELATIVE, _relative), (_QUARTER, _quarter), (_TO_DATE, _present)):
        for m in pattern.finditer(text):
            if any(m.start() < end and start < m.end() for _, start, end, _ in found):
                continue
            whole = read(m, today, starts_in)
            period = whole if ahead else to_date(whole, today)
            found.append((period, m.start(), m.end(), _note(m[0], whole, period, starts_in)))
    return found


def _of_year(m: re.Match[str], today: date, starts_in: int) -> Period:
    year, number = m["y"] if len(m["y"]) == 4 else f"20{m['y']}", m["q"] or m["q2"]
    return named(f"FY{year}-Q{number}" if number else f"FY{year}", starts_in)


def _relative(m: re.Match[str], today: date, starts_in: int) -> Period:
    of = quarter if m["u"] == "quarter" else fiscal_year
    now = of(today, starts_in)
    if m["r"] in {"last", "previous", "prior"}:
        return of(now.start - timedelta(days=1), starts_in)
    return of(now.end, starts_in) if m["r"] == "next" else now


def _quarter(m: re.Match[str], today: date, starts_in: int) -> Period:
    """Without a year the latest that has begun."""
    year = int(fiscal_name(today, starts_in).removeprefix("FY"))
    both = [named(f"FY{y}-Q{m['q']}", starts_in) for y in (year, year - 1)]
    return both[0] if both[0].start <= today else both[1]


def _present(m: re.Match[str], today: date, starts_in: int) -> Period:
    return quarter(today, starts_in) if m["u"] == "quarter" else fiscal_year(today, starts_in)


def _note(said: str, whole: Period, period: Period, starts_in: int) -> str:
    long = whole.days > 300
    name = fiscal_name(whole.start, starts_in) if long else quarter_name(whole.start, starts_in)
    running = "" if period == whole else ", counted up to today"
    return f'"{said.strip()}" is {name}, {whole}{running}'
