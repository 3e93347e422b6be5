"""Prices: Vultr's public monthly prices per plan, and the hours after which a month is paid in full."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from tools.model.money import EXACT
from tools.model.price import Price
from tools.model.resource import Resource
from tools.providers.rest import Asking
from tools.providers.vultr.connection import PROVIDER, Connection

CURRENCY = "USD"
# A month costs its plan's price, reached after so many hours.
HOURS_PAID = 672
# Not told by the API: Vultr's public price list (seen 2026-11), USD a month; snapshots per GB.
ADDRESS_MONTH = Decimal(3)
BALANCER_MONTH = Decimal(10)
SNAPSHOT_GB_MONTH = Decimal("0.05")
# Automatic backups cost this share of the instance.
BACKUP_SHARE = Decimal("0.2")


def plans(connection: Connection) -> dict[str, Decimal]:
    """Plan id -> USD a month, of virtual and bare metal machines."""
    found: dict[str, Decimal] = {}
    for path, key in (("/v2/plans", "plans"), ("/v2/plans-metal", "plans_metal")):
        for plan in connection.listing(path, key, Asking("reading price lists")):
            if plan.get("id") and (price := number(plan.get("monthly_cost"))) is not None:
                found[str(plan["id"])] = price
    return found


def hourly(monthly: Decimal) -> Decimal:
    """What an hour costs of something with a price per month."""
    return EXACT.divide(monthly, Decimal(HOURS_PAID)).quantize(Decimal("0.0000000001"), context=EXACT)


def monthly_price(resource: Resource, plans: dict[str, Decimal]) -> Decimal | None:
    """What a resource costs in a whole month at list price; None when it is not known."""
    attributes = resource.attributes
    if resource.kind == "volume":
        told = attributes.get("monthly_cost")
        return Decimal(told) if isinstance(told, str) else None
    if resource.kind == "address":
        return ADDRESS_MONTH
    if resource.kind == "load_balancer":
        return BALANCER_MONTH * (number(attributes.get("nodes")) or 1)
    if resource.kind == "snapshot":
        size = number(attributes.get("billed_gib"))
        return None if size is None else EXACT.multiply(size, SNAPSHOT_GB_MONTH)
    price = plans.get(str(attributes.get("instance_type", "")))
    if price is not None and attributes.get("backups"):
        return EXACT.multiply(price, 1 + BACKUP_SHARE)
    return price


def told(resources: Iterable[Resource], plans: dict[str, Decimal], now: datetime) -> tuple[Price, ...]:
    """One on-demand Price per region and plan in use. Vultr sells no spot capacity, so there is no other."""
    wanted = {(r.region, str(r.attributes.get("instance_type", ""))) for r in resources}
    return tuple(
        Price(
            PROVIDER, region, sku, "on_demand", "hour", price, price, price, CURRENCY, now, "Vultr's public price list"
        )
        for region, sku in sorted(wanted)
        if sku in plans
        for price in (hourly(plans[sku]),)
    )


def number(value: object) -> Decimal | None:
    """A number as JSON had it, exact; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value)
