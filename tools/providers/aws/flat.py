"""Flat: AWS's rooms, put together from the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from tools.model.errors import SettingsError
from tools.providers.aws.connection import Connection
from tools.providers.base import Billing, Inventory, PaidRequests
from tools.settings import Settings


@lru_cache(maxsize=8)
def connection(settings: Settings) -> Connection:
    """One connection per settings: clients are slow to make, and its role credentials renew themselves."""
    return Connection.of(settings)


def connected(settings: Settings) -> Connection:
    """The connection through which things are changed. Raises SettingsError without one."""
    if not settings.aws_regions:
        raise SettingsError("AWS is not connected.", fix="Set OPTIINFRA_AWS_REGIONS, for example eu-west-1.")
    return connection(settings)


def inventories(settings: Settings, now: Callable[[], datetime]) -> tuple[Inventory, ...]:
    """What exists, where regions are named."""
    from tools.providers.aws.inventory import AwsInventory

    return (AwsInventory(connection(settings), now),) if settings.aws_regions else ()


def billings(settings: Settings, now: Callable[[], datetime], paid: PaidRequests | None) -> tuple[Billing, ...]:
    """Cost Explorer, or an export that lies in Athena. Raises TypeError when paid requests would not be counted."""
    found: list[Billing] = []
    if settings.aws_cost_explorer_accounts:
        from tools.providers.aws.billing import AwsBilling

        if paid is None:
            raise TypeError("Cost Explorer is asked for money, so its requests must be counted.")
        accounts, most = settings.aws_cost_explorer_accounts, settings.aws_cost_explorer_requests
        found.append(AwsBilling(connection(settings), accounts, paid, most, settings.aws_cost_explorer_split, now))
    if settings.aws_billing_table:
        from tools.providers.aws.export_table import AwsExportTable

        found.append(AwsExportTable.of(settings, connection(settings), now))
    return tuple(found)
