"""`optiinfra rollout ...`: propose, look and decide - the same gates as the buttons, for when Slack is down."""

from __future__ import annotations

import argparse
from decimal import Decimal

from bot.app import App, open_app
from bot.terminal.output import money, print_json, table
from tools.execution import requests
from tools.execution.panel import Panel
from tools.execution.planning import steps_in_words
from tools.model.errors import RefusedError
from tools.model.rollout import TERMINAL, Rollout, State
from tools.providers import catalog
from tools.store import rollout_approvals, rollout_history, rollout_intents, rollout_reviews


def listing(args: argparse.Namespace) -> int:
    """Every rollout, newest first."""
    app = open_app()
    found = requests.listing(app.database, app.tenant)
    if args.json:
        print_json({"rollouts": [_summary(r) for r in found]})
    elif not found:
        print("There are no rollouts. Propose one with: optiinfra rollout propose RECOMMENDATION --as E-MAIL")
    else:
        rows = [
            (r.id, r.state, f"{r.stage + 1}/{len(r.plan.stages)}", f"{r.progress:.0%}", _saving(r), r.plan.title)
            for r in found
        ]
        print(table(("id", "state", "step", "changed", "saves a month", "what"), rows, right=(2, 3, 4)))
    return 0


def show(args: argparse.Namespace) -> int:
    """One rollout with everything that happened."""
    app = open_app()
    _print(app, requests.status(app.database, app.tenant, args.id), as_json=args.json)
    return 0


def propose(args: argparse.Namespace) -> int:
    """Propose the rollout of a recommendation; asking again shows the one that is live."""
    from tools.providers import registry

    app = open_app()
    rollout = requests.propose(
        app.database,
        app.tenant,
        args.id,
        app.person(args.user),
        change=lambda name: registry.change(app.settings, name),
        now=app.now,
        new_id=app.new_id,
        expires_in=app.gates.limits.gate_ttl,
        channel=app.settings.approvals_channel or app.settings.digest_channel,
        panel=Panel.of(app.settings, app.now),
    )
    _print(app, rollout, as_json=args.json)
    return 0


def decide(args: argparse.Namespace) -> int:
    """Approve, promote, reject, abort, roll back or retry, on what the rollout shows at this moment."""
    app = open_app()
    rollout = requests.status(app.database, app.tenant, args.id)
    if args.action == "promote" and rollout.state is State.PROPOSED:
        raise RefusedError(
            "state", "Nothing is changed yet, so there is no next step to promote to.", fix="Use `rollout approve`."
        )
    decisions = {
        "approve": app.gates.approve,
        "promote": app.gates.approve,
        "reject": app.gates.reject,
        "abort": app.gates.abort,
        "rollback": app.gates.rollback,
        "retry": app.gates.retry,
    }
    after = decisions[args.action](rollout.seen, app.person(args.user), args.reason)
    _print(app, after, as_json=args.json)
    return 0


def document(app: App, rollout: Rollout) -> dict[str, object]:
    """The JSON of one rollout with its approvals, intents, verdicts and history."""
    with app.database.read() as tx:
        approvals = rollout_approvals.listing(tx, app.tenant, rollout.id)
        intents = rollout_intents.listing(tx, app.tenant, rollout.id)
        verdicts = rollout_history.verdicts(tx, app.tenant, rollout.id)
        history = rollout_history.events(tx, app.tenant, rollout.id)
        reviews = rollout_reviews.listing(tx, app.tenant, rollout.id)
    return _summary(rollout) | {
        "approvals": approvals,
        "intents": intents,
        "verdicts": verdicts,
        "history": history,
        "reviews": reviews,
        "plan": rollout.plan,
    }


def _summary(rollout: Rollout) -> dict[str, object]:
    plan = rollout.plan
    about = catalog.about(plan.change)
    return {
        "id": rollout.id,
        "version": rollout.version,
        "phase": rollout.phase,
        "state": rollout.state,
        "reason": rollout.reason,
        "stage": rollout.stage,
        "steps": [
            {"index": s.index, "percent": s.percent, "units": s.units, "of": plan.units, "words": words}
            for s, words in zip(plan.stages, steps_in_words(plan), strict=True)
        ],
        "plan_hash": plan.hash,
        "title": plan.title,
        "recommendation_id": plan.recommendation_id,
        "provider": plan.provider,
        "account_id": plan.account_id,
        "region": plan.region,
        "resource_id": plan.resource_id,
        "service": plan.service,
        "risk": plan.risk,
        "approvals_needed": rollout.approvals_needed,
        "monthly_saving": plan.saving_monthly,
        "currency": plan.currency,
        "undo": plan.undo,
        "does": about.does if about else "",
        "lasting": about.lasting if about else "",
        "unwatched": plan.unwatched,
        "proposed_by": rollout.proposed_by,
        "created_at": rollout.created_at,
        "updated_at": rollout.updated_at,
        "expires_at": rollout.expires_at,
        "observed": rollout.observed,
        "progress": rollout.progress,
    }


def _print(app: App, rollout: Rollout, *, as_json: bool) -> None:
    if as_json:
        print_json({"rollout": document(app, rollout)})
        return
    plan = rollout.plan
    print(f"{rollout.id}  {rollout.state} ({rollout.phase})  {plan.title}")
    print(f"  {rollout.reason}")
    print(f"  saves {_saving(rollout)} a month; risk {plan.risk}; undo: {plan.undo}")
    if about := catalog.about(plan.change):
        print(f"  what it does: {about.does}")
        print(f"  cannot be undone: {about.lasting}")
    if plan.unwatched:
        print(f"  nothing to watch: {plan.unwatched}; counted units decide")
    print(f"  proposed by {rollout.proposed_by_name} on {rollout.created_at:%d %b %Y %H:%M} UTC")
    for stage, words in zip(plan.stages, steps_in_words(plan), strict=True):
        print(f"  {_mark(rollout, stage.index)} step {stage.index + 1}: {words}")
    if rollout.observed:
        print("  counted: " + ", ".join(f"{count} {kind}" for kind, count in rollout.observed.items()))
    with app.database.read() as tx:
        looks = rollout_history.verdicts(tx, app.tenant, rollout.id)
        history = rollout_history.events(tx, app.tenant, rollout.id)
        reviews = rollout_reviews.listing(tx, app.tenant, rollout.id)
    for review in reviews:
        print(f"  {review.reviewer} review: {review.opinion} - {review.why}")
        for line in review.evidence:
            print(f"    {line}")
    if looks:
        print(f"  health: {looks[-1].verdict} - {looks[-1].why}")
    for event in history:
        print(f"  {event.at:%d %b %H:%M:%S}  {event.what} ({event.actor})")
    print(f"  {_next(rollout)}")


def _mark(rollout: Rollout, index: int) -> str:
    if rollout.state is State.SUCCEEDED or index < rollout.stage:
        return "[x]"
    return "[>]" if index == rollout.stage and rollout.state not in TERMINAL else "[ ]"


def _next(rollout: Rollout) -> str:
    if rollout.state in {State.PROPOSED, State.AWAITING_APPROVAL}:
        word = "approve" if rollout.state is State.PROPOSED else "promote"
        return (
            f"next: optiinfra rollout {word} {rollout.id} --as E-MAIL (open until {rollout.expires_at:%d %b %H:%M} UTC)"
        )
    if rollout.state in {State.HELD, State.NEEDS_HUMAN}:
        return f"next: optiinfra rollout retry {rollout.id} --as E-MAIL, or rollback"
    return "it has ended" if rollout.state in TERMINAL else "it goes on by itself"


def _saving(rollout: Rollout) -> str:
    return money(Decimal(rollout.plan.saving_monthly), rollout.plan.currency)
