"""Words: text, money, percentages and moments as they may safely be shown in Slack."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from agent import words as mind
from tools.model.money import EXACT

ELLIPSIS = "…"
# Control characters break JSON consumers; bidirectional overrides could make an approval read differently than it is.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(text: str) -> str:
    """The text without characters that cannot be sent or that change how others are read."""
    return _UNSAFE.sub("", text.replace("\r\n", "\n")).encode("utf-8", "replace").decode("utf-8")


def escape(text: str) -> str:
    """The text as mrkdwn shows it literally: no mention, link or command can come out of it."""
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def size(text: str) -> int:
    """The length as Slack counts it at most (UTF-16 units)."""
    return len(text) + sum(1 for c in text if ord(c) > 0xFFFF)


def clip(text: str, limit: int) -> str:
    """The cleaned text in at most `limit` characters, the cut shown by an ellipsis."""
    text = clean(text)
    if size(text) <= limit:
        return text
    kept: list[str] = []
    room = limit - 1
    for character in text:
        room -= 2 if ord(character) > 0xFFFF else 1
        if room < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip() + ELLIPSIS


def money(amount: Decimal | None, currency: str, *, sign: bool = False) -> str:
    """'$1,284.00', as the mind writes it in its sentences; `sign` writes a plus before a rise. None is 'unknown'."""
    if amount is None:
        return "unknown"
    return clean(mind.signed(amount, currency) if sign else mind.money(amount, currency))


def percent(share: Decimal, *, sign: bool = False) -> str:
    """0.384 -> '38 %'; below one per cent with one decimal."""
    value = share * 100
    places = Decimal("0.1") if 0 < abs(value) < 1 else Decimal(1)
    plus = "+" if sign else ""
    return f"{value.quantize(places, rounding=ROUND_HALF_EVEN, context=EXACT):{plus}f} %"


def change(now: Decimal, before: Decimal) -> str:
    """'+12 %' against `before`, or an empty text when there is nothing to compare with."""
    return percent((now - before) / before, sign=True) if before > 0 else ""


def day(moment: date) -> str:
    """'Mon 23 Nov 2026'."""
    return f"{moment:%a} {moment.day} {moment:%b %Y}"


def stamp(moment: datetime) -> str:
    """'2026-11-23 08:00 UTC', for places without markup."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def local(moment: datetime) -> str:
    """Markup that Slack shows in each reader's own time zone, with the UTC text for everything else."""
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} at {{time}}|{stamp(moment)}>"


def plural(count: int, one: str, many: str = "") -> str:
    """'1 instance', '20 instances', '2 anomalies'."""
    return f"{count} {one}" if count == 1 else f"{count} {many or one + 's'}"


def duration(seconds: float) -> str:
    """'40 seconds', '3 minutes', '2 hours'."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return plural(round(seconds / length), unit)
    return plural(max(1, round(seconds)), "second")
