"""Savings: what could be saved, proposing a change, and how the changes are doing."""

from __future__ import annotations

from decimal import Decimal

from agent import words
from agent.planner.vocabulary import words as split_words
from agent.toolset import desk as at
from agent.toolset.arguments import ListRecommendations, ProposeRollout, RolloutStatus
from agent.toolset.desk import AmbiguousError, Desk, Facts
from tools.execution import requests
from tools.model.access import Permission
from tools.model.errors import NotFoundError, RefusedError
from tools.model.fact import Table, ToolResult
from tools.model.query import Filter
from tools.model.recommendation import Recommendation
from tools.model.rollout import TERMINAL, WAITING_FOR_PEOPLE, Rollout

_KINDS = {
    "spot_migration": "run on spot",
    "idle": "idle",
    "rightsizing": "right-size",
    "storage_class": "storage class",
    "cleanup": "clean up",
    "commitment": "commitment",
}


def list_recommendations(args: ListRecommendations, desk: Desk) -> ToolResult:
    """Savings that the rules found last, the greatest first."""
    from sqlalchemy import select

    from tools.store import recommendations
    from tools.store.saving_tables import recommendations as table

    where = at.filters(desk, args.where, {})
    with desk.database.read() as tx:
        everything = recommendations.listing(tx, desk.tenant, args.kind)
    found = [r for r in everything if _fits(r, where)]
    query = select(table).where(table.c.tenant == desk.tenant, table.c.gone_at.is_(None))
    if args.kind:
        query = query.where(table.c.kind == args.kind)
    facts = Facts(at.stored(desk, query, len(everything)))
    scope = at.scope(where)
    facts.add("recommendations", scope or "everything", len(found), "count")
    totals = _totals(found)
    for currency, (low, expected, high) in totals.items():
        facts.add("possible saving per month", scope or "everything", expected, currency=currency)
        facts.add("possible saving per month, low end", scope or "everything", low, currency=currency)
        facts.add("possible saving per month, high end", scope or "everything", high, currency=currency)
    shown = found[: args.limit]
    for r in shown:
        own = r.evidence[0].receipt if r.evidence and r.evidence[0].receipt else None
        facts.add("saving per month", words.name(r.title), r.saving_expected, currency=r.currency, receipt=own)
    echo = at.echo("list_recommendations", args.model_dump(mode="json", exclude_defaults=True), None, "", where)
    notes = [f"{len(found) - len(shown)} more are not listed."] if len(found) > len(shown) else []
    if not everything and not _looked(desk):
        notes.append("No inventory was collected yet, so the rules had nothing to look at: run optiinfra collect.")
    blocked = sum(1 for r in shown if r.blocked_by)
    if blocked:
        notes.append(f"{blocked} of those listed cannot be proposed now; the table says why.")
    return ToolResult(
        echo,
        facts.all,
        _headline(found, totals, args.kind, scope),
        _tables(shown),
        (),
        tuple(notes),
        desk.costs.coverage(),
    )


def _looked(desk: Desk) -> bool:
    """Whether anything is known of what runs, beside what it costs."""
    from tools.store import resources

    with desk.database.read() as tx:
        return bool(resources.last_looks(tx, desk.tenant))


def _fits(r: Recommendation, where: tuple[Filter, ...]) -> bool:
    mine = {"provider": r.provider, "region_id": r.region, "sub_account_id": r.account_id}
    for f in where:
        if f.dimension not in mine:
            continue
        wanted = {v.lower() for v in f.values} | _provider_names(f)
        if (mine[f.dimension].lower() in wanted) is f.exclude:
            return False
    return True


def _provider_names(f: Filter) -> set[str]:
    """Bills say "Microsoft" or "Google Cloud" where inventories say "azure" and "gcp"."""
    from agent.planner.aliases import PROVIDERS

    if f.dimension != "provider":
        return set()
    said = {v.lower() for v in f.values}
    return {alias for alias, targets in PROVIDERS.items() if said & set(targets)}


def _totals(found: list[Recommendation]) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    totals: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
    for r in found:
        low, expected, high = totals.get(r.currency, (Decimal(0),) * 3)
        totals[r.currency] = (low + r.saving_low, expected + r.saving_expected, high + r.saving_high)
    return totals


def _headline(
    found: list[Recommendation], totals: dict[str, tuple[Decimal, Decimal, Decimal]], kind: str | None, scope: str
) -> str:
    what = f" ({_KINDS[kind]})" if kind else ""
    on = at.on(scope)
    if not found:
        return f"0 savings{what}{on} are known now."
    amounts = [
        f"{words.money(expected, currency)} (between {words.money(low, currency)} and {words.money(high, currency)})"
        for currency, (low, expected, high) in totals.items()
    ]
    first = f"{words.listed(amounts, 4) if len(amounts) > 1 else amounts[0]} per month could be saved{on}{what}"
    top = found[0]
    return f"{first} with {len(found)} {'recommendation' if len(found) == 1 else 'recommendations'}; the largest: {words.name(top.title)}."


def _tables(shown: list[Recommendation]) -> tuple[Table, ...]:
    made = []
    for currency in dict.fromkeys(r.currency for r in shown):
        rows: list[tuple[str | Decimal | None, ...]] = [
            (
                words.name(r.title),
                _KINDS.get(r.kind, r.kind),
                r.saving_expected,
                r.saving_low,
                r.saving_high,
                r.risk,
                r.id,
                "; ".join(words.name(b) for b in r.blocked_by) or "-",
            )
            for r in shown
            if r.currency == currency
        ]
        made.append(
            Table(
                "Savings per month",
                ("what", "kind", "expected", "low", "high", "risk", "id", "blocked by"),
                ("text", "text", "money", "money", "money", "text", "text", "text"),
                tuple(rows),
                currency,
            )
        )
    return tuple(made)


def propose_rollout(args: ProposeRollout, desk: Desk) -> ToolResult:
    """Propose a staged change: it waits for people, nothing is touched by it."""
    from agent.workflows import spot_migration

    echo = at.echo("propose_rollout", args.model_dump(mode="json", exclude_defaults=True), None, "", ())
    if not desk.principal.may(Permission.ROLLOUTS_PROPOSE):
        raise RefusedError(
            "role",
            f"{words.name(desk.principal.name)} may look but not propose changes (role {desk.principal.role}).",
            fix="Ask an administrator for the role requester.",
        )
    recommendation = _wanted(args, desk)
    run = spot_migration.start(desk, recommendation.id)
    rollout = requests.status(desk.database, desk.tenant, run.rollout_id)
    facts = _rollout_facts((rollout,), desk)
    return ToolResult(
        echo,
        facts.all,
        f"{_stands(rollout)} {run.sentence}".strip(),
        (),
        (),
        run.notes,
        desk.costs.coverage(),
        rollout.id,
    )


def _wanted(args: ProposeRollout, desk: Desk) -> Recommendation:
    """The recommendation that is meant; a name may fit its resource, its service or its title."""
    from tools.store import recommendations

    with desk.database.read() as tx:
        if args.recommendation:
            return recommendations.one(tx, desk.tenant, args.recommendation)
        known = recommendations.listing(tx, desk.tenant)
    name = split_words(args.resource)
    spots = [r for r in known if r.parameters.get("change")]
    exact = [r for r in spots if any(split_words(n) == name for n in _names(r))]
    found = exact or [r for r in spots if any(_within(name, split_words(n)) for n in (*_names(r), r.title))]
    if len(found) == 1:
        return found[0]
    if found:
        raise AmbiguousError(
            f'"{words.name(args.resource)}" fits {len(found)} recommendations. Which one is meant?',
            tuple(f"Propose {r.id} ({words.name(r.title)})" for r in found[:4]),
        )
    others = words.listed(n for r in spots for n in _names(r)[:1])
    advice = [r for r in known if any(_within(name, split_words(n)) for n in (*_names(r), r.title))]
    if advice:
        raise RefusedError(
            "not_executable",
            f"For {words.name(args.resource)} there is only advice ({words.name(advice[0].title)}): no safe automatic change exists.",
            fix="Do it by hand; the next recommendations will notice.",
        )
    raise NotFoundError(
        f'No saving by moving "{words.name(args.resource)}" is known now.',
        fix=f"What can be moved: {others}." if spots else "Nothing can be moved now; ask where money can be saved.",
    )


def _names(r: Recommendation) -> tuple[str, ...]:
    own = str(r.parameters.get("resource_id", ""))
    tails = (n.rsplit("/", 1)[-1] for n in (*r.resource_ids, own) if n)
    return tuple(dict.fromkeys(n for n in (own, *tails, *r.resource_ids, r.service) if n))


def _within(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    return bool(part) and any(whole[n : n + len(part)] == part for n in range(len(whole)))


def rollout_status(args: RolloutStatus, desk: Desk) -> ToolResult:
    """How one rollout, or all of them, stand."""
    echo = at.echo("rollout_status", args.model_dump(mode="json", exclude_defaults=True), None, "", ())
    found = _rollouts(args, desk)
    facts = _rollout_facts(found, desk)
    one = found[0] if len(found) == 1 else None
    if one:
        headline = _stands(one)
    elif found:
        live = [r for r in found if r.state not in TERMINAL]
        waiting = sum(1 for r in live if r.state in WAITING_FOR_PEOPLE)
        headline = f"{len(live)} {'rollout is' if len(live) == 1 else 'rollouts are'} under way, {waiting} of them waiting for people."
        facts.add("rollouts under way", "everything", len(live), "count")
        facts.add("rollouts waiting for people", "everything", waiting, "count")
    else:
        headline = f"0 rollouts{f' of {words.name(args.resource)}' if args.resource else ''} are known."
    return ToolResult(
        echo,
        facts.all,
        headline,
        _rollout_tables(found) if len(found) > 1 else (),
        (),
        (),
        desk.costs.coverage(),
        one.id if one else None,
    )


def _rollouts(args: RolloutStatus, desk: Desk) -> tuple[Rollout, ...]:
    if args.rollout:
        return (requests.status(desk.database, desk.tenant, args.rollout),)
    every = requests.listing(desk.database, desk.tenant)
    if not args.resource:
        live = tuple(r for r in every if r.state not in TERMINAL)
        return live or every[:1]
    name = split_words(args.resource)
    fits = [
        r
        for r in every
        if any(_within(name, split_words(n)) for n in (r.plan.resource_id, r.plan.service, r.plan.title))
    ]
    live_ones = [r for r in fits if r.state not in TERMINAL]
    return tuple(live_ones or fits[:1])


def _rollout_facts(found: tuple[Rollout, ...], desk: Desk) -> Facts:
    from sqlalchemy import select

    from tools.store.rollout_tables import rollouts as table

    query = select(table.c.id, table.c.state, table.c.stage, table.c.plan, table.c.observed).where(
        table.c.tenant == desk.tenant
    )
    if len(found) == 1:
        query = query.where(table.c.id == found[0].id)
    facts = Facts(at.stored(desk, query, len(found)))
    for r in found:
        facts.add("stage", r.id, r.current.percent, "percent")
        facts.add("units to change in this stage", r.id, r.current.units, "count")
        facts.add("units in all", r.id, r.plan.units, "count")
        facts.add("stages", r.id, len(r.plan.stages), "count")
        facts.add("expected saving per month", r.id, Decimal(r.plan.saving_monthly), currency=r.plan.currency)
        for kind, count in r.observed.items():
            if isinstance(count, int) and not isinstance(count, bool):
                facts.add(f"counted {kind.replace('_', ' ')}", r.id, count, "count")
    return facts


def _stands(r: Rollout) -> str:
    """Where a rollout stands in one or two sentences."""
    plan = r.plan
    stage = f"stage {r.stage + 1} of {len(plan.stages)} ({r.current.percent} %, {r.current.units} of {plan.count(plan.units)})"
    step = stage if len(plan.stages) > 1 else f"{plan.count(plan.units)} in one step"
    saving = f"{words.money(Decimal(plan.saving_monthly), plan.currency)} per month expected"
    counted = ", ".join(
        f"{count} {kind.replace('_', ' ')}"
        for kind, count in r.observed.items()
        if isinstance(count, int) and not isinstance(count, bool)
    )
    seen = f" Counted at the cloud: {counted}." if counted else ""
    why = f" {r.reason[0].upper()}{r.reason[1:].rstrip('.')}." if r.reason else ""
    return f"{words.name(plan.title)}: {_STATES.get(str(r.state), str(r.state).lower())}, {step}, {saving}.{why}{seen}"


_STATES = {
    "PROPOSED": "proposed and waiting for approval",
    "APPROVED": "approved, about to begin",
    "PREFLIGHT": "being checked before the first change",
    "EXECUTING": "changing",
    "BAKING": "changed, its health is being watched",
    "AWAITING_APPROVAL": "healthy and waiting for approval of the next stage",
    "FINALISING": "finishing",
    "SUCCEEDED": "done",
    "HELD": "held",
    "REJECTED": "rejected",
    "EXPIRED": "expired without a decision",
    "CANCELLED": "cancelled",
    "ROLLING_BACK": "being rolled back",
    "GUARDING": "rolled back, being watched",
    "ROLLED_BACK": "rolled back",
    "NEEDS_HUMAN": "in need of a person",
}


def _rollout_tables(found: tuple[Rollout, ...]) -> tuple[Table, ...]:
    made = []
    for currency in dict.fromkeys(r.plan.currency for r in found):
        rows: list[tuple[str | Decimal | None, ...]] = [
            (
                r.id,
                words.name(r.plan.title),
                _STATES.get(str(r.state), str(r.state)),
                Decimal(r.current.percent),
                Decimal(r.plan.saving_monthly),
            )
            for r in found
            if r.plan.currency == currency
        ]
        made.append(
            Table(
                "Rollouts",
                ("id", "what", "state", "stage", "saving per month"),
                ("text", "text", "text", "percent", "money"),
                tuple(rows),
                currency,
            )
        )
    return tuple(made)
