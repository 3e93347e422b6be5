"""Decisions: the pure machine, walked at random, keeps what must never be broken."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.execution.conftest import BAD, GOOD, LIMITS, World, make_world
from tools.model.errors import RefusedError
from tools.model.rollout import TERMINAL, TOUCHED, State
from tools.store import audit, rollouts
from tools.store.database import open_database

_QUICK = replace(
    LIMITS, bake=timedelta(minutes=2), final_guard=timedelta(minutes=2), rollback_guard=timedelta(minutes=2)
)
_ROUTES = {
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


@cache
def _template() -> Path:
    file = Path(mkdtemp()) / "empty.db"
    open_database(f"sqlite:///{file}").dispose()
    return file


class Machine(RuleBasedStateMachine):
    """People click anything at any time, the cloud and the metrics misbehave, and workers come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        file = Path(self.folder.name) / "state.db"
        shutil.copy(_template(), file)
        self.database = open_database(f"sqlite:///{file}", migrate=False)

    @initialize(units=st.sampled_from([1, 2, 3, 9, 20]))
    def start(self, units: int) -> None:
        self.world: World = make_world(self.database, Path(self.folder.name), units)
        self.world.limits = _QUICK
        self.rollout = self.world.propose(units=units)
        self.cards = [self.rollout.seen]
        self.state = self.rollout.state
        self.seen_states: list[State] = []

    @rule(
        what=st.sampled_from(["approve", "approve", "reject", "abort", "rollback", "retry"]),
        who=st.sampled_from(["priya", "ben", "carla", "olaf", "rita", "dan", "nobody"]),
        old=st.booleans(),
    )
    def click(self, what: str, who: str, old: bool) -> None:
        card = self.cards[0] if old else self.world.get(self.rollout).seen
        self.cards.append(card)
        before = self.world.get(self.rollout)
        try:
            getattr(self.world.gates, what)(card, self.world.person(who))
        except RefusedError:
            assert self.world.get(self.rollout) == before

    @rule(who=st.sampled_from(["ben", "carla"]))
    def approve_what_waits(self, who: str) -> None:
        now = self.world.get(self.rollout)
        if now.state in {State.PROPOSED, State.AWAITING_APPROVAL}:
            reason = ""
            try:
                self.world.gates.approve(now.seen, self.world.person(who))
            except RefusedError as refusal:
                reason = refusal.reason
            assert reason in {"", "health", "expired", "kill_switch"}

    @rule(minutes=st.sampled_from([0, 1, 1, 1, 3, 40, 60 * 30]), looks=st.integers(1, 4))
    def time_passes(self, minutes: int, looks: int) -> None:
        for _ in range(looks):
            self.world.clock.pass_(minutes=minutes)
            self.world.engine().step_all()
            self._moved()

    @rule(kind=st.sampled_from(["observe", "apply", "after", "DeniedError", "ThrottledError"]))
    def the_cloud_fails(self, kind: str) -> None:
        self.world.fleet.fail(kind, 1)

    @rule(health=st.sampled_from([GOOD, GOOD, {}, {"down": (1, 0)}, {"spot": (1, 0)}, BAD]))
    def health_changes(self, health: dict[str, tuple[int, int]]) -> None:
        self.world.health.set(**health)

    @precondition(lambda self: self.state not in TERMINAL)
    @rule(share=st.integers(0, 20))
    def somebody_else_changes_the_fleet(self, share: int) -> None:
        self.world.fleet.change(share=share)

    @rule(on=st.booleans())
    def the_kill_switch(self, on: bool) -> None:
        who = self.world.person("ben")
        (self.world.gates.stop if on else self.world.gates.resume)(who, "drill")

    def _moved(self) -> None:
        with self.database.read() as tx:
            lines = audit.entries(tx, self.world.tenant, subject=self.rollout.id)
        for line in reversed(lines):
            if line.outcome == "done" and "to" in line.detail and line.detail["from"] != line.detail["to"]:
                start, end = State(str(line.detail["from"])), State(str(line.detail["to"]))
                assert end in _ROUTES[start], f"{start} -> {end}"

    @invariant()
    def every_effect_was_approved_for_exactly_its_step(self) -> None:
        if not hasattr(self, "world"):
            return
        with self.database.read() as tx:
            given = {(a.stage, a.plan_hash) for a in rollouts.approvals(tx, self.world.tenant, self.rollout.id)}
            people = {a.actor for a in rollouts.approvals(tx, self.world.tenant, self.rollout.id)}
            intents = rollouts.intents(tx, self.world.tenant, self.rollout.id)
        assert people <= {"ben@lumen.example", "carla@lumen.example"}
        for intent in intents:
            if intent.direction == "forward" and intent.attempts:
                assert (intent.stage, self.rollout.plan.hash) in given

    @invariant()
    def what_ended_stays_ended_and_frees_the_resource(self) -> None:
        if not hasattr(self, "world"):
            return
        now = self.world.get(self.rollout)
        if self.state in TERMINAL:
            assert now.state is self.state
        self.state = now.state
        with self.database.read() as tx:
            held = rollouts.holder(tx, self.world.tenant, "AWS/1/eu-west-1/checkout-workers")
        assert (held is None) == (now.state in TERMINAL)
        if now.state in TOUCHED - {State.HELD, State.NEEDS_HUMAN}:
            assert now.touched

    def teardown(self) -> None:
        if hasattr(self, "world"):
            with self.database.read() as tx:
                assert audit.verify(tx, self.world.tenant).problems == ()
        self.database.dispose()
        self.folder.cleanup()


Machine.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMachine = Machine.TestCase
