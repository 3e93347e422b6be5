"""Realised: what finished rollouts really saved, as later bills tell it."""

from __future__ import annotations

from decimal import Decimal

from agent import words
from agent.toolset import desk as at
from agent.toolset.arguments import RealisedSavings
from agent.toolset.desk import Desk, Facts
from agent.toolset.drawing import total_of
from tools.model.fact import Table, ToolResult
from tools.model.outcome import VERDICTS, Outcome


def realised_savings(args: RealisedSavings, desk: Desk) -> ToolResult:
    """Savings measured on bills after rollouts, beside what was estimated; what is not measured is not counted."""
    from sqlalchemy import select

    from tools.store import outcomes
    from tools.store.saving_tables import outcomes as table

    with desk.database.read() as tx:
        found = outcomes.listing(tx, desk.tenant)
    facts = Facts(at.stored(desk, select(table).where(table.c.tenant == desk.tenant), len(found)))
    facts.add("finished rollouts", "everything", len(found), "count")
    said = []
    for currency in dict.fromkeys(o.currency for o in found):
        measured = [o for o in found if o.currency == currency and o.realised_monthly is not None]
        realised = total_of(o.realised_monthly or Decimal(0) for o in measured)
        estimated = total_of(o.estimated_monthly for o in measured)
        facts.add("realised saving per month", "everything", realised, currency=currency)
        facts.add("estimated saving per month of the same", "everything", estimated, currency=currency)
        said.append(f"{words.money(realised, currency)} per month (estimated: {words.money(estimated, currency)})")
    for outcome in found:
        facts.add("realised saving per month", outcome.rollout_id, outcome.realised_monthly, currency=outcome.currency)
        facts.add(
            "estimated saving per month", outcome.rollout_id, outcome.estimated_monthly, currency=outcome.currency
        )
    waiting = sum(1 for o in found if o.realised_monthly is None)
    notes = (f"{waiting} of {len(found)} cannot be measured yet.",) if waiting else ()
    headline = (
        f"{' and '.join(said)} is really saved by {len(found)} finished {'rollout' if len(found) == 1 else 'rollouts'}."
        if found
        else "0 rollouts have finished and been measured on bills so far."
    )
    echo = at.echo("realised_savings", {}, None, "", ())
    return ToolResult(echo, facts.all, headline, _tables(found), (), notes, desk.costs.coverage())


def _tables(found: tuple[Outcome, ...]) -> tuple[Table, ...]:
    made = []
    for currency in dict.fromkeys(o.currency for o in found):
        rows: list[tuple[str | Decimal | None, ...]] = [
            (
                o.rollout_id,
                o.realised_monthly,
                o.estimated_monthly,
                VERDICTS.get(o.verdict, o.verdict),
                words.name(o.why),
            )
            for o in found
            if o.currency == currency
        ]
        columns = ("rollout", "realised", "estimated", "verdict", "why")
        made.append(
            Table("Savings per month", columns, ("text", "money", "money", "text", "text"), tuple(rows), currency)
        )
    return tuple(made)
