"""Feedback: what people say of a recommendation; it lowers the confidence of what comes next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tools.model.access import Permission, Principal
from tools.model.errors import InputError, RefusedError
from tools.model.outcome import Feedback
from tools.store import outcomes, recommendations
from tools.store.database import Database

WORDS = ("useful", "wrong", "not_now")


def give(
    database: Database,
    tenant: str,
    recommendation_id: str,
    person: Principal,
    word: str,
    *,
    now: Callable[[], datetime],
) -> Feedback:
    """Keep one person's word on one recommendation; a later word of theirs replaces it.

    Raises InputError for an unknown word, NotFoundError for an unknown recommendation, RefusedError for somebody
    who may not give feedback.
    """
    if word not in WORDS:
        raise InputError(f'"{word}" is no feedback.', fix=f"Say one of: {', '.join(WORDS)}.")
    if person.tenant != tenant or not person.may(Permission.FEEDBACK_GIVE):
        raise RefusedError("not_allowed", f"{person.name} may not give feedback here.")
    with database.begin() as tx:
        kind = recommendations.one(tx, tenant, recommendation_id).kind
        given = Feedback(recommendation_id, kind, person.id, word, now())
        outcomes.save_feedback(tx, tenant, given)
    return given
