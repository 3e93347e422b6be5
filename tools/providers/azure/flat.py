"""Flat: Azure's rooms, put together from the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from tools.model.errors import SettingsError
from tools.providers.azure.billing import AzureBilling
from tools.providers.azure.connection import Connection
from tools.providers.azure.identity import require_proof
from tools.providers.azure.inventory import AzureInventory
from tools.providers.base import Billing, Inventory, PaidRequests
from tools.settings import Settings


@lru_cache(maxsize=8)
def connected(settings: Settings) -> Connection:
    """One connection per settings: its token and its pace are shared by all changes. Raises SettingsError without one."""
    if not settings.azure_subscriptions:
        raise SettingsError("Azure is not connected.", fix="Set OPTIINFRA_AZURE_SUBSCRIPTIONS.")
    require_proof(settings)
    return Connection.of(settings)


def inventories(settings: Settings, now: Callable[[], datetime]) -> tuple[Inventory, ...]:
    """What exists in the subscriptions."""
    require_proof(settings)
    return (AzureInventory(Connection.of(settings), now),)


def billings(settings: Settings, now: Callable[[], datetime], paid: PaidRequests | None) -> tuple[Billing, ...]:
    """What the subscriptions cost."""
    require_proof(settings)
    connection = Connection.of(settings)
    return (AzureBilling(connection, AzureInventory(connection, now), now),)
