"""Advice: what AWS's own advisers say of an account's things, with the saving they promise a month."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tools.model.errors import DeniedError, ProviderError
from tools.model.money import plain
from tools.model.resource import Resource
from tools.providers.aws.connection import Connection
from tools.providers.aws.refusals import our_words

HUB, OPTIMIZER = "Cost Optimization Hub", "Compute Optimizer"
HUB_REGION = "us-east-1"
_REFUSALS = ("AccessDeniedException", "OptInRequiredException", "ValidationException", "ResourceNotFoundException")


@dataclass(frozen=True, slots=True)
class Advice:
    """One recommendation of AWS: about which resource (id or ARN), what to do, and what a month of it saves."""

    resource: str
    recommender: str
    subtype: str
    saving: Decimal
    currency: str

    def as_attribute(self) -> dict[str, str]:
        """JSON-ready, for a resource's attributes."""
        return {
            "recommender": self.recommender,
            "subtype": self.subtype,
            "monthly_saving": plain(self.saving),
            "currency": self.currency,
        }


def advised(resources: Iterable[Resource], advice: Iterable[Advice]) -> Iterator[Resource]:
    """The same resources, each with what AWS advises for it."""
    told: dict[str, list[dict[str, str]]] = {}
    for one in advice:
        told.setdefault(one.resource, []).append(one.as_attribute())
    for resource in resources:
        names = {resource.id, str(resource.attributes.get("arn", resource.id))}
        mine = [attribute for name in sorted(names) for attribute in told.get(name, ())]
        yield replace(resource, attributes={**resource.attributes, "advice": mine}) if mine else resource


def advice(connection: Connection, key: str, account_id: str) -> tuple[Advice, ...]:
    """Every open recommendation about one account's things.

    The Hub takes what the other advisers say and counts each saving once, so Compute Optimizer is asked only where
    the Hub may not be asked or is not switched on. An adviser that says nothing hides no resource.
    """
    try:
        return tuple(_hub(connection, key, account_id))
    except DeniedError:
        return tuple(_optimizer(connection, key, account_id))
    except ProviderError as error:
        if not _not_switched_on(error):
            raise
        return tuple(_optimizer(connection, key, account_id))


def _hub(connection: Connection, key: str, account_id: str) -> Iterator[Advice]:
    client = connection.client("cost-optimization-hub", key, HUB_REGION)
    with our_words(f"asking AWS's {HUB} about {account_id}"):
        pages = client.get_paginator("list_recommendations").paginate(filter={"accountIds": [account_id]})
        found = [of_hub(item) for page in pages for item in page["items"]]
    yield from (one for one in found if one is not None)


def of_hub(item: Mapping[str, Any]) -> Advice | None:
    """A recommendation of the Hub; None when it promises no saving or is about no single resource."""
    saving = Decimal(str(item.get("estimatedMonthlySavings", 0)))
    resource = str(item.get("resourceId") or item.get("resourceArn") or "")
    if saving <= 0 or not resource or item.get("actionType") in _BUYING:
        return None
    subtype = f"{item.get('actionType', '')} {item.get('recommendedResourceSummary', '')}".strip()
    # A function or load balancer is known by its ARN, a machine by its id.
    named = str(item.get("resourceArn") or resource) if item.get("currentResourceType") in _BY_ARN else resource
    return Advice(named, HUB, subtype, saving, str(item.get("currencyCode", "USD")))


_BUYING = {"PurchaseSavingsPlans", "PurchaseReservedInstances"}
_BY_ARN = {"LambdaFunction", "EcsService", "RdsDbInstance", "RdsDbInstanceStorage"}


def _optimizer(connection: Connection, key: str, account_id: str) -> Iterator[Advice]:
    for region in connection.regions:
        client = connection.client("compute-optimizer", key, region)
        for call, items, read in _ASKED:
            try:
                with our_words(f"asking AWS's {OPTIMIZER} about {account_id} in {region}"):
                    told = list(_pages(getattr(client, call), items))
            except DeniedError:
                continue
            except ProviderError as error:
                if not _not_switched_on(error):
                    raise
                return
            yield from (one for item in told if (one := read(item)) is not None)


def _pages(ask: Callable[..., Mapping[str, Any]], items: str) -> Iterator[Mapping[str, Any]]:
    """Compute Optimizer's lists have no paginator of their own."""
    token, seen = "", set[str]()
    while True:
        page = ask(**({"nextToken": token} if token else {}))
        yield from page.get(items, ())
        token = str(page.get("nextToken") or "")
        if not token:
            return
        if token in seen:
            raise ProviderError(f"AWS named the same page twice while asking its {OPTIMIZER}; nothing of it is used.")
        seen.add(token)


def best(options: Iterable[Mapping[str, Any]], name: str) -> tuple[str, Decimal, str] | None:
    """The option that saves most: what it is, how much a month, in which currency; None when none saves."""
    found = []
    for option in options:
        saved = (option.get("savingsOpportunity") or {}).get("estimatedMonthlySavings") or {}
        amount = Decimal(str(saved.get("value", 0)))
        if amount > 0:
            found.append((amount, str(_at(option, name) or ""), str(saved.get("currency", "USD"))))
    if not found:
        return None
    amount, what, currency = max(found)
    return what, amount, currency


def _at(option: Mapping[str, Any], path: str) -> object:
    value: Any = option
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _reader(resource: str, options: str, name: str) -> Callable[[Mapping[str, Any]], Advice | None]:
    def read(item: Mapping[str, Any]) -> Advice | None:
        found = best(item.get(options) or (), name)
        if found is None:
            return None
        what, saving, currency = found
        named = str(item[resource])
        # Machines, volumes and groups are known by what their ARN ends in.
        short = named.rpartition("/")[2] if ":instance/" in named or ":volume/" in named else named
        return Advice(short, OPTIMIZER, f"change to {what}", saving, currency)

    return read


_ASKED = (
    (
        "get_ec2_instance_recommendations",
        "instanceRecommendations",
        _reader("instanceArn", "recommendationOptions", "instanceType"),
    ),
    (
        "get_auto_scaling_group_recommendations",
        "autoScalingGroupRecommendations",
        _reader("autoScalingGroupName", "recommendationOptions", "configuration.instanceType"),
    ),
    (
        "get_ebs_volume_recommendations",
        "volumeRecommendations",
        _reader("volumeArn", "volumeRecommendationOptions", "configuration.volumeType"),
    ),
    (
        "get_lambda_function_recommendations",
        "lambdaFunctionRecommendations",
        _reader("functionArn", "memorySizeRecommendationOptions", "memorySize"),
    ),
    (
        "get_rds_database_recommendations",
        "rdsDBRecommendations",
        _reader("resourceArn", "instanceRecommendationOptions", "dbInstanceClass"),
    ),
)


def _not_switched_on(error: ProviderError) -> bool:
    """AWS words it as a refusal of one of a few kinds; what else went wrong is no reason to go on."""
    cause = error.__cause__
    code = getattr(cause, "response", {}).get("Error", {}).get("Code", "")
    return code in _REFUSALS
