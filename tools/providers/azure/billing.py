"""Billing: what Azure subscriptions cost a month, from two Cost Management queries - actual and amortised - all pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from threading import Lock

from tools.model.errors import DeniedError, ProviderError, ThrottledError
from tools.model.period import Period
from tools.providers.azure.connection import PROVIDER, Connection, sub_account, words
from tools.providers.azure.inventory import SUBSCRIPTION, AzureInventory
from tools.providers.azure.mapping import GROUPS, Place, Told, join, rows_of
from tools.providers.base import Access
from tools.providers.rest import Asking, Document

ACTUAL, AMORTISED = "ActualCost", "AmortizedCost"
VERSION = "2025-03-01"
# Four queries a minute and scope are let through; a whole minute of silence must fit in twice.
QUERY = Asking("reading costs", "Microsoft.CostManagement/query/action", budget=180.0)
OWNER = Asking("asking who pays for the subscription", "Microsoft.Billing/billingProperty/read")
# Microsoft keeps a month open for about five days; until then its figures may still change.
OPEN_DAYS = 5


@dataclass(frozen=True, slots=True)
class AzureBilling:
    """The Billing of the configured subscriptions, gathered by the billing account that pays for them.

    A billing account's month is told whole or not at all: one subscription that cannot be read would leave a hole
    that looks like a saving. One query at a time is asked, as Azure counts them per tenant.
    """

    connection: Connection
    inventory: AzureInventory
    now: Callable[[], datetime]
    one_at_a_time: Lock = field(default_factory=Lock)
    provider: str = PROVIDER
    # Asked once per collection: who pays, and what exists.
    _payers: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _places: dict[str, tuple[str, dict[str, Document]]] = field(default_factory=dict, repr=False, compare=False)

    def check_access(self) -> tuple[Access, ...]:
        """One Access per billing account; a subscription whose payer is not told stands for itself, as refused."""
        payers: dict[str, list[str]] = {}
        refused = []
        for subscription in self.connection.subscriptions:
            try:
                payers.setdefault(self._payer(subscription), []).append(subscription)
            except ProviderError as error:
                lacks = (error.permission,) if isinstance(error, DeniedError) and error.permission else ()
                refused.append(Access(PROVIDER, sub_account(subscription), "", False, error.what, lacks))
        told = [
            Access(PROVIDER, payer, f"{self.connection.identity.name}, {len(subscriptions)} subscriptions", True)
            for payer, subscriptions in sorted(payers.items())
        ]
        if refused:
            # The unread subscription may belong to any of them, and a month must not be told without it.
            hole = f"{len(refused)} of the configured subscriptions cannot be assigned to a billing account: "
            problem = hole + refused[0].problem
            told = [Access(a.provider, a.account_id, "", False, problem, refused[0].missing) for a in told]
        return (*told, *refused)

    def _payer(self, subscription: str) -> str:
        if subscription not in self._payers:
            self._payers[subscription] = self._ask_payer(subscription)
        return self._payers[subscription]

    def _ask_payer(self, subscription: str) -> str:
        path = f"{sub_account(subscription)}/providers/Microsoft.Billing/billingProperty/default"
        told = self.connection.rest.get(path, OWNER, **{"api-version": "2024-04-01"})
        payer = words(told, "properties", "billingAccountId")
        if not payer:
            raise ProviderError(
                f"Azure does not say who pays for the subscription {subscription}.",
                fix="Read its costs from a FOCUS export instead (OPTIINFRA_FOCUS_PATHS).",
            )
        return payer

    def charges(self, account_id: str, period: Period) -> Iterable[Mapping[str, str]]:
        """The month's charges of all subscriptions of the account, whole; raises a ProviderError rather than a part."""
        mine = [s for s in self.connection.subscriptions if self._payer(s).lower() == account_id.lower()]
        return [row for subscription in mine for row in self._of(account_id, subscription, period)]

    def _of(self, payer: str, subscription: str, period: Period) -> Iterable[dict[str, str]]:
        account_id = sub_account(subscription)
        if account_id not in self._places:
            described = self.connection.rest.get(account_id, SUBSCRIPTION, **{"api-version": "2022-12-01"})
            name = str(described.get("displayName") or subscription)
            self._places[account_id] = (name, self._known(account_id))
        name, known = self._places[account_id]
        place = Place(
            payer,
            account_id,
            name,
            period,
            known,
            self.now().date() < period.end + timedelta(days=OPEN_DAYS),
        )
        actual, amortised = (self._query(account_id, period, kind) for kind in (ACTUAL, AMORTISED))
        return join(actual, amortised, place)

    def _known(self, account_id: str) -> dict[str, Document]:
        """Tags and exact names of what exists; bills of a reader without that permission come without tags."""
        try:
            return {str(item.get("id", "")).lower(): item for item in self.inventory.everything(account_id)}
        except DeniedError:
            return {}

    def _query(self, account_id: str, period: Period, kind: str) -> list[Told]:
        body = query_body(period, kind, self.now().date())
        path = f"{account_id}/providers/Microsoft.CostManagement/query"
        with self.one_at_a_time:
            pages = self.connection.rest.pages(lambda link: self._page(link, path, body), QUERY)
            return [row for page in pages for row in page]

    def _page(self, link: str, path: str, body: Document) -> tuple[list[Told], str]:
        """A page; the next one is asked for with the same body, at the address that Azure gives."""
        version = {} if link else {"api-version": VERSION}
        try:
            told = self.connection.rest.ask("POST", link or path, QUERY, parameters=version, body=body)
        except ThrottledError as error:
            raise ThrottledError(
                error.what, fix="The months that are missing are read at the next collections, one after the other."
            ) from error
        return rows_of(told, QUERY.doing), words(told, "properties", "nextLink")


def query_body(period: Period, kind: str, today: date) -> Document:
    """What is asked: one month by day and group. Azure moves a period that ends in the future, so it ends today."""
    last = min(period.end - timedelta(days=1), max(today, period.start))
    return {
        "type": kind,
        "timeframe": "Custom",
        "timePeriod": {"from": f"{period.start}T00:00:00Z", "to": f"{last}T23:59:59Z"},
        "dataset": {
            "granularity": "Daily",
            "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}},
            "grouping": [{"type": "Dimension", "name": name} for name in GROUPS],
        },
    }
