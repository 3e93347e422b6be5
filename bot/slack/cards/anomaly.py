"""The anomaly card: what left its usual path, since when, by how much and why, with what people can say about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from bot.shared.message import Block, Message, Reply
from bot.slack import elements as e
from bot.slack.words import change, clip, day, escape, money, plural
from tools.analysis.alerting import Board, standing_mute
from tools.analysis.naming import conditions
from tools.analysis.verdicts import LONGEST_MUTE
from tools.analysis.words import listed
from tools.model.anomaly import Anomaly
from tools.model.driver import Driver, DriverTree
from tools.store.findings import Feedback

EXPECTED = "anomaly.expected"
REOPEN = "anomaly.reopen"
USEFUL = "anomaly.useful"
MUTE = "anomaly.mute"
UNMUTE = "anomaly.unmute"
INVESTIGATE = "anomaly.investigate"
LISTED = 8
NAMED = 5
_TAGS = {
    "again": "Reminder, told a week ago",
    "held": "Held back",
    "quiet": "Told in the last days",
    "muted": "Muted",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What has become of an anomaly: what people said of it, the mute of its series, and whether bills took it back.

    `state` is where it stands in the board (new, again, held, quiet, muted); empty where that is of no interest.
    """

    words: tuple[Feedback, ...] = ()
    mute: Feedback | None = None
    gone: bool = False
    state: str = ""


NOTHING_SAID = Standing()


def standing(anomaly: Anomaly, feedback: Iterable[Feedback], today: date, state: str = "") -> Standing:
    """Out of all that people said: what concerns this anomaly."""
    every = tuple(feedback)
    words = tuple(said for said in every if said.anomaly_id == anomaly.id)
    return Standing(words, standing_mute(anomaly, every, today), state=state)


def headline(anomaly: Anomaly) -> str:
    """'EC2 / production: +412.00 USD (+38 %) since Mon 9 Nov 2026, day 3'."""
    grown = change(anomaly.actual, anomaly.expected)
    share = f" ({grown})" if grown else ""
    title = clip(anomaly.title, 200) or "All costs"
    name = title[0].upper() + title[1:]
    more = f", {plural(anomaly.days, 'day')}" if anomaly.days > 1 else ""
    return f"{name}: {money(anomaly.excess, anomaly.currency, sign=True)}{share} since {day(anomaly.started)}{more}"


def short(anomaly: Anomaly, stands: Standing = NOTHING_SAID, *, told: str = "") -> list[Block]:
    """Two blocks: what, why and who said what of it; and the buttons. `told` was said above: nothing comes twice."""
    tag = f"{_TAGS[stands.state]} · " if stands.state in _TAGS else ""
    why = [clip(anomaly.why, 500)] if anomaly.why and anomaly.why not in told else []
    title = e.heading(tag + headline(anomaly) + _status(anomaly, stands))
    buttons = _buttons(anomaly, stands)
    lines = e.rich([title, *(e.line(words) for words in (*why, *said(stands)))])
    return [lines, *([e.actions(*buttons)] if buttons else [])]


def _status(anomaly: Anomaly, stands: Standing) -> str:
    if stands.gone:
        return " (later bills took it back)"
    return {"open": "", "resolved": " (over)"}.get(anomaly.status, f" ({anomaly.status})")


def said(stands: Standing) -> list[str]:
    """Who said what, a line each."""
    lines = []
    useful = [_name(word) for word in stands.words if word.verdict == "useful"]
    if useful:
        rest = [f"{len(useful) - NAMED} more"] if len(useful) > NAMED else []
        lines.append(f"Useful, says {listed([*useful[:NAMED], *rest])}.")
    lines += [
        f"Expected, says {_name(word)}: {clip(word.reason, 300) or 'no reason given'}"
        for word in stands.words
        if word.verdict == "expected"
    ][-2:]
    if stands.mute is not None and stands.mute.until is not None:
        word = stands.mute
        lines.append(f"Muted until {day(stands.mute.until)} by {_name(word)}: {clip(word.reason, 300)}")
    return lines


def _name(word: Feedback) -> str:
    return clip(word.name or word.actor, 80)


def _buttons(anomaly: Anomaly, stands: Standing) -> list[Block]:
    """What can be said of it now; an anomaly that is gone has none."""
    if stands.gone:
        return []
    why = e.button("Why?", INVESTIGATE, anomaly.id)
    if anomaly.status == "expected":
        return [why, e.button("Not expected", REOPEN, anomaly.id)]
    silence = e.button("Mute…", MUTE, anomaly.id) if stands.mute is None else e.button("Unmute", UNMUTE, anomaly.id)
    return [
        why,
        e.button("Useful", USEFUL, anomaly.id),
        e.button("Expected…", EXPECTED, anomaly.id),
        silence,
    ]


def reply(anomaly: Anomaly, stands: Standing) -> Reply:
    """The card of its own that stands in a digest's thread."""
    return Reply(anomaly.id, escape(_sentence(anomaly)), blocks=tuple(short(anomaly, stands)))


def board(shown: Board) -> Message:
    """What goes on: told and to be told first, then what is held back, then what is silent or was expected."""
    chosen = shown.alerts
    going = [*chosen.new, *chosen.again, *chosen.quiet, *chosen.held, *chosen.muted, *shown.expected]
    title = f"{plural(len(going), 'anomaly', 'anomalies')} as of {day(shown.day)}" if going else "No anomaly goes on"
    blocks: list[Block] = [e.header(title), e.context(_budget(shown))]
    for one in going[:LISTED]:
        blocks += short(one, standing(one, shown.feedback, shown.day, shown.state(one.id)))
    if len(going) > LISTED:
        blocks.append(e.context(f"{e.more(len(going) - LISTED)}: optiinfra anomalies lists them all."))
    sentences = "; ".join(headline(one) for one in going[:LISTED])
    return Message(escape(f"{title}. {clip(sentences, 2000)}" if going else f"{title}."), tuple(blocks))


def _budget(shown: Board) -> str:
    chosen = shown.alerts
    parts = [f"At most {plural(shown.per_week, 'alert')} a week (/cost alerts N changes it)"]
    parts += [f"{shown.told_this_week} told in the six days before"] if shown.told_this_week else []
    parts += [f"{len(chosen.held)} held back"] if chosen.held else []
    parts += [f"{len(chosen.muted)} muted"] if chosen.muted else []
    return " · ".join(parts)


def alerts(shown: Board, *, changed: bool = False) -> str:
    """The alert budget in words."""
    start = "From now on the" if changed else "The"
    held = len(shown.alerts.held)
    room = max(shown.per_week - shown.told_this_week, 0)
    rest = f" {plural(held, 'anomaly', 'anomalies')} held back: /cost anomalies shows them." if held else ""
    return (
        f"{start} digest tells at most {plural(shown.per_week, 'alert')} a week, those with the most money at stake. "
        f"In the six days before {day(shown.day)} it told {shown.told_this_week}; there is room for {room} more.{rest}"
    )


def investigation(anomaly: Anomaly, tree: DriverTree | None) -> Message:
    """What is known about it: the numbers, and the driver tree of those days against the days before."""
    facts = [
        ("Actual", money(anomaly.actual, anomaly.currency)),
        ("Expected", money(anomaly.expected, anomaly.currency)),
        ("Severity", anomaly.severity),
        ("Status", anomaly.status),
    ]
    blocks = [e.section(headline(anomaly)), e.fields(facts)]
    if anomaly.why:
        blocks.append(e.section(anomaly.why))
    drivers = tree.drivers if tree is not None else anomaly.drivers
    if drivers:
        currency = tree.currency if tree is not None else anomaly.currency
        blocks.append(e.rich([e.bullets([_line(d, currency) for d in drivers], most=8)]))
    if tree is not None:
        blocks.append(
            e.context(f"{tree.period} against {tree.against}", f"other: {money(tree.other, tree.currency, sign=True)}")
        )
    blocks.append(e.context(anomaly.id))
    return Message(escape(_sentence(anomaly)), tuple(blocks))


def _sentence(anomaly: Anomaly) -> str:
    return headline(anomaly) + (f". {anomaly.why}" if anomaly.why else "")


def _line(driver: Driver, currency: str) -> str:
    where = clip(conditions(driver.conditions), 300)
    return f"{money(driver.contribution, currency, sign=True)}: {where or 'everything else'} ({driver.kind})"


def expected_view(anomaly_id: str, note: str) -> Block:
    """The modal behind [Expected…]: why this was to be expected."""
    intro = e.section("It will no longer be reported, and the detector keeps in mind that somebody expected it.")
    return e.modal(
        "This was expected",
        EXPECTED,
        [intro, e.text_input("Why was it expected?", "reason", least=10), e.context(anomaly_id)],
        submit="Save",
        note=note,
    )


def mute_view(anomaly: Anomaly, note: str, until: date) -> Block:
    """The modal behind [Mute…]: until when this series is silent, and why."""
    day_field: Block = {
        "type": "input",
        "block_id": "until",
        "label": e.plain("Silent until (that day included)", 2000),
        "hint": e.plain(f"At most {LONGEST_MUTE.days} days from today. Anybody can end it earlier.", 2000),
        "element": {"type": "datepicker", "action_id": "value", "initial_date": until.isoformat()},
    }
    intro = e.section(f"{clip(anomaly.title, 200) or 'All costs'} will not be reported until then. It stays listed.")
    return e.modal(
        "Mute this series",
        MUTE,
        [intro, day_field, e.text_input("Why?", "reason", least=10), e.context(anomaly.id)],
        submit="Mute",
        note=note,
    )
