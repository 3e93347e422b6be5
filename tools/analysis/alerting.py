"""Alerting: which anomalies are told today - at most so many a week, the most money first - and which are held back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tools.analysis import episodes
from tools.analysis.settled import settled
from tools.model.anomaly import Anomaly
from tools.store import alerts, findings
from tools.store.alerts import Told
from tools.store.findings import Feedback

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

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


@dataclass(frozen=True, slots=True)
class Board:
    """What goes on as of `day`, the last one that can be judged: what the next digest would tell, and what it would not.

    `told_this_week` counts the alerts of the six days before it; `feedback` is all that people said. `expected` go on
    too, and somebody expected them.
    """

    day: date
    alerts: Alerts
    feedback: tuple[Feedback, ...]
    per_week: int
    told_this_week: int
    expected: tuple[Anomaly, ...] = ()

    def state(self, anomaly_id: str) -> str:
        """Where it stands: new, again, held, quiet or muted; empty when it is over or expected."""
        names = ("new", "again", "held", "quiet", "muted")
        return next((n for n in names if any(one.id == anomaly_id for one in getattr(self.alerts, n))), "")


def board(costs: Costs, today: date, *, otherwise: int, found: Sequence[Anomaly] | None = None) -> Board:
    """What goes on in what is stored (or in `found`); `otherwise` is how many alerts a week when nobody said."""
    known = settled(costs, today)
    day = known.end - timedelta(days=1) if known else today
    with costs.database.read() as tx:
        found = findings.anomalies(tx, costs.tenant) if found is None else found
        told, feedback = alerts.told(tx, costs.tenant), findings.feedback(tx, costs.tenant)
        per_week = alerts.per_week(tx, costs.tenant, otherwise)
    chosen = choose(found, day, told=told, feedback=feedback, per_week=per_week)
    expected = tuple(one for one in found if one.status == "expected" and _recent(one, day))
    return Board(day, chosen, feedback, per_week, _told_this_week(found, day, told), expected)


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
    return one.status != "expected" and _recent(one, day)


def _recent(one: Anomaly, day: date) -> bool:
    ended = one.started + timedelta(days=one.days)
    return one.started <= day and ended > day - timedelta(days=RECENT_DAYS - 1)


def muted(one: Anomaly, feedback: Iterable[Feedback], day: date) -> bool:
    """Whether somebody silenced this series, and the last day of it is not over."""
    return standing_mute(one, feedback, day) is not None


def standing_mute(one: Anomaly, feedback: Iterable[Feedback], day: date) -> Feedback | None:
    """The mute that silences this series longest, if its last day is not over."""
    mutes = [
        said
        for said in feedback
        if said.verdict == "mute" and said.keys == one.keys and said.until is not None and said.until >= day
    ]
    return max(mutes, key=lambda said: (said.until or day, said.given_at), default=None)


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
