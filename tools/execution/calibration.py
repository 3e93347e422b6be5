"""Calibration: whether a service's own past lets the judge roll back by itself, and how far its evidence is tempered; pure.

The past is replayed as if each of its windows had been a step of a rollout that changed nothing: a service that would
have been rolled back for nothing is watched only - what the judge sees then stops the rollout, and people decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

from tools.execution.judge import Count, against_past
from tools.execution.limits import JudgePolicy, Limits
from tools.model.rollout import Rollout, Verdict

# More of the windows than this would have been a false alarm: the service is too restless to be rolled back on sight.
_MOST_ALARMS = 0.02
# Beyond this much noise evidence is not tempered further: such a service shows in the replay.
_MOST_DISPERSION = 10.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """`armed`: REGRESSED may roll back by itself. `dispersion` tempers evidence (1: requests fail independently).

    `windows` were replayed and `alarms` of them would have been false. `why` is for people when it is not armed.
    """

    armed: bool
    dispersion: float
    windows: int = 0
    alarms: int = 0
    why: str = ""


def calibrate(history: Sequence[Count], limits: Limits) -> Calibration:
    """What equal windows of the service's past, oldest first, allow; windows without requests say nothing."""
    told = [count for count in history if count.requests > 0]
    policy = replace(limits.judge, dispersion=_dispersion(told, limits.judge))
    pairs = list(pairwise(told))
    alarms = sum(against_past(now, before, {}, policy).verdict is Verdict.REGRESSED for before, now in pairs)
    found = Calibration(True, policy.dispersion, len(pairs), alarms)
    if len(told) < limits.least_windows:
        words = f"its past is too short to know its noise ({len(told)} of at least {limits.least_windows} windows)"
        return replace(found, armed=False, why=words)
    if alarms > _MOST_ALARMS * len(pairs):
        words = f"its own past would have raised {alarms} false alarms in {len(pairs)} windows"
        return replace(found, armed=False, why=words)
    return found


def kept(calibration: Calibration) -> dict[str, object]:
    """As it is stored with the rollout."""
    return asdict(calibration)


def of(rollout: Rollout, policy: JudgePolicy) -> Calibration:
    """The calibration that was stored before the first effect."""
    stored = rollout.baseline.get("calibration")
    if not isinstance(stored, dict):
        return Calibration(False, policy.dispersion, why="its noise was not measured before the first step")
    return Calibration(**stored)


def _dispersion(told: Sequence[Count], policy: JudgePolicy) -> float:
    """How many times as much the number of failures varies from one window to the next as chance alone would make it."""
    total = sum(told, Count())
    rate = total.rate
    if len(told) < 2 or not 0 < rate < 1:
        return policy.dispersion
    ratios = []
    for one, two in pairwise(told):
        expected = (one.rate - two.rate) ** 2
        chance = rate * (1 - rate) * (1 / one.requests + 1 / two.requests)
        ratios.append(expected / chance)
    return min(max(policy.dispersion, sum(ratios) / len(ratios)), _MOST_DISPERSION)
