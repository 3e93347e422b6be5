"""Reviews: three looks at a recommendation before it is proposed - money, risk, and whether it can be watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.model.recommendation import Recommendation
from tools.model.rollout import TERMINAL, Rollout
from tools.providers import catalog


@dataclass(frozen=True, slots=True)
class Review:
    """One reviewer's word. `ok` is false when nothing may be proposed; `note` is a full sentence either way."""

    reviewer: str
    ok: bool
    note: str


def review(recommendation: Recommendation, rollouts: Sequence[Rollout], *, health_known: bool) -> tuple[Review, ...]:
    """All reviews; pure."""
    return (
        money(recommendation),
        risk(recommendation),
        watching(recommendation, health_known),
        history(recommendation, rollouts),
    )


def money(recommendation: Recommendation) -> Review:
    """The saving must be real even at the low end of its band, and its price must have a source."""
    if not recommendation.price_source:
        return Review("money", False, "The price behind this saving has no source, so it proves nothing.")
    if recommendation.saving_expected <= 0:
        return Review("money", False, "No saving is expected from it any more.")
    if recommendation.saving_low < 0:
        return Review("money", True, "At the low end of its band it may cost more than it saves.")
    return Review("money", True, f"The price comes from {recommendation.price_source}.")


def risk(recommendation: Recommendation) -> Review:
    """What a rollback brings back and what it does not; whoever approves must know."""
    if recommendation.blocked_by:
        return Review("risk", False, f"It is blocked: {'; '.join(recommendation.blocked_by)}.")
    known = catalog.about(str(recommendation.parameters.get("change", "")))
    lasting = f" What stays lost: {known.lasting[0].lower()}{known.lasting[1:]}" if known else ""
    if not recommendation.reversible:
        return Review("risk", True, f"It cannot be undone as a whole, so two people must approve it.{lasting}")
    return Review("risk", True, f"It can be rolled back.{lasting}")


def watching(recommendation: Recommendation, health_known: bool) -> Review:
    """Without a health source a first stage that needs one could never be judged."""
    known = catalog.about(str(recommendation.parameters.get("change", "")))
    if known and (quiet := known.unwatched(recommendation.service)):
        return Review("watching", True, f"There is no traffic to watch: {quiet}.")
    if not health_known:
        return Review(
            "watching",
            True,
            f"No metrics source tells how {recommendation.service or 'its service'} does (OPTIINFRA_PROMETHEUS_URL, or "
            "its load balancer): it can be proposed, but it will not start.",
        )
    if not recommendation.service:
        return Review("watching", True, "Its service is not known, so its health cannot be told apart.")
    return Review("watching", True, f"The health of {recommendation.service} decides about each stage.")


def history(recommendation: Recommendation, rollouts: Sequence[Rollout]) -> Review:
    """What became of the same change before."""
    past = [r for r in rollouts if r.plan.recommendation_id == recommendation.id and r.state in TERMINAL]
    if not past:
        return Review("history", True, "")
    last = max(past, key=lambda r: r.updated_at)
    return Review("history", True, f"The last try ended {str(last.state).lower().replace('_', ' ')} ({last.id}).")
