"""Idle: instances that metrics prove unused, and stopped ones whose disks go on costing; no data is never idle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from tools.model.recommendation import Evidence, Recommendation
from tools.model.resource import Resource
from tools.recommendation.evidence import (
    MEASURED_BY,
    Band,
    Bill,
    Situation,
    amount,
    days_since,
    excluded,
    in_the_way,
    recommendation,
    text,
    total,
    words,
)

KIND = "idle"
CHANGES = {"AWS": "aws.instance_stop"}
IDLE_CPU_PERCENT = 5
STOPPED_DAYS = 30
# Half of two weeks of hours: with fewer datapoints, use is not known.
LEAST_HOURS = 168
_ALL = Band(Decimal("0.9"), Decimal(1), Decimal(1))


def find(situation: Situation) -> Iterator[Recommendation]:
    """Standalone instances only: what a group's instances do is the group's matter."""
    for instance in situation.of_kind("instance"):
        if excluded(instance) or text(instance, "group"):
            continue
        if text(instance, "state") == "running":
            yield from _running(situation, instance)
        elif text(instance, "state") == "stopped":
            yield from _stopped(situation, instance)


def use_of(instance: Resource) -> Mapping[str, float] | None:
    """CPU use with enough datapoints behind it, or None: unknown."""
    use = instance.attributes.get("utilisation")
    return use if isinstance(use, dict) and use.get("hours", 0) >= LEAST_HOURS else None


def _running(situation: Situation, instance: Resource) -> Iterator[Recommendation]:
    use = use_of(instance)
    bill = situation.bill(instance)
    if use is None or bill is None or bill.monthly <= 0 or use["cpu_maximum"] >= IDLE_CPU_PERCENT:
        return
    yield recommendation(
        situation,
        KIND,
        instance,
        f"Stop {instance.name} ({text(instance, 'instance_type')}, never above {use['cpu_maximum']:.1f} % CPU)",
        _ALL.of(bill.monthly),
        bill.currency,
        confidence="0.75",
        risk="R1",
        reversible=True,
        change=CHANGES.get(instance.provider, ""),
        blocked_by=in_the_way(instance, CHANGES.get(instance.provider, "")),
        evidence=(_cost(situation, bill), _cpu(instance.provider, use)),
        price_source="the bill: cost of this instance",
        affected=bill.monthly,
    )


def _stopped(situation: Situation, instance: Resource) -> Iterator[Recommendation]:
    days = days_since(instance, "stopped_since", situation.today)
    volumes = words(instance, "volumes")
    bill = total(situation.lines({instance.id, *volumes}), situation.period, situation.usage.receipt)
    if days is None or days < STOPPED_DAYS or bill is None or bill.monthly <= 0:
        return
    yield recommendation(
        situation,
        KIND,
        instance,
        f"Remove {instance.name}, stopped for {days} days, with its {len(volumes)} volumes",
        _ALL.of(bill.monthly),
        bill.currency,
        confidence="0.7",
        risk="R2",
        reversible=False,
        evidence=(_cost(situation, bill), Evidence("Stopped", f"for {days} days", "inventory")),
        price_source="the bill: cost of this instance and its volumes",
        affected=bill.monthly,
        resource_ids=(instance.id, *volumes),
    )


def _cost(situation: Situation, bill: Bill) -> Evidence:
    return Evidence(
        "Costs now", f"{amount(bill.monthly, bill.currency)} a month", f"bill, {situation.period}", bill.receipt
    )


def _cpu(provider: str, use: Mapping[str, float]) -> Evidence:
    return Evidence(
        "CPU",
        f"average {use['cpu_average']:.1f} %, highest {use['cpu_maximum']:.1f} % over {use['hours']:.0f} hours",
        f"{MEASURED_BY.get(provider, 'metrics')}, hourly",
    )
