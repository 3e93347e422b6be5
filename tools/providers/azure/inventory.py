"""Inventory: what exists in Azure subscriptions - machines, scale sets, disks, addresses and stores - all pages of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from tools.model.errors import DeniedError, ProviderError
from tools.model.price import Price
from tools.model.resource import Resource
from tools.providers.azure import metrics, prices
from tools.providers.azure.connection import PROVIDER, Connection, sub_account
from tools.providers.azure.resources import (
    DATABASE,
    DATABASE_TYPE,
    GROUP,
    INSTANCE,
    LISTS,
    count_members,
    resource,
    running,
)
from tools.providers.base import Access
from tools.providers.rest import Asking, Document

SUBSCRIPTION = Asking("asking about the subscription", "Microsoft.Resources/subscriptions/read")
EVERYTHING = Asking("listing all resources", "Microsoft.Resources/subscriptions/resources/read")
STATUS = Asking("listing which machines run", "Microsoft.Compute/virtualMachines/read")
ROLES = Asking("asking what we may do", "Microsoft.Authorization/permissions/read")
# Used for reading, not tried by a list of their own: a cost query is too dear to ask for nothing.
ALSO_NEEDED = (metrics.READ, "Microsoft.CostManagement/query/action", "Microsoft.Billing/billingProperty/read")
SKEW_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class AzureInventory:
    """The Inventory (and PriceSource) of the configured Azure subscriptions."""

    connection: Connection
    now: Callable[[], datetime]
    provider: str = PROVIDER

    def check_access(self) -> tuple[Access, ...]:
        """Each subscription by name, and which of the reading permissions it lacks."""
        return tuple(self._access(subscription) for subscription in self.connection.subscriptions)

    def _access(self, subscription: str) -> Access:
        account_id = sub_account(subscription)
        try:
            told = self.connection.rest.get(account_id, SUBSCRIPTION, **{"api-version": "2022-12-01"})
        except DeniedError as error:
            return Access(PROVIDER, account_id, "", False, error.what, (error.permission,) if error.permission else ())
        except ProviderError as error:
            return Access(PROVIDER, account_id, "", False, error.what)
        missing, problems = self._tried(account_id)
        allowed = self._allowed(account_id)
        if allowed is not None:
            missing |= {name for name in ALSO_NEEDED if not allowed(name)}
        state = str(told.get("state", ""))
        if state not in {"Enabled", ""}:
            problems.append(f"Azure says that the subscription is {state}.")
        skew = self.connection.rest.skew_seconds
        if abs(skew) > SKEW_SECONDS:
            problems.append(f"This machine's clock is {abs(skew) / 60:.0f} minutes off Azure's; set it right.")
        parts = ["OptiInfra lacks permissions to read this subscription."] if missing else []
        problem = " ".join([*parts, *problems[:2]])
        who = f"{told.get('displayName') or subscription} ({self.connection.identity.name}, {_reach(allowed)})"
        return Access(PROVIDER, account_id, who, not problem, problem, tuple(sorted(missing)))

    def _tried(self, account_id: str) -> tuple[set[str], list[str]]:
        """Ask every list for its first page; the permissions that were refused, and other trouble."""
        missing: set[str] = set()
        problems: list[str] = []
        for path, version, asking in _probes(account_id):
            try:
                self.connection.rest.get(path, asking, **{"api-version": version})
            except DeniedError as error:
                missing.add(error.permission or asking.permission)
            except ProviderError as error:
                problems.append(error.what)
        return missing, problems

    def _allowed(self, account_id: str) -> Callable[[str], bool] | None:
        """Whether our roles allow an action, as Azure tells them; None when it does not tell."""
        path = f"{account_id}/providers/Microsoft.Authorization/permissions"
        try:
            roles = self.connection.listing(path, "2022-04-01", ROLES)
        except ProviderError:
            return None
        return lambda action: any(_allows(role, action) for role in roles)

    def resources(self, account_id: str) -> tuple[Resource, ...]:
        """Everything of one subscription; raises a ProviderError rather than give part of it."""
        at = self.now()
        found = [
            resource(account_id, kind, item, at)
            for kind in LISTS
            for item in self.connection.listing(
                f"{account_id}/providers/{kind.path}", kind.version, Asking(f"listing {kind.what}", kind.permission)
            )
        ]
        found += [
            resource(account_id, DATABASE, item, at)
            for item in self.everything(account_id)
            if str(item.get("type", "")).lower() == DATABASE_TYPE and not str(item.get("name", "")).endswith("/master")
        ]
        self._say_what_runs(account_id, found)
        count_members(found)
        self._measure(found, at)
        return tuple(found)

    def everything(self, account_id: str) -> list[Document]:
        """The short descriptions (id, type, location, tags) of all resources of a subscription."""
        return self.connection.listing(f"{account_id}/resources", "2021-04-01", EVERYTHING)

    def _say_what_runs(self, account_id: str, found: list[Resource]) -> None:
        machines = {r.id.lower(): r for r in found if r.kind == INSTANCE}
        if not machines:
            return
        path = f"{account_id}/providers/Microsoft.Compute/virtualMachines"
        for item in self.connection.listing(path, "2024-07-01", STATUS, statusOnly="true"):
            if (machine := machines.get(str(item.get("id", "")).lower())) is not None:
                machine.attributes.update(running(item))

    def _measure(self, found: list[Resource], at: datetime) -> None:
        """How busy running machines were; without the permission that stays unknown, which hides no resource."""
        for machine in (r for r in found if r.kind == INSTANCE and r.attributes["state"] == "running"):
            try:
                machine.attributes["utilisation"] = metrics.utilisation(self.connection, machine.id, at)
            except DeniedError:
                return

    def prices(self, resources: Iterable[Resource]) -> tuple[Price, ...]:
        """On-demand and spot prices of what the given scale sets run on."""
        wanted: dict[str, set[str]] = {}
        for group in (r for r in resources if r.kind == GROUP):
            sizes = group.attributes.get("instance_types")
            wanted.setdefault(group.region, set()).update(str(s) for s in sizes if s) if isinstance(
                sizes, list
            ) else None
        return tuple(
            price
            for region, sizes in sorted(wanted.items())
            for price in prices.of_machines(self.connection, region, sizes, self.now())
        )


def _probes(account_id: str) -> Iterator[tuple[str, str, Asking]]:
    for kind in LISTS:
        yield f"{account_id}/providers/{kind.path}", kind.version, Asking(f"listing {kind.what}", kind.permission)
    yield f"{account_id}/resources", "2021-04-01", EVERYTHING


def _allows(role: Mapping[str, object], action: str) -> bool:
    return _matches(role.get("actions"), action) and not _matches(role.get("notActions"), action)


def _matches(patterns: object, action: str) -> bool:
    return isinstance(patterns, list) and any(fnmatchcase(action.lower(), str(p).lower()) for p in patterns)


def _reach(allowed: Callable[[str], bool] | None) -> str:
    if allowed is None:
        return "whether it may also change things is not told"
    changing = ("Microsoft.Compute/virtualMachines/write", "Microsoft.Compute/disks/delete")
    return "may also change things" if any(allowed(action) for action in changing) else "reads only"
