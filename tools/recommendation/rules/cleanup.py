"""Cleanup: volumes attached to nothing, old snapshots, idle addresses, balancers and gateways that cost all the same."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tools.model.recommendation import Evidence, Recommendation
from tools.model.resource import Resource
from tools.providers import catalog
from tools.recommendation.evidence import (
    Band,
    Bill,
    Situation,
    amount,
    days_since,
    excluded,
    in_the_way,
    number,
    recommendation,
    says_yes,
    text,
    words,
)

KIND = "cleanup"
# The executable change of each kind of leftover, where its cloud has one.
CHANGES = {
    ("AWS", "volume"): "aws.volume_delete",
    ("AWS", "snapshot"): "aws.snapshot_delete",
    ("AWS", "address"): "aws.address_release",
    ("Google Cloud", "volume"): "gcp.disk_delete",
    ("Google Cloud", "address"): "gcp.address_release",
    ("Microsoft", "volume"): "azure.disk_delete",
    ("Microsoft", "address"): "azure.ip_release",
    ("Vultr", "volume"): "vultr.block_delete",
    ("Vultr", "snapshot"): "vultr.snapshot_delete",
    ("Vultr", "address"): "vultr.ip_release",
}
VOLUME_DAYS = 14
SNAPSHOT_DAYS = 180
# A volume is deleted after a last snapshot, which costs about half of it while it is kept.
_AFTER_SNAPSHOT = Band(Decimal("0.5"), Decimal("0.9"), Decimal(1))
_ALL = Band(Decimal(1), Decimal(1), Decimal(1))


def find(situation: Situation) -> Iterator[Recommendation]:
    """One recommendation per thing that nobody uses and that costs something on the bill."""
    for volume in situation.of_kind("volume"):
        age = days_since(volume, "created_at", situation.today)
        if volume.attributes.get("attached") is False and age is not None and age >= VOLUME_DAYS:
            title = f"Delete volume {volume.name} ({number(volume, 'gib')} GiB, attached to nothing)"
            why = f"state {text(volume, 'state')}, created {age} days ago, attached to no instance"
            yield from _unused(situation, volume, title, why, _AFTER_SNAPSHOT, "0.85", reversible=True)
    for snapshot in situation.of_kind("snapshot"):
        age = days_since(snapshot, "created_at", situation.today)
        if age is not None and age >= SNAPSHOT_DAYS and not words(snapshot, "images") and not _kept(snapshot):
            title = f"Delete snapshot {snapshot.name} ({age} days old)"
            why = f"taken {age} days ago of a volume of {number(snapshot, 'gib')} GiB, used by no image"
            yield from _unused(situation, snapshot, title, why, _ALL, "0.7", reversible=False)
    for address in situation.of_kind("address"):
        if address.attributes.get("attached") is False:
            title = f"Release address {text(address, 'ip') or address.id} ({address.name})"
            yield from _unused(situation, address, title, "associated with nothing", _ALL, "0.9", reversible=False)
    for balancer in situation.of_kind("load_balancer"):
        # Targets are counted; requests that nobody measured are not taken for none, but must not be any.
        if balancer.attributes.get("targets") == 0 and not balancer.attributes.get("requests"):
            title = f"Delete load balancer {balancer.name} (nothing stands behind it)"
            why = "no target is registered with it, and no request was counted in two weeks"
            yield from _unused(situation, balancer, title, why, _ALL, "0.8", reversible=False)
    for gateway in situation.of_kind("nat_gateway"):
        if gateway.attributes.get("bytes_out") == 0:
            title = f"Delete NAT gateway {gateway.name} (nothing goes through it)"
            yield from _unused(
                situation, gateway, title, "0 bytes went out in two weeks", _ALL, "0.8", reversible=False
            )


def _unused(
    situation: Situation,
    resource: Resource,
    title: str,
    why: str,
    share: Band,
    confidence: str,
    *,
    reversible: bool,
) -> Iterator[Recommendation]:
    bill = None if excluded(resource) else situation.bill(resource)
    if bill is None or bill.monthly <= 0:
        return
    change = CHANGES.get((resource.provider, resource.kind), "")
    about = catalog.about(change)
    yield recommendation(
        situation,
        KIND,
        resource,
        title,
        share.of(bill.monthly),
        bill.currency,
        confidence=confidence,
        risk=about.risk if about else "R2",
        reversible=reversible,
        evidence=(_cost(situation, bill), Evidence("Unused", why, "inventory")),
        price_source="the bill: cost of this resource",
        affected=bill.monthly,
        change=change,
        blocked_by=in_the_way(resource, change),
    )


def _cost(situation: Situation, bill: Bill) -> Evidence:
    return Evidence(
        "Costs now", f"{amount(bill.monthly, bill.currency)} a month", f"bill, {situation.period}", bill.receipt
    )


def _kept(resource: Resource) -> bool:
    return says_yes(resource.tag("keep")) or says_yes(resource.tag("retain"))
