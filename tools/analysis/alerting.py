"""Alerting: which anomalies are told today - at most so many a week, the most money first - and which are held back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tools.analysis import episodes
from tools.model.anomaly import Anomaly
from tools.store.alerts import Told
from tools.store.findings import Feedback

WEEK = timedelta(days=7)
# What ended longer ago is history, and told by whoever asks.
RECENT_DAYS = 3
# Each "useful" about a series makes its next finding count this much more; each "expected", so much less.
USEFUL, EXPECTED, MOST_WORDS = Decimal("0.5"), Decimal("0.7"), 4


@dataclass(frozen=True, slots=True)
class Alerts:
    """`new` and `again` (a weekly reminder) are told, in this order; `held` would be news, but the week is full.

    `quiet` go on and were told less than a week ago. `muted` are silenced by a person until a day.
    """

    new: tuple[Anomaly, ...]
    again: tuple[Anomaly, ...]
    held: tuple[Anomaly, ...]
    quiet: tuple[Anomaly, ...]
    muted: tuple[Anomaly, ...]

    @property
    def told(self) -> tuple[Anomaly, ...]:
        return (*self.new, *self.again)


def choose(
    found: Iterable[Anomaly],
    day: date,
    *,
    told: Mapping[str, Told],
    feedback: Sequence[Feedback] = (),
    per_week: int,
) -> Alerts:
    """What the digest of `day` tells. What began on one day in one account counts as one alert. Pure."""
    current = [one for one in found if is_current(one, day)]
    silent = {one.id for one in current if muted(one, feedback, day)}
    words = _words(feedback)
    current.sort(key=lambda one: (one.direction == "down", -_weight(one, words), one.id))
    speaking = [one for one in current if one.id not in silent]
    room = per_week - _told_this_week(found, day, told)
    new: list[Anomaly] = []
    held: list[Anomaly] = []
    again: list[Anomaly] = []
    quiet: list[Anomaly] = []
    for group in episodes.group(speaking, in_order=True):
        known = [told[one.id] for one in group if one.id in told]
        if not known or min(k.first for k in known) == day:
            fits = room > 0 or any(k.first == day for k in known)
            (new if fits else held).extend(group)
            room -= 0 if known else int(fits)
        elif max(k.last for k in known) == day or (
            day - max(k.last for k in known) >= WEEK and any(one.status == "open" for one in group)
        ):
            again.extend(group)
        else:
            quiet.extend(group)
    return Alerts(tuple(new), tuple(again), tuple(held), tuple(quiet), tuple(o for o in current if o.id in silent))


def is_current(one: Anomaly, day: date) -> bool:
    """Going on, or just ended; and nobody expected it."""
    recent = day - timedelta(days=RECENT_DAYS - 1)
    ended = one.started + timedelta(days=one.days)
    return one.status != "expected" and one.started <= day and ended > recent


def muted(one: Anomaly, feedback: Iterable[Feedback], day: date) -> bool:
    """Whether somebody silenced this series, and the last day of it is not over."""
    return any(
        said.verdict == "mute" and said.keys == one.keys and said.until is not None and said.until >= day
        for said in feedback
    )


def _words(feedback: Iterable[Feedback]) -> Counter[tuple[tuple[tuple[str, str], ...], str]]:
    return Counter((said.keys, said.verdict) for said in feedback)


def _weight(one: Anomaly, words: Counter[tuple[tuple[tuple[str, str], ...], str]]) -> Decimal:
    """Money at stake, as people's earlier words about this series raise or lower it."""
    useful, expected = (min(words[one.keys, verdict], MOST_WORDS) for verdict in ("useful", "expected"))
    return episodes.at_stake(one) * (1 + USEFUL * useful) * EXPECTED**expected


def _told_this_week(found: Iterable[Anomaly], day: date, told: Mapping[str, Told]) -> int:
    """Alerts of the six days before `day`; several services of one account are one."""
    recent = [one for one in found if one.id in told and day - WEEK < told[one.id].first < day]
    return len(episodes.group(recent))
