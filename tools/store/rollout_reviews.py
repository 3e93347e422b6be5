"""Rollout reviews: what each reviewer said of a plan before it was proposed, kept as long as the rollout."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from tools.model.review import Opinion, Review
from tools.store.rollout_tables import reviews as _reviews


def add(tx: Connection, tenant: str, rollout_id: str, heard: Iterable[Review]) -> None:
    """Keep the reviews of a new rollout, in the order in which they were heard."""
    rows = [
        {
            "tenant": tenant,
            "rollout_id": rollout_id,
            "place": place,
            "reviewer": review.reviewer,
            "opinion": review.opinion.value,
            "why": review.why,
            "evidence": list(review.evidence),
            "at": review.at,
        }
        for place, review in enumerate(heard)
    ]
    if rows:
        tx.execute(_reviews.insert(), rows)


def listing(tx: Connection, tenant: str, rollout_id: str) -> tuple[Review, ...]:
    """What the reviewers said of a rollout's plan, in the order in which they were heard."""
    mine = (_reviews.c.tenant == tenant) & (_reviews.c.rollout_id == rollout_id)
    rows = tx.execute(select(_reviews).where(mine).order_by(_reviews.c.place))
    return tuple(Review(r.reviewer, Opinion(r.opinion), r.why, tuple(r.evidence), r.at) for r in rows)
