"""Decisions: people, workers and the world act in any order, and what must never be broken holds after each act."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.execution.routes import ROUTES
from tools.execution import requests
from tools.execution.engine import Engine
from tools.execution.gates import Gates
from tools.execution.proof.ground import RISKS, ROLES, Ground, memory
from tools.execution.proof.invariants import Watch
from tools.execution.proof.simulator import LIMITS, DiedError
from tools.execution.proof.world import KINDS, Clock, Cloud, Health
from tools.model.access import Principal, Role
from tools.model.errors import NotFoundError, RefusedError
from tools.model.rollout import TERMINAL, TOUCHED, Rollout, Seen, State
from tools.store import audit, rollout_approvals, rollout_intents, rollouts

_KEY = "Proof/1/here/fleet"
_REFUSALS = (RefusedError, NotFoundError)


@cache
def _ground() -> tuple[Ground, Any]:
    """One database for all machines; each begins by emptying it."""
    opened = memory()
    return opened.__enter__(), opened  # lives as long as this process


class Machine(RuleBasedStateMachine):
    """People click anything at any time, the cloud and the metrics misbehave, and workers die and come back."""

    @initialize(
        kind=st.sampled_from(KINDS),
        units=st.sampled_from([1, 2, 3, 9, 20]),
        risk=st.sampled_from(RISKS),
        trouble=st.sampled_from([0.0, 0.1, 0.3]),
        seed=st.integers(0, 2**32),
    )
    def somebody_proposes(self, kind: str, units: int, risk: str, trouble: float, seed: int) -> None:
        (self.ground, _), self.clock, self.ids = _ground(), Clock(), itertools.count(1)
        self.ground.clear()
        self.database, self.tenant = self.ground.database, self.ground.tenant
        self.cloud = Cloud(kind, units, random.Random(seed), self.clock, trouble=trouble)
        self.health = Health(self.cloud)
        self.gates = Gates(self.database, self.tenant, now=self.clock, new_id=self._id, limits=LIMITS)
        self.freezes: list[str] = []
        first = requests.propose(
            self.database,
            self.tenant,
            f"rec-{risk}",
            self._person("priya"),
            change=lambda name: self.cloud,
            now=self.clock,
            new_id=self._id,
            expires_in=LIMITS.gate_ttl,
            panel=None,
        )
        self.id, self.cards = first.id, [first.seen]
        self.watch = Watch(self.database, self.tenant, self.cloud, self.health, LIMITS.approval_age, self.id)
        self.cloud.on_write = self.watch.wrote

    @rule(
        what=st.sampled_from(["approve", "reject", "abort", "rollback", "retry", "happened", "did not happen"]),
        who=st.sampled_from(["priya", "ben", "carla", "olaf", "dan", "mallory", "robot"]),
        old=st.booleans(),
    )
    def click(self, what: str, who: str, old: bool) -> None:
        before = self._get()
        card = self.cards[0] if old else before.seen
        self.cards.append(before.seen)
        try:
            self._decision(what)(card, self._person(who))
        except _REFUSALS:
            assert self._get() == before
            undo = what in {"abort", "rollback"} and before.state not in TERMINAL
            assert not (undo and who in {"priya", "ben", "carla", "olaf"}), f"{what} was refused in {before.state}"
        else:
            assert who not in {"dan", "mallory", "robot"}

    @precondition(lambda self: self._get().state in {State.PROPOSED, State.AWAITING_APPROVAL})
    @rule(who=st.sampled_from(["ben", "carla"]))
    def approve_what_waits(self, who: str) -> None:
        refused = ""
        try:
            self.gates.approve(self._get().seen, self._person(who))
        except RefusedError as refusal:
            refused = refusal.reason
        assert refused in {"", "health", "expired", "kill_switch", "freeze", "same_person"}

    @rule(seconds=st.sampled_from([0, 5, 20, 20, 60, 200, 3000]), looks=st.integers(1, 4), dies=st.integers(0, 60))
    def the_engine_looks(self, seconds: int, looks: int, dies: int) -> None:
        points = itertools.count()

        def crash(point: str) -> None:
            # Most lives are longer than this; those that end do so at any point.
            if next(points) == dies - 30:
                raise DiedError

        for _ in range(looks):
            self.clock.pass_(seconds)
            engine = Engine(
                self.database,
                self.tenant,
                owner=self._id("worker"),
                now=self.clock,
                change=lambda plan: self.cloud,
                health=self.health,
                limits=LIMITS,
                crash=crash,
            )
            try:
                engine.step_all()
            except DiedError:
                return

    @rule(mode=st.sampled_from(["good", "good", "bad", "silent", "down"]))
    def health_changes(self, mode: str) -> None:
        self.health.mode = mode

    @precondition(lambda self: self._get().state in {State.AWAITING_APPROVAL, State.PROPOSED, State.BAKING})
    @rule(share=st.integers(0, 20))
    def somebody_else_changes_the_fleet(self, share: int) -> None:
        self.cloud.share = min(share, self.cloud.units)

    @rule(on=st.booleans())
    def the_kill_switch(self, on: bool) -> None:
        if on:
            self.gates.stop(self._person("olaf"), "drill")
            self.watch.stopped_at = self.watch.stopped_at or self.clock()
        else:
            self.gates.resume(self._person("ben"), "over")
            self.watch.stopped_at = None

    @rule(minutes=st.sampled_from([5, 60]))
    def a_freeze(self, minutes: int) -> None:
        ends = self.clock() + timedelta(minutes=minutes)
        self.freezes.append(self.gates.freeze(self._person("olaf"), self.clock(), ends, "release").id)

    @precondition(lambda self: bool(self.freezes))
    @rule()
    def a_freeze_is_lifted(self) -> None:
        self.gates.thaw(self._person("carla"), self.freezes.pop())

    @invariant()
    def nothing_is_broken(self) -> None:
        if not hasattr(self, "watch"):
            return
        now = self._get()
        self.watch.after(now)
        with self.database.read() as tx:
            given = rollout_approvals.listing(tx, self.tenant, self.id)
            intents = rollout_intents.listing(tx, self.tenant, self.id)
            holder = rollouts.holder(tx, self.tenant, _KEY)
        assert (holder is None) == (now.state in TERMINAL)
        assert {a.actor for a in given} <= {"ben@proof.example", "carla@proof.example"}
        steps = {(a.stage, a.plan_hash) for a in given}
        for intent in intents:
            if intent.direction == "forward" and intent.attempts:
                assert (intent.stage, now.plan.hash) in steps
        if now.state in TOUCHED - {State.HELD, State.NEEDS_HUMAN}:
            assert now.touched

    def teardown(self) -> None:
        if not hasattr(self, "watch"):
            return
        with self.database.read() as tx:
            assert audit.verify(tx, self.tenant).problems == ()
            lines = audit.entries(tx, self.tenant, subject=self.id)
        for line in lines:
            start, end = line.detail.get("from"), line.detail.get("to")
            if line.outcome == "done" and start != end:
                assert State(str(end)) in ROUTES[State(str(start))], f"{start} -> {end}"

    def _decision(self, what: str) -> Callable[[Seen, Principal], object]:
        if what in {"happened", "did not happen"}:
            return lambda card, person: self.gates.resolve(card, person, what == "happened")
        decide: Callable[[Seen, Principal], object] = getattr(self.gates, what)
        return decide

    def _get(self) -> Rollout:
        with self.database.read() as tx:
            return rollouts.get(tx, self.tenant, self.id)

    def _person(self, handle: str) -> Principal:
        name = "ben" if handle == "robot" else handle
        return Principal(f"{name}@proof.example", self.tenant, name, ROLES.get(handle, Role.ADMIN), handle != "robot")

    def _id(self, prefix: str) -> str:
        return f"{prefix}-{next(self.ids)}"


def _machines(count: int) -> Any:
    case = type("Machines", (Machine.TestCase,), {})
    case.settings = settings(  # type: ignore[attr-defined]  # read by hypothesis
        max_examples=count, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return case


class TestMachine(_machines(200)):  # type: ignore[misc]  # made by hypothesis
    """Two hundred in every test run."""


@pytest.mark.prove
@pytest.mark.timeout(7200)
class TestManyMachines(_machines(20_000)):  # type: ignore[misc]  # made by hypothesis
    """Twenty thousand in the long proof."""
