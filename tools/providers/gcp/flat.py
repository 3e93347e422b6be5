"""Flat: Google Cloud's rooms, put together from the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from tools.model.errors import SettingsError
from tools.providers.base import Billing, Inventory, PaidRequests
from tools.providers.gcp.connection import Connection
from tools.settings import Settings


@lru_cache(maxsize=8)
def connection(settings: Settings) -> Connection:
    """One connection per settings: its token and its pace are shared by bills and inventory."""
    return Connection.of(settings)


def connected(settings: Settings) -> Connection:
    """The connection through which things are changed. Raises SettingsError without one."""
    if not settings.gcp_projects:
        raise SettingsError("Google Cloud is not connected.", fix="Set OPTIINFRA_GCP_PROJECTS.")
    return connection(settings)


def inventories(settings: Settings, now: Callable[[], datetime]) -> tuple[Inventory, ...]:
    """What exists, where projects are named."""
    from tools.providers.gcp.inventory import GcpInventory

    return (GcpInventory.of(connection(settings), now),) if settings.gcp_projects else ()


def billings(settings: Settings, now: Callable[[], datetime], paid: PaidRequests | None) -> tuple[Billing, ...]:
    """The billing export, where one is named."""
    from tools.providers.gcp.billing import GcpBilling

    return (GcpBilling.of(settings, connection(settings), now),) if settings.gcp_billing_table else ()
