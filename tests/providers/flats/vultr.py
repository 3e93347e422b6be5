"""Vultr as the conformance suite meets it: one account per key, and no permission finer than a list."""

from __future__ import annotations

import pytest

from sandbox.clouds.vultr import API_KEY
from sandbox.organisation import VULTR_BILLING_ACCOUNT
from tests.providers.flats import Flat, World, rest_world
from tools.settings import Settings


def start(request: pytest.FixtureRequest) -> World:
    side = request.getfixturevalue("vultr_server")
    settings = Settings(_env_file=None, vultr_endpoint=side.url, vultr_api_key=API_KEY)
    return rest_world(side.cloud, settings, lambda: side.cloud.cloud.bills)


FLAT = Flat(
    name="vultr",
    provider="Vultr",
    accounts=(VULTR_BILLING_ACCOUNT,),
    payer=VULTR_BILLING_ACCOUNT,
    secret=API_KEY,
    listing="GET /v2/instances",
    costs="GET /v2/billing/invoices*",
    refused="*",
    permissions=("billing", "loadbalancer", "subscriptions_view"),
    throttles=({}, {"header": "Retry-After"}, {"header": "retry-after", "dated": True}),
    start=start,
    many=("instance", 7),
)
