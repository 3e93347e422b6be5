"""Registry: from settings to the flats that are configured, each loaded on first use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from tools.model.errors import InputError, SettingsError
from tools.model.resource import Resource
from tools.model.rollout import Plan
from tools.providers import catalog
from tools.providers.base import Billing, Change, HealthSource, Inventory, PaidRequests
from tools.settings import Settings

if TYPE_CHECKING:
    from tools.providers.aws.connection import Connection
    from tools.providers.azure.inventory import AzureInventory
    from tools.providers.gcp.connection import Connection as GcpConnection
    from tools.providers.vultr.inventory import VultrInventory

Now = Callable[[], datetime]


def change(settings: Settings, plan_or_name: Plan | str, *, now: Now | None = None) -> Change:
    """The executable change that a plan (or a name like "aws.volume_type:gp3") means.

    Raises InputError for an unknown one, SettingsError when its cloud is not connected.
    """
    wanted = plan_or_name if isinstance(plan_or_name, str) else plan_or_name.change
    about = _known(wanted)
    return _made(about, wanted, _CONNECTED[about.provider](settings), now or _utc_now)


def obstacles(name: str, resource: Resource) -> tuple[str, ...]:
    """Every reason why an executable change cannot be made to a resource as inventory saw it; empty when it can."""
    if catalog.about(name) is None:
        return (f'there is no executable change "{name}".',)
    if catalog.split(name)[0] == "aws.asg_spot":
        from tools.providers.aws.changes.spot import obstacles as of_group

        return of_group(resource)
    try:
        # Planning asks no cloud, so none is needed.
        _made(_known(name), name, None, _utc_now).plan(resource, (100,))
    except InputError as error:
        return (error.what,)
    return ()


def _known(wanted: str) -> catalog.About:
    about = catalog.about(wanted)
    if about is None:
        raise InputError(
            f'There is no executable change "{wanted}".',
            fix=f"Executable are: {', '.join(sorted(catalog.BY_NAME))}.",
        )
    return about


def _made(about: catalog.About, wanted: str, connection: object, now: Now) -> Change:
    module, _, name = about.code.partition(":")
    argument = catalog.split(wanted)[1]
    if argument and not about.example:
        raise InputError(f"{about.name} takes nothing after its name.", fix=f"Write {about.name}.")
    made: Change = getattr(import_module(module), name)(connection, now, **({"argument": argument} if argument else {}))
    return made


def inventories(settings: Settings, *, now: Now | None = None) -> tuple[Inventory, ...]:
    """The inventory of every cloud that is configured."""
    found: list[Inventory] = []
    if settings.aws_regions:
        from tools.providers.aws.inventory import AwsInventory

        found.append(AwsInventory(_aws(settings), now or _utc_now))
    if settings.gcp_projects:
        from tools.providers.gcp.inventory import GcpInventory

        found.append(GcpInventory.of(_gcp(settings), now or _utc_now))
    others: tuple[Inventory | None, ...] = (_azure(settings, now or _utc_now), _vultr(settings, now or _utc_now))
    return (*found, *(other for other in others if other is not None))


def billings(settings: Settings, *, now: Now | None = None, paid: PaidRequests | None = None) -> tuple[Billing, ...]:
    """The billing API of every configured cloud that is read through one; make them anew for each collection.

    `paid` remembers the requests that cost money; a cloud whose requests do cannot be asked without it.
    """
    found: list[Billing] = []
    moment = now or _utc_now
    if settings.aws_cost_explorer_accounts:
        from tools.providers.aws.billing import AwsBilling

        if paid is None:
            raise TypeError("Cost Explorer is asked for money, so its requests must be counted.")
        found.append(
            AwsBilling(
                _aws(settings),
                settings.aws_cost_explorer_accounts,
                paid,
                settings.aws_cost_explorer_requests,
                settings.aws_cost_explorer_split,
                moment,
            )
        )
    if settings.aws_billing_table:
        from tools.providers.aws.export_table import AwsExportTable

        found.append(AwsExportTable.of(settings, _aws(settings), moment))
    if settings.gcp_billing_table:
        from tools.providers.gcp.billing import GcpBilling

        found.append(GcpBilling.of(settings, _gcp(settings), moment))
    if (azure := _azure(settings, moment)) is not None:
        from tools.providers.azure.billing import AzureBilling

        found.append(AzureBilling(azure.connection, azure, moment))
    if (vultr := _vultr(settings, moment)) is not None:
        from tools.providers.vultr.billing import VultrBilling

        found.append(VultrBilling(vultr.connection, vultr, moment))
    return tuple(found)


def health(settings: Settings) -> HealthSource | None:
    """The source of service health, or None when there is none: then no rollout may start."""
    if not settings.prometheus_url:
        return None
    from tools.providers.prometheus.health import PrometheusHealth

    return PrometheusHealth(
        settings.prometheus_url, settings.prometheus_requests_query, settings.prometheus_errors_query
    )


def _aws_connected(settings: Settings) -> object:
    if not settings.aws_regions:
        raise SettingsError("AWS is not connected.", fix="Set OPTIINFRA_AWS_REGIONS, for example eu-west-1.")
    return _aws(settings)


def _gcp_connected(settings: Settings) -> object:
    if not settings.gcp_projects:
        raise SettingsError("Google Cloud is not connected.", fix="Set OPTIINFRA_GCP_PROJECTS.")
    return _gcp(settings)


@lru_cache(maxsize=8)
def _azure_connected(settings: Settings) -> object:
    """One connection per settings: its token and its pace are shared by all changes."""
    found = _azure(settings, _utc_now)
    if found is None:
        raise SettingsError("Azure is not connected.", fix="Set OPTIINFRA_AZURE_SUBSCRIPTIONS.")
    return found.connection


@lru_cache(maxsize=8)
def _vultr_connected(settings: Settings) -> object:
    found = _vultr(settings, _utc_now)
    if found is None:
        raise SettingsError("Vultr is not connected.", fix="Set VULTR_API_KEY.")
    return found.connection


@lru_cache(maxsize=8)
def _aws(settings: Settings) -> Connection:
    """One connection per settings: clients are slow to make, and its role credentials renew themselves."""
    from tools.providers.aws.connection import Connection

    return Connection.of(settings)


@lru_cache(maxsize=8)
def _gcp(settings: Settings) -> GcpConnection:
    """One connection per settings: its token and its pace are shared by bills and inventory."""
    from tools.providers.gcp.connection import Connection

    return Connection.of(settings)


def _azure(settings: Settings, now: Now) -> AzureInventory | None:
    if not settings.azure_subscriptions:
        return None
    from tools.providers.azure.connection import Connection
    from tools.providers.azure.identity import require_proof
    from tools.providers.azure.inventory import AzureInventory

    require_proof(settings)
    return AzureInventory(Connection.of(settings), now)


def _vultr(settings: Settings, now: Now) -> VultrInventory | None:
    if not settings.vultr_api_key.get_secret_value():
        return None
    from tools.providers.vultr.connection import Connection
    from tools.providers.vultr.inventory import VultrInventory

    return VultrInventory(Connection.of(settings), now)


_CONNECTED: dict[str, Callable[[Settings], object]] = {
    "AWS": _aws_connected,
    "Google Cloud": _gcp_connected,
    "Microsoft": _azure_connected,
    "Vultr": _vultr_connected,
}


def _utc_now() -> datetime:
    return datetime.now(UTC)
