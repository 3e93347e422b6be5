"""Sending: one effect from its written intent to the cloud and back, each step written down before the next."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from tools.execution import claims
from tools.execution.decisions import FORWARD, Effect, Move, Sight, effect, open_intent, regressed
from tools.execution.limits import Limits
from tools.execution.looking import Eyes
from tools.model.errors import (
    CapacityUnavailableError,
    DeniedError,
    InputError,
    ProviderError,
    QuotaExceededError,
    ResourceMissingError,
    SettingsError,
)
from tools.model.rollout import Intent, IntentStatus, Rollout, State
from tools.store import rollout_intents
from tools.store.database import Database

# A certain no: the effect did not happen and would not happen by asking again.
REFUSALS = (
    DeniedError,
    CapacityUnavailableError,
    QuotaExceededError,
    ResourceMissingError,
    InputError,
    SettingsError,
)
_TOKENS = uuid.UUID("6f0f5ad0-3f0e-5f4e-9d0a-8f2f0b7c1e55")


def token_of(intent: Intent) -> str:
    """The same for every sending of an effect, so that a cloud that knows tokens does it once."""
    return str(uuid.uuid5(_TOKENS, intent.id))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the open effect: what is seen now, a move that is due because of it, and whether it failed."""

    sight: Sight
    move: Move | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what is due for one rollout under one lease epoch."""

    database: Database
    now: Callable[[], datetime]
    eyes: Eyes
    limits: Limits
    point: Callable[[Rollout, str], None]

    def work(self, rollout: Rollout, epoch: int, sight: Sight) -> Outcome:
        """Do what is due about the open effect, if there is one."""
        intent = open_intent(rollout, sight.intents)
        if intent is None or (intent.direction == FORWARD and regressed(sight)):
            return Outcome(sight)
        if self._due(rollout, intent, sight) is not Effect.SEND:
            return self._finish(rollout, intent, epoch, sight, failed=False)
        now = self.now()
        with self.database.begin() as tx:
            move = claims.claim(tx, rollout, intent, epoch, now=now, limits=self.limits)
        if move is not None:
            return Outcome(sight, move)
        failed = not self._send(rollout, intent, epoch)
        sight = self._look_again(rollout, sight)
        left = open_intent(rollout, sight.intents)
        return self._finish(rollout, left, epoch, sight, failed=failed) if left else Outcome(sight, failed=failed)

    def _due(self, rollout: Rollout, intent: Intent, sight: Sight) -> Effect:
        return effect(rollout, intent, sight.observation, sight.now, self.limits)

    def _finish(self, rollout: Rollout, intent: Intent, epoch: int, sight: Sight, *, failed: bool) -> Outcome:
        due = self._due(rollout, intent, sight)
        if due is Effect.ASK:
            words = f"it is not known whether the effect happened ({intent.detail or 'no answer'}); look at the cloud"
            return Outcome(sight, Move(State.NEEDS_HUMAN, words), failed)
        if due is not Effect.DONE:
            return Outcome(sight, None, failed)
        self._keep(rollout, intent, epoch, IntentStatus.DONE, intent.detail)
        self.point(rollout, "shown")
        done = replace(intent, status=IntentStatus.DONE)
        intents = tuple(done if other.id == done.id else other for other in sight.intents)
        return Outcome(replace(sight, intents=intents), None, failed)

    def _send(self, rollout: Rollout, intent: Intent, epoch: int) -> bool:
        """Send a claimed effect once and write down what became of it; True when the cloud said yes."""
        claimed = self.now()
        self.point(rollout, "claimed")
        if self.now() - claimed > self.limits.lease:
            # This process slept: somebody else may have gone on, so what was claimed is left for them to find.
            raise claims.LostError("The lease ran out before the effect was sent.")
        try:
            self.eyes.change(rollout.plan).apply(rollout.plan, intent.desired, token_of(intent))
        except REFUSALS as error:
            # A step is over when the cloud says no; a way back is tried until somebody is called.
            status = IntentStatus.FAILED if intent.direction == FORWARD else IntentStatus.SENDING
            self._keep(rollout, intent, epoch, status, error.what)
            return False
        except ProviderError as error:
            self._keep(rollout, intent, epoch, IntentStatus.SENDING, error.what)
            return False
        self.point(rollout, "applied")
        self._keep(rollout, intent, epoch, IntentStatus.SENDING, "", accepted=True)
        self.point(rollout, "accepted")
        return True

    def _keep(
        self, rollout: Rollout, intent: Intent, epoch: int, status: IntentStatus, detail: str, accepted: bool = False
    ) -> None:
        now = self.now()
        with self.database.begin() as tx:
            claims.hold(tx, rollout, epoch, now=now, limits=self.limits)
            rollout_intents.note(tx, rollout.tenant, intent, status=status, now=now, detail=detail, accepted=accepted)

    def _look_again(self, rollout: Rollout, sight: Sight) -> Sight:
        with self.database.read() as tx:
            intents = rollout_intents.listing(tx, rollout.tenant, rollout.id)
        observation, problem = self.eyes.observe(rollout)
        return replace(sight, now=self.now(), observation=observation, problem=problem, intents=intents)
