"""A budget's alert arrives in the channel once, as it stood when it was reached."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from bot.slack.blockkit import MESSAGE, fit, problems
from bot.slack.cards import budget as card
from bot.slack.rendering import budget_message
from sandbox.slack import strict
from sandbox.slack.pytest_plugin import SlackWorkspace
from tests.bot.slack.world import START, TENANT, World
from tests.bot.test_outbox import cards
from tools.model.budget import FORECAST, Alert
from tools.model.metric import Metric
from tools.model.period import Period
from tools.store import budgets, outbox

ALERT = Alert(
    budget="checkout",
    revision=1,
    period=Period(date(2026, 11, 1), date(2026, 12, 1)),
    level="actual-80",
    amount=Decimal(50000),
    currency="USD",
    metric=Metric.BILLED,
    scope="team checkout",
    actual=Decimal("41200.5"),
    expected=Decimal(54000),
    chance=Decimal("0.87"),
    complete_to=date(2026, 11, 22),
    at=START,
)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "Budget checkout: 82 % is spent, $41,200.50 of $50,000.00 in 1-30 Nov 2026."),
        ({"level": FORECAST}, "Budget checkout will probably be passed: $54,000.00 expected of $50,000.00"),
        ({"level": FORECAST, "chance": Decimal(1)}, "(99 % chance)"),
        ({"level": "actual-100", "actual": Decimal(50100)}, "Budget checkout is passed by $100.00: $50,100.00 of"),
        ({"level": "actual-100", "actual": Decimal(50000)}, "100 % is spent"),
        ({"expected": None, "chance": None, "complete_to": None}, "82 % is spent"),
        ({"scope": "<!channel> & <https://evil.example|x>" * 40}, "82 % is spent"),
    ],
)
def test_the_card_says_what_was_reached(changed: dict[str, object], said: str) -> None:
    """One sentence, the figures, and what they rest on; Slack takes every one."""
    message = card.message(replace(ALERT, **changed))  # type: ignore[arg-type]
    assert said in message.text
    fitted, steps = fit(message)
    assert steps == ()
    assert problems(fitted.blocks) == ()
    assert strict.check_blocks(list(fitted.blocks), MESSAGE) == []


def test_an_alert_is_posted_once(workspace: SlackWorkspace, world: World) -> None:
    """Over the wire into the budget's own channel; putting it again writes nothing, and what is gone is not drawn."""
    box = world.outbox(workspace.api_url)
    with world.database.begin() as tx:
        assert budgets.note(tx, TENANT, ALERT)
        for subject in (ALERT.subject, replace(ALERT, budget="gone").subject):
            outbox.put(tx, TENANT, "budget", subject, now=START, channel="C0COSTS")
    assert box.deliver() == 1
    with world.database.begin() as tx:
        outbox.put(tx, TENANT, "budget", ALERT.subject, now=START + timedelta(hours=1), channel="C0COSTS")
    world.clock.now = START + timedelta(hours=2)
    assert box.deliver() == 0
    (posted,) = cards(workspace, "cloud-costs")
    assert posted["text"].startswith("Budget checkout: 82 % is spent")
    assert "team checkout" in posted["rendered"]
    assert budget_message(world.database, TENANT, replace(ALERT, budget="gone").subject) is None
