"""Azure as the conformance suite meets it: two subscriptions of one payer, and five headers that ask for silence."""

from __future__ import annotations

import pytest

from sandbox.clouds.azure import COSTS, SUBSCRIPTIONS, TOKEN
from sandbox.organisation import AZURE_BILLING_ACCOUNT, AZURE_CORPORATE, AZURE_PRODUCTION
from tests.providers.flats import Flat, World, rest_world
from tools.settings import Settings

_LIMIT = "x-ms-ratelimit-microsoft.costmanagement-{}-retry-after"


def start(request: pytest.FixtureRequest) -> World:
    side = request.getfixturevalue("azure_server")
    settings = Settings(
        _env_file=None, azure_endpoint=side.url, azure_subscriptions=SUBSCRIPTIONS[::-1], azure_token=TOKEN
    )
    return rest_world(side.cloud, settings, lambda: side.cloud.cloud.bills)


FLAT = Flat(
    name="azure",
    provider="Microsoft",
    accounts=(f"/subscriptions/{AZURE_CORPORATE}", f"/subscriptions/{AZURE_PRODUCTION}"),
    payer=AZURE_BILLING_ACCOUNT,
    secret=TOKEN,
    listing="GET /subscriptions/*/providers/Microsoft.Compute/virtualMachines",
    costs=COSTS,
    refused=f"* /subscriptions/{AZURE_PRODUCTION}*",
    permissions=(
        "Microsoft.Compute/disks/read",
        "Microsoft.Compute/virtualMachineScaleSets/read",
        "Microsoft.Network/publicIPAddresses/read",
        "Microsoft.Storage/storageAccounts/read",
    ),
    throttles=(
        {},
        {"header": "Retry-After"},
        {"header": "retry-after", "dated": True},
        *({"header": _LIMIT.format(scope)} for scope in ("entity", "qpu", "client", "tenant")),
        {"header": "x-ms-ratelimit-microsoft.consumption-retry-after"},
    ),
    start=start,
    many=("instance", 8),
)
