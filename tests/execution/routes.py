"""Routes: every way from one state of a rollout to another; the machine may take no other, and the docs draw these."""

from __future__ import annotations

from tools.model.rollout import State

ROUTES = {
    State.PROPOSED: {State.APPROVED, State.REJECTED, State.EXPIRED, State.CANCELLED},
    State.APPROVED: {State.PREFLIGHT, State.ROLLING_BACK, State.CANCELLED},
    State.PREFLIGHT: {
        State.EXECUTING,
        State.HELD,
        State.PROPOSED,
        State.AWAITING_APPROVAL,
        State.ROLLING_BACK,
        State.CANCELLED,
    },
    State.EXECUTING: {
        State.BAKING,
        State.HELD,
        State.ROLLING_BACK,
        State.CANCELLED,
        State.NEEDS_HUMAN,
        State.AWAITING_APPROVAL,
    },
    State.BAKING: {State.AWAITING_APPROVAL, State.FINALISING, State.HELD, State.ROLLING_BACK},
    State.AWAITING_APPROVAL: {State.APPROVED, State.HELD, State.ROLLING_BACK},
    State.FINALISING: {State.SUCCEEDED, State.HELD, State.ROLLING_BACK},
    State.HELD: {
        State.PROPOSED,
        State.AWAITING_APPROVAL,
        State.EXECUTING,
        State.BAKING,
        State.FINALISING,
        State.ROLLING_BACK,
        State.CANCELLED,
    },
    State.ROLLING_BACK: {State.GUARDING, State.NEEDS_HUMAN},
    State.GUARDING: {State.ROLLED_BACK, State.ROLLING_BACK, State.NEEDS_HUMAN},
    State.NEEDS_HUMAN: {State.ROLLING_BACK, State.GUARDING, State.EXECUTING},
}
