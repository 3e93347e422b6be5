"""Relative: times that are told from today on - "last 3 months", "this week so far", "two days ago"."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

from agent.planner.calendar import DAY, add_months, month_of, quarter_of, shift_months, to_date, week_of, year_of
from tools.model.period import Period

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WORDS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "couple": 2, "couple of": 2, "three": 3, "few": 3, "four": 4, "five": 5,
    "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fourteen": 14, "thirty": 30,
}  # fmt: skip
_NUMBER = r"(?P<n>\d{1,3}|" + "|".join(sorted(_WORDS, key=len, reverse=True)) + ")"
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


RULES: tuple[Rule, ...] = tuple(
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
