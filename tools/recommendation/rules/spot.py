"""Spot: stateless groups that are paid on demand and could run on spot capacity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from tools.model.price import Price
from tools.model.recommendation import Evidence, Recommendation
from tools.model.resource import Resource
from tools.recommendation.evidence import (
    HOURS,
    Band,
    Bill,
    Situation,
    amount,
    excluded,
    in_the_way,
    is_hours,
    number,
    price,
    recommendation,
    says_yes,
    total,
    words,
)
from tools.store.usage import Usage

KIND = "spot_migration"
CHANGES = {"AWS": "aws.asg_spot", "Google Cloud": "gcp.mig_spot", "Microsoft": "azure.vmss_spot"}
ON_DEMAND, SPOT = "Standard", "Dynamic"
# Without a price of its own: what spot capacity of common types is below on-demand in public price lists.
USUAL_DISCOUNT = Band(Decimal("0.40"), Decimal("0.60"), Decimal("0.70"))
# Spot prices move: the cautious end of a band assumes a quarter more than the highest price seen.
CAUTION = Decimal("1.25")
# Interrupted instances are replaced before they end and sometimes run on demand for a while: paid hours, not saved.
OVERHEAD = Decimal("0.05")
ONE_POOL = Decimal("0.2")
_STATEFUL_TAGS = ("stateful", "optiinfra:stateful")


def find(situation: Situation) -> Iterator[Recommendation]:
    """One recommendation per group that qualifies; a group that the bill does not price is left out."""
    for group in situation.of_kind("instance_group"):
        if qualifies(group) and (found := _recommend(situation, group)) is not None:
            yield found


def qualifies(group: Resource) -> bool:
    """Stateless by its tags, at least two instances, nothing on spot so far."""
    stateful = any(says_yes(group.tag(tag)) for tag in _STATEFUL_TAGS)
    counts = group.attributes.get("counts")
    spot = counts.get("spot", 0) if isinstance(counts, dict) else 0
    on_spot_already = bool(spot) or group.attributes.get("on_demand_percentage", 100) != 100
    return not excluded(group) and not stateful and not on_spot_already and number(group, "size") >= 2


def _recommend(situation: Situation, group: Resource) -> Recommendation | None:
    paid = on_demand_price(situation, group)
    if paid is None or paid.hourly is None:
        return None
    covered = covered_share(situation.lines(words(group, "members")))
    units = number(group, "size") - number(group, "on_demand_base")
    monthly = paid.hourly * HOURS * units * (1 - covered)
    discount, source, confidence = spot_discount(situation, group, paid)
    saved = Band(discount.low, discount.expected * (1 - OVERHEAD), discount.high)
    change = CHANGES.get(group.provider, "")
    return recommendation(
        situation,
        KIND,
        group,
        f"Move {group.name} ({units} instances) to spot capacity",
        Band(min(saved.low, saved.expected), saved.expected, saved.high).of(monthly),
        paid.currency,
        confidence=confidence if len(words(group, "instance_types")) > 1 else f"{Decimal(confidence) - ONE_POOL}",
        risk="R1",
        reversible=True,
        evidence=tuple(_evidence(situation, group, paid, monthly, covered, discount, source)),
        price_source=source,
        affected=monthly,
        change=change,
        blocked_by=in_the_way(group, change),
    )


def on_demand_price(situation: Situation, group: Resource) -> Bill | None:
    """What the group's own instances cost per on-demand hour; else its instance type in the same region."""
    own = [line for line in situation.lines(words(group, "members")) if line.pricing == ON_DEMAND]
    found = total((line for line in own if is_hours(line.unit)), situation.period, situation.usage.receipt)
    if found is not None and found.hourly is not None:
        return found
    return _type_price(situation, group, words(group, "instance_types")[:1], ON_DEMAND)


def covered_share(lines: Iterable[Usage]) -> Decimal:
    """The share of hours that a commitment pays for already: moving those would save nothing."""
    hours = [(line.pricing, line.quantity) for line in lines if is_hours(line.unit)]
    everything = sum((quantity for _, quantity in hours), Decimal(0))
    committed = sum((quantity for pricing, quantity in hours if pricing == "Committed"), Decimal(0))
    return committed / everything if everything else Decimal(0)


def spot_discount(situation: Situation, group: Resource, paid: Bill) -> tuple[Band, str, str]:
    """How much less a spot hour costs, where that is known from, and how sure that is.

    First the cloud's own price history, then spot usage of the same types on the bill, then a public rule of thumb.
    """
    assert paid.hourly is not None
    types = words(group, "instance_types")
    seen = [
        p
        for p in situation.prices
        if (p.provider, p.region, p.purchase, p.currency) == (group.provider, group.region, "spot", paid.currency)
        and p.sku in types
    ]
    if seen:
        return _below(paid.hourly, seen), "; ".join(p.source for p in seen[:3]), "0.9"
    own = _type_price(situation, group, types, SPOT)
    if own is not None and own.hourly is not None and own.currency == paid.currency:
        share = 1 - own.hourly / paid.hourly
        low = max(Decimal(0), 1 - own.hourly * CAUTION / paid.hourly)
        if share > 0:
            return Band(low, share, share), "the bill: spot usage of the same instance types", "0.8"
    return USUAL_DISCOUNT, "rule of thumb: public spot prices are 40 to 70 % below on-demand", "0.6"


def _below(hourly: Decimal, seen: list[Price]) -> Band:
    usual = sum((p.usual for p in seen), Decimal(0)) / len(seen)
    shares = (max(p.high for p in seen) * CAUTION, usual, min(p.low for p in seen))
    low, expected, high = (max(Decimal(0), 1 - spot / hourly) for spot in shares)
    return Band(min(low, expected), expected, max(high, expected))


def _type_price(situation: Situation, group: Resource, types: tuple[str, ...], pricing: str) -> Bill | None:
    lines = [
        line
        for line in situation.types.lines
        if line.pricing == pricing
        and line.region_id == group.region
        and is_hours(line.unit)
        and any(line.sku_id.endswith(f":{t}") or f" {t} " in line.charge_description for t in types)
    ]
    return total(lines, situation.period, situation.types.receipt)


def _evidence(
    situation: Situation,
    group: Resource,
    paid: Bill,
    monthly: Decimal,
    covered: Decimal,
    discount: Band,
    source: str,
) -> Iterator[Evidence]:
    assert paid.hourly is not None
    yield Evidence(
        "Paid on demand",
        f"{price(paid.hourly, paid.currency)} per instance hour, {amount(monthly, paid.currency)} a month",
        f"bill, {situation.period}",
        paid.receipt,
    )
    spot = paid.hourly * (1 - discount.expected)
    yield Evidence("Spot price", f"about {price(spot, paid.currency)} per instance hour", source)
    yield Evidence("Stateless", "no tag says that it keeps state or must be left alone", "inventory")
    types, zones = words(group, "instance_types"), words(group, "zones")
    yield Evidence(
        "Spot pools",
        f"{len(types)} instance types ({', '.join(types)}) in {len(zones)} zones",
        "inventory" if len(types) > 1 else "inventory; more instance types in the group would lower the risk",
    )
    yield Evidence("Interruptions", f"{OVERHEAD * 100:.0f} % of the hours are counted as not saved", "rule of thumb")
    if covered:
        yield Evidence(
            "Commitments",
            f"{covered * 100:.0f} % of its hours are paid by a commitment already and are not counted",
            f"bill, {situation.period}",
            situation.usage.receipt,
        )
