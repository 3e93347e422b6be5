"""Periods: finds the times that a question names, against an injected today."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

from agent.planner import fiscal
from agent.planner.calendar import DAY, to_date, week_of
from agent.planner.points import MONTH, ORDINALS, YEAR, Point, month_number, points, resolve
from agent.planner.relative import RULES
from tools.model.period import Period


@dataclass(frozen=True, slots=True)
class Mention:
    """A period in a text. `start`, `end` are offsets; `ends` holds both ends of a "from A to B";
    `assumption` says in words what was chosen where the words left a choice; `everything` means all data."""

    period: Period
    start: int
    end: int
    assumption: str = ""
    ends: tuple[Period, Period] | None = None
    everything: bool = False


def find(
    text: str, today: date, *, ahead: bool = False, data: Period | None = None, fiscal_start: int = 1
) -> tuple[Mention, ...]:
    """Every period that `text` (lower case) names, in order. `ahead` reads a month without year as coming, not past;
    `fiscal_start` is the month in which fiscal years begin.
    """
    found: list[Mention] = []
    rest = text

    def _fiscal(rest: str, today: date, ahead: bool, data: Period | None) -> list[Mention]:
        return [Mention(*told) for told in fiscal.find(rest, today, fiscal_start, ahead=ahead)]

    for step in (_fiscal, _spans, _relative, _single):
        for mention in step(rest, today, ahead, data):
            found.append(mention)
            rest = rest[: mention.start] + "\0" * (mention.end - mention.start) + rest[mention.end :]
    return tuple(sorted(found, key=lambda m: m.start))


def _spans(text: str, today: date, ahead: bool, data: Period | None) -> list[Mention]:
    found: list[Mention] = []
    for mention in (
        *_parts_of_months(text, today),
        *_weeks_of(text, today),
        *_day_lists(text, today, ahead),
        *_from_to(text, today, ahead),
        *_since(text, today, ahead),
    ):
        if not any(mention.start < o.end and o.start < mention.end for o in found):
            found.append(mention)
    return found


_PART = re.compile(
    rf"(?:in |during |for |over )?(?:the )?(?P<o>first|1st|second|2nd|third|3rd|fourth|4th|last) (?P<u>half|week) of {MONTH.format('mon')}(?:,? (?P<y>{YEAR}))?(?!\w)"
)


def _parts_of_months(text: str, today: date) -> list[Mention]:
    """'the first week of november' (its days 1-7), 'the second half of october' (16 to the end)."""
    found = []
    for m in _PART.finditer(text):
        month = resolve(Point("month", int(m["y"]) if m["y"] else None, month_number(m["mon"])), today)
        if month is None:
            continue
        n = ORDINALS[m["o"]]
        if m["u"] == "half":
            middle = month.start + timedelta(days=15)
            period = Period(month.start, middle) if n == 1 else Period(middle, month.end)
        elif m["o"] == "last":
            period = Period(month.end - timedelta(days=7), month.end)
        else:
            first = month.start + timedelta(days=7 * (n - 1))
            period = Period(first, first + timedelta(days=7))
        found.append(Mention(period, m.start(), m.end(), f'"{m[0].strip()}" is read as {period}'))
    return found


def _weeks_of(text: str, today: date) -> list[Mention]:
    """'the week of 9 november': its Monday to Sunday."""
    found = []
    for point, start, end in points(text):
        lead = re.search(
            r"(?:in |for |during )?(?:the )?week (?:of|around|starting(?: on)?|beginning(?: on)?) (?:the )?$",
            text[:start],
        )
        day = resolve(point, today)
        if lead and day and day.days == 1:
            found.append(Mention(week_of(day.start), lead.start(), end, "weeks run from Monday to Sunday"))
    return found


def _day_lists(text: str, today: date, ahead: bool) -> list[Mention]:
    """'1-15 sep 2024', 'sep 1-15'."""
    days = r"(?P<a>\d\d?)(?:st|nd|rd|th)? ?(?:-|–|to|until|through|and) ?(?P<b>\d\d?)(?:st|nd|rd|th)?"
    found = []
    for pattern in (
        rf"(?:from |between )?(?<![\w-]){days}(?: of)? {MONTH.format('mon')}(?:,? (?P<y>{YEAR}))?(?!\w)",
        rf"(?:from |between )?(?<![\w-]){MONTH.format('mon')} {days}(?:,? (?P<y>{YEAR}))?(?![\w-])",
    ):
        for m in re.finditer(pattern, text):
            year = int(m["y"]) if m["y"] else None
            first = resolve(Point("day", year, month_number(m["mon"]), int(m["a"])), today, ahead)
            last = resolve(
                Point("day", first.start.year if first else None, month_number(m["mon"]), int(m["b"])), today
            )
            if first and last and first.start < last.end:
                found.append(Mention(Period(first.start, last.end), m.start(), m.end()))
    return found


def _from_to(text: str, today: date, ahead: bool) -> list[Mention]:
    found: list[Mention] = []
    for (a, a0, a1), (b, b0, b1) in pairwise(points(text)):
        between = text[a1:b0]
        lead = re.search(r"(from|between) (?:the )?$", text[:a0])
        joined = re.fullmatch(r" ?(?:-|–|to|until|till|through|thru|up to|\.\.) ?(?:the )?", between)
        if not joined and not (lead and lead[1] == "between" and between.strip() == "and"):
            continue
        if found and a0 < found[-1].end:
            continue
        pair = _pair(a, b, today, ahead)
        if pair:
            start = lead.start() if lead else a0
            found.append(Mention(Period(pair[0].start, pair[1].end), start, b1, ends=pair))
    return found


def _pair(a: Point, b: Point, today: date, ahead: bool) -> tuple[Period, Period] | None:
    last = resolve(b, today, ahead)
    if last is None:
        return None
    if a.year is None and a.unit not in {"today", "yesterday"}:
        a = replace(a, year=last.start.year)
        first = resolve(a, today, ahead)
        if first and first.start > last.start:
            first = resolve(replace(a, year=last.start.year - 1), today, ahead)
    else:
        first = resolve(a, today, ahead)
    return (first, last) if first and first.start < last.end else None


def _since(text: str, today: date, ahead: bool) -> list[Mention]:
    found = []
    for point, start, end in points(text):
        lead = re.search(r"(?:since|starting(?: on| from| in)?|from|after) (?:the )?$", text[:start])
        period = resolve(point, today)
        if not lead or not period or period.start > today:
            continue
        tail = re.match(
            r"(?: on(?:wards?)?| onwards?)?(?:(?: up)?(?: to| until| till) (?:today|now|date))?", text[end:]
        )
        if lead[0].startswith("from") and not (tail and tail[0]):
            continue
        first = period.end if lead[0].startswith("after") else period.start
        if first <= today:
            found.append(Mention(Period(first, today + DAY), lead.start(), end + (tail.end() if tail else 0)))
    return found


def _single(text: str, today: date, ahead: bool, data: Period | None) -> list[Mention]:
    found = []
    for point, start, end in points(text):
        period = resolve(point, today, ahead)
        if period is None:
            continue
        lead = re.search(r"(?:in|during|for|on|of|over)? ?$", text[:start])
        running = period if ahead else to_date(period, today)
        note = ""
        if point.unit != "day" and running != period:
            note = f"{text[start:end].strip()} is still running: counted up to today"
        found.append(Mention(running, lead.start() if lead else start, end, note))
    return found


_EVERYTHING = re.compile(
    r"(?<!\w)(?:all[- ]time|ever|since the (?:beginning|start)|all (?:the|our) data|in total so far)(?!\w)"
)


def _relative(text: str, today: date, ahead: bool, data: Period | None) -> list[Mention]:
    found: list[Mention] = []
    for pattern, build in RULES:
        for m in pattern.finditer(text):
            if any(m.start() < o.end and o.start < m.end() for o in found):
                continue
            period, note = build(m, today)
            since = re.search(r"since $", text[: m.start()])
            if since and period.start <= today:
                found.append(Mention(Period(period.start, today + DAY), since.start(), m.end()))
            else:
                found.append(Mention(period, m.start(), m.end(), note))
    if data:
        found += [Mention(data, m.start(), m.end(), everything=True) for m in _EVERYTHING.finditer(text)]
    return found
