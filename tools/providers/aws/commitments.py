"""Commitments: reservations and savings plans that an account holds - how much of what, paid how, until when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from tools.model.errors import ProviderError
from tools.model.resource import Resource
from tools.providers.aws.connection import HOME_REGION
from tools.providers.aws.describing import COMMITMENT
from tools.providers.aws.refusals import our_words
from tools.providers.aws.sections import Place, Section

# Ended ones are history, and AWS lists them for ever.
_HELD = {"active", "payment-pending", "queued", "pending-return"}


def _machines(place: Place) -> Iterator[Resource]:
    with our_words(f"listing reserved instances of {place.account_id} in {place.region}"):
        found = place.client("ec2").describe_reserved_instances()["ReservedInstances"]
    for one in found:
        if one["State"] in _HELD:
            yield place.see.reservation(
                one["ReservedInstancesId"],
                name=f"{one['InstanceCount']} x {one['InstanceType']}",
                tags=one.get("Tags", []),
                category="usage",
                starts=one.get("Start"),
                ends=one.get("End"),
                state=one["State"],
                plan=_plan(one.get("OfferingType")),
                amounts={one["InstanceType"]: str(one["InstanceCount"])},
                scope=one.get("Scope", ""),
                platform=one.get("ProductDescription", ""),
                convertible=one.get("OfferingClass") == "convertible",
            )


def _databases(place: Place) -> Iterator[Resource]:
    for one in place.pages("rds", "describe_reserved_db_instances", "ReservedDBInstances", "reserved databases"):
        if one["State"] in _HELD:
            start: datetime | None = one.get("StartTime")
            yield place.see.reservation(
                one["ReservedDBInstanceId"],
                name=f"{one['DBInstanceCount']} x {one['DBInstanceClass']}",
                tags=(),
                category="usage",
                starts=start,
                ends=start + timedelta(seconds=one["Duration"]) if start else None,
                state=one["State"],
                plan=_plan(one.get("OfferingType")),
                amounts={one["DBInstanceClass"]: str(one["DBInstanceCount"])},
                engine=one.get("ProductDescription", ""),
                highly_available=bool(one.get("MultiAZ")),
            )


def _plans(place: Place) -> Iterator[Resource]:
    """Savings plans are the account's, not a region's."""
    client = place.connection.client("savingsplans", place.key, HOME_REGION)
    token, seen = "", set[str]()
    while True:
        with our_words(f"listing savings plans of {place.account_id}"):
            page: Mapping[str, Any] = client.describe_savings_plans(**({"nextToken": token} if token else {}))
        yield from (_plan_resource(place, one) for one in page["savingsPlans"] if one["state"] in _HELD)
        token = str(page.get("nextToken") or "")
        if not token:
            return
        if token in seen:
            raise ProviderError("AWS named the same page twice while listing savings plans; nothing of it is used.")
        seen.add(token)


def _plan_resource(place: Place, one: Mapping[str, Any]) -> Resource:
    family = one.get("ec2InstanceFamily", "")
    return place.see.reservation(
        # The bill names the plan by its ARN.
        one["savingsPlanArn"],
        name=f"{one['savingsPlanType']} savings plan, {one['currency']} {one['commitment']} an hour"
        + (f", {family} in {one.get('region', '')}" if family else ""),
        tags=[{"Key": key, "Value": value} for key, value in (one.get("tags") or {}).items()],
        category="spend",
        starts=datetime.fromisoformat(one["start"]) if one.get("start") else None,
        ends=datetime.fromisoformat(one["end"]) if one.get("end") else None,
        state=one["state"],
        plan=_plan(one.get("paymentOption")),
        amounts={"hourly": str(one["commitment"])},
        currency=one["currency"],
        kind=one["savingsPlanType"],
        family=family,
    )


def _plan(told: object) -> str:
    """ "No Upfront" -> "no_upfront"."""
    return str(told or "").lower().replace(" ", "_")


REGIONAL = (
    Section((COMMITMENT,), "reserved instances", _machines),
    Section((COMMITMENT,), "reserved databases", _databases),
)
GLOBAL = (Section((COMMITMENT,), "savings plans", _plans),)
