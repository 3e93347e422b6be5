"""Calendar: arithmetic on periods - to date, whole months, the one before, the same a year earlier."""

from __future__ import annotations

from datetime import date, timedelta

from tools.model.period import Period

DAY = timedelta(days=1)
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)


def month_of(day: date) -> Period:
    """The calendar month around a day."""
    start = day.replace(day=1)
    return Period(start, add_months(start, 1))


def quarter_of(day: date) -> Period:
    """The calendar quarter around a day."""
    start = date(day.year, day.month - (day.month - 1) % 3, 1)
    return Period(start, add_months(start, 3))


def year_of(day: date) -> Period:
    """The calendar year around a day."""
    return Period(date(day.year, 1, 1), date(day.year + 1, 1, 1))


def week_of(day: date) -> Period:
    """Monday to Sunday around a day."""
    start = day - timedelta(days=day.weekday())
    return Period(start, start + timedelta(days=7))


def to_date(period: Period, today: date) -> Period:
    """The part of a running period up to and including today; a whole one stays as it is."""
    return Period(period.start, min(period.end, today + DAY)) if period.start <= today else period


def add_months(day: date, months: int) -> date:
    """The same day some months on; the last day of a shorter month."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - DAY).day
    return date(year, month + 1, min(day.day, last))


def shift_months(period: Period, months: int) -> Period:
    """The period moved by months; one that starts on a first keeps covering the same days of its months."""
    start = add_months(period.start, months)
    if period.start.day == 1 and period.end.day == 1:
        return Period(start, add_months(period.end, months))
    last = add_months(period.end - DAY, months)
    return Period(start, max(last, start) + DAY)


def before(period: Period) -> Period:
    """What a period is naturally compared with: the whole month (quarter, year) before, the same days of the
    month before for a month to date, otherwise as many days directly before."""
    if period.start.day == 1 and period.days > 1:
        for months, unit in ((1, month_of), (3, quarter_of), (12, year_of)):
            whole = unit(period.start)
            if period == whole:
                return shift_months(period, -months)
        if period.end <= add_months(period.start, 1):
            return shift_months(period, -1)
    return period.previous()


def year_before(period: Period) -> Period:
    """The same days one year earlier."""
    return shift_months(period, -12)
