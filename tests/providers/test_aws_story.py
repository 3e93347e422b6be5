"""The organisation's AWS accounts seen whole: what the bills name exists, every service that refuses is named alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox import inventory as have
from sandbox.organisation import AWS_DATA, AWS_PAYER, AWS_PRODUCTION, AWS_STAGING
from sandbox.pytest_plugin import SandboxAws
from tests.providers.conftest import policy
from tools.collection import resources as collection
from tools.model.errors import DeniedError, ThrottledError, TransientError
from tools.model.resource import Resource
from tools.providers import registry
from tools.providers.aws.inventory import AwsInventory
from tools.providers.aws.permissions import ACTIONS
from tools.providers.base import Seen
from tools.settings import Settings
from tools.store import resources as store
from tools.store.database import Database

ACCOUNTS = (AWS_PAYER, AWS_PRODUCTION, AWS_DATA, AWS_STAGING)


@pytest.fixture
def aws(sandbox_aws_process: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxAws]:
    """The sandbox's AWS, which these tests only look at, and a client that does not really wait."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    monkeypatch.setattr("botocore.retries.bucket.TokenBucket.acquire", lambda *_, **__: True)
    sandbox_aws_process.control.delete("fault")
    yield sandbox_aws_process
    sandbox_aws_process.control.delete("fault")


def inventory(aws: SandboxAws, *accounts: str) -> AwsInventory:
    settings = Settings(
        _env_file=None,
        aws_endpoint_url=aws.url,
        aws_regions=(have.REGION,),
        aws_accounts=accounts or ACCOUNTS,
        aws_reader_role="optiinfra-reader",
        aws_external_id="lumen",
    )
    (found,) = registry.inventories(settings)
    assert isinstance(found, AwsInventory)
    return found


def look(aws: SandboxAws, account: str) -> Seen:
    return inventory(aws).look(account)


@pytest.fixture(scope="module")
def untroubled() -> dict[str, Seen]:
    """What looks at accounts gave while nothing was wrong: taken once, as they are long."""
    return {}


@pytest.fixture
def seen_at(aws: SandboxAws, untroubled: dict[str, Seen]) -> Callable[[str], Seen]:
    """An account as it is seen while nothing is wrong."""

    def seen(account: str) -> Seen:
        if account not in untroubled:
            untroubled[account] = look(aws, account)
        return untroubled[account]

    return seen


def of_kind(seen: Seen, kind: str) -> dict[str, Resource]:
    return {resource.name: resource for resource in seen.resources if resource.kind == kind}


def test_everything_that_amazon_manages_is_there_with_its_use(seen_at: Callable[[str], Seen]) -> None:
    """Databases, functions, gateways, load balancers and buckets, all pages, with their tags and what they did."""
    seen = seen_at(AWS_PRODUCTION)
    assert seen.unread == ()
    databases, functions = of_kind(seen, "database"), of_kind(seen, "function")
    assert set(databases) == {"orders", "catalog", "payments"}
    assert databases["orders"].attributes["highly_available"] is True
    assert databases["catalog"].attributes["utilisation"]["hours"] == 336  # type: ignore[index]
    assert databases["catalog"].tag("team") == "catalog"
    assert {name: f.attributes["memory_mib"] for name, f in functions.items()} == {
        f.name: f.memory for f in have.FUNCTIONS
    }
    assert functions["notify"].attributes["architecture"] == "arm64"
    assert functions["notify"].attributes["invocations"] == 14 * 700_000
    assert functions["notify"].tag("service") == "notify"
    gateways = of_kind(seen, "nat_gateway")
    assert gateways["nat-a"].attributes["bytes_out"] == 14 * 640 * 10**9
    balancers = of_kind(seen, "load_balancer")
    counted = {n: (b.attributes["targets"], b.attributes["healthy"]) for n, b in balancers.items()}
    assert counted == {"checkout": (4, 4), "search": (4, 4), "web": (6, 6), "promo-2024": (0, 0)}
    assert balancers["promo-2024"].attributes["requests"] is None, "no datapoints is not zero"
    buckets = of_kind(seen_at(AWS_DATA), "bucket")
    warehouse = buckets["lumen-warehouse"].attributes
    assert warehouse["classes"] == {"STANDARD": 31_000.0, "STANDARD_IA": 2_000.0}
    assert warehouse["lifecycle"][0]["deletes_after_days"] == 30  # type: ignore[index]
    assert warehouse["incomplete_uploads"]["count"] == 3  # type: ignore[index]
    json.dumps([resource.attributes for resource in seen.resources])


def test_lists_have_more_than_one_page_here(aws: SandboxAws) -> None:
    """So that an inventory that stops at the first one would be found out."""
    before = aws.control.get("calls")
    look(aws, AWS_PRODUCTION)
    after = aws.control.get("calls")
    for call in (
        "rds:DescribeDBInstances",
        "elasticloadbalancing:DescribeLoadBalancers",
        "lambda:ListFunctions",
        "cost-optimization-hub:ListRecommendations",
    ):
        assert after[call] - before.get(call, 0) > 1, call


def test_what_the_bills_name_is_what_the_inventory_names(seen_at: Callable[[str], Seen]) -> None:
    """The ids are the same on both sides, in Amazon's two spellings, so that cost and thing find each other."""
    from sandbox.story.aws_lines import lines
    from tools.recommendation.evidence import names_on_bill

    known = {
        name for account in ACCOUNTS for resource in seen_at(account).resources for name in names_on_bill(resource)
    }
    kinds = {"Database", "Load balancer", "Function", "NAT gateway", "Bucket", "Volume", "Elastic IP", "Savings Plan"}
    billed = {line.resource_id for line in lines() if line.resource_type in kinds}
    assert billed - known == set()


def test_the_organisation_shows_closed_accounts_to_who_pays(seen_at: Callable[[str], Seen]) -> None:
    """A closed account's cost is on the bill for months; members are told nothing, and nothing is missing there."""
    accounts = of_kind(seen_at(AWS_PAYER), "account")
    assert {name: a.attributes["state"] for name, a in accounts.items()} == {
        "lumen-payer": "active",
        "lumen-production": "active",
        "lumen-data": "active",
        "lumen-staging": "active",
        "lumen-acquired": "suspended",
    }
    assert of_kind(seen_at(AWS_STAGING), "account") == {}


def test_what_is_committed_and_what_amazon_advises(seen_at: Callable[[str], Seen]) -> None:
    """The savings plan by the ARN that the bill names; the Hub's advice on the things themselves, purchases left out."""
    (plan,) = of_kind(seen_at(AWS_PAYER), "commitment").values()
    assert plan.id.startswith("arn:aws:savingsplans::100000000001:savingsplan/")
    assert (plan.attributes["plan"], plan.attributes["amounts"]) == ("no_upfront", {"hourly": "1.8"})
    seen = seen_at(AWS_PRODUCTION)
    advised = {r.name: r.attributes["advice"] for r in seen.resources if "advice" in r.attributes}
    assert set(advised) == {"legacy-importer", "catalog"}
    assert advised["catalog"] == [
        {
            "recommender": "Cost Optimization Hub",
            "subtype": "Rightsize db.r6g.xlarge",
            "monthly_saving": "372.85",
            "currency": "USD",
        }
    ]


def test_prices_of_what_there_is(aws: SandboxAws, seen_at: Callable[[str], Seen]) -> None:
    """Spot for what groups run on, on demand for machines, disks and databases; each with its source."""
    things = seen_at(AWS_PRODUCTION).resources
    found = inventory(aws).prices(things)
    listed = {p.sku: p for p in found if p.purchase == "on_demand"}
    assert listed["m5.2xlarge"].usual == Decimal("0.428"), "neither Windows nor an unused reservation"
    assert (listed["gp3"].usual, listed["gp3"].unit) == (Decimal("0.088"), "GB-month")
    assert listed["db.r6g.2xlarge PostgreSQL Multi-AZ"].usual == Decimal("2.128")
    assert {p.sku for p in found if p.purchase == "spot"} >= {"m5.2xlarge", "c5.xlarge"}
    assert all(p.source.startswith("AWS ") for p in found)
    aws.control.post("fault", kind="deny", action="pricing:GetProducts")
    assert {p.purchase for p in inventory(aws).prices(things)} == {"spot"}


DENIED = {
    # what is refused: an account that has such things, and the kinds that are not read then
    "rds:DescribeDBInstances": (AWS_STAGING, {"database"}),
    "rds:DescribeDBClusters": (AWS_STAGING, {"database_cluster"}),
    "lambda:ListFunctions": (AWS_PRODUCTION, {"function"}),
    "ec2:DescribeNatGateways": (AWS_STAGING, {"nat_gateway"}),
    "elasticloadbalancing:DescribeLoadBalancers": (AWS_STAGING, {"load_balancer"}),
    "elasticloadbalancing:DescribeTargetHealth": (AWS_PRODUCTION, {"load_balancer"}),
    "s3:ListAllMyBuckets": (AWS_DATA, {"bucket"}),
    "tag:GetResources": (AWS_PRODUCTION, {"bucket", "function", "load_balancer"}),
    "savingsplans:DescribeSavingsPlans": (AWS_PAYER, {"commitment"}),
    "ec2:DescribeVolumes": (AWS_STAGING, {"volume"}),
    "organizations:DescribeOrganization": (AWS_STAGING, {"account"}),
    "cloudwatch:GetMetricData": (AWS_STAGING, set()),
    "s3:GetLifecycleConfiguration": (AWS_DATA, set()),
    "s3:ListBucketMultipartUploads": (AWS_DATA, set()),
    "cost-optimization-hub:ListRecommendations": (AWS_STAGING, set()),
}
HAS = {
    AWS_PAYER: {"account", "commitment"},
    AWS_PRODUCTION: {
        *("instance", "instance_group", "volume", "snapshot", "address"),
        *("database", "function", "nat_gateway", "load_balancer", "bucket"),
    },
    AWS_DATA: {"instance", "instance_group", "volume", "bucket"},
    AWS_STAGING: {"instance", "volume", "snapshot", "address", "database", "nat_gateway"},
}


@pytest.mark.parametrize("action", DENIED)
def test_a_denied_service_costs_only_what_it_would_list(aws: SandboxAws, action: str) -> None:
    """The rest is complete, and exactly that permission is named."""
    account, kinds = DENIED[action]
    aws.control.post("fault", kind="deny", action=action)
    seen = look(aws, account)
    assert seen.unread_kinds == kinds
    assert {r.kind for r in seen.resources} == HAS[account] - kinds
    missing = {name for part in seen.unread for name in part.missing}
    assert missing == (set() if action.startswith("cost-opt") else {action})


def test_what_was_known_before_stays_when_a_service_refuses(aws: SandboxAws, database: Database) -> None:
    """Databases of yesterday are better than none, and the account says that it is partial."""

    def collect() -> Any:
        mine = inventory(aws, AWS_STAGING)
        (access,) = collection.collect(database, "default", [mine], now=lambda: datetime(2026, 11, 23, tzinfo=UTC))
        with database.read() as tx:
            kinds = {r.kind for r in store.all_of(tx, "default")}
            (told,) = store.last_looks(tx, "default")
        return access, kinds, told

    access, before, told = collect()
    assert access.ok, access.problem
    assert told.complete_at is not None
    aws.control.post("fault", kind="deny", action="rds:DescribeDBInstances")
    access, after, told = collect()
    assert (access.ok, access.missing, after) == (False, ("rds:DescribeDBInstances",), before)
    assert "What was known before of database is kept" in access.problem
    assert told.ok
    assert told.problem


@pytest.mark.parametrize(
    ("kind", "error"), [("throttle", ThrottledError), ("error", TransientError), ("expired", DeniedError)]
)
def test_when_aws_itself_does_not_answer_nothing_is_taken_for_empty(aws: SandboxAws, kind: str, error: type) -> None:
    """Asking for everything else would only take long."""
    aws.control.post("fault", kind=kind)
    with pytest.raises(error):
        look(aws, AWS_STAGING)


@pytest.mark.parametrize(
    "missing",
    [
        "ec2:DescribeSnapshots",
        "lambda:ListFunctions",
        "s3:ListAllMyBuckets",
        "s3:GetLifecycleConfiguration",
        "tag:GetResources",
        "pricing:GetProducts",
        "cloudwatch:GetMetricData",
        "elasticloadbalancing:DescribeTargetHealth",
    ],
)
def test_access_names_the_one_missing_permission(aws: SandboxAws, missing: str) -> None:
    """Listing calls are tried; what a list does not need is asked of IAM."""
    aws.control.post("fault", kind="deny", action=missing)
    (access,) = inventory(aws, AWS_DATA).check_access()
    assert (access.ok, access.missing) == (False, (missing,))


def test_access_says_whether_we_may_also_change_things(aws: SandboxAws) -> None:
    """The reader only looks; an administrator's key is more than reading needs; without IAM's word it is not told."""
    (access,) = inventory(aws, AWS_DATA).check_access()
    assert access.ok, access
    assert access.identity.endswith("assumed-role/optiinfra-reader/optiinfra (reads only)")
    settings = Settings(_env_file=None, aws_endpoint_url=aws.url, aws_regions=(have.REGION,))
    (administrator,) = registry.inventories(settings)[0].check_access()
    assert "may also change things: autoscaling:UpdateAutoScalingGroup" in administrator.identity
    aws.control.post("fault", kind="deny", action="iam:SimulatePrincipalPolicy")
    (access,) = inventory(aws, AWS_DATA).check_access()
    assert access.ok
    assert access.identity.endswith("(whether it may also change things is not told)")


@pytest.mark.parametrize(
    ("kind", "words"),
    [("expired", "does not accept the credentials"), ("clock_skew", "time of this machine")],
)
def test_credentials_and_clocks_that_aws_refuses(aws: SandboxAws, kind: str, words: str) -> None:
    """Each is said as what it is, in our words."""
    aws.control.post("fault", kind=kind, action="sts:*")
    (access,) = inventory(aws, AWS_DATA).check_access()
    assert (access.ok, access.identity) == (False, "")
    assert words in access.problem


def test_the_policies_are_apart_and_no_wider_than_the_calls(aws: SandboxAws) -> None:
    """The reader has no word that changes anything, the executor none that reads; nothing is allowed that is not asked."""
    actions = {
        name: [a for statement in policy(name)["Statement"] for a in statement["Action"]]
        for name in ("reader", "billing-reader", "executor")
    }
    for name in ("reader", "billing-reader"):
        assert all(a.partition(":")[2].startswith(("Describe", "Get", "List", "Simulate")) for a in actions[name])
    assert not any(a.partition(":")[2].startswith(("Describe", "List")) for a in actions["executor"])
    every = [a for found in actions.values() for a in found]
    assert not any("*" in a for a in every)
    # A group launches by itself, but AWS asks whether the one who changes it might.
    spare = set(every) - set(ACTIONS.values()) - {"ec2:RunInstances"}
    assert spare == set()
