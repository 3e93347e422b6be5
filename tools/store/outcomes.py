"""Outcomes: what rollouts really saved, how each kind of saving tends to turn out, and what people said."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from tools.model.money import plain
from tools.model.outcome import Calibration, Feedback, Outcome
from tools.store.saving_tables import calibrations, feedback, outcomes


def save(tx: Connection, tenant: str, outcome: Outcome, *, now: datetime) -> None:
    """Keep the newest measurement of a rollout."""
    tx.execute(delete(outcomes).where(outcomes.c.tenant == tenant, outcomes.c.rollout_id == outcome.rollout_id))
    realised = outcome.realised_monthly
    tx.execute(
        insert(outcomes).values(
            tenant=tenant,
            rollout_id=outcome.rollout_id,
            kind=outcome.kind,
            estimated_monthly=plain(outcome.estimated_monthly),
            realised_monthly=None if realised is None else plain(realised),
            currency=outcome.currency,
            measured_from=outcome.measured_from,
            measured_to=outcome.measured_to,
            verdict=outcome.verdict,
            why=outcome.why,
            updated_at=now,
        )
    )


def listing(tx: Connection, tenant: str, kind: str | None = None) -> tuple[Outcome, ...]:
    """Every measured rollout, in the order of their ids."""
    query = select(outcomes).where(outcomes.c.tenant == tenant)
    if kind is not None:
        query = query.where(outcomes.c.kind == kind)
    return tuple(_outcome(row) for row in tx.execute(query.order_by(outcomes.c.rollout_id)))


def one(tx: Connection, tenant: str, rollout_id: str) -> Outcome | None:
    """What is known of one rollout's saving, or None."""
    row = tx.execute(
        select(outcomes).where(outcomes.c.tenant == tenant, outcomes.c.rollout_id == rollout_id)
    ).one_or_none()
    return _outcome(row) if row else None


def save_calibration(tx: Connection, tenant: str, calibration: Calibration, *, now: datetime) -> None:
    """Keep how a kind of saving tends to turn out."""
    tx.execute(delete(calibrations).where(calibrations.c.tenant == tenant, calibrations.c.kind == calibration.kind))
    tx.execute(
        insert(calibrations).values(
            tenant=tenant,
            kind=calibration.kind,
            low=plain(calibration.low),
            usual=plain(calibration.usual),
            high=plain(calibration.high),
            outcomes=calibration.outcomes,
            updated_at=now,
        )
    )


def all_calibrations(tx: Connection, tenant: str) -> dict[str, Calibration]:
    """Kind -> how its savings turned out so far."""
    rows = tx.execute(select(calibrations).where(calibrations.c.tenant == tenant).order_by(calibrations.c.kind))
    return {
        row.kind: Calibration(row.kind, Decimal(row.low), Decimal(row.usual), Decimal(row.high), row.outcomes)
        for row in rows
    }


def save_feedback(tx: Connection, tenant: str, given: Feedback) -> None:
    """Keep what a person says of a recommendation; saying something else later replaces it."""
    tx.execute(
        delete(feedback).where(
            feedback.c.tenant == tenant,
            feedback.c.recommendation_id == given.recommendation_id,
            feedback.c.actor == given.actor,
        )
    )
    tx.execute(
        insert(feedback).values(
            tenant=tenant,
            recommendation_id=given.recommendation_id,
            actor=given.actor,
            kind=given.kind,
            word=given.word,
            at=given.at,
        )
    )


def all_feedback(tx: Connection, tenant: str) -> tuple[Feedback, ...]:
    """What people said, oldest first."""
    rows = tx.execute(
        select(feedback)
        .where(feedback.c.tenant == tenant)
        .order_by(feedback.c.at, feedback.c.recommendation_id, feedback.c.actor)
    )
    return tuple(Feedback(row.recommendation_id, row.kind, row.actor, row.word, row.at) for row in rows)


def _outcome(row: Row[Any]) -> Outcome:
    return Outcome(
        row.rollout_id,
        row.kind,
        Decimal(row.estimated_monthly),
        None if row.realised_monthly is None else Decimal(row.realised_monthly),
        row.currency,
        row.measured_from,
        row.measured_to,
        row.verdict,
        row.why,
    )
