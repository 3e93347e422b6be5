"""Panel: hears all reviewers of a change at once, ours and an outside one; who is late or fails is a concern."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from tools.execution import reviewers
from tools.execution.judge import Count, counts
from tools.execution.limits import JudgePolicy, Limits
from tools.execution.reviewers import Case
from tools.model.errors import OptiInfraError, RefusedError
from tools.model.review import Opinion, Review
from tools.model.rollout import Plan
from tools.providers import registry
from tools.providers.base import Change, HealthSource, Observation
from tools.settings import Settings

OUTSIDE = "outside"
_HOUR = 3600


class Outside(Protocol):
    """Somebody else's reviewer, asked over the network."""

    def ask(self, plan: Plan, now: datetime) -> Review:
        """Its word; raises a ProviderError when there is none that can be trusted."""
        ...


@dataclass(frozen=True, slots=True)
class Panel:
    """Who reviews. `seconds` is how long all of them together may take; a word that comes later is not heard."""

    now: Callable[[], datetime]
    health: HealthSource | None = None
    outside: Outside | None = None
    seconds: float = 8.0
    policy: JudgePolicy = field(default_factory=JudgePolicy)

    @classmethod
    def of(cls, settings: Settings, now: Callable[[], datetime]) -> Panel:
        """The reviewers that the settings ask for."""
        return cls(
            now,
            registry.health(settings),
            registry.reviewer(settings),
            settings.review_seconds,
            Limits.of(settings).judge,
        )

    def hear(self, case: Case, change: Change) -> tuple[Review, ...]:
        """Every reviewer's word, in a fixed order; raises nothing of what they ran into."""
        tasks: dict[str, Callable[[], Review]] = {
            "performance": lambda: reviewers.performance(case),
            "resource": lambda: reviewers.resource(self._looked(case, change)),
            "application": lambda: reviewers.application(self._measured(case), self.policy),
        }
        if self.outside is not None:
            outside = self.outside
            tasks[OUTSIDE] = lambda: outside.ask(case.plan, self.now())
        pool = ThreadPoolExecutor(len(tasks), thread_name_prefix="review")
        try:
            asked = {name: pool.submit(task) for name, task in tasks.items()}
            wait(asked.values(), timeout=self.seconds)
            return tuple(self._word(name, future) for name, future in asked.items())
        finally:
            # Who is late ends by its own time limit; nobody waits for it.
            pool.shutdown(wait=False, cancel_futures=True)

    def _word(self, name: str, asked: Future[Review]) -> Review:
        if not asked.done():
            return self._concern(name, f"It did not answer within {self.seconds:g} seconds.")
        try:
            return asked.result()
        except OptiInfraError as error:
            return self._concern(name, error.what)

    def _concern(self, name: str, why: str) -> Review:
        return Review(name, Opinion.CONCERN, why, (), self.now())

    def _looked(self, case: Case, change: Change) -> Case:
        try:
            seen: Observation | None = change.observe(case.plan)
        except OptiInfraError as error:
            return replace(case, unseen=error.what)
        return replace(case, seen=seen)

    def _measured(self, case: Case) -> Case:
        if case.plan.unwatched:
            return case
        if self.health is None:
            return replace(case, unknown="no metrics source is configured.")
        if not case.plan.service:
            return replace(case, unknown="no service is named (tag service).")
        try:
            reading = self.health.read(case.plan.service, _HOUR, self.now())
        except OptiInfraError as error:
            return replace(case, unknown=error.what)
        return replace(case, past=sum(counts(reading).values(), Count()))


def refuse_blocked(heard: tuple[Review, ...]) -> None:
    """Raise RefusedError when a reviewer blocks."""
    blocks = [review for review in heard if review.opinion is Opinion.BLOCK]
    if blocks:
        words = " ".join(f"The {review.reviewer} reviewer blocks it: {review.why}" for review in blocks)
        raise RefusedError("review", f"This is not proposed. {words}", fix="Put that right and propose it again.")
