"""Flat: Vultr's rooms, put together from the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from tools.model.errors import SettingsError
from tools.providers.base import Billing, Inventory, PaidRequests
from tools.providers.vultr.billing import VultrBilling
from tools.providers.vultr.connection import Connection
from tools.providers.vultr.inventory import VultrInventory
from tools.settings import Settings


@lru_cache(maxsize=8)
def connected(settings: Settings) -> Connection:
    """One connection per settings: its pace is shared by all changes. Raises SettingsError without one."""
    if not settings.vultr_api_key.get_secret_value():
        raise SettingsError("Vultr is not connected.", fix="Set VULTR_API_KEY.")
    return Connection.of(settings)


def inventories(settings: Settings, now: Callable[[], datetime]) -> tuple[Inventory, ...]:
    """What exists in the key's account."""
    return (VultrInventory(Connection.of(settings), now),)


def billings(settings: Settings, now: Callable[[], datetime], paid: PaidRequests | None) -> tuple[Billing, ...]:
    """What the key's account is charged."""
    connection = Connection.of(settings)
    return (VultrBilling(connection, VultrInventory(connection, now), now),)
