"""What moto has nothing of, against Amazon's own service model: each answer in its documented shape, each request valid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from tests.providers.conftest import REGION
from tools.model.errors import DeniedError, ProviderError, ThrottledError
from tools.model.resource import Resource
from tools.providers.aws import advice, commitments, prices
from tools.providers.aws.connection import Connection
from tools.providers.aws.prices import Offer, list_price, on_demand
from tools.providers.aws.sections import Place

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
ACCOUNT = "100000000002"
Stub = Callable[[str], Stubber]


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Connection, Stub]]:
    """A connection whose clients answer only what a test put in; all of it must be asked for."""
    stubs: dict[str, Stubber] = {}

    def client(self: Connection, service: str, *_: Any, **__: Any) -> Any:
        if service not in stubs:
            made = boto3.client(service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
            stubs[service] = Stubber(made)
            stubs[service].activate()
        return stubs[service].client

    monkeypatch.setattr(Connection, "client", client)
    connection = Connection((REGION,))

    def stub(service: str) -> Stubber:
        connection.client(service, "", REGION)
        return stubs[service]

    yield connection, stub
    for one in stubs.values():
        one.assert_no_pending_responses()


def place(connection: Connection) -> Place:
    return Place(connection, ACCOUNT, "", REGION, NOW)


def section(connection: Connection, what: str) -> list[Resource]:
    (found,) = (s for s in (*commitments.REGIONAL, *commitments.GLOBAL) if s.what == what)
    return list(found.read(place(connection)))


def test_reserved_instances_that_are_held(stubbed: tuple[Connection, Stub]) -> None:
    """Active ones with how many of what and until when; ended ones are history."""
    connection, stub = stubbed
    one: dict[str, Any] = {
        "ReservedInstancesId": "f127bd27-edb7-44c9-a0eb-0d7e09259af0",
        "InstanceType": "m5.large",
        "InstanceCount": 4,
        "State": "active",
        "Start": datetime(2026, 1, 1, tzinfo=UTC),
        "End": datetime(2027, 1, 1, tzinfo=UTC),
        "OfferingType": "Partial Upfront",
        "OfferingClass": "convertible",
        "ProductDescription": "Linux/UNIX",
        "Scope": "Region",
    }
    ended = one | {"ReservedInstancesId": "e5ad5c39-0000-44c9-a0eb-0d7e09259af0", "State": "retired"}
    stub("ec2").add_response("describe_reserved_instances", {"ReservedInstances": [one, ended]}, {})
    (held,) = section(connection, "reserved instances")
    assert (held.kind, held.name) == ("commitment", "4 x m5.large")
    assert held.attributes["plan"] == "partial_upfront"
    assert held.attributes["amounts"] == {"m5.large": "4"}
    assert held.attributes["convertible"] is True
    assert held.attributes["ends_at"] == "2027-01-01T00:00:00+00:00"


def test_reserved_databases_over_two_pages(stubbed: tuple[Connection, Stub]) -> None:
    """RDS tells how long a reservation lasts, not when it ends."""
    connection, stub = stubbed
    one: dict[str, Any] = {
        "ReservedDBInstanceId": "orders-1",
        "DBInstanceClass": "db.r6g.2xlarge",
        "DBInstanceCount": 1,
        "State": "active",
        "StartTime": datetime(2026, 1, 1, tzinfo=UTC),
        "Duration": 31_536_000,
        "OfferingType": "No Upfront",
        "ProductDescription": "postgresql",
        "MultiAZ": True,
    }
    stub("rds").add_response("describe_reserved_db_instances", {"ReservedDBInstances": [one], "Marker": "m"}, {})
    second = one | {"ReservedDBInstanceId": "orders-2"}
    stub("rds").add_response("describe_reserved_db_instances", {"ReservedDBInstances": [second]}, {"Marker": "m"})
    held = section(connection, "reserved databases")
    assert [r.id for r in held] == ["orders-1", "orders-2"]
    assert held[0].attributes["ends_at"] == "2027-01-01T00:00:00+00:00"
    assert held[0].attributes["highly_available"] is True


PLAN: dict[str, Any] = {
    "offeringId": "2f9a3d4e-0000-4000-8000-000000000000",
    "savingsPlanId": "4d2e0f1a-0000-4000-8000-000000000000",
    "savingsPlanArn": "arn:aws:savingsplans::100000000002:savingsplan/4d2e0f1a-0000-4000-8000-000000000000",
    "description": "3 year No Upfront Compute Savings Plan",
    "start": "2026-01-01T00:00:00.000Z",
    "end": "2028-12-31T23:59:59.000Z",
    "state": "active",
    "savingsPlanType": "Compute",
    "paymentOption": "No Upfront",
    "productTypes": ["EC2", "Lambda", "Fargate"],
    "currency": "USD",
    "commitment": "10.00",
    "upfrontPaymentAmount": "0.00",
    "recurringPaymentAmount": "10.00",
    "termDurationInSeconds": 94_608_000,
    "tags": {"team": "platform"},
}


def test_savings_plans_over_two_pages(stubbed: tuple[Connection, Stub]) -> None:
    """The commitment per hour, under the ARN that bills name."""
    connection, stub = stubbed
    stub("savingsplans").add_response("describe_savings_plans", {"savingsPlans": [PLAN], "nextToken": "two"}, {})
    retired = PLAN | {"state": "retired"}
    stub("savingsplans").add_response("describe_savings_plans", {"savingsPlans": [retired]}, {"nextToken": "two"})
    (held,) = section(connection, "savings plans")
    assert held.name == "Compute savings plan, USD 10.00 an hour"
    assert (held.id, held.tag("team")) == (PLAN["savingsPlanArn"], "platform")
    assert held.attributes["category"] == "spend"


def test_savings_plans_whose_pages_go_round(stubbed: tuple[Connection, Stub]) -> None:
    """It ends, and in words."""
    connection, stub = stubbed
    for token in ({}, {"nextToken": "two"}):
        stub("savingsplans").add_response("describe_savings_plans", {"savingsPlans": [], "nextToken": "two"}, token)
    with pytest.raises(ProviderError, match="same page twice"):
        section(connection, "savings plans")


def hub_item(**more: Any) -> dict[str, Any]:
    return {
        "recommendationId": "abc",
        "accountId": ACCOUNT,
        "region": REGION,
        "resourceId": "i-0123456789abcdef0",
        "resourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0",
        "currentResourceType": "Ec2Instance",
        "recommendedResourceType": "Ec2Instance",
        "estimatedMonthlySavings": 70.08,
        "estimatedSavingsPercentage": 50.0,
        "estimatedMonthlyCost": 140.16,
        "currencyCode": "USD",
        "implementationEffort": "Medium",
        "restartNeeded": True,
        "actionType": "Rightsize",
        "rollbackPossible": True,
        "currentResourceSummary": "m5.xlarge",
        "recommendedResourceSummary": "m5.large",
        "source": "ComputeOptimizer",
        **more,
    }


def test_the_hub_is_asked_page_by_page(stubbed: tuple[Connection, Stub]) -> None:
    """A function is known by its ARN; buying a plan is no advice about a thing; nothing saved is no advice."""
    connection, stub = stubbed
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:notify"
    function = hub_item(resourceId="notify", resourceArn=arn, currentResourceType="LambdaFunction")
    wanted = {"filter": {"accountIds": [ACCOUNT]}}
    first = {"items": [hub_item(), function], "nextToken": "two"}
    second = {"items": [hub_item(actionType="PurchaseSavingsPlans"), hub_item(estimatedMonthlySavings=0.0)]}
    stub("cost-optimization-hub").add_response("list_recommendations", first, wanted)
    stub("cost-optimization-hub").add_response("list_recommendations", second, wanted | {"nextToken": "two"})
    told = advice.advice(connection, "", ACCOUNT)
    assert [one.resource for one in told] == ["i-0123456789abcdef0", arn]
    assert told[0].as_attribute() == {
        "recommender": "Cost Optimization Hub",
        "subtype": "Rightsize m5.large",
        "monthly_saving": "70.08",
        "currency": "USD",
    }


def saving(value: float) -> dict[str, Any]:
    return {"savingsOpportunityPercentage": 50.0, "estimatedMonthlySavings": {"currency": "USD", "value": value}}


OPTIMIZER: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "get_ec2_instance_recommendations": (
        "instanceRecommendations",
        [
            {
                "instanceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0aa",
                "accountId": ACCOUNT,
                "currentInstanceType": "m5.2xlarge",
                "finding": "OVER_PROVISIONED",
                "recommendationOptions": [
                    {"instanceType": "m5.xlarge", "rank": 2, "savingsOpportunity": saving(120.5)},
                    {"instanceType": "m6g.xlarge", "rank": 1, "savingsOpportunity": saving(150.25)},
                ],
            },
            {
                "instanceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0bb",
                "finding": "OPTIMIZED",
                "recommendationOptions": [{"instanceType": "m5.large", "rank": 1}],
            },
        ],
    ),
    "get_auto_scaling_group_recommendations": (
        "autoScalingGroupRecommendations",
        [
            {
                "autoScalingGroupName": "checkout-workers",
                "finding": "NOT_OPTIMIZED",
                "recommendationOptions": [
                    {"configuration": {"instanceType": "m6i.xlarge"}, "savingsOpportunity": saving(900.0)}
                ],
            }
        ],
    ),
    "get_ebs_volume_recommendations": (
        "volumeRecommendations",
        [
            {
                "volumeArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-0cc",
                "finding": "NotOptimized",
                "volumeRecommendationOptions": [
                    {"configuration": {"volumeType": "gp3", "volumeSize": 100}, "savingsOpportunity": saving(2.2)}
                ],
            }
        ],
    ),
    "get_lambda_function_recommendations": (
        "lambdaFunctionRecommendations",
        [
            {
                "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:image-resize",
                "finding": "NotOptimized",
                "memorySizeRecommendationOptions": [{"memorySize": 1024, "savingsOpportunity": saving(31.0)}],
            }
        ],
    ),
    "get_rds_database_recommendations": (
        "rdsDBRecommendations",
        [
            {
                "resourceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:catalog",
                "instanceFinding": "Overprovisioned",
                "instanceRecommendationOptions": [
                    {"dbInstanceClass": "db.r6g.xlarge", "savingsOpportunity": saving(388.36)}
                ],
            }
        ],
    ),
}


def test_without_the_hub_compute_optimizer_is_asked(stubbed: tuple[Connection, Stub]) -> None:
    """The best option of each thing, on things of five kinds; pages that Amazon's client does not follow are followed."""
    connection, stub = stubbed
    stub("cost-optimization-hub").add_client_error("list_recommendations", "AccessDeniedException", "no", 400)
    optimizer = stub("compute-optimizer")
    for number, (call, (items, told)) in enumerate(OPTIMIZER.items()):
        if number == 0:
            optimizer.add_response(call, {items: told[:1], "nextToken": "two"}, {})
            optimizer.add_response(call, {items: told[1:]}, {"nextToken": "two"})
        else:
            optimizer.add_response(call, {items: told}, {})
    found = {one.resource: (one.subtype, one.saving) for one in advice.advice(connection, "", ACCOUNT)}
    assert found == {
        "i-0aa": ("change to m6g.xlarge", Decimal("150.25")),
        "checkout-workers": ("change to m6i.xlarge", Decimal("900.0")),
        "vol-0cc": ("change to gp3", Decimal("2.2")),
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:image-resize": ("change to 1024", Decimal("31.0")),
        f"arn:aws:rds:{REGION}:{ACCOUNT}:db:catalog": ("change to db.r6g.xlarge", Decimal("388.36")),
    }


def test_an_adviser_that_is_not_switched_on_says_nothing_and_one_that_fails_is_told(
    stubbed: tuple[Connection, Stub],
) -> None:
    """No opt-in is no failure; being throttled is one."""
    connection, stub = stubbed
    hub, optimizer = stub("cost-optimization-hub"), stub("compute-optimizer")
    hub.add_client_error("list_recommendations", "ValidationException", "not enrolled", 400)
    optimizer.add_client_error("get_ec2_instance_recommendations", "OptInRequiredException", "no", 403)
    for call in list(OPTIMIZER)[1:]:
        optimizer.add_client_error(call, "OptInRequiredException", "no", 403)
    assert advice.advice(connection, "", ACCOUNT) == ()
    hub.add_client_error("list_recommendations", "ThrottlingException", "slow down", 400)
    with pytest.raises(ThrottledError):
        advice.advice(connection, "", ACCOUNT)


def product(*rates: dict[str, Any]) -> str:
    import json

    dimensions = {f"rate{n}": {"rateCode": f"rate{n}", "appliesTo": [], **rate} for n, rate in enumerate(rates)}
    term = {"priceDimensions": dimensions, "sku": "ABC", "offerTermCode": "JRTCKXETXF", "termAttributes": {}}
    return json.dumps({"product": {"sku": "ABC"}, "terms": {"OnDemand": {"ABC.JRTCKXETXF": term}}})


HOURLY = {"unit": "Hrs", "pricePerUnit": {"USD": "0.4280000000"}, "beginRange": "0", "endRange": "Inf"}


def test_a_list_price_over_two_pages(stubbed: tuple[Connection, Stub]) -> None:
    """The request names one product; the same price twice is one price."""
    connection, stub = stubbed
    offer = Offer(REGION, "m5.2xlarge", "AmazonEC2", (("instanceType", "m5.2xlarge"), ("regionCode", REGION)))
    wanted = {
        "ServiceCode": "AmazonEC2",
        "Filters": [
            {"Type": "TERM_MATCH", "Field": "instanceType", "Value": "m5.2xlarge"},
            {"Type": "TERM_MATCH", "Field": "regionCode", "Value": REGION},
        ],
        "FormatVersion": "aws_v1",
    }
    stub("pricing").add_response("get_products", {"PriceList": [product(HOURLY)], "NextToken": "two"}, wanted)
    stub("pricing").add_response("get_products", {"PriceList": [product(HOURLY)]}, wanted | {"NextToken": "two"})
    price = list_price(connection.client("pricing", "", REGION), offer, NOW)
    assert price is not None
    assert (price.usual, price.unit, price.purchase, price.currency) == (Decimal("0.428"), "hour", "on_demand", "USD")
    dearer = product(HOURLY | {"pricePerUnit": {"USD": "0.5"}})
    stub("pricing").add_response("get_products", {"PriceList": [product(HOURLY), dearer]}, ANY_REQUEST)
    assert list_price(connection.client("pricing", "", REGION), offer, NOW) is None, "which one is meant is not known"
    stub("pricing").add_client_error("get_products", "AccessDeniedException", "no", 400)
    with pytest.raises(DeniedError) as denied:
        list_price(connection.client("pricing", "", REGION), offer, NOW)
    assert denied.value.permission == "pricing:GetProducts"


ANY_REQUEST = {"ServiceCode": ANY, "Filters": ANY, "FormatVersion": ANY}


def test_what_is_no_plain_price_is_none() -> None:
    """Free, in tiers, per something else: absent. What is not as described: said."""
    free = HOURLY | {"pricePerUnit": {"USD": "0.0000000000"}}
    assert on_demand(product(free)) is None
    assert on_demand(product(HOURLY, HOURLY)) is None
    assert on_demand(product(HOURLY | {"unit": "Quantity"})) is None
    assert on_demand('{"product": {}, "terms": {}}') is None
    for strange in ("no JSON", product(HOURLY | {"pricePerUnit": {"USD": "much"}}), product({"unit": "Hrs"})):
        with pytest.raises(ProviderError, match="not as AWS describes"):
            on_demand(strange)


def test_engines_and_kinds_that_the_list_is_not_asked_for() -> None:
    """An engine whose licence may be the customer's own has more than one price."""
    told = {"instance_type": "db.m5.large", "engine": "oracle-ee", "highly_available": False}
    oracle = Resource("AWS", ACCOUNT, REGION, "database", "x", "x", (), dict[str, object](told), "", NOW)
    assert prices.offers([oracle]) == []
