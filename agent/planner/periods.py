"""Periods: finds the times that a question names, against an injected today."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

from agent.planner.calendar import (
    DAY,
    MONTHS,
    add_months,
    month_of,
    quarter_of,
    shift_months,
    to_date,
    week_of,
    year_of,
)
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


@dataclass(frozen=True, slots=True)
class Point:
    """A day, month, quarter or year, perhaps without its year."""

    unit: str
    year: int | None
    month: int = 1
    day: int = 1


_MONTH = r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
_YEAR = r"(?:19|20)\d\d"
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WORDS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "couple": 2, "couple of": 2, "three": 3, "few": 3, "four": 4, "five": 5,
    "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fourteen": 14, "thirty": 30,
}  # fmt: skip
_NUMBER = r"(?P<n>\d{1,3}|" + "|".join(sorted(_WORDS, key=len, reverse=True)) + ")"
_ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": 4}

# One point in time, written so that it can stand inside "from POINT to POINT". Tried in this order.
_POINTS: tuple[tuple[str, str], ...] = (
    ("iso_day", rf"(?P<y>{_YEAR})[-/](?P<m>\d\d?)[-/](?P<d>\d\d?)"),
    ("iso_month", rf"(?P<y>{_YEAR})-(?P<m>\d\d)"),
    ("day", rf"(?:the )?(?P<d>\d\d?)(?:st|nd|rd|th)?(?: of)? {_MONTH.format('mon')}(?:,? (?P<y>{_YEAR}))?"),
    ("day", rf"{_MONTH.format('mon')} (?:the )?(?P<d>\d\d?)(?:st|nd|rd|th)?(?:,? (?P<y>{_YEAR}))?(?!\d)"),
    ("month", rf"{_MONTH.format('mon')} ?'(?P<yy>\d\d)"),
    ("month", rf"{_MONTH.format('mon')}(?:,? (?:of )?(?P<y>{_YEAR}))?"),
    ("quarter", rf"(?P<y>{_YEAR})[- ]?q(?P<q>[1-4])"),
    ("quarter", rf"q(?P<q>[1-4])(?:[- /]?(?:of )?(?P<y>{_YEAR}))?"),
    ("half", rf"h(?P<q>[12])(?:[- /]?(?:of )?(?P<y>{_YEAR}))?"),
    (
        "quarter",
        rf"(?:the )?(?P<o>first|1st|second|2nd|third|3rd|fourth|4th|last) quarter(?:(?: of)? (?P<y>{_YEAR}))",
    ),
    ("half", rf"(?:the )?(?P<o>first|1st|second|2nd) half(?: of)? (?P<y>{_YEAR})"),
    ("year", rf"(?P<y>{_YEAR})"),
    ("today", r"(?P<word>today|now|yesterday)"),
)
_COMPILED = tuple((unit, re.compile(rf"(?<![\w-]){pattern}(?![\w])")) for unit, pattern in _POINTS)


def find(text: str, today: date, *, ahead: bool = False, data: Period | None = None) -> tuple[Mention, ...]:
    """Every period that `text` (lower case) names, in order. `ahead` reads a month without year as coming, not past."""
    found: list[Mention] = []
    rest = text
    for step in (_spans, _relative, _single):
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
    rf"(?:in |during |for |over )?(?:the )?(?P<o>first|1st|second|2nd|third|3rd|fourth|4th|last) (?P<u>half|week) of {_MONTH.format('mon')}(?:,? (?P<y>{_YEAR}))?(?!\w)"
)


def _parts_of_months(text: str, today: date) -> list[Mention]:
    """'the first week of november' (its days 1-7), 'the second half of october' (16 to the end)."""
    found = []
    for m in _PART.finditer(text):
        month = resolve(Point("month", int(m["y"]) if m["y"] else None, _month(m["mon"])), today)
        if month is None:
            continue
        n = _ORDINALS[m["o"]]
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
    for point, start, end in _points(text):
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
        rf"(?:from |between )?(?<![\w-]){days}(?: of)? {_MONTH.format('mon')}(?:,? (?P<y>{_YEAR}))?(?!\w)",
        rf"(?:from |between )?(?<![\w-]){_MONTH.format('mon')} {days}(?:,? (?P<y>{_YEAR}))?(?![\w-])",
    ):
        for m in re.finditer(pattern, text):
            year = int(m["y"]) if m["y"] else None
            first = resolve(Point("day", year, _month(m["mon"]), int(m["a"])), today, ahead)
            last = resolve(Point("day", first.start.year if first else None, _month(m["mon"]), int(m["b"])), today)
            if first and last and first.start < last.end:
                found.append(Mention(Period(first.start, last.end), m.start(), m.end()))
    return found


def _from_to(text: str, today: date, ahead: bool) -> list[Mention]:
    found: list[Mention] = []
    points = _points(text)
    for (a, a0, a1), (b, b0, b1) in pairwise(points):
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
    for point, start, end in _points(text):
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


def _points(text: str) -> list[tuple[Point, int, int]]:
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
        number = int(parts["q"]) if parts.get("q") else _ORDINALS[str(parts["o"])]
        return Point(unit, year, (number - 1) * (3 if unit == "quarter" else 6) + 1)
    month = int(parts["m"]) if parts.get("m") else _month(parts["mon"]) if parts.get("mon") else 1
    return Point(unit.removeprefix("iso_"), year, month, int(parts["d"]) if parts.get("d") else 1)


def _month(word: str) -> int:
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


def _single(text: str, today: date, ahead: bool, data: Period | None) -> list[Mention]:
    found = []
    for point, start, end in _points(text):
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


Rule = tuple[re.Pattern[str], Callable[[re.Match[str], date], tuple[Period, str]]]


def _count(m: re.Match[str]) -> int:
    word = m["n"]
    return max(1, int(word) if word.isdigit() else _WORDS[word])


def _last_n(m: re.Match[str], today: date) -> tuple[Period, str]:
    n = _count(m)
    unit = m["u"]
    if unit.startswith("h"):
        return Period(today - timedelta(days=max(1, n // 24)), today), f"the last {n} hours are read as whole days"
    if unit.startswith(("d", "night")):
        return Period(today - timedelta(days=n), today), ""
    if unit.startswith("w"):
        return Period(today - timedelta(days=7 * n), today), ""
    whole = {"m": month_of, "q": quarter_of, "y": year_of}[unit[0]](today)
    months = {"m": 1, "q": 3, "y": 12}[unit[0]] * n
    return Period(add_months(whole.start, -months), whole.start), f"whole {unit.rstrip('s')}s before the present one"


def _ago(m: re.Match[str], today: date) -> tuple[Period, str]:
    n = _count(m)
    unit = m["u"][0]
    if unit == "d":
        return Period(today - timedelta(days=n), today - timedelta(days=n - 1)), ""
    if unit == "w":
        return week_of(today - timedelta(days=7 * n)), "weeks run from Monday to Sunday"
    if unit == "m":
        return month_of(add_months(today.replace(day=1), -n)), ""
    return month_of(add_months(today.replace(day=1), -12 * n)), "a year ago is read as the same month of that year"


def _unit(m: re.Match[str]) -> Callable[[date], Period]:
    return {"w": week_of, "m": month_of, "q": quarter_of, "y": year_of}[m["u"][0]]


def _this(m: re.Match[str], today: date) -> tuple[Period, str]:
    return to_date(_unit(m)(today), today), ""


def _last(m: re.Match[str], today: date) -> tuple[Period, str]:
    whole = _unit(m)(today)
    return _unit(m)(whole.start - DAY), "weeks run from Monday to Sunday" if m["u"][0] == "w" else ""


def _before_last(m: re.Match[str], today: date) -> tuple[Period, str]:
    unit = _unit(m)
    return unit(unit(unit(today).start - DAY).start - DAY), ""


def _past(m: re.Match[str], today: date) -> tuple[Period, str]:
    days = {"w": 7, "m": 30, "q": 90, "y": 365}[m["u"][0]]
    return Period(today - timedelta(days=days), today), f"the past {m['u']} is read as the last {days} whole days"


def _next(m: re.Match[str], today: date) -> tuple[Period, str]:
    return _unit(m)(_unit(m)(today).end), ""


def _next_n(m: re.Match[str], today: date) -> tuple[Period, str]:
    n, unit = _count(m), m["u"][0]
    if unit in "dw":
        return Period(today, today + timedelta(days=n * (7 if unit == "w" else 1))), ""
    whole = {"m": month_of, "q": quarter_of, "y": year_of}[unit](today)
    months = {"m": 1, "q": 3, "y": 12}[unit] * n
    return Period(whole.end, add_months(whole.end, months)), ""


def _to_date_word(m: re.Match[str], today: date) -> tuple[Period, str]:
    unit = {"w": week_of, "m": month_of, "q": quarter_of, "y": year_of}[m["t"][0]]
    return to_date(unit(today), today), ""


def _end_of(m: re.Match[str], today: date) -> tuple[Period, str]:
    return _unit(m)(today), ""


def _fortnight(m: re.Match[str], today: date) -> tuple[Period, str]:
    return Period(today - timedelta(days=14), today), "a fortnight is read as the last 14 whole days"


def _recently(m: re.Match[str], today: date) -> tuple[Period, str]:
    return Period(today - timedelta(days=7), today), f'"{m[0].strip()}" is read as the last 7 whole days'


def _weekend(m: re.Match[str], today: date) -> tuple[Period, str]:
    sunday = today - timedelta(days=today.weekday() + 1)
    return Period(sunday - DAY, sunday + DAY), ""


def _weekday(m: re.Match[str], today: date) -> tuple[Period, str]:
    back = (today.weekday() - _WEEKDAYS.index(m["day"])) % 7 or 7
    day = today - timedelta(days=back)
    return Period(day, day + DAY), ""


def _two_days_ago(m: re.Match[str], today: date) -> tuple[Period, str]:
    return Period(today - 2 * DAY, today - DAY), ""


def _same_last_year(m: re.Match[str], today: date) -> tuple[Period, str]:
    return shift_months(month_of(today), -12), ""


_RELATIVE: tuple[Rule, ...] = tuple(
    (re.compile(rf"(?:\b(?:in|for|during|over|from|of|on|within|by) )?(?:the )?(?<![\w-]){pattern}(?!\w)"), build)
    for pattern, build in (
        (r"day before yesterday", _two_days_ago),
        (rf"(?:last|past|previous|prior|trailing|latest|recent) {_NUMBER} ?(?P<u>hours?|days?|nights?|weeks?|months?|quarters?|years?)", _last_n),
        (rf"(?:next|coming|following) {_NUMBER} (?P<u>days?|weeks?|months?|quarters?|years?)", _next_n),
        (rf"{_NUMBER} (?P<u>days?|weeks?|months?|years?) (?:ago|back)", _ago),
        (r"(?P<u>week|month|quarter|year) before last", _before_last),
        (r"(?:last|past|previous|this|the)? ?(?:fortnight)", _fortnight),
        (r"(?:last|past|previous|this) weekend", _weekend),
        (r"(?<!last )(?<!previous )(?P<u>week|month|quarter|year) (?:to date|so far)", _this),
        (r"so far (?:this|in this|in the current) (?P<u>week|month|quarter|year)", _this),
        (r"(?P<t>[wmqy])td", _to_date_word),
        (r"(?:this|the current|current|ongoing) (?P<u>week|month|quarter|year)(?:'s)?(?: so far| to date)?", _this),
        (r"(?:last|previous|prior|preceding|prev) (?P<u>week|month|quarter|year)(?:'s)?", _last),
        (r"past (?P<u>week|month|quarter|year)", _past),
        (r"(?:next|coming|upcoming|following) (?P<u>week|month|quarter|year)(?:'s)?", _next),
        (r"(?:end|rest|remainder|close) of (?:the |this |current )*(?P<u>week|month|quarter|year)", _end_of),
        (r"(?P<u>month|quarter|year)[ -]end", _end_of),
        (r"(?:last few days|past few days|recently|lately|these days)", _recently),
        (rf"(?:last |past |on |this )?(?P<day>{'|'.join(_WEEKDAYS)})(?:'s)?", _weekday),
    )
)  # fmt: skip
_EVERYTHING = re.compile(
    r"(?<!\w)(?:all[- ]time|ever|since the (?:beginning|start)|all (?:the|our) data|in total so far)(?!\w)"
)


def _relative(text: str, today: date, ahead: bool, data: Period | None) -> list[Mention]:
    found: list[Mention] = []
    for pattern, build in _RELATIVE:
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
