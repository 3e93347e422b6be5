"""Azure: what exists and how busy it is, every page of it, and what is said when it may not be seen."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from sandbox.clouds.azure import CLIENT, SECRET, SUBSCRIPTIONS, TENANT, TOKEN
from sandbox.organisation import AZURE_CORPORATE, AZURE_PRODUCTION
from tests.providers.conftest import RestSide
from tools.model.errors import (
    DeniedError,
    ProviderError,
    QuotaExceededError,
    ResourceConflictError,
    ResourceMissingError,
    SettingsError,
    ThrottledError,
    TransientError,
)
from tools.model.resource import Resource
from tools.providers import registry
from tools.providers.azure.connection import Connection, refuse
from tools.providers.azure.identity import refuse_login
from tools.providers.azure.inventory import AzureInventory
from tools.providers.rest import Asking, Reply
from tools.settings import Settings

PRODUCTION, CORPORATE = (f"/subscriptions/{s}" for s in (AZURE_PRODUCTION, AZURE_CORPORATE))


def settings(azure: RestSide, **more: Any) -> Settings:
    known: dict[str, Any] = {
        "azure_endpoint": azure.url,
        "azure_subscriptions": SUBSCRIPTIONS,
        "azure_token": TOKEN,
    }
    return Settings(_env_file=None, **(known | more))


APPLICATION = {
    "azure_token": "",
    "azure_tenant_id": TENANT,
    "azure_client_id": CLIENT,
    "azure_client_secret": SECRET,
}


def hasty(azure: RestSide, connection: Connection) -> None:
    assert connection.identity.login is not None
    azure.hasty(connection.rest, connection.retail, connection.identity.login)


def inventory(azure: RestSide, **more: Any) -> AzureInventory:
    (found,) = registry.inventories(settings(azure, **more), now=azure.now)
    assert isinstance(found, AzureInventory)
    hasty(azure, found.connection)
    return found


def things(azure: RestSide, account_id: str, kind: str) -> dict[str, Resource]:
    return {r.name: r for r in inventory(azure).resources(account_id) if r.kind == kind}


def test_machines_come_over_all_pages_with_size_state_and_tags(azure: RestSide) -> None:
    """Eight machines in pages of three, under the path that bills write; JSON-ready."""
    machines = things(azure, CORPORATE, "instance")
    assert len(machines) == 8
    erp = machines["erp-1"]
    assert erp.id == f"{CORPORATE}/resourceGroups/erp/providers/Microsoft.Compute/virtualMachines/erp-1"
    assert (erp.region, erp.attributes["instance_type"], erp.attributes["state"]) == (
        "westeurope",
        "Standard_E8s_v5",
        "running",
    )
    assert erp.tag("Service") == "erp"
    assert erp.attributes["created_at"] == "2025-09-19T08:00:00.123456+00:00"
    json.dumps(erp.attributes)


def test_use_is_measured_and_missing_points_are_no_zeros(azure: RestSide) -> None:
    """Two weeks of hours, less those that the monitor left out."""
    use = things(azure, CORPORATE, "instance")["erp-1"].attributes["utilisation"]
    assert isinstance(use, dict)
    assert use["days"] == 14
    assert use["hours"] == 333
    assert 25 < use["cpu_average"] < 45 < use["cpu_maximum"] < 90


def test_use_that_may_not_be_seen_is_unknown_and_hides_nothing(azure: RestSide) -> None:
    """The machines are all there; doctor names what is missing."""
    azure.fails("deny", "Microsoft.Insights/metrics/read")
    machines = things(azure, CORPORATE, "instance")
    assert len(machines) == 8
    assert {m.attributes["utilisation"] for m in machines.values()} == {None}


def test_disks_stores_and_databases(azure: RestSide) -> None:
    """The forgotten disk of the story is attached to nothing."""
    disk = things(azure, PRODUCTION, "volume")["loyalty-old-data"]
    assert (disk.attributes["attached"], disk.attributes["gib"], disk.attributes["type"]) == (
        False,
        1024,
        "Premium_LRS",
    )
    assert things(azure, PRODUCTION, "storage_account")["lumenloyalty"].attributes["access_tier"] == "Hot"
    database = things(azure, CORPORATE, "database")["erp"]
    assert (database.attributes["instance_type"], database.attributes["capacity"]) == ("GP_Gen5_8", 8)


def test_access_names_the_subscription_and_what_we_may(azure: RestSide) -> None:
    """A reader only reads, and doctor can say so."""
    accesses = inventory(azure).check_access()
    assert [a.account_id for a in accesses] == [PRODUCTION, CORPORATE]
    assert all(a.ok for a in accesses), accesses
    assert accesses[0].identity == "Lumen Production (the given token, reads only)"


@pytest.mark.parametrize(
    "permission",
    [
        "Microsoft.Compute/virtualMachines/read",
        "Microsoft.Compute/virtualMachineScaleSets/read",
        "Microsoft.Compute/disks/read",
        "Microsoft.Network/publicIPAddresses/read",
        "Microsoft.Storage/storageAccounts/read",
        "Microsoft.Resources/subscriptions/resources/read",
    ],
)
def test_the_one_missing_permission_is_named(azure: RestSide, permission: str) -> None:
    """An administrator reads exactly what to grant; an inventory with a hole is none."""
    azure.fails("deny", permission)
    assert {a.missing for a in inventory(azure).check_access()} == {(permission,)}
    with pytest.raises(DeniedError) as denied:
        inventory(azure).resources(PRODUCTION)
    assert denied.value.permission == permission


def test_permissions_that_are_not_tried_are_asked_for(azure: RestSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cost query is too dear to try; the roles tell whether it is allowed. Too much is told as well."""
    roles = [{"actions": ["*"], "notActions": ["Microsoft.CostManagement/query/*"]}]
    cloud = azure.cloud.cloud
    routes = [r for r in cloud.routes if "permissions" not in r.pattern]
    from sandbox.clouds.rest import Answer, Route

    path = "/subscriptions/{subscription}/providers/Microsoft.Authorization/permissions"
    routes.append(Route("GET", path, "roles", lambda _: Answer(200, {"value": roles})))
    monkeypatch.setattr(cloud, "routes", routes)
    access = inventory(azure).check_access()[0]
    assert access.missing == ("Microsoft.CostManagement/query/action",)
    assert "may also change things" in access.identity
    azure.fails("deny", "roles")
    access = inventory(azure).check_access()[0]
    assert access.ok
    assert "is not told" in access.identity


def test_one_subscription_that_nobody_knows_hides_no_other(azure: RestSide) -> None:
    """A typing error in the settings is told beside the subscriptions that work."""
    good, bad = inventory(azure, azure_subscriptions=(AZURE_PRODUCTION, "3f1c0b52-nobody")).check_access()
    assert good.ok
    assert (bad.ok, bad.identity) == (False, "")
    azure.fails("deny", "Microsoft.Resources/subscriptions/read", times=1)
    denied, _ = inventory(azure).check_access()
    assert denied.missing == ("Microsoft.Resources/subscriptions/read",)


def test_an_application_asks_for_its_token_once_and_again_when_it_is_refused(azure: RestSide) -> None:
    """Client credentials by plain REST; a token that expired early is renewed in the middle of a list."""
    reader = inventory(azure, **APPLICATION)
    assert len(list(reader.resources(CORPORATE))) > 8
    assert azure.cloud.calls["login"] == 1
    azure.fails("expired", "Microsoft.Compute/disks/read", times=1)
    assert reader.resources(CORPORATE)
    assert azure.cloud.calls["login"] == 2
    assert reader.check_access()[0].identity == f"Lumen Production (application {CLIENT}, reads only)"


def test_credentials_that_are_refused_are_told_without_them(azure: RestSide) -> None:
    """A wrong secret and an expired token say what to renew, never what it was."""
    wrong = inventory(azure, **(APPLICATION | {"azure_client_secret": "wrong-secret"}))
    (access, *_) = wrong.check_access()
    assert "does not accept" in access.problem
    assert "wrong-secret" not in repr(access) + repr(wrong)
    azure.fails("expired", "*")
    with pytest.raises(DeniedError, match="credentials") as denied:
        inventory(azure).resources(PRODUCTION)
    assert "OPTIINFRA_AZURE_TOKEN" in denied.value.fix
    azure.fails("throttle", "login")
    assert not inventory(azure, **APPLICATION).check_access()[0].ok


def test_a_next_page_at_another_host_is_not_followed(azure: RestSide) -> None:
    """It would be given our token."""
    connection = inventory(azure).connection
    with pytest.raises(ProviderError, match="another host"):
        connection.rest.get("https://management.example.com/subscriptions", Asking("listing disks"))


def test_a_wrong_clock_is_told(azure: RestSide) -> None:
    """Days would be cut in the wrong place."""
    azure.fails("clock_skew", seconds=1800)
    assert "clock is 30 minutes off" in inventory(azure).check_access()[0].problem


def test_prices_of_scale_sets_are_linux_on_demand_and_spot(azure: RestSide) -> None:
    """Windows and low priority are other things; the price list asks for no token."""
    source = inventory(azure)
    group = Resource(
        "Microsoft", PRODUCTION, "westeurope", "instance_group", "g", "g", (),
        {"instance_types": ["Standard_D4s_v5", "Standard_B4ms", "Standard_Unknown"]}, "", azure.now(),
    )  # fmt: skip
    prices = {(p.sku, p.purchase): p.usual for p in source.prices([group])}
    assert prices == {
        ("Standard_D4s_v5", "on_demand"): Decimal("0.23"),
        ("Standard_D4s_v5", "spot"): Decimal("0.0483"),
        ("Standard_B4ms", "on_demand"): Decimal("0.192"),
        ("Standard_B4ms", "spot"): Decimal("0.0403"),
    }
    assert source.prices(source.resources(CORPORATE)) == ()


def test_subscriptions_without_credentials_are_a_setting_to_fix(azure: RestSide) -> None:
    """Said at once, with the names of the settings."""
    with pytest.raises(SettingsError, match="nothing proves") as told:
        registry.inventories(settings(azure, azure_token=""))
    assert "AZURE_CLIENT_ID" in told.value.fix
    with pytest.raises(SettingsError, match="OPTIINFRA_AZURE_ENDPOINT"):
        registry.billings(settings(azure, azure_endpoint="management"))


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (429, "", ThrottledError),
        (400, "TooManyRequests", ThrottledError),
        (401, "ExpiredAuthenticationToken", DeniedError),
        (403, "AuthorizationFailed", DeniedError),
        (404, "SubscriptionNotFound", ResourceMissingError),
        (409, "Conflict", ResourceConflictError),
        (409, "OperationNotAllowed", QuotaExceededError),
        (503, "ServiceUnavailable", TransientError),
        (400, "BadRequest", ProviderError),
    ],
)
def test_every_refusal_has_its_type_and_nothing_of_azures_text(status: int, code: str, error: type) -> None:
    """Foreign text does not reach a person; only a permission's name of the right form does."""
    body = {"error": {"code": code, "message": "secret <script>; perform action 'drop table' over scope"}}
    told = refuse(Reply(status, {}, body), Asking("listing disks"))
    assert type(told) is error
    assert "listing disks" in str(told)
    assert not any(word in str(told) for word in ("secret <", "<script", "drop"))


def test_microsoft_entra_refuses_in_our_words() -> None:
    """A token is asked from another door, with refusals of its own."""
    asking = Asking("asking for a token")
    assert type(refuse_login(Reply(429, {}, None), asking)) is ThrottledError
    assert type(refuse_login(Reply(502, {}, None), asking)) is TransientError
    assert "AZURE_CLIENT_SECRET" in refuse_login(Reply(400, {}, {"error": "invalid_grant"}), asking).fix
