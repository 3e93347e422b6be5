"""The anomaly card: what left its usual path, since when, by how much and why, with what people can say about it."""

from __future__ import annotations

from datetime import date

from bot.shared.message import Block, Message
from bot.slack import elements as e
from bot.slack.words import change, clip, day, escape, money, plural
from tools.model.anomaly import Anomaly
from tools.model.driver import Driver, DriverTree

EXPECTED = "anomaly.expected"
USEFUL = "anomaly.useful"
MUTE = "anomaly.mute"
INVESTIGATE = "anomaly.investigate"


def headline(anomaly: Anomaly) -> str:
    """'EC2 / production: +412.00 USD (+38 %) since Mon 9 Nov 2026, day 3'."""
    grown = change(anomaly.actual, anomaly.expected)
    share = f" ({grown})" if grown else ""
    title = clip(anomaly.title, 200) or "All costs"
    name = title[0].upper() + title[1:]
    more = f", {plural(anomaly.days, 'day')}" if anomaly.days > 1 else ""
    return f"{name}: {money(anomaly.excess, anomaly.currency, sign=True)}{share} since {day(anomaly.started)}{more}"


def short(anomaly: Anomaly, *, buttons: bool = True, told: str = "") -> list[Block]:
    """Two blocks for a digest: what and why, and the buttons. `told` was said above: no sentence comes twice."""
    why = f"\n{clip(anomaly.why, 500)}" if anomaly.why and anomaly.why not in told else ""
    said = "" if anomaly.status == "open" else f" ({anomaly.status})"
    blocks = [e.section(headline(anomaly) + said + why)]
    if buttons and anomaly.status == "open":
        blocks.append(
            e.actions(
                e.button("Investigate", INVESTIGATE, anomaly.id),
                e.button("Useful", USEFUL, anomaly.id),
                e.button("Expected…", EXPECTED, anomaly.id),
                e.button("Mute…", MUTE, anomaly.id),
            )
        )
    return blocks


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
    return Message(escape(headline(anomaly) + (f". {anomaly.why}" if anomaly.why else "")), tuple(blocks))


def _line(driver: Driver, currency: str) -> str:
    where = ", ".join(f"{clip(name, 60)} {clip(value, 120) or '(none)'}" for name, value in driver.conditions)
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
