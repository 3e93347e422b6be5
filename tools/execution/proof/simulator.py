"""Simulator: one seed is one run - workers, people and a hostile world act on one rollout until it ends."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select

from tools.execution import requests
from tools.execution.limits import Limits
from tools.execution.proof.ground import RISKS, ROLES, Ground, memory
from tools.execution.proof.invariants import ViolationError, Watch
from tools.execution.proof.world import KINDS, PRINT, Clock, Cloud, Health
from tools.model.access import Principal, Role
from tools.model.errors import NotFoundError, RefusedError
from tools.model.rollout import TERMINAL, Rollout, Seen, State
from tools.store import audit, rollouts
from tools.store.rollout_tables import rollouts as table

# Where the cloud cannot fence a late write, a pause is shorter than the guard after a rollback.
LIMITS = Limits(
    bake=timedelta(seconds=30),
    poll=timedelta(seconds=5),
    stage_timeout=timedelta(minutes=20),
    blind_limit=timedelta(minutes=4),
    gate_ttl=timedelta(minutes=40),
    held_limit=timedelta(hours=3),
    approval_age=timedelta(minutes=15),
    final_guard=timedelta(seconds=30),
    rollback_guard=timedelta(seconds=150),
    lease=timedelta(seconds=15),
    resend_after=timedelta(seconds=20),
    recent=timedelta(seconds=60),
    history_windows=3,
    least_windows=2,
)
_LONGEST_PAUSE, _LONGEST_FENCED = 100.0, 400.0
_CALM_LOOKS = 400


class DiedError(BaseException):
    """A simulated kill -9: nothing between it and the restart may run."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The production parts under proof, given by whoever may import them."""

    gates: Callable[..., Any]
    engine: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its state, and what was violated (empty: nothing).

    `record` is the hash at the end of the audit chain: two runs with the same one did the same at the same moments.
    """

    seed: int
    kind: str
    state: str
    violation: str = ""
    record: str = ""


@dataclass
class Run:
    """One rollout in one hostile world."""

    parts: Parts
    ground: Ground
    seed: int
    actions: int = 45
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    depth: int = 0
    trouble: float = 0.0
    looked: bool = False
    slept: bool = False

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - a seeded run, not a secret
        self.database, self.tenant = self.ground.database, self.ground.tenant
        self.known_at = -1
        self.known: Rollout | None = None
        self.clock = Clock()
        kind = self.chance.choice(KINDS)
        self.cloud = Cloud(kind, self.chance.choice((1, 3, 9, 10, 20)), self.chance, self.clock)
        self.cloud.doubts.seed(self.seed)
        self.health = Health(self.cloud)
        self.watch = Watch(self.database, self.tenant, self.cloud, self.health, LIMITS.approval_age)
        self.cloud.in_flight, self.cloud.on_write = self._disturb, self.watch.wrote
        self.gates = self.parts.gates(self.database, self.tenant, now=self.clock, new_id=self._new_id, limits=LIMITS)

    def play(self) -> Ended:
        """Play the run to its end; never raises for what it finds."""
        self.ground.clear()
        self.id = self.watch.id = self._propose().id
        self.cards: list[Seen] = [self._get().seen]
        try:
            self.trouble = self.cloud.trouble = self.chance.choice((0.0, 0.03, 0.1, 0.25))
            for _ in range(self.actions):
                self._act()
                if self.watch.last is not None and self.watch.last.state in TERMINAL:
                    break
            end = self._calm()
            self.watch.at_the_end(end)
        except ViolationError as violation:
            return self._ended(str(violation))
        return self._ended()

    def _ended(self, violation: str = "") -> Ended:
        with self.database.read() as tx:
            record = audit.head(tx, self.tenant)
        return Ended(self.seed, self.cloud.kind, str(self._get().state), violation, record)

    def _act(self) -> None:
        self.clock.pass_(self.chance.uniform(0.5, 12))
        dice = self.chance.random()
        if dice < 0.62:
            self._work("a" if self.chance.random() < 0.8 else "b")
        elif dice < 0.86:
            self._click()
        else:
            self._world_turns()
        self.watch.after(self._get())

    def _work(self, worker: str) -> None:
        before, harm = self._get(), self.health.shows_harm
        self.looked = self.slept = False
        try:
            self._engine(worker).step_all()
        except DiedError:
            return
        # A worker that slept may have lost its lease to another one; that one's look counts.
        if harm and self.looked and not self.slept and self.depth == 0 and self.health.shows_harm:
            self.watch.harm_was_seen(before, self._get())

    def _engine(self, worker: str) -> Any:
        return self.parts.engine(
            self.database,
            self.tenant,
            owner=f"{worker}-{next(self.ids)}",
            now=self.clock,
            change=lambda plan: self.cloud,
            health=self.health,
            limits=LIMITS,
            crash=self._disturb,
        )

    def _disturb(self, point: str) -> None:
        """At a crash point: nothing, death, or a sleep in which the others go on."""
        if self.depth == 0 and point.endswith("/looked"):
            self.looked = True
        dice = self.chance.random()
        if dice < self.trouble / 4:
            raise DiedError
        if dice > self.trouble or self.depth:
            return
        self.depth = 1
        self._sleep(in_flight=point == "cloud/in flight")
        self.depth, self.slept = 0, True

    def _sleep(self, *, in_flight: bool) -> None:
        """The worker sleeps; meanwhile others work and click, and take back what it is about to do."""
        fenced = in_flight and self.cloud.kind == "etag"
        left = _LONGEST_FENCED if fenced else _LONGEST_PAUSE
        if in_flight and self.chance.random() < 0.5:
            self._undo()
        for _ in range(self.chance.randint(1, 12 if fenced else 6)):
            nap = self.chance.uniform(20, 60) if fenced else self.chance.uniform(1, 25)
            left -= nap
            if left < 0:
                return
            self.clock.pass_(nap)
            if self.chance.random() < 0.8:
                self._work("c")
            else:
                self._click()
            self.watch.after(self._get())

    def _undo(self) -> None:
        rollout = self._get()
        if rollout.state not in TERMINAL:
            self.gates.rollback(rollout.seen, self._person("olaf"))

    def _click(self) -> None:
        rollout = self._get()
        fresh = self.chance.random() < 0.75
        card = rollout.seen if fresh else self.chance.choice(self.cards)
        self.cards.append(rollout.seen)
        who = self.chance.choice(("ben", "ben", "carla", "carla", "priya", "olaf", "dan", "mallory", "robot"))
        what = self.chance.choice(("approve",) * 40 + ("rollback", "abort", "reject", "retry", "retry", "resolve"))
        rights = self._rights(what, who, rollout)
        arguments = [self._happened(rollout)] if what == "resolve" else []
        try:
            getattr(self.gates, what)(card, self._person(who), *arguments)
        except (RefusedError, NotFoundError):
            refused_undo = what in {"rollback", "abort"} and rollout.state not in TERMINAL and rights
            if refused_undo:
                raise ViolationError(f"a {what} was refused in {rollout.state}") from None
            if self._get().version != rollout.version:
                raise ViolationError("a refused click moved the rollout") from None
            return
        if not rights:
            raise ViolationError(f"{who} could {what}")
        if what == "approve" and (card != rollout.seen or rollout.expires_at <= self.clock()):
            raise ViolationError("an approval of an old card, another step, or after its time")
        if what == "approve" and not self.depth and self.chance.random() < 0.1:
            self.clock.pass_(self.chance.choice((300, 1200)))

    def _happened(self, rollout: Rollout) -> bool:
        # The person looks at the cloud before saying so.
        return bool(self.cloud.share == rollout.current.units)

    def _rights(self, what: str, who: str, rollout: Rollout) -> bool:
        if who in {"mallory", "robot", "dan"}:
            return False
        if who == "olaf":
            return what in {"rollback", "abort"} or (what == "retry" and rollout.state is State.NEEDS_HUMAN)
        own = who == "priya"
        if what == "retry":
            return not own or rollout.state is State.NEEDS_HUMAN
        return not (own and what == "approve")

    def _world_turns(self) -> None:
        what = self.chance.choice(("health", "health", "health", "stop", "go", "go", "drift", "jump"))
        if what == "health":
            self.health.mode = self.chance.choice(("good", "good", "good", "bad", "silent", "down"))
        elif what == "stop":
            self.gates.stop(self._person("olaf"), "drill")
            self.watch.stopped_at = self.watch.stopped_at or self.clock()
        elif what == "go":
            self._go_on()
        elif what == "drift" and self.chance.random() < 0.3:
            self._drift(self.chance.choice((PRINT, PRINT, "something else")))
        elif what == "jump":
            self.clock.pass_(self.chance.choice((60, 300, 1000, 3000)))

    def _drift(self, seen: str) -> None:
        if seen != self.cloud.print:
            self.watch.drifted_at = self.clock() if seen != PRINT else None
            self.cloud.drift_shown_at = None
        self.cloud.print = seen

    def _go_on(self) -> None:
        self.gates.resume(self._person("ben"), "over")
        self.watch.stopped_at = None

    def _calm(self) -> Rollout:
        """Nothing goes wrong any more and people help: every run must come to an end."""
        self.trouble = self.cloud.trouble = 0.0
        self.health.mode = "good" if self.health.mode != "bad" else "bad"
        attended = self.chance.random() < 0.7
        self._drift(PRINT)
        self._go_on()
        for look in range(_CALM_LOOKS):
            rollout = self._get()
            self.watch.after(rollout)
            if rollout.state in TERMINAL:
                return rollout
            if attended:
                self._help(rollout, give_up=look > _CALM_LOOKS // 2)
            elif rollout.state is State.NEEDS_HUMAN:
                return rollout
            self.clock.pass_(20 if attended else 45)
            self._work("z")
        raise ViolationError(f"stuck in {rollout.state} ({rollout.reason})")

    def _help(self, rollout: Rollout, *, give_up: bool) -> None:
        card = rollout.seen
        try:
            if give_up:
                self.gates.rollback(card, self._person("olaf"))
            elif rollout.state in {State.PROPOSED, State.AWAITING_APPROVAL}:
                self.gates.approve(card, self._person(self.chance.choice(("ben", "carla"))))
            elif rollout.state is State.NEEDS_HUMAN and rollout.held_from is State.EXECUTING:
                self.gates.resolve(card, self._person("ben"), self._happened(rollout))
            elif rollout.state in {State.HELD, State.NEEDS_HUMAN}:
                self.gates.retry(card, self._person("ben"))
        except RefusedError as refusal:
            if give_up:
                raise ViolationError(f"a rollback was refused: {refusal.reason}") from None

    def _get(self) -> Rollout:
        changes = self.ground.changes() if self.ground.changes else -1
        known = self.known
        if known is not None and changes == self.known_at >= 0:
            return known
        with self.database.read() as tx:
            if known is None or _moved(tx, known):
                known = self.known = rollouts.get(tx, self.tenant, self.id)
        self.known_at = changes
        return known

    def _person(self, handle: str) -> Principal:
        human = handle != "robot"
        name = handle if human else "ben"
        return Principal(f"{name}@proof.example", self.tenant, name, ROLES.get(handle, Role.ADMIN), human)

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}-{self.seed}-{next(self.ids)}"

    def _propose(self) -> Rollout:
        risk = RISKS[1] if self.chance.random() < 0.25 else RISKS[0]
        return requests.propose(
            self.database,
            self.tenant,
            f"rec-{risk}",
            self._person("priya"),
            change=lambda name: self.cloud,
            now=self.clock,
            new_id=self._new_id,
            expires_in=LIMITS.gate_ttl,
            panel=None,
        )


_WHERE = select(table.c.version, table.c.state, table.c.plan_hash).where(
    table.c.tenant == bindparam("t"), table.c.id == bindparam("i")
)


def _moved(tx: Connection, known: Rollout) -> bool:
    row = tx.execute(_WHERE, {"t": known.tenant, "i": known.id}).one()
    return (row.version, row.state, row.plan_hash) != (known.version, known.state, known.plan.hash)


def play(parts: Parts, first_seed: int, runs: int, *, stop_at_violation: bool = False) -> Iterator[Ended]:
    """Play runs of consecutive seeds."""
    with memory() as ground:
        for seed in range(first_seed, first_seed + runs):
            ended = Run(parts, ground, seed).play()
            yield ended
            if ended.violation and stop_at_violation:
                return
