"""The rollout card: one message that shows what changes, how far it is, who decided, and what can be decided now."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from bot.shared.message import Block, Message, Reply
from bot.slack import elements as e
from bot.slack.cards.recommendation import RISKS
from bot.slack.words import clip, escape, local, money
from tools.model.recommendation import Evidence
from tools.model.review import Opinion, Review
from tools.model.rollout import (
    TERMINAL,
    WAITING_FOR_PEOPLE,
    Approval,
    HealthVerdict,
    Rollout,
    Seen,
    Stage,
    State,
    Verdict,
)
from tools.providers import catalog

APPROVE = "rollout.approve"
REJECT = "rollout.reject"
STOP = "rollout.abort"
ROLLBACK = "rollout.rollback"
RETRY = "rollout.retry"
HAPPENED = "rollout.happened"
NOT_HAPPENED = "rollout.not_happened"
_VALUE = re.compile(r"([\w-]{1,64}):(\d{1,9}):(\d{1,4}):([0-9a-f]{64})")
_VERDICTS = {
    Verdict.HEALTHY: "Healthy",
    Verdict.REGRESSED: "Worse than before",
    Verdict.INCONCLUSIVE: "Not known",
}
_OPINIONS = {Opinion.APPROVE: "Approves", Opinion.CONCERN: "Concern", Opinion.BLOCK: "Blocks"}
_BUTTONS = {
    State.PROPOSED: (APPROVE, REJECT),
    State.APPROVED: (STOP,),
    State.PREFLIGHT: (STOP,),
    State.EXECUTING: (ROLLBACK,),
    State.BAKING: (ROLLBACK,),
    State.AWAITING_APPROVAL: (APPROVE, ROLLBACK),
    State.FINALISING: (ROLLBACK,),
    State.HELD: (RETRY, ROLLBACK),
    State.NEEDS_HUMAN: (RETRY, ROLLBACK),
}
# Whether a step took effect is not known: somebody looks at the cloud and says so.
_UNCERTAIN = (HAPPENED, NOT_HAPPENED, ROLLBACK)


@dataclass(frozen=True, slots=True)
class Turn:
    """When and why a rollout turned back; `person` says that somebody decided it."""

    person: bool
    why: str


@dataclass(frozen=True, slots=True)
class View:
    """Everything that a card is drawn from; all of it is stored. `approvers` are Slack user ids to be mentioned."""

    rollout: Rollout
    approvals: tuple[Approval, ...] = ()
    verdicts: tuple[HealthVerdict, ...] = ()
    turn: Turn | None = None
    evidence: tuple[Evidence, ...] = ()
    approvers: tuple[str, ...] = ()
    reviews: tuple[Review, ...] = ()


def value(seen: Seen) -> str:
    """What a button carries: exactly what its card shows."""
    return f"{seen.rollout_id}:{seen.version}:{seen.stage}:{seen.plan_hash}"


_BACK = frozenset({State.ROLLING_BACK, State.GUARDING, State.ROLLED_BACK})


def seen(text: str) -> Seen | None:
    """The inverse of `value`; None for anything else."""
    found = _VALUE.fullmatch(text)
    return Seen(found[1], int(found[2]), int(found[3]), found[4]) if found else None


def message(view: View) -> Message:
    """The card, and the replies that its thread should have by now."""
    r = view.rollout
    blocks = [e.header(r.plan.title), e.section(headline(r, view.turn)), e.fields(_facts(r)), e.rich([_stages(view)])]
    if r.state in WAITING_FOR_PEOPLE:
        blocks += _what_it_does(r)
    if r.plan.unwatched and r.state not in TERMINAL:
        blocks.append(e.section(f"Health: nothing to watch; {r.plan.unwatched}. Counted units decide."))
    if r.observed and r.state not in {State.EXECUTING, State.SUCCEEDED}:
        blocks.append(e.section("Counted: " + counted(r)))
    if view.verdicts:
        last = view.verdicts[-1]
        blocks.append(e.section(f"Health, stage {last.stage + 1}: {_VERDICTS[last.verdict]}. {clip(last.why, 600)}"))
    if view.reviews and r.state in WAITING_FOR_PEOPLE:
        said = [f"{_OPINIONS[x.opinion]} ({x.reviewer}): {clip(x.why, 400)}" for x in view.reviews]
        blocks.append(e.rich([e.heading("Reviews"), e.bullets(said, most=6)]))
    if view.evidence and r.state in WAITING_FOR_PEOPLE:
        lines = [f"{x.label}: {x.value} ({x.source})" for x in view.evidence]
        blocks.append(e.rich([e.heading("Evidence"), e.bullets(lines, most=6)]))
    blocks += [e.small_print(_approved(approval)) for approval in view.approvals[-4:]]
    if pressed := _actions(r):
        blocks.append(pressed)
    blocks.append(e.small_print(_footer(r)))
    return Message(escape(f"{r.plan.title}: {headline(r, view.turn)}"), tuple(blocks), replies(view))


def headline(r: Rollout, turn: Turn | None = None) -> str:
    """Where it stands and why, in a sentence or two."""
    why = turn.why if turn is not None and r.state in _BACK else r.reason if r.version > 1 else ""
    step = f"stage {r.stage + 1} of {len(r.plan.stages)}"
    said = {
        State.PROPOSED: f"Waiting for approval of {step}: {_step(r, r.current)}.",
        State.APPROVED: f"Approved; {step} begins with the checks beforehand.",
        State.PREFLIGHT: f"Checking everything before {step}.",
        State.EXECUTING: f"Changing {step}: {counted(r)}.",
        State.BAKING: f"{step.capitalize()} is done; watching the service's health before anything else.",
        State.AWAITING_APPROVAL: f"Waiting for approval of {step}: {_step(r, r.current)}.",
        State.FINALISING: "Everything is changed; the last checks run.",
        State.SUCCEEDED: f"Done: {counted(r)}.",
        State.HELD: "Held: nothing is changed any further until it can go on safely.",
        State.REJECTED: "Rejected; nothing was changed.",
        State.EXPIRED: "Expired without a decision; nothing was changed.",
        State.CANCELLED: "Stopped before anything was changed.",
        State.ROLLING_BACK: f"Rolling back to where it began: {counted(r)} so far.",
        State.GUARDING: "Rolled back; making sure that it stays that way.",
        State.ROLLED_BACK: "Rolled back: everything is as it was before.",
        State.NEEDS_HUMAN: "A person must look at this: it can neither go on nor back by itself.",
    }[r.state]
    return f"{said} {sentence(why)}".strip()


def sentence(why: str) -> str:
    """A reason as a sentence of its own."""
    why = clip(why.strip(), 800)
    return why[:1].upper() + why[1:] + ("" if why.endswith((".", "…")) else ".") if why else ""


def counted(r: Rollout) -> str:
    """'2 of 20 on spot', counted one by one at the cloud, never taken from the setting."""
    total = r.plan.units
    spot = r.observed.get("spot")
    if isinstance(spot, int):
        return f"{spot} of {total} on spot"
    return f"{round(r.progress * total)} of {clip(r.plan.count(total), 60)} changed"


def _step(r: Rollout, stage: Stage) -> str:
    return f"{stage.units} of {clip(r.plan.count(r.plan.units), 60)} ({stage.percent} %)"


def _facts(r: Rollout) -> list[tuple[str, str]]:
    plan = r.plan
    facts = [
        ("What changes", f"{plan.resource_id}: {clip(plan.count(plan.units), 60)}"),
        ("Setting", setting(r)),
        ("Where", " · ".join(p for p in (plan.provider, plan.account_id, plan.region) if p)),
        ("Service", plan.service or "not named"),
        ("Saves", f"{_money(plan.saving_monthly, plan.currency)} a month, estimated"),
        ("Risk", RISKS.get(plan.risk, plan.risk)),
        ("Undo", plan.undo),
    ]
    needs = ("Needs", f"{_approvers(r)} who may approve and did not propose it")
    return [*facts, needs] if r.state in WAITING_FOR_PEOPLE else facts


def setting(r: Rollout) -> str:
    """What each stage sets, from where it stands: 'on_demand_percentage 100 → 90 → 50 → 0'."""
    steps = [_flat(step) for step in (r.plan.before, *(stage.desired for stage in r.plan.stages))]
    names = sorted({name for step in steps for name in step})
    told = [(name, [_written(step.get(name)) for step in steps]) for name in names]
    # What the stages set alike is said in the plan; what they set differently is what they are about.
    moving = [(name, values) for name, values in told if len(set(values[1:])) > 1]
    changed = moving or [(name, values) for name, values in told if len(set(values)) > 1]
    return "; ".join(f"{name.split('.')[-1]} {' → '.join(values)}" for name, values in changed)


def _flat(step: Mapping[str, object], path: str = "") -> dict[str, object]:
    """A setting's innermost values by their path: what differs may lie deep inside."""
    flat: dict[str, object] = {}
    for name, value in step.items():
        inner = isinstance(value, dict) and value
        flat |= _flat(value, f"{path}{name}.") if inner and isinstance(value, dict) else {f"{path}{name}": value}
    return flat


def _written(value: object) -> str:
    return "none" if value is None else clip(value if isinstance(value, str) else json.dumps(value), 80)


def _approvers(r: Rollout) -> str:
    return "one person" if r.approvals_needed == 1 else f"{r.approvals_needed} people"


def _money(amount: str, currency: str) -> str:
    try:
        return money(Decimal(amount), currency)
    except InvalidOperation:
        return "unknown"


def _what_it_does(r: Rollout) -> list[Block]:
    """What its change does at the cloud, and what no way back restores, as the catalog words it."""
    about = catalog.about(r.plan.change)
    if about is None:
        return []
    return [e.section(f"What it does: {about.does}"), e.section(f"Cannot be undone: {about.lasting}")]


def _stages(view: View) -> Block:
    """One line per stage with what became of it in words; colour or sign alone never tells it."""
    stages = view.rollout.plan.stages
    return e.bullets([f"Stage {s.index + 1}, {_step(view.rollout, s)}: {_fate(view, s)}" for s in stages], most=10)


def _fate(view: View, stage: Stage) -> str:
    r = view.rollout
    if r.state in _BACK:
        return "rolled back" if stage.index <= r.stage and r.touched else "not reached"
    if r.state is State.SUCCEEDED or stage.index < r.stage:
        return "done"
    if stage.index > r.stage:
        return "not reached" if r.state in TERMINAL else "to come"
    return {
        State.PROPOSED: "waiting for approval",
        State.AWAITING_APPROVAL: "waiting for approval",
        State.APPROVED: "approved",
        State.PREFLIGHT: "being checked",
        State.EXECUTING: f"in progress, {counted(r)}",
        State.BAKING: "changed, health is watched",
        State.FINALISING: "changed, last checks",
        State.HELD: "held",
        State.NEEDS_HUMAN: "needs a person",
    }.get(r.state, "not reached")


def _approved(approval: Approval) -> str:
    reason = f" - {escape(clip(approval.reason, 200))}" if approval.reason else ""
    name = escape(clip(approval.actor_name or approval.actor, 100))
    return f"Stage {approval.stage + 1} approved by {name}, {local(approval.at)}{reason}"


def _footer(r: Rollout) -> str:
    expires = f" · expires {local(r.expires_at)}" if r.state in WAITING_FOR_PEOPLE else ""
    proposer = escape(clip(r.proposed_by_name or r.proposed_by, 100))
    return f"{r.id} · proposed by {proposer}, {local(r.created_at)} · plan {r.plan.hash[:12]} · v{r.version}{expires}"


def _actions(r: Rollout) -> Block | None:
    uncertain = r.state is State.NEEDS_HUMAN and r.held_from is State.EXECUTING
    pressed = [_button(name, r) for name in (_UNCERTAIN if uncertain else _BUTTONS.get(r.state, ()))]
    return e.actions(*pressed) if pressed else None


def _button(name: str, r: Rollout) -> Block:
    carried = value(r.seen)
    if name == APPROVE:
        label = f"Approve {r.current.percent} %"
        asked = e.confirm(f"Approve {r.current.percent} %?", approval_question(r), "Approve", "Not now")
        return e.button(label, APPROVE, carried, style="primary", confirm=asked)
    if name in {HAPPENED, NOT_HAPPENED}:
        label = "It took effect" if name == HAPPENED else "It did not"
        asked = e.confirm(
            f"{label}?", "You have looked at the cloud and are sure. The step goes on from there.", "Yes", "No"
        )
        return e.button(label, name, carried, confirm=asked)
    if name == RETRY:
        asked = e.confirm("Go on?", f"It goes on where it was held: {counted(r)}.", "Go on", "Not now")
        return e.button("Go on", RETRY, carried, confirm=asked)
    label, style = {REJECT: ("Reject…", ""), STOP: ("Stop…", "danger"), ROLLBACK: ("Roll back…", "danger")}[name]
    return e.button(label, name, carried, style=style)


def approval_question(r: Rollout) -> str:
    """The confirmation: what, how many, how to undo, and what cannot be undone."""
    about = catalog.about(r.plan.change)
    lasting = f" Cannot be undone: {clip(about.lasting, 100)}" if about else ""
    changed = f"{clip(r.plan.resource_id, 60)}: {_step(r, r.current)} will be changed."
    return clip(f"{changed} Undo: {clip(r.plan.undo, 70)}{lasting}", 300)


_ASKED = {
    REJECT: ("Reject", "Why should this not be done?", "It teaches the recommendations."),
    STOP: ("Stop", "Why should it stop?", "Nothing further is changed."),
    ROLLBACK: ("Roll back", "Why roll back?", "Everything returns to where it began."),
}


def reason_view(action: str, r: Rollout, note: str) -> Block:
    """The modal that asks for the reason of a rejection, a stop or a rollback."""
    title, question, hint = _ASKED[action]
    intro = e.section(f"{r.plan.title}\n{headline(r)}")
    undo = [e.context(f"Undo: {clip(r.plan.undo, 500)}")] if action == ROLLBACK else []
    asked = e.text_input(question, "reason", hint=hint, least=10)
    return e.modal(title, action, [intro, *undo, asked, e.context(r.id)], submit=title, note=note)


def replies(view: View) -> tuple[Reply, ...]:
    """What the card's thread must have been told by now; each is posted once."""
    r, title = view.rollout, escape(clip(view.rollout.plan.title, 200))
    if r.state in WAITING_FOR_PEOPLE:
        who = "".join(f"<@{user}> " for user in view.approvers[:5])
        words = f"{who}Approval needed: {escape(_step(r, r.current))} of {title}. Decide on the card above."
        return (Reply(f"approve-{r.stage}-{r.gate}", words),)
    if r.state is State.SUCCEEDED:
        saving = escape(_money(r.plan.saving_monthly, r.plan.currency))
        words = f"Done: {title}. {escape(counted(r))}. Estimated saving: {saving} a month."
        return (Reply("done", words),)
    if r.state in _BACK and view.turn is not None and not view.turn.person:
        words = f"Rolled back automatically: {title}. {escape(sentence(view.turn.why))}"
        return (Reply("rolled-back", words, broadcast=True),)
    if r.state is State.NEEDS_HUMAN:
        words = f"A person must look at {title}. {escape(sentence(r.reason))}"
        return (Reply(f"needs-human-{r.version}", words, broadcast=True),)
    return ()


def one_line(r: Rollout) -> str:
    """For lists: title, where it stands, id."""
    return f"{clip(r.plan.title, 120)}: {clip(headline(r), 200)} ({r.id})"
