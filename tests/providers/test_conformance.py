"""Every cloud's flat is walked through with the same questions; one that is added has to answer them as well."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec

import pytest

from tests.providers.flats import NOVEMBER, NOW, OCTOBER, Flat, World, sums
from tools.collection import resources as collection
from tools.model.errors import DeniedError, ProviderError
from tools.model.resource import Resource
from tools.providers import catalog
from tools.providers.base import Access, Invoicing, PartialInventory, PriceSource, Restating
from tools.providers.focus.rows import COLUMNS
from tools.store.database import Database

CENT = Decimal("0.01")
ROOMS = ("flat", "connection", "billing", "inventory", "metrics", "prices")
# Words that only a library, a traceback or a wire format would say.
FOREIGN = ("botocore", "Traceback", "HTTPConnection", "urllib3", "requests.", "<?xml", "{'", '{"', "Errno", "rror(")
SPARE = frozenset(column for column in COLUMNS if column not in {"BilledCost", "EffectiveCost"})


@dataclass(frozen=True)
class Seen:
    """What a cloud told while nothing was wrong with it: read once, as it is long."""

    resources: tuple[Resource, ...]
    october: list[dict[str, str]]
    november: list[dict[str, str]]


@pytest.fixture(scope="module")
def seen(flat: Flat, cloud: World) -> Seen:
    """The first account's things and two months of bills."""
    billing = cloud.billing()
    months = [[dict(row) for row in billing.charges(flat.payer, month)] for month in (OCTOBER, NOVEMBER)]
    return Seen(tuple(cloud.inventory().resources(flat.accounts[0])), *months)


@pytest.fixture(autouse=True)
def healed(cloud: World) -> Iterator[None]:
    """Nothing is wrong before a test, nor after it."""
    cloud.heal()
    cloud.waits.clear()
    yield
    cloud.heal()


def fit_for_a_person(sentence: str, flat: Flat) -> None:
    """Full sentences, in our words, that give nothing away."""
    assert sentence.strip(), "a refusal without a word"
    assert sentence[0].isupper(), sentence
    assert sentence.rstrip()[-1] in ".)", sentence
    assert flat.secret not in sentence
    assert not any(word in sentence for word in FOREIGN), sentence


def test_the_same_rooms_exist(flat: Flat, cloud: World) -> None:
    """Whoever knows one flat finds everything in the next."""
    rooms = [room for room in ROOMS if find_spec(f"tools.providers.{flat.name}.{room}") is None]
    assert rooms == []
    inventory, billing = cloud.inventory(), cloud.billing()
    assert {inventory.provider, billing.provider} == {flat.provider}
    assert isinstance(inventory, PriceSource)
    if any(about.provider == flat.provider for about in catalog.BY_NAME.values()):
        assert find_spec(f"tools.providers.{flat.name}.changes") is not None


def test_it_says_who_looks_at_which_account(flat: Flat, cloud: World) -> None:
    """One answer per account, each with an identity, and whether more than reading is allowed."""
    accesses = cloud.inventory().check_access()
    assert tuple(access.account_id for access in accesses) == flat.accounts
    for access in accesses:
        assert (access.provider, access.ok, access.problem, access.missing) == (flat.provider, True, "", ()), access
        assert access.identity
        assert flat.secret not in repr(access)
    bills = cloud.billing().check_access()
    assert [(access.account_id, access.ok) for access in bills] == [(flat.payer, True)], bills


def test_every_page_of_an_inventory_is_read_and_each_thing_once(flat: Flat, seen: Seen) -> None:
    """Ids are unique, kinds and attributes are ours and can be kept as JSON, times are UTC."""
    ids = [(resource.kind, resource.id) for resource in seen.resources]
    assert len(set(ids)) == len(ids)
    kind, count = flat.many
    assert sum(resource.kind == kind for resource in seen.resources) == count
    for resource in seen.resources:
        assert (resource.provider, resource.account_id) == (flat.provider, flat.accounts[0])
        assert resource.id
        assert resource.name
        assert resource.fingerprint
        assert resource.kind == resource.kind.lower()
        assert resource.seen_at.utcoffset() == NOW.utcoffset()
        json.dumps(resource.attributes)
        created = resource.attributes.get("created_at")
        assert not created or datetime.fromisoformat(str(created)).tzinfo is not None, resource


def test_a_month_is_the_clouds_own_total_to_the_cent(flat: Flat, cloud: World, seen: Seen) -> None:
    """Billed and effective, over all pages; rows speak FOCUS, money is exact and never without a currency."""
    for month, rows in ((OCTOBER, seen.october), (NOVEMBER, seen.november)):
        told, due = sums(rows), cloud.owed(month)
        assert all(abs(mine - theirs) < CENT for mine, theirs in zip(told, due, strict=True)), (told, due)
        for row in rows:
            assert set(row) <= set(COLUMNS)
            assert row["BillingCurrency"].isalpha()
            assert len(row["BillingCurrency"]) == 3
            assert (row["BillingAccountId"], row["ServiceProviderName"]) == (flat.payer, flat.provider)
            assert row["ChargeCategory"] in {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}
            for name in ("BilledCost", "EffectiveCost"):
                assert "e" not in row[name].lower()
                assert Decimal(row[name]).is_finite()


def test_days_are_utc_half_open_and_inside_their_month(flat: Flat, seen: Seen) -> None:
    """And none of them has not come yet."""
    for month, rows in ((OCTOBER, seen.october), (NOVEMBER, seen.november)):
        for row in rows:
            assert row["BillingPeriodStart"] == f"{month.start}T00:00:00Z"
            assert row["BillingPeriodEnd"] == f"{month.end}T00:00:00Z"
            start, end = (datetime.fromisoformat(row[f"ChargePeriod{which}"]) for which in ("Start", "End"))
            assert start.tzinfo is not None
            assert start < end
            assert (end - start).total_seconds() % 86400 == 0 or (end - start).total_seconds() < 86400
            assert start < NOW
    assert {row["x_Estimated"] for row in seen.october} == {"false"}
    assert {row["x_Estimated"] for row in seen.november} == {"true"}


def test_prices_have_a_source_and_a_moment(cloud: World, seen: Seen) -> None:
    """Exact numbers with a currency; what nobody told a price of has none."""
    inventory = cloud.inventory()
    assert isinstance(inventory, PriceSource)
    for price in inventory.prices(seen.resources):
        assert isinstance(price.usual, Decimal)
        assert price.low <= price.usual <= price.high
        assert price.usual > 0
        assert price.purchase in {"spot", "on_demand"}
        assert (len(price.currency), price.observed_at.tzinfo) == (3, UTC)
        assert price.source
    assert inventory.prices(()) == ()


def test_use_that_is_not_known_is_not_told_as_idle(seen: Seen) -> None:
    """None, or a number that was measured; never a zero that nobody measured."""
    for resource in seen.resources:
        if isinstance(use := resource.attributes.get("utilisation"), dict):
            assert use["hours"] > 0, resource
            assert 0 <= use["cpu_average"] <= use["cpu_maximum"] <= 100


def test_what_else_it_can_do_is_said_by_protocols(flat: Flat, cloud: World, seen: Seen) -> None:
    """Invoices, restated months and partial inventories are offered by some; those that do keep their word."""
    billing, inventory = cloud.billing(), cloud.inventory()
    if isinstance(billing, Invoicing):
        for invoice in billing.invoices(flat.payer, OCTOBER):
            assert isinstance(invoice.amount, Decimal)
            assert len(invoice.currency) == 3
    if isinstance(billing, Restating):
        told = sums(seen.october)
        assert billing.restated(flat.payer, {OCTOBER.start: told}) == frozenset()
        other = (told[0] + 1, told[1])
        assert billing.restated(flat.payer, {OCTOBER.start: other}) == {OCTOBER.start}
    again = inventory.look(flat.accounts[0]) if isinstance(inventory, PartialInventory) else None
    if again is not None:
        assert again.unread == ()
        assert {(r.id, r.fingerprint) for r in again.resources} == {(r.id, r.fingerprint) for r in seen.resources}


def test_an_account_that_refuses_is_told_and_hides_no_other(flat: Flat, cloud: World, database: Database) -> None:
    """Its own last inventory stays, the others are new, and the reason stands beside it."""
    inventory = cloud.inventory()
    first = collection.collect(database, "default", [inventory], now=lambda: NOW)
    assert all(access.ok for access in first), first
    cloud.fails("deny", flat.refused)
    told = collection.collect(database, "default", [inventory], now=lambda: NOW)
    refused = [access for access in told if not access.ok]
    assert len(refused) == 1, told
    assert len(told) == len(flat.accounts)
    assert refused[0].account_id in {flat.accounts[-1], "API key"}
    fit_for_a_person(refused[0].problem, flat)
    from tools.store import resources as store

    with database.read() as tx:
        kept = {resource.account_id for resource in store.all_of(tx, "default")}
    assert kept == set(flat.accounts)


@pytest.mark.parametrize("number", range(3))
def test_the_one_missing_permission_is_named(flat: Flat, cloud: World, number: int) -> None:
    """Exactly that one, as the cloud's own administrators call it, and nothing is read in part."""
    permission = flat.permissions[number]
    cloud.fails("deny", permission)
    lacking: list[Access] = [access for access in cloud.inventory().check_access() if not access.ok]
    assert lacking
    assert {access.missing for access in lacking} == {(permission,)}
    for access in lacking:
        fit_for_a_person(access.problem, flat)


def test_a_failed_read_is_never_an_empty_one(
    flat: Flat, cloud: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typed error with a sentence, what to do, nothing of the library's text - and no secret in any log."""
    caplog.set_level(logging.DEBUG, logger="tools")
    cloud.fails("deny", flat.costs)
    cloud.fails("deny", flat.listing)
    for read in (
        lambda: list(cloud.inventory(**flat.only).resources(flat.troubled)),
        lambda: list(cloud.billing().charges(flat.payer, OCTOBER)),
    ):
        with pytest.raises(ProviderError) as raised:
            read()
        assert isinstance(raised.value, DeniedError)
        assert raised.value.permission
        fit_for_a_person(raised.value.what, flat)
        fit_for_a_person(raised.value.fix, flat)
    printed = capsys.readouterr()
    assert not any(flat.secret in text for text in (caplog.text, printed.out, printed.err))


def test_no_room_shows_its_secret(flat: Flat, cloud: World) -> None:
    """Whatever prints a room, in a log or a traceback."""
    for room in (cloud.inventory(), cloud.billing(), cloud.settings):
        assert flat.secret not in repr(room)
