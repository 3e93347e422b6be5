"""Billing: Vultr's invoices and what is not invoiced yet, as FOCUS rows of one month - the open month is an estimate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from tools.model.errors import DeniedError, ProviderError, ResourceMissingError
from tools.model.invoice import Invoice
from tools.model.money import EXACT
from tools.model.period import Period
from tools.model.resource import Resource
from tools.providers.base import Access
from tools.providers.rest import Asking, Document, not_as_described
from tools.providers.vultr import prices
from tools.providers.vultr.connection import BILLING, PROVIDER, Connection, moment
from tools.providers.vultr.inventory import VultrInventory
from tools.providers.vultr.mapping import Billed, Item, accrued, by_label, item_of

# An invoice comes on the first of the month; one that is this late after a month may still be that month's.
LATEST = timedelta(days=35)
INVOICES = Asking("listing invoices", BILLING)
ITEMS = Asking("reading an invoice", BILLING)
PENDING = Asking("reading charges that are not invoiced yet", BILLING)


@dataclass(frozen=True, slots=True)
class VultrBilling:
    """The Billing of the account that the API key belongs to.

    A month is its invoices; what no invoice covers is Vultr's pending charges, or, where the API has none, what the
    inventory has accrued at list price. Both are marked as estimated and replaced by the invoice when it comes.
    """

    connection: Connection
    inventory: VultrInventory
    now: Callable[[], datetime]
    provider: str = PROVIDER
    # Asked once per collection: the list of invoices, and what exists.
    _invoices: list[Document] = field(default_factory=list, repr=False, compare=False)
    _known: list[tuple[Resource, ...]] = field(default_factory=list, repr=False, compare=False)
    _read: dict[date, tuple[list[Item], bool]] = field(default_factory=dict, repr=False, compare=False)

    def check_access(self) -> tuple[Access, ...]:
        """The account of the key, and whether its bills may be read."""
        try:
            account = self.connection.account()
        except ProviderError as error:
            return (Access(PROVIDER, "API key", "", False, error.what),)
        try:
            self.connection.rest.get("/v2/billing/invoices", INVOICES)
        except DeniedError as error:
            return (Access(PROVIDER, account.name, account.identity, False, error.what, (error.permission,)),)
        except ProviderError as error:
            return (Access(PROVIDER, account.name, account.identity, False, error.what),)
        return (Access(PROVIDER, account.name, account.identity, True),)

    def charges(self, account_id: str, period: Period) -> Iterable[Mapping[str, str]]:
        """The month's charges; [] for one that Vultr charged nothing in. Raises a ProviderError rather than a part."""
        items, closed = self._invoiced(period)
        things = self._things()
        if not closed:
            items = [*items, *self._open(period, things)]
        return list(Billed(account_id, period, by_label(things)).rows(items))

    def invoices(self, account_id: str, period: Period) -> tuple[Invoice, ...]:
        """The month's invoices, each with its amount as Vultr lists it."""
        named = {item.invoice for item in self._invoiced(period)[0]}
        return tuple(
            Invoice(PROVIDER, account_id, period.start, str(told["id"]), amount, "USD", None, "Vultr's API", self.now())
            for told in self._invoices
            if str(told.get("id")) in named and (amount := prices.number(told.get("amount"))) is not None
        )

    def _invoiced(self, period: Period) -> tuple[list[Item], bool]:
        """The items of the month's invoices, and whether an invoice after the month's end closed it."""
        if period.start not in self._read:
            self._read[period.start] = self._month(period)
        return self._read[period.start]

    def _month(self, period: Period) -> tuple[list[Item], bool]:
        found: list[Item] = []
        closed = False
        if not self._invoices:
            self._invoices.extend(
                self.connection.listing("/v2/billing/invoices", "billing_invoices", INVOICES, sized=False)
            )
        for invoice in self._invoices:
            at = moment(invoice.get("date"))
            if at is None or not invoice.get("id"):
                raise not_as_described(PROVIDER, INVOICES.doing)
            if not period.start <= at.date() <= period.end + LATEST:
                continue
            items = self._items(str(invoice["id"]), at)
            if items and max(item.month for item in items) == period.start:
                _verify(invoice, items)
                found += items
                closed = closed or at.date() >= period.end
        return found, closed

    def _items(self, invoice: str, at: datetime) -> list[Item]:
        told = self.connection.listing(f"/v2/billing/invoices/{invoice}/items", "invoice_items", ITEMS, sized=False)
        return _dated(told, invoice, at - timedelta(days=1))

    def _open(self, period: Period, things: tuple[Resource, ...]) -> Iterator[Item]:
        try:
            told = self.connection.rest.get("/v2/billing/pending-charges", PENDING).get("pending_charges")
        except ResourceMissingError:
            yield from self._accrued(period, things)
            return
        if not isinstance(told, list):
            raise not_as_described(PROVIDER, PENDING.doing)
        items = _dated(told, "", self.now())
        yield from (item for item in items if item.month == period.start)

    def _accrued(self, period: Period, things: tuple[Resource, ...]) -> Iterator[Item]:
        """Estimated from the inventory, and one line for what Vultr says is due beyond that."""
        now = self.now()
        if not period.start <= now.date() < period.end:
            return
        plans = prices.plans(self.connection)
        monthly = [(thing, prices.monthly_price(thing, plans)) for thing in things]
        known = [(thing, prices.hourly(price)) for thing, price in monthly if price is not None]
        items = list(accrued(known, period, now))
        yield from items
        due = prices.number(self.connection.account().pending)
        if due is None:
            return
        rest = EXACT.subtract(due, sum((item.total for item in items), Decimal(0)))
        if rest > 0:
            yield Item(
                "Pending charges that no present resource explains", "", datetime.combine(period.start, time(), UTC),
                now, Decimal(0), "", None, rest,
            )  # fmt: skip

    def _things(self) -> tuple[Resource, ...]:
        """What exists, to name what the bill names; a key that may read bills only gives bills without ids."""
        if not self._known:
            try:
                self._known.append(self.inventory.resources(""))
            except DeniedError:
                self._known.append(())
        return self._known[0]


def _dated(told: list[Document], invoice: str, otherwise: datetime) -> list[Item]:
    items = []
    for line in told:
        item = item_of(line, invoice, otherwise) if isinstance(line, dict) else None
        if item is None:
            raise not_as_described(PROVIDER, ITEMS.doing)
        items.append(item)
    return items


def _verify(invoice: Document, items: list[Item]) -> None:
    """An invoice whose lines do not add up to it was not read whole."""
    amount = prices.number(invoice.get("amount"))
    total = sum((item.total for item in items), Decimal(0))
    if amount is not None and abs(amount - total) > Decimal("0.005") * max(1, len(items)):
        raise ProviderError(
            f"The lines of Vultr's invoice {_shown(invoice)} add up to {total:.2f} and not to its amount of {amount:.2f}; "
            "nothing of it is used.",
            fix="It is read again at the next collection.",
        )


def _shown(invoice: Document) -> str:
    return "".join(c for c in str(invoice.get("id")) if c.isalnum())[:20]
