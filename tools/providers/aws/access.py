"""Access: who we are in an account, which reading permissions it refuses, and whether we may also change things."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tools.model.errors import DeniedError, ProviderError
from tools.providers.aws import metrics
from tools.providers.aws.connection import PROVIDER, Connection
from tools.providers.aws.explorer import REGION as ONE_PLACE
from tools.providers.aws.permissions import DETAILS
from tools.providers.aws.refusals import our_words
from tools.providers.base import Access

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

# Whoever has one of these may also change things, which reading does not need.
CHANGES = ("autoscaling:UpdateAutoScalingGroup", "ec2:DeleteVolume", "ec2:TerminateInstances", "rds:ModifyDBInstance")
# The most actions that one simulation takes.
_MOST_ACTIONS = 100
_ASSUMED = re.compile(r"arn:(aws[a-z-]*):sts::(\d+):assumed-role/([^/]+)/.+")


def access(connection: Connection, account_id: str, key: str, now: datetime) -> Access:
    """How far one account can be read; a refused account is told here, never raised."""
    try:
        with our_words("asking who we are"):
            me = connection.client("sts", key, connection.home).get_caller_identity()
    except ProviderError as error:
        lacks = (error.permission,) if isinstance(error, DeniedError) and error.permission else ()
        return Access(PROVIDER, account_id or "own account", "", False, str(error.what), lacks)
    found, identity = str(me["Account"]), str(me["Arn"])
    missing, problems = _tried(connection, key, now)
    allowed = simulated(connection, key, identity, (*DETAILS, *CHANGES))
    if allowed is not None:
        missing |= {action for action in DETAILS if not allowed(action)}
    if account_id and found != account_id:
        problems = [f"The credentials lead to account {found} instead of {account_id}."]
    elif missing:
        problems = ["OptiInfra lacks permissions to read this account.", *problems[:1]]
    who = f"{identity} ({_reach(allowed)})"
    problem = " ".join(problems[:2])
    return Access(PROVIDER, account_id or found, who, not problem, problem, tuple(sorted(missing)))


def _tried(connection: Connection, key: str, now: datetime) -> tuple[set[str], list[str]]:
    """Try every reading call once, as small as it goes; the permissions that were refused, and other trouble."""
    missing: set[str] = set()
    problems: list[str] = []
    for doing, probe in probes(connection, key, connection.home, now):
        try:
            with our_words(doing):
                probe()
        except DeniedError as error:
            if error.permission:
                missing.add(error.permission)
            else:
                problems.append(error.what)
        except ProviderError as error:
            problems.append(error.what)
    return missing, problems


def probes(connection: Connection, key: str, region: str, now: datetime) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every call by which something is listed; none of them costs money."""

    def of(service: str, where: str = region) -> Any:
        return connection.client(service, key, where)

    watch: CloudWatchClient = of("cloudwatch")
    yield "listing Auto Scaling groups", lambda: of("autoscaling").describe_auto_scaling_groups(MaxRecords=1)
    yield "listing instances", lambda: of("ec2").describe_instances(MaxResults=5)
    yield "listing volumes", lambda: of("ec2").describe_volumes(MaxResults=5)
    yield "listing snapshots", lambda: of("ec2").describe_snapshots(OwnerIds=["self"], MaxResults=5)
    yield "listing images", lambda: of("ec2").describe_images(Owners=["self"], MaxResults=5)
    yield "listing addresses", lambda: of("ec2").describe_addresses()
    yield "listing NAT gateways", lambda: of("ec2").describe_nat_gateways(MaxResults=5)
    yield "reading launch templates", lambda: of("ec2").describe_launch_templates(MaxResults=1)
    yield (
        "reading spot prices",
        lambda: of("ec2").describe_spot_price_history(InstanceTypes=["m5.large"], MaxResults=1),
    )
    yield "reading metrics", lambda: metrics.probe(watch, now)
    yield "listing databases", lambda: of("rds").describe_db_instances(MaxRecords=20)
    yield "listing database clusters", lambda: of("rds").describe_db_clusters(MaxRecords=20)
    yield "listing buckets", lambda: of("s3").list_buckets()
    yield "listing functions", lambda: of("lambda").list_functions(MaxItems=1)
    yield "listing load balancers", lambda: of("elbv2").describe_load_balancers(PageSize=1)
    yield "listing target groups", lambda: of("elbv2").describe_target_groups(PageSize=1)
    yield "reading tags", lambda: of("resourcegroupstaggingapi").get_resources(ResourcesPerPage=1)
    yield "reading prices", lambda: of("pricing", ONE_PLACE).get_products(ServiceCode="AmazonEC2", MaxResults=1)


def simulated(
    connection: Connection, key: str, identity: str, actions: tuple[str, ...]
) -> Callable[[str], bool] | None:
    """Whether our own policies allow an action, as IAM tells; None when it does not tell."""
    client = connection.client("iam", key, ONE_PLACE)
    try:
        with our_words("asking what we may do"):
            pages = client.get_paginator("simulate_principal_policy").paginate(
                PolicySourceArn=_principal(identity), ActionNames=list(actions[:_MOST_ACTIONS])
            )
            results = [result for page in pages for result in page["EvaluationResults"]]
    except ProviderError:
        return None
    allowed = {r["EvalActionName"] for r in results if r["EvalDecision"] == "allowed"}
    return lambda action: action in allowed


def _principal(identity: str) -> str:
    """The role behind a session: that is what policies are attached to."""
    found = _ASSUMED.fullmatch(identity)
    return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}" if found else identity


def _reach(allowed: Callable[[str], bool] | None) -> str:
    if allowed is None:
        return "whether it may also change things is not told"
    changes = [action for action in CHANGES if allowed(action)]
    return f"may also change things: {', '.join(changes)}" if changes else "reads only"
