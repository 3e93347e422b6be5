"""The budget card: a level of a budget that was reached, or that its period will probably end above it."""

from __future__ import annotations

from decimal import Decimal

from bot.shared.message import Message
from bot.slack import elements as e
from bot.slack.words import clip, escape, money, percent, stamp
from tools.model.budget import FORECAST, Alert


def message(alert: Alert) -> Message:
    """Three blocks: what was reached, the figures, and what they rest on."""
    figures = [
        ("Budget", f"{money(alert.amount, alert.currency)} for {alert.period}"),
        ("Of", clip(alert.scope, 300)),
        ("Spent so far", f"{money(alert.actual, alert.currency)} ({percent(alert.actual / alert.amount)})"),
    ]
    if alert.expected is not None:
        figures.append(("Expected at the end", money(alert.expected, alert.currency)))
    if alert.chance is not None and alert.actual <= alert.amount:
        figures.append(("Chance of passing it", percent(_careful(alert.chance))))
    complete = f"costs complete before {alert.complete_to}" if alert.complete_to else ""
    blocks = (
        e.section(headline(alert)),
        e.fields(figures),
        e.context(alert.metric.meaning, complete, f"as of {stamp(alert.at)}"),
    )
    return Message(escape(headline(alert)), blocks)


def headline(alert: Alert) -> str:
    """'Budget checkout: 80 % is spent, $41,200.00 of $50,000.00 in 1-30 Nov 2026.'."""
    name = f"Budget {clip(alert.budget, 64)}"
    limit = money(alert.amount, alert.currency)
    if alert.level == FORECAST:
        chance = percent(_careful(alert.chance or Decimal(0)))
        expected = money(alert.expected, alert.currency)
        return f"{name} will probably be passed: {expected} expected of {limit} in {alert.period} ({chance} chance)."
    spent = money(alert.actual, alert.currency)
    if alert.actual > alert.amount:
        over = money(alert.actual - alert.amount, alert.currency)
        return f"{name} is passed by {over}: {spent} of {limit} in {alert.period}."
    return f"{name}: {percent(alert.actual / alert.amount)} is spent, {spent} of {limit} in {alert.period}."


def _careful(chance: Decimal) -> Decimal:
    """A forecast is never certain."""
    return min(max(chance, Decimal("0.01")), Decimal("0.99"))
