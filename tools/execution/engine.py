"""Engine: one idempotent step per live rollout - look, send what is due, decide, write - and the same after a crash."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from tools.execution import claims, preflight, record
from tools.execution.decisions import WITH_EFFECTS, Move, Sight, moved, next_move
from tools.execution.limits import Limits as Limits
from tools.execution.looking import Eyes, kept
from tools.execution.sending import Sender
from tools.model.rollout import TERMINAL, HealthVerdict, Intent, Plan, Rollout, State
from tools.providers.base import Change, HealthSource
from tools.store import leases, rollout_history, rollout_intents, rollouts, stops
from tools.store.database import Database
from tools.telemetry.logs import get_logger

# One rollout whose stored plan or cloud answer cannot be worked with must not stop the others.
_UNWORKABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_MOST_MOVES = 6
_log = get_logger(__name__)


def _no_crash(point: str) -> None:
    """In production nothing happens at a crash point."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Drives the rollouts of one tenant. Everything it knows is in the database; a restart is the same loop.

    `change` gives the executable change of a plan, `health` the metrics source (None: no rollout may start).
    `crash` is called with the name of every point at which a process may die, "EXECUTING/applied".
    """

    database: Database
    tenant: str
    owner: str
    now: Callable[[], datetime]
    change: Callable[[Plan], Change]
    health: HealthSource | None
    limits: Limits = field(default_factory=Limits)
    crash: Callable[[str], None] = _no_crash

    def step_all(self) -> tuple[Rollout, ...]:
        """Look at every rollout that is due; returns those of which something changed."""
        with self.database.read() as tx:
            ids = rollouts.due(tx, self.tenant, now=self.now())
        stepped = [self.step(rollout_id) for rollout_id in ids]
        return tuple(rollout for rollout in stepped if rollout is not None)

    def step(self, rollout_id: str) -> Rollout | None:
        """Look at one rollout and do what is due; None when nothing changed or another worker has it."""
        now = self.now()
        with self.database.begin() as tx:
            taken = leases.take(tx, self.tenant, rollout_id, owner=self.owner, now=now, until=now + self.limits.lease)
        if taken is None:
            return None
        rollout, epoch = taken
        self._point(rollout, "taken")
        try:
            return self._moves(rollout, epoch)
        except claims.LostError:
            pass  # whoever has it now goes on
        except _UNWORKABLE as error:
            self._unworkable(rollout, epoch, error)
        self._release(rollout_id, epoch)
        return None

    def _moves(self, rollout: Rollout, epoch: int) -> Rollout | None:
        changed: Rollout | None = None
        for _ in range(_MOST_MOVES):
            after, news = self._once(rollout, epoch)
            changed = after if news else changed
            if after.version == rollout.version or after.state in TERMINAL:
                return changed  # the lease was given back with what was seen
            rollout = after
        self._release(rollout.id, epoch)
        return changed

    def _release(self, rollout_id: str, epoch: int) -> None:
        # Never in a finally: when the database went away, or this process is ending, the lease runs out by itself.
        with self.database.begin() as tx:
            leases.release(tx, self.tenant, rollout_id, epoch, now=self.now())

    def _once(self, rollout: Rollout, epoch: int) -> tuple[Rollout, bool]:
        """One look and what follows from it: (the rollout then, whether there is something to tell)."""
        eyes = Eyes(self.now, self.change, self.health, self.limits)
        read = rollout
        rollout, sight = eyes.with_baseline(rollout, eyes.look(rollout, self._intents(rollout)))
        self._point(rollout, "looked")
        sender = Sender(self.database, self.now, eyes, self.limits, self._point)
        outcome = sender.work(rollout, epoch, sight)
        seen = kept(rollout, outcome.sight, outcome.failed, self.limits)
        move = outcome.move or self._decide(seen, outcome.sight)
        return self._write(read, seen, move, outcome.sight, epoch)

    def _intents(self, rollout: Rollout) -> tuple[Intent, ...]:
        if rollout.state not in WITH_EFFECTS:
            return ()
        with self.database.read() as tx:
            return rollout_intents.listing(tx, self.tenant, rollout.id)

    def _decide(self, rollout: Rollout, sight: Sight) -> Move | None:
        if rollout.state is not State.PREFLIGHT:
            return next_move(rollout, sight, self.limits)
        with self.database.read() as tx:
            stop = stops.standing(tx, self.tenant, now=sight.now)
            missing = claims.missing_approval(tx, rollout)
        return preflight.check(rollout, sight, self.limits, stop=stop[1] if stop else "", approved=missing)

    def _write(
        self, before: Rollout, seen: Rollout, move: Move | None, sight: Sight, epoch: int
    ) -> tuple[Rollout, bool]:
        now = self.now()
        after = moved(seen, move, now, self.limits) if move else seen
        with self.database.begin() as tx:
            news = (before.observed, before.progress) != (after.observed, after.progress)
            if before.touched and sight.judgement is not None:
                said = sight.judgement
                look = HealthVerdict(before.id, before.stage, now, said.verdict, said.why, said.numbers)
                news |= rollout_history.keep_verdict(tx, self.tenant, look)
            if move is not None:
                self._move(tx, before, after, epoch, now)
            elif not rollouts.note(
                tx, seen, epoch, now=now, next_look_at=self._next_look(seen, now), news=seen is not before
            ):
                raise claims.LostError("Somebody moved the rollout.")
            elif news:
                record.refresh(tx, after, now)
        self._point(before, "moved" if move else "noted")
        return after, news or move is not None

    def _move(self, tx: Connection, before: Rollout, after: Rollout, epoch: int, now: datetime) -> None:
        stands = record.write(
            tx,
            before,
            after,
            actor=record.EXECUTOR,
            actor_name="OptiInfra",
            action=f"rollout.{after.state.lower()}",
            what=after.reason,
            now=now,
            epoch=epoch,
        )
        if not stands:
            raise claims.LostError("Somebody moved the rollout.")

    def _next_look(self, rollout: Rollout, now: datetime) -> datetime:
        if not rollout.failures:
            # Half a poll: whoever is woken for another rollout leaves this one alone, the next poll finds it due.
            return now if rollout.state in WITH_EFFECTS else now + self.limits.poll / 2
        return now + min(self.limits.poll * (1 << min(rollout.failures, 10)), self.limits.longest_backoff)

    def _unworkable(self, rollout: Rollout, epoch: int, error: Exception) -> None:
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.error(
            "rollout_unworkable",
            rollout=rollout.id,
            state=str(rollout.state),
            error=repr(error),
            place=f"{place.filename}:{place.lineno}",
        )
        now = self.now()
        words = f"this rollout could not be worked on ({type(error).__name__}: {error}); it is tried again"
        with self.database.begin() as tx:
            rollouts.put_off(tx, self.tenant, rollout.id, now + self.limits.longest_backoff)
            lines = rollout_history.events(tx, self.tenant, rollout.id)
            if not lines or lines[-1].what != words:
                record.tell(tx, rollout, "OptiInfra", words, now)

    def _point(self, rollout: Rollout, name: str) -> None:
        self.crash(f"{rollout.state}/{name}")
