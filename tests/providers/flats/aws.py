"""AWS as the conformance suite meets it: accounts through roles, five protocols, costs that are paid per page."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sandbox.clouds.bills import Bills
from sandbox.inventory import REGION
from sandbox.organisation import AWS_PAYER, AWS_PRODUCTION
from sandbox.pytest_plugin import STORY_SEED, STORY_TODAY
from sandbox.story.aws_lines import lines
from tests.providers.flats import Flat, World, owed
from tools.providers.aws import connection
from tools.settings import Settings

_SECRET = "sandbox-aws-secret"


@dataclass
class AwsWorld(World):
    """The SDK waits by itself; how long it waits for an answer is settled when a client is made."""

    def _hasten(self, room: object, patience: float) -> None:
        if patience != connection.READ_SECONDS:
            connection.READ_SECONDS = patience
            clients = room.connection._clients  # type: ignore[attr-defined]
            for client in clients.values():
                client.close()
            clients.clear()


def start(request: pytest.FixtureRequest) -> World:
    side = request.getfixturevalue("sandbox_aws_process")
    settings = Settings(
        _env_file=None,
        aws_endpoint_url=side.url,
        aws_regions=(REGION,),
        aws_accounts=(AWS_PRODUCTION, AWS_PAYER),
        aws_reader_role="optiinfra-reader",
        aws_external_id=_SECRET,
        aws_cost_explorer_accounts=(AWS_PAYER,),
        aws_cost_explorer_requests=500,
    )
    # The same books as those of the sandbox's process, opened here.
    bills = Bills(lines, STORY_SEED, STORY_TODAY, 4)
    return AwsWorld(
        settings,
        lambda fault: side.control.post("fault", **{k: v for k, v in fault.items() if v is not None}),
        lambda: side.control.delete("fault"),
        lambda: side.control.get("calls"),
        owed(lambda: bills),
    )


FLAT = Flat(
    name="aws",
    provider="AWS",
    accounts=(AWS_PRODUCTION, AWS_PAYER),
    payer=AWS_PAYER,
    secret=_SECRET,
    listing="organizations:ListAccounts",
    costs="ce:GetCostAndUsage",
    refused=f"{AWS_PAYER}/*",
    permissions=(
        "ec2:DescribeSnapshots",
        "lambda:ListFunctions",
        "rds:DescribeDBInstances",
        "s3:GetLifecycleConfiguration",
    ),
    throttles=({},),
    start=start,
    many=("function", 3),
    # One call of each protocol, as each says it in its own way.
    throttled=(
        "ec2:DescribeInstances",
        "rds:DescribeDBInstances",
        "lambda:ListFunctions",
        "s3:ListAllMyBuckets",
    ),
    clock="sts:*",
    # A question about all months makes the sandbox work.
    patience=2.5,
    only={"aws_accounts": (AWS_PAYER,)},
    small=AWS_PAYER,
)
