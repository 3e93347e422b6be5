"""Inventory: what exists in AWS accounts, service by service and page by page; one that refuses hides no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tools.model.errors import DeniedError, ProviderError, ThrottledError, TransientError
from tools.model.price import Price
from tools.model.resource import Resource
from tools.providers.aws import buckets, commitments, compute, managed, organisation
from tools.providers.aws.access import access
from tools.providers.aws.advice import advice, advised
from tools.providers.aws.connection import PROVIDER, Connection
from tools.providers.aws.describing import GROUP
from tools.providers.aws.prices import LIST_REGION, Offer, list_price, offers, spot_prices
from tools.providers.aws.sections import Place, Section
from tools.providers.base import Access, Seen, Unread

REGIONAL = (*compute.SECTIONS, *managed.SECTIONS, *commitments.REGIONAL)
# Asked once per account, whatever its regions are.
GLOBAL = (*buckets.SECTIONS, *commitments.GLOBAL, *organisation.SECTIONS)
_NO_USE = "What it would tell stays unknown; nothing else is missing."


@dataclass(frozen=True, slots=True)
class AwsInventory:
    """The Inventory (by parts, and a PriceSource) of the configured AWS accounts."""

    connection: Connection
    now: Callable[[], datetime]
    provider: str = PROVIDER
    _offers: dict[Offer, Price | None] = field(default_factory=dict, repr=False, compare=False)

    def check_access(self) -> tuple[Access, ...]:
        """Who we are in each account, which reading permissions it refuses, and whether we may change things there."""
        return tuple(
            access(self.connection, account_id, self._key(account_id), self.now())
            for account_id in self.connection.accounts or ("",)
        )

    def _key(self, account_id: str) -> str:
        # Without configured accounts the credentials' own account is meant: no role is assumed for it.
        return account_id if self.connection.accounts else ""

    def resources(self, account_id: str) -> tuple[Resource, ...]:
        """Everything in all regions of one account; raises a ProviderError rather than give part of it."""
        found: list[Resource] = []
        for section, place in self._sections(account_id):
            found += section.read(place)
        return self._advised(account_id, found)

    def look(self, account_id: str) -> Seen:
        """What can be read of one account, and what cannot. A kind is whole in all regions or not told at all.

        Raises a ProviderError when nothing at all could be read, or when AWS itself does not answer: then asking
        for the rest would only take long.
        """
        found: list[Resource] = []
        unread: list[Unread] = []
        errors: list[ProviderError] = []
        for section, place in self._sections(account_id):
            try:
                found += section.read(place)
            except (ThrottledError, TransientError):
                raise
            except ProviderError as error:
                errors.append(error)
                unread.append(Unread(section.kinds, error.what, _missing(error)))
            unread += [Unread((), f"{error.what} {_NO_USE}", _missing(error)) for error in place.denied]
        if not found and errors:
            raise errors[0]
        seen = Seen((), tuple(dict.fromkeys(unread)))
        whole = [r for r in found if r.kind not in seen.unread_kinds]
        return Seen(self._advised(account_id, whole), seen.unread)

    def _advised(self, account_id: str, found: list[Resource]) -> tuple[Resource, ...]:
        return tuple(advised(found, advice(self.connection, self._key(account_id), account_id)))

    def _sections(self, account_id: str) -> Iterator[tuple[Section, Place]]:
        for region in self.connection.regions:
            place = self._place(account_id, region)
            for section in REGIONAL:
                yield section, place
                place.denied.clear()
        place = self._place(account_id, self.connection.home)
        for section in GLOBAL:
            yield section, place
            place.denied.clear()

    def _place(self, account_id: str, region: str) -> Place:
        return Place(self.connection, account_id, self._key(account_id), region, self.now())

    def prices(self, resources: Iterable[Resource]) -> tuple[Price, ...]:
        """Spot prices of what groups run on, and list prices of what there is; those that AWS does not tell are absent.

        A role that may not read the price list gives spot prices alone; check_access names what it lacks.
        """
        things = tuple(resources)
        found = list(self._spot_prices(things))
        for account_id in sorted({thing.account_id for thing in things})[:1]:
            client = self.connection.client("pricing", self._key(account_id), LIST_REGION)
            try:
                for offer in offers(things):
                    found += self._listed(client, offer)
            except DeniedError:
                break
        return tuple(found)

    def _spot_prices(self, things: Iterable[Resource]) -> Iterator[Price]:
        wanted = {
            (thing.account_id, thing.region, sku)
            for thing in things
            if thing.kind == GROUP
            for sku in _words(thing.attributes.get("instance_types"))
        }
        for account_id, region in sorted({(a, r) for a, r, _ in wanted}):
            skus = sorted(sku for a, r, sku in wanted if (a, r) == (account_id, region))
            ec2 = self.connection.client("ec2", self._key(account_id), region)
            yield from spot_prices(ec2, region, skus, self.now())

    def _listed(self, client: Any, offer: Offer) -> list[Price]:
        """The list is the same for every account: each offer is asked for once."""
        if offer not in self._offers:
            self._offers[offer] = list_price(client, offer, self.now())
        price = self._offers[offer]
        return [] if price is None else [price]


def _missing(error: ProviderError) -> tuple[str, ...]:
    return (error.permission,) if isinstance(error, DeniedError) and error.permission else ()


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, list) else ()
