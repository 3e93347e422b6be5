"""Limits: the times, shares and caps that rollouts keep to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from tools.settings import Settings


@dataclass(frozen=True, slots=True)
class JudgePolicy:
    """How sure the judge must be. `alpha` is the accepted share of false alarms per stage, whenever it is asked.

    A changed unit may fail up to `tolerable` times as often as an unchanged one; `severe` times must be ruled
    out before a stage counts as healthy. `dispersion` (>= 1) tempers evidence of services whose errors come in bursts.
    """

    max_error_rate: float = 0.05
    minimum_requests: int = 100
    alpha: float = 0.01
    tolerable: float = 1.25
    severe: float = 2.0
    dispersion: float = 1.5
    guard_errors: int = 20
    guard_factor: float = 5.0


@dataclass(frozen=True, slots=True)
class Caps:
    """How much may be under way at once; over a cap nothing starts, never a silent part of it."""

    units: int = 50
    live_per_account: int = 3
    first_stage_percent: int = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What the engine keeps to; every field is a setting or a safe default."""

    bake: timedelta = timedelta(minutes=15)
    poll: timedelta = timedelta(seconds=15)
    stage_timeout: timedelta = timedelta(hours=1)
    blind_limit: timedelta = timedelta(minutes=10)
    gate_ttl: timedelta = timedelta(days=1)
    held_limit: timedelta = timedelta(hours=72)
    approval_age: timedelta = timedelta(hours=1)
    final_guard: timedelta = timedelta(hours=24)
    rollback_guard: timedelta = timedelta(minutes=5)
    lease: timedelta = timedelta(seconds=15)
    longest_backoff: timedelta = timedelta(seconds=60)
    resend_after: timedelta = timedelta(seconds=60)
    most_sends: int = 5
    most_rewrites: int = 3
    recent: timedelta = timedelta(minutes=2)
    longest_window: timedelta = timedelta(hours=1)
    history_windows: int = 24
    least_windows: int = 12
    judge: JudgePolicy = field(default_factory=JudgePolicy)

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits that the settings ask for."""
        return cls(
            bake=timedelta(seconds=settings.bake_seconds),
            poll=timedelta(seconds=settings.poll_seconds),
            stage_timeout=timedelta(seconds=settings.stage_timeout_seconds),
            blind_limit=timedelta(seconds=settings.blind_limit_seconds),
            gate_ttl=timedelta(seconds=settings.approval_ttl_seconds),
            approval_age=timedelta(seconds=settings.approval_use_seconds),
            final_guard=timedelta(seconds=settings.final_guard_seconds),
            rollback_guard=timedelta(seconds=settings.rollback_guard_seconds),
            # A short bake is judged on short windows, or what was before it would be judged instead.
            recent=timedelta(seconds=min(120, max(10, settings.bake_seconds))),
            judge=JudgePolicy(max_error_rate=settings.max_error_rate, minimum_requests=settings.minimum_requests),
        )
