"""Planning: a recommendation and what inventory saw become a plan that can be approved, or a refusal with its reason."""

from __future__ import annotations

import json

from tools.model.errors import InputError, RefusedError
from tools.model.money import plain
from tools.model.recommendation import Recommendation
from tools.model.resource import Resource
from tools.model.rollout import Plan, Stage, whole_units
from tools.providers import catalog
from tools.providers.base import ChangePlan

STAGES = (10, 50, 100)


def build(
    recommendation: Recommendation, resource: Resource, change: str, planned: ChangePlan, percents: tuple[int, ...]
) -> Plan:
    """The plan; raises InputError when its stages are not whole, rising units, RefusedError without a proven undo."""
    stages = checked_stages(planned, percents)
    if recommendation.risk != "R3":
        _prove_undo(planned)
    known = catalog.about(change)
    return Plan(
        change=change,
        provider=resource.provider,
        account_id=resource.account_id,
        region=resource.region,
        resource_id=resource.id,
        service=recommendation.service,
        title=recommendation.title,
        unit_name=planned.unit_name,
        units=planned.units,
        stages=stages,
        before=plain_json(planned.before),
        fingerprint=planned.fingerprint,
        risk=recommendation.risk,
        saving_monthly=plain(recommendation.saving_expected),
        currency=recommendation.currency,
        undo=planned.undo,
        recommendation_id=recommendation.id,
        repeatable=planned.repeatable,
        unwatched=known.unwatched(recommendation.service) if known else "",
    )


def checked_stages(planned: ChangePlan, percents: tuple[int, ...]) -> tuple[Stage, ...]:
    """The stages of a change, proven to be rising whole units that never go beyond what the percentages ask for.

    A cloud that knows whole percents only may stay a little below; the last stage is always everything.
    """
    wanted = dict(whole_units(planned.units, percents))
    units = [stage.units for stage in planned.stages]
    if not units or units != sorted(set(units)) or units[0] < 1 or units[-1] != planned.units:
        raise InputError(f"The stages {units} do not rise in whole units to all {planned.units}.")
    if any(stage.units > wanted.get(stage.percent, 0) for stage in planned.stages):
        raise InputError(f"The stages {units} change more units than {wanted} allow.")
    settings = [json.dumps(plain_json(stage.desired), sort_keys=True) for stage in planned.stages]
    if len(set(settings)) != len(settings) or not all(stage.desired for stage in planned.stages):
        raise InputError("Two stages would set the same state, so the second would change nothing.")
    return tuple(
        Stage(index, stage.percent, stage.units, plain_json(stage.desired))
        for index, stage in enumerate(planned.stages)
    )


def steps_in_words(plan: Plan) -> tuple[str, ...]:
    """One line per stage for a person: '2 of 20 instances (10 %)'; one unit says that there are no stages."""
    if plan.units == 1:
        return (f"1 {plan.unit_name or 'unit'}: no gradual stage is possible, it changes in one step",)
    return tuple(f"{stage.units} of {plan.count(plan.units)} ({stage.percent} %)" for stage in plan.stages)


def resource_key(plan: Plan) -> str:
    """What two rollouts must not work on at the same time."""
    return "/".join((plan.provider, plan.account_id, plan.region, plan.resource_id))


def plain_json(value: dict[str, object]) -> dict[str, object]:
    """The value as a database gives it back, so that comparing and hashing see the same thing."""
    back: dict[str, object] = json.loads(json.dumps(value))
    return back


def _prove_undo(planned: ChangePlan) -> None:
    if not planned.before or not planned.undo.strip() or not planned.fingerprint:
        raise RefusedError(
            "no_undo",
            "This change cannot be proposed: the state before it is not known well enough to return to it.",
            fix="Run `optiinfra collect` and try again.",
        )
