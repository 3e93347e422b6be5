"""Rendering: draws what the outbox tells - rollouts, budgets and digests - from what is stored, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import Connection

from bot.shared.message import Message
from bot.slack.blockkit import fit
from bot.slack.cards import anomaly as anomaly_card
from bot.slack.cards import budget as budget_card
from bot.slack.cards import digest as digest_card
from bot.slack.cards import rollout as rollout_card
from tools.execution.record import EXECUTOR
from tools.model.access import PERMISSIONS, Permission
from tools.model.anomaly import Anomaly
from tools.model.digest import Digest
from tools.model.errors import NotFoundError
from tools.model.period import Period
from tools.model.recommendation import Evidence
from tools.model.rollout import State
from tools.store import (
    audit,
    budgets,
    digests,
    findings,
    outbox,
    people,
    recommendations,
    rollout_approvals,
    rollout_history,
    rollout_reviews,
    rollouts,
)
from tools.store.database import Database
from tools.store.findings import Feedback
from tools.store.outbox import Waiting
from tools.telemetry.metrics import Metrics

Permalink = Callable[[str, str], str]
_EVER = date(1, 1, 1)


def renderer(
    database: Database, tenant: str, metrics: Metrics, permalink: Permalink = lambda channel, ts: ""
) -> Callable[[Waiting], Message | None]:
    """How the outbox draws each topic. `permalink` gives the address of a message by channel and ts."""

    def draw(waiting: Waiting) -> Message | None:
        if waiting.topic == "rollout":
            message = rollout_message(database, tenant, waiting.subject)
        elif waiting.topic == "digest":
            message = digest_message(database, tenant, date.fromisoformat(waiting.subject), permalink)
        elif waiting.topic == "budget":
            message = budget_message(database, tenant, waiting.subject)
        else:
            message = None
        if message is None:
            return None
        fitted, steps = fit(message)
        for step in steps:
            metrics.slack_events.labels("message", step).inc()
        return fitted

    return draw


def rollout_message(database: Database, tenant: str, rollout_id: str) -> Message | None:
    """The rollout's card as of now; None when there is no such rollout."""
    with database.read() as tx:
        try:
            rollout = rollouts.get(tx, tenant, rollout_id)
        except NotFoundError:
            return None
        view = rollout_card.View(
            rollout=rollout,
            approvals=rollout_approvals.listing(tx, tenant, rollout_id),
            verdicts=rollout_history.verdicts(tx, tenant, rollout_id),
            turn=_turn(tx, tenant, rollout_id),
            evidence=_evidence(tx, tenant, rollout.plan.recommendation_id),
            approvers=_approvers(tx, tenant, rollout.proposed_by),
            reviews=rollout_reviews.listing(tx, tenant, rollout_id),
        )
    return rollout_card.message(view)


def _turn(tx: Connection, tenant: str, rollout_id: str) -> rollout_card.Turn | None:
    """The first time that it was turned back, as the audit record has it."""
    for entry in reversed(audit.entries(tx, tenant, subject=rollout_id)):
        if entry.outcome == "done" and entry.detail.get("to") == State.ROLLING_BACK:
            return rollout_card.Turn(entry.actor != EXECUTOR, str(entry.detail.get("reason", "")))
    return None


def _evidence(tx: Connection, tenant: str, recommendation_id: str) -> tuple[Evidence, ...]:
    try:
        return recommendations.one(tx, tenant, recommendation_id).evidence if recommendation_id else ()
    except NotFoundError:
        return ()


def _approvers(tx: Connection, tenant: str, proposer: str) -> tuple[str, ...]:
    """Slack users who may approve what this person proposed."""
    return tuple(
        p.slack_user
        for p in people.listing(tx, tenant)
        if p.active and p.slack_user and p.id != proposer and Permission.ROLLOUTS_APPROVE in PERMISSIONS[p.role]
    )


def budget_message(database: Database, tenant: str, subject: str) -> Message | None:
    """The alert of a budget, as it stood when it was reached."""
    with database.read() as tx:
        alert = budgets.alert(tx, tenant, subject)
    return None if alert is None else budget_card.message(alert)


def digest_message(database: Database, tenant: str, day: date, permalink: Permalink) -> Message | None:
    """The digest of a day, with the addresses of the cards that wait, and what people said of its anomalies since."""
    with database.read() as tx:
        digest = digests.one(tx, tenant, day)
        if digest is None:
            return None
        standing = {
            rollout_id: outbox.posted(tx, tenant, "rollout", rollout_id)
            for rollout_id in digest_card.rollout_ids(digest)
        }
        known = {one.id: one for one in findings.anomalies(tx, tenant, Period(_EVER, day + timedelta(days=1)))}
        feedback = findings.feedback(tx, tenant)
    links = {rollout_id: permalink(*next(iter(cards.items()))) for rollout_id, cards in standing.items() if cards}
    stands = {one.id: _stands(one, known.get(one.id), feedback, day) for one in digest.anomalies}
    return digest_card.message(_as_of_now(digest, known), links, stands)


def _stands(told: Anomaly, now: Anomaly | None, feedback: Sequence[Feedback], day: date) -> anomaly_card.Standing:
    return replace(anomaly_card.standing(told, feedback, day), gone=now is None)


def _as_of_now(digest: Digest, known: Mapping[str, Anomaly]) -> Digest:
    """The figures stay as they were told; whether somebody expected it is of now."""
    now = tuple(
        replace(one, status="expected") if one.id in known and known[one.id].status == "expected" else one
        for one in digest.anomalies
    )
    return replace(digest, anomalies=now)
