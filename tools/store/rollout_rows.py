"""Rollout rows: how a rollout and its plan are laid into columns and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import Row

from tools.model.rollout import TERMINAL, Plan, Rollout, Stage, State

# Columns that move with the state and hold the rollout's own value.
_SAME = (
    "version",
    "stage",
    "gate",
    "updated_at",
    "state_since",
    "expires_at",
    "approved_at",
    "stage_since",
    "bake_since",
    "blind_since",
    "unseen_since",
    "touched",
    "reason",
    "observed",
    "baseline",
    "failures",
    "rewrites",
)
MOVING = (*_SAME, "state", "held_from", "progress", "live")


def moving(rollout: Rollout, prefix: str = "") -> dict[str, object]:
    """The columns that change while a rollout lives, under their names after `prefix`."""
    values: dict[str, object] = {prefix + name: getattr(rollout, name) for name in _SAME}
    values[prefix + "state"] = rollout.state.value
    values[prefix + "held_from"] = rollout.held_from.value if rollout.held_from else None
    values[prefix + "progress"] = str(rollout.progress)
    values[prefix + "live"] = rollout.state not in TERMINAL
    return values


def fixed(rollout: Rollout) -> dict[str, object]:
    """The columns that are written once."""
    return {
        "tenant": rollout.tenant,
        "id": rollout.id,
        "plan": rollout.plan.canonical(),
        "plan_hash": rollout.plan.hash,
        "provider": rollout.plan.provider,
        "account_id": rollout.plan.account_id,
        "recommendation_id": rollout.plan.recommendation_id,
        "proposed_by": rollout.proposed_by,
        "proposed_by_name": rollout.proposed_by_name,
        "channel": rollout.channel,
        "created_at": rollout.created_at,
    }


def rollout_of(row: Row[Any]) -> Rollout:
    """A row of `rollouts` as the noun."""
    return Rollout(
        id=row.id,
        tenant=row.tenant,
        version=row.version,
        state=State(row.state),
        stage=row.stage,
        plan=plan_of(row.plan),
        proposed_by=row.proposed_by,
        proposed_by_name=row.proposed_by_name,
        created_at=row.created_at,
        updated_at=row.updated_at,
        state_since=row.state_since,
        expires_at=row.expires_at,
        reason=row.reason,
        held_from=State(row.held_from) if row.held_from else None,
        observed=row.observed,
        progress=Decimal(row.progress),
        touched=bool(row.touched),
        gate=row.gate,
        channel=row.channel,
        baseline=row.baseline,
        approved_at=row.approved_at,
        stage_since=row.stage_since,
        bake_since=row.bake_since,
        blind_since=row.blind_since,
        unseen_since=row.unseen_since,
        failures=row.failures,
        rewrites=row.rewrites,
    )


# A plan never changes and is read at every look.
@lru_cache(maxsize=2048)
def plan_of(text: str) -> Plan:
    """The plan of its canonical JSON."""
    document: Mapping[str, Any] = json.loads(text)
    stages = tuple(Stage(**stage) for stage in document["stages"])
    return Plan(**{**document, "stages": stages})
