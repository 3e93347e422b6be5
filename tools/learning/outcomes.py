"""Outcomes: what finished rollouts really saved, told by later bills only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from tools.learning import single
from tools.learning.calibration import calibrate
from tools.learning.counterfactual import UnitCost, compare
from tools.learning.single import unit_cost
from tools.model.errors import NotFoundError
from tools.model.outcome import Outcome
from tools.model.period import Period
from tools.model.rollout import Rollout, State
from tools.providers import catalog
from tools.recommendation.evidence import amount, price, words
from tools.store import outcomes, recommendations, resources, rollout_intents, rollouts, usage
from tools.store.database import Database
from tools.store.usage import Usage

if TYPE_CHECKING:
    from tools.analysis.costs import Costs

WINDOW = timedelta(days=28)
LEAST_DAYS = 7
# A saving is verified when at least this share of what was expected came true.
VERIFIED = Decimal("0.5")
SERVICE_TAG = "service"


@dataclass(frozen=True, slots=True)
class Timeline:
    """When a rollout first changed something, when it was done, and to which day bills are complete (excluded)."""

    started: date
    finished: date
    complete_to: date

    @property
    def before(self) -> Period:
        """Whole days before anything was changed."""
        return Period(self.started - WINDOW, self.started)

    @property
    def after(self) -> Period | None:
        """Whole days after everything was changed, as far as bills are complete; None when they are too few."""
        start = self.finished + timedelta(days=1)
        end = min(self.complete_to, start + WINDOW)
        return Period(start, end) if (end - start).days >= LEAST_DAYS else None


def measure(database: Database, tenant: str, costs: Costs, *, now: Callable[[], datetime]) -> tuple[Outcome, ...]:
    """Measure every rollout that succeeded, keep the outcomes, and recalibrate what comes next."""
    covered = costs.coverage().complete_to
    if covered is None:
        return ()
    complete_to = covered - timedelta(days=costs.provisional_days)
    moment = now()
    with database.read() as tx:
        measured = tuple(
            _measure(tx, tenant, rollout, complete_to)
            for rollout in rollouts.listing(tx, tenant, states={State.SUCCEEDED})
        )
    with database.begin() as tx:
        for outcome in measured:
            outcomes.save(tx, tenant, outcome, now=moment)
        for calibration in calibrate(outcomes.listing(tx, tenant)):
            outcomes.save_calibration(tx, tenant, calibration, now=moment)
    return measured


def _measure(tx: Connection, tenant: str, rollout: Rollout, complete_to: date) -> Outcome:
    intents = rollout_intents.listing(tx, tenant, rollout.id)
    started = min((intent.created_at for intent in intents), default=rollout.created_at).date()
    time = Timeline(started, rollout.state_since.date(), complete_to)
    kind = _kind(tx, tenant, rollout)
    if time.after is None:
        ready = time.finished + timedelta(days=1 + LEAST_DAYS)
        return _outcome(
            rollout, kind, None, None, "too_early", f"Bills tell from {ready} on, once they are complete to that day."
        )
    if (about := catalog.about(rollout.plan.change)) is not None and about.kind in single.KINDS:
        told = single.compare(tx, tenant, rollout, about.name, time.before, time.after)
        realised = told.monthly
        if realised is None:
            return _outcome(rollout, kind, time.after, None, "not_verified", told.why)
        return _outcome(rollout, kind, time.after, realised, *_judged(rollout, realised, told.why))
    types = _types(tx, tenant, rollout)
    sides = [_side(tx, tenant, rollout, period, types) for period in (time.before, time.after)]
    (before, control_before), (after, control_after) = sides
    found = compare(before, after, control_before, control_after)
    if found is None:
        return _outcome(
            rollout, kind, time.after, None, "not_verified", "The bill does not name the instances that were changed."
        )
    realised = found.monthly_saving(rollout.plan.units)
    return _outcome(rollout, kind, time.after, realised, *_verdict(rollout, found.before, found.after, realised))


def _side(
    tx: Connection, tenant: str, rollout: Rollout, period: Period, types: tuple[str, ...]
) -> tuple[UnitCost, UnitCost]:
    """The unit cost of the rollout's service, and of the same on-demand types everywhere else (the control)."""
    plan = rollout.plan
    service = usage.of_types(tx, tenant, period, types, tag=(SERVICE_TAG, plan.service)).lines
    mine = unit_cost(line for line in service if _here(line, rollout))
    everything = usage.of_types(tx, tenant, period, types).lines
    control = unit_cost(line for line in everything if line.pricing == "Standard")
    own_standard = unit_cost(line for line in service if line.pricing == "Standard")
    return mine, UnitCost(control.cost - own_standard.cost, control.hours - own_standard.hours)


def _here(line: Usage, rollout: Rollout) -> bool:
    plan = rollout.plan
    return line.region_id == plan.region and line.sub_account_id == plan.account_id and line.currency == plan.currency


def _types(tx: Connection, tenant: str, rollout: Rollout) -> tuple[str, ...]:
    plan = rollout.plan
    group = resources.one(tx, tenant, plan.provider, plan.account_id, plan.region, "instance_group", plan.resource_id)
    return words(group, "instance_types") if group else ()


def _kind(tx: Connection, tenant: str, rollout: Rollout) -> str:
    try:
        return recommendations.one(tx, tenant, rollout.plan.recommendation_id).kind
    except NotFoundError:
        return rollout.plan.change


def _verdict(rollout: Rollout, before: Decimal, after: Decimal, realised: Decimal) -> tuple[str, str]:
    currency = rollout.plan.currency
    why = f"An instance hour cost {price(before, currency)} before and {price(after, currency)} after"
    return _judged(rollout, realised, why)


def _judged(rollout: Rollout, realised: Decimal, why: str) -> tuple[str, str]:
    currency, estimated = rollout.plan.currency, Decimal(rollout.plan.saving_monthly)
    told = f"{why}: {amount(realised, currency)} a month of {amount(estimated, currency)} expected."
    if realised < 0:
        return "negative", told
    return ("verified" if realised >= VERIFIED * estimated else "not_verified"), told


def _outcome(
    rollout: Rollout, kind: str, period: Period | None, realised: Decimal | None, verdict: str, why: str
) -> Outcome:
    return Outcome(
        rollout.id,
        kind,
        Decimal(rollout.plan.saving_monthly),
        None if realised is None else realised.quantize(Decimal("0.01")),
        rollout.plan.currency,
        period.start if period else None,
        period.end if period else None,
        verdict,
        why,
    )
